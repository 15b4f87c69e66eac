"""Everything that is checked before the first job starts: configuration, sheet, sizes and designs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from consilience.causal.asked import causal_problems
from consilience.foundation.errors import ConsilienceError, Problem, did_you_mean
from consilience.foundation.files import read_json
from consilience.pathways.gene_sets import SHIPPED
from consilience.sources.fetch import NETWORK_SOURCES, PROVENANCE
from consilience.study.cohorts import Cohort
from consilience.study.config import check_config, key_lines
from consilience.study.section import Section
from consilience.study.sections import Config, RnaganSection, SimulationSection, StudySection
from consilience.study.selection import selected_rows
from consilience.study.sheet import check_sheet

LEAST_TO_AUGMENT = 5
"""Patients of a class with which some can be learned from and others held out."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study that passed all checks."""

    config: Config
    cohorts: tuple[Cohort, ...]

    def named(self, *kinds: str, source: str | None = None) -> list[str]:
        """Names of the cohorts of some kinds (all when none is given), in sheet order."""
        return [
            cohort.name
            for cohort in self.cohorts
            if (not kinds or cohort.kind in kinds) and source in {None, cohort.source}
        ]

    def __getitem__(self, name: str) -> Cohort:
        return next(cohort for cohort in self.cohorts if cohort.name == name)


def preflight(
    values: Mapping[str, Any],
    *,
    config_files: Sequence[str | Path] = (),
    folder: Path | None = None,
    designs: bool = True,
) -> Study:
    """Check a study; raise one error that lists every problem of configuration, sheet and designs.

    Parameters
    ----------
    values
        The merged configuration.
    config_files
        The files it came from, for line numbers in messages.
    folder
        What relative paths are relative to (default: the current folder).
    designs
        Also look into phenotype tables that are already here (off inside a running job, where it was done).
    """
    folder = folder or Path()
    later: list[Problem] = []
    config, problems = check_config(values, lines=key_lines(config_files))
    sheet = str(folder / _sheet_name(values))
    checked = check_sheet(sheet, folder=folder)
    problems += checked.problems
    if config is None:
        raise ConsilienceError.from_problems(problems)
    problems += _size_problems(config.simulation, checked.cohorts)
    problems += _gene_set_problems(config.pathways.gene_sets, folder)
    problems += _marker_problems(config.cell_types.markers, folder)
    problems += _rnagan_problems(config.rnagan, checked.cohorts)
    problems += _augment_problems(config, checked.cohorts)
    problems += causal_problems(config.causal, checked.cohorts)
    for cohort in checked.cohorts:
        found = _source_problems(cohort, config, folder) if designs else []
        if designs and not problems and not found:
            found = design_problems_of(cohort, config, folder)
        place = f"{sheet}:{checked.lines[cohort.name]}"
        later += [_in_the_sheet(problem, cohort, place) for problem in found]
    if problems or later:
        raise ConsilienceError.from_problems(problems + later)
    return Study(config, tuple(checked.cohorts))


def _in_the_sheet(problem: Problem, cohort: Cohort, place: str) -> Problem:
    """Say where in the sheet a cohort's problem can be mended."""
    prefix = f"cohort {cohort.name}: "
    if not problem.where.startswith(prefix):
        where = ": ".join(filter(None, [f"{place}:location", problem.where]))
        return replace(problem, where=where, what=prefix + problem.what)
    return replace(problem, where=f"{place}:{problem.where.removeprefix(prefix)}", what=prefix + problem.what)


def _sheet_name(values: Mapping[str, Any]) -> str:
    """The sheet to check even when something else in the configuration is wrong."""
    section = values.get("study")
    name = section.get("cohorts") if isinstance(section, Mapping) else None
    return name if isinstance(name, str) else StudySection().cohorts


def _size_problems(settings: SimulationSection, cohorts: Sequence[Cohort]) -> list[Problem]:
    """Sizes given for single simulated cohorts must fit the kind of cohort they name."""
    from pydantic import ValidationError

    kinds = {cohort.name: cohort.kind for cohort in cohorts if cohort.source == "simulated"}
    problems = []
    for name, sizes in settings.cohorts.items():
        where = f"simulation.cohorts.{name}"
        if name not in kinds:
            known = ", ".join(kinds) or "none"
            problems.append(Problem("no simulated cohort has this name", where, name, allowed=known))
            continue
        section: Section = getattr(settings, kinds[name])
        try:
            type(section).model_validate({**section.model_dump(), **sizes})
        except ValidationError as error:
            allowed = f"keys {', '.join(type(section).model_fields)}"
            problems += [
                Problem(str(detail["msg"]), f"{where}.{detail['loc'][0]}", str(detail["input"]), allowed)
                for detail in error.errors()
            ]
    return problems


