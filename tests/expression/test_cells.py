"""Whole cohorts of cells: files that every reader understands, limits confirmed in a second way, honest errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from consilience.expression.gene_table import load_gene_table
from consilience.expression.prepare import prepare_cohort
from consilience.expression.store import open_expression
from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of, write_json
from consilience.study.cohorts import Cohort
from consilience.study.sections import NormalisationSection, QualitySection, SingleCellQuality

COHORT = Cohort(
    name="blood", kind="single_cell", source="local", condition="state", case=("sick",), control=("well",),
    donor="patient", cell_type="type", batch="run",
)  # fmt: skip
SCREEN = Cohort(
    name="screen", kind="perturbation", source="local", perturbation="target", control=("none",), cell_type="type",
    batch="run",
)  # fmt: skip
N_GENES, PER_DONOR, N_DONORS = 300, 90, 6
TARGET = 1e4


@dataclass(frozen=True)
class Prepared:
    """What one run wrote."""

    expression: Path
    removed: Path
    qc: dict[str, Any]

    def data(self) -> Any:
        import anndata

        return anndata.read_h5ad(self.expression)


def make_data(seed: int = 0) -> Any:
    """Six donors of two types of cells, with empty droplets and dying cells in known places."""
    import anndata
    import pandas as pd

    rng = np.random.default_rng(seed)
    table = load_gene_table()
    symbols = [*table.mitochondrial[:10], *table.symbols_of(gene_type="protein_coding")[: N_GENES - 10]]
    n = N_DONORS * PER_DONOR
    kind = rng.integers(0, 2, n)
    mean = np.exp(rng.normal(0.3, 1, N_GENES) + np.array([[0.0], [1.0]])[kind] * rng.normal(0, 1, N_GENES))
    mean *= rng.lognormal(0, 0.25, (n, 1))
    mean[:, :10] = mean.sum(axis=1, keepdims=True) * 0.004
    mean[::45] *= 0.02  # empty
    mean[7::45, :10] *= 30  # dying
    donor = np.repeat(np.arange(N_DONORS), PER_DONOR)
    obs = pd.DataFrame({
        "patient": [f"P{k}" for k in donor], "state": np.where(donor < 3, "sick", "well"),
        "type": np.array(["T", "B"])[kind], "run": np.where(donor % 2, "r1", "r2"), "age": 30.0 + donor,
        "target": np.array(["none", "STAT1", "IRF1"])[rng.integers(0, 3, n)],
    }, index=[f"cell{k}" for k in range(n)])  # fmt: skip
    data = anndata.AnnData(sparse.csr_matrix(rng.poisson(mean).astype(np.float32)), obs=obs)
    data.var_names = symbols
    return data


def put(data: Any, folder: Path) -> Path:
    """A fetched raw folder."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    data.copy().write_h5ad(raw / "cells.h5ad")
    entry = {
        "name": "cells.h5ad",
        "bytes": (raw / "cells.h5ad").stat().st_size,
        "sha256": sha256_of(raw / "cells.h5ad"),
    }
    write_json(raw / "provenance.json", {"cohort": "blood", "source": "local", "files": [entry]})
    return raw


def prepare(
    data: Any, folder: Path, *, cohort: Cohort = COHORT, stream_above: int = 10**6, **quality: Any
) -> Prepared:
    """Run the stage on `data`."""
    raw = put(data, folder)
    paths = {name: folder / "out" / f"{cohort.name}{end}" for name, end in
             (("expression", ".h5ad"), ("removed", ".removed.parquet"), ("qc", ".qc.json"))}  # fmt: skip
    prepare_cohort(
        cohort=cohort, raw_dir=raw, quality=QualitySection(single_cell=SingleCellQuality(**quality)),
        normalisation=NormalisationSection(stream_above_cells=stream_above, highly_variable_genes=60),
        min_samples_per_arm=3, seed=1, expression_path=paths["expression"], removed_path=paths["removed"],
        qc_path=paths["qc"],
    )  # fmt: skip
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(
        path.name for path in paths.values()
    )
    return Prepared(paths["expression"], paths["removed"], json.loads(paths["qc"].read_text()))


@pytest.fixture(scope="module")
def data() -> Any:
    return make_data()


