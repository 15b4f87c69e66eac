"""twmr.parquet: every gene of the eQTL table, from inputs.parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal.twmr.simulated import Scenario, simulate
from consilience.causal.inputs import GeneInputs
from consilience.causal.inputs_file import Bucket, write_inputs
from consilience.causal.twmr.estimate import estimate
from consilience.causal.twmr.study import ORDER, write_twmr
from consilience.foundation.errors import DataError
from consilience.study.causal import InstrumentsSection


def gene_inputs(bucket: Bucket, first: int = 0) -> list[GeneInputs]:
    n, k = bucket.eqtl.shape[1:]
    return [
        GeneInputs(
            gene=f"G{first + row}", symbol=f"S{first + row}", genes=(f"G{first + row}", *(f"N{j}" for j in range(1, k))),
            variants=tuple(f"rs{v}" for v in range(n)), eqtl=bucket.eqtl[row], gwas=bucket.gwas[row], ld=bucket.ld[row],
            known=bucket.known[row], n_eqtl=bucket.n_eqtl[row], n_gwas=float(bucket.n_gwas[row]),
        )
        for row in range(len(bucket.index))
    ]  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Path, Bucket]:
    bucket = simulate(Scenario(n=6, k=2, focal=0.2), genes=4, seed=1)
    write_inputs(tmp_path / "inputs.parquet", gene_inputs(bucket))
    names = ["X", "G2", "G0", "G1", "G3", "Y"]
    listed = pd.DataFrame(
        {"gene": names, "symbol": [f"S{name}" for name in names], "chromosome": "1", "position": range(6),
         "mean_f": [np.nan, 30.0, 2.0, 30.0, 30.0, np.nan], "unknown_pairs": 0, "left_out_genes": "",
         "flags": "of_the_instruments"}
    )  # fmt: skip
    listed.to_parquet(tmp_path / "genes.parquet")
    return tmp_path / "inputs.parquet", tmp_path / "genes.parquet", bucket


def test_every_gene_has_a_row_in_the_order_of_the_list(written, tmp_path: Path) -> None:
    inputs, genes, bucket = written
    write_twmr(inputs, genes, tmp_path / "twmr.parquet", settings=InstrumentsSection())
    got = pd.read_parquet(tmp_path / "twmr.parquet")
    assert tuple(got.columns[: len(ORDER)]) == ORDER
    assert got["gene"].tolist() == ["X", "G2", "G0", "G1", "G3", "Y"]
    assert got["symbol"].tolist() == ["SX", "SG2", "SG0", "SG1", "SG3", "SY"]
    expected = estimate([bucket], 4).numbers
    for name in ("alpha", "se", "p", "alpha_published", "q_p", "condition"):
        np.testing.assert_array_equal(got[name], [np.nan, *expected[name][[2, 0, 1, 3]], np.nan])
    assert got["flags"][[0, 5]].tolist() == ["no_instruments"] * 2
    assert got["n_snps"].tolist() == [0, 6, 6, 6, 6, 0]
    assert "weak_instruments" in got["flags"][2]
    assert "weak_instruments" not in got["flags"][1]
    p = got["p"].dropna().to_numpy()
    ranks = np.argsort(np.argsort(p)) + 1
    rates = np.array([min(p[ranks >= rank] * 4 / ranks[ranks >= rank]) for rank in ranks])
    np.testing.assert_allclose(got["fdr"].dropna(), np.minimum(rates, 1))


def test_least_mean_f_is_a_setting(written, tmp_path: Path) -> None:
    inputs, genes, _ = written
    write_twmr(inputs, genes, tmp_path / "twmr.parquet", settings=InstrumentsSection(min_f=0))
    assert not pd.read_parquet(tmp_path / "twmr.parquet")["flags"].str.contains("weak").any()


def test_no_gene_with_instruments(tmp_path: Path) -> None:
    write_inputs(tmp_path / "inputs.parquet", [])
    pd.DataFrame({"gene": ["A"], "symbol": ["a"], "chromosome": ["1"], "position": [1]}).to_parquet(
        tmp_path / "genes.parquet"
    )
    write_twmr(
        tmp_path / "inputs.parquet", tmp_path / "genes.parquet", tmp_path / "out.parquet",
        settings=InstrumentsSection(),
    )  # fmt: skip
    got = pd.read_parquet(tmp_path / "out.parquet")
    assert got["flags"].tolist() == ["no_instruments"]
    assert got["alpha"].isna().all()


def test_files_that_do_not_belong_together(written, tmp_path: Path) -> None:
    inputs, genes, _ = written
    pd.read_parquet(genes).query("gene != 'G1'").to_parquet(genes)
    with pytest.raises(DataError, match="does not list every gene"):
        write_twmr(inputs, genes, tmp_path / "out.parquet", settings=InstrumentsSection())
    genes.write_text("no parquet")
    with pytest.raises(DataError, match="not a readable table"):
        write_twmr(inputs, genes, tmp_path / "out.parquet", settings=InstrumentsSection())
    assert not (tmp_path / "out.parquet").exists()


def test_an_effect_that_may_be_another_genes_is_set_apart(written, tmp_path: Path) -> None:
    inputs, genes, bucket = written
    listed = pd.read_parquet(genes)
    listed.loc[listed["gene"].isin(["G1", "Y"]), "flags"] = "few_variants;shared_variants"
    listed.to_parquet(genes)
    write_twmr(inputs, genes, tmp_path / "twmr.parquet", settings=InstrumentsSection())
    got = pd.read_parquet(tmp_path / "twmr.parquet").set_index("gene")
    expected = estimate([bucket], 4).numbers
    for name in ("alpha", "se", "p"):
        assert got.at["G1", f"{name}_shared"] == expected[name][1]
        assert got[f"{name}_shared"].notna().sum() == 1
    assert got.loc["G1", ["alpha", "se", "p", "fdr", "low", "high", "z"]].isna().all()
    assert got.at["G1", "alpha_published"] == expected["alpha_published"][1]
    assert got.at["G1", "flags"].split(";")[0] == "shared_effect"
    assert "shared_effect" not in got.at["Y", "flags"]
    left = got.loc[["G0", "G2", "G3"], ["p", "fdr"]]
    assert left["fdr"].max() == pytest.approx(left["p"].max())
