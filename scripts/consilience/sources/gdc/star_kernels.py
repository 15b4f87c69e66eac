"""Compiled reading of STAR-counts tables (numba; import only where it is needed)."""

from __future__ import annotations

import numpy as np

from consilience.foundation.compiled import compiled

COMPLETE, OTHER_GENES, NO_COUNT, WRONG_WIDTH, ODD_BYTE = 0, 1, 2, 3, 4
_MOST = 10**17
_PLAIN = np.zeros(256, dtype=np.uint8)
_PLAIN[32:127] = 1
"""1 for printable ASCII; tab and line feed end a cell, any other byte is odd."""


@compiled
def parse_counts(
    text: np.ndarray,
    start: int,
    n_columns: int,
    gene_at: int,
    count_at: int,
    expected: np.ndarray,
    counts: np.ndarray,
) -> int:
    """Parse the rows of `text` (bytes) from `start` into `counts` (rows,) int64; returns a code.

    `expected` are the ids of all rows, each ended by a line feed (bytes). Any code other than COMPLETE means
    that this is not the plain table of those ids; what is wrong with it, a slower reader says.
    """
    # unsigned positions spare numba the look whether each one counts from the end (a third of the time)
    one, size, n_expected = np.uint64(1), np.uint64(text.size), np.uint64(expected.size)
    position, at, row = np.uint64(start), np.uint64(0), 0
    while position < size:
        if row >= counts.size:
            return OTHER_GENES
        column, number, digits = 0, 0, 0
        while True:
            if column == gene_at:
                while position < size and text[position] != 9 and text[position] != 10:
                    if at >= n_expected or text[position] != expected[at]:
                        return OTHER_GENES
                    at += one
                    position += one
                if at >= n_expected or expected[at] != 10:
                    return OTHER_GENES
                at += one
            elif column == count_at:
                while position < size and 48 <= text[position] <= 57:
                    number = number * 10 + (text[position] - 48)
                    digits += 1
                    position += one
                    if number > _MOST:
                        return NO_COUNT
                if digits == 0 or (position < size and text[position] != 9 and text[position] != 10):
                    return NO_COUNT
            else:
                while position < size and _PLAIN[text[position]] == 1:
                    position += one
                if position < size and text[position] != 9 and text[position] != 10:
                    return ODD_BYTE
            if position >= size:
                return WRONG_WIDTH
            end = text[position]
            position += one
            if end == 10:
                break
            column += 1
            if column >= n_columns:
                return WRONG_WIDTH
        if column != n_columns - 1:
            return WRONG_WIDTH
        counts[row] = number
        row += 1
    return COMPLETE if row == counts.size and at == n_expected else OTHER_GENES
