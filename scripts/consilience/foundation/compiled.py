"""Numerical loops compiled by numba, for the modules named *kernels."""

from __future__ import annotations

from typing import Any


def compiled(function: Any) -> Any:
    """Compile on first use, kept on disk where a writable place exists."""
    import numba

    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
