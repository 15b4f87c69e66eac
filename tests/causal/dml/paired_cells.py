"""Cells of donors that were each sampled as case and as control: own levels of donors and of samples."""

from __future__ import annotations

import numpy as np

from consilience.causal.dml.cells import CellsOfType, within_donors

GENES = 20


def paired_cells(
    pairs: int, *, rng: np.random.Generator, cells: int = 40, unequal: float = 0.5, effect: float = 0.0,
    confounding: float = 0.5, of_samples: float = 0.3, of_donors: float = 1.0, genes: int = GENES,
    covariate: bool = False,
) -> CellsOfType:  # fmt: skip
    """Genes shifted by `effect` in cases; variances of donors' and samples' levels; noise of cells 1.

    Two confounders of cells, one of them deeper in cases by `confounding`; `covariate`: one of samples too.
    """
    sizes = np.clip(cells * np.exp(unequal * rng.standard_normal(2 * pairs)), 10, 800).astype(int)
    sample = np.repeat(np.arange(2 * pairs), sizes)
    donor, arm = sample // 2, (sample % 2).astype(np.float64)
    depth = (
        rng.standard_normal(sample.size) + 0.5 * rng.standard_normal(2 * pairs)[sample] + confounding * arm
    )
    other = rng.standard_normal(sample.size) + rng.standard_normal(pairs)[donor]
    parts = [depth, other, *([rng.standard_normal(2 * pairs)[sample]] if covariate else [])]
    x = within_donors(np.column_stack(parts), donor)
    x /= x.std(0)
    level = np.sqrt(of_donors) * np.repeat(rng.standard_normal((pairs, genes)), 2, axis=0)
    level += np.sqrt(of_samples) * rng.standard_normal((2 * pairs, genes))
    slopes = 0.5 * rng.standard_normal((x.shape[1], genes))
    values = level[sample] + x @ slopes + rng.standard_normal((sample.size, genes)) + effect * arm[:, None]
    return CellsOfType(
        "B", tuple(f"d{one}" for one in range(pairs)), donor, np.ones(pairs), x,
        tuple(f"x{one}" for one in range(x.shape[1])), values.astype(np.float32),
        tuple(f"G{one}" for one in range(genes)), ("",) * genes, arm,
    )  # fmt: skip
