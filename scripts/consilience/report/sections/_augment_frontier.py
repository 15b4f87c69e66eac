"""All generators between fidelity and privacy: where each stands, and which targets it meets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from consilience.foundation.errors import DataError
from consilience.report.elements import Cell, Column, Table
from consilience.report.figures import Axis, Colour, Figure, points, rule, segments
from consilience.report.sections._augment_reading import (
    REAL_TRAIN,
    digits,
    figure_words,
    generator_kind,
    generator_title,
    generator_words,
    listed_values,
    over,
    rows_of,
)
from consilience.report.sections._rnagan_reading import number, two
from consilience.report.words import listed
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

    from consilience.augment.frontier import Standing
    from consilience.augment.frontier_targets import Target

LOOKS: tuple[tuple[str, Colour], ...] = (("ours", "c3"), ("published", "c2"), ("classical", "c1"))
COLUMNS = (
    "class_mean_r2", "fold_change_r2", "spread", "diversity", "correlation", "two_sample_linear",
    "two_sample_spread", "membership", "near_copies",
)  # fmt: skip
"""Figures of the table of a cohort; the table at the end of the section has all."""
SHORT_WORDS = {
    "class_mean_r2": "Class means, R²", "fold_change_r2": "Fold changes, R²", "spread": "Spread",
    "diversity": "Diversity", "correlation": "Correlation", "two_sample_linear": "Two-sample, means",
    "two_sample_spread": "Two-sample, spread", "membership": "Membership", "near_copies": "Near copies",
}  # fmt: skip
UTILITY_WORDS = {"utility": "AUC trained on synthetic samples"}


def standings_of(table: pd.DataFrame | None) -> tuple[Standing, ...]:
    """Every generator as it stands, the most faithful first; () where the table lacks what that needs."""
    from consilience.augment.frontier import standings

    if table is None:
        return ()
    if "error" in table:  # one that could not be fitted everywhere cannot be compared
        failed = set(table.loc[table["error"].fillna("") != "", "generator"])
        table = table[~table["generator"].isin(failed)].reset_index(drop=True)
    try:
        return standings(table)
    except DataError:  # an older table: its figures are still shown
        return ()


def targets_met(one: Standing) -> str:
    """As in "9 of 12"."""
    return f"{one.n_met} of {len(one.targets)}"


def dominating(found: Sequence[Standing], chosen: str) -> tuple[str, ...]:
    """Generators that beat the chosen one on fidelity or privacy and lose on neither."""
    others = [one.dominated_by for one in found if one.generator == chosen]
    return tuple(name for name in others[0] if name != REAL_TRAIN) if others else ()


def frontier_figure(
    cohort: Cohort, found: Sequence[Standing], *, chosen: str, limits: dict[str, float]
) -> Figure | None:
    """One point for each generator with its standard errors, the limits of the levels as lines."""
    shown = [one for one in found if math.isfinite(one.fidelity.value) and math.isfinite(one.leak.value)]
    if not [one for one in shown if one.generator != REAL_TRAIN]:
        return None
    marks: list[dict[str, Any]] = [_intervals(shown)]
    others = [one for one in shown if one.generator not in {chosen, REAL_TRAIN}]
    for kind, colour in (*LOOKS, ("", "c4")):
        own = [one for one in others if generator_kind(one.generator) == kind]
        if own:
            marks.append(_dots(own, name=kind or "other", colour=colour))
    real = [one for one in shown if one.generator == REAL_TRAIN]
    if real:
        marks.append(_dots(real, name="real training patients", colour="muted", shape="ring"))
    mine = [one for one in shown if one.generator == chosen]
    if mine:
        marks.append(_dots(mine, name="chosen", colour="accent"))
    for words, at in limits.items():
        marks.append(rule(axis="y", at=at, label=words, shade="above" if at == min(limits.values()) else ""))
    return Figure(
        key=f"frontier-{cohort.name}", title="Fidelity and privacy", marks=tuple(marks),
        wide=True, height=380,
        x=Axis(label="fidelity (1: as near as real patients)", domain=_domain_x(shown)),
        y=Axis(label="membership AUC (0.5: nobody can tell who took part)", domain=_domain_y(shown, limits)),
        caption="The best place is at the bottom right. Bars are standard errors over splits.",
        alt=listed(f"{generator_words(one.generator)} fidelity {two(one.fidelity.value)}, membership "
                   f"{two(0.5 + one.leak.value)}" for one in shown) + ".",
    )  # fmt: skip


def _dots(found: Sequence[Standing], *, name: str, colour: Colour, shape: str = "dot") -> dict[str, Any]:
    words = [generator_words(one.generator) for one in found]
    return points(
        x=[one.fidelity.value for one in found], y=[0.5 + one.leak.value for one in found], name=name,
        colour=colour, shape=shape, labels=words, named=True,  # type: ignore[arg-type]
    )  # fmt: skip


def _intervals(found: Sequence[Standing]) -> dict[str, Any]:
    """A cross of standard errors for each, where there are some."""
    known = [one for one in found if math.isfinite(one.fidelity.error) and math.isfinite(one.leak.error)]
    x, y = [one.fidelity.value for one in known], [0.5 + one.leak.value for one in known]
    wide, tall = [one.fidelity.error for one in known], [one.leak.error for one in known]
    return segments(
        x0=[a - b for a, b in zip(x, wide, strict=True)] + x,
        x1=[a + b for a, b in zip(x, wide, strict=True)] + x,
        y0=y + [a - b for a, b in zip(y, tall, strict=True)],
        y1=y + [a + b for a, b in zip(y, tall, strict=True)],
    )  # fmt: skip


def _domain_x(found: Sequence[Standing]) -> tuple[float, float]:
    low = min(one.fidelity.value - _error(one.fidelity.error) for one in found)
    return min(0.0 if low < 0.3 else low - 0.05, 0.9), 1.05


def _domain_y(found: Sequence[Standing], limits: dict[str, float]) -> tuple[float, float]:
    low = min(0.5 + one.leak.value - _error(one.leak.error) for one in found)
    high = max([0.5 + one.leak.value + _error(one.leak.error) for one in found] + list(limits.values()))
    return min(0.48, low - 0.02), max(0.66, min(high + 0.03, 1.03))


def _error(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def ordered(table: pd.DataFrame, found: Sequence[Standing], *, chosen: str) -> list[str]:
    """Generators: real patients, the chosen one, then the most faithful first."""
    ranked = [one.generator for one in found] or listed_values(table, "generator")
    first = [key for key in (REAL_TRAIN, chosen) if key in ranked]
    return [*first, *(key for key in ranked if key not in first)]


def generators_table(cohort: Cohort, table: pd.DataFrame, found: Sequence[Standing], *, chosen: str) -> Table:
    """The main figures of every generator of a cohort, mean and standard deviation over splits."""
    by_key = {one.generator: one for one in found}
    names = [name for name in COLUMNS if name in table]
    rows: list[tuple[Cell, ...]] = []
    for key in ordered(table, found, chosen=chosen):
        own, one = rows_of(table, generator=key), by_key.get(key)
        words = generator_words(key) + {chosen: " (chosen)", REAL_TRAIN: " (ceiling)"}.get(key, "")
        rows.append((
            words, targets_met(one) if one else "", _rounded(one.fidelity.value) if one else None,
            *(over(own, name).words for name in names), number(over(own, "temperature").mean),
            number(over(own, "seconds").mean), generator_kind(key), generator_title(key),
            listed(generator_words(name) for name in one.dominated_by if name != REAL_TRAIN) if one else "",
        ))  # fmt: skip
    n = len(listed_values(table, "split"))
    spread = "mean ± standard deviation over splits" if n > 1 else "one split"
    return Table(
        key=f"generators.{cohort.name}", title="Generators", visible=16, rows=tuple(rows),
        caption=f"{spread[:1].upper()}{spread[1:]}. Real training patients are the ceiling of fidelity.",
        columns=(
            Column("generator", "Generator"), Column("targets", "Targets met"),
            Column("fidelity", "Fidelity", "number", "1: nowhere worse than real patients"),
            *(Column(name, SHORT_WORDS[name], hint=figure_words(name)) for name in names),
            Column("temperature", "T", "number"), Column("seconds", "Time", "seconds", "fitting and drawing"),
            Column("kind", "Kind"), Column("what", "What it is", "words"),
            Column("beaten_by", "Beaten by", "words", "better on fidelity or privacy, and worse on neither"),
        ),
    )  # fmt: skip


def _rounded(value: float) -> float | None:
    """Two digits: a score of several figures has no more."""
    return round(value, 2) if math.isfinite(value) else None


def targets_table(cohort: Cohort, one: Standing) -> Table:
    """What the chosen generator should reach, and where it is."""
    return Table(
        key=f"targets.{cohort.name}", title="Targets of the chosen generator", visible=16,
        rows=tuple(_target_row(target) for target in one.targets),
        columns=(Column("target", "Target", "words"), Column("how", "Measured as"),
                 Column("value", "Value", "number"), Column("wanted", "Wanted"),
                 Column("ceiling", "Real patients", "number"), Column("met", "Met")),
    )  # fmt: skip


def _target_row(target: Target) -> tuple[Cell, ...]:
    how = target.how.replace(REAL_TRAIN, "real patients")
    words = UTILITY_WORDS.get(target.name, figure_words(target.name))
    return words, how, number(target.value), _wanted(target), number(target.ceiling), _met(target)


def _wanted(target: Target) -> str:
    low, high = math.isfinite(target.low), math.isfinite(target.high)
    if low and high:
        return f"{digits(target.low)} to {digits(target.high)}"
    return f"at least {digits(target.low)}" if low else f"at most {digits(target.high)}"


def _met(target: Target) -> str:
    if not math.isfinite(target.value):
        return "not measured"
    return "yes" if target.passed else "no"


def figures_rows(cohort: Cohort, table: pd.DataFrame) -> list[tuple[Cell, ...]]:
    """Every figure of every generator, beside the same figure of the real training patients."""
    from consilience.augment.judging import FIDELITY, PRIVACY

    rows: list[tuple[Cell, ...]] = []
    ceiling = rows_of(table, generator=REAL_TRAIN)
    for key in listed_values(table, "generator"):
        own = rows_of(table, generator=key)
        for name in (*FIDELITY, *PRIVACY, "seconds"):
            found = over(own, name)
            if found.n:
                best = over(ceiling, name).mean
                rows.append((cohort.name, key, name, found.mean, found.sd, found.n, best))
    return rows


def target_rows(cohort: Cohort, found: Sequence[Standing]) -> list[tuple[Cell, ...]]:
    """Every target of every generator."""
    return [
        (cohort.name, one.generator, *_target_row(target)) for one in found for target in one.targets
    ]  # fmt: skip


FIGURES_COLUMNS = (
    Column("cohort", "Cohort", "id"), Column("generator", "Generator", "id"),
    Column("figure", "Figure", "id"),
    Column("mean", "Mean", "number"), Column("sd", "Standard deviation", "number"),
    Column("splits", "Splits", "integer"), Column("real_train", "Real training patients", "number"),
)  # fmt: skip
TARGETS_COLUMNS = (
    Column("cohort", "Cohort", "id"), Column("generator", "Generator", "id"),
    Column("target", "Target", "words"),
    Column("how", "Measured as"), Column("value", "Value", "number"), Column("wanted", "Wanted"),
    Column("ceiling", "Real patients", "number"), Column("met", "Met"),
)  # fmt: skip
