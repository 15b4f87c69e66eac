"""Augmentation: which generator was taken for each cohort, how near it comes to patients, what it leaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Cell,
    Column,
    Fact,
    Facts,
    Figures,
    Group,
    Notice,
    Section,
    SectionMaker,
    Table,
    Text,
)
from consilience.report.results import StudyResults
from consilience.report.sections import _augment_methods as written
from consilience.report.sections._augment_frontier import (
    FIGURES_COLUMNS,
    TARGETS_COLUMNS,
    dominating,
    figures_rows,
    frontier_figure,
    generators_table,
    standings_of,
    target_rows,
    targets_met,
    targets_table,
)
from consilience.report.sections._augment_genes import gene_figures, overlay_figure
from consilience.report.sections._augment_reading import (
    FOLD_ABOVE,
    REAL_TRAIN,
    augmented_cohorts,
    digits,
    frame,
    generator_limits,
    generator_words,
    in_detail,
    shown_words,
    told,
)
from consilience.report.sections._augment_shapes import Choice, Made, PrivacyRecord
from consilience.report.sections._rnagan_reading import group_of
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

    from consilience.augment.frontier import Standing

LEVEL_WORDS = {"none": "none (copies only)", "balanced": "balanced", "strict": "strict"}
_LEAD = (
    "Synthetic patients are judged by patients that no generator has seen, beside the real training patients "
    "in their place: these are the ceiling of fidelity, and the worst of privacy. For each cohort the most "
    "faithful generator that keeps the privacy level is taken; samples are given out only if a trial on "
    "held-out patients passes the limits of that level."
)


@dataclass(frozen=True)
class Part:
    """What is known of one cohort."""

    cohort: Cohort
    choice: Choice | None
    made: Made | None
    verdict: PrivacyRecord | None
    table: pd.DataFrame | None
    found: tuple[Standing, ...]

    @property
    def skipped(self) -> str:
        """Why nothing was done, "" where something was."""
        said = (one.skipped for one in (self.choice, self.made, self.verdict) if one is not None)
        return next((why for why in said if why), "")

    @property
    def chosen(self) -> str:
        """The key of the generator."""
        named = [one.generator for one in (self.choice, self.made) if one is not None and one.generator]
        return named[0] if named else ""

    @property
    def released(self) -> bool:
        """Whether samples were given out."""
        passed = self.verdict.passed if self.verdict is not None else False
        return not self.skipped and (passed or (self.made is not None and self.made.released))

    @property
    def standing(self) -> Standing | None:
        """How the chosen generator stands."""
        return next((one for one in self.found if one.generator == self.chosen), None)


def build(results: StudyResults) -> Section | None:
    """All cohorts in a table, then each."""
    parts = [part for cohort in augmented_cohorts(results) if (part := _part(results, cohort))]
    if not parts:
        return None
    notices = {part.cohort: _notices(results, part) for part in parts}
    groups = [_group(results, part, notices[part.cohort], folded=len(parts) > FOLD_ABOVE) for part in parts]
    done = [part for part in parts if not part.skipped]
    released = sum(part.released for part in parts)
    used = listed(dict.fromkeys(generator_words(part.chosen) for part in parts if part.released))
    levels = listed(
        dict.fromkeys(LEVEL_WORDS.get(_level(part), _level(part)) for part in done if _level(part))
    )
    return Section(
        key="augmentation", title="Augmentation",
        headline=f"Given out for {released} of {count(len(parts), 'cohort')}{f'; {used}' if used else ''}.",
        blocks=(Text(_LEAD, tone="lead"), *shown_words(results), _overview(parts), *groups, *_tables(parts)),
        notices=tuple(notice for own in notices.values() for notice in own),
        first_screen=(Fact("augmented and given out", f"{released} of {len(parts)}",
                           f"cohorts{f'; level {levels}' if levels else ''}"),),
    )  # fmt: skip


def _part(results: StudyResults, cohort: Cohort) -> Part | None:
    table = frame(results, cohort, "generators.parquet", needs=("generator", "split"))
    records = (told(results, cohort, "generators.json", Choice), told(results, cohort, "metrics.json", Made),
               told(results, cohort, "privacy.json", PrivacyRecord))  # fmt: skip
    if table is None and not any(records):
        return None
    return Part(cohort, *records, table, standings_of(table))


def _notices(results: StudyResults, part: Part) -> list[Notice]:
    anchor, name, hide = f"augmentation-{part.cohort.name}", part.cohort.name, results.pseudonyms.text
    if part.skipped:
        return [Notice("note", f"not augmented: {hide(part.skipped)}", anchor, name)]
    said = []
    if part.verdict is not None and not part.released:
        n = len(part.verdict.reasons)
        why = f"{count(n, 'privacy limit')} exceeded" if n else "the trial could not be made"
        said.append(Notice("note", f"augmentation is not given out: {why}", anchor, name))
    better = dominating(part.found, part.chosen)
    if better:
        words = listed(generator_words(key) for key in better)
        said.append(Notice("note", f"{words} better than the chosen generator", anchor, name))
    return said


def _group(results: StudyResults, part: Part, said: list[Notice], *, folded: bool) -> Group:
    hide = results.pseudonyms.text
    blocks: list[Block] = [Text(f"{notice.text[:1].upper()}{notice.text[1:]}.") for notice in said]
    if not part.skipped:
        if part.verdict is not None and not part.released:
            blocks += [Text(f"Refused: {hide(reason)}.", tone="small") for reason in part.verdict.reasons]
        blocks.append(_facts(part))
        if part.choice is not None and part.choice.why:
            blocks.append(Text(_sentence(hide(part.choice.why))))
        if part.choice is not None and part.choice.refused:
            blocks.append(Text(f"Kept out by the level: {_refused(results, part.choice)}.", tone="small"))
        if generator_limits(part.chosen):
            blocks.append(Text(generator_limits(part.chosen), tone="small"))
        blocks += _drawn(results, part)
        notes = [*(part.choice.notes if part.choice else ()), *(part.made.notes if part.made else ())]
        if notes:
            blocks.append(Text(f"Mind: {'; '.join(hide(note) for note in notes)}.", tone="small"))
    return group_of(f"augmentation-{part.cohort.name}", part.cohort, blocks, folded=folded)


def _drawn(results: StudyResults, part: Part) -> list[Block]:
    """Frontier, generators, targets, genes, overlay."""
    if not in_detail(results, part.cohort):
        return []
    blocks: list[Block] = []
    frontier = frontier_figure(part.cohort, part.found, chosen=part.chosen, limits=_limits(part))
    if frontier is not None:
        blocks.append(Figures((frontier,)))
    if part.table is not None:
        blocks.append(generators_table(part.cohort, part.table, part.found, chosen=part.chosen))
        blocks += _failed(results, part)
    if part.standing is not None:
        blocks.append(targets_table(part.cohort, part.standing))
    figures = [*gene_figures(results, part.cohort), overlay_figure(results, part.cohort)]
    drawn = tuple(one for one in figures if one is not None)
    return [*blocks, *([Figures(drawn)] if drawn else [])]


def _failed(results: StudyResults, part: Part) -> list[Block]:
    """Generators that could not be fitted, and why."""
    compared = part.choice.compared if part.choice is not None else ()
    return [
        Text(f"{generator_words(one.generator)} could not be fitted: "
             f"{results.pseudonyms.text(one.errors[0])}", tone="small")
        for one in compared if one.errors
    ]  # fmt: skip


def _refused(results: StudyResults, choice: Choice) -> str:
    """Generators that do not keep the level's limits, each with its reasons."""
    said = []
    for sentence in choice.refused:
        key, found, why = sentence.partition(": ")
        said.append(f"{generator_words(key)} ({why})" if found else sentence)
    return listed(results.pseudonyms.text(one) for one in said)


