"""10x folders and h5ad files: read by others, independent of threads, blocks and other cohorts."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

from consilience.foundation.errors import ConfigError
from consilience.simulate.catalogue import MARKERS
from consilience.simulate.cells import cell_barcodes
from consilience.simulate.cohort import cell_source, write_cohort
from consilience.simulate.parallel import in_order
from consilience.simulate.truth import Truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

Serve = Callable[..., Path]


def read_matrix(folder: Path) -> sparse.csr_matrix:
    """The simplest reader of a matrix market file: cells by genes."""
    with gzip.open(folder / "matrix.mtx.gz", "rt") as file:
        lines = [line for line in file if not line.startswith("%")]
    n_genes, n_cells, nnz = map(int, lines[0].split())
    entries = np.array([line.split() for line in lines[1:]], dtype=int).reshape(-1, 3)
    assert len(entries) == nnz
    return sparse.csr_matrix(
        (entries[:, 2], (entries[:, 1] - 1, entries[:, 0] - 1)), shape=(n_cells, n_genes)
    )


def test_10x_folders_are_what_scanpy_reads(serve: Serve, truth: Truth) -> None:
    folder = serve("tenx")
    cells = pd.read_csv(folder / "cells.tsv.gz", sep="\t", dtype=str)
    assert {"barcode", "sample", "donor", "condition", "batch", "cell_type", "sex", "age"} == set(cells)
    assert cells["barcode"].is_unique
    seen = []
    for sample in cells["sample"].unique():
        data = sc.read_10x_mtx(folder / sample)
        mine = read_matrix(folder / sample)
        assert (mine != data.X).nnz == 0
        assert data.var_names.tolist() == truth.symbols
        assert data.var["gene_ids"].tolist() == truth.genes["ensembl_id"].tolist()
        seen.extend(data.obs_names)
    assert seen == cells["barcode"].tolist()


def test_h5ad_is_what_anndata_reads(serve: Serve, truth: Truth) -> None:
    for name in ("cells", "screen"):
        data = anndata.read_h5ad(serve(name) / f"{name}.h5ad")
        facts = pd.read_parquet(serve(name).parent / "samples.parquet")
        assert data.obs_names.tolist() == facts["id"].tolist()
        assert data.var_names.tolist() == truth.symbols
        assert data.obs_names.is_unique
        counts = data.X
        assert sparse.isspmatrix_csr(counts)
        assert counts.has_sorted_indices
        assert counts.data.min() >= 1
        assert np.array_equal(counts.data, np.round(counts.data))
        assert isinstance(data.obs.iloc[:, 0].dtype, pd.CategoricalDtype)


def test_both_formats_of_one_cohort_hold_the_same_cells(
    truth_dir: Path, settings: SimulationSection, cohorts: dict[str, Cohort], serve: Serve, tmp_path: Path
) -> None:
    twin = Cohort(
        **{**cohorts["tenx"].to_params(), "location": "h5ad", "case": ("diseased",), "control": ("healthy",)}
    )
    write_cohort(
        cohort=twin, settings=settings, seed=7, truth_dir=truth_dir, served_dir=tmp_path / "served",
        samples_path=tmp_path / "samples.parquet", threads=1,
    )  # fmt: skip
    data = anndata.read_h5ad(tmp_path / "served" / "tenx.h5ad")
    folder = serve("tenx")
    samples = data.obs["sample"].unique()
    stacked = sparse.vstack([read_matrix(folder / sample) for sample in samples])
    assert (stacked != data.X).nnz == 0


def test_threads_do_not_change_a_byte_and_the_seed_does(
    serve: Serve, truth_dir: Path, settings: SimulationSection, cohorts: dict[str, Cohort], tmp_path: Path
) -> None:
    from consilience.simulate.truth import write_truth

    for name in ("tenx", "cells", "screen"):
        one, two = (serve(name, threads=threads) for threads in (1, 2))
        assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()
        assert (one.parent / "samples.parquet").read_bytes() == (two.parent / "samples.parquet").read_bytes()
    write_truth(settings=settings, seed=9, out_dir=tmp_path / "truth")
    write_cohort(
        cohort=cohorts["tenx"], settings=settings, seed=9, truth_dir=tmp_path / "truth", served_dir=tmp_path / "served",
        samples_path=tmp_path / "samples.parquet", threads=1,
    )  # fmt: skip
    assert (tmp_path / "served" / "manifest.json").read_bytes() != (
        serve("tenx") / "manifest.json"
    ).read_bytes()


def test_a_cohort_does_not_depend_on_others_or_on_the_size_of_a_sample(
    truth: Truth, settings: SimulationSection, cohorts: dict[str, Cohort]
) -> None:
    """The first block of a donor is the same whatever other donors, cohorts and later blocks there are."""
    more = settings.model_copy(
        update={"cohorts": {"tenx": {"n_case": 5, "cells_per_donor": 700}, "z": {"n_case": 1}}}
    )
    first, same = (next(iter(cell_source(cohorts["tenx"], one, truth).tasks())) for one in (settings, more))
    assert first.context.shares == pytest.approx(same.context.shares)
    assert np.array_equal(first.context.profile, same.context.profile)
    other = cell_source(cohorts["cells"], settings, truth)
    block, foreign = (
        cell_source(cohorts["tenx"], settings, truth).draw(first),
        other.draw(next(iter(other.tasks()))),
    )
    assert block.barcodes != foreign.barcodes


def test_planted_states_look_like_what_they_are(serve: Serve) -> None:
    data = anndata.read_h5ad(serve("cells") / "cells.h5ad")
    facts = pd.read_parquet(serve("cells").parent / "samples.parquet")
    depth = np.asarray(data.X.sum(axis=1)).ravel()
    mitochondrial = data.var_names.str.startswith("MT-")
    share = np.asarray(data.X[:, mitochondrial].sum(axis=1)).ravel() / np.maximum(depth, 1)
    state = facts["outlier_kind"].to_numpy()
    healthy = (state == "") & ~facts["doublet"].to_numpy()
    assert np.median(share[healthy]) == pytest.approx(0.05, abs=0.015)
    assert share[state == "dying"].min() > np.quantile(share[healthy], 0.99)
    assert depth[state == "empty"].max() < np.quantile(depth[healthy], 0.01)
    assert np.median(depth[facts["doublet"]]) == pytest.approx(1.8 * np.median(depth[healthy]), rel=0.15)
    assert facts["doublet"].mean() == pytest.approx(0.05, abs=0.02)
    ratio = depth[healthy] / (facts["depth_factor"].to_numpy()[healthy] * depth[healthy].mean())
    assert np.std(np.log(ratio)) < 0.15  # the planted depth factor explains the depth


def test_cell_types_show_their_markers(serve: Serve) -> None:
    data = anndata.read_h5ad(serve("cells") / "cells.h5ad")
    facts = pd.read_parquet(serve("cells").parent / "samples.parquet")
    sound = (~facts["doublet"] & ~facts["outlier"]).to_numpy()
    kind = data.obs["cell_type"].astype(str).to_numpy()
    for name in ("monocyte", "naive B", "CD8 T"):
        foreign = [other for other in MARKERS if not set(MARKERS[other]) & set(MARKERS[name])]
        columns = [gene in MARKERS[name] for gene in data.var_names]
        rate = np.asarray(data.X[:, columns].sum(axis=1)).ravel()
        assert rate[sound & (kind == name)].mean() > 4 * rate[sound & np.isin(kind, foreign)].mean()


def test_targets_are_knocked_down_except_in_escaped_cells(serve: Serve, truth: Truth) -> None:
    data = anndata.read_h5ad(serve("screen") / "screen.h5ad")
    facts = pd.read_parquet(serve("screen").parent / "samples.parquet")
    assert data.obs["gene"].astype(str).tolist() == facts["perturbation"].tolist()
    depth = np.asarray(data.X.sum(axis=1)).ravel()
    changes = []
    for name in truth.perturbations.names[:5]:
        value = np.asarray(data.X[:, data.var_names == name].todense()).ravel() / depth
        hit = (facts["perturbation"] == name) & ~facts["escaped"] & ~facts["outlier"]
        control = (facts["perturbation"] == "non-targeting") & ~facts["outlier"]
        changes.append(np.log2(value[hit].mean() / value[control].mean()))
    assert np.mean(changes) == pytest.approx(-2.5, abs=0.5)


def test_barcodes_are_unique_over_the_cells_of_a_cohort() -> None:
    many = cell_barcodes(first=0, n=200_000, seed=1, cohort="x", suffix="-1")
    assert len(set(many)) == 200_000
    assert cell_barcodes(first=150, n=3, seed=1, cohort="x", suffix="-1") == many[150:153]
    assert all(len(one) == 18 and set(one[:16]) <= set("ACGT") for one in many[:100])


@pytest.mark.parametrize(
    "sizes", [{"n_case": 1, "n_control": 1, "cells_per_donor": 1}, {"n_case": 1, "n_control": 1, "cells_per_donor": 513,
    "doublet_share": 1.0}],
)  # fmt: skip
@pytest.mark.parametrize("form", ["10x", "h5ad"])
def test_hostile_sizes(sizes: dict[str, float], form: str, truth_dir: Path, tmp_path: Path) -> None:
    settings = SimulationSection.model_validate(
        {"n_genes": 600, "n_causal_genes": 20, "n_causal_pathways": 2, "single_cell": sizes}
    )
    write_cohort(
        cohort=Cohort("one", "single_cell", "simulated", form), settings=settings, seed=7, truth_dir=truth_dir,
        served_dir=tmp_path / "served", samples_path=tmp_path / "samples.parquet", threads=2,
    )  # fmt: skip
    facts = pd.read_parquet(tmp_path / "samples.parquet")
    assert facts["donor"].nunique() == 2
    if form == "h5ad":
        assert anndata.read_h5ad(tmp_path / "served" / "one.h5ad").n_obs == len(facts)
    else:
        with gzip.open(tmp_path / "served" / "cells.tsv.gz", "rt") as file:
            assert len(file.readlines()) == len(facts) + 1


def test_more_perturbations_than_genes(truth_dir: Path, settings: SimulationSection, cohorts: dict[str, Cohort],
                                       tmp_path: Path) -> None:  # fmt: skip
    many = settings.model_copy(update={"cohorts": {"screen": {"n_perturbations": 400}}})
    with pytest.raises(ConfigError, match="n_perturbations"):
        write_cohort(
            cohort=cohorts["screen"], settings=many, seed=7, truth_dir=truth_dir, served_dir=tmp_path / "served",
            samples_path=tmp_path / "samples.parquet", threads=1,
        )  # fmt: skip
    assert not (tmp_path / "served").exists()


def test_a_failed_cohort_leaves_the_one_before_it(
    truth_dir: Path,
    settings: SimulationSection,
    cohorts: dict[str, Cohort],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = {
        "cohort": cohorts["cells"], "settings": settings, "seed": 7, "truth_dir": truth_dir,
        "served_dir": tmp_path / "served", "samples_path": tmp_path / "samples.parquet", "threads": 1,
    }  # fmt: skip
    write_cohort(**arguments)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("consilience.simulate.h5ad._append", fail)
    with pytest.raises(Exception, match="disk is full"):
        write_cohort(**arguments)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_results_come_in_order_and_errors_come_through() -> None:
    assert list(in_order(lambda x: x * x, range(50), threads=3)) == [x * x for x in range(50)]
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda x: 1 // x, [1, 0, 2], threads=2))


def test_manifest_names_are_relative(serve: Serve) -> None:
    for file in json.loads((serve("tenx") / "manifest.json").read_text())["files"]:
        assert not file["name"].startswith("/")
        assert (serve("tenx") / file["name"]).is_file()
