"""The cells of one cohort as the network takes them: in an order of names, without any word of disease.

Cells, genes, donors and batches are numbered by their sorted names, so that nothing that is learned depends
on their order in the file. Counts are read in blocks; in memory lies one pool of cells at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.expression.store import Expression, open_expression
from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.intp]

READ_CELLS = 2_048
"""Cells that are read at a time."""
LEAST_GENES = 10


@dataclass(frozen=True)
class CellsFile:
    """n cells of a file, in its order.

    `rank` (n,) the place of each cell in the sorted names; `donor`, `batch`, `cell_type` (n,) codes into the
    sorted names `donors`, `batches`, `cell_types` (batch and type -1: unknown); `size_factor` (n,).
    `genes` the chosen ones, sorted by symbol, and their `columns` in the file. `notes`: what was done about
    columns that are not there.
    """

    expression: Expression
    rank: Codes
    donor: Codes
    donors: tuple[str, ...]
    batch: Codes
    batches: tuple[str, ...]
    cell_type: Codes
    cell_types: tuple[str, ...]
    size_factor: Floats
    genes: tuple[str, ...]
    columns: Codes
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rank)

    def blocks(
        self, wanted: npt.NDArray[np.bool_] | None = None, *, size: int = READ_CELLS
    ) -> Iterator[tuple[Codes, sparse.csr_matrix]]:
        """Yield (rows, their counts of the chosen genes float32), checked; only `wanted` cells."""
        for start, block in self.expression.counts(size, wanted):
            rows = np.arange(start, start + block.shape[0])
            self._refuse_no_counts(block, start)
            if wanted is not None:
                rows = rows[wanted[rows]]
                block = block[rows - start]
            yield rows, block[:, self.columns].astype(np.float32)

    def of_genes(self, genes: tuple[str, ...]) -> CellsFile:
        """The same cells with these genes, in this order; all must be in the file."""
        place = {gene: column for column, gene in enumerate(self.expression.genes)}
        missing = [gene for gene in genes if gene not in place]
        if missing:
            raise DataError("genes of the model are not in the file", where=self.expression.path.name,
                            value=", ".join(missing[:5]), mend="denoise the cohort again")  # fmt: skip
        return replace(self, genes=genes, columns=np.array([place[gene] for gene in genes], dtype=np.intp))

    def _refuse_no_counts(self, block: sparse.csr_matrix, start: int) -> None:
        values = block.data
        bad = ~np.isfinite(values) | (values < 0) if values.dtype.kind == "f" else values < 0
        if values.dtype.kind == "f":
            bad |= values != np.floor(values)
        if not bad.any():
            return
        entry = int(np.flatnonzero(bad)[0])
        row = int(np.searchsorted(block.indptr, entry, side="right")) - 1
        cell, gene = self.expression.names[start + row].decode(), self.expression.genes[block.indices[entry]]
        raise DataError(
            "not a count", where=f"{self.expression.path.name}: cell {cell}, gene {gene}",
            value=values[entry], allowed="whole numbers from 0 on",
            mend="give raw counts to the cohort: neither normalised nor corrected values",
        )  # fmt: skip


def open_cells(path: Path, *, genes: int) -> CellsFile:
    """Open a prepared file of cells and take the `genes` most variable genes (0: all).

    Raises
    ------
    DataError
        Without counts, donors or usable size factors.
    """
    expression = open_expression(path)
    if not expression.has_counts:
        raise DataError("holds no counts: the network learns from counts", where=path.name,
                        mend="give raw counts, or set causal.denoising.enabled: false")  # fmt: skip
    notes: list[str] = []
    donor, donors = _codes(expression, "donor", notes)
    if (donor < 0).any() or not donors:
        raise DataError("cells without a donor", where=path.name, value=int((donor < 0).sum()),
                        mend="donors are the unit: name the column of donors of the cohort")  # fmt: skip
    batch, batches = _codes(expression, "batch", notes)
    cell_type, cell_types = _codes(expression, "cell_type", notes)
    chosen = _chosen(expression, genes)
    return CellsFile(
        expression=expression, rank=np.argsort(np.argsort(expression.names, kind="stable")), donor=donor,
        donors=donors, batch=batch, batches=batches, cell_type=cell_type, cell_types=cell_types,
        size_factor=_size_factors(expression),
        genes=tuple(expression.genes[column] for column in chosen), columns=chosen, notes=tuple(notes),
    )  # fmt: skip


def _codes(expression: Expression, name: str, notes: list[str]) -> tuple[Codes, tuple[str, ...]]:
    if name not in expression.obs_columns:
        notes.append(f"no column {name}")
        return np.full(len(expression.names), -1), ()
    labels = expression.obs(name).compact()
    return labels.codes.astype(np.intp), labels.levels


def _size_factors(expression: Expression) -> Floats:
    factors = expression.obs_numbers("size_factor")
    bad = ~np.isfinite(factors) | (factors <= 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            "not a size factor", where=f"{expression.path.name}: cell {expression.names[row].decode()}",
            value=factors[row], allowed="a number above 0", mend="prepare the cohort again",
        )  # fmt: skip
    return factors


def _chosen(expression: Expression, genes: int) -> Codes:
    """Columns of the most variable genes for their mean, in the order of symbols; ties go by symbol."""
    order = np.argsort(np.array(expression.genes), kind="stable")
    seen = expression.var_numbers("total_counts")[order] > 0
    order = order[seen]
    if genes and genes < order.size:
        scores = np.nan_to_num(expression.var_numbers("dispersions_norm"), nan=-np.inf)[order]
        order = order[np.sort(np.argsort(-scores, kind="stable")[:genes])]
    if order.size < LEAST_GENES:
        raise DataError("too few genes to learn from", where=expression.path.name, value=order.size,
                        allowed=f"{LEAST_GENES} genes with counts")  # fmt: skip
    return order


@dataclass(frozen=True)
class Pool:
    """m cells in memory, sorted by name: `rows` (m,) of the file, `counts` (m, G) CSR float32."""

    rows: Codes
    counts: sparse.csr_matrix

    def __len__(self) -> int:
        return len(self.rows)

    def dense(self, places: Codes) -> npt.NDArray[np.float32]:
        """Counts of some cells of the pool (b, G)."""
        return np.asarray(self.counts[places].toarray(), dtype=np.float32)


def pools(cells: CellsFile, allowed: npt.NDArray[np.bool_], *, size: int, seed: int) -> list[Codes]:
    """Deal the `allowed` cells at random into pools of about `size`: rows of the file, sorted by name."""
    rows = np.flatnonzero(allowed)
    rows = rows[np.argsort(cells.rank[rows])]
    n_pools = -(-rows.size // size)
    dealt = stream(seed, "denoising pools").permutation(rows.size) % max(1, n_pools)
    return [rows[dealt == number] for number in range(n_pools)]


def read_pool(cells: CellsFile, rows: Codes, *, size: int = READ_CELLS) -> Pool:
    """Read these cells in one pass over the file (`rows` in the order of the pool)."""
    from scipy import sparse

    wanted = np.zeros(len(cells), dtype=bool)
    wanted[rows] = True
    found, parts = [], []
    for places, block in cells.blocks(wanted, size=size):
        found.append(places)
        parts.append(block)
    at = np.concatenate(found)
    order = np.argsort(at)[np.searchsorted(np.sort(at), rows)]
    return Pool(rows, sparse.vstack(parts, format="csr")[order])
