"""Real cells from the kit: known biology comes out, known numbers of cells come in."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consilience.expression.prepare import prepare_cohort
from consilience.expression.store import open_expression
from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of, write_json
from consilience.sources.fetch import fetch_cohort
from consilience.study.cohorts import Cohort
from consilience.study.sections import CellTypesSection, FetchSection, NormalisationSection, QualitySection

pytestmark = pytest.mark.real_data
KANG = Cohort(
    name="kang", kind="single_cell", source="local", condition="condition", case=("stim",), control=("ctrl",),
    donor="donor", cell_type="cell_type",
)  # fmt: skip
THP1 = Cohort(
    name="thp1", kind="perturbation", source="local", perturbation="perturbation", control=("control",),
    batch="bio_rep", cell_type="cell_line",
)  # fmt: skip
GLIOBLASTOMA = Cohort(
    name="gbm", kind="single_cell", source="local", condition="condition", case=("panobinostat",), control=("ctrl",),
    donor="patient_id",
)  # fmt: skip


def prepare(
    source: Path, folder: Path, cohort: Cohort, *, least: int = 2, stream_above: int = 10**6
) -> tuple[Path, Any]:
    raw = folder / "raw"
    raw.mkdir()
    shutil.copy(source, raw / source.name)
    entry = {"name": source.name, "bytes": source.stat().st_size, "sha256": sha256_of(source)}
    write_json(raw / "provenance.json", {"cohort": cohort.name, "source": "local", "files": [entry]})
    prepare_cohort(
        cohort=cohort, raw_dir=raw, quality=QualitySection(),
        normalisation=NormalisationSection(stream_above_cells=stream_above), min_samples_per_arm=least, seed=1,
        expression_path=folder / "e.h5ad", removed_path=folder / "r.parquet", qc_path=folder / "qc.json",
    )  # fmt: skip
    return folder / "e.h5ad", json.loads((folder / "qc.json").read_text())


def test_interferon_genes_rise_in_kang(kit: Path, tmp_path: Path) -> None:
    import anndata

    path, qc = prepare(kit / "singlecell" / "kang2018_ifnb_muscat.h5ad", tmp_path, KANG)
    assert (qc["n_in"], qc["n_genes_in"], qc["n_donors"]) == (1556, 1267, 2)
    assert qc["n_kept"] > 0.93 * qc["n_in"]
    assert qc["genes"]["matched"] > 1260
    assert {sample["sample"] for sample in qc["samples"]} == {"ctrl101", "ctrl107", "stim101", "stim107"}
    data = anndata.read_h5ad(path)
    stimulated = (data.obs["arm"] == "case").to_numpy()
    for gene in ("ISG15", "IFI6", "IFIT3"):
        values = data[:, gene].X.toarray().ravel()
        assert values[stimulated].mean() > values[~stimulated].mean() + 1
    points = {point["sample"]: point["x"] for point in qc["embedding"]["points"]}
    assert min(abs(points[f"stim{d}"] - points[f"ctrl{d}"]) for d in (101, 107)) > abs(
        points["stim101"] - points["stim107"]
    )


def test_streamed_kang_is_the_same(kit: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    source = kit / "singlecell" / "kang2018_ifnb_muscat.h5ad"
    stored, _ = prepare(source, tmp_path / "a", KANG)
    counted, qc = prepare(source, tmp_path / "b", KANG, stream_above=100)
    assert qc["normalisation"]["streamed"]
    blocks = zip(
        open_expression(stored).log_normalised(), open_expression(counted).log_normalised(), strict=True
    )
    assert all(abs(one - other).max() < 1e-6 for (_, one), (_, other) in blocks)


def test_knocked_out_genes_of_the_thp1_screen(kit: Path, tmp_path: Path) -> None:
    import anndata

    path, qc = prepare(kit / "perturb" / "papalexi2021_thp1_eccite.h5ad", tmp_path, THP1)
    assert (qc["n_in"], qc["n_genes_in"]) == (13387, 299)
    assert qc["genes"]["n_renamed"] >= 10
    assert qc["arms"]["perturbed"] + qc["arms"]["control"] == qc["n_kept"]
    assert qc["n_kept"] > 0.9 * qc["n_in"]
    assert [sample["sample"] for sample in qc["samples"]] == ["THP-1_rep_1", "THP-1_rep_2", "THP-1_rep_3"]
    data = anndata.read_h5ad(path)
    assert data.obs["perturbation"].nunique() == 20
    assert data.obs["grna_umis"].dtype == np.float64
    assert set(data.obs.loc[data.obs["perturbation"] == "control", "arm"]) == {"control"}


def test_glioblastoma_slices_by_patient(kit: Path, tmp_path: Path) -> None:
    _, qc = prepare(
        kit / "perturb" / "zhao2021_glioblastoma_panobinostat.h5ad", tmp_path, GLIOBLASTOMA, least=3
    )
    assert qc["arms"] == {"case": 4, "control": 4}
    assert any("both arms" in message["text"] for message in qc["messages"])


MARKED = {"B cells": "B cell", "CD4 T cells": "CD4 T cell", "CD8 T cells": "CD8 T cell",
          "CD14+ Monocytes": "CD14 monocyte", "FCGR3A+ Monocytes": "CD16 monocyte"}  # fmt: skip


def fetch_and_prepare(location: Path, folder: Path, cohort: Cohort, *, markers: str = "") -> tuple[Any, Any]:
    """A local source through both stages, as the workflow runs them."""
    import anndata

    fetch_cohort(
        cohort=replace(cohort, location=str(location)), served_dir=None, raw_dir=folder / "raw", folder=folder,
        settings=FetchSection(),
    )  # fmt: skip
    prepare_cohort(
        cohort=cohort, raw_dir=folder / "raw", quality=QualitySection(), normalisation=NormalisationSection(),
        min_samples_per_arm=2, seed=1, expression_path=folder / "e.h5ad", removed_path=folder / "r.parquet",
        qc_path=folder / "qc.json", cell_types=CellTypesSection(markers=markers),
    )  # fmt: skip
    return anndata.read_h5ad(folder / "e.h5ad"), json.loads((folder / "qc.json").read_text())


@pytest.mark.parametrize(
    ("file", "cohort"),
    [("singlecell/kang2018_ifnb_muscat.h5ad", KANG), ("perturb/papalexi2021_thp1_eccite.h5ad", THP1),
     ("perturb/zhao2021_glioblastoma_panobinostat.h5ad", GLIOBLASTOMA)],
    ids=["kang", "papalexi", "zhao"],
)  # fmt: skip
def test_local_files_go_through_fetch_and_prepare(
    kit: Path, tmp_path: Path, file: str, cohort: Cohort
) -> None:
    import anndata

    found, qc = fetch_and_prepare(kit / file, tmp_path, cohort)
    source = anndata.read_h5ad(kit / file)
    assert qc["n_in"] == source.n_obs
    rows = source.obs_names.get_indexer(found.obs_names)
    ids = [source.var_names, *(source.var[name].astype(str) for name in source.var)]
    place = {name: k for names in ids for k, name in enumerate(names)}
    columns = [place[name] for name in found.var["source_id"].astype(str)]
    assert (found.layers["counts"] != source.X[rows][:, columns]).nnz == 0


def test_ranks_of_genes_are_refused_for_what_they_are(kit: Path, tmp_path: Path) -> None:
    cohort = Cohort(
        name="replogle", kind="perturbation", source="local", perturbation="perturbation", control=("x",)
    )
    with pytest.raises(
        DataError,
        match=r"is a table, not counts of cells.*1,0\d\d,\d{3} rows of cell_line, perturbation, rank",
    ):
        fetch_and_prepare(kit / "perturb" / "replogle2022_k562_rpe1_up_ranks.parquet", tmp_path, cohort)


def test_types_of_kang_are_found_by_their_markers(kit: Path, tmp_path: Path) -> None:
    """Labels of the authors hidden. Plain mean of markers: 0.87; scanpy's score_genes: 0.84 (all cells)."""
    import anndata

    location = kit / "singlecell" / "kang2018_ifnb_muscat.h5ad"
    found, qc = fetch_and_prepare(location, tmp_path, replace(KANG, cell_type=""), markers="immune")
    truth = anndata.read_h5ad(location).obs.loc[found.obs_names, "cell_type"].astype(str).map(MARKED)
    labels = found.obs["cell_type"].astype(str)
    sure = labels != "unassigned"
    assert sure.mean() > 0.9
    assert (labels == truth)[sure].mean() > 0.88
    assert min((labels == truth)[sure & (truth == kind)].mean() for kind in MARKED.values()) > 0.75
    told = {one["cell_type"]: one["markers_measured"] for one in qc["cell_types"]["types"]}
    assert set(told) == set(MARKED.values())
    assert qc["cell_types"]["share_unassigned"] == pytest.approx((~sure).mean(), abs=1e-4)


def test_only_the_selected_cells_of_kang(kit: Path, tmp_path: Path) -> None:
    cohort = replace(KANG, select="cell_type=B cells|CD4 T cells")
    found, qc = fetch_and_prepare(kit / "singlecell" / "kang2018_ifnb_muscat.h5ad", tmp_path, cohort)
    assert qc["n_in"] == 698
    assert set(found.obs["cell_type"]) == {"B cells", "CD4 T cells"}
