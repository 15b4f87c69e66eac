"""Diagnosis: how well few references tell cases from controls, on patients that no model has seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Fact,
    Facts,
    Figures,
    Group,
    Notice,
    Notices,
    Section,
    SectionMaker,
    Text,
)
from consilience.report.figures import Figure
from consilience.report.results import StudyResults
from consilience.report.sections import _rnagan_methods as written
from consilience.report.sections._rnagan_diagnosis_parts import (
    NOTABLE,
    VERDICTS,
    auc_figure,
    best_auc,
    forest,
    pretraining_words,
    reliability_figure,
    sentences,
    sizes_of,
    verdict,
)
from consilience.report.sections._rnagan_diagnosis_table import Part, diagnosis_table
from consilience.report.sections._rnagan_reading import (
    FOLD_ABOVE,
    OURS,
    budget,
    group_of,
    in_detail,
    method_words,
    shown_words,
    skipped_table,
    study_cohorts,
    told,
    told_of_all,
)
from consilience.report.sections._rnagan_shapes import (
    Diagnosis,
    MethodFigures,
    SizeFigures,
)
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

FEW_DRAWN = 12
ALL_DRAWN = 150
"""Cell types of a cohort with figures of their own; the table has all."""
MOST_IN_FOREST = 40
ODD = 0.2
MISCALIBRATED = 0.05
CHANCE = 0.05


def build(results: StudyResults) -> Section | None:
    """All tasks together, then each cohort, then what carries over from one cohort to another."""
    own = told_of_all(results, "diagnosis.json", Diagnosis)
    across = {(cohort, origin): found for cohort, origin, found in _transfers(results)}
    if not own and not across:
        return None
    parts = [part for cohort, found in own.items() for part in _parts(cohort, "", found)]
    moved = [part for (cohort, origin), found in across.items() for part in _parts(cohort, origin, found)]
    folded = len(own) > FOLD_ABOVE
    blocks: list[Block] = [Text(_LEAD, tone="lead"), *shown_words(results)]
    drawn = forest(_forest_rows([*parts, *moved]))
    if drawn is not None:
        blocks.append(Figures((drawn,)))
    notices: list[Notice] = []
    for cohort, found in own.items():
        mine = [part for part in parts if part.cohort is cohort]
        if mine:
            said = [notice for part in mine for notice in _notices(results, part)]
            notices += said
            blocks.append(_cohort_group(results, cohort, found, mine, said, folded=folded))
    if moved:
        blocks.append(_transfer_group(moved))
    blocks += [diagnosis_table([*parts, *moved]), *_skipped(results, own, across)]
    return Section(
        key="diagnosis", title="Diagnosis", headline=_headline(parts), blocks=tuple(blocks),
        notices=tuple(notices), first_screen=tuple(_first_screen(parts)),
    )  # fmt: skip


_LEAD = (
    "Cases are told from controls by a few reference patients of each kind. Patients are split again and "
    "again, by donor; whatever learns sees the training patients only, and every method is given the same "
    "references and asked about the same patients. AUC 0.5 is guessing, 1 is perfect ranking. Simple "
    "classifiers stand beside RNAGAN; where one of them wins, it is said."
)


def _transfers(results: StudyResults) -> Iterator[tuple[Cohort, str, Diagnosis]]:
    by_name = {cohort.name: cohort for cohort in study_cohorts(results)}
    for origin, name in dict.fromkeys(tuple(pair) for pair in results.config.rnagan.transfer):
        cohort = by_name.get(name)
        found = cohort and told(results, cohort, f"transfer_from_{origin}.json", Diagnosis)
        if cohort and found:
            yield cohort, origin, found


def _parts(cohort: Cohort, origin: str, found: Diagnosis) -> list[Part]:
    prefix = f"diagnosed-{cohort.name}" if not origin else f"transferred-{origin}-{cohort.name}"
    return [
        Part(f"{prefix}-{number}", cohort, origin, task, task.summary)
        for number, task in enumerate(found.tasks)
        if task.summary is not None and task.summary.by_references
    ]


def _forest_rows(parts: Sequence[Part]) -> list[tuple[str, int, SizeFigures]]:
    """All numbers of references where they fit, else the largest alone, else the first tasks."""
    rows = [(part.words, size, part.summary.by_references[size]) for part in parts
            for size in sizes_of(part.summary)]  # fmt: skip
    if len(rows) <= MOST_IN_FOREST:
        return rows
    return [(part.words, sizes_of(part.summary)[-1], part.last) for part in parts][:MOST_IN_FOREST]


def _cohort_group(
    results: StudyResults, cohort: Cohort, found: Diagnosis, parts: list[Part], said: list[Notice], *,
    folded: bool,
) -> Group:  # fmt: skip
    blocks: list[Block] = []
    if said:
        blocks.append(Notices(tuple(said)))
    others = listed(found.base_cohorts) if found.base_cohorts else "no other cohort"
    blocks.append(Text(f"Pretrained on {others}; no patient of {cohort.name} was in it.", tone="small"))
    shown = sorted(parts, key=lambda part: -part.task.n_samples)
    shown = shown[: budget(results, FEW_DRAWN, total=ALL_DRAWN)]
    for part in shown:
        inner = _task_blocks(part, drawn=in_detail(results, cohort))
        if part.task.cell_type:
            blocks.append(Group(key=part.key, title=part.task.cell_type, blocks=tuple(inner),
                                folded=len(parts) > 1))  # fmt: skip
        else:
            blocks += inner
    if len(parts) > len(shown):
        rest = count(len(parts) - len(shown), "more cell type")
        blocks.append(Text(f"{rest}: see the table at the end of this section.", tone="small"))
    return group_of(f"diagnosis-{cohort.name}", cohort, blocks, folded=folded)


def _task_blocks(part: Part, *, drawn: bool) -> list[Block]:
    figures: list[Figure] = [
        auc_figure(part.summary, key=f"{part.key}-auc", title="AUC by number of references")
    ]
    curve = reliability_figure(part.summary, key=f"{part.key}-reliability")
    if curve is not None:
        figures.append(curve)
    return [
        _facts(part),
        *(Text(sentence) for sentence in sentences(part.summary)),
        *(Text(words) for words in (pretraining_words(part.summary),) if words),
        *([Figures(tuple(figures))] if drawn else []),
    ]


def _facts(part: Part) -> Facts:
    one = part.last.methods.get(OURS, MethodFigures())
    donors = part.task.n_donors
    size = sizes_of(part.summary)[-1]
    items = [
        Fact(
            "patients", f"{donors.case + donors.control:,}", f"{donors.case} cases, {donors.control} controls"
        ),
        Fact(
            "splits",
            str(part.last.splits),
            f"{part.last.test_patients} patients tested with {size} references",
        ),
    ]
    if one.brier is not None:
        items.append(Fact("Brier score", f"{one.brier:.3f}", f"{size} references; 0 is perfect"))
    if one.ece is not None:
        chance = "" if one.ece_expected is None else f"{one.ece_expected:.3f} by chance"
        items.append(Fact("calibration error", f"{one.ece:.3f}", chance))
    if one.interval_width is not None:
        level = f"{100 * part.summary.interval_level:g} % intervals of a probability"
        items.append(Fact("interval width", f"{one.interval_width:.2f}", level))
    if one.ood_share is not None:
        items.append(Fact("out of distribution", f"{100 * one.ood_share:.1f} %", "like neither kind"))
    return Facts(tuple(items))


def _notices(results: StudyResults, part: Part) -> list[Notice]:
    """Leakage, a baseline that wins, probabilities that cannot be believed, many odd samples."""
    hide, where, name = results.pseudonyms.text, f"diagnosis-{part.cohort.name}", part.cohort.name
    about = f"{part.task.cell_type}: " if part.task.cell_type else ""
    said = [Notice("note", f"{about}{hide(text)}", where, name) for text in part.summary.leakage]
    lost = [size for size in sizes_of(part.summary)
            if verdict(part.summary.by_references[size]) == "the baseline is better"]  # fmt: skip
    if lost:
        best = part.summary.by_references[lost[-1]].best_baseline or ""
        said.append(Notice("note", f"{about}{method_words(best)} diagnoses better than RNAGAN with "
                    f"{listed(map(str, lost))} references", where, name))  # fmt: skip
    one = part.last.methods.get(OURS, MethodFigures())
    beyond = one.ece_p is None or one.ece_p < CHANCE
    if beyond and one.ece is not None and one.ece > (one.ece_expected or 0.0) + MISCALIBRATED:
        said.append(Notice("note", f"{about}probabilities are off by {one.ece:.2f} on average "
                    f"({one.ece_expected or 0.0:.2f} by chance)", where, name))  # fmt: skip
    if (one.ood_share or 0.0) > ODD:
        said.append(Notice("note", f"{about}{100 * (one.ood_share or 0.0):.0f} % of the patients are like "
                                   "neither "
                    "kind of reference", where, name))  # fmt: skip
    return said


def _transfer_group(parts: list[Part]) -> Group:
    blocks: list[Block] = [
        Text("Adaptation, calibration and references come from one cohort, all patients of the other are "
             "diagnosed. Differences between cohorts other than the disease count against every method.")
    ]  # fmt: skip
    figures = []
    for part in parts[:FEW_DRAWN]:
        blocks += [Text(f"{part.words}: {sentence}") for sentence in sentences(part.summary)]
        figures.append(auc_figure(part.summary, key=f"{part.key}-auc", title=part.words))
    blocks.append(Figures(tuple(figures)))
    return Group(key="across-cohorts", title="From one cohort to another", blocks=tuple(blocks))


def _skipped(
    results: StudyResults, own: dict[Cohort, Diagnosis], across: dict[tuple[Cohort, str], Diagnosis]
) -> list[Block]:
    hide = results.pseudonyms.text
    rows = [(cohort.name, task.cell_type, hide(task.skipped)) for cohort, found in own.items()
            for task in found.tasks if task.skipped]  # fmt: skip
    rows += [(f"{origin} to {cohort.name}", task.cell_type, hide(task.skipped))
             for (cohort, origin), found in across.items()
             for task in found.tasks if task.skipped]  # fmt: skip
    return [skipped_table("diagnosis_skipped", "Not judged", rows)] if rows else []


def _headline(parts: list[Part]) -> str:
    if not parts:
        return "No task could be judged; the reasons are listed."
    compared = [part for part in parts if best_auc(part.last) is not None and OURS in part.last.methods]
    verdicts = [verdict(part.last) for part in compared]
    told_of = [f"{word} in {verdicts.count(word)}" for word in VERDICTS if word in verdicts]
    behind = [part for part in compared
              if (part.last.methods[OURS].auc or 0.0) < (best_auc(part.last) or 0.0) - NOTABLE]  # fmt: skip
    ahead = f" The classifier's AUC is higher by more than {NOTABLE:g} in {len(behind)}." if behind else ""
    against = f"{count(len(compared), 'task')} against the best simple classifier"
    return f"{against}: {listed(told_of)}.{ahead}"


def _first_screen(parts: list[Part]) -> list[Fact]:
    ours, best = [], []
    for part in parts:
        one, other = part.last.methods.get(OURS, MethodFigures()).auc, best_auc(part.last)
        if one is not None and other is not None:
            ours.append(one)
            best.append(other)
    if not ours:
        return []
    ahead = sum(a - b > NOTABLE for a, b in zip(ours, best, strict=True))
    told_of = f"best baseline {median(best):.2f}; ahead in {ahead} of {count(len(ours), 'task')}"
    return [Fact("diagnosis, median AUC", f"{median(ours):.2f}", told_of)]


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How diagnosis was done and judged."""
    return written.diagnosis(results) if told_of_all(results, "diagnosis.json", Diagnosis) else ()


SECTION = SectionMaker(order=62, key="diagnosis", title="Diagnosis", build=build, methods=methods)