def _gene_set_problems(names: Sequence[str], folder: Path) -> list[Problem]:
    """Gene sets are shipped collections or files that are here."""
    return [
        Problem(
            "neither a shipped collection nor a file",
            "pathways.gene_sets",
            name,
            allowed=f"{', '.join(SHIPPED)}, or the path of a GMT file",
            mend=did_you_mean(name, SHIPPED) or "mend the path",
        )
        for name in names
        if name not in SHIPPED and not (folder / name).is_file()
    ]


def _marker_problems(name: str, folder: Path) -> list[Problem]:
    """The table of marker genes is a shipped one or a file that is here."""
    from consilience.expression.cell_types import SHIPPED as MARKERS

    if not name or name in MARKERS or (folder / name).is_file():
        return []
    allowed = f"{', '.join(MARKERS)}, the path of a table, or empty"
    mend = did_you_mean(name, MARKERS) or "mend the path"
    return [
        Problem("neither a shipped table of markers nor a file", "cell_types.markers", name, allowed, mend)
    ]


def _rnagan_problems(settings: RnaganSection, cohorts: Sequence[Cohort]) -> list[Problem]:
    """Cohorts to learn in and to diagnose must be studied and of one kind; classifiers must be known."""
    from consilience.learning.baselines import baselines

    if not settings.enabled:
        return []
    problems = [
        Problem("no such classifier", "rnagan.baselines", name, ", ".join(baselines()),
                did_you_mean(name, baselines()))
        for name in settings.baselines if name not in baselines()
    ]  # fmt: skip
    studied = {
        cohort.name: cohort for cohort in cohorts
        if cohort.kind in {"bulk", "single_cell"} and cohort.role != "pretrain"
    }  # fmt: skip
    for pair in settings.transfer:
        told = " to ".join(pair)
        unknown = [name for name in pair if name not in studied]
        problems += [
            Problem("not a studied bulk or single-cell cohort", "rnagan.transfer", name, ", ".join(studied),
                    did_you_mean(name, studied) or "mend the name, or give the cohort the role study")
            for name in unknown
        ]  # fmt: skip
        if not unknown and pair[0] == pair[1]:
            problems.append(Problem("the cohort to learn in is the one to diagnose", "rnagan.transfer", told))
        elif not unknown and studied[pair[0]].kind != studied[pair[1]].kind:
            problems.append(Problem("a bulk and a single-cell cohort are not comparable", "rnagan.transfer",
                                    told))  # fmt: skip
    return problems


def _augment_problems(config: Config, cohorts: Sequence[Cohort]) -> list[Problem]:
    """Generators and cohorts must be known; the generator rnagan needs its own stage."""
    from consilience.augment.generators import generators
    from consilience.learning.baselines import baselines

    settings = config.augment
    if not settings.enabled:
        return []
    asked = [("augment.generators", name) for name in settings.generators]
    asked += [("augment.generator", settings.generator)] if settings.generator != "auto" else []
    problems = [
        Problem("no such generator", where, name, ", ".join(generators()), did_you_mean(name, generators()))
        for where, name in asked if name not in generators()
    ]  # fmt: skip
    problems += [
        Problem("no such classifier", "augment.classifiers", name, ", ".join(baselines()),
                did_you_mean(name, baselines()))
        for name in settings.classifiers if name not in baselines()
    ]  # fmt: skip
    if not config.rnagan.enabled:
        problems += [
            Problem("this generator needs the stage rnagan, which is off", where, name,
                    mend="set rnagan.enabled, or leave this generator out")
            for where, name in asked if name == "rnagan"
        ]  # fmt: skip
    studied = [one.name for one in cohorts if one.kind == "bulk" and one.role != "pretrain"]
    problems += [
        Problem("not a studied bulk cohort", "augment.cohorts", name, ", ".join(studied) or "none",
                did_you_mean(name, studied) or "mend the name, or give the cohort the role study")
        for name in settings.cohorts if name not in studied
    ]  # fmt: skip
    return problems


def _few_to_augment(
    cohort: Cohort, config: Config, columns: Mapping[str, Sequence[str]]
) -> list[tuple[str, int]]:
    """Arms of a cohort with too few patients to judge synthetic ones by."""
    from consilience.study.design import donors_of_arms

    settings = config.augment
    if not settings.enabled or cohort.kind != "bulk" or cohort.role == "pretrain":
        return []
    if settings.cohorts and cohort.name not in settings.cohorts:
        return []
    counted = donors_of_arms(cohort=cohort, columns=columns)
    return [(arm, n) for arm, n in counted.items() if n < LEAST_TO_AUGMENT]


