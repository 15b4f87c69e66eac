"""The cells of each type out of a prepared expression file: rows of some types at a time, memory bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.store import Expression, open_expression
from consilience.foundation.errors import DataError
from consilience.sources.cells.matrix import Labels
from consilience.sources.text import shown

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]
    Blocks = Callable[[npt.NDArray[np.bool_]], Iterator[tuple[int, sparse.csr_matrix]]]

BATCH_ENTRIES = 120_000_000
"""Values of cell types that are read in one pass over the file (1 GB); a larger type goes alone."""
CASE, CONTROL = "case", "control"
ALL_CELLS = "all cells"
"""The one cell type of a cohort without types."""
MIN_PAIRS = 3
"""Fewer donors that are case and control are not estimated: two would leave one degree of freedom."""


@dataclass(frozen=True)
class CellSource:
    """n cells of a file. `donor`, `cell_type` columns; `arm` (n,) 1 case, 0 control, -1 neither.

    `covariates` columns that are there, `missing` names of those that are not; `latents` (n, L) or None;
    `entries` (n,) stored values of each cell; `blocks` yields (first row, log-normalised values (rows,
    genes) float32 CSR) of all blocks with a wanted cell (mask (n,)).
    """

    where: str
    names: npt.NDArray[np.bytes_]
    donor: Labels
    arm: npt.NDArray[np.int8]
    cell_type: Labels
    covariates: Mapping[str, Labels]
    missing: tuple[str, ...]
    latents: Floats | None
    genes: tuple[str, ...]
    ensembl_ids: tuple[str, ...]
    entries: npt.NDArray[np.int64]
    blocks: Blocks


@dataclass(frozen=True)
class TypePlan:
    """A cell type: `rows` (n,) of the file sorted by donor (in a donor as in the file), its donors and cases.

    `donors` (m,) names, `donor` (n,), `disease` (m,); `few` donors left out for their few cells. In pairs
    `arm` (n,) is 1 or 0 for each cell and `disease` 1 throughout. `other` donors are of the other design:
    of one arm alone where pairs are compared, of both arms where pairs are not.
    """

    cell_type: str
    rows: npt.NDArray[np.int64]
    donors: tuple[str, ...]
    donor: npt.NDArray[np.intp]
    disease: Floats
    few: tuple[str, ...] = ()
    arm: Floats | None = None
    other: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What can be estimated: `types`, and why others are not.

    `skipped` cell type -> why; `both_arms` donors seen as case and as control.
    """

    types: tuple[TypePlan, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    both_arms: tuple[str, ...] = ()


def open_cells(path: Path, *, covariates: Sequence[str], latent: Path | None = None) -> CellSource:
    """A prepared file of cells (results/<study>/expression/<cohort>.h5ad)."""
    expression = open_expression(path)
    columns = expression.obs_columns
    for name in ("donor", "arm"):
        if name not in columns:
            raise DataError(
                "cells cannot be compared between donors",
                where=shown(path),
                value=f"no column {name}",
                allowed=", ".join(columns),
                mend="name it in the sheet of cohorts",
            )
    arm = expression.obs("arm")
    kinds = Labels.constant(ALL_CELLS, arm.codes.size)
    if "cell_type" in columns:
        kinds = expression.obs("cell_type").compact()
    code_of = np.array([{CASE: 1, CONTROL: 0}.get(level, -1) for level in (*arm.levels, "")], dtype=np.int8)
    return CellSource(
        where=shown(path), names=expression.names, donor=expression.obs("donor").compact(),
        arm=code_of[arm.codes],
        cell_type=kinds,
        covariates={name: expression.obs(name) for name in covariates if name in columns},
        missing=tuple(name for name in covariates if name not in columns),
        latents=None if latent is None else read_latents(latent, names=expression.names, where=shown(path)),
        genes=expression.genes, ensembl_ids=_ensembl_ids(path, len(expression.genes)),
        entries=_entries(expression), blocks=lambda wanted: expression.log_normalised(wanted=wanted),
    )  # fmt: skip


def read_latents(path: Path, *, names: npt.NDArray[np.bytes_], where: str) -> Floats:
    """Latent numbers (n, L) of the cells `names`, from a table with the columns cell, l0 and so on."""
    import pandas as pd

    try:
        table = pd.read_csv(path, sep="\t") if path.suffix == ".tsv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({type(error).__name__})", where=shown(path)) from error
    found = [name for name in table.columns if str(name)[:1] == "l" and str(name)[1:].isdigit()]
    if "cell" not in table.columns or not found:
        raise DataError(
            "is no table of latent numbers",
            where=shown(path),
            value=", ".join(map(str, table.columns)),
            allowed="columns cell, l0, l1, …",
        )
    known = table["cell"].astype(str).to_numpy().astype("S")
    order = np.argsort(known, kind="stable")
    place = (
        np.minimum(np.searchsorted(known[order], names), known.size - 1) if known.size else np.zeros(0, int)
    )
    absent = known[order][place] != names if known.size else np.ones(names.size, dtype=bool)
    if absent.any():
        raise DataError("cells have no latent numbers", where=shown(path),
                        value=f"{int(absent.sum())} of {names.size} cells of {where}",
                        mend="learn them again from this file")  # fmt: skip
    values = table[found].to_numpy(dtype=np.float64)[order][place]
    if not np.isfinite(values).all():
        raise DataError("latent numbers are not finite", where=shown(path))
    return values


def _ensembl_ids(path: Path, n_genes: int) -> tuple[str, ...]:
    import h5py

    from consilience.sources.cells.h5_frames import explain_hdf5, frame_columns, read_column

    with explain_hdf5(shown(path)), h5py.File(path, "r") as file:
        if "ensembl_id" not in frame_columns(file["var"]):
            return ("",) * n_genes
        return tuple(read_column(file["var"], "ensembl_id", old_categories={}).text())


