"""Compiled sums over pathway members, in tiles of samples (numba; import only where numba is there).

A tile of `WIDTH` samples is turned round once (gene-major), so that each weight meets `WIDTH` neighbouring
numbers. Kernels hold no lock: `products` gives disjoint tiles to threads. Every output number is one sum in
one fixed order, so results do not depend on how tiles are spread over threads.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

WIDTH = 64
BLOCK = 64
# Sums may be reordered for vector registers; NaN and infinity keep their meaning.
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}, "boundscheck": False}


def _compiled(function: Any) -> Any:
    """Compile on first use, kept on disk where a writable place exists."""
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return numba.njit(**_OPTIONS)(function)


@_compiled
def turn(values: np.ndarray, first: int, turned: np.ndarray) -> None:
    """Copy samples first … first + WIDTH of `values` (samples × n) to `turned` (n × WIDTH), zeros beyond."""
    n_samples, n = values.shape
    count = min(WIDTH, n_samples - first)
    if count < WIDTH:
        turned[:] = 0
    for begin in range(0, n, BLOCK):
        end = min(begin + BLOCK, n)
        for sample in range(count):
            for column in range(begin, end):
                turned[column, sample] = values[first + sample, column]


@_compiled
def weighted_sums(
    start: np.ndarray,
    member: np.ndarray,
    weight: np.ndarray,
    values: np.ndarray,
    sums: np.ndarray,
    first_tile: int,
    last_tile: int,
) -> None:
    """In some tiles: sums[s, i] = Σ weight[e] values[s, member[e]] over e in start[i] … start[i + 1]."""
    n_samples, n = values.shape
    n_sums = len(start) - 1
    turned = np.empty((n, WIDTH), values.dtype)
    block = np.empty((BLOCK, WIDTH), values.dtype)
    for tile in range(first_tile, last_tile):
        first = tile * WIDTH
        count = min(WIDTH, n_samples - first)
        turn(values, first, turned)
        for begin in range(0, n_sums, BLOCK):
            end = min(begin + BLOCK, n_sums)
            for i in range(begin, end):
                total = block[i - begin]
                total[:] = 0
                for e in range(start[i], start[i + 1]):
                    factor = weight[e]
                    row = turned[member[e]]
                    for s in range(WIDTH):
                        total[s] += factor * row[s]
            for s in range(count):
                for i in range(begin, end):
                    sums[first + s, i] = block[i - begin, s]


@_compiled
def sampled_products(
    start: np.ndarray,
    member: np.ndarray,
    outer: np.ndarray,
    values: np.ndarray,
    products: np.ndarray,
    first_tile: int,
    last_tile: int,
) -> None:
    """In some tiles: products[e] += Σ_s outer[s, i] values[s, member[e]] for e in start[i] … start[i + 1]."""
    turned = np.empty((values.shape[1], WIDTH), values.dtype)
    other = np.empty((outer.shape[1], WIDTH), values.dtype)
    for tile in range(first_tile, last_tile):
        turn(values, tile * WIDTH, turned)
        turn(outer, tile * WIDTH, other)
        for i in range(len(start) - 1):
            left = other[i]
            for e in range(start[i], start[i + 1]):
                right = turned[member[e]]
                total = values.dtype.type(0)
                for s in range(WIDTH):
                    total += left[s] * right[s]
                products[e] += total


@_compiled
def sparse_sums(
    row_start: np.ndarray,
    gene: np.ndarray,
    value: np.ndarray,
    start: np.ndarray,
    member: np.ndarray,
    weight: np.ndarray,
    sums: np.ndarray,
    first_row: int,
    last_row: int,
) -> None:
    """For some rows of a CSR matrix: sums[s, member[e]] += value × weight[e] over e of each gene."""
    for sample in range(first_row, last_row):
        total = sums[sample]
        total[:] = 0
        for entry in range(row_start[sample], row_start[sample + 1]):
            amount = value[entry]
            for e in range(start[gene[entry]], start[gene[entry] + 1]):
                total[member[e]] += amount * weight[e]


@_compiled
def sparse_products(
    row_start: np.ndarray,
    gene: np.ndarray,
    value: np.ndarray,
    start: np.ndarray,
    member: np.ndarray,
    outer: np.ndarray,
    products: np.ndarray,
    first_row: int,
    last_row: int,
) -> None:
    """products[e] += value × outer[s, member[e]] over some rows of a CSR matrix."""
    for sample in range(first_row, last_row):
        left = outer[sample]
        for entry in range(row_start[sample], row_start[sample + 1]):
            amount = value[entry]
            for e in range(start[gene[entry]], start[gene[entry] + 1]):
                products[e] += amount * left[member[e]]