def stage_notes(study: Study, folder: Path | None = None) -> list[str]:
    """What a stage will not do for a cohort, as far as phenotypes are here."""
    notes = []
    for cohort in study.cohorts:
        try:
            columns = _selected(cohort, study.config, folder or Path())
        except ConsilienceError:
            continue
        for arm, n in _few_to_augment(cohort, study.config, columns or {}):
            notes.append(
                f"cohort {cohort.name}: {n} patients in the {arm} arm; without {LEAST_TO_AUGMENT} or more no"
                " synthetic ones are judged or given out (augment)"
            )
    return notes


def _source_problems(cohort: Cohort, config: Config, folder: Path) -> list[Problem]:
    """What can be known of a download beforehand: dataset names, the token file and, offline, the cache."""
    if cohort.source not in NETWORK_SOURCES:
        return []
    try:
        if cohort.source == "url":
            from consilience.sources.addresses import plan_addresses

            plan_addresses(cohort=cohort)
        if cohort.source == "gdc" and config.fetch.gdc_token_file:
            from consilience.downloads.token import read_token

            read_token(config.fetch, folder=folder)
        if config.fetch.offline and not fetched_folder(cohort, config, folder):
            from consilience.downloads.downloads import offline_error
            from consilience.sources.fetch import missing_files

            if missing := missing_files(cohort=cohort, folder=folder, settings=config.fetch):
                return list(offline_error(missing, settings=config.fetch, folder=folder).problems)
    except ConsilienceError as error:
        return list(error.problems)
    return []


def fetched_folder(cohort: Cohort, config: Config, folder: Path) -> Path | None:
    """The cohort's raw folder where an earlier run has filled it for the same row of the sheet."""
    raw = folder / "results" / config.study.name / "raw" / cohort.name
    try:
        record = read_json(raw / PROVENANCE)
    except (OSError, ConsilienceError):
        return None
    same = isinstance(record, dict) and record.get("location") == cohort.location
    return raw if same and record.get("source") == cohort.source else None


def not_here_yet(study: Study, folder: Path | None = None) -> list[str]:
    """Cohorts whose columns and levels cannot be checked yet, because they are still to be downloaded."""
    return [
        cohort.name
        for cohort in study.cohorts
        if cohort.source in NETWORK_SOURCES
        and cohort.kind != "summary_statistics"
        and not fetched_folder(cohort, study.config, folder or Path())
    ]


def design_problems_of(cohort: Cohort, config: Config, folder: Path) -> list[Problem]:
    """Check levels, samples per arm and aliasing on the phenotypes that can be known before any job."""
    from consilience.study.design import design_problems

    try:
        columns = _selected(cohort, config, folder)
    except ConsilienceError as error:
        return list(error.problems)
    if columns is None:
        return []
    problems = design_problems(
        cohort=cohort, columns=columns, min_samples_per_arm=config.study.min_samples_per_arm
    )
    named = cohort.name in config.augment.cohorts and not problems
    return problems + [
        Problem("too few patients to make synthetic ones of and judge them", f"cohort {cohort.name}: {arm}",
                str(n), f"{LEAST_TO_AUGMENT} or more", "leave the cohort out of augment.cohorts")
        for arm, n in (_few_to_augment(cohort, config, columns) if named else [])
    ]  # fmt: skip


def _selected(cohort: Cohort, config: Config, folder: Path) -> dict[str, list[str]] | None:
    """Phenotypes of the samples that the cohort selects; None where they are not here yet."""
    columns = _phenotypes(cohort, config, folder)
    if columns is None:
        return None
    rows = selected_rows(cohort.select, columns, where=f"cohort {cohort.name}: select")
    return {name: [values[row] for row in rows] for name, values in columns.items()}


def _phenotypes(cohort: Cohort, config: Config, folder: Path) -> Mapping[str, Sequence[str]] | None:
    if cohort.kind == "summary_statistics":
        return None
    if cohort.source == "simulated":
        from consilience.simulate.cohort import planned_phenotypes

        return planned_phenotypes(cohort=cohort, settings=config.simulation)
    from consilience.sources.phenotypes import peek_phenotypes

    if cohort.source == "local":
        return peek_phenotypes(folder / cohort.location, files=cohort.files)
    raw = fetched_folder(cohort, config, folder)
    return peek_phenotypes(raw) if raw else None
