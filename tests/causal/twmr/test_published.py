"""The published estimator: the same numbers as R, as golden values, and as a slow literal implementation."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal.twmr.files import write_folder
from causal.twmr.simulated import Scenario, simulate
from consilience.causal.inputs_file import Bucket
from consilience.causal.twmr.estimate import estimate
from consilience.causal.twmr.folder import read_folder

N_GWAS, N_EQTL = 239_087, 32_000
# alpha, se and p on the authors' example genes for height, from an independent implementation of the formulas
GOLDEN = {
    "ENSG00000000419": (3, 2, -0.00579319, 0.00616234, 3.47e-01),
    "ENSG00000000457": (4, 1, 0.01678767, 0.00688423, 1.47e-02),
    "ENSG00000000938": (3, 1, -0.01232490, 0.00607736, 4.26e-02),
    "ENSG00000000971": (5, 1, 0.00098986, 0.00778652, 8.99e-01),
    "ENSG00000001036": (11, 2, 0.00586903, 0.00914366, 5.21e-01),
    "ENSG00000001167": (4, 1, -0.01073514, 0.00713645, 1.33e-01),
    "ENSG00000001460": (4, 2, 0.00040938, 0.00569916, 9.43e-01),
    "ENSG00000001461": (4, 2, 0.02232500, 0.00660133, 7.20e-04),
    "ENSG00000001629": (5, 2, 0.00685118, 0.00753166, 3.63e-01),
    "ENSG00000001630": (3, 1, -0.03001112, 0.00669165, 7.30e-06),
    "ENSG00000001631": (2, 1, -0.02624577, 0.00866947, 2.47e-03),
    "ENSG00000002330": (16, 2, 0.00846754, 0.00792882, 2.86e-01),
    "ENSG00000002549": (20, 1, -0.01670178, 0.00366758, 5.27e-06),
    "ENSG00000002587": (6, 1, -0.01002360, 0.00782837, 2.00e-01),
    "ENSG00000002745": (2, 1, -0.01269799, 0.00488397, 9.32e-03),
    "ENSG00000002822": (16, 2, -0.00455888, 0.00604639, 4.51e-01),
    "ENSG00000002834": (8, 2, 0.01055259, 0.00952995, 2.68e-01),
}
# alpha by least squares without a ridge, of the same genes
UNRIDGED = [
    -0.08038, 0.02644, -0.05515, 0.00175, 0.01099, -0.01681, 0.03448, 0.04966, 0.00927, -0.03794, -0.06505,
    0.05641, -0.01746, -0.02135, -0.09559, -0.00616, 0.02791,
]  # fmt: skip


def literal(eqtl, gwas, ld, n_eqtl, n_gwas):
    """The script's algebra with the whole Jacobian and the whole covariance."""
    ridge = 1 / np.sqrt(3781)
    E = eqtl[:, np.abs(eqtl).sum(axis=0) != 0]
    n, k = E.shape
    inverse = np.linalg.inv(ld)
    P = np.linalg.inv((1 - ridge) * E.T @ inverse @ E + ridge * np.eye(k))
    alpha = P @ E.T @ inverse @ gwas
    along = P @ E.T @ inverse
    by_effects = np.kron(P, gwas @ inverse @ (np.eye(n) + E @ along)) - np.kron(alpha, along)
    J = np.hstack([by_effects, along])
    errors = np.concatenate([np.full(n * k, 1 / np.sqrt(n_eqtl)), np.full(n, 1 / np.sqrt(n_gwas))])
    sigma = np.outer(errors, errors) * np.kron(ld, np.eye(k + 1))
    return alpha[0], np.sqrt((J @ sigma @ J.T)[0, 0])


def compare_with_literal(bucket: Bucket) -> None:
    numbers = estimate([bucket], len(bucket.index)).numbers
    for place in range(len(bucket.index)):
        alpha, se = literal(
            bucket.eqtl[place],
            bucket.gwas[place],
            bucket.ld[place],
            bucket.n_eqtl[place, 0],
            bucket.n_gwas[place],
        )
        assert numbers["alpha_published"][place] == pytest.approx(alpha, rel=1e-10)
        assert numbers["se_published"][place] == pytest.approx(se, rel=1e-10)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (3, 2), (8, 4), (25, 3)])
def test_equals_the_literal_formulas(n: int, k: int) -> None:
    compare_with_literal(simulate(Scenario(n=n, k=k, strength=40, focal=0.1), genes=5, seed=n))


def test_equals_the_literal_formulas_when_genes_without_effects_are_dropped() -> None:
    bucket = simulate(Scenario(n=9, k=4, strength=40, focal=0.1), genes=6, seed=1)
    bucket.eqtl[[0, 3], :, 1] = 0.0
    bucket.eqtl[3, :, 3] = 0.0
    compare_with_literal(bucket)
    found = estimate([bucket], 6)
    assert found.numbers["n_genes"].tolist() == [3, 4, 4, 2, 4, 4]


@pytest.mark.real_data
def test_golden_values_of_the_authors_genes(kit: Path) -> None:
    buckets, named = read_folder(kit / "sumstats" / "twmr_height", n_gwas=N_GWAS, n_eqtl=N_EQTL)
    assert named.gene == list(GOLDEN)
    numbers = estimate(buckets, len(named.gene)).numbers
    for row, (gene, (n, k, alpha, se, p)) in enumerate(GOLDEN.items()):
        assert (len(named.variants[row]), numbers["n_genes"][row]) == (n, k), gene
        assert numbers["alpha_published"][row] == pytest.approx(alpha, abs=5.1e-9), gene
        assert numbers["se_published"][row] == pytest.approx(se, abs=5.1e-9), gene
        assert numbers["p_published"][row] == pytest.approx(p, rel=5.1e-3), gene
    assert numbers["alpha_plain"] == pytest.approx(np.array(UNRIDGED), abs=5.1e-6)
    for bucket in buckets:
        alone = estimate([bucket], len(named.gene)).numbers
        for place, row in enumerate(bucket.index):
            alpha, se = literal(bucket.eqtl[place], bucket.gwas[place], bucket.ld[place], N_EQTL, N_GWAS)
            assert alone["alpha_published"][row] == pytest.approx(alpha, rel=1e-10)
            assert alone["se_published"][row] == pytest.approx(se, rel=1e-10)


def compare_with_r(folder: Path, out: Path) -> None:
    script = Path(__file__).with_name("published.R")
    subprocess.run(["Rscript", str(script), str(folder), str(N_GWAS), str(N_EQTL), str(out)], check=True)
    theirs = pd.read_csv(out, sep="\t")
    buckets, named = read_folder(folder, n_gwas=N_GWAS, n_eqtl=N_EQTL)
    numbers = estimate(buckets, len(named.gene)).numbers
    assert theirs["gene"].tolist() == named.gene
    for name in ("alpha", "se", "p"):
        assert numbers[f"{name}_published"] == pytest.approx(theirs[name].to_numpy(), rel=1e-9)
    assert numbers["n_genes"].tolist() == theirs["n_genes"].tolist()


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_equals_r(tmp_path: Path) -> None:
    bucket = simulate(Scenario(n=7, k=3, strength=40, focal=0.1), genes=4, seed=3)
    bucket.eqtl[1, :, 2] = 0.0
    compare_with_r(write_folder(tmp_path / "genes", bucket, trailing_na=True), tmp_path / "r.tsv")


@pytest.mark.real_data
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_equals_r_on_the_authors_genes(kit: Path, tmp_path: Path) -> None:
    compare_with_r(kit / "sumstats" / "twmr_height", tmp_path / "r.tsv")
