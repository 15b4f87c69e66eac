"""Planted and found: for simulated studies, what is known to be true beside what the workflow saw."""

from __future__ import annotations

from typing import Any, Literal

from consilience.report.elements import (
    Block,
    Column,
    Fact,
    Facts,
    Figures,
    Notice,
    Section,
    SectionMaker,
    Table,
    Text,
)
from consilience.report.figures import Axis, Colour, Figure, points, segments
from consilience.report.results import StudyResults
from consilience.report.shapes import Check, Found
from consilience.report.words import listed


def build(results: StudyResults) -> Section | None:
    """Each comparison with chance and ideal, then what was planted."""
    found = results.found
    if found is None:
        return None
    blocks: list[Block] = [
        Text(
            "This study is simulated: causal genes, pathways, cell types, programs and faulty samples were "
            "planted before the raw files were written, and the workflow had to find them again. Plain tests "
            "are used here on purpose; each later stage shows its own findings beside the same truth.",
            tone="lead",
        )
    ]
    figure = _figure(found)
    if figure:
        blocks.append(Figures((figure,)))
    blocks += [_checks(found), *_planted(results)]
    return Section(
        key="truth",
        title="Planted and found",
        headline=found.headline,
        blocks=tuple(blocks),
        notices=tuple(_notices(found)),
        first_screen=tuple(_scores(results, found)),
    )


def _scores(results: StudyResults, found: Found) -> list[Fact]:
    """One line per cohort for the first screen."""
    labels = {cohort.name: cohort.label or cohort.name for cohort in results.cohorts}
    facts = []
    for name, part in found.cohorts.items():
        good = sum(check.ok for check in part.checks)
        missing = [check.name for check in part.checks if not check.ok]
        detail = f"not: {listed(missing)}" if missing else ""
        facts.append(Fact(labels.get(name, name), f"{good} of {len(part.checks)}", detail))
    return facts


def _notices(found: Found) -> list[Notice]:
    return [
        Notice("note", f"planted but not found: {check.text or check.name}", "table-truth_checks", name)
        for name, part in found.cohorts.items()
        for check in part.checks
        if not check.ok
    ]


def _rows(found: Found) -> list[tuple[str, Check]]:
    return [(name, check) for name, part in found.cohorts.items() for check in part.checks]


def _figure(found: Found) -> Figure | None:
    """Value of each comparison between chance and ideal; only those that are shares or areas."""
    rows = [
        (f"{name}: {check.name}", check)
        for name, check in _rows(found)
        if check.value is not None
        and check.ideal is not None
        and 0 <= check.value <= 1
        and check.chance != check.ideal
    ]
    if not rows:
        return None
    labels = tuple(label for label, _ in rows)
    checks = [check for _, check in rows]
    places = list(range(len(rows)))
    chance = [check.chance for check in checks]
    marks = [
        segments(x0=chance, x1=[check.value for check in checks], y0=places, y1=places),
        _reference(chance, "by chance", labels, shape="ring"),
        _reference([check.ideal for check in checks], "ideal", labels, shape="cross"),
        *_values(checks),
    ]
    return Figure(
        key="truth",
        title="Every comparison, between chance and ideal",
        x=Axis(label="share, area under the curve or mean rank", domain=(-0.02, 1.02), format="percent"),
        y=Axis(scale="category", categories=labels),
        marks=tuple(marks),
        wide=True,
        height=70 + 24 * len(rows),
        alt=f"{sum(check.ok for check in checks)} of {len(rows)} comparisons came out as planted.",
    )


def _reference(
    x: list[float | None], name: str, labels: tuple[str, ...], *, shape: Literal["ring", "cross"]
) -> dict[str, Any]:
    hover = [f"{label}: {name}" for label in labels]
    return points(x=x, y=list(range(len(x))), name=name, colour="muted", shape=shape, labels=hover)


def _values(checks: list[Check]) -> list[dict[str, Any]]:
    looks: tuple[tuple[bool, str, Colour], ...] = (
        (True, "found as planted", "accent"),
        (False, "not found", "case"),
    )
    marks = []
    for ok, word, colour in looks:
        part = [(place, check) for place, check in enumerate(checks) if check.ok is ok]
        if part:
            marks.append(
                points(
                    x=[check.value for _, check in part],
                    y=[place for place, _ in part],
                    name=word,
                    colour=colour,
                    labels=[check.text or check.name for _, check in part],
                )
            )
    return marks


def _checks(found: Found) -> Table:
    return Table(
        key="truth_checks",
        title="All comparisons",
        visible=40,
        columns=(
            Column("cohort", "Cohort", "id"),
            Column("comparison", "Comparison"),
            Column("planted", "Planted"),
            Column("found", "Found"),
            Column("value", "Value", "number"),
            Column("chance", "By chance", "number"),
            Column("ideal", "Ideal", "number"),
            Column("ok", "As planted"),
            Column("text", "In words", "words"),
        ),
        rows=tuple(
            (
                name,
                check.name,
                check.planted,
                check.found,
                check.value,
                check.chance,
                check.ideal,
                "yes" if check.ok else "no",
                check.text,
            )
            for name, check in _rows(found)
        ),
    )


def _planted(results: StudyResults) -> list[Block]:
    """The planted facts themselves."""
    summary = results.json("truth/truth.json").get("summary", {})
    genes = results.table(results.root / "truth" / "genes.parquet")
    causal = genes[genes["causal"]].copy()
    causal = causal.iloc[(-causal["effect"].abs()).argsort(kind="stable")]
    names = {
        "n_causal_genes": "causal genes",
        "n_perturbations": "perturbed genes",
        "n_loci": "loci",
        "n_cell_types": "cell types",
    }
    facts = [
        Fact(label, f"{summary[key]:,}") for key, label in names.items() if isinstance(summary.get(key), int)
    ]
    active = summary.get("active_cell_types") or []
    if active:
        facts.append(Fact("disease acts in", listed(active)))
    pathways = summary.get("causal_pathways") or []
    if pathways:
        facts.append(Fact("causal pathways", listed(pathways)))
    return [
        Facts(tuple(facts)),
        Table(
            key="planted_genes",
            title="Planted causal genes",
            visible=8,
            columns=(
                Column("gene", "Gene", "id"),
                Column("effect", "log2 fold change in disease", "number"),
                Column("alpha", "Causal effect on risk", "number"),
                Column("pathway", "Pathway"),
            ),
            rows=tuple(
                (str(gene), float(effect), float(alpha), str(pathway))
                for gene, effect, alpha, pathway in zip(
                    causal["gene"], causal["effect"], causal["alpha"], causal["pathway"], strict=True
                )
            ),
            when_empty="no effect was planted: a null study",
        ),
    ]


SECTION = SectionMaker(order=50, key="truth", title="Planted and found", build=build)
