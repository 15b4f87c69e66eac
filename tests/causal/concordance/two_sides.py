"""Simulated tables of both sides: LD blocks among the population's errors, few donors and gene programs in cells.

A gene's expression in a donor is programs (shared by cell types in part) plus its own; a cell type's table is
the t statistic of patients against controls per gene, with all donors and without each. Trait genes come from
two programs ("program"), which is what makes naive tests fail, from anywhere ("scattered"), or there are none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

TYPES = ("T", "B", "NK", "mono", "DC", "plasma")


@dataclass(frozen=True)
class TwoSides:
    population: pd.DataFrame
    cells: pd.DataFrame
    left_out: pd.DataFrame
    active: tuple[str, ...]
    true_r: dict[str, float]


def two_sides(
    seed: int, *, n_genes: int = 400, n_donors: int = 12, n_types: int = 6, n_active: int = 2,
    signal: str = "program", strength: float = 3.0, effect: float = 1.0, specific: float = 0.0,
    program_share: float = 0.4, ld: float = 0.5, sign: float = 1.0, pulls: bool = True,
) -> TwoSides:  # fmt: skip
    """`strength` of trait genes in z, `effect` on expression in sd; `specific`: noise of the effect in cells."""
    rng = np.random.default_rng([seed, 77])
    block = np.repeat(np.arange(n_genes), 1 + rng.poisson(1.2, n_genes))[:n_genes]
    program = rng.integers(-1, 8, n_genes)
    loading = np.zeros((n_genes, 8))
    inside = np.flatnonzero(program >= 0)
    loading[inside, program[inside]] = rng.choice([-1, 1], inside.size, p=[0.2, 0.8]) * np.sqrt(program_share)
    own = np.sqrt(1 - (loading**2).sum(axis=1))
    trait = np.zeros(n_genes)
    if signal == "program":
        pool = np.flatnonzero((program == 0) | (program == 1))
        some = rng.choice(pool, pool.size // 2, replace=False)
        trait[some] = rng.normal(1, 0.3, some.size) * np.sign(loading[some].sum(axis=1))
    elif signal == "scattered":
        some = rng.choice(n_genes, n_genes // 10, replace=False)
        trait[some] = rng.normal(0, 1, some.size)
    noise = np.sqrt(ld) * rng.normal(size=n_genes)[block] + np.sqrt(1 - ld) * rng.normal(size=n_genes)
    se = rng.uniform(0.01, 0.05, n_genes)
    alpha = (strength * trait + noise) * se
    sick = np.arange(n_donors) % 2 == 0
    shared = rng.normal(size=(n_donors, 8))
    cells, left_out, true_r = [], [], {}
    names = np.array([f"ENSG{number:011d}" for number in range(n_genes)])
    level = rng.normal(size=n_genes)
    for t in range(n_types):
        scores = np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.normal(size=(n_donors, 8))
        values = scores @ loading.T + own * rng.normal(size=(n_donors, n_genes))
        shift = sign * effect * (trait + specific * (trait != 0) * rng.normal(size=n_genes)) * (t < n_active)
        values += np.outer(sick - 0.5, shift)
        theta, error, df = _tests(values, sick)
        true_r[TYPES[t]] = float(np.corrcoef(trait, shift)[0, 1]) if shift.any() else 0.0
        table = {"cell_type": TYPES[t], "gene": names, "theta": theta, "se": error, "statistic": theta / error, "df": df, "theta_sd": theta, "mean_expression": level + 0.2 * rng.normal(size=n_genes), "flags": ""}  # fmt: skip
        cells.append(pd.DataFrame(table))
        pull = _pulls(values, sick) / error
        for donor in range(n_donors):
            kept = np.arange(n_donors) != donor
            part, _, _ = _tests(values[kept], sick[kept])
            left_out.append(pd.DataFrame({"cell_type": TYPES[t], "gene": names, "left_out": f"D{donor:02d}", "statistic": part / error, "pull": pull[donor]}))  # fmt: skip
    population = pd.DataFrame({"gene": names, "symbol": [f"G{number}" for number in range(n_genes)], "chromosome": (1 + block * 22 // (block.max() + 1)).astype(str), "position": block * 5e6 + rng.uniform(0, 4e5, n_genes), "alpha": alpha, "se": se, "z": alpha / se, "flags": ""})  # fmt: skip
    donors = pd.concat(left_out, ignore_index=True)
    return TwoSides(population, pd.concat(cells, ignore_index=True), donors if pulls else donors.drop(columns="pull"), TYPES[:n_active] if signal != "none" else (), true_r)  # fmt: skip


def _tests(values: np.ndarray, sick: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    a, b = values[sick], values[~sick]
    df = len(values) - 2
    pooled = ((len(a) - 1) * a.var(axis=0, ddof=1) + (len(b) - 1) * b.var(axis=0, ddof=1)) / df
    return a.mean(axis=0) - b.mean(axis=0), np.sqrt(pooled * (1 / len(a) + 1 / len(b))), float(df)


def _pulls(values: np.ndarray, sick: np.ndarray) -> np.ndarray:
    """Donors' parts (m, genes) of the error of a difference of means with one variance in both arms."""
    residual = np.where(
        sick[:, None], values - values[sick].mean(axis=0), values - values[~sick].mean(axis=0)
    )
    return residual * np.sqrt((1 / sick.sum() + 1 / (~sick).sum()) / (len(values) - 2))
