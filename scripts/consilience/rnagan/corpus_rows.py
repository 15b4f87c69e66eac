"""A bounded choice of rows of an expression file, kept in memory in few bytes.

A cohort may have more cells than memory. Which of them are kept depends on their names and labels, not on
their order in the file: every combination of labels and donor gets its share, and within one the rows with
the smallest hash of (seed, turn, name) are taken. Another turn takes other rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.log_values import INTENSITY_OFFSET
from consilience.expression.store import Expression
from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.rnagan.scales import NATURAL, linear
from consilience.sources.cells.h5_frames import explain_hdf5
from consilience.sources.cells.matrix import BLOCK_CELLS, Labels
from consilience.sources.text import shown

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

MAX_LOG = 50.0
"""No logarithm of an expression value comes near it; counts do."""
BULK_BLOCK = 128
ENTRY_BYTES = 6
_FNV_PRIME = np.uint64(0x100000001B3)
_PART_ROWS = 1 << 16


@dataclass(frozen=True)
class Rows:
    """Sparse rows on one logarithmic scale.

    Row i has `value` (entries,) float32 at `gene` (entries,) uint16 (or uint32) from `begin[i]` to `end[i]`;
    genes are numbers in the vocabulary, of which there are `n_genes`.
    """

    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    gene: npt.NDArray[np.unsignedinteger]
    value: npt.NDArray[np.float32]
    n_genes: int

    def __len__(self) -> int:
        return len(self.begin)

    @property
    def nbytes(self) -> int:
        """Bytes of the entries."""
        return self.gene.nbytes + self.value.nbytes

    def dense(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """These rows, (k,) → (k, n_genes); or means over cells on the linear scale, (k, m) → (k, n_genes)."""
        if rows.ndim == 2 and rows.shape[1] > 1:
            return np.stack([self._mean(group) for group in rows]) if len(rows) else self._empty(0)
        result = self._empty(len(rows))
        for place, row in enumerate(rows.ravel()):
            part = slice(self.begin[row], self.end[row])
            result[place, self.gene[part]] = self.value[part]
        return result

    def _mean(self, group: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        parts = [slice(self.begin[row], self.end[row]) for row in group]
        genes = np.concatenate([self.gene[part] for part in parts])
        values = np.expm1(np.concatenate([self.value[part] for part in parts]).astype(np.float64))
        sums = np.bincount(genes, weights=values, minlength=self.n_genes)
        return np.log1p(sums / len(group)).astype(np.float32)

    def _empty(self, n: int) -> npt.NDArray[np.float32]:
        return np.zeros((n, self.n_genes), dtype=np.float32)


def name_hashes(
    names: npt.NDArray[np.bytes_], *, seed: int, keys: Sequence[str | int]
) -> npt.NDArray[np.uint64]:
    """A number for each name that depends on the name, the seed and the keys alone, (n,).

    FNV-1a over the bytes of a name from a seeded start, then mixed; it does not matter how wide the names are
    stored.
    """
    start = np.uint64(stream(seed, *keys).integers(2**64, dtype=np.uint64))
    width = max(1, names.dtype.itemsize)
    result = np.empty(names.size, dtype=np.uint64)
    for first in range(0, names.size, _PART_ROWS):
        part = np.ascontiguousarray(names[first : first + _PART_ROWS])
        letters = part.view(np.uint8).reshape(part.size, width)
        state = np.full(part.size, start, dtype=np.uint64)
        with np.errstate(over="ignore"):
            for column in letters.T:
                state = np.where(column > 0, (state ^ column) * _FNV_PRIME, state)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        result[first : first + part.size] = state ^ (state >> np.uint64(31))
    return result


def water_fill(sizes: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """How much each gets of `total` when all get the same, but none more than its size; (groups,).

    What is left over when it cannot be shared evenly goes one each to the first that want more.
    """
    if int(sizes.sum()) <= total:
        return sizes.astype(np.int64)
    ordered = np.sort(sizes)
    left = total - np.concatenate([[0], np.cumsum(ordered)[:-1]])
    level = left // np.arange(sizes.size, 0, -1)
    share = int(level[np.argmax(level < ordered)])
    result = np.minimum(sizes, share).astype(np.int64)
    hungry = np.flatnonzero(sizes > result)
    result[hungry[: total - int(result.sum())]] += 1
    return result


def strata_of(columns: Sequence[Labels], n: int) -> npt.NDArray[np.int32]:
    """Number of each row's combination of labels, (n,); missing values count as a level."""
    code = np.zeros(n, dtype=np.int32)
    for column in columns:
        joint = code.astype(np.int64) * (len(column.levels) + 1) + column.codes + 1
        code = np.unique(joint, return_inverse=True)[1].astype(np.int32)
    return code


def choose_rows(
    strata: npt.NDArray[np.int32], hashes: npt.NDArray[np.uint64], *, most: int
) -> npt.NDArray[np.int64]:
    """At most `most` rows, shared evenly among strata, smallest hashes first; in order of (stratum, hash)."""
    counts = np.bincount(strata)
    quota = water_fill(counts, most)
    order = np.lexsort((hashes, strata))
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ordered = strata[order]
    place = np.arange(order.size) - first[ordered]
    return np.asarray(order[place < quota[ordered]], dtype=np.int64)