@pytest.fixture(scope="module")
def prepared(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(data, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def streamed(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(data, tmp_path_factory.mktemp("streamed"), stream_above=0)


def test_kept_counts_are_those_of_the_source(data: Any, prepared: Prepared) -> None:
    found = prepared.data()
    assert found.n_obs == prepared.qc["n_kept"]
    theirs = data[found.obs_names, found.var_names].X
    assert (found.layers["counts"] != theirs).nnz == 0
    assert list(found.obs["donor"]) == list(data.obs.loc[found.obs_names, "patient"])
    assert list(found.obs["age"]) == list(data.obs.loc[found.obs_names, "age"])
    assert set(found.obs["arm"]) == {"case", "control"}
    assert {"sample", "condition", "batch", "cell_type", "library_size", "n_genes", "mitochondrial_share",
            "doublet_score", "size_factor"} <= set(found.obs)  # fmt: skip
    assert {"ensembl_id", "source_id", "n_cells", "mean", "highly_variable"} <= set(found.var)
    assert found.uns["consilience"]["kind"] == "single_cell"


def test_x_is_what_scanpy_makes_of_the_counts(prepared: Prepared) -> None:
    import scanpy as sc

    found = prepared.data()
    again = found.copy()
    again.X = found.layers["counts"].astype(np.float64)
    del again.uns["log1p"]
    sc.pp.normalize_total(again, target_sum=TARGET)
    sc.pp.log1p(again)
    sc.pp.highly_variable_genes(again, n_top_genes=60)
    assert found.X.dtype == np.float32
    assert abs(found.X - again.X).max() < 1e-6
    assert np.array_equal(found.var["highly_variable"], again.var["highly_variable"])
    assert np.allclose(
        found.var["dispersions_norm"], again.var["dispersions_norm"], atol=1e-6, equal_nan=True
    )
    assert np.allclose(found.var["mean"], again.X.mean(axis=0).A1)


def test_shared_indices_are_stored_once_and_understood_by_anndata(prepared: Prepared, tmp_path: Path) -> None:
    import anndata
    import h5py
    import scanpy as sc

    with h5py.File(prepared.expression) as file:
        for name in ("indices", "indptr"):
            assert file["X"][name].id.__hash__() == file["layers/counts"][name].id.__hash__()
            assert file["X"][name].dtype == np.int32
    whole = prepared.data()
    backed = anndata.read_h5ad(prepared.expression, backed="r")
    assert (backed.X[5:50] != whole.X[5:50]).nnz == 0
    backed[10:20].to_memory().write_h5ad(tmp_path / "part.h5ad")
    backed.file.close()
    whole.write_h5ad(tmp_path / "copy.h5ad")
    copied = anndata.read_h5ad(tmp_path / "copy.h5ad")
    assert (copied.X != whole.X).nnz == 0
    assert (copied.layers["counts"] != whole.layers["counts"]).nnz == 0
    copied.X = copied.layers["counts"].copy()
    sc.pp.calculate_qc_metrics(copied, percent_top=None, inplace=True)
    sc.pp.pca(whole, n_comps=5)
    assert whole.obsm["X_pca"].shape == (whole.n_obs, 5)


def test_streamed_and_stored_are_the_same_numbers(prepared: Prepared, streamed: Prepared) -> None:
    stored, counted = open_expression(prepared.expression), open_expression(streamed.expression)
    assert stored.has_x
    assert not counted.has_x
    assert stored.genes == counted.genes
    assert np.array_equal(stored.names, counted.names)
    one = sparse.vstack([block for _, block in stored.log_normalised(100)])
    for size in (1, 77, 10_000):
        other = sparse.vstack([block for _, block in counted.log_normalised(size)])
        assert other.dtype == np.float32
        assert abs(one - other).max() < 1e-6
    assert counted.obs("donor").text() == stored.obs("donor").text()
    assert np.array_equal(counted.var_numbers("highly_variable"), stored.var_numbers("highly_variable"))
    without = streamed.data()
    assert without.X is None
    assert "size_factor" in without.uns["consilience"]["normalisation"]["x"]
    skip = {"seconds", "normalisation"}
    assert {k: v for k, v in prepared.qc.items() if k not in skip} == {
        k: v for k, v in streamed.qc.items() if k not in skip
    }


def test_limits_and_reasons_are_those_of_a_slow_second_way(data: Any, prepared: Prepared) -> None:
    import pandas as pd

    counts = data.X.toarray()
    mt = np.array([name.startswith("MT-") for name in data.var_names])
    metrics = pd.DataFrame({
        "library_size": counts.sum(axis=1), "n_genes": (counts > 0).sum(axis=1),
        "mitochondrial_share": counts[:, mt].sum(axis=1) / counts.sum(axis=1),
    }, index=data.obs_names)  # fmt: skip
    sample = data.obs["patient"] + "_" + data.obs["state"] + "_" + data.obs["run"]
    expected: dict[str, set[str]] = {name: set() for name in metrics}
    for name, cells in metrics.groupby(sample.to_numpy()):
        for metric in metrics:
            scaled = np.log1p(cells[metric]) if metric != "mitochondrial_share" else cells[metric]
            middle = scaled.median()
            mad = 1.4826 * (scaled - middle).abs().median()
            bad = scaled > middle + 5 * mad
            if metric == "mitochondrial_share":
                bad |= cells[metric] > 0.2
            else:
                bad |= scaled < middle - 5 * mad
            if metric == "n_genes":
                bad |= cells[metric] < 30
            expected[metric] |= set(cells.index[bad])
            shown = next(t for t in prepared.qc["thresholds"] if t["metric"] == metric and t["scope"] == name)
            assert np.isclose(shown["mad"], mad, rtol=1e-4)
            assert shown["n_removed"] == bad.sum()
    removed = pd.read_parquet(prepared.removed).set_index("id")
    for metric, cells in expected.items():
        assert {i for i, why in removed["reason"].items() if metric in why.split("; ")} == cells
        assert prepared.qc["removed_by_reason"].get(metric, 0) == len(cells)
    planted = {f"cell{k}" for k in (*range(0, data.n_obs, 45), *range(7, data.n_obs, 45))}
    assert planted <= set(removed.index)
    assert len(removed) == prepared.qc["n_in"] - prepared.qc["n_kept"]
    assert set(removed.index) | set(prepared.data().obs_names) == set(data.obs_names)


def test_the_record_adds_up(prepared: Prepared) -> None:
    qc = prepared.qc
    assert qc["arms"] == {"case": 3, "control": 3}
    assert qc["n_donors"] == 6
    assert sum(sample["n_cells_in"] for sample in qc["samples"]) == qc["n_in"]
    assert sum(sample["n_cells_kept"] for sample in qc["samples"]) == qc["n_kept"]
    assert sum(qc["distributions"]["library_size"]["counts"]) == qc["n_in"]
    assert len(qc["embedding"]["points"]) == 6
    assert qc["embedding"]["points"][0]["group"] == "sick"
    pseudobulk = prepared.data().varm["pseudobulk"]
    assert np.array_equal(pseudobulk.sum(axis=1), prepared.data().layers["counts"].sum(axis=0).A1)


def test_equal_input_gives_equal_bytes(data: Any, prepared: Prepared, tmp_path: Path) -> None:
    again = prepare(data, tmp_path)
    assert sha256_of(again.expression) == sha256_of(prepared.expression)
    assert sha256_of(again.removed) == sha256_of(prepared.removed)


def test_order_of_cells_does_not_matter(data: Any, prepared: Prepared, tmp_path: Path) -> None:
    shuffled = prepare(data[np.random.default_rng(0).permutation(data.n_obs)].copy(), tmp_path)
    one, other = prepared.data(), shuffled.data()
    common = one.obs_names.intersection(other.obs_names)
    assert len(common) > 0.99 * one.n_obs  # a doublet score on the limit may fall on either side
    assert abs(one[common].X[:, :50] - other[common, one.var_names].X[:, :50]).max() < 1e-2
    assert prepared.qc["removed_by_reason"]["n_genes"] == shuffled.qc["removed_by_reason"]["n_genes"]


def test_a_screen_is_grouped_by_batch_and_line(data: Any, tmp_path: Path) -> None:
    found = prepare(data, tmp_path, cohort=SCREEN)
    obs = found.data().obs
    assert set(obs["sample"]) == {"B_r1", "B_r2", "T_r1", "T_r2"}
    assert found.qc["arms"] == {
        "perturbed": (obs["arm"] == "case").sum(),
        "control": (obs["arm"] == "control").sum(),
    }
    assert set(obs.loc[obs["arm"] == "control", "perturbation"]) == {"none"}
    assert found.qc["n_donors"] is None


def test_tiny_samples_use_the_limits_of_all_cells(data: Any, tmp_path: Path) -> None:
    rows = np.concatenate(
        [np.arange(k * PER_DONOR, k * PER_DONOR + (10 if k == 2 else PER_DONOR)) for k in range(6)]
    )
    qc = prepare(data[rows].copy(), tmp_path, min_cells_per_gene=3).qc
    tiny = [t for t in qc["thresholds"] if t["scope"].startswith("P2") and t["metric"] == "library_size"]
    assert "limits of all cells" in tiny[0]["explanation"]
    assert any("too few cells for limits of their own" in m["text"] for m in qc["messages"])
    assert any("too few to look for doublets" in m["text"] for m in qc["messages"])


def test_cells_without_donor_are_set_aside(data: Any, tmp_path: Path) -> None:
    partly = data.copy()
    partly.obs["patient"] = partly.obs["patient"].where(np.arange(partly.n_obs) % 50 != 3, "")
    qc = prepare(partly, tmp_path).qc
    assert qc["removed_by_reason"]["no_phenotype"] == len(range(3, data.n_obs, 50))


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_duplicate_names_and_genes(data: Any, tmp_path: Path) -> None:
    doubled = data.copy()
    table = load_gene_table()
    doubled.var_names = [*doubled.var_names[:-1], table.ensembl_ids[table.row_of[doubled.var_names[20]]]]
    doubled.obs_names = [f"cell{k % PER_DONOR}" for k in range(data.n_obs)]
    symbol = data.var_names[20]
    found = prepare(doubled, tmp_path)
    file = found.data()
    assert file.obs_names.is_unique
    assert file.obs_names[0].startswith("P0_sick_r2_cell")
    assert found.qc["genes"]["duplicates"] == 1
    parts = [name.split("_") for name in file.obs_names]
    rows = [int(patient[1:]) * PER_DONOR + int(cell.removeprefix("cell")) for patient, _, _, cell in parts]
    expected = data.X.toarray()[rows][:, 20] + data.X.toarray()[rows][:, -1]
    assert np.array_equal(file[:, symbol].layers["counts"].toarray().ravel(), expected)


ERRORS = [
    pytest.param({"condition": "stat"}, r"condition: the cells have no such condition column.*did you mean 'state'", id="column"),
    pytest.param({"condition": "stat", "donor": "x"}, r"2 problems", id="two columns"),
    pytest.param({"case": ("sic",)}, r"no such level.*sick.*did you mean 'sick'", id="level"),
    pytest.param({"batch": "patient", "donor": "age"}, r"every batch holds one arm only", id="batch"),
    pytest.param({"donor": "state"}, r"only 1 donors in the case arm", id="few donors"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), ERRORS)
def test_what_the_sheet_says_must_be_in_the_data(
    data: Any, tmp_path: Path, change: Any, message: str
) -> None:
    from dataclasses import replace

    with pytest.raises(DataError, match=message):
        prepare(data, tmp_path, cohort=replace(COHORT, **change))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_normalised_data_is_refused(data: Any, tmp_path: Path) -> None:
    logged = data.copy()
    logged.X = logged.X.log1p()
    with pytest.raises(DataError, match=r"cells.h5ad: holds no raw counts"):
        prepare(logged, tmp_path)


def test_mouse_genes_are_refused(data: Any, tmp_path: Path) -> None:
    mouse = data.copy()
    mouse.var_names = [f"ENSMUSG{k:011d}" for k in range(data.n_vars)]
    with pytest.raises(DataError, match="only 0 of 300 gene ids are known human genes"):
        prepare(mouse, tmp_path)


def test_quality_control_that_leaves_nothing_says_so(data: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"removed \d+ of 540 cells"):
        prepare(data, tmp_path, counts_mads=0.001)
