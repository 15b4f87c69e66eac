"""The comparison of a prepared cohort, and the choice."""

import json

import numpy as np
import pandas as pd
import pytest

from consilience.augment.judging import FIDELITY, PRIVACY, REAL_TRAIN
from consilience.augment.study_choice import choose_generator, write_choice
from consilience.augment.study_cohort import open_cohort, parts_of
from consilience.augment.study_compare import ATTACKS, COLUMNS, SCANNED, compare_generator, write_compared
from consilience.study.sections import AugmentSection, PathwaysSection
from rnagan.prepared import bulk_file, gene_sets_file

SETTINGS = AugmentSection(
    generators=["shrunk_gaussian", "smote"], splits=2, genes=80, temperatures=[0.5, 1.0, 2.0], fold=2.0
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The pieces of two generators and of the patients themselves."""
    out = tmp_path_factory.mktemp("compared")
    path = bulk_file(out / "cohort.h5ad", 30)
    pathways = PathwaysSection(
        gene_sets=[str(gene_sets_file(out / "sets.gmt"))], min_genes=5, min_coverage=0.1
    )
    for key in (REAL_TRAIN, *SETTINGS.generators):
        found = compare_generator(path, key, name="c", settings=SETTINGS, pathways=pathways, seed=3)
        write_compared(found, **pieces(out, key))
    return out


def pieces(out, key):
    return {
        "table": out / f"{key}.parquet", "attacks": out / f"{key}.attacks.parquet",
        "scan": out / f"{key}.temperature.parquet", "record": out / f"{key}.json",
    }  # fmt: skip


def chosen(folder, out, **change):
    """generators.json of these pieces."""
    files = {name: out / name for name in ("table", "attacks", "scan", "temperatures", "record")}
    settings = SETTINGS.model_copy(update=change)
    write_choice(
        [pieces(folder, key) for key in (REAL_TRAIN, *SETTINGS.generators)], settings=settings, **files
    )
    return json.loads(files["record"].read_text(encoding="utf-8")), files


def test_rows_have_all_figures_and_every_split_the_patients_themselves(folder):
    table = pd.concat([pd.read_parquet(pieces(folder, key)["table"]) for key in (REAL_TRAIN, "smote")])
    assert tuple(table.columns) == COLUMNS
    assert sorted(zip(table["split"], table["generator"], strict=True)) == [
        (0, REAL_TRAIN), (0, "smote"), (1, REAL_TRAIN), (1, "smote"),
    ]  # fmt: skip
    assert (table["error"] == "").all()
    real = table[table["generator"] == REAL_TRAIN]
    assert (real["exact_copies"] == real["n_train"]).all()
    assert (real["membership"] > 0.95).all()
    made = table[table["generator"] == "smote"]
    assert (made["n_drawn"] == 2 * made["n_train"]).all()
    assert table[[*FIDELITY[:4], "pathways", *PRIVACY]].notna().all().all()
    assert table["genes"].unique().tolist() == [80]


def test_all_jobs_of_a_cohort_hold_out_the_same_patients(folder):
    one, two = (
        parts_of(open_cohort(folder / "cohort.h5ad", name="c", genes=genes), splits=3, seed=3)
        for genes in (80, 40)
    )
    for first, second in zip(one, two, strict=True):
        assert first.held_out.names.tolist() == second.held_out.names.tolist()
        assert not set(first.train.donors) & set(first.held_out.donors)


def test_attacks_and_temperatures_are_kept_by_split(folder):
    attacks = pd.read_parquet(pieces(folder, "smote")["attacks"])
    assert tuple(attacks.columns) == ATTACKS
    assert set(attacks["attack"]) == {"distance", "correlation", "profile", "span"}
    scan = pd.read_parquet(pieces(folder, "shrunk_gaussian")["scan"])
    assert tuple(scan.columns) == SCANNED
    assert sorted(scan["temperature"]) == [0.5, 0.5, 1.0, 1.0, 2.0, 2.0]
    spread = scan.groupby("temperature")["spread"].mean()
    assert spread[0.5] < spread[1.0] < spread[2.0]


def test_the_choice_keeps_to_the_level(folder, tmp_path):
    told, files = chosen(folder, tmp_path, privacy="none")
    assert told["generator"] == "shrunk_gaussian"  # samples of smote are near copies
    assert told["within"]
    assert told["n_splits"] == 2
    assert told["classes"] == {"case": 15, "control": 15}
    assert {one["generator"] for one in told["frontier"]} == {"shrunk_gaussian", "smote"}
    assert {"smote", "shrunk_gaussian", REAL_TRAIN} == set(told["targets"])
    assert told["limits"]["none"]["membership"] is None
    assert told["temperature_low"] <= told["temperature"] <= told["temperature_high"]
    assert set(json.loads(files["temperatures"].read_text())) == {"shrunk_gaussian", "smote"}
    assert len(pd.read_parquet(files["table"])) == 6
    strict, _ = chosen(folder, tmp_path, privacy="strict")
    assert not strict["within"]
    assert any("membership" in words for words in strict["refused"])


def test_the_generator_that_is_asked_for_is_taken(folder, tmp_path):
    told, _ = chosen(folder, tmp_path, generator="smote")
    assert (told["generator"], told["why"]) == ("smote", "as the configuration asks")


def test_a_generator_that_fails_somewhere_is_not_chosen(folder):
    keys = (REAL_TRAIN, *SETTINGS.generators)
    records = [json.loads(pieces(folder, key)["record"].read_text()) for key in keys]
    table = pd.concat([pd.read_parquet(pieces(folder, key)["table"]) for key in keys], ignore_index=True)
    table.loc[(table["generator"] == "shrunk_gaussian") & (table["split"] == 1), "error"] = "it broke"
    told = choose_generator(records, table, settings=SETTINGS)
    assert told["generator"] == "smote"


def test_a_cohort_that_is_too_small_is_told_and_leaves_empty_tables(tmp_path):
    path = bulk_file(tmp_path / "few.h5ad", 6)
    keys = (REAL_TRAIN, *SETTINGS.generators)
    for key in keys:
        found = compare_generator(path, key, name="few", settings=SETTINGS, pathways=None, seed=3)
        assert found.rows == []
        write_compared(found, **pieces(tmp_path, key))
    told, files = chosen(tmp_path, tmp_path)
    assert told["generator"] is None
    assert "too few patients" in told["skipped"]
    table = pd.read_parquet(files["table"])
    assert len(table) == 0
    assert tuple(table.columns) == COLUMNS


def test_the_result_depends_on_the_seed_and_on_nothing_else(folder):
    path = folder / "cohort.h5ad"
    rows = [
        compare_generator(path, "shrunk_gaussian", name="c", settings=SETTINGS, pathways=None, seed=seed).rows
        for seed in (3, 3, 4)
    ]
    pick = [[row["membership"] for row in one] + [row["mean_r2"] for row in one] for one in rows]
    assert pick[0] == pick[1]
    assert not np.allclose(pick[0], pick[2])
