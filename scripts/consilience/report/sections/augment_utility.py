"""Usefulness: whether classifiers learn from synthetic samples what they need for real patients."""

from __future__ import annotations

from collections.abc import Sequence

from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
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
from consilience.report.sections._augment_curves import (
    COLUMNS,
    OF_REAL,
    SATURATED,
    Line,
    classifiers_of,
    classifiers_used,
    curve_figure,
    paired_table,
    size_words,
    utility_rows,
)
from consilience.report.sections._augment_curves import lines_of as _lines_of
from consilience.report.sections._augment_published import published_table
from consilience.report.sections._augment_reading import (
    FOLD_ABOVE,
    augmented_cohorts,
    generator_words,
    in_detail,
    shown_words,
    told,
)
from consilience.report.sections._augment_shapes import Choice, UtilityRecord
from consilience.report.sections._rnagan_reading import group_of, method_words, two
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

_LEAD = (
    "Synthetic samples are worth something if classifiers that learn from them tell patients apart whom "
    "neither they nor the generator have seen, by true labels. Beside real samples alone stand synthetic "
    "ones alone, both together, and the same real samples repeated: a gain that repetition gives as well is "
    "none. Where the interval of a paired difference contains 0, nothing is claimed."
)


def build(results: StudyResults) -> Section | None:
    """Curves and paired differences of each cohort."""
    records = {cohort: told(results, cohort, "utility.json", UtilityRecord)
               for cohort in augmented_cohorts(results)}  # fmt: skip
    lines = {cohort: _lines_of(results, cohort) for cohort in records}
    cohorts = [cohort for cohort in records if lines[cohort] or records[cohort] is not None]
    if not cohorts:
        return None
    groups, notices = list[Block](), list[Notice]()
    for cohort in cohorts:
        said = _notices(results, cohort, records[cohort])
        notices += said
        groups.append(_group(results, cohort, records[cohort], lines[cohort], said,
                             folded=len(cohorts) > FOLD_ABOVE))  # fmt: skip
    rows = [row for cohort in cohorts for row in utility_rows(cohort, lines[cohort])]
    everything = Table(key="utility", title="All ways of training", columns=COLUMNS, rows=tuple(rows),
                       visible=8)  # fmt: skip
    return Section(
        key="utility", title="Augmentation: usefulness",
        headline=_headline(results, {c: lines[c] for c in cohorts}),
        blocks=(Text(_LEAD, tone="lead"), *shown_words(results), *groups, *([everything] if rows else [])),
        notices=tuple(notices),
    )  # fmt: skip


def _notices(results: StudyResults, cohort: Cohort, record: UtilityRecord | None) -> list[Notice]:
    if record is None or not record.skipped:
        return []
    text = f"usefulness was not judged: {results.pseudonyms.text(record.skipped)}"
    return [Notice("note", text, f"utility-{cohort.name}", cohort.name)]


def chosen_of(results: StudyResults, cohort: Cohort, lines: Sequence[Line]) -> str:
    """The generator whose lines are drawn: the chosen one, else the first."""
    choice = told(results, cohort, "generators.json", Choice)
    keys = list(dict.fromkeys(one.generator for one in lines if one.protocol not in OF_REAL))
    if choice is not None and choice.generator in keys:
        return choice.generator
    return keys[0] if keys else ""


def _headline(results: StudyResults, lines: dict[Cohort, list[Line]]) -> str:
    gains = [one.over_twice_claim for cohort, own in lines.items() for one in own
             if one.protocol == "augmented" and one.measure == "auc" and one.over_twice_claim
             and one.generator == chosen_of(results, cohort, own)]  # fmt: skip
    if not gains:
        return "Not compared."
    better, worse = gains.count("gain"), gains.count("loss")
    return (
        f"Adding synthetic samples beats repeating the real ones in {better} of "
        f"{count(len(gains), 'comparison')}, is worse in {worse}; no claim in {len(gains) - better - worse}."
    )


