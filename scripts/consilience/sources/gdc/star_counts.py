"""One table of counts as the GDC serves it: STAR counts, and the older HTSeq counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.text import FETCH_AGAIN, shown, text_lines

REQUIRED = ("gene_id", "unstranded")
UNASSIGNED = ("N_", "__")
_HTSEQ_NAMES = {
    "__no_feature": "N_noFeature", "__ambiguous": "N_ambiguous", "__not_aligned": "N_unmapped",
    "__alignment_not_unique": "N_multimapping",
}  # fmt: skip
_MOST_DIGITS = 17


@dataclass(frozen=True, slots=True)
class StarCounts:
    """One table as written: `ids` of all rows with versions, `counts` (rows,) of them.

    Rows of reads in no gene (N_unmapped …) are among them; `is_gene` (rows,) tells which are not.
    """

    ids: tuple[str, ...]
    counts: np.ndarray[Any, np.dtype[np.int64]]

    @property
    def is_gene(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows are genes."""
        return np.array([not one.startswith(UNASSIGNED) for one in self.ids], dtype=bool)

    @property
    def genes(self) -> tuple[str, ...]:
        """The ids of the genes."""
        return tuple(one for one in self.ids if not one.startswith(UNASSIGNED))


def parse_star_counts(content: bytes, path: Path) -> StarCounts:
    """Parse one STAR-counts table (its unstranded column); every error names its line."""
    where = shown(path)
    lines = text_lines(content, path, whole_last_line=True)
    first = next((k for k, line in enumerate(lines) if not line.startswith("#")), len(lines) - 1)
    header = lines[first].split("\t")
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise DataError(
            f"no column {' and '.join(missing)}", where=f"{where}:{first + 1}", value=lines[first][:80],
            allowed="the columns of a STAR-counts file (gene_id, …, unstranded, …)", mend=FETCH_AGAIN,
        )  # fmt: skip
    return _rows(
        lines[first + 1 :], first=first + 2, n_columns=len(header), gene_at=header.index("gene_id"),
        count_at=header.index("unstranded"), name="unstranded", where=where,
    )  # fmt: skip


def parse_htseq_counts(content: bytes, path: Path) -> StarCounts:
    """Parse one HTSeq table: id and count, no header; its last rows (__no_feature …) are reads in no gene."""
    lines = text_lines(content, path, whole_last_line=True)
    table = _rows(lines, first=1, n_columns=2, gene_at=0, count_at=1, name="count", where=shown(path))
    return StarCounts(tuple(_HTSEQ_NAMES.get(one, one) for one in table.ids), table.counts)


def _rows(
    lines: list[str], *, first: int, n_columns: int, gene_at: int, count_at: int, name: str, where: str
) -> StarCounts:
    """The rows below a header; `first` is the number of the first line."""
    ids, counts = [], []
    for number, line in enumerate(lines, first):
        cells = line.split("\t")
        if len(cells) != n_columns:
            raise DataError(
                f"{len(cells)} cells under {n_columns} column names",
                where=f"{where}:{number}",
                mend=FETCH_AGAIN,
            )
        gene, text = cells[gene_at], cells[count_at]
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            raise DataError(
                "not a count", where=f"{where}:{number}:{name}", value=text,
                allowed=f"a whole number >= 0 for gene {gene!r}", mend=FETCH_AGAIN,
            )  # fmt: skip
        ids.append(gene)
        counts.append(int(text))
    if all(one.startswith(UNASSIGNED) for one in ids):
        raise DataError("the table has no genes", where=where, mend=FETCH_AGAIN)
    return StarCounts(tuple(ids), np.array(counts, dtype=np.int64))
