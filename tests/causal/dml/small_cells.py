"""Small cohorts of cells: donors with their own levels, planted genes, a confounder; written as prepared files are."""

from __future__ import annotations

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

GENES = 30
PLANTED = (0, 1)
"""Genes of the type B that cases have more of, each donor by itself."""


def counts_and_obs(
    *,
    donors: int = 16,
    cells: int = 24,
    types: tuple[str, ...] = ("B", "T"),
    seed: int = 0,
    effect: float = 2.0,
):
    """Counts (n, GENES) int32 and the table of cells, shuffled."""
    rng = np.random.default_rng(seed)
    counts, obs = [], []
    for number in range(donors):
        case = number % 2
        for kind in types:
            level = rng.normal(0, 0.25, GENES)
            if kind == "B":
                level[list(PLANTED)] += effect * case
            depth = rng.lognormal(0, 0.3, cells)
            rate = np.exp(level + np.linspace(-1, 1.5, GENES))
            counts.append(rng.poisson(rate * depth[:, None]))
            obs.append(pd.DataFrame({
                "donor": f"P{number:02d}", "arm": "case" if case else "control", "cell_type": kind,
                "batch": f"b{number // 2 % 2}", "sex": ["female", "male"][number // 4 % 2],
                "age": str(30 + 3 * (number * 7 % 11)),
            }, index=[f"{kind}{number}_{one}" for one in range(cells)]))  # fmt: skip
    stacked, table = np.concatenate(counts).astype(np.int32), pd.concat(obs)
    order = rng.permutation(len(table))
    table, stacked = table.iloc[order], stacked[order]
    table["library_size"] = stacked.sum(1).astype(float)
    table["size_factor"] = stacked.sum(1) / 10_000
    table["mitochondrial_share"] = rng.random(len(table)) / 10
    return stacked, table


def write_cells(path: Path, counts, obs, *, with_x: bool = True) -> Path:
    """A file as `expression.cells` writes it: X log-normalised and counts, or counts and size factors alone."""
    factors = obs["size_factor"].to_numpy()[:, None]
    logged = np.log1p(counts / np.where(factors > 0, factors, 1)).astype(np.float32)
    var = pd.DataFrame(
        {"ensembl_id": [f"ENSG{one:011d}" for one in range(counts.shape[1])]},
        index=[f"G{one}" for one in range(counts.shape[1])],
    )
    obs = obs.assign(
        **{name: pd.Categorical(values) for name, values in obs.items() if values.dtype == object}
    )
    data = anndata.AnnData(sparse.csr_matrix(logged), obs=obs, var=var,
                           layers={"counts": sparse.csr_matrix(counts)})  # fmt: skip
    data.write_h5ad(path)
    if not with_x:
        with h5py.File(path, "r+") as file:
            del file["X"]
    return path
