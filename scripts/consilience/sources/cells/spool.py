"""Counts gathered block by block: in memory while they are few, in one binary file when they are many."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.files import explain_disk_full, require_space

if TYPE_CHECKING:
    from scipy import sparse

_CHUNK = 1 << 18


class Spool:
    """Append CSR blocks (cells, genes); `path` None keeps them in memory; `rewind` takes the last back."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._blocks: list[sparse.csr_matrix] = []
        self._row_sizes: list[np.ndarray] = []
        self._n_entries = 0
        self._file: Any = None

    def __enter__(self) -> Spool:
        if self._path is not None:
            import h5py

            self._file = h5py.File(self._path, "w")
            for name in ("data", "indices"):
                self._file.create_dataset(
                    name, shape=(0,), maxshape=(None,), chunks=(_CHUNK,), dtype=np.int32
                )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def mark(self) -> tuple[int, int]:
        """Where the spool stands, for `rewind`."""
        return len(self._row_sizes), self._n_entries

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forget what was appended since `mark`."""
        n_blocks, self._n_entries = mark
        del self._row_sizes[n_blocks:]
        del self._blocks[n_blocks:]

    def append(self, block: sparse.csr_matrix) -> None:
        """Add the next cells."""
        first, last = self._n_entries, self._n_entries + block.nnz
        if self._file is None or self._path is None:
            self._blocks.append(block)
        else:
            require_space(self._path, block.nnz * 8)
            with explain_disk_full(self._path):
                for name, values in (("data", block.data), ("indices", block.indices)):
                    self._file[name].resize((last,))
                    self._file[name][first:last] = values
        self._row_sizes.append(np.diff(block.indptr))
        self._n_entries = last

    def finish(self, n_genes: int) -> tuple[sparse.csr_matrix | None, int]:
        """The matrix where it is in memory (None where it is in the file), and its number of entries."""
        from scipy import sparse

        if self._file is None:
            empty = sparse.csr_matrix((0, n_genes), dtype=np.int32)
            return sparse.vstack([empty, *self._blocks], format="csr", dtype=np.int32), self._n_entries
        pointers = np.concatenate([[0], *self._row_sizes]).cumsum(dtype=np.int64)
        for name in ("data", "indices"):
            self._file[name].resize((self._n_entries,))
        self._file["indptr"] = pointers
        return None, self._n_entries
