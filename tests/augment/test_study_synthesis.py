"""What the stage writes of one cohort: synthetic patients, their use, and how much is luck."""

import json
from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest

from consilience.augment import study_cohort
from consilience.augment.release import load_model
from consilience.augment.study_cohort import open_cohort, units_of_cohort
from consilience.augment.study_robustness import AGREED, GENES, ROBUST, robustness_of, write_robust
from consilience.augment.study_synthesis import synthesise_cohort
from consilience.augment.study_utility import use_generator, write_used, write_utility
from consilience.study.sections import AugmentSection
from rnagan.prepared import SICK, bulk_file

FILES = {"synthetic.h5ad", "synthetic.parquet", "model", "genes.parquet", "overlay.parquet", "card.md",
         "metrics.json", "privacy.json"}  # fmt: skip
SETTINGS = AugmentSection(
    splits=2,
    genes=60,
    fold=3.0,
    privacy="none",
    runs=2,
    sizes=[4],
    temperature=1.0,
    classifiers=["nearest_centroid"],
)
CHOICE = {"generator": "shrunk_gaussian", "why": "for a test"}


def made(tmp_path, *, choice=CHOICE, path=None, **change):
    path = path or bulk_file(tmp_path / "cohort.h5ad", 40)
    settings = SETTINGS.model_copy(update=change)
    synthesise_cohort(path, choice, tmp_path, name="c", settings=settings, seed=1)
    metrics, privacy = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("metrics", "privacy")
    )
    return anndata.read_h5ad(tmp_path / "synthetic.h5ad"), metrics, privacy, path


def test_a_release_has_the_units_and_genes_of_the_cohort(tmp_path):
    data, metrics, privacy, path = made(tmp_path)
    real = anndata.read_h5ad(path)
    assert {entry.name for entry in tmp_path.iterdir()} >= FILES
    assert metrics["released"]
    assert privacy["passed"]
    assert data.var_names.tolist() == real.var_names.tolist()
    counts = np.asarray(data.layers["counts"])
    assert counts.dtype.kind == "i"
    assert np.asarray(data.X) == pytest.approx(
        np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e6), abs=1e-3
    )
    assert (data.obs["synthetic"]).all()
    assert data.obs["arm"].value_counts().to_dict() == {"case": 60, "control": 60}
    assert set(data.obs["condition"]) == {"ill", "well"}
    assert not set(data.obs_names) & set(real.obs_names)
    told = data.uns["consilience"]
    assert (told["kind"], told["generator"], told["privacy"]) == ("augment", "shrunk_gaussian", "none")
    table = pd.read_parquet(tmp_path / "synthetic.parquet")
    assert (table[real.var_names.tolist()].to_numpy() == counts).all()
    assert table["sample"].tolist() == data.obs_names.tolist()
    higher = np.isin(data.var_names, real.var_names[:SICK])
    fold = np.asarray(data.X)[data.obs["arm"] == "case"].mean(axis=0) - np.asarray(data.X)[
        data.obs["arm"] == "control"
    ].mean(axis=0)
    assert fold[higher].min() > fold[~higher].max()


def test_the_trial_is_shown_by_gene_and_by_patient(tmp_path):
    _, metrics, _, path = made(tmp_path)
    genes, points = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("genes", "overlay"))
    assert set(genes["label"]) == {"case", "control"}
    assert np.corrcoef(genes["mean_real"], genes["mean_synthetic"])[0, 1] > 0.9
    counted = points["kind"].value_counts().to_dict()
    assert (counted["training"], counted["held out"]) == (
        metrics["judged"]["n_train"], metrics["judged"]["n_held_out"],
    )  # fmt: skip
    real = set(anndata.read_h5ad(path).obs_names)
    assert set(points.loc[points["kind"] != "synthetic", "sample"]) == real
    assert set(points.loc[points["kind"] == "synthetic", "sample"]) == {""}
    assert 0 < points["explained_2"].iloc[0] <= points["explained_1"].iloc[0] < 1


def test_a_refusal_leaves_no_sample_and_says_why(tmp_path):
    data, metrics, privacy, _ = made(tmp_path, choice={"generator": "bootstrap_noise"}, privacy="balanced")
    assert data.n_obs == 0
    assert data.n_vars > 0
    assert not metrics["released"]
    assert not privacy["passed"]
    assert privacy["reasons"]
    assert len(pd.read_parquet(tmp_path / "synthetic.parquet")) == 0
    assert "No, not at the level" in (tmp_path / "card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "choice", "said"),
    [
        ({"fold": 0.0}, CHOICE, "fold is 0"),
        ({}, {"generator": None, "skipped": "too few patients"}, "too few patients"),
    ],
)
def test_what_cannot_be_made_leaves_the_same_files(tmp_path, change, choice, said):
    data, metrics, privacy, _ = made(tmp_path, choice=choice, **change)
    assert data.n_obs == 0
    assert said in metrics["skipped"]
    assert said in privacy["skipped"]
    assert {entry.name for entry in tmp_path.iterdir()} >= FILES


def test_the_model_folder_is_read_again(tmp_path):
    made(tmp_path)
    again = load_model(tmp_path / "model")
    assert again.classes == ("case", "control")
    assert again.sample(np.array(["case"]), seed=1).values.shape == (1, 120)