def load_rows(
    expression: Expression,
    chosen: npt.NDArray[np.int64],
    *,
    place: npt.NDArray[np.int32],
    n_genes: int,
    stored: str,
    scale: str,
    dense: bool,
) -> Rows:
    """Read the rows `chosen` in one pass over the file, and bring them to `scale`.

    `place` (genes of the file,) number of each gene in the vocabulary, -1 where it has none; `stored` the
    logarithm in the file; `dense` whether it holds dense blocks. Totals are taken over all genes of the file.
    """
    wanted = np.zeros(expression.shape[0], dtype=bool)
    wanted[chosen] = True
    room = _entries_of(expression, wanted)
    # pages of these arrays that are never written take no memory
    gene: npt.NDArray[Any] = np.empty(room, dtype=np.uint16 if n_genes <= 2**16 else np.uint32)
    value = np.empty(room, dtype=np.float32)
    sizes, used = [np.zeros(1, dtype=np.int64)], 0
    for start, whole in expression.log_normalised(BULK_BLOCK if dense else BLOCK_CELLS, wanted):
        inside = np.flatnonzero(wanted[start : start + whole.shape[0]])
        block = whole if inside.size == whole.shape[0] else whole[inside]
        _refuse_odd_values(block, expression, start + inside)
        data = to_scale(block, stored=stored, scale=scale)
        target = place[block.indices]
        known = target >= 0
        row = np.repeat(np.arange(inside.size), np.diff(block.indptr))[known]
        sizes.append(np.bincount(row, minlength=inside.size))
        part = slice(used, used + row.size)
        gene[part], value[part] = target[known], data[known]
        used += row.size
    bounds = np.cumsum(np.concatenate(sizes))
    at = np.searchsorted(np.sort(chosen), chosen)
    return Rows(bounds[at], bounds[at + 1], gene[:used], value[:used], n_genes)


def _entries_of(expression: Expression, wanted: npt.NDArray[np.bool_]) -> int:
    """Stored values of the rows under the mask `wanted` (n,), an upper bound where the file is dense."""
    import h5py

    with explain_hdf5(shown(expression.path)), h5py.File(expression.path, "r") as file:
        matrix = file["X" if expression.has_x else "layers/counts"]
        if not hasattr(matrix, "keys"):
            return int(wanted.sum()) * expression.shape[1]
        pointers = matrix["indptr"]
        rows = range(0, wanted.size, _PART_ROWS)
        return sum(
            int(np.diff(pointers[first : first + _PART_ROWS + 1])[wanted[first : first + _PART_ROWS]].sum())
            for first in rows
        )


def to_scale(block: sparse.csr_matrix, *, stored: str, scale: str) -> npt.NDArray[np.float32]:
    """Values of the entries of a block on `scale`, (entries,).

    Reads become shares of their sample's total over all genes of the file. The fluorescence of an array has
    no such total; where it is wanted among reads all the same, it is treated as if it had.
    """
    if scale not in NATURAL:
        return np.asarray(block.data, dtype=np.float32)
    if stored == "log2":
        values = np.maximum(np.exp2(block.data.astype(np.float64)) - INTENSITY_OFFSET, 0)
    else:
        values = np.maximum(linear(block.data, units=stored), 0)
    row = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    totals = np.bincount(row, weights=values, minlength=block.shape[0])
    factor = np.divide(NATURAL[scale], totals, out=np.zeros_like(totals), where=totals > 0)
    return np.asarray(np.log1p(values * factor[row]), dtype=np.float32)


def rows_of_matrix(values: npt.NDArray[np.float32]) -> Rows:
    """Rows of a dense matrix (n, genes) that is on the right scale already."""
    row, gene = np.nonzero(values)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(values)))]).astype(np.int64)
    kind = np.uint16 if values.shape[1] <= 2**16 else np.uint32
    data = values[row, gene].astype(np.float32)
    return Rows(bounds[:-1], bounds[1:], gene.astype(kind), data, values.shape[1])


def _refuse_odd_values(block: sparse.csr_matrix, expression: Expression, rows: npt.NDArray[np.int64]) -> None:
    """Values that are missing, infinite or no logarithms, named by sample and gene."""
    fine = np.abs(block.data) <= MAX_LOG
    if fine.all():
        return
    entry = int(np.argmin(fine))
    row = int(np.searchsorted(block.indptr, entry, side="right")) - 1
    sample = expression.names[rows[row]].decode()
    gene, value = expression.genes[int(block.indices[entry])], float(block.data[entry])
    missing = not np.isfinite(value)
    raise DataError(
        f"sample {sample!r}, gene {gene!r}: " + ("no finite value" if missing else "not a logarithm"),
        where=shown(expression.path), value=value, allowed="logarithms of expression, all finite",
        mend="delete the file and prepare the cohort again" if missing
        else "prepare the cohort with its `units` in the sheet, so that X holds logarithms",
    )  # fmt: skip