def _group(
    results: StudyResults, cohort: Cohort, record: UtilityRecord | None, lines: list[Line],
    said: list[Notice], *, folded: bool,
) -> Group:  # fmt: skip
    blocks: list[Block] = [Text(f"{notice.text[:1].upper()}{notice.text[1:]}.") for notice in said]
    chosen = chosen_of(results, cohort, lines)
    if lines:
        blocks.append(_facts(lines, chosen))
        blocks += [Text(words) for words in sentences(lines, chosen)]
        if in_detail(results, cohort):
            figures = [curve_figure(cohort, lines, classifier=name, chosen=chosen)
                       for name in classifiers_of(lines)]  # fmt: skip
            drawn = tuple(figure for figure in figures if figure is not None)
            blocks += [Figures(drawn)] if drawn else []
            blocks.append(paired_table(cohort, lines, chosen=chosen))
    if in_detail(results, cohort):
        told_of = record.published if record is not None else ()
        table = published_table(results, cohort, told_of, chosen=chosen)
        blocks += [table] if table is not None else []
    failed = record.errors if record is not None else {}
    notes = [*(record.notes if record is not None else ()),
             *(f"{generator_words(key)} could not always be fitted: {why}"
               for key, why in failed.items())]  # fmt: skip
    if notes:
        blocks.append(Text(f"Mind: {'; '.join(map(results.pseudonyms.text, notes))}.", tone="small"))
    return group_of(f"utility-{cohort.name}", cohort, blocks, folded=folded)


def _facts(lines: Sequence[Line], chosen: str) -> Facts:
    """AUC with all patients, by the first classifier."""
    first = classifiers_of(lines)[0]
    last = max({one.n_per_class for one in lines}, key=lambda n: (n == 0, n))
    words = {"trtr": "trained on real", "tstr": "on synthetic", "augmented": "on both"}
    items = []
    for key, word in words.items():
        one = next((one for one in lines if one.protocol == key and one.classifier == first
                    and one.n_per_class == last and one.measure == "auc"
                    and (key in OF_REAL or one.generator == chosen)), None)  # fmt: skip
        if one is not None and one.mean is not None:
            detail = f"AUC, {method_words(first)}, {size_words(last)} patients" if key == "trtr" else "AUC"
            items.append(Fact(word, two(one.mean), detail))
    return Facts(tuple(items))


def sentences(lines: Sequence[Line], chosen: str) -> list[str]:
    """What may be claimed, and what may not."""
    own = [one for one in lines if one.measure == "auc"]
    said = []
    real = [one.mean for one in own if one.protocol == "trtr" and one.mean is not None]
    if real and min(real) >= SATURATED:
        said.append("Real samples alone already reach an AUC of 0.99 or more: the task is too easy to show "
                    "any use of synthetic samples.")  # fmt: skip
    mine = [one for one in own if one.generator == chosen and one.over_twice_claim]
    for key, words in (("augmented", "Real and synthetic samples"), ("tstr", "Synthetic samples alone")):
        parts = [
            f"{word} in {_where(some)}" for claim, word in (("gain", "better"), ("loss", "worse"))
            if (some := [one for one in mine if one.protocol == key and one.over_twice_claim == claim])
        ]  # fmt: skip
        if [one for one in mine if one.protocol == key]:
            verdict = f"are {listed(parts)}" if parts else "show no difference that may be claimed"
            said.append(f"{words} {verdict}, beside the real samples repeated.")
    return said


def _where(some: Sequence[Line]) -> str:
    """Classifiers and sizes in which something holds."""
    by_name: dict[str, list[str]] = {}
    for one in some:
        by_name.setdefault(method_words(one.classifier), []).append(size_words(one.n_per_class))
    return listed(f"{name} (n = {', '.join(sizes)})" for name, sizes in by_name.items())


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How usefulness was judged."""
    used = [name for cohort in augmented_cohorts(results) for name in classifiers_used(results, cohort)]
    return written.usefulness(list(dict.fromkeys(used))) if used else ()


SECTION = SectionMaker(
    order=72, key="utility", title="Augmentation: usefulness", build=build, methods=methods
)