def _limits(part: Part) -> dict[str, float]:
    """Limits of membership of each level, levels with equal ones together."""
    found: dict[float, list[str]] = {}
    for level, limits in (part.choice.limits if part.choice is not None else {}).items():
        at = limits.get("membership")
        if at is not None:
            found.setdefault(at, []).append(level)
    return {f"limit: {listed(levels)}": at for at, levels in sorted(found.items())}


def _facts(part: Part) -> Facts:
    items = []
    choice = part.choice or Choice()
    if part.chosen:
        how = "asked for" if choice.asked not in ("auto", "") else "chosen among all compared"
        items.append(Fact("generator", generator_words(part.chosen), how))
    temperature = _temperature(part)
    if temperature is not None:
        low, high = choice.temperature_low, choice.temperature_high
        about = "" if low is None or high is None else f"{digits(low)} to {digits(high)}"
        items.append(Fact("temperature", digits(temperature), about))
    if _level(part):
        items.append(Fact("privacy level", LEVEL_WORDS.get(_level(part), _level(part))))
    items.append(Fact("given out", "yes" if part.released else "no"))
    kinds = part.made.kinds if part.made is not None else ()
    if kinds:
        made = sum(kind.synthetic for kind in kinds) if part.released else 0
        real = sum(kind.real for kind in kinds)
        items.append(Fact("synthetic samples", f"{made:,}", f"from {count(real, 'real sample')}"))
    if part.standing is not None:
        items.append(Fact("targets met", targets_met(part.standing)))
    if choice.n_train and choice.n_held_out:
        splits = f"; {count(choice.n_splits, 'split')}" if choice.n_splits else ""
        items.append(Fact("patients learned from", str(choice.n_train),
                          f"{choice.n_held_out} held out{splits}"))  # fmt: skip
    return Facts(tuple(items))


