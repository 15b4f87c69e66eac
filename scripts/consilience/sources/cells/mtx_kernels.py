"""Compiled reading of MatrixMarket entries (numba; import only where it is needed)."""

from __future__ import annotations

import numpy as np

from consilience.foundation.compiled import compiled

COMPLETE, NO_NUMBER, NO_WHOLE_NUMBER, WRONG_WIDTH, TOO_LARGE = 0, 1, 2, 3, 4
_LIMIT = 2**31 - 1


@compiled
def parse_entries(text: np.ndarray, entries: np.ndarray) -> tuple[int, int, int]:
    """Parse lines "row column value" of `text` (bytes, whole lines) into `entries` (n, 3) int64.

    Returns (entries read, lines read, code): a code other than COMPLETE says why the last line was refused.
    A value may be written with a fraction of zeros (3.0).
    """
    n, lines, position, size = 0, 0, 0, text.size
    while position < size:
        if text[position] == 10 or (
            text[position] == 13 and position + 1 < size and text[position + 1] == 10
        ):
            position += 1 if text[position] == 10 else 2
            lines += 1
            continue
        lines += 1
        for field in range(3):
            while position < size and (text[position] == 32 or text[position] == 9):
                position += 1
            number, digits = 0, 0
            while position < size and 48 <= text[position] <= 57:
                number = number * 10 + (text[position] - 48)
                digits += 1
                if number > _LIMIT:
                    return n, lines, TOO_LARGE
                position += 1
            if digits == 0:
                minus = position < size and text[position] == 45
                ended = position >= size or text[position] == 10 or text[position] == 13
                return n, lines, NO_WHOLE_NUMBER if minus else WRONG_WIDTH if ended else NO_NUMBER
            if field == 2 and position < size and text[position] == 46:
                position += 1
                while position < size and 48 <= text[position] <= 57:
                    if text[position] != 48:
                        return n, lines, NO_WHOLE_NUMBER
                    position += 1
            entries[n, field] = number
            after = text[position] if position < size else 10
            if after != 32 and after != 9 and after != 10 and after != 13:
                return n, lines, NO_NUMBER
        while position < size and (text[position] == 32 or text[position] == 9 or text[position] == 13):
            position += 1
        if position < size and text[position] != 10:
            return n, lines, WRONG_WIDTH
        position += 1
        n += 1
    return n, lines, COMPLETE


@compiled
def check_entries(entries: np.ndarray, n_rows: int, n_columns: int, last: int) -> tuple[int, int]:
    """(first entry outside the matrix or -1, first entry whose column is before the one above or -1)."""
    outside, unsorted = -1, -1
    for k in range(entries.shape[0]):
        row, column = entries[k, 0], entries[k, 1]
        if (row < 1 or row > n_rows or column < 1 or column > n_columns) and outside < 0:
            outside = k
        if column < last and unsorted < 0:
            unsorted = k
        last = column
    return outside, unsorted
