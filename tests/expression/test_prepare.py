"""One bulk cohort from its raw folder to its three files."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from consilience.expression.genes import load_gene_table
from consilience.expression.prepare import prepare_cohort
from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of
from consilience.foundation.seeds import stream
from consilience.study.cohorts import Cohort
from consilience.study.sections import BulkQuality, NormalisationSection, QualitySection

COHORT = Cohort("tiny", "bulk", "local", condition="group", case=("ill",), control=("well",), donor="who", batch="run",
                label="A tiny cohort")  # fmt: skip
N_CASE, N_CONTROL = 14, 12
FAILED, SWAPPED = "S03", "S20"


def symbols() -> list[str]:
    """XIST, Y genes and 600 other coding genes, by their current symbols."""
    coding = load_gene_table().symbols_of(gene_type="protein_coding", chromosome="1")[:600]
    return ["XIST", "RPS4Y1", "DDX3Y", "KDM5D", *coding]


def draw() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts (genes, samples) and samples; a failed library, a swapped tissue, one wrong sex, a level of neither arm."""
    names, rng = symbols(), stream(3, "tiny")
    base = rng.normal(4, 1.2, len(names))
    sexes = ["F" if k % 2 else "M" for k in range(N_CASE + N_CONTROL)]
    columns = {}
    for k, sex in enumerate(sexes):
        own = stream(3, "sample", k)
        log_mean = (
            base
            + own.normal(0, 0.2, len(names))
            + (0.8 if k < N_CASE else 0) * (np.arange(len(names)) % 7 == 0)
        )
        log_mean[:4] = [4, -6, -6, -6] if sex == "F" else [-6, 4, 4, 4]
        if f"S{k:02d}" == SWAPPED:
            log_mean[4:] += own.normal(-0.7, 1.2, len(names) - 4)
        depth = 0.02 if f"S{k:02d}" == FAILED else own.lognormal(0, 0.3)
        columns[f"S{k:02d}"] = own.poisson(own.gamma(8, np.exp(log_mean) * depth / 8))
    counts = pd.DataFrame(columns, index=pd.Index(names, name="gene"))
    group = ["ill"] * N_CASE + ["well"] * N_CONTROL
    group[-1] = "NA"
    samples = pd.DataFrame({
        "sample": list(columns), "group": group, "who": [f"{k:03d}" for k in range(26)],
        "run": [f"{k % 3}" for k in range(26)], "gender": [*sexes[:5], "F" if sexes[5] == "M" else "M", *sexes[6:]],
    })  # fmt: skip
    return counts, samples


def write_raw(folder: Path, counts: pd.DataFrame, samples: pd.DataFrame) -> Path:
    folder.mkdir()
    counts.to_csv(folder / "tiny.tsv", sep="\t")
    samples.to_csv(folder / "tiny.samples.tsv", sep="\t", index=False)
    files = [{"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path), "url": ""}
             for path in sorted(folder.iterdir())]  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps({"cohort": "tiny", "files": files}))
    return folder


