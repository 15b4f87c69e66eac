"""A prepared cohort as samples: those of bulk, or cells summed to one sample a donor and cell type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.expression.store import Expression, open_expression
from consilience.foundation.errors import DataError
from consilience.learning.samples import Samples
from consilience.rnagan.corpus_files import STORED
from consilience.rnagan.corpus_rows import to_scale
from consilience.rnagan.presets import Scale
from consilience.sources.cells.h5_frames import explain_hdf5
from consilience.sources.text import shown

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

CASE, CONTROL = "case", "control"
LEAST_CELLS = 10
"""A pseudobulk of fewer cells is mostly noise and is left out."""
READS: Scale = "log1p_cp10k"


@dataclass(frozen=True)
class StudyCohort:
    """Samples in the order of their names.

    `samples` labelled case or control, on `scale`; `cell_types` (n,) of each, "" in bulk; `measured` the
    units of its source; `notes` what was left out.
    """

    name: str
    samples: Samples
    cell_types: npt.NDArray[np.str_]
    scale: Scale
    measured: str
    notes: tuple[str, ...]

    def tasks(self) -> Iterator[tuple[str, Samples]]:
        """Each cell type with its samples; "" with all of them in bulk."""
        for cell_type in np.unique(self.cell_types):
            yield str(cell_type), self.samples.take(self.cell_types == cell_type)

    def of_genes(self, genes: tuple[str, ...]) -> StudyCohort:
        """The same with these genes, in this order."""
        return replace(self, samples=self.samples.of_genes(genes))

    def take(self, rows: npt.NDArray[np.bool_]) -> StudyCohort:
        """These samples only."""
        return replace(self, samples=self.samples.take(rows), cell_types=self.cell_types[rows])


def told_of(path: Path) -> dict[str, str]:
    """What a prepared file says of its `units`, `kind` and `cohort`; "" where it does not."""
    import h5py

    with explain_hdf5(shown(path)), h5py.File(path, "r") as file:
        own = file.get("uns/consilience", {})
        found = {name: own[name][()] if name in own else b"" for name in ("units", "kind", "cohort")}
    return {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in found.items()}


def scale_of(path: Path) -> Scale:
    """The scale on which the samples of a prepared file can be: arrays have one of their own."""
    units = told_of(path)["units"]
    if units not in STORED:
        raise DataError("does not say in which units its values are", where=shown(path), value=units or None,
                        allowed=", ".join(STORED), mend="prepare the cohort with this workflow")  # fmt: skip
    return "log2" if STORED[units] == "log2" else READS


def read_cohort(path: Path, *, name: str = "") -> StudyCohort:
    """Read an expression file; samples (or cells) that are neither case nor control are left out."""
    told, scale, expression = told_of(path), scale_of(path), open_expression(path)
    cells = told["kind"] == "single_cell"
    arms = _column(expression, "arm")
    chosen = np.flatnonzero((arms == CASE) | (arms == CONTROL))
    if len(np.unique(arms[chosen])) < 2:
        raise DataError("has no cases or no controls left", where=shown(path),
                        mend="look at what quality control removed")  # fmt: skip
    notes = []
    if chosen.size < arms.size:
        what = "cells" if cells else "samples"
        notes.append(f"{arms.size - chosen.size:,} {what} are neither case nor control and are not used")
    if cells:
        samples, types, few = _pseudobulks(expression, arms, chosen)
        notes += (
            [f"{few} donors and cell types with fewer than {LEAST_CELLS} cells are not used"] if few else []
        )
    else:
        samples = _bulk(expression, arms, chosen, stored=STORED[told["units"]], scale=scale)
        types = np.full(len(samples), "")
    order = np.argsort(samples.names, kind="stable")
    return StudyCohort(
        name or told["cohort"] or path.stem,
        samples.take(order),
        types[order],
        scale,
        told["units"],
        tuple(notes),
    )


def most_variable(cohort: StudyCohort, most: int) -> tuple[str, ...]:
    """Names, sorted, of the genes that vary most between samples (of one cell type); all where `most` is 0.

    Labels are not looked at. Like quality control and normalisation, the choice sees every sample.
    """
    genes = np.array(cohort.samples.genes)
    if most and most < genes.size:
        spread = np.zeros(genes.size)
        for _, samples in cohort.tasks():
            spread += len(samples) * samples.values.var(axis=0, dtype=np.float64)
        genes = genes[np.lexsort((genes, -spread))[:most]]
    return tuple(np.sort(genes).tolist())


def _column(expression: Expression, name: str) -> npt.NDArray[np.str_]:
    """A column of text (n,), "" where it is missing or there is none."""
    if name not in expression.obs_columns:
        return np.full(expression.shape[0], "")
    return np.array(expression.obs(name).text(), dtype=str)


def _donors(expression: Expression) -> npt.NDArray[np.str_]:
    """The donor of each row (n,); a row that names none counts as a donor of its own (a cell: its sample)."""
    names = np.char.decode(expression.names, "utf-8") if expression.names.size else np.empty(0, dtype=str)
    donors = np.full(len(names), "")
    for column in ("donor", "sample"):
        donors = np.where(donors == "", _column(expression, column), donors)
    return np.where(donors == "", names, donors)


def _bulk(
    expression: Expression, arms: npt.NDArray[np.str_], chosen: npt.NDArray[np.intp], *, stored: str,
    scale: Scale,
) -> Samples:  # fmt: skip
    values = np.empty(expression.shape, dtype=np.float32)
    for start, block in expression.log_normalised():
        on_scale: sparse.csr_matrix = block.copy()
        on_scale.data = to_scale(block, stored=stored, scale=scale)
        values[start : start + block.shape[0]] = on_scale.toarray()
    names = np.char.decode(expression.names, "utf-8")
    samples = Samples(values, expression.genes, names, arms, _donors(expression),
                      _column(expression, "batch"), scale)  # fmt: skip
    _refuse_not_finite(samples, expression)
    return samples.take(chosen)


def _pseudobulks(
    expression: Expression, arms: npt.NDArray[np.str_], chosen: npt.NDArray[np.intp]
) -> tuple[Samples, npt.NDArray[np.str_], int]:
    """Samples and their cell types (n,), and how many groups had too few cells."""
    donors, types = _donors(expression), _column(expression, "cell_type")
    batches = _column(expression, "batch")
    keys = np.stack([types, donors, arms], axis=1)[chosen]
    groups, first, code, size = np.unique(
        keys, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    group = np.full(expression.shape[0], -1, dtype=np.intp)
    group[chosen] = code.ravel()
    sums = _sums(expression, group, len(groups))
    large = size >= LEAST_CELLS
    several = np.array([len(np.unique(batches[group == k])) > 1 for k in range(len(groups))])
    batch = np.where(several, "", batches[chosen[first]])
    totals = np.maximum(sums.sum(axis=1, keepdims=True), 1.0)
    values = np.log1p(sums / totals * 1e4).astype(np.float32)
    paired = len(np.unique(groups[:, 1:], axis=0)) > len(np.unique(groups[:, 1]))
    names = np.array(
        [" ".join(filter(None, (donor, arm if paired else "", kind))) for kind, donor, arm in groups]
    )
    samples = Samples(values, expression.genes, names, groups[:, 2], groups[:, 1], batch, READS).take(large)
    if not len(samples):
        raise DataError(f"no donor has {LEAST_CELLS} cells of one type", where=shown(expression.path),
                        mend="look at what quality control removed, or name fewer cell types")  # fmt: skip
    return samples, groups[large, 0], int((~large).sum())


def _sums(expression: Expression, group: npt.NDArray[np.intp], n_groups: int) -> npt.NDArray[np.float64]:
    """Counts of the cells of each group together (groups, genes); cells of group -1 count nowhere."""
    from scipy import sparse

    total = np.zeros((n_groups, expression.shape[1]))
    for start, block in expression.counts():
        own = group[start : start + block.shape[0]]
        rows = np.flatnonzero(own >= 0)
        members = sparse.csr_matrix((np.ones(rows.size), (own[rows], rows)), shape=(n_groups, block.shape[0]))
        total += (members @ block).toarray()
    return total


def _refuse_not_finite(samples: Samples, expression: Expression) -> None:
    if not np.isfinite(samples.values).all():
        row, gene = np.argwhere(~np.isfinite(samples.values))[0]
        raise DataError(
            f"sample {samples.names[row]!s}, gene {samples.genes[gene]}: no finite value",
            where=shown(expression.path), mend="delete the file and prepare the cohort again",
        )  # fmt: skip