@pytest.mark.parametrize("units", ["tpm", "log2", "intensity"])
def test_other_units_come_back_as_the_cohort_holds_them(tmp_path, units):
    path = bulk_file(tmp_path / "cohort.h5ad", 40, units=units)
    file = anndata.read_h5ad(path)
    del file.layers["counts"]
    if units == "tpm":
        linear = np.expm1(np.asarray(file.X, dtype=float))
        file.X = np.log2(linear / linear.sum(axis=1, keepdims=True) * 1e6 + 1).astype(np.float32)
    file.write_h5ad(path)
    data, metrics, _, _ = made(tmp_path, path=path)
    assert metrics["units"] == {"tpm": "tpm"}.get(units, "log2")
    assert "counts" not in data.layers
    made_x, real_x = np.asarray(data.X), np.asarray(file.X)
    assert made_x.mean(axis=0) == pytest.approx(real_x.mean(axis=0), abs=0.5)
    if units == "tpm":
        assert np.exp2(made_x.astype(float)).sum(axis=1) - 120 == pytest.approx(1e6, rel=1e-3)


def test_totals_are_those_of_the_counts(tmp_path):
    path = bulk_file(tmp_path / "cohort.h5ad", 20)
    cohort = open_cohort(path, name="c")
    units = units_of_cohort(cohort, path)
    counts = np.asarray(anndata.read_h5ad(path).layers["counts"])
    case = np.log(counts.sum(axis=1))[::2]
    assert units.whole
    assert units.totals["case"] == pytest.approx((case.mean(), case.std(ddof=1)), rel=1e-4)


def test_use_is_judged_on_patients_left_out_and_joined(tmp_path):
    path = bulk_file(tmp_path / "cohort.h5ad", 30)
    keys = ("shrunk_gaussian", "pca_gaussian")
    for key in keys:
        found = use_generator(path, key, name="c", settings=SETTINGS, seed=1)
        write_used(
            found, table=tmp_path / f"{key}.t", published=tmp_path / f"{key}.p", record=tmp_path / f"{key}.r"
        )
    parts = [[tmp_path / f"{key}.{kind}" for key in keys] for kind in "tpr"]
    out = {name: tmp_path / name for name in ("table", "summary", "ladder", "record")}
    write_utility(*parts, **out)
    table = pd.read_parquet(out["table"])
    real = table[table["generator"] == "real_train"]
    assert not real.duplicated(["protocol", "classifier", "n_per_class", "split"]).any()
    assert set(table["generator"]) == {"real_train", *keys}
    told = json.loads(out["record"].read_text())
    assert told["skipped"] is None
    assert {one["against"] for one in told["differences"]} == {"trtr", "twice"}
    assert {one["protocol"] for one in told["published"]} >= {"published", "honest"}


def test_robustness_and_markers(tmp_path):
    path = bulk_file(tmp_path / "cohort.h5ad", 30)
    found = robustness_of(path, CHOICE, name="c", settings=SETTINGS, seed=1)
    out = {name: tmp_path / name for name in ("table", "genes", "agreement", "record")}
    write_robust(found, **out)
    table, genes, agreement = (pd.read_parquet(out[name]) for name in ("table", "genes", "agreement"))
    assert tuple(table.columns) == ROBUST
    assert set(table["source"]) == {"init", "data split", "sampling", "total"}
    spread = table[(table["figure"] == "spread") & (table["source"] == "total")].iloc[0]
    assert 0.7 < spread["mean"] < 1.4
    assert spread["n_runs"] == 8
    assert tuple(genes.columns) == GENES
    planted = genes["gene"].isin(anndata.read_h5ad(path).var_names[:SICK])
    assert genes.loc[planted, "effect_synthetic"].min() > 0.5
    assert set(AGREED) <= set(agreement.columns)
    told = json.loads(out["record"].read_text())
    assert {one["generator"] for one in told["overlap"]} == {"real_train", "shrunk_gaussian"}
    off = robustness_of(path, CHOICE, name="c", settings=SETTINGS.model_copy(update={"runs": 0}), seed=1)
    assert off.record["skipped"] == "augment.runs is 0"
    assert tuple(off.table.columns) == ROBUST


def test_the_temperature_is_chosen_among_the_training_patients_only(tmp_path, monkeypatch):
    """Other held-out values, the same temperature."""
    from consilience.augment.generators import generator
    from consilience.augment.making import Recipe, learn

    cohort = open_cohort(bulk_file(tmp_path / "cohort.h5ad", 40), name="c")
    seen = []
    recipe = Recipe(generator("shrunk_gaussian"), 1.0, "auto")
    for change in (0.0, 5.0):
        part = study_cohort.parts_of(cohort, splits=1, seed=1)[0]
        aside = np.isin(cohort.samples.names, part.held_out.names)
        values = cohort.samples.values + np.where(aside[:, None], np.float32(change), np.float32(0))
        moved = replace(cohort, samples=replace(cohort.samples, values=values))
        again = study_cohort.parts_of(moved, splits=1, seed=1)[0]
        seen.append(learn(again.train, recipe, seed=1).temperature)
    assert seen[0] == seen[1]
