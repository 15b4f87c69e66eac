"""Who is in a simulated cohort: sizes, patients, arms, batches. No numpy: read before any job starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from consilience.foundation.errors import ConfigError, did_you_mean
from consilience.study.cohorts import Cohort
from consilience.study.sections import (
    SimulatedBulk,
    SimulatedCells,
    SimulatedPerturbation,
    SimulatedSummaryStatistics,
    SimulationSection,
)
from consilience.study.sheet import SERVED_FORMATS

N_BATCHES = 2
N_CELL_GROUPS = 2
CELL_LINES = (
    "K562", "RPE1", "HepG2", "Jurkat", "A549", "HCT116", "THP1", "MCF7", "HeLa", "U2OS", "HEK293T", "A375",
)  # fmt: skip
UNPERTURBED = "non-targeting"
_LEVELS = {"case": "diseased", "control": "healthy"}
_COLUMNS = {
    "bulk": {"condition": "disease state", "donor": "subject id", "batch": "batch", "sex": "Sex"},
    "single_cell": {"condition": "condition", "donor": "donor", "batch": "batch", "cell_type": "cell_type"},
    "perturbation": {"batch": "gem_group", "cell_type": "cell_line", "perturbation": "gene"},
}
_GDC_COLUMNS = {"condition": "sample_type", "donor": "case_id", "batch": "plate", "sex": "gender"}
Sizes = TypeVar("Sizes", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class PlannedSample:
    """One sample before anything is drawn: `arm` is case or control, `level` its word in the served files."""

    sample: str
    donor: str
    arm: str
    level: str
    batch: str
    sex: str


def served_format(cohort: Cohort) -> str:
    """The format in which this cohort is served: its location, or the first format of its kind."""
    allowed = SERVED_FORMATS[cohort.kind]
    chosen = cohort.location or allowed[0]
    if chosen not in allowed:
        raise ConfigError(
            f"a simulated {cohort.kind} cohort cannot be served in this format",
            where=f"cohort {cohort.name}: location",
            value=chosen,
            allowed=", ".join(allowed),
        )
    return chosen


def bulk_sizes(cohort: Cohort, settings: SimulationSection) -> SimulatedBulk:
    """Sizes of this bulk cohort: the common ones with its own put over them."""
    return _sizes(settings.bulk, cohort, settings)


def cell_sizes(cohort: Cohort, settings: SimulationSection) -> SimulatedCells:
    """Sizes of this single-cell cohort."""
    return _sizes(settings.single_cell, cohort, settings)


def perturbation_sizes(cohort: Cohort, settings: SimulationSection) -> SimulatedPerturbation:
    """Sizes of this perturbation cohort."""
    return _sizes(settings.perturbation, cohort, settings)


def summary_sizes(cohort: Cohort, settings: SimulationSection) -> SimulatedSummaryStatistics:
    """Sizes of these summary statistics."""
    return _sizes(settings.summary_statistics, cohort, settings)


def _sizes(common: Sizes, cohort: Cohort, settings: SimulationSection) -> Sizes:
    own: dict[str, Any] = dict(settings.cohorts.get(cohort.name, {}))
    where = f"simulation: cohorts: {cohort.name}"
    for key in own:
        if key not in type(common).model_fields:
            known = list(type(common).model_fields)
            raise ConfigError(
                f"a simulated {cohort.kind} cohort has no such size", where=where, value=key,
                allowed=", ".join(known), mend=did_you_mean(key, known),
            )  # fmt: skip
    try:
        return type(common).model_validate({**common.model_dump(), **own})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            str(first["msg"]), where=f"{where}: {'.'.join(map(str, first['loc']))}", value=first["input"]
        ) from None


def planned_samples(cohort: Cohort, settings: SimulationSection) -> list[PlannedSample]:
    """The samples of a bulk or single-cell cohort, arms in turn, batches balanced within each arm."""
    sizes = bulk_sizes(cohort, settings) if cohort.kind == "bulk" else cell_sizes(cohort, settings)
    n_of = {"case": sizes.n_case, "control": sizes.n_control}
    paired = served_format(cohort) == "gdc"
    levels = {"case": "Primary Tumor", "control": "Solid Tissue Normal"} if paired else _LEVELS
    planned: list[PlannedSample] = []
    for rank in range(max(n_of.values())):
        for arm in ("case", "control"):
            if rank < n_of[arm]:
                number = len(planned) + 1
                shares_case = paired and arm == "control" and rank % 2 == 0 and rank < n_of["case"]
                donor = planned[-1].donor if shares_case else _donor_name(number, paired)
                sex = planned[-1].sex if shares_case else "female" if (rank // N_BATCHES) % 2 == 0 else "male"
                batch = f"A{101 + rank % N_BATCHES}" if paired else f"batch{rank % N_BATCHES + 1}"
                sample = _sample_name(number, arm=arm, donor=donor, paired=paired)
                planned.append(PlannedSample(sample, donor, arm, levels[arm], batch, sex))
    return planned


def _donor_name(number: int, gdc: bool) -> str:
    return f"TCGA-ZZ-{number:04d}" if gdc else f"P{number:04d}"


def _sample_name(number: int, *, arm: str, donor: str, paired: bool) -> str:
    if not paired:
        return f"S{number:04d}"
    code = "01" if arm == "case" else "11"  # TCGA's codes for primary tumour and solid tissue normal
    return f"{donor}-{code}A"


def cell_line_names(n_lines: int) -> list[str]:
    """Names of the cell lines of a perturbation cohort."""
    return [CELL_LINES[i] if i < len(CELL_LINES) else f"LINE{i + 1}" for i in range(n_lines)]


def planned_phenotypes(*, cohort: Cohort, settings: SimulationSection) -> dict[str, list[str]]:
    """Phenotype columns as they will be served, one value per sample (per cell group for perturbations).

    For a perturbation cohort the perturbed genes are not chosen yet and stand as ``gene-1``, ``gene-2`` …;
    summary statistics have no samples and give no columns.
    """
    served_format(cohort)
    if cohort.kind == "summary_statistics":
        summary_sizes(cohort, settings)
        return {}
    if cohort.kind == "perturbation":
        return _planned_perturbations(cohort, settings)
    names = column_names(cohort)
    planned = planned_samples(cohort, settings)
    columns = {
        "sample": [one.sample for one in planned],
        names["condition"]: [one.level for one in planned],
        names["donor"]: [one.donor for one in planned],
        names["batch"]: [one.batch for one in planned],
        names["sex"]: [one.sex for one in planned],
    }
    return {name: values for name, values in columns.items() if name}


def _planned_perturbations(cohort: Cohort, settings: SimulationSection) -> dict[str, list[str]]:
    sizes, names = perturbation_sizes(cohort, settings), column_names(cohort)
    levels = [UNPERTURBED, *(f"gene-{i + 1}" for i in range(sizes.n_perturbations))]
    groups = [f"gem{i + 1}" for i in range(N_CELL_GROUPS)]
    rows = [
        (line, group, level)
        for line in cell_line_names(sizes.cell_lines)
        for group in groups
        for level in levels
    ]
    lines, batches, perturbed = (list(column) for column in zip(*rows, strict=True))
    return {names["cell_type"]: lines, names["batch"]: batches, names["perturbation"]: perturbed}


def column_names(cohort: Cohort) -> dict[str, str]:
    """Names of the phenotype columns in the served files ("" where this kind has none).

    They do not depend on the sheet: a simulated source, like a real one, has its own words, and a sheet that
    misspells them is refused before any job.
    """
    own = _GDC_COLUMNS if served_format(cohort) == "gdc" else _COLUMNS[cohort.kind]
    return {"condition": "", "donor": "", "cell_type": "", "perturbation": "", "sex": "sex", **own}
