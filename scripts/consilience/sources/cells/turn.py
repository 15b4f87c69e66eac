"""Matrices stored gene by gene, turned round into cells by cells on disk; memory stays flat.

Two readings of the source: the first counts the entries of each cell, so that every band of cells has a known
place in one plain file; the second puts each entry into its band. Each band is then small enough to sort.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.files import explain_disk_full, require_space
from consilience.foundation.jobs import log, progress

if TYPE_CHECKING:
    import numpy.typing as npt

BAND_ENTRIES = 8_000_000
"""Entries of a band of cells: about 300 MB while it is sorted."""
_RECORD = 12


@dataclass(frozen=True, slots=True)
class Entries:
    """Some entries of a matrix, each (n,): `cells`, `genes` (indices) and `counts` (int32)."""

    cells: npt.NDArray[Any]
    genes: npt.NDArray[Any]
    counts: npt.NDArray[np.int32]


def turn_round(
    chunks: Callable[[], Iterator[Entries]],
    *,
    n_cells: int,
    n_genes: int,
    folder: Path,
    band_entries: int = BAND_ENTRIES,
) -> tuple[Path, int]:
    """Write the matrix cell by cell; gives the HDF5 file (data, indices, indptr) and its number of entries.

    Parameters
    ----------
    chunks
        Gives all entries in pieces, gene by gene, each time it is called.
    folder
        Where the file goes; a plain file of 12 bytes an entry lies beside it meanwhile.
    """
    from consilience.sources.cells.spool import Spool

    sizes = np.zeros(n_cells, dtype=np.int64)
    for chunk in progress(chunks(), label="counting entries of cells, pieces"):
        sizes += np.bincount(chunk.cells, minlength=n_cells)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    band_of_cell = starts[:-1] // band_entries
    first_cells = np.flatnonzero(np.diff(band_of_cell, prepend=-1))
    bounds = np.append(first_cells, n_cells)
    n_entries = int(starts[-1])
    log.info("turning round %d entries in %d bands of cells", n_entries, first_cells.size)
    folder.mkdir(parents=True, exist_ok=True)
    plain, target = folder / "entries.bin", folder / "turned.h5"
    require_space(plain, n_entries * (_RECORD + 8))
    with explain_disk_full(plain):
        numbers = np.cumsum(np.diff(band_of_cell, prepend=-1) > 0) - 1
        _place(chunks(), plain, band_of_cell=numbers, places=starts[first_cells].copy())
    with Spool(target) as spool:
        for first, last in pairwise(bounds.tolist()):
            spool.append(_band(plain, starts, first, last, n_genes))
        spool.finish(n_genes)
    plain.unlink()
    return target, n_entries


def _place(
    chunks: Iterator[Entries],
    plain: Path,
    *,
    band_of_cell: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
) -> None:
    """Write each entry into the room of its band; `places` (bands,) is where the next one of a band goes."""
    with plain.open("wb") as handle:
        for chunk in progress(chunks, label="turning round, pieces"):
            bands = band_of_cell[chunk.cells]
            order = np.argsort(bands, kind="stable")
            records = np.empty((order.size, 3), dtype=np.int32)
            records[:, 0], records[:, 1] = chunk.cells[order], chunk.genes[order]
            records[:, 2] = chunk.counts[order]
            found = np.bincount(bands, minlength=places.size)
            done = 0
            for band in np.flatnonzero(found):
                n = int(found[band])
                handle.seek(int(places[band]) * _RECORD)
                handle.write(records[done : done + n].tobytes())
                places[band] += n
                done += n


def _band(plain: Path, starts: npt.NDArray[np.int64], first: int, last: int, n_genes: int) -> Any:
    """The cells first … last - 1 as CSR; entries given twice for a cell and gene are added up."""
    from scipy import sparse

    n = int(starts[last] - starts[first])
    records = np.fromfile(plain, dtype=np.int32, count=n * 3, offset=int(starts[first]) * _RECORD)
    records = records.reshape(n, 3)
    shape = (last - first, n_genes)
    return sparse.coo_matrix((records[:, 2], (records[:, 0] - first, records[:, 1])), shape=shape).tocsr()
