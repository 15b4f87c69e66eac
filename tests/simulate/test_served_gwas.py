"""Summary statistics: the model's numbers, and the files by a parser of a few lines."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from consilience.simulate.cohort import write_cohort
from consilience.simulate.gwas import p_of
from consilience.simulate.loci import draw_eqtl_effects, draw_ld, panel_ld, simulate_locus
from consilience.simulate.truth import Truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

Serve = Callable[..., Path]


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_ld_is_a_correlation_matrix_with_blocks() -> None:
    ld = draw_ld(n_snps=60, rng=np.random.default_rng(0))
    assert np.allclose(ld, ld.T)
    assert np.allclose(np.diag(ld), 1)
    assert np.linalg.eigvalsh(ld)[0] > 0
    near, far = np.abs(np.diag(ld, 1)), np.abs(np.diag(ld, 30))
    assert (near > 0.55).mean() > 0.6
    assert far.max() < 0.2


def test_panel_ld_scatters_as_a_sample_correlation() -> None:
    ld = draw_ld(n_snps=4, rng=np.random.default_rng(1))
    root = np.linalg.cholesky(ld)
    rng = np.random.default_rng(2)
    drawn = np.stack([panel_ld(root=root, rng=rng) for _ in range(1500)])
    expected = (1 - ld**2) / math.sqrt(5_000)
    off = ~np.eye(4, dtype=bool)
    assert np.abs(drawn.mean(axis=0) - ld)[off].max() < 5 * expected.max() / math.sqrt(1500) + 1e-4
    assert drawn.std(axis=0)[off] / expected[off] == pytest.approx(1.0, abs=0.1)


def test_marginal_effects_and_noise_follow_the_equations() -> None:
    """E[z] = sqrt(N) R B and sqrt(N) R (B alpha + d); the noise has covariance R."""
    alpha, z_gwas, z_eqtl = np.array([0.1, -0.05]), [], []
    for seed in range(400):
        locus = simulate_locus(
            n_snps=6,
            alpha=alpha,
            n_gwas=10_000,
            n_eqtl=4_000,
            direct_scale=1.0,
            rng=np.random.default_rng(seed),
        )
        z_gwas.append((locus.z_gwas - 100 * locus.ld @ (locus.joint @ alpha + locus.direct), locus.ld))
        z_eqtl.append((locus.z_eqtl - math.sqrt(4_000) * locus.ld @ locus.joint, locus.ld))
    white = np.stack(
        [np.linalg.solve(np.linalg.cholesky(ld + 1e-9 * np.eye(6)), noise) for noise, ld in z_gwas]
    )
    assert stats.kstest(white.ravel(), "norm").pvalue > 1e-3
    white = np.stack(
        [np.linalg.solve(np.linalg.cholesky(ld + 1e-9 * np.eye(6)), noise) for noise, ld in z_eqtl]
    )
    assert stats.kstest(white.ravel(), "norm").pvalue > 1e-3


def test_eqtl_effects_explain_the_planned_heritability_and_some_are_shared() -> None:
    shared, weak, explained = [], [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        ld = draw_ld(n_snps=20, rng=rng)
        joint = draw_eqtl_effects(ld=ld, n_genes=3, rng=rng)
        values = np.einsum("ig,ij,jg->g", joint, ld, joint)
        explained.extend(values)
        weak.extend(values < 0.001)
        shared.append(bool(((joint != 0).sum(axis=1) > 1).any()))
        assert (np.count_nonzero(joint, axis=0) >= 1).all()
        assert (np.count_nonzero(joint, axis=0) <= 4).all()
    assert np.mean(weak) == pytest.approx(0.25, abs=0.06)
    assert np.median([v for v in explained if v > 0.001]) == pytest.approx(0.03, rel=0.2)
    assert 0.3 < np.mean(shared) < 0.9


def test_gwas_rows_are_consistent_with_each_other(serve: Serve) -> None:
    table = rows(serve("gwas") / "gwas.h.tsv.gz")
    places = [(int(row["chromosome"]), int(row["base_pair_location"])) for row in table]
    assert places == sorted(places)
    checked = 0
    for row in table:
        if "#NA" in row.values() or row["rsid"].startswith("rs8"):
            continue
        beta, error, p = (float(row[key]) for key in ("beta", "standard_error", "p_value"))
        assert p == pytest.approx(2 * stats.norm.sf(abs(beta / error)), rel=2e-3, abs=1e-300)
        frequency = float(row["effect_allele_frequency"])
        n = float(row["n"])
        expected = 1 / math.sqrt(2 * frequency * (1 - frequency) * (n + (beta / error) ** 2))
        assert error == pytest.approx(expected, rel=0.01)
        checked += 1
    assert checked > 100


def planted_alpha(folder: Path) -> pd.Series:
    """Effect on this trait of each gene that some variant regulates."""
    facts = pd.read_parquet(folder.parent / "samples.parquet")
    return facts[facts["gene"] != ""].groupby("gene")["alpha"].first()


def test_an_unrelated_trait_has_other_genes_of_the_same_strength(
    serve: Serve, settings: SimulationSection, truth: Truth, truth_dir: Path, tmp_path: Path
) -> None:
    genes = truth.genes.set_index("gene")
    own = planted_alpha(serve("gwas"))
    assert (own == genes.loc[own.index, "alpha"]).all()
    settings = settings.model_copy(update={"cohorts": {"height": {"unrelated": True}}})
    write_cohort(
        cohort=Cohort("height", "summary_statistics", "simulated", "gwas_ssf"), settings=settings, seed=truth.seed,
        truth_dir=truth_dir, served_dir=tmp_path / "height", samples_path=tmp_path / "samples.parquet", threads=1,
    )  # fmt: skip
    other = planted_alpha(tmp_path / "height")
    assert (other != 0).sum() >= 3
    assert not genes.loc[other.index[other != 0], "causal"].any()
    assert set(np.abs(other[other != 0])) <= set(np.abs(genes.loc[genes["causal"], "alpha"]))


def test_ill_rows_of_real_files_are_there(serve: Serve) -> None:
    table = rows(serve("gwas") / "gwas.h.tsv.gz")
    names = [row["rsid"] for row in table]
    assert any(len(row["effect_allele"]) > 1 for row in table)
    assert any(row["beta"] == "#NA" for row in table)
    assert len(names) - len(set(names)) == 3


def test_eqtl_and_gwas_tell_the_planted_story_after_alignment(serve: Serve, truth: Truth) -> None:
    """Allele by allele: flips are as planted, and z of both studies is the model's in the panel's coding."""
    folder = serve("gwas")
    facts = pd.read_parquet(folder.parent / "samples.parquet").drop_duplicates("id").set_index("id")
    panel = pd.concat([pd.read_csv(path, sep="\t") for path in (folder / "ld").glob("*.snps.tsv")]).set_index(
        "rsid"
    )
    complement = str.maketrans("ACGT", "TGCA")
    flips = []
    for row in rows(folder / "eqtl.tsv.gz"):
        alleles = (row["AssessedAllele"], row["OtherAllele"])
        if facts.loc[row["SNP"], "other_strand_eqtl"]:
            alleles = tuple(allele.translate(complement) for allele in alleles)
        reference = (panel.loc[row["SNP"], "effect_allele"], panel.loc[row["SNP"], "other_allele"])
        flipped = alleles == reference[::-1] and alleles != reference
        assert flipped == facts.loc[row["SNP"], "flipped_eqtl"]
        flips.append(flipped)
    assert 0.2 < np.mean(flips) < 0.6
    table = pd.DataFrame(rows(folder / "gwas.h.tsv.gz")).set_index("rsid")
    for name in table.index.intersection(facts.index):
        flipped = table.loc[name, "effect_allele"] == panel.loc[name, "other_allele"]
        assert flipped == facts.loc[name, "flipped_gwas"]
        frequency = panel.loc[name, "frequency"]
        assert float(table.loc[name, "effect_allele_frequency"]) == pytest.approx(
            1 - frequency if flipped else frequency, abs=1e-4
        )


def test_loci_with_causal_genes_come_first_and_carry_the_signal(serve: Serve, truth: Truth) -> None:
    facts = pd.read_parquet(serve("gwas").parent / "samples.parquet")
    loci = set(facts["locus"])
    assert len(loci) == 12
    genes = truth.genes[truth.genes["locus"].isin(loci)]
    assert genes.groupby("locus")["causal"].any().all()


def test_tiny_p_values() -> None:
    assert p_of(0.0) == 1.0
    assert p_of(-3.0) == pytest.approx(2 * stats.norm.sf(3.0))
    assert p_of(60.0) == 0.0


def test_fdr_column_is_benjamini_hochberg(serve: Serve) -> None:
    table = pd.DataFrame(rows(serve("gwas") / "eqtl.tsv.gz"))
    z = table["Zscore"].astype(float).abs()
    assert (z.diff().dropna() <= 1e-3).all()
    expected = stats.false_discovery_control(np.maximum(2 * stats.norm.sf(z), 1e-320))
    assert table["FDR"].astype(float).to_numpy() == pytest.approx(expected, rel=2e-3, abs=1e-300)


@pytest.mark.parametrize(
    "sizes", [{"n_loci": 1, "snps_per_locus": 1}, {"n_loci": 3, "n_gwas": 1, "n_eqtl": 1}]
)
def test_hostile_sizes_of_summary_statistics(sizes: dict[str, int], truth_dir: Path, tmp_path: Path) -> None:
    settings = SimulationSection.model_validate(
        {"n_genes": 600, "n_causal_genes": 20, "n_causal_pathways": 2, "summary_statistics": sizes}
    )
    write_cohort(
        cohort=Cohort("g", "summary_statistics", "simulated", "gwas_ssf"), settings=settings, seed=7,
        truth_dir=truth_dir, served_dir=tmp_path / "served", samples_path=tmp_path / "samples.parquet", threads=1,
    )  # fmt: skip
    assert len(list((tmp_path / "served" / "ld").glob("*.ld.gz"))) == sizes["n_loci"]
    ld = np.array(
        gzip.decompress(next((tmp_path / "served" / "ld").glob("*.ld.gz")).read_bytes()).split(), float
    )
    assert ld[0] == 1.0