def prepare(out: Path, raw: Path, cohort: Cohort = COHORT, least: int = 3, **bulk: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare_cohort(
            cohort=cohort, raw_dir=raw, quality=QualitySection(bulk=BulkQuality(**bulk)),
            normalisation=NormalisationSection(highly_variable_genes=50), min_samples_per_arm=least, seed=1,
            expression_path=out / "e.h5ad", removed_path=out / "removed.parquet", qc_path=out / "qc.json",
        )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bulk")
    prepare(out, write_raw(out / "raw", *draw()))
    return out


def test_the_expression_file_follows_its_contract(prepared: Path) -> None:
    data = anndata.read_h5ad(prepared / "e.h5ad")
    counts, samples = draw()
    kept = [name for name in counts.columns if name not in {FAILED, SWAPPED}]
    assert list(data.obs_names) == kept
    assert list(data.var_names) == [name for name in counts.index if name in set(data.var_names)]
    np.testing.assert_array_equal(data.layers["counts"], counts.loc[data.var_names, kept].T)
    assert data.layers["counts"].dtype == np.int32
    assert data.X.dtype == np.float32
    factors = data.obs["size_factor"].to_numpy()
    totals = data.layers["counts"].sum(axis=1)
    library = factors * np.exp(np.log(totals).mean() - np.log(factors).mean())
    np.testing.assert_allclose(data.X, np.log1p(data.layers["counts"] / library[:, None] * 1e6), rtol=2e-6)
    by_name = samples.set_index("sample").loc[kept]
    assert list(data.obs["donor"]) == list(by_name["who"])
    assert list(data.obs["condition"]) == list(by_name["group"])
    assert list(data.obs["arm"]) == [
        {"ill": "case", "well": "control"}.get(one, "") for one in by_name["group"]
    ]
    assert list(data.obs["batch"]) == list(by_name["run"])
    assert "S25" in kept
    assert data.obs.loc["S25", "condition"] == "NA"
    np.testing.assert_array_equal(data.obs["library_size"], counts[kept].sum())
    table = load_gene_table()
    assert data.var.loc["DDX3Y", "ensembl_id"] == table.ensembl_ids[table.row_of["DDX3Y"]]
    assert data.var["highly_variable"].sum() == 50
    assert data.uns["consilience"]["cohort"] == "tiny"
    assert data.uns["consilience"]["format_version"] == 1


def test_the_quality_record_says_what_was_removed_and_why(prepared: Path) -> None:
    record = json.loads((prepared / "qc.json").read_text())
    assert (record["n_in"], record["n_kept"], record["n_genes_in"]) == (26, 24, 604)
    assert record["arms"] == {"case": 13, "control": 10}
    reasons = {one["sample"]: one["reasons"] for one in record["samples"] if not one["kept"]}
    assert set(reasons) == {FAILED, SWAPPED}
    assert "library_size" in reasons[FAILED]
    assert reasons[SWAPPED] == ["pca_distance"]
    assert record["removed_by_reason"]["library_size"] == 1
    assert {entry["metric"] for entry in record["thresholds"]} == {"library_size", "n_genes", "pca_distance"}
    low = next(
        e["low"] for e in record["thresholds"] if e["metric"] == "library_size" and e["scope"] == "case"
    )
    failed = next(one for one in record["samples"] if one["sample"] == FAILED)
    assert failed["metrics"]["library_size"] < low
    assert len(record["embedding"]["points"]) == 26
    assert sum(record["distributions"]["library_size"]["counts"]) == 26
    texts = " ".join(message["text"] for message in record["messages"])
    assert "S05" in texts
    assert "neither case nor control" in texts
    removed = pd.read_parquet(prepared / "removed.parquet")
    assert dict(zip(removed["id"], removed["reason"], strict=True))[SWAPPED] == "pca_distance"
    assert removed["library_size"].min() == failed["metrics"]["library_size"]


def test_the_same_raw_files_give_the_same_bytes(prepared: Path, tmp_path: Path) -> None:
    prepare(tmp_path, prepared / "raw")
    for name in ("e.h5ad", "removed.parquet"):
        assert sha256_of(tmp_path / name) == sha256_of(prepared / name)
    first, second = (json.loads((folder / "qc.json").read_text()) for folder in (prepared, tmp_path))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_the_order_of_samples_and_genes_changes_nothing(prepared: Path, tmp_path: Path) -> None:
    counts, samples = draw()
    rng = stream(5, "order")
    mixed = counts.iloc[rng.permutation(len(counts)), rng.permutation(counts.shape[1])]
    prepare(tmp_path, write_raw(tmp_path / "raw", mixed, samples))
    first, second = (anndata.read_h5ad(folder / "e.h5ad") for folder in (prepared, tmp_path))
    again = second[first.obs_names, first.var_names]
    np.testing.assert_allclose(again.X, first.X, rtol=1e-5)
    np.testing.assert_allclose(again.obs["pca_distance"], first.obs["pca_distance"], rtol=1e-6)


def test_ids_of_one_gene_are_added_and_old_names_renewed(tmp_path: Path) -> None:
    counts, samples = draw()
    table = load_gene_table()
    twice = counts.loc[["DDX3Y"]].rename(index={"DDX3Y": table.ensembl_ids[table.row_of["DDX3Y"]] + ".7"})
    mixed = pd.concat([counts, twice, counts.iloc[:1].rename(index={"XIST": "no such gene"})])
    mixed.index.name = "gene"
    prepare(tmp_path, write_raw(tmp_path / "raw", mixed, samples))
    data = anndata.read_h5ad(tmp_path / "e.h5ad")
    expected = 2 * counts.loc["DDX3Y", list(data.obs_names)]
    assert data.layers["counts"][:, list(data.var_names).index("DDX3Y")].tolist() == expected.tolist()
    genes = json.loads((tmp_path / "qc.json").read_text())["genes"]
    assert (genes["total"], genes["matched"], genes["duplicates"]) == (606, 605, 1)
    assert genes["unmatched"] == ["no such gene"]
    assert data.var.loc["DDX3Y", "source_id"].startswith("DDX3Y;ENSG")


def test_an_arm_that_quality_control_makes_too_small_is_refused_with_numbers(tmp_path: Path) -> None:
    counts, samples = draw()
    chosen = [f"S{k:02d}" for k in range(14)]
    few = [*chosen, "S14", "S15", SWAPPED]
    counts[["S14", "S15"]] //= 50
    with pytest.raises(DataError) as caught:
        prepare(tmp_path, write_raw(tmp_path / "raw", counts[few], samples[samples["sample"].isin(few)]),
                library_size_mads=3.0)  # fmt: skip
    text = str(caught.value)
    assert "quality control removed" in text
    assert "of 17 samples" in text
    assert "donors in the control arm" in text
    assert "quality.bulk" in text
    assert not (tmp_path / "e.h5ad").exists()
    assert not (tmp_path / "qc.json").exists()


def test_wrong_sex_is_removed_only_on_request(tmp_path: Path) -> None:
    prepare(tmp_path, write_raw(tmp_path / "raw", *draw()), remove_sex_mismatch=True)
    record = json.loads((tmp_path / "qc.json").read_text())
    assert next(one["reasons"] for one in record["samples"] if one["sample"] == "S05") == ["sex_mismatch"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"condition": "Group"}, ["did you mean 'group'", "gender"]),
        ({"case": ("sick",)}, ["no such level", "ill (14)"]),
        ({"batch": "group"}, ["cannot be told apart"]),
        ({"kind": "single_cell", "name": "x"}, []),
        ({"kind": "summary_statistics"}, ["no expression data"]),
    ],
)
def test_a_sheet_that_does_not_fit_the_data_is_refused(
    tmp_path: Path, change: dict[str, Any], words: list[str]
) -> None:
    cohort = Cohort.from_params(COHORT.to_params() | change)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path, write_raw(tmp_path / "raw", *draw()), cohort=cohort)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_ids_that_are_no_genes_are_refused(tmp_path: Path) -> None:
    counts, samples = draw()
    counts.index = pd.Index([f"{k}_at" for k in range(len(counts))], name="probe")
    with pytest.raises(DataError, match=r"only 0 of 604 gene ids"):
        prepare(tmp_path, write_raw(tmp_path / "raw", counts, samples))


def test_a_cohort_without_conditions_is_prepared_for_pretraining(tmp_path: Path) -> None:
    prepare(tmp_path, write_raw(tmp_path / "raw", *draw()), cohort=Cohort("p", "bulk", "local"))
    data = anndata.read_h5ad(tmp_path / "e.h5ad")
    assert "arm" not in data.obs
    assert json.loads((tmp_path / "qc.json").read_text())["arms"] == {}
