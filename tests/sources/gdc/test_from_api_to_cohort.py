"""A simulated cohort served by the API, fetched in batches and prepared: the same as when its folder is read."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pytest

from consilience.expression.prepare import prepare_cohort
from consilience.simulate.cohort import write_cohort
from consilience.simulate.truth import write_truth
from consilience.sources.fetch import fetch_cohort
from consilience.study.cohorts import Cohort
from consilience.study.sections import (
    FetchSection,
    NormalisationSection,
    QualitySection,
    SimulatedBulk,
    SimulationSection,
)
from fake_gdc import FakeGdc
from replay import Fault, ReplayServer

DESIGN = {
    "condition": "sample_type", "case": ("Primary Tumor",), "control": ("Solid Tissue Normal",),
    "donor": "case_id", "batch": "plate",
}  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gdc")
    settings = SimulationSection(n_genes=400, bulk=SimulatedBulk(n_case=8, n_control=8, n_outliers=0))
    write_truth(settings=settings, seed=1, out_dir=folder / "truth")
    write_cohort(
        cohort=Cohort("kidney", "bulk", "simulated", "gdc", **DESIGN),  # type: ignore[arg-type]
        settings=settings, seed=1, truth_dir=folder / "truth", served_dir=folder / "served",
        samples_path=folder / "samples.parquet", threads=1,
    )  # fmt: skip
    return folder / "served"


def prepared(cohort: Cohort, raw: Path, out: Path) -> anndata.AnnData:
    out.mkdir()
    prepare_cohort(
        cohort=cohort, raw_dir=raw, quality=QualitySection(), normalisation=NormalisationSection(),
        min_samples_per_arm=3, seed=1, expression_path=out / "e.h5ad", removed_path=out / "r.parquet",
        qc_path=out / "qc.json",
    )  # fmt: skip
    return anndata.read_h5ad(out / "e.h5ad")


def test_what_the_api_serves_is_the_cohort_that_was_simulated(
    served: Path, replay: ReplayServer, tmp_path: Path
) -> None:
    hits = json.loads((served / "files.json").read_text())["data"]["hits"]
    gdc = FakeGdc([(hit, (served / hit["file_id"] / hit["file_name"]).read_bytes()) for hit in hits], most=5)
    settings = FetchSection(
        cache=str(tmp_path / "cache"), mirrors=gdc.serve(replay), gdc_batch=6, attempts=2, stall_seconds=5.0
    )
    replay.fault("/gdc/data", Fault.cut_at(20_000))
    remote = Cohort("kidney", "bulk", "gdc", "TCGA-ZZZZ", **DESIGN)  # type: ignore[arg-type]
    folder = Cohort("kidney", "bulk", "local", str(served), **DESIGN)  # type: ignore[arg-type]
    for cohort, name in ((remote, "remote"), (folder, "local")):
        fetch_cohort(
            cohort=cohort, served_dir=None, raw_dir=tmp_path / name, folder=tmp_path, settings=settings
        )
    ours, theirs = (
        prepared(cohort, tmp_path / name, tmp_path / f"out-{name}")
        for cohort, name in ((remote, "remote"), (folder, "local"))
    )
    assert ours.obs["arm"].value_counts().to_dict() == {"case": 8, "control": 8}
    np.testing.assert_array_equal(ours.layers["counts"], theirs.layers["counts"])
    np.testing.assert_array_equal(ours.X, theirs.X)
    assert ours.obs.equals(theirs.obs)
    assert json.loads((tmp_path / "remote" / "provenance.json").read_text())["release"] == gdc.release
