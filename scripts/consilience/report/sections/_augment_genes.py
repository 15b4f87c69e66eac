"""Genes of synthetic samples beside those of real ones, and both in two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.report.figures import Axis, Colour, Figure, line, points
from consilience.report.results import StudyResults
from consilience.report.sections._augment_reading import budget, frame, listed_values, rows_of
from consilience.report.sections._rnagan_reading import FEWEST_PEOPLE, number, numbers
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

MOST_GENES, ALL_GENES = 500, 10_000
MOST_SAMPLES = 400
LABEL_COLOURS: tuple[Colour, ...] = ("c1", "c2", "c3", "c4", "c5")
MOST_LABELS = len(LABEL_COLOURS)
OVERLAY_SHAPES = (("synthetic", "dot"), ("training", "ring"), ("held out", "cross"))


def gene_figures(results: StudyResults, cohort: Cohort) -> list[Figure]:
    """Mean and spread of every gene, synthetic against patients never seen, coloured by class."""
    needs = ("label", "gene", "mean_real", "sd_real", "mean_synthetic", "sd_synthetic")
    table = frame(results, cohort, "genes.parquet", needs=needs)
    if table is None:
        return []
    people = _people(results, cohort, table)
    # mean and spread of two people give both of them away
    shown = [label for label in listed_values(table, "label") if people.get(label, 0) >= FEWEST_PEOPLE]
    labels = shown[:MOST_LABELS]
    if not labels:
        return []
    parts = {label: _drawn(results, rows_of(table, label=label), len(labels)) for label in labels}
    return [
        _gene_figure(cohort, parts, "mean", "mean"),
        _gene_figure(cohort, parts, "sd", "standard deviation"),
    ]


def _people(results: StudyResults, cohort: Cohort, table: pd.DataFrame) -> dict[str, int]:
    """Patients behind the real figures of each class: told by the table, else by the overlay."""
    if "n_real" in table:
        return {
            label: int(rows_of(table, label=label)["n_real"].min()) for label in listed_values(table, "label")
        }
    overlay = frame(results, cohort, "overlay.parquet", needs=("kind", "label"))
    left_out = None if overlay is None else rows_of(overlay, kind="held out")["label"].value_counts()
    return {} if left_out is None else {str(label): int(n) for label, n in left_out.items()}


def _drawn(results: StudyResults, part: pd.DataFrame, n_labels: int) -> pd.DataFrame:
    """Genes spread evenly over the range of means."""
    most = max(1, budget(results, MOST_GENES, total=ALL_GENES) // n_labels)
    places = np.unique(np.linspace(0, len(part) - 1, min(len(part), most)).astype(int))
    return part.sort_values(["mean_real", "gene"]).iloc[places]


def _gene_figure(cohort: Cohort, parts: dict[str, pd.DataFrame], name: str, words: str) -> Figure:
    real, made = f"{name}_real", f"{name}_synthetic"
    values = [number(value) for part in parts.values() for value in (*part[real], *part[made])]
    known = [value for value in values if value is not None] or [0.0, 1.0]
    low, high = min(0.0, *known), max(known)
    marks = [line(x=[low, high], y=[low, high], name="equal", colour="muted", dashed=True)]
    marks += [
        points(x=numbers(part[real]), y=numbers(part[made]), name=label or "genes", colour=colour,
               labels=part["gene"].astype(str).tolist())
        for (label, part), colour in zip(parts.items(), LABEL_COLOURS, strict=False)
    ]  # fmt: skip
    return Figure(
        key=f"augment-{name}s-{cohort.name}", title=f"Gene by gene: {words}", height=320, marks=tuple(marks),
        x=Axis(label=f"{words}, patients never seen"), y=Axis(label=f"{words}, synthetic"),
        caption="Below the line: too little of it in synthetic samples." if name == "sd" else
                "Each gene within its class; on the line it is as in real patients.",
        alt=f"The {words} of each gene in synthetic samples against patients never seen"
            f"{_slopes(parts, real, made)}.",
    )  # fmt: skip


def _slopes(parts: dict[str, pd.DataFrame], real: str, made: str) -> str:
    """The median ratio of each class, in words."""
    said = []
    for label, part in parts.items():
        x, y = part[real].to_numpy(float), part[made].to_numpy(float)
        some = (x > 0) & np.isfinite(y)
        if some.any():
            said.append(f"{label + ' ' if label else ''}{float(np.median(y[some] / x[some])):.2f}")
    return f"; median ratio {listed(said)}" if said else ""


def overlay_figure(results: StudyResults, cohort: Cohort) -> Figure | None:
    """Synthetic samples among the patients they come from and the patients never seen."""
    needs = ("kind", "label", "pc1", "pc2")
    table = frame(results, cohort, "overlay.parquet", needs=needs)
    if table is None:
        return None
    labels = listed_values(table, "label")[:MOST_LABELS]
    marks = []
    for kind, shape in OVERLAY_SHAPES:
        for label, colour in zip(labels, LABEL_COLOURS, strict=False):
            part = rows_of(table, kind=kind, label=label)[:MOST_SAMPLES]
            if not len(part):
                continue
            faded: Colour = "muted" if kind == "synthetic" and len(labels) == 1 else colour
            name = f"{kind}, {label}" if label else kind
            samples = listed_names(results, part) if kind != "synthetic" else [name] * len(part)
            marks.append(points(x=numbers(part["pc1"]), y=numbers(part["pc2"]), name=name, colour=faded,
                                shape=shape, labels=samples))  # type: ignore[arg-type]  # fmt: skip
    shares = [_explained(table, axis) for axis in (1, 2)]
    n = {kind: int((table["kind"] == kind).sum()) for kind, _ in OVERLAY_SHAPES}
    return Figure(
        key=f"augment-overlay-{cohort.name}", title="Synthetic samples among patients", wide=True, height=400,
        marks=tuple(marks), x=Axis(label=f"component 1{shares[0]}"), y=Axis(label=f"component 2{shares[1]}"),
        caption="Principal components of the patients. Dots: synthetic; rings: training patients; crosses: "
                "patients never seen.",
        alt=f"{count(n['synthetic'], 'synthetic sample')} among {count(n['training'], 'training patient')} "
            f"and {count(n['held out'], 'patient')} never seen, in two principal components.",
    )  # fmt: skip


def listed_names(results: StudyResults, part: pd.DataFrame) -> list[str]:
    """Names of real samples, as pseudonyms where those are asked for; [] where there are none."""
    if "sample" not in part:
        return []
    return [results.pseudonyms.sample(str(name)) for name in part["sample"]]


def _explained(table: pd.DataFrame, axis: int) -> str:
    column = f"explained_{axis}"
    share = number(table[column].iloc[0]) if column in table else None
    return "" if share is None else f" ({100 * share:.0f} %)"
