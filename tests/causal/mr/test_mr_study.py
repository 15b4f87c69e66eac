"""The table of a study: a row for every gene and method, whatever the gene has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal.mr.simulated import exposures
from consilience.causal.inputs import GeneInputs
from consilience.causal.inputs_file import write_inputs
from consilience.causal.mr.one import mendelian_randomisation
from consilience.causal.mr.study import COLUMNS, write_mr
from consilience.foundation.errors import ConfigError, DataError
from consilience.study.causal import MrSection

METHODS = ["wald_ratio", "ivw_fixed", "ivw_ld", "egger", "weighted_median", "weighted_mode"]


def inputs(count: int = 6) -> list[GeneInputs]:
    """Genes with a neighbour each: a variant of the neighbour alone must not become an instrument."""
    made = []
    for number, one in enumerate(exposures(count, effect=0.1, n=5 + count % 3, rho=0.3)):
        n = len(one.b_exp)
        eqtl = np.column_stack([one.b_exp, np.linspace(0.05, 0.1, n)])
        eqtl[-1, 0] = 0.0
        gene, other = f"ENSG{number:011d}", f"ENSG{number + 500:011d}"
        made.append(GeneInputs(
            gene, f"G{number}", (gene, other), tuple(f"rs{number}{i}" for i in range(n)), eqtl, one.b_out, one.ld,
            eqtl != 0, np.array([32_000.0, 20_000.0]), 240_000.0,
        ))  # fmt: skip
    return made


def written(folder: Path, ones: list[GeneInputs], *, settings: MrSection, seed: int = 1) -> pd.DataFrame:
    names = [one.gene for one in ones] + ["ENSG00000009999"]
    genes = pd.DataFrame({
        "gene": names, "symbol": [one.symbol for one in ones] + ["NONE"], "chromosome": "1",
        "position": np.arange(len(names)) * 10_000,
    })  # fmt: skip
    write_inputs(folder / "inputs.parquet", ones)
    genes.to_parquet(folder / "genes.parquet")
    write_mr(
        folder / "inputs.parquet",
        folder / "genes.parquet",
        folder / "mr.parquet",
        settings=settings,
        seed=seed,
    )
    return pd.read_parquet(folder / "mr.parquet")


def test_table_has_every_gene_and_method(tmp_path: Path) -> None:
    ones = inputs()
    table = written(tmp_path, ones, settings=MrSection(methods=METHODS, bootstraps=200))
    assert list(table.columns) == list(COLUMNS)
    assert list(table["method"]) == METHODS * 7
    assert list(table["gene"].unique()) == [one.gene for one in ones] + ["ENSG00000009999"]
    absent = table[table["gene"] == "ENSG00000009999"]
    assert absent["estimate"].isna().all()
    assert set(absent["flags"]) == {"no_instruments;few_variants"}
    numbers = table.columns.difference(["gene", "symbol", "chromosome", "method", "steiger", "flags"])
    assert all(table[name].dtype.kind in "if" for name in numbers)
    one = ones[2]
    own = one.eqtl[:, 0] != 0
    due = mendelian_randomisation(
        "ivw_ld", b_exp=one.eqtl[own, 0], se_exp=np.full(own.sum(), 32_000**-0.5), b_out=one.gwas[own],
        se_out=np.full(own.sum(), 240_000**-0.5), ld=one.ld[np.ix_(own, own)], n_exp=32_000, n_out=240_000,
    )  # fmt: skip
    row = table[(table["gene"] == one.gene) & (table["method"] == "ivw_ld")].iloc[0]
    assert row["n_snps"] == own.sum()
    assert row["symbol"] == "G2"
    assert row["estimate"] == pytest.approx(due.estimate, rel=1e-12)
    assert row["se"] == pytest.approx(due.se, rel=1e-12)
    assert (row["steiger"], row["flags"]) == (due.direction, due.flags)


def test_false_discovery_rates_are_within_a_method(tmp_path: Path) -> None:
    table = written(tmp_path, inputs(12), settings=MrSection(methods=METHODS, bootstraps=100))
    for _, part in table.groupby("method"):
        known = part[part["p"].notna()]
        by_hand = [min((known["p"][known["p"] >= p] * len(known) / known["p"].rank(method="max")).min(), 1.0)
                   for p in known["p"]]  # fmt: skip
        assert np.allclose(known["fdr"], by_hand)
        assert part["fdr"].isna().eq(part["p"].isna()).all()


def test_table_follows_from_the_seed_and_not_from_order(tmp_path: Path) -> None:
    settings = MrSection(methods=METHODS, bootstraps=100)
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    first = written(folders[0], inputs(), settings=settings)
    pd.testing.assert_frame_equal(first, written(folders[1], inputs(), settings=settings))
    turned = written(folders[2], inputs()[::-1], settings=settings)
    keys = ["gene", "method"]
    aligned = turned.set_index(keys).loc[pd.MultiIndex.from_frame(first[keys])].reset_index()
    due = first.drop(columns="position")
    pd.testing.assert_frame_equal(aligned[due.columns], due, rtol=1e-12)
    assert (written(folders[2], inputs(), settings=settings, seed=2)["se"] != first["se"]).any()


def test_errors_name_the_file(tmp_path: Path) -> None:
    settings = MrSection(methods=["ivw_fixd"])
    with pytest.raises(ConfigError, match="ivw_fixed"):
        written(tmp_path, inputs(), settings=settings)
    genes = tmp_path / "genes.parquet"
    pd.read_parquet(genes).head(2).to_parquet(genes)
    with pytest.raises(DataError, match=r"genes\.parquet"):
        write_mr(tmp_path / "inputs.parquet", genes, tmp_path / "m.parquet", settings=MrSection(), seed=1)
    pd.DataFrame({"gene": ["a"]}).to_parquet(genes)
    with pytest.raises(DataError, match=r"genes.parquet.*symbol"):
        write_mr(tmp_path / "inputs.parquet", genes, tmp_path / "m.parquet", settings=MrSection(), seed=1)


def test_nothing_at_all_is_an_empty_table(tmp_path: Path) -> None:
    write_inputs(tmp_path / "inputs.parquet", [])
    empty = pd.DataFrame({"gene": [], "symbol": [], "chromosome": [], "position": []})
    empty.to_parquet(tmp_path / "genes.parquet")
    write_mr(
        tmp_path / "inputs.parquet",
        tmp_path / "genes.parquet",
        tmp_path / "mr.parquet",
        settings=MrSection(),
        seed=1,
    )
    table = pd.read_parquet(tmp_path / "mr.parquet")
    assert len(table) == 0
    assert list(table.columns) == list(COLUMNS)
