"""Compiled reading of one line of a dense table of counts (numba; import only where it is needed)."""

from __future__ import annotations

import numpy as np

from consilience.foundation.compiled import compiled

COMPLETE, UNUSUAL, TOO_MANY = 0, 1, 2
_LIMIT = 2**31 - 1


@compiled
def parse_counts(
    text: np.ndarray, position: int, separator: int, field: int, n_found: int, places: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Parse the counts of a line (bytes, without its end) from `position`, the start of field `field`.

    Counts other than 0 go to `counts` with their field in `places`, from `n_found` on. Returns (next field,
    found, position, code); with UNUSUAL the field at that position is no plain whole number (3 or 3.0).
    """
    size = text.size
    while True:
        start, number, digits = position, 0, 0
        while position < size and 48 <= text[position] <= 57 and number <= _LIMIT:
            number = number * 10 + (text[position] - 48)
            digits += 1
            position += 1
        if digits > 0 and position < size and text[position] == 46:
            position += 1
            while position < size and text[position] == 48:
                position += 1
        ended = position >= size
        if digits == 0 or number > _LIMIT or (not ended and text[position] != separator):
            return field, n_found, start, UNUSUAL
        if field >= places.size:
            return field, n_found, start, TOO_MANY
        if number > 0:
            places[n_found], counts[n_found] = field, number
            n_found += 1
        field += 1
        if ended:
            return field, n_found, position, COMPLETE
        position += 1
