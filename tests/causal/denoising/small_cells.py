"""A small file of cells as the study prepares it: donors, batches, cell types, planted programs, no network."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

TYPES = ("a", "b", "c")


def cells(
    n_donors=6, per_donor=40, n_genes=60, seed=0, donor_sd=0.2, batch_sd=0.2, disease=0.0, n_programs=2
):
    """Counts (n, genes), expected log rates, obs; genes 0-4 change with disease in type a, cases are even."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0.3, 0.7, n_genes)
    by_type = rng.normal(0, 0.8, (len(TYPES), n_genes))
    programs = rng.normal(0, 0.4, (n_programs, n_genes)) * (rng.random((n_programs, n_genes)) < 0.4)
    batches = rng.normal(0, batch_sd, (2, n_genes))
    n = n_donors * per_donor
    donor = np.repeat(np.arange(n_donors), per_donor)
    kind = rng.integers(len(TYPES), size=n)
    scores = rng.normal(0, 1, (n, n_programs))
    case = donor % 2 == 0
    log_rate = base + by_type[kind] + scores @ programs
    log_rate = log_rate + rng.normal(0, donor_sd, (n_donors, n_genes))[donor] + batches[donor // 2 % 2]
    log_rate[:, :5] += disease * (case & (kind == 0))[:, None]
    size = np.exp(rng.normal(0, 0.3, n))
    mean = np.exp(log_rate) * size[:, None]
    counts = rng.poisson(rng.gamma(2.0, mean / 2.0))
    obs = pd.DataFrame({
        "donor": [f"D{code:02d}" for code in donor], "batch": [f"b{code}" for code in donor // 2 % 2],
        "cell_type": np.array(TYPES)[kind], "condition": np.where(case, "ill", "well"), "size_factor": size,
    }, index=[f"cell{place:05d}" for place in rng.permutation(n)])  # fmt: skip
    for name in ("donor", "batch", "cell_type", "condition"):
        obs[name] = pd.Categorical(obs[name])
    return counts, log_rate, obs


def write(path, counts, obs, *, genes=None, with_x=True, dtype=np.int32):
    """The prepared file: with X, or counts and size factors alone."""
    counts = np.asarray(counts)
    genes = [f"G{number:03d}" for number in range(counts.shape[1])] if genes is None else list(genes)
    plain = np.abs(np.where(np.isfinite(counts), counts, 1.0))
    size = np.abs(np.nan_to_num(obs["size_factor"].to_numpy())) + 1e-9
    var = pd.DataFrame(
        {"total_counts": plain.sum(axis=0), "dispersions_norm": plain.var(axis=0)}, index=genes
    )
    stored = sparse.csr_matrix(counts.astype(dtype))
    data = anndata.AnnData(
        X=sparse.csr_matrix(np.log1p(plain / size[:, None]).astype(np.float32))
        if with_x else None,
        obs=obs, var=var, layers={"counts": stored}, shape=None if with_x else counts.shape,
    )  # fmt: skip
    data.write_h5ad(path)
    return path


def permuted(counts, obs, rows, genes=None):
    """The same cells (and genes) in another order."""
    counts = counts[rows]
    return (counts if genes is None else counts[:, genes]), obs.iloc[rows]