def _entries(expression: Expression) -> npt.NDArray[np.int64]:
    """Stored values of each cell (n,), from the pointers alone."""
    import h5py

    from consilience.sources.cells.h5_frames import explain_hdf5

    with explain_hdf5(shown(expression.path)), h5py.File(expression.path, "r") as file:
        matrix: Any = file["X" if expression.has_x else "layers/counts"]
        if not hasattr(matrix, "keys"):
            return np.full(expression.shape[0], expression.shape[1], dtype=np.int64)
        pointers: npt.NDArray[np.int64] = matrix["indptr"][()].astype(np.int64)
        return np.diff(pointers)


def plan_types(source: CellSource, *, min_cells: int, min_donors: int) -> Plan:
    """Which cell types have enough donors, in which design, and which cells count.

    A type is estimated from pairs (donors with enough cells as case and as control) where there are enough
    of these, and no fewer than other donors in the smaller arm; else from donors of one arm alone.
    """
    n_donors = len(source.donor.levels)
    names = np.array(source.donor.levels, dtype=object)
    usable = (source.donor.codes >= 0) & (source.arm >= 0)
    seen_as = np.zeros((2, n_donors), dtype=bool)
    seen_as[source.arm[usable], source.donor.codes[usable]] = True
    both = seen_as[0] & seen_as[1]
    types, skipped = [], {}
    for code, name in enumerate(source.cell_type.levels):
        rows = np.flatnonzero(usable & (source.cell_type.codes == code))
        cells = np.zeros((2, n_donors), dtype=np.int64)
        np.add.at(cells, (source.arm[rows], source.donor.codes[rows]), 1)
        enough = cells >= min_cells
        pairs = enough[0] & enough[1]
        single = enough & ~both
        n_pairs, fewest = int(pairs.sum()), int(single.sum(1).min())
        paired = n_pairs >= max(MIN_PAIRS, min_donors) and n_pairs >= fewest
        if not paired and fewest < max(2, min_donors):
            skipped[name] = _too_few(single, n_pairs, both, min_cells=min_cells, min_donors=min_donors)
            continue
        used = pairs if paired else single.any(0)
        rows = rows[used[source.donor.codes[rows]]]
        rows = rows[np.argsort(source.donor.codes[rows], kind="stable")]
        there = (cells.sum(0) > 0) & ~used
        types.append(TypePlan(
            name, rows, tuple(names[used]), np.searchsorted(np.flatnonzero(used), source.donor.codes[rows]),
            np.ones(n_pairs) if paired else seen_as[1, used].astype(np.float64),
            tuple(names[there & (both if paired else ~both)]),
            source.arm[rows].astype(np.float64) if paired else None,
            tuple(names[there & (~both if paired else both)]),
        ))  # fmt: skip
    return Plan(tuple(types), skipped, tuple(names[both]))


def _too_few(
    single: npt.NDArray[np.bool_], n_pairs: int, both: npt.NDArray[np.bool_], *, min_cells: int,
    min_donors: int,
) -> str:  # fmt: skip
    """Why a cell type is not estimated; `single` (2, donors) control, case donors of one arm alone."""
    controls, cases = single.sum(1).tolist()
    why = (f"{cases} case and {controls} control donors have at least {min_cells} cells; "
           f"{max(2, min_donors)} of each are needed")  # fmt: skip
    if not both.any():
        return why
    told = (f"{n_pairs} donors have at least {min_cells} cells as case and as control; "
            f"{max(MIN_PAIRS, min_donors)} are needed")  # fmt: skip
    return f"{told} (of other donors, {why})" if cases or controls else told


def batches(plans: Sequence[TypePlan], entries: npt.NDArray[np.int64], *, limit: int = BATCH_ENTRIES
            ) -> Iterator[list[TypePlan]]:  # fmt: skip
    """Cell types that are read together."""
    batch: list[TypePlan] = []
    held = 0
    for plan in plans:
        size = int(entries[plan.rows].sum())
        if batch and held + size > limit:
            yield batch
            batch, held = [], 0
        batch.append(plan)
        held += size
    if batch:
        yield batch


def read_types(source: CellSource, plans: Sequence[TypePlan]) -> list[sparse.csr_matrix]:
    """Log-normalised values (cells of the plan, genes) of each plan, in one pass over the file."""
    from scipy import sparse

    from consilience.causal.dml.cell_rows_kernels import place_rows

    wanted = np.zeros(source.names.size, dtype=bool)
    outputs, targets = [], []
    for plan in plans:
        wanted[plan.rows] = True
        target = np.full(source.names.size, -1, dtype=np.int64)
        target[plan.rows] = np.arange(plan.rows.size)
        pointers = np.concatenate([[0], np.cumsum(source.entries[plan.rows])]).astype(np.int64)
        outputs.append((np.zeros(pointers[-1], np.float32), np.zeros(pointers[-1], np.int32), pointers))
        targets.append(target)
    for start, block in source.blocks(wanted):
        if not np.isfinite(block.data).all():
            raise DataError("expression holds values that are no finite numbers", where=source.where,
                            value=f"rows {start} to {start + block.shape[0]}")  # fmt: skip
        for target, (data, indices, pointers) in zip(targets, outputs, strict=True):
            place_rows(block.data, block.indices.astype(np.int32, copy=False), block.indptr.astype(np.int64),
                       target[start : start + block.shape[0]], data, indices, pointers)  # fmt: skip
    return [sparse.csr_matrix(parts, shape=(plan.rows.size, len(source.genes)))
            for plan, parts in zip(plans, outputs, strict=True)]  # fmt: skip
