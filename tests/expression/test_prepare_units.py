"""Bulk cohorts that are no counts: the same three files, with what was decided said in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from consilience.expression.genes import load_gene_table
from consilience.expression.log_values import quantile_normalised, to_log2
from consilience.expression.prepare import prepare_cohort
from consilience.expression.store import open_expression
from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of
from consilience.foundation.seeds import stream
from consilience.study.cohorts import Cohort
from consilience.study.sections import NormalisationSection, QualitySection

N_SAMPLES, N_GENES = 24, 5600
WEAK, FOREIGN, WRONG_SEX = "S02", "S17", "S05"
ARRAY = {"condition": "group", "case": ("ill",), "control": ("well",)}


def symbols() -> list[str]:
    coding = load_gene_table().symbols_of(gene_type="protein_coding")
    return ["XIST", "RPS4Y1", "DDX3Y", "KDM5D", *coding[: N_GENES - 4]]


def draw() -> tuple[pd.DataFrame, pd.DataFrame]:
    """log2 values (genes, samples) and samples: a weak chip, a foreign tissue, one wrong sex."""
    rng = stream(21, "array")
    level = rng.normal(7, 1.8, (N_GENES, 1)) + rng.normal(0, 0.3, (N_GENES, N_SAMPLES))
    level[::8, :12] += 0.8
    men = np.arange(N_SAMPLES) % 2 == 0
    level[0], level[1:4] = np.where(men, 4, 10), np.where(men, 9, 4)
    level[4:, 2] = 7 + 0.3 * (level[4:, 2] - 7) - 2.5
    level[4:, 17] += rng.normal(0, 1.5, N_GENES - 4)
    names = [f"S{k:02d}" for k in range(N_SAMPLES)]
    sexes = ["male" if man else "female" for man in men]
    sexes[5] = "male"
    samples = pd.DataFrame({"sample": names, "group": ["ill"] * 12 + ["well"] * 12, "sex": sexes})
    return pd.DataFrame(level, index=pd.Index(symbols(), name="gene"), columns=names), samples


def run(out: Path, values: pd.DataFrame, samples: pd.DataFrame, **sheet: Any) -> tuple[anndata.AnnData, dict]:
    raw = out / "raw"
    raw.mkdir(parents=True)
    values.to_csv(raw / "a.tsv", sep="\t")
    samples.to_csv(raw / "a.samples.tsv", sep="\t", index=False)
    files = [
        {"name": one.name, "bytes": one.stat().st_size, "sha256": sha256_of(one)}
        for one in sorted(raw.iterdir())
    ]
    (raw / "provenance.json").write_text(json.dumps({"files": files}))
    prepare_cohort(
        cohort=Cohort("a", "bulk", "local", **(ARRAY | sheet)), raw_dir=raw, quality=QualitySection(),
        normalisation=NormalisationSection(highly_variable_genes=100), min_samples_per_arm=3, seed=1,
        expression_path=out / "e.h5ad", removed_path=out / "r.parquet", qc_path=out / "qc.json",
    )  # fmt: skip
    return anndata.read_h5ad(out / "e.h5ad"), json.loads((out / "qc.json").read_text())


def texts(record: dict) -> str:
    return " ".join(message["text"] for message in record["messages"])


@pytest.fixture(scope="module")
def array(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, anndata.AnnData, dict]:
    values, samples = draw()
    out = tmp_path_factory.mktemp("array")
    return out, *run(out, np.exp2(values).round(1), samples, units="intensity")


def test_an_array_becomes_quantile_normalised_logarithms(array: tuple[Path, anndata.AnnData, dict]) -> None:
    out, data, record = array
    assert record["units"] == data.uns["consilience"]["units"] == "intensity"
    assert list(data.layers) == []
    assert "size_factor" not in data.obs
    assert data.X.dtype == np.float32
    values, _ = draw()
    logs = to_log2(np.exp2(values).round(1).to_numpy().T, units="intensity")
    kept = [values.columns.get_loc(name) for name in data.obs_names]
    genes = [values.index.get_loc(name) for name in data.var_names]
    np.testing.assert_allclose(data.X, quantile_normalised(logs[np.ix_(kept, genes)]), rtol=1e-5)
    opened = open_expression(out / "e.h5ad")
    assert (opened.has_x, opened.has_counts) == (True, False)
    with pytest.raises(DataError, match="holds no counts"):
        next(iter(opened.counts()))
    assert "quantile" in data.uns["consilience"]["normalisation"]["x"]


def test_bad_chips_are_found_for_their_own_reasons(array: tuple[Path, anndata.AnnData, dict]) -> None:
    _, data, record = array
    reasons = {one["sample"]: one["reasons"] for one in record["samples"] if not one["kept"]}
    assert set(reasons) == {WEAK, FOREIGN}
    assert {"typical_expression", "spread"} <= set(reasons[WEAK])
    assert reasons[FOREIGN] == ["pca_distance"]
    assert {entry["metric"] for entry in record["thresholds"]} == {
        "typical_expression", "spread", "share_above_background", "pca_distance",
    }  # fmt: skip
    assert all(entry["explanation"] for entry in record["thresholds"])
    assert WRONG_SEX in texts(record)
    assert data.obs.loc[WRONG_SEX, "expressed_sex"] == "female"
    assert sum(record["distributions"]["typical_expression"]["counts"]) == N_SAMPLES


def test_the_order_of_an_array_changes_nothing(
    array: tuple[Path, anndata.AnnData, dict], tmp_path: Path
) -> None:
    _, data, _ = array
    values, samples = draw()
    rng = stream(22, "order")
    mixed = np.exp2(values).round(1).iloc[rng.permutation(N_GENES), rng.permutation(N_SAMPLES)]
    again, _ = run(tmp_path, mixed, samples, units="intensity")
    assert set(again.obs_names) == set(data.obs_names)
    np.testing.assert_allclose(again[data.obs_names, data.var_names].X, data.X, rtol=1e-5)


def test_logarithms_stay_as_they_are(tmp_path: Path) -> None:
    values, samples = draw()
    data, record = run(tmp_path, values - 3, samples, units="log2")
    expected = (values - 3).loc[data.var_names, data.obs_names].T
    np.testing.assert_allclose(data.X, expected, rtol=1e-5)
    assert record["units"] == "log2"
    assert "base of logarithms cannot be told" in texts(record)


@pytest.mark.parametrize("units", ["tpm", "fpkm", "cpm"])
def test_shares_become_log2_of_one_more(units: str, tmp_path: Path) -> None:
    values, samples = draw()
    linear = np.exp2(values) / np.exp2(values).sum() * 1e6
    linear = linear * 0.37 if units == "fpkm" else linear
    data, record = run(tmp_path, linear, samples, units=units)
    np.testing.assert_allclose(
        data.X, np.log2(linear.loc[data.var_names, data.obs_names].T + 1), rtol=1e-4, atol=1e-6
    )
    assert record["units"] == units
    assert "no method that needs counts" in texts(record)


def test_probes_of_one_gene_keep_the_strongest_and_say_so(tmp_path: Path) -> None:
    values, samples = draw()
    weaker = (values.iloc[10:20] - 2).rename(index=lambda name: f"{name}")
    stronger = values.iloc[20:30] + 2
    empty = values.iloc[:3].set_axis(["", "---", "NA"])
    mixed = pd.concat([values, weaker, stronger, empty])
    mixed.index.name = "gene"
    data, record = run(tmp_path, mixed, samples, units="log2")
    for rows, shift in ((slice(10, 20), 0), (slice(20, 30), 2)):
        genes = [name for name in values.index[rows] if name in data.var_names]
        assert genes
        expected = (values.loc[genes, data.obs_names] + shift).T
        np.testing.assert_allclose(data[:, genes].X, expected, rtol=1e-5)
    assert "20 rows name a gene that another row names too" in texts(record)
    assert "rows without a gene were left out" in texts(record)
    assert record["genes"]["duplicates"] == 20


def test_rows_with_gaps_are_left_out_and_too_many_refused(tmp_path: Path) -> None:
    values, samples = draw()
    values.iloc[40:50, 3] = np.nan
    data, record = run(tmp_path / "few", values, samples, units="log2")
    assert not set(values.index[40:50]) & set(data.var_names)
    assert f"10 of {N_GENES} rows lack a value in some sample" in texts(record)
    values.iloc[: N_GENES * 2 // 3, 4] = np.nan
    with pytest.raises(DataError, match=r"most are missing in 'S04': 3733\)"):
        run(tmp_path / "many", values, samples, units="log2")


def test_selected_samples_only_and_the_others_are_counted(tmp_path: Path) -> None:
    values, samples = draw()
    data, record = run(tmp_path / "men", values, samples, units="log2", select="sex=male")
    assert set(data.obs["sex"]) == {"male"}
    assert record["n_in"] == 13
    assert "11 of 24 samples are not of 'sex=male' and were left out" in texts(record)
    with pytest.raises(DataError, match="no sample has this level of 'sex'"):
        run(tmp_path / "none", values, samples, units="log2", select="sex=men")


def test_estimates_are_counts_from_there_on(tmp_path: Path) -> None:
    values, samples = draw()
    counts = np.exp2(values).round(1)
    data, record = run(tmp_path, counts, samples, units="estimated_counts")
    np.testing.assert_array_equal(
        data.layers["counts"], np.rint(counts.loc[data.var_names, data.obs_names].T)
    )
    assert record["units"] == "estimated_counts"
    assert "size_factor" in data.obs
    assert "rounded to whole counts" in texts(record)


def test_the_same_array_gives_the_same_bytes(
    array: tuple[Path, anndata.AnnData, dict], tmp_path: Path
) -> None:
    out, _, _ = array
    values, samples = draw()
    run(tmp_path, np.exp2(values).round(1), samples, units="intensity")
    for name in ("e.h5ad", "r.parquet", "qc.json"):
        assert sha256_of(tmp_path / name) == sha256_of(out / name)
