"""Diagnosis, markers, synthetic samples and vectors of a study cohort, on models that know only what they may."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import DataError
from consilience.rnagan import study_diagnosis, study_synthesis
from consilience.rnagan.model import load_model
from consilience.rnagan.study_diagnosis import (
    ADAPTED,
    AS_PRETRAINED,
    UNPRETRAINED,
    diagnose_across,
    diagnose_cohort,
)
from consilience.rnagan.study_markers import PARTS, find_cohort_markers
from consilience.rnagan.study_samples import CASE, CONTROL, read_cohort
from consilience.rnagan.study_synthesis import held_out, synthesise_cohort, write_synthetic
from consilience.rnagan.study_training import adapt_cohort
from consilience.rnagan.study_vectors import cohort_vectors
from consilience.study.sections import PathwaysSection, RnaganSection
from rnagan.prepared import GENES, SICK, bulk_file, cells_file, gene_sets_file

SETTINGS = RnaganSection(
    effort=0.0, references=[3, 5], draws=6, splits=3, baselines=["nearest_centroid", "logistic_ridge"], permutations=12,
    resamples=1, fold=1.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("study")
    paths = {
        "one": bulk_file(folder / "one.h5ad", seed=1), "two": bulk_file(folder / "two.h5ad", seed=2),
        "blood": cells_file(folder / "blood.h5ad"), "alone": bulk_file(folder / "alone.h5ad", 16, seed=4),
    }  # fmt: skip
    pathways = PathwaysSection(gene_sets=[str(gene_sets_file(folder / "own.gmt"))], min_genes=5)
    for name, others in (("one", ["two"]), ("blood", ["two"]), ("alone", [])):
        adapt_cohort(
            paths[name], {other: paths[other] for other in others}, name=name, settings=SETTINGS, pathways=pathways,
            seed=1, gpus=0, checkpoints=folder / "c", base_out=folder / name / "base", model_out=folder / name / "model",
            history=folder / name / "history.parquet", record=folder / name / "training.json",
        )  # fmt: skip
    return SimpleNamespace(folder=folder, paths=paths)


def judged(study, name: str, **change):
    settings = SETTINGS.model_copy(update=change)
    return diagnose_cohort(
        study.paths[name], study.folder / name / "base", name=name, settings=settings, seed=1
    )


def test_planted_disease_is_diagnosed_on_unseen_patients(study, tmp_path) -> None:
    found = judged(study, "one")
    assert set(found.table["method"]) == {
        ADAPTED,
        AS_PRETRAINED,
        UNPRETRAINED,
        "nearest_centroid",
        "logistic_ridge",
    }
    (task,) = found.record["tasks"]
    sizes = task["summary"]["by_references"]
    assert list(sizes) == ["3", "5"]
    assert sizes["5"]["methods"][ADAPTED]["auc"] > 0.9
    assert task["n_donors"] == {"case": 12, "control": 12}
    assert found.record["base_cohorts"] == ["two"]
    found.write(tmp_path / "t.parquet", tmp_path / "t.json")
    assert tuple(pd.read_parquet(tmp_path / "t.parquet").columns) == study_diagnosis.COLUMNS
    assert json.loads((tmp_path / "t.json").read_text()) == found.record


def test_whatever_learns_sees_no_test_patient(study, monkeypatch) -> None:
    seen: dict[str, set[str]] = {}
    whole = study_diagnosis.adapted

    def watched(base, cohort, *, run):
        seen.setdefault("adapted", set()).add(frozenset(cohort.samples.donors.tolist()))
        return whole(base, cohort, run=run)

    monkeypatch.setattr(study_diagnosis, "adapted", watched)
    found = judged(study, "one")
    tests = [set(part["donor"]) for _, part in found.table.groupby("split")]
    everybody = set(read_cohort(study.paths["one"]).samples.donors.tolist())
    assert len(seen["adapted"]) == len(tests)
    for held in tests:
        assert any(not held & donors and held | donors == everybody for donors in seen["adapted"])


def test_without_pretraining_there_is_one_way_only(study) -> None:
    found = judged(study, "alone", baselines=[])
    assert set(found.table["method"]) == {ADAPTED}
    assert found.record["base_cohorts"] == []


def test_each_cell_type_is_a_task_and_too_few_donors_are_said_not_fatal(study) -> None:
    found = judged(study, "blood", references=[2])
    assert [task["cell_type"] for task in found.record["tasks"]] == ["B", "T"]
    few = study.folder / "few.h5ad"
    data = anndata.read_h5ad(study.paths["blood"])
    data[~((data.obs["cell_type"] == "B") & ~data.obs["donor"].isin(["p0", "p1"]))].copy().write_h5ad(few)
    found = diagnose_cohort(few, study.folder / "blood" / "base", name="few",
                            settings=SETTINGS.model_copy(update={"references": [2]}), seed=1)  # fmt: skip
    first, second = found.record["tasks"]
    assert first["skipped"]
    assert first["summary"] is None
    assert second["skipped"] is None
    assert set(found.table["cell_type"]) == {"T"}


def test_nothing_can_be_judged_gives_empty_tables_with_their_columns(study, tmp_path) -> None:
    few = tmp_path / "few.h5ad"
    data = anndata.read_h5ad(study.paths["alone"])
    data[["s00", "s01", "s02"]].copy().write_h5ad(few)
    found = diagnose_cohort(few, study.folder / "alone" / "base", name="few", settings=SETTINGS, seed=1)
    assert tuple(found.table.columns) == study_diagnosis.COLUMNS
    assert len(found.table) == 0
    assert found.record["tasks"][0]["skipped"]


def across(study, learned: str, diagnosed: str):
    return diagnose_across(
        study.paths[learned], study.paths[diagnosed], study.folder / diagnosed / "base", names=(learned, diagnosed),
        settings=SETTINGS, seed=1,
    )  # fmt: skip


def test_one_cohort_diagnoses_another(study) -> None:
    found = across(study, "two", "alone")
    (task,) = found.record["tasks"]
    assert task["summary"]["by_references"]["5"]["methods"][ADAPTED]["auc"] > 0.9
    assert set(found.table["donor"]) == {f"alone-{k:02d}" for k in range(16)}


def test_genes_that_one_cohort_lacks_count_as_not_measured(study) -> None:
    paths = study.paths | {"part": bulk_file(study.folder / "part.h5ad", seed=6, genes=GENES[:80])}
    found = across(SimpleNamespace(paths=paths, folder=study.folder), "part", "alone")
    assert found.record["tasks"][0]["summary"]["by_references"]["5"]["methods"][ADAPTED]["auc"] > 0.9


def test_copies_of_patients_in_both_cohorts_are_left_out_and_told(study, tmp_path) -> None:
    copy = tmp_path / "copy.h5ad"
    data = anndata.read_h5ad(study.paths["alone"])
    more = anndata.read_h5ad(study.paths["two"])
    both = anndata.concat([more, data[:2]], index_unique="-")
    both.uns["consilience"] = more.uns["consilience"]
    both.var = more.var
    both.write_h5ad(copy)
    found = across(SimpleNamespace(paths=study.paths | {"copy": copy}, folder=study.folder), "copy", "alone")
    leaks = found.record["tasks"][0]["summary"]["leakage"]
    assert len(leaks) == 2
    assert all("profile" in leak for leak in leaks)


def test_an_array_cannot_diagnose_reads(study) -> None:
    paths = study.paths | {"array": bulk_file(study.folder / "array.h5ad", units="log2")}
    with pytest.raises(DataError, match="not on one scale"):
        across(SimpleNamespace(paths=paths, folder=study.folder), "array", "alone")


@pytest.fixture(scope="module")
def markers(study) -> Path:
    for name in ("one", "blood"):
        folder = study.folder / name
        find_cohort_markers(
            study.paths[name], folder / "base", name=name, settings=SETTINGS, seed=1,
            tables={part: folder / f"markers_{part}.parquet" for part in PARTS}, record=folder / "markers.json",
        )  # fmt: skip
    return study.folder


def test_planted_genes_and_their_pathway_lead_the_markers(markers) -> None:
    genes = pd.read_parquet(markers / "one" / "markers_genes.parquet")
    planted = genes["feature"].isin(GENES[:SICK])
    first = genes[genes["kind"] == "gene"].sort_values("effect", ascending=False)["feature"][:SICK]
    assert first.isin(GENES[:SICK]).mean() > 0.7
    assert (genes.loc[planted, "effect"] > 0).mean() > 0.9
    pathways = pd.read_parquet(markers / "one" / "markers_pathways.parquet")
    assert pathways.sort_values("effect")["feature"].iloc[-1] == "ILL"
    assert pd.read_parquet(markers / "one" / "markers_enrichment.parquet")["pathway"].iloc[0] == "ILL"
    (task,) = json.loads((markers / "one" / "markers.json").read_text())["tasks"]
    assert task["evidence"] == "permute"
    assert task["n_significant"]["genes"] > 0


def test_markers_of_each_cell_type_stand_in_one_table(markers) -> None:
    genes = pd.read_parquet(markers / "blood" / "markers_genes.parquet")
    assert genes.columns[0] == "cell_type"
    assert genes.groupby("cell_type").size().to_dict() == {"B": len(GENES), "T": len(GENES)}


def test_the_held_out_are_whole_patients_of_both_arms(study) -> None:
    samples = read_cohort(study.paths["blood"]).samples
    aside = held_out(samples, seed=3)
    assert not set(samples.donors[aside]) & set(samples.donors[~aside])
    assert set(samples.labels[aside]) == {CASE, CONTROL} == set(samples.labels[~aside])
    order = np.random.default_rng(1).permutation(len(samples))
    assert np.array_equal(held_out(samples.take(order), seed=3), aside[order])


def made(study, name: str, **change):
    folder = study.folder / name
    settings = SETTINGS.model_copy(update=change)
    return synthesise_cohort(
        study.paths[name], folder / "base", folder / "model", name=name, settings=settings, seed=1
    )


@pytest.mark.parametrize("passed", [True, False])
def test_samples_leave_only_with_a_release(study, tmp_path, monkeypatch, passed) -> None:
    from dataclasses import replace

    judge = study_synthesis.judge
    monkeypatch.setattr(
        study_synthesis, "judge",
        lambda *a, **k: replace(one := judge(*a, **k), release=one.release | {"passed": passed}),
    )  # fmt: skip
    found = made(study, "one")
    paths = {"h5ad": tmp_path / "s.h5ad", "table": tmp_path / "s.parquet", "record": tmp_path / "s.json"}
    write_synthetic(found, **paths)
    data, table = anndata.read_h5ad(paths["h5ad"]), pd.read_parquet(paths["table"])
    assert data.shape == ((24, len(GENES)) if passed else (0, len(GENES)))
    assert len(table) == data.n_obs
    assert list(table.columns[:4]) == ["sample", "condition", "cell_type", "synthetic"]
    record = json.loads(paths["record"].read_text())
    assert [(kind["condition"], kind["real"]) for kind in record["kinds"]] == [("case", 12), ("control", 12)]
    assert record["release"]["passed"] is passed
    if passed:
        real = set(read_cohort(study.paths["one"]).samples.names.tolist())
        assert not real & set(table["sample"])
        assert pytest.approx(table[list(data.var_names)].to_numpy()) == data.X


def test_cell_types_are_kinds_of_their_own(study) -> None:
    kinds = made(study, "blood").record["kinds"]
    assert {(kind["condition"], kind["cell_type"]) for kind in kinds} == {
        (arm, cell_type) for arm in (CASE, CONTROL) for cell_type in ("B", "T")
    }


def test_no_synthetic_samples_where_none_are_asked_for(study) -> None:
    found = made(study, "one", fold=0.0)
    assert len(found.samples) == 0
    assert found.record["skipped"] == "rnagan.fold is 0"


def test_vectors_of_all_patients_and_their_worth(study, tmp_path) -> None:
    for name in ("one", "blood"):
        out = tmp_path / name
        out.mkdir()
        folder = study.folder / name
        cohort_vectors(
            study.paths[name], folder / "base", folder / "model", name=name, seed=1, vectors=out / "vectors.parquet",
            groups=out / "groups.parquet", neighbours=out / "nearest.parquet", record=out / "vectors.json",
        )  # fmt: skip
        vectors = pd.read_parquet(out / "vectors.parquet")
        cohort = read_cohort(study.paths[name])
        assert list(vectors["sample"]) == cohort.samples.names.tolist()
        assert list(vectors.columns[:6]) == ["sample", "cell_type", "donor", "arm", "batch", "v0"]
        groups = pd.read_parquet(out / "groups.parquet")
        assert len(groups) == 2 * len(np.unique(cohort.cell_types))
        near = pd.read_parquet(out / "nearest.parquet")
        donors = dict(zip(vectors["sample"], vectors["donor"], strict=True))
        assert (near["sample"].map(donors) != near["neighbour"].map(donors)).all()
        tasks = json.loads((out / "vectors.json").read_text())["tasks"]
        assert [task["cell_type"] for task in tasks] == sorted(set(cohort.cell_types.tolist()))
        for task in tasks:
            # every patient is asked about once, but for folds with too few to have neighbours
            assert 0.7 * task["n_samples"] <= task["figures"]["n_queries"] <= task["n_samples"]
            assert task["figures"]["rnagan"]["accuracy"]["mean"] > 0.8
    assert load_model(study.folder / "one" / "base").record["cohorts"][0]["name"] == "two"
