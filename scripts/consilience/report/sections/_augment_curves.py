"""Usefulness of synthetic samples as tables and curves: means over splits with corrected intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consilience.report.elements import Cell, Column, Table
from consilience.report.figures import Axis, Colour, Figure, line, points, segments
from consilience.report.results import StudyResults
from consilience.report.sections._augment_reading import (
    REAL_TRAIN,
    frame,
    generator_words,
    listed_values,
)
from consilience.report.sections._rnagan_reading import method_words, number, two
from consilience.report.words import listed
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    pass

PROTOCOLS: tuple[tuple[str, str, Colour], ...] = (
    ("trtr", "real", "c1"),
    ("twice", "real, repeated", "c2"),
    ("tstr", "synthetic", "c3"),
    ("augmented", "real and synthetic", "accent"),
)
PROTOCOL_WORDS = {key: words for key, words, _ in PROTOCOLS}
OF_REAL = ("trtr", "twice")
NEEDS = ("split", "generator", "protocol", "classifier", "n_per_class", "test_ratio", "accuracy",
         "balanced_accuracy", "auc", "brier")  # fmt: skip
SATURATED = 0.99
NO_CLAIM = "no claim"
CLAIM_WORDS = {"gain": "better", "loss": "worse", NO_CLAIM: NO_CLAIM}


@dataclass(frozen=True)
class Line:
    """One way of training with one size: means over splits, differences from real samples, claims.

    `over_twice…`: the same against real samples repeated. None where it was not measured.
    """

    measure: str
    generator: str
    protocol: str
    classifier: str
    n_per_class: int
    n_splits: int
    mean: float | None
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    claim: str
    over_twice: float | None
    over_twice_low: float | None
    over_twice_high: float | None
    over_twice_claim: str


def lines_of(results: StudyResults, cohort: Cohort) -> list[Line]:
    """All lines of a cohort, from its summary or else its splits; [] where neither says enough."""
    from consilience.augment.utility_summary import COLUMNS as TOLD
    from consilience.augment.utility_summary import summarised

    table = frame(results, cohort, "utility_summary.parquet", needs=TOLD)
    if table is None:
        splits = frame(results, cohort, "utility.parquet", needs=NEEDS)
        table = None if splits is None else summarised(splits[splits["protocol"].isin(PROTOCOL_WORDS)])
    if table is None:
        return []
    order = list(PROTOCOL_WORDS)
    found = [_line(row) for row in table.to_dict("records") if row["protocol"] in PROTOCOL_WORDS]
    return sorted(found, key=lambda one: (one.classifier, order.index(one.protocol), one.n_per_class == 0,
                                          one.n_per_class))  # fmt: skip


def classifiers_used(results: StudyResults, cohort: Cohort) -> list[str]:
    """Classifiers of a cohort without its figures."""
    for name in ("utility_summary.parquet", "utility.parquet"):
        table = frame(results, cohort, name, needs=("classifier",))
        if table is not None:
            return listed_values(table, "classifier")
    return []


def _line(row: dict[Any, Any]) -> Line:
    names = ("mean", "difference", "difference_low", "difference_high", "over_twice",
             "over_twice_low", "over_twice_high")  # fmt: skip
    return Line(
        measure=str(row["measure"]), generator=str(row["generator"]), protocol=str(row["protocol"]),
        classifier=str(row["classifier"]), n_per_class=int(row["n_per_class"]),
        n_splits=int(row["n_splits"]), claim=str(row["claim"]),
        over_twice_claim=str(row["over_twice_claim"]),
        low=_share(row["low"]), high=_share(row["high"]),
        **{name: number(row[name]) for name in names},
    )  # fmt: skip


def _share(value: object) -> float | None:
    """The end of an interval of a figure that lies between 0 and 1: of few splits it may lie outside."""
    found = number(value)
    return None if found is None else min(1.0, max(0.0, found))


def size_words(n: int) -> str:
    """Patients per class; 0 stands for all."""
    return str(n) if n else "all"


def classifiers_of(lines: Sequence[Line]) -> list[str]:
    """Classifiers in the order of the table."""
    return list(dict.fromkeys(one.classifier for one in lines))


def curve_figure(cohort: Cohort, lines: Sequence[Line], *, classifier: str, chosen: str) -> Figure | None:
    """AUC by patients per class, one line for each way of training."""
    own = [one for one in lines if one.classifier == classifier and one.measure == "auc"
           and one.generator in (REAL_TRAIN, chosen) and one.mean is not None]  # fmt: skip
    sizes = sorted({one.n_per_class for one in own}, key=lambda n: (n == 0, n))
    marks: list[dict[str, Any]] = []
    said = []
    shift = -0.12
    for key, words, colour in PROTOCOLS:
        mine = {one.n_per_class: one for one in own if one.protocol == key}
        drawn = [(place, mine[n]) for place, n in enumerate(sizes) if n in mine]
        if not drawn:
            continue
        x, y = [place + shift for place, _ in drawn], [one.mean for _, one in drawn]
        hover = [f"{words}, {size_words(one.n_per_class)} per class" for _, one in drawn]
        marks += [
            segments(x0=x, x1=x, y0=[one.low for _, one in drawn], y1=[one.high for _, one in drawn],
                     name=words, colour=colour),
            line(x=x, y=y, name=words, colour=colour),
            points(x=x, y=y, name=words, colour=colour, labels=hover),
        ]  # fmt: skip
        said.append(f"{words} {listed(two(value) for value in y)}")
        shift += 0.08
    if not marks:
        return None
    return Figure(
        key=f"utility-{classifier.replace('_', '-')}-{cohort.name}", title=_capital(method_words(classifier)),
        marks=tuple(marks), height=300, y=Axis(label="AUC, patients never seen", domain=_domain(own)),
        x=Axis(label="training patients per class", scale="category",
               categories=tuple(size_words(n) for n in sizes)),
        caption="Colours: what it was trained on. Bars: 95 % intervals that count what splits share.",
        alt=f"AUC with {listed(size_words(n) for n in sizes)} patients per class: {listed(said)}.",
    )  # fmt: skip


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _domain(own: Sequence[Line]) -> tuple[float, float]:
    low = min([one.mean for one in own if one.mean is not None] + [0.9])
    ends = [one.low for one in own if one.low is not None]
    return max(0.0, min(low, max(min(ends, default=low), low - 0.3)) - 0.03), 1.02


def utility_rows(cohort: Cohort, lines: Sequence[Line]) -> list[tuple[Cell, ...]]:
    """AUC of every way of training, what it gains, and whether that may be claimed."""
    return [
        (cohort.name, generator_words(one.generator) if one.protocol not in OF_REAL else "",
         PROTOCOL_WORDS[one.protocol], method_words(one.classifier), size_words(one.n_per_class),
         one.measure.replace("_", " "), one.mean, one.low, one.high, one.difference, one.difference_low,
         one.difference_high, CLAIM_WORDS.get(one.claim, ""), one.over_twice, one.over_twice_low,
         one.over_twice_high, CLAIM_WORDS.get(one.over_twice_claim, ""), one.n_splits)
        for one in lines
    ]  # fmt: skip


COLUMNS = (
    Column("cohort", "Cohort", "id"), Column("generator", "Generator"), Column("protocol", "Trained on"),
    Column("classifier", "Classifier"), Column("n_per_class", "Patients per class"),
    Column("measure", "Measure"), Column("mean", "Mean", "number"), Column("low", "from", "number"),
    Column("high", "to", "number"), Column("difference", "minus real samples", "number"),
    Column("difference_low", "from", "number"), Column("difference_high", "to", "number"),
    Column("claim", "Claim"), Column("over_twice", "minus real repeated", "number"),
    Column("over_twice_low", "from", "number"), Column("over_twice_high", "to", "number"),
    Column("over_twice_claim", "Claim"), Column("splits", "Splits", "integer"),
)  # fmt: skip


def paired_table(cohort: Cohort, lines: Sequence[Line], *, chosen: str) -> Table:
    """AUC of the chosen generator's samples against real samples, paired by split."""
    rows: list[tuple[Cell, ...]] = []
    for one in lines:
        if one.measure == "auc" and one.protocol not in OF_REAL and one.generator == chosen:
            rows.append((
                PROTOCOL_WORDS[one.protocol], method_words(one.classifier).partition(",")[0],
                size_words(one.n_per_class), one.mean,
                _gap(one.difference, one.difference_low, one.difference_high),
                CLAIM_WORDS.get(one.claim, ""),
                _gap(one.over_twice, one.over_twice_low, one.over_twice_high),
                CLAIM_WORDS.get(one.over_twice_claim, ""), one.n_splits,
            ))  # fmt: skip
    return Table(
        key=f"utility.{cohort.name}", title="Paired differences of AUC", visible=12, rows=tuple(rows),
        caption="Same splits, same patients. No claim: the 95 % interval contains 0.",
        columns=(
            Column("protocol", "Trained on"), Column("classifier", "Classifier"),
            Column("n_per_class", "Patients per class"), Column("auc", "AUC", "number"),
            Column("difference", "minus real samples"), Column("claim", "Claim"),
            Column("over_twice", "minus real samples repeated"), Column("over_twice_claim", "Claim"),
            Column("splits", "Splits", "integer"),
        ),
    )  # fmt: skip


def _gap(value: float | None, low: float | None, high: float | None) -> str:
    """A difference with its interval."""
    if value is None:
        return ""
    return _signed(value) + ("" if low is None or high is None else f" [{_signed(low)}, {_signed(high)}]")


def _signed(value: float) -> str:
    """Three digits: differences of AUC are small."""
    text = f"{value:+.3f}"
    return "0.000" if text in ("+0.000", "-0.000") else text.replace("-", "\N{MINUS SIGN}")
