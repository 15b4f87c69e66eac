"""Prepared expression files as the workflow writes them, with a planted difference between the arms."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from consilience.expression.genes import load_gene_table

GENES = tuple(load_gene_table().symbols_of(gene_type="protein_coding")[200:320])
SICK = 12
"""The first so many genes are three times higher in cases."""


def bulk_file(
    path: Path, n: int = 24, *, seed: int = 1, genes: tuple[str, ...] = GENES, units: str = "counts"
) -> Path:
    random = np.random.default_rng(seed)
    case = np.arange(n) % 2 == 0
    counts = _counts(random, case, genes)
    if units == "counts":
        x = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e6)
    else:
        x = np.log2(counts + 16.0)
    obs = pd.DataFrame({
        "sample": [f"s{k:02d}" for k in range(n)], "donor": [f"{path.stem}-{k:02d}" for k in range(n)],
        "arm": np.where(case, "case", "control"), "condition": np.where(case, "ill", "well"),
        "batch": [f"b{k % 3}" for k in range(n)],
    })  # fmt: skip
    data = anndata.AnnData(
        x.astype(np.float32), obs=obs.set_index(obs["sample"].to_numpy()), var=_var(x, genes)
    )
    data.layers["counts"] = counts.astype(np.float32)
    return _written(data, path, kind="bulk", units=units)


def cells_file(path: Path, donors: int = 8, *, seed: int = 2, cells: int = 15) -> Path:
    random = np.random.default_rng(seed)
    rows = [(d, t, k) for d in range(donors) for t in ("B", "T") for k in range(cells)]
    case = np.array([d % 2 == 0 for d, _, _ in rows])
    counts = _counts(random, case, GENES) // 10
    names = [f"cell-{d}-{t}-{k}" for d, t, k in rows]
    total = counts.sum(axis=1, keepdims=True)
    x = np.log1p(counts / total * 1e4)
    obs = pd.DataFrame({
        "sample": [f"run{d}" for d, _, _ in rows], "donor": [f"p{d}" for d, _, _ in rows],
        "arm": np.where(case, "case", "control"), "condition": np.where(case, "ill", "well"),
        "cell_type": [t for _, t, _ in rows], "size_factor": total[:, 0] / 1e4,
    }, index=names)  # fmt: skip
    data = anndata.AnnData(sparse.csr_matrix(x.astype(np.float32)), obs=obs, var=_var(x, GENES))
    data.layers["counts"] = sparse.csr_matrix(counts.astype(np.float32))
    return _written(data, path, kind="single_cell", units="counts")


def gene_sets_file(path: Path) -> Path:
    random = np.random.default_rng(5)
    lines = ["ILL\tplanted\t" + "\t".join(GENES[:SICK])]
    for number in range(8):
        lines.append(f"P{number}\tdrawn\t" + "\t".join(sorted(random.choice(GENES, 15, replace=False))))
    path.write_text("\n".join(lines) + "\n")
    return path


def _counts(random: np.random.Generator, case: np.ndarray, genes: tuple[str, ...]) -> np.ndarray:
    level = np.random.default_rng(0).gamma(2.0, 60.0, len(GENES)) + 5
    level = dict(zip(GENES, level, strict=True))
    rate = np.tile([level.get(gene, 50.0) for gene in genes], (len(case), 1))
    rate[np.ix_(case, [gene in GENES[:SICK] for gene in genes])] *= 3
    return random.poisson(rate * random.gamma(10, 0.1, rate.shape)).astype(np.int64)


def _var(x: np.ndarray, genes: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({"variance": x.var(axis=0)}, index=list(genes))


def _written(data: anndata.AnnData, path: Path, *, kind: str, units: str) -> Path:
    data.uns["consilience"] = {"cohort": path.stem, "kind": kind, "units": units}
    data.write_h5ad(path)
    return path
