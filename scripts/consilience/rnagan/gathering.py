"""The values of a file under a model's genes: checked and brought to its scale, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.rnagan.reading import BLOCK, Given
from consilience.rnagan.scales import linear, logarithms
from consilience.sources.bulk.tables import listed

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Places:
    """For each id of a file the model's gene that it names, or -1: `column` (ids,); `ids` the column used."""

    column: npt.NDArray[np.int64]
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is to be done: `chosen` rows of `given`, in `units`, by `way` to `scale` (see `scales.route`)."""

    given: Given
    chosen: npt.NDArray[np.intp]
    places: Places
    units: str
    way: str
    scale: str
    n_genes: int

    @property
    def adds(self) -> bool:
        """Whether two ids of one gene add up: shares of reads do, logarithms and intensities do not."""
        return self.way == "shares"

    @property
    def n_twins(self) -> int:
        """Ids that name a gene which another id names too, beyond the first."""
        named = self.places.column[self.places.column >= 0]
        return int(named.size - np.unique(named).size)

    @cached_property
    def wanted(self) -> npt.NDArray[np.bool_]:
        """The chosen rows as a mask (rows of the file,)."""
        mask = np.zeros(len(self.given), dtype=bool)
        mask[self.chosen] = True
        return mask


def gathered(plan: Plan) -> npt.NDArray[np.float32]:
    """(chosen, genes) on the model's scale, in the order of `chosen`; 0 for genes that the file lacks."""
    selector = _selector(plan)
    result = np.zeros((len(plan.chosen), plan.n_genes), dtype=np.float32)
    place = np.full(len(plan.given), -1, dtype=np.int64)
    place[plan.chosen] = np.arange(len(plan.chosen))
    for rows, block in _checked_blocks(plan):
        totals = np.asarray(block.sum(axis=1), dtype=np.float64).ravel()
        if (totals == 0).any():
            empty = [str(name) for name in plan.given.names[rows[totals == 0]]]
            raise DataError(f"{len(empty)} samples are zero in all genes: {listed(empty)}",
                            where=plan.given.where, value=empty[0], mend="leave them out")  # fmt: skip
        of_genes = np.asarray(dense(block @ selector), dtype=np.float64)
        result[place[rows]] = logarithms(of_genes, way=plan.way, scale=plan.scale, totals=totals)
    absent = np.ones(plan.n_genes, dtype=bool)
    absent[plan.places.column[plan.places.column >= 0]] = False
    result[:, absent] = 0.0
    return result


def dense(block: Any) -> npt.NDArray[Any]:
    """A block as an array."""
    return np.asarray(block.toarray() if hasattr(block, "toarray") else block)


def _checked_blocks(plan: Plan) -> Iterator[tuple[npt.NDArray[np.intp], Any]]:
    """(rows of the file, checked values (rows, ids)), linear but for logarithms that stay as they are."""
    for start, block in plan.given.blocks(BLOCK, plan.wanted):
        inside = np.flatnonzero(plan.wanted[start : start + block.shape[0]])
        part = block if len(inside) == block.shape[0] else block[inside]
        yield start + inside, _checked(plan, part, start + inside)


def _checked(plan: Plan, block: Any, rows: npt.NDArray[np.intp]) -> Any:
    if plan.units == "log2":
        block = dense(block)  # 0 is no special value of such a logarithm
    sparse = hasattr(block, "tocsr")
    data = np.asarray(block.data if sparse else block, dtype=np.float64)
    may_be_negative = plan.units in {"log2", "intensity"}
    if _wrong(data, counts=plan.units == "counts", may_be_negative=may_be_negative).any():
        values = dense(block)
        wrong = _wrong(values, counts=plan.units == "counts", may_be_negative=may_be_negative)
        refuse_value(wrong, values, rows=rows, given=plan.given, ids=plan.places.ids)
    if plan.way in {"shares", "light"}:
        data = np.maximum(linear(data, units=plan.units), 0.0)
    elif plan.way == "intensity":
        data = np.maximum(data, 0.0)
    if not sparse:
        return data
    from scipy import sparse as matrices

    return matrices.csr_matrix((data, block.indices, block.indptr), shape=block.shape)


def _wrong(values: npt.NDArray[Any], *, counts: bool, may_be_negative: bool) -> npt.NDArray[np.bool_]:
    """Values that cannot be used: missing, infinite, below zero, or no whole numbers among counts."""
    wrong = ~np.isfinite(values)
    if not may_be_negative:
        wrong |= values < 0
    if counts:
        wrong |= values != np.floor(values)
    return np.asarray(wrong)


def _selector(plan: Plan) -> Any:
    """Matrix (ids, genes) that adds the ids of one gene up, or takes the one with the highest mean."""
    from scipy import sparse

    column = plan.places.column
    used = np.flatnonzero(column >= 0)
    if not plan.adds and plan.n_twins:
        # rounded, and equals settled by name: neither the order of samples nor of ids may decide
        means, names = np.round(_means(plan), 9), np.array(plan.places.ids, dtype=str)
        order = used[np.lexsort((names[used], -means[used], column[used]))]
        used = order[np.concatenate([[True], column[order][1:] != column[order][:-1]])]
    return sparse.csr_matrix((np.ones(used.size), (used, column[used])), shape=(column.size, plan.n_genes))


def _means(plan: Plan) -> npt.NDArray[np.float64]:
    sums = np.zeros(plan.places.column.size)
    for _, block in _checked_blocks(plan):
        sums += np.asarray(block.sum(axis=0), dtype=np.float64).ravel()
    return sums / max(1, len(plan.chosen))


def refuse_value(
    wrong: npt.NDArray[np.bool_],
    values: npt.NDArray[Any],
    *,
    rows: npt.NDArray[np.intp],
    given: Given,
    ids: Sequence[str],
) -> None:
    """Refuse a file because of values (rows, ids) that are missing, infinite, below zero or no counts."""
    row, gene = (int(axis[0]) for axis in np.nonzero(wrong))
    value = float(values[row, gene])
    more = f" (nor have {int(wrong.sum()) - 1:,} others near it)" if wrong.sum() > 1 else ""
    raise DataError(
        f"sample {str(given.names[rows[row]])!r}, gene {ids[gene]!r} has no usable value{more}",
        where=given.where, value="missing (NaN)" if value != value else f"{value:g}",
        allowed="finite numbers of 0 or more, whole ones in a table of counts",
        mend="leave the sample or the gene out; a missing value must not be written as zero",
    )  # fmt: skip
