"""The first screen: what was run, what is alarming, what was planted and found, in ten seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consilience.report.elements import Fact, Notice, Section
from consilience.report.results import StudyResults
from consilience.report.words import KIND_WORDS, count, percent
from consilience.study.cohorts import Cohort


@dataclass(frozen=True, slots=True)
class CohortLine:
    """One cohort on the first screen; `kept_share` (0 to 1) is drawn as a bar."""

    name: str
    label: str
    kind: str
    anchor: str
    size: str
    detail: str
    kept_share: float
    alarms: int


@dataclass(frozen=True, slots=True)
class Front:
    """Everything on the first screen."""

    title: str
    study: str
    date: str
    date_words: str
    simulated: str
    facts: tuple[Fact, ...]
    verdict: str
    alarms: tuple[Notice, ...]
    notes: tuple[Notice, ...]
    cohorts: tuple[CohortLine, ...]
    planted: Section | None


def front_page(*, study: StudyResults, sections: Sequence[Section], date: str) -> Front:
    """Collect the first screen from the sections."""
    notices = [notice for section in sections for notice in section.notices]
    alarms = tuple(notice for notice in notices if notice.level == "alarm")
    planted = next((section for section in sections if section.key == "truth"), None)
    return Front(
        title=study.config.study.title,
        study=study.config.study.name,
        date=date,
        date_words=_date_words(date),
        simulated=_simulated(study),
        facts=tuple(fact for section in sections if section.key != "truth" for fact in section.first_screen),
        verdict=_verdict(study, alarms),
        alarms=alarms,
        notes=tuple(notice for notice in notices if notice.level == "note"),
        cohorts=tuple(_line(study, cohort, alarms) for cohort in study.cohorts),
        planted=planted,
    )


def _date_words(date: str) -> str:
    from calendar import month_name

    year, month, day = date[:10].split("-")
    return f"{int(day)} {month_name[int(month)]} {year}"


def _simulated(study: StudyResults) -> str:
    kinds = {cohort.source == "simulated" for cohort in study.cohorts}
    if kinds == {True}:
        return "simulated data"
    return "partly simulated data" if True in kinds else ""


def _verdict(study: StudyResults, alarms: Sequence[Notice]) -> str:
    if not alarms:
        return "Nothing alarming."
    places = len({notice.subject for notice in alarms if notice.subject})
    where = f" in {count(places, 'cohort')}" if places else ""
    return f"{count(len(alarms), 'thing')} to look at{where}."


def _line(study: StudyResults, cohort: Cohort, alarms: Sequence[Notice]) -> CohortLine:
    own = sum(notice.subject == cohort.name for notice in alarms)
    if cohort.kind == "summary_statistics":
        found = study.summary_quality(cohort)
        total = found.n_variants + sum(found.removed_by_reason.values())
        size, kept = count(found.n_variants, "variant"), found.n_variants / total if total else 0.0
        if not found.n_variants:  # eQTLs alone
            total = found.n_eqtl_pairs + sum(found.removed_by_reason.values())
            size, kept = count(found.n_eqtl_pairs, "eQTL"), found.n_eqtl_pairs / total if total else 0.0
        detail = f"{found.n_genes:,} genes in {count(found.n_loci, 'locus', 'loci')}"
    else:
        quality = study.quality(cohort)
        noun = "sample" if cohort.kind == "bulk" else "cell"
        size, kept = count(quality.n_kept, noun), quality.n_kept / quality.n_in if quality.n_in else 0.0
        arms = quality.arms
        detail = " · ".join(
            f"{number:,} {'cases' if arm == 'case' else 'controls' if arm == 'control' else arm}"
            for arm, number in arms.items()
        )
        gone = quality.n_in - quality.n_kept
        detail += f"{' · ' if detail else ''}{gone:,} removed ({percent(gone, quality.n_in)})"
    return CohortLine(
        name=cohort.name,
        label=cohort.label or cohort.name,
        kind=KIND_WORDS[cohort.kind],
        anchor=f"quality-{cohort.name}",
        size=size,
        detail=detail,
        kept_share=kept,
        alarms=own,
    )
