"""From a cell matrix's own columns to the study's standard ones; a design that cannot answer is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError, Problem, did_you_mean
from consilience.sources.cells.matrix import CellMatrix, Labels
from consilience.sources.phenotypes import STANDARD
from consilience.study.design import design_notes, design_problems

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.expression.cell_types import CellTypes
    from consilience.study.cohorts import Cohort

MAX_LEVELS_CARRIED = 5_000
_OWN_COLUMNS = {"library_size", "n_genes", "mitochondrial_share", "doublet_score", "size_factor", "_index",
                "cell_type_score"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CellPhenotypes:
    """Standard columns by name, each for all cells (n,), empty values as missing.

    `sample` is always there; `described` (n,) cells that can be used: with a row in the phenotype table, and
    with a sample, and a donor or perturbation where the sheet names such a column; `notes` for the reader;
    `numbers` further columns of all cells (n,).
    """

    standard: dict[str, Labels]
    described: npt.NDArray[np.bool_]
    notes: tuple[str, ...]
    numbers: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    @property
    def samples(self) -> Labels:
        """The sample of each cell."""
        return self.standard["sample"]


def standard_cell_columns(*, cohort: Cohort, matrix: CellMatrix, min_samples_per_arm: int) -> CellPhenotypes:
    """Map columns by what the sheet says of this cohort, and check its design."""
    refuse_missing_columns(cohort, matrix)
    standard = {
        name: matrix.columns[source].compact() for name in STANDARD if (source := getattr(cohort, name))
    }
    described = np.ones(matrix.n_cells, dtype=bool) if matrix.unannotated is None else ~matrix.unannotated
    needed = "perturbation" if cohort.kind == "perturbation" else "donor"
    if needed in standard:
        described &= standard[needed].codes >= 0
    samples, how = sample_of_cells(cohort=cohort, matrix=matrix, standard=standard)
    described &= samples.codes >= 0
    standard = {"sample": samples, **standard}
    level_column = "perturbation" if cohort.kind == "perturbation" else "condition"
    if level_column in standard:
        standard["arm"] = arm_of_cells(cohort, standard[level_column])
    notes = refuse_bad_design(
        cohort=cohort, standard=standard, cells=described, min_samples_per_arm=min_samples_per_arm
    )
    return CellPhenotypes(standard, described, (f"a sample is {how}", *notes))


def with_cell_types(phenotypes: CellPhenotypes, found: CellTypes) -> CellPhenotypes:
    """The phenotypes with labels found by markers as the standard column cell_type."""
    told = found.record
    note = (
        f"types of cells are labelled by the markers {told['markers']!r} ({len(told['types'])} types; "
        f"{told['share_unassigned']:.0%} of the cells unassigned): labels of the authors would be better"
    )
    return replace(
        phenotypes,
        standard={**phenotypes.standard, "cell_type": found.labels},
        numbers={"cell_type_score": found.scores},
        notes=(*phenotypes.notes, note),
    )


def refuse_missing_columns(cohort: Cohort, matrix: CellMatrix) -> None:
    """Every column that the sheet names must exist; all missing ones are reported at once."""
    problems = [
        Problem(f"the cells have no such {role} column", f"cohort {cohort.name}: {role}", name,
                ", ".join(matrix.columns) or "none",
                did_you_mean(name, matrix.columns) or f"mend '{role}' in the cohort sheet")
        for role in STANDARD
        if (name := getattr(cohort, role)) and name not in matrix.columns
    ]  # fmt: skip
    if problems:
        raise DataError.from_problems(problems)


def sample_of_cells(
    *, cohort: Cohort, matrix: CellMatrix, standard: Mapping[str, Labels]
) -> tuple[Labels, str]:
    """The sample of each cell, and how it was told.

    Quality limits hold within samples, so a sample should be one library: for a screen a batch of one cell
    line; for others what the source calls sample, else each combination of donor, condition and batch.
    """
    parts = ("cell_type", "batch") if cohort.kind == "perturbation" else ("donor", "condition", "batch")
    named = [name for name in parts if name in standard]
    if matrix.samples is not None and (cohort.kind != "perturbation" or not named):
        return matrix.samples.compact(), "what its files call a sample"
    if not named:
        return Labels.constant(
            cohort.name, matrix.n_cells
        ), "the whole cohort: the sheet names no donor or batch"
    columns = " and ".join(getattr(cohort, name) for name in named)
    how = f"each combination of {columns}" if len(named) > 1 else f"each level of {columns}"
    return combined([standard[name] for name in named]), how


def combined(columns: Sequence[Labels]) -> Labels:
    """One level for each combination that occurs, joined by "_"; missing where any part is missing."""
    keys, missing = combination_keys(columns), np.any([column.codes < 0 for column in columns], axis=0)
    unique, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    names = ["_".join((*c.levels, "")[c.codes[row]] for c in columns) for row in first]
    if len(set(names)) < unique.size:  # a_b + c and a + b_c
        names = [f"{name}_{number}" for number, name in enumerate(names, 1)]
    return Labels(np.where(missing, np.int32(-1), codes.astype(np.int32)), tuple(names)).compact()


def combination_keys(columns: Sequence[Labels]) -> npt.NDArray[np.int64]:
    """One number for each cell (n,), equal where all columns are equal."""
    keys = np.zeros(columns[0].codes.size, dtype=np.int64)
    for column in columns:
        keys = keys * (len(column.levels) + 1) + column.codes + 1
        _, keys = np.unique(keys, return_inverse=True)
    return keys


def arm_of_cells(cohort: Cohort, levels: Labels) -> Labels:
    """'case', 'control' or missing for each cell; in a screen without named cases, every perturbed cell."""
    open_case = cohort.kind == "perturbation" and not cohort.case
    arms = [cohort.arm(level) or ("case" if open_case else "") for level in levels.levels]
    names = ("case", "control")
    code_of = np.array([*(names.index(arm) if arm else -1 for arm in arms), -1], dtype=np.int32)
    return Labels(code_of[levels.codes], names)


def refuse_bad_design(
    *, cohort: Cohort, standard: Mapping[str, Labels], cells: npt.NDArray[np.bool_], min_samples_per_arm: int
) -> list[str]:
    """Check the design on the distinct kinds of `cells` (mask); gives notes for the reader."""
    if not cells.any():
        raise DataError(
            "no cell can be used: none has a donor (or perturbation) and a row in the phenotype table",
            where=f"cohort {cohort.name}",
            mend="mend the columns in the cohort sheet",
        )
    asked = cohort if cohort.donor or cohort.kind == "perturbation" else replace(cohort, donor="sample")
    columns = {"sample": standard["sample"]}
    columns |= {source: standard[name] for name in STANDARD if (source := getattr(cohort, name))}
    # Types of cells say nothing about donors, arms and batches, and would count a donor many times.
    told = {
        name: column.take(cells)
        for name, column in columns.items()
        if cohort.kind == "perturbation" or name != cohort.cell_type
    }
    _, first = np.unique(combination_keys(list(told.values())), return_index=True)
    rows = {name: column.take(first).text() for name, column in told.items()}
    asked = asked if cohort.kind == "perturbation" else replace(asked, cell_type="")
    problems = design_problems(cohort=asked, columns=rows, min_samples_per_arm=min_samples_per_arm)
    if problems:
        raise DataError.from_problems(problems)
    return design_notes(cohort=asked, columns=rows)


def other_columns(*, cohort: Cohort, matrix: CellMatrix, taken: Sequence[str]) -> dict[str, str]:
    """Further columns of the source that are carried along: new name by source name."""
    used = {getattr(cohort, name) for name in STANDARD} | {"sample"}
    names: dict[str, str] = {}
    for source in matrix.columns:
        name = re.sub(r"[/\0]", "_", source).strip()
        if source not in used and name and name not in {*taken, *_OWN_COLUMNS, *names.values()}:
            names[source] = name
    return names
