"""Many GDC count tables as one matrix: each file is read once, checked against the GDC's md5, and parsed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError, Problem
from consilience.foundation.jobs import progress
from consilience.sources.bulk.stored import StoredMatrix, new_matrix, row_totals, widened
from consilience.sources.gdc.star_counts import StarCounts, parse_htseq_counts, parse_star_counts
from consilience.sources.text import FETCH_AGAIN, plain_bytes, shown

if TYPE_CHECKING:
    import numpy.typing as npt

_INT32_MAX = np.iinfo(np.int32).max
_ROWS = 64
"""Files that are gathered before they go to the matrix together."""


@dataclass(frozen=True, slots=True)
class CountFile:
    """One count table: where it lies, and what the GDC says of it (`bytes` None and `md5` "": nothing)."""

    path: Path
    bytes: int | None = None
    md5: str = ""


@dataclass(frozen=True, slots=True)
class JoinedCounts:
    """`values` (samples, genes) int32, or int64 where a count needs it; `genes` ids with versions.

    `unassigned` reads in no gene by kind (N_unmapped …), each (samples,).
    """

    values: npt.NDArray[Any] | StoredMatrix
    genes: tuple[str, ...]
    unassigned: dict[str, npt.NDArray[np.int64]]

    def shares(self) -> dict[str, npt.NDArray[np.float64]]:
        """Shares of all reads: those in genes, unmapped ones, and those of many places; each (samples,)."""
        in_genes = row_totals(self.values).astype(np.float64)
        total = in_genes + sum(self.unassigned.values(), np.zeros(len(in_genes), dtype=np.int64))
        safe = np.where(total > 0, total, 1.0)
        kinds = {"unmapped_share": "N_unmapped", "multimapping_share": "N_multimapping"}
        return {"assigned_share": in_genes / safe} | {
            name: self.unassigned[kind] / safe for name, kind in kinds.items() if kind in self.unassigned
        }


def join_counts(files: Sequence[CountFile], *, scratch: Path | None = None) -> JoinedCounts:
    """Read every table into one matrix, in their order; all damaged files are reported at once.

    The matrix lies in a file of the folder `scratch`, without one in memory.
    """
    table: _Table | None = None
    problems: list[Problem] = []
    for row, file in enumerate(progress(files, label="GDC files")):
        raw, problem = _undamaged(file)
        if problem:
            problems.append(problem)
            continue
        content = plain_bytes(raw, file.path)
        if table is None:
            first = _parse(content, file.path)
            table = _Table(
                first, content=content, path=file.path, n_files=len(files),
                place=scratch / "source.h5" if scratch else None,
            )  # fmt: skip
        table.put(row, content=content, path=file.path)
    if problems:
        raise DataError.from_problems(problems)
    if table is None:
        raise DataError("there are no count files")
    return table.joined()


def _undamaged(file: CountFile) -> tuple[bytes, Problem | None]:
    """The bytes of a file, or what shows that they are not those that the GDC has."""
    where = shown(file.path)
    try:
        raw = file.path.read_bytes()
    except OSError as error:
        return b"", Problem(f"cannot be read ({error.strerror})", where, mend=FETCH_AGAIN)
    if file.bytes is not None and len(raw) != file.bytes:
        return b"", Problem(f"has {len(raw)} bytes, the GDC says {file.bytes}", where, mend=FETCH_AGAIN)
    if file.md5 and hashlib.md5(raw, usedforsecurity=False).hexdigest() != file.md5:
        return b"", Problem("its md5 is not the one the GDC gives", where, mend=FETCH_AGAIN)
    return raw, None


def _parse(content: bytes, path: Path) -> StarCounts:
    return (parse_htseq_counts if ".htseq." in path.name.casefold() else parse_star_counts)(content, path)


class _Table:
    """The matrix while it is filled: the first file settles the ids, the others are compared with it."""

    def __init__(
        self, first: StarCounts, *, content: bytes, path: Path, n_files: int, place: Path | None
    ) -> None:
        self.ids, self.is_gene, self.path = first.ids, first.is_gene, path
        self.genes = first.genes
        self.values = new_matrix((n_files, len(self.genes)), dtype=np.int32, path=place)
        self._block = np.zeros((min(_ROWS, n_files), len(self.genes)), dtype=np.int64)
        self.unassigned = np.zeros((n_files, len(self.ids) - len(self.genes)), dtype=np.int64)
        self._expected = np.frombuffer("".join(f"{one}\n" for one in self.ids).encode(), dtype=np.uint8)
        self._row = np.zeros(len(self.ids), dtype=np.int64)
        self._header = b"" if ".htseq." in path.name.casefold() else _header(content)

    def put(self, row: int, *, content: bytes, path: Path) -> None:
        """Add one file. A table unlike the first one is read again slowly, which says what is wrong."""
        if not self._quick(content):
            table = _parse(content, path)
            if table.ids == self.ids:
                self._row = table.counts
            else:
                _refuse_other_genes(table, expected=self.genes, path=path, first=self.path)
                kinds = dict(zip(table.ids, table.counts.tolist(), strict=True))
                self._row = np.array([kinds.get(one, 0) for one in self.ids], dtype=np.int64)
        self._block[row % _ROWS] = self._row[self.is_gene]
        self.unassigned[row] = self._row[~self.is_gene]
        if row % _ROWS == _ROWS - 1 or row == self.values.shape[0] - 1:
            self._store(slice(row - row % _ROWS, row + 1))

    def _store(self, rows: slice) -> None:
        """Put the gathered files `rows` into the matrix, which is made wider for the first large count."""
        block = self._block[: rows.stop - rows.start]
        if self.values.dtype == np.int32 and block.max(initial=0) > _INT32_MAX:
            self.values = widened(self.values)
        self.values[rows] = block.astype(self.values.dtype)

    def _quick(self, content: bytes) -> bool:
        from consilience.sources.gdc.star_kernels import COMPLETE, parse_counts

        header = self._header
        if not header or _header(content) != header or not content.endswith(b"\n"):
            return False
        names = header.split(b"\n")[-2].split(b"\t")
        code: int = parse_counts(
            np.frombuffer(content, dtype=np.uint8), len(header), len(names), names.index(b"gene_id"),
            names.index(b"unstranded"), self._expected, self._row,
        )  # fmt: skip
        return code == COMPLETE

    def joined(self) -> JoinedCounts:
        """The filled matrix."""
        kinds = [one for one, gene in zip(self.ids, self.is_gene, strict=True) if not gene]
        unassigned: dict[str, npt.NDArray[np.int64]] = {}
        for column, kind in enumerate(kinds):
            unassigned[kind] = unassigned.get(kind, 0) + self.unassigned[:, column]
        return JoinedCounts(self.values, self.genes, unassigned)


def _header(content: bytes) -> bytes:
    """The comments and the column names at the start of a plain STAR table, b"" for any other."""
    end = 0
    while content.startswith(b"#", end):
        end = content.find(b"\n", end) + 1
        if not end:
            return b""
    end = content.find(b"\n", end) + 1
    names = content[:end].split(b"\n")[-2].split(b"\t") if end else []
    plain = content[:end].isascii() and b"\r" not in content[:end]
    return content[:end] if plain and b"gene_id" in names and b"unstranded" in names else b""


def _refuse_other_genes(table: StarCounts, *, expected: Sequence[str], path: Path, first: Path) -> None:
    genes = table.genes
    if genes == expected:
        return
    row = next(
        (k for k, (a, b) in enumerate(zip(genes, expected, strict=False)) if a != b),
        min(len(genes), len(expected)),
    )
    found = genes[row] if row < len(genes) else "(end of file)"
    wanted = expected[row] if row < len(expected) else "(end of file)"
    raise DataError(
        f"its genes are not those of {first.name} ({len(genes)} and {len(expected)}); gene {row + 1} differs",
        where=shown(path), value=found, allowed=wanted,
        mend="all files must come from one release of the GDC; fetch the cohort again",
    )  # fmt: skip