def _temperature(part: Part) -> float | None:
    known = [one.temperature for one in (part.made, part.choice) if one is not None]
    return next((value for value in known if value is not None), None)


def _level(part: Part) -> str:
    known = (one.level for one in (part.verdict, part.choice, part.made) if one is not None)
    return next((level for level in known if level), "")


def _sentence(text: str) -> str:
    """A reason as a sentence of its own."""
    body = text[:1].upper() + text[1:]
    return body if body.endswith((".", "!", "?")) else f"{body}."


def _overview(parts: Sequence[Part]) -> Table:
    """One row a cohort."""
    rows: list[tuple[Cell, ...]] = []
    for part in parts:
        choice, one = part.choice or Choice(), part.standing
        made = sum(kind.synthetic for kind in part.made.kinds) if part.made and part.released else 0
        rows.append((
            part.cohort.name, generator_words(part.chosen) if part.chosen else "", _temperature(part),
            LEVEL_WORDS.get(_level(part), _level(part)), part.released, made,
            targets_met(one) if one else "", one.fidelity.value if one else None,
            0.5 + one.leak.value if one else None, choice.n_train, choice.n_held_out,
        ))  # fmt: skip
    return Table(
        key="augmentation", title="Cohorts", visible=24, rows=tuple(rows),
        columns=(
            Column("cohort", "Cohort", "id"), Column("generator", "Generator", "words"),
            Column("temperature", "Temperature", "number"), Column("level", "Privacy level"),
            Column("released", "Given out"), Column("synthetic", "Synthetic", "integer"),
            Column("targets", "Targets met"), Column("fidelity", "Fidelity", "number"),
            Column("membership", "Membership AUC", "number"), Column("n_train", "Learned from", "integer"),
            Column("n_held_out", "Held out", "integer"),
        ),
    )  # fmt: skip


def _tables(parts: Sequence[Part]) -> list[Block]:
    """Every figure and target of every generator, for those who want all of it."""
    figures = [row for part in parts if part.table is not None
               for row in figures_rows(part.cohort, part.table)]  # fmt: skip
    targets = [row for part in parts for row in target_rows(part.cohort, part.found)
               if row[1] != REAL_TRAIN]  # fmt: skip
    blocks: list[Block] = []
    if figures:
        blocks.append(Table(key="generator_figures", title="All figures of all generators",
                            columns=FIGURES_COLUMNS, rows=tuple(figures), visible=8))  # fmt: skip
    if targets:
        blocks.append(Table(key="generator_targets", title="All targets", columns=TARGETS_COLUMNS,
                            rows=tuple(targets), visible=8))  # fmt: skip
    return blocks


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """Generators compared, how they were judged and chosen, the release gate."""
    parts = [part for cohort in augmented_cohorts(results) if (part := _part(results, cohort))]
    keys = dict.fromkeys(
        str(key) for part in parts if part.table is not None for key in part.table["generator"]
    )
    keys.update(dict.fromkeys(part.chosen for part in parts if part.chosen))
    return written.generating([key for key in keys if key != REAL_TRAIN]) if keys else ()


SECTION = SectionMaker(
    order=70, key="augmentation", title="Augmentation", build=build, methods=methods
)  # fmt: skip
