"""Temperature: what it does to each generator's samples, and which one fits a cohort."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Cell,
    Column,
    Figures,
    Group,
    Section,
    SectionMaker,
    Table,
    Text,
)
from consilience.report.figures import Axis, Colour, Figure, band, line, points, rule, segments
from consilience.report.results import StudyResults
from consilience.report.sections import _augment_methods as written
from consilience.report.sections._augment_reading import (
    FOLD_ABOVE,
    REAL_TRAIN,
    SERIES,
    augmented_cohorts,
    digits,
    figure_words,
    frame,
    generator_words,
    in_detail,
    listed_values,
    over,
    rows_of,
    shown_words,
    temperature_meaning,
    told,
    told_each,
)
from consilience.report.sections._augment_shapes import Choice, Chosen
from consilience.report.sections._rnagan_reading import group_of, number, two
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

PANELS = ("sd_slope", "diversity", "two_sample_linear", "two_sample_spread", "membership")
IDEAL = {"two_sample_linear": 0.5, "two_sample_spread": 0.5, "membership": 0.5}
RATIO_WORDS = {
    "sd_slope": "spreads of genes", "spread": "spread within classes", "diversity": "diversity",
    "correlation": "correlation",
}  # fmt: skip
_LEAD = (
    "Temperature T multiplies how far synthetic samples lie from the middle of what a generator has learned: "
    "below 1 they are more alike than patients, above 1 more diverse. The T of a cohort is the one at which "
    "samples are as wide, as diverse and as correlated as patients left out; only training patients are "
    "looked at for it. Where 1 is inside the interval, 1 is kept."
)
MODE_WORDS = (
    "Prior sampling (z = T·ε) draws a new patient: T stretches the whole cloud. It makes up for a decoder "
    "that is used to a wider cloud than N(0, 1), but it can only widen what the decoder carries; spread that "
    "was lost in learning does not come back.",
    "Posterior sampling (z = μ + T·σ·ε) starts from a training patient: T widens the halo around each of "
    "them. A small T repeats patients, and with that tells who they are.",
)


def build(results: StudyResults) -> Section | None:
    """Curves of each cohort, the chosen temperatures, all figures."""
    tables, chosen = _found(results)
    if not tables and not chosen:
        return None
    cohorts = [cohort for cohort in augmented_cohorts(results) if cohort in tables or cohort in chosen]
    groups = [
        _group(results, cohort, tables.get(cohort), chosen.get(cohort, {}), folded=len(cohorts) > FOLD_ABOVE)
        for cohort in cohorts
    ]
    return Section(
        key="temperature", title="Augmentation: temperature", headline=_headline(chosen),
        blocks=(Text(_LEAD, tone="lead"), *(Text(words, tone="small") for words in MODE_WORDS),
                *shown_words(results), *groups, *_tables(tables, chosen)),
    )  # fmt: skip


def _found(
    results: StudyResults,
) -> tuple[dict[Cohort, pd.DataFrame], dict[Cohort, dict[str, Chosen]]]:
    """Scans and chosen temperatures, of the cohorts that have them."""
    cohorts = augmented_cohorts(results)
    tables = {
        cohort: frame(results, cohort, "temperature.parquet", needs=("generator", "temperature"))
        for cohort in cohorts
    }
    chosen = {cohort: told_each(results, cohort, "temperature.json", Chosen) for cohort in cohorts}
    return (
        {cohort: table for cohort, table in tables.items() if table is not None},
        {cohort: own for cohort, own in chosen.items() if own},
    )


def _headline(chosen: dict[Cohort, dict[str, Chosen]]) -> str:
    found = [one for own in chosen.values() for one in own.values() if one.temperature is not None]
    if not found:
        return "Scanned; none was chosen."
    kept = sum(one.temperature == 1 for one in found)
    return f"T = 1 kept for {kept} of {count(len(found), 'generator')} in {count(len(chosen), 'cohort')}."


def _group(
    results: StudyResults, cohort: Cohort, table: pd.DataFrame | None, chosen: dict[str, Chosen], *,
    folded: bool,
) -> Group:  # fmt: skip
    choice = told(results, cohort, "generators.json", Choice)
    main = (choice and choice.generator) or next(iter(chosen), "")
    blocks: list[Block] = []
    one = chosen.get(main)
    if one is not None:
        blocks.append(Text(f"{generator_words(main)}: {results.pseudonyms.text(choice_words(one))}"))
    if temperature_meaning(main):
        blocks.append(Text(f"What T does to it: {temperature_meaning(main).rstrip('.')}.", tone="small"))
    if in_detail(results, cohort):
        figures = [] if table is None else _curves(results, cohort, table, main, chosen)
        ratios = None if one is None else _ratio_figure(cohort, main, one)
        drawn = tuple(figure for figure in (ratios, *figures) if figure is not None)
        if drawn:
            blocks.append(Figures(drawn))
    return group_of(f"temperature-{cohort.name}", cohort, blocks, folded=folded)


def choice_words(one: Chosen) -> str:
    """Why this temperature; of several splits their means, since each split has its own words."""
    if len(one.splits) < 2 or one.estimate is None or one.temperature is None:
        return one.why or next((split.why for split in one.splits), "")
    kept = sum(split.temperature == 1 for split in one.splits)
    ends = sum(bool(split.edge) for split in one.splits)
    more = (
        f" In {ends} the best is at an end of the grid: temperature alone cannot make them match."
        if ends
        else ""
    )
    return (
        f"Samples match patients left out best at T = {digits(one.estimate)}{_interval(one)}, over "
        f"{count(len(one.splits), 'split')}; T = 1 is inside the interval in {kept} of them, and is kept "
        f"there. Mean of the T used: {digits(one.temperature)}.{more}"
    )


def ratios_of(one: Chosen) -> tuple[tuple[float, ...], dict[str, list[float | None]]]:
    """Temperatures and, of each figure, the geometric mean over splits of its ratio to real patients."""
    parts = [split for split in (one, *one.splits) if split.ratios]
    parts = [split for split in parts if split.temperatures == parts[0].temperatures]
    if not parts:
        return (), {}
    found: dict[str, list[float | None]] = {}
    for name in RATIO_WORDS:
        columns = [split.ratios.get(name, ()) for split in parts]
        columns = [column for column in columns if len(column) == len(parts[0].temperatures)]
        found[name] = [_geometric([column[place] for column in columns])
                       for place in range(len(parts[0].temperatures))]  # fmt: skip
    return parts[0].temperatures, found


def _geometric(values: Sequence[float | None]) -> float | None:
    known = [math.log(value) for value in values if value is not None and value > 0]
    return math.exp(sum(known) / len(known)) if known else None


def _ratio_figure(cohort: Cohort, main: str, one: Chosen) -> Figure | None:
    """What the choice looks at: each figure beside that of real patients, by temperature."""
    marks: list[dict[str, Any]] = []
    colours: tuple[Colour, ...] = ("c1", "c2", "c3", "c4")
    places, ratios = ratios_of(one)
    for (name, words), colour in zip(RATIO_WORDS.items(), colours, strict=True):
        values = ratios.get(name, [])
        if any(value is not None for value in values):
            marks.append(line(x=places, y=values, name=words, colour=colour))
    if not marks or one.estimate is None:
        return None
    if one.low is not None and one.high is not None:
        marks.append(segments(x0=[one.low], x1=[one.high], y0=[1.0], y1=[1.0], colour="accent"))
    marks += [points(x=[one.estimate], y=[1.0], name="best match", colour="accent",
                     labels=["best match, with its 95 % interval"]),
              rule(axis="y", at=1.0, label="as real patients")]  # fmt: skip
    return Figure(
        key=f"temperature-match-{cohort.name}", title=f"Why this temperature: {generator_words(main)}",
        marks=tuple(marks), x=Axis(label="temperature", scale="log"),
        y=Axis(label="ratio to real patients"), height=260,
        caption="In folds of the training patients. Best match with its 95 % interval.",
        alt=f"Best match at T = {digits(one.estimate)}{_interval(one)}.",
    )  # fmt: skip


def _interval(one: Chosen) -> str:
    return "" if one.low is None or one.high is None else f" ({digits(one.low)} to {digits(one.high)})"


def _curves(
    results: StudyResults, cohort: Cohort, table: pd.DataFrame, main: str, chosen: dict[str, Chosen]
) -> list[Figure]:
    """One panel for each figure that temperature moves."""
    judged = frame(results, cohort, "generators.parquet", needs=("generator",))
    real = None if judged is None else rows_of(judged, generator=REAL_TRAIN)
    panels = [name for name in PANELS if name in table and over(table, name).n]
    return [_panel(cohort, table, name, main, real, chosen) for name in panels]


def _series(table: pd.DataFrame, main: str) -> list[tuple[str, str]]:
    """Generators with the ways in which each was sampled, the chosen one first."""
    keys = sorted(listed_values(table, "generator"), key=lambda key: (key != main, key))
    return [(key, mode) for key in keys
            for mode in listed_values(rows_of(table, generator=key), "mode") or [""]]  # fmt: skip


def _panel(
    cohort: Cohort, table: pd.DataFrame, name: str, main: str, real: pd.DataFrame | None,
    chosen: dict[str, Chosen],
) -> Figure:  # fmt: skip
    marks: list[dict[str, Any]] = []
    said = []
    series = _series(table, main)
    colours = dict(zip(series, ("accent", *SERIES), strict=False))
    for key, mode in series:
        own = rows_of(table, generator=key)
        own = rows_of(own, mode=mode) if mode else own
        places = sorted({float(value) for value in own["temperature"]})
        found = [over(rows_of(own, temperature=place), name) for place in places]
        several = sum(one == key for one, _ in series) > 1
        words = f"{generator_words(key)}, {mode}" if several else generator_words(key)
        colour: Colour = colours.get((key, mode), "muted")
        if key == main and all(one.sd is not None for one in found):
            marks.append(band(x=places, low=[one.low for one in found], high=[one.high for one in found],
                              name=words, colour=colour))  # fmt: skip
        marks.append(line(x=places, y=[one.mean for one in found], name=words, colour=colour))
        marks.append(points(x=places, y=[one.mean for one in found], name=words, colour=colour))
        said.append(f"{words} from {two(found[0].mean)} to {two(found[-1].mean)}")
    best = over(real, name).mean if name != "membership" else None
    at, what = (best, "real patients") if best is not None else (IDEAL.get(name), "ideal")
    if at is not None:
        marks.append(rule(axis="y", at=at, label=what))
    one = chosen.get(main)
    if one is not None and one.temperature is not None:
        marks.append(rule(axis="x", at=one.temperature, label=f"T = {digits(one.temperature)}"))
    return Figure(
        key=f"temperature-{name.replace('_', '-')}-{cohort.name}", title=_capital(figure_words(name)),
        marks=tuple(marks), x=Axis(label="temperature", scale="log"), y=Axis(), height=240,
        alt=f"{figure_words(name)} as T rises: {listed(said)}.",
    )  # fmt: skip


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _tables(tables: dict[Cohort, pd.DataFrame], chosen: dict[Cohort, dict[str, Chosen]]) -> list[Block]:
    blocks: list[Block] = []
    rows: list[tuple[Cell, ...]] = [
        (cohort.name, key, one.temperature, one.estimate, one.low, one.high, _mean(one, "mismatch_one"),
         _mean(one, "mismatch_estimate"), len(one.splits) or 1, choice_words(one), temperature_meaning(key))
        for cohort, own in chosen.items() for key, one in own.items()
    ]  # fmt: skip
    if rows:
        blocks.append(Table(
            key="temperatures", title="Chosen temperatures", visible=12, rows=tuple(rows),
            columns=(
                Column("cohort", "Cohort", "id"), Column("generator", "Generator", "id"),
                Column("temperature", "T used", "number"),
                Column("estimate", "Best match", "number"), Column("low", "from", "number"),
                Column("high", "to", "number"),
                Column("mismatch_one", "Mismatch at T = 1", "number", "root mean square log ratio"),
                Column("mismatch_estimate", "Mismatch at the best", "number", "judged in other folds"),
                Column("splits", "Splits", "integer"), Column("why", "In words", "words"),
                Column("meaning", "What T does to it", "words"),
            ),
        ))  # fmt: skip
    curve = [row for cohort, table in tables.items() for row in _curve_rows(cohort, table)]
    if curve:
        blocks.append(Table(
            key="temperature_curve", title="All figures by temperature", visible=8, rows=tuple(curve),
            columns=(
                Column("cohort", "Cohort", "id"), Column("generator", "Generator", "id"),
                Column("mode", "Sampling"), Column("temperature", "T", "number"),
                Column("figure", "Figure", "id"), Column("mean", "Mean", "number"),
                Column("sd", "Standard deviation", "number"), Column("splits", "Splits", "integer"),
            ),
        ))  # fmt: skip
    return blocks


def _mean(one: Chosen, name: str) -> float | None:
    """A figure over splits, or of the choice itself."""
    values = [getattr(split, name) for split in (one.splits or (one,))]
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _curve_rows(cohort: Cohort, table: pd.DataFrame) -> list[tuple[Cell, ...]]:
    from consilience.augment.judging import FIDELITY, PRIVACY

    rows: list[tuple[Cell, ...]] = []
    for key, mode in _series(table, ""):
        own = rows_of(table, generator=key)
        own = rows_of(own, mode=mode) if mode else own
        for place in sorted({float(value) for value in own["temperature"]}):
            here = rows_of(own, temperature=place)
            for name in (*FIDELITY, *PRIVACY):
                found = over(here, name)
                if found.n:
                    rows.append((cohort.name, key, mode, number(place), name, found.mean, found.sd, found.n))
    return rows


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How temperatures were chosen."""
    return written.temperature() if _found(results) != ({}, {}) else ()


SECTION = SectionMaker(
    order=71, key="temperature", title="Augmentation: temperature", build=build, methods=methods
)
