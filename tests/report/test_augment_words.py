"""What the sections of augmentation claim: temperatures, usefulness, privacy, luck, markers, methods."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from consilience.augment.generators import generators
from consilience.augment.utility_summary import summarised
from consilience.foundation.files import write_parquet
from consilience.report.citations import cited
from consilience.report.sections import _augment_curves as curves
from consilience.report.sections import _augment_literature as literature
from consilience.report.sections import _augment_methods as written
from consilience.report.sections import _augment_reading as reading
from consilience.report.sections import (
    augment_privacy,
    augment_robustness,
    methods_used,
)
from consilience.report.sections import augment_temperature as temperature
from consilience.report.sections import augment_utility as utility
from consilience.report.sections._augment_shapes import Chosen, PrivacyRecord


def load(name: str) -> ModuleType:
    """Load a neighbour of this file (tests are not packages)."""
    spec = importlib.util.spec_from_file_location(
        f"consilience_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


helpers = load("test_augment_sections")
facts, figures_of, folder, said, series, table, changed, read = (
    helpers.facts, helpers.figures_of, helpers.folder, helpers.said, helpers.series, helpers.table, helpers.changed,
    helpers.read,
)  # fmt: skip


@pytest.fixture(scope="module")
def made(make_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    study = make_study(tmp_path_factory.mktemp("augment_words"))
    load("fixture_augment").add_augment(study)
    return study


@pytest.fixture
def study(made: Any, tmp_path: Path) -> Any:
    shutil.copytree(made.results, tmp_path / "fixture")
    return replace(made, results=tmp_path / "fixture")


# ---- temperature ----


def test_the_temperature_and_its_interval_are_drawn(study: Any) -> None:
    section = temperature.build(read(study))
    assert section is not None
    assert (
        "best at T = 1.20 (1.05 to 1.40), over 3 splits; T = 1 is inside the interval in 1 of them"
        in said(section)
    )
    assert section.headline == "T = 1 kept for 1 of 2 generators in 1 cohort."
    figure = figures_of(section)["temperature-match-tissue_geo"]
    (interval,) = [mark for mark in figure.marks if mark["type"] == "segments"]
    assert (interval["x0"], interval["x1"]) == ([1.05], [1.4])
    assert {mark["name"] for mark in figure.marks if mark["type"] == "line"} == {"spreads of genes", "spread within classes", "diversity"}  # fmt: skip
    slope = figures_of(section)["temperature-sd-slope-tissue_geo"]
    rules = {mark["label"]: mark["at"] for mark in slope.marks if mark["type"] == "rule"}
    judged = pd.read_parquet(folder(study) / "generators.parquet")
    ceiling = judged.loc[judged["generator"] == "real_train", "sd_slope"].mean()
    assert rules == {"T = 1.15": 1.15, "real patients": pytest.approx(ceiling, rel=1e-4)}


def test_curves_are_means_over_splits_of_each_way_of_sampling(study: Any) -> None:
    section = temperature.build(read(study))
    assert section is not None
    scan = pd.read_parquet(folder(study) / "temperature.parquet")
    figure = figures_of(section)["temperature-diversity-tissue_geo"]
    own = scan[(scan["generator"] == "published_vae") & (scan["mode"] == "posterior")]
    mark = series(figure, "published VAE, posterior")
    assert mark["x"] == [0.5, 1, 2, 4]
    assert mark["y"] == pytest.approx(own.groupby("temperature")["diversity"].mean().tolist(), rel=1e-4)
    assert [mark["name"] for mark in figure.marks if mark["type"] == "band"] == ["private factors"]
    assert "temperature-mean-r2-tissue_geo" not in figures_of(section)  # nothing but NaN


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (Chosen(why="T = 1 is kept."), "T = 1 is kept."),
        (Chosen(temperature=1, estimate=1.1, splits=(Chosen(why="of one split"),)), "of one split"),
        (Chosen(temperature=2, estimate=2, splits=(Chosen(temperature=2, edge="high"),) * 2), "In 2 the best is at an end"),
    ],
)  # fmt: skip
def test_why_this_temperature(chosen: Chosen, words: str) -> None:
    assert words in temperature.choice_words(chosen)


def test_ratios_are_averaged_as_ratios() -> None:
    parts = tuple(
        Chosen(temperatures=(1.0, 2.0), ratios={"spread": (0.5 * k, None), "diversity": (1.0,)})
        for k in (1, 4)
    )
    places, found = temperature.ratios_of(Chosen(splits=parts))
    assert places == (1.0, 2.0)
    assert found["spread"] == [pytest.approx(1.0), None]  # of 0.5 and 2, not 1.25
    assert found["diversity"] == [None, None]  # of another grid


# ---- usefulness ----


def test_a_gain_must_beat_repetition(study: Any) -> None:
    section = utility.build(read(study))
    assert section is not None
    assert section.headline.startswith(
        "Adding synthetic samples beats repeating the real ones in 6 of 6 comparisons"
    )
    path = folder(study) / "utility.parquet"
    rows = pd.read_parquet(path)
    twice = rows[rows["protocol"] == "twice"].set_index(["split", "classifier", "n_per_class"])["auc"]
    both = (rows["protocol"] == "augmented") & (rows["generator"] == "private_factors")
    noise = np.random.default_rng(1).normal(0, 0.01, int(both.sum()))
    rows.loc[both, "auc"] = twice.loc[pd.MultiIndex.from_frame(rows.loc[both, ["split", "classifier", "n_per_class"]])].to_numpy() + noise  # fmt: skip
    write_parquet(folder(study) / "utility_summary.parquet", summarised(rows))
    section = utility.build(read(study))
    assert section is not None
    assert "no claim in 6" in section.headline
    assert "Real and synthetic samples show no difference that may be claimed" in said(section)
    assert {row["over_twice_claim"] for row in table(section, "utility.tissue_geo") if row["protocol"] == "real and synthetic"} == {"no claim"}  # fmt: skip


def test_paired_differences_are_those_of_the_splits(study: Any) -> None:
    section = utility.build(read(study))
    assert section is not None
    rows = pd.read_parquet(folder(study) / "utility.parquet")
    wide = rows[(rows["classifier"] == "random_forest") & (rows["n_per_class"] == 20)].pivot_table(
        index="split", columns=["generator", "protocol"], values="auc"
    )
    gap = (wide["private_factors", "augmented"] - wide["real_train", "trtr"]).mean()
    (row,) = [row for row in table(section, "utility.tissue_geo")
              if (row["protocol"], row["classifier"], row["n_per_class"]) == ("real and synthetic", "random forest", "20")]  # fmt: skip
    assert row["difference"].startswith(f"{gap:+.3f} [")
    figure = figures_of(section)["utility-random-forest-tissue_geo"]
    assert figure.x.categories == ("10", "20", "all")
    assert series(figure, "synthetic")["y"][1] == pytest.approx(
        wide["private_factors", "tstr"].mean(), rel=1e-4
    )


def test_splits_do_where_the_summary_is_missing(study: Any) -> None:
    first = utility.build(read(study))
    (folder(study) / "utility_summary.parquet").unlink()
    second = utility.build(read(study))
    assert first is not None
    assert second is not None
    assert table(first, "utility") == table(second, "utility")


def test_a_task_that_is_too_easy_is_said(study: Any) -> None:
    path = folder(study) / "utility.parquet"
    rows = pd.read_parquet(path)
    rows["auc"] = 1.0
    write_parquet(folder(study) / "utility_summary.parquet", summarised(rows))
    section = utility.build(read(study))
    assert section is not None
    assert "too easy to show any use" in said(section)
    assert "no claim in 6" in section.headline


def test_usefulness_that_was_not_judged_is_said(study: Any) -> None:
    section = utility.build(read(study))
    assert section is not None
    (notice,) = section.notices
    assert notice.subject == "rare_geo"
    assert notice.text.startswith("usefulness was not judged: too few patients")
    assert "PCA mixture could not always be fitted: too few patients" in said(section)


def test_the_published_evaluation_stands_beside_the_paper(study: Any) -> None:
    section = utility.build(read(study))
    assert section is not None
    rows = table(section, "published.tissue_geo")
    assert rows[0]["generator"] == "the paper (GSE134900)"
    assert (rows[0]["mean_r2"], rows[0]["accuracy"], rows[0]["auc"]) == (0.9988, 0.9931, 0.9899)
    assert [row["evaluation"] for row in rows[1:5]] == [
        "as published",
        "patients never seen",
        "true labels",
        "both",
    ]
    assert [row["generator"] for row in rows[1::4]] == ["private factors", "published VAE"]
    judged = pd.read_parquet(folder(study) / "generators.parquet")
    honest = judged.loc[judged["generator"] == "published_vae", "mean_r2"].mean()
    assert rows[-1]["mean_r2"] == pytest.approx(honest)
    assert rows[-2]["mean_r2"] is None
    assert rows[-1]["auc"] == pytest.approx(0.705)


# ---- privacy ----


def test_attacks_and_limits(study: Any) -> None:
    section = augment_privacy.build(read(study))
    assert section is not None
    assert section.headline == "The trial is passed in 1 of 2 cohorts."
    assert facts(section, "privacy-tissue_geo")["best attack"] == "0.55"
    gate = {row["figure"]: row for row in table(section, "release.rare_geo")}
    assert (gate["membership AUC (distance)"]["passed"], gate["exact copies"]["passed"]) == ("no", "yes")
    figure = figures_of(section)["privacy-attacks-tissue_geo"]
    assert series(figure, "attack")["x"] == pytest.approx([0.55, 0.53, 0.51, 0.49])
    assert [mark["at"] for mark in figure.marks if mark["type"] == "rule"] == [0.6]
    every = figures_of(section)["privacy-generators-tissue_geo"]
    assert "real patients" not in every.y.categories
    assert every.y.categories[0] == "published GAN"  # the least first
    assert "private factors (chosen)" in every.y.categories


def test_the_other_attacks_in_words(study: Any) -> None:
    section = augment_privacy.build(read(study))
    assert section is not None
    words = said(section)
    for part in ("53 % of samples are nearer to a training patient", "(16 fits) reaches an AUC of 0.58 ± 0.03",
                 "a gene, guessed by regression from synthetic samples, is right for 62 % of training patients and 60 % of others: +0.020 [\N{MINUS SIGN}0.030, 0.070], p = 0.4"):  # fmt: skip
        assert part in words
    for cohort in ("tissue_geo", "rare_geo"):
        changed(
            folder(study, cohort) / "privacy.json", shadow=None, attribute=None, closest=None, epsilon=4.0
        )
    section = augment_privacy.build(read(study))
    assert section is not None
    assert facts(section, "privacy-tissue_geo")["differential privacy"] == "ε = 4"
    for gone in ("Shadow", "Attribute", "Closest"):
        assert gone in words
        assert gone not in said(section)
    keys = {entry.key for note in methods_used(read(study)) for entry in note.citations}
    assert "Abadi2016" in keys
    assert "Carlini2022" not in keys


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ({"train": 0.6, "held_out": 0.5}, [""]),
        ({"ridge": {"train": 0.6}, "label": {}}, ["ridge", "label"]),
        ([{"name": "a"}], ["a"]),
    ],
)
def test_one_attack_or_several(written: Any, names: list[str]) -> None:
    assert [one.name for one in PrivacyRecord.model_validate({"attribute": written}).attribute] == names


def test_a_level_without_a_limit_draws_none(study: Any) -> None:
    changed(folder(study) / "privacy.json", level="none", limits={"membership": None, "closest_share": 1.0})
    section = augment_privacy.build(read(study))
    assert section is not None
    figure = figures_of(section)["privacy-attacks-tissue_geo"]
    assert not [mark for mark in figure.marks if mark["type"] == "rule"]


# ---- robustness ----


def test_variance_is_stacked_to_the_whole(study: Any) -> None:
    section = augment_robustness.build(read(study))
    assert section is not None
    figure = figures_of(section)["robustness-shares-tissue_geo"]
    first, second, third = (mark for mark in figure.marks if mark["type"] == "boxes")
    assert (first["x1"][0], second["x1"][0], third["x1"][0]) == pytest.approx((0.6, 0.7, 1.0))
    assert second["x0"] == first["x1"]
    (row,) = [
        row for row in table(section, "robustness") if row["figure"] == reading.figure_words("sd_slope")
    ]
    assert (row["split"], row["init"], row["sampling"]) == (0.6, 0.1, 0.3)


def test_markers_stand_beside_patients_and_the_truth(study: Any) -> None:
    from consilience.measures.ranking import average_precision

    section = augment_robustness.build(read(study))
    assert section is not None
    assert "72 % of the top markers" in section.headline  # the patients' own 80 % is no part of the mean
    assert "genes below p = 0.05: 100 % as tested, 8 % with the patients' own error counted" in said(section)
    planted = (
        pd.read_parquet(study.results / "truth" / "genes.parquet").set_index("gene")["effect"].fillna(0.0)
    )
    found = pd.read_parquet(folder(study) / "markers.parquet")
    real = (found["gene"].map(planted) != 0).to_numpy()
    ours = {row["ranked_by"]: row for row in table(section, "augment_truth")}
    for column, who in (("effect_real", "patients"), ("effect_synthetic", "synthetic samples")):
        assert ours[who]["auprc"] == pytest.approx(average_precision(found[column].abs().to_numpy(), real))
    figure = figures_of(section)["robustness-markers-tissue_geo"]
    assert sorted(series(figure, "planted")["labels"]) == sorted(found.loc[real, "gene"])


def test_real_cohorts_have_no_truth(study: Any) -> None:
    study.cohorts = [replace(cohort, source="local") for cohort in study.cohorts]
    section = augment_robustness.build(read(study))
    assert section is not None
    assert not [one for one in helpers.tables_of(section) if one.key == "augment_truth"]
    figure = figures_of(section)["robustness-markers-tissue_geo"]
    assert {mark["name"] for mark in figure.marks} == {"equal", "genes"}


def test_a_null_study_has_nothing_to_find(study: Any) -> None:
    path = study.results / "truth" / "genes.parquet"
    write_parquet(path, pd.read_parquet(path).assign(effect=0.0))
    section = augment_robustness.build(read(study))
    assert section is not None
    assert not [one for one in helpers.tables_of(section) if one.key == "augment_truth"]


# ---- methods ----


def test_methods_name_what_ran_once(study: Any) -> None:
    notes = methods_used(read(study))
    keys = [note.key for note in notes]
    assert len(keys) == len(set(keys))
    assert {"augmentation", "temperature", "usefulness", "privacy", "robustness"} <= set(keys)
    (note,) = [note for note in notes if note.key == "augmentation"]
    text = note.text({"torch": "9.9"})
    for entry in note.citations:
        assert f"[{entry.key}]" in note.sentence
        assert entry.short in text
    assert "[" not in text.replace("[0", "")
    assert "smote: " in text
    assert "bootstrap_noise" not in text  # did not run
    assert "9.9" in text  # networks were among them
    assert "Song2026" in {entry.key for entry in cited(notes)}


@pytest.mark.parametrize("key", sorted(generators()))
def test_every_generator_can_be_cited(key: str) -> None:
    one = generators()[key]
    entry = literature.citation_of(one)
    assert (entry is None) == (not one.doi)
    (note,) = written.generating([key])
    assert one.doi in {citation.doi for citation in note.citations} | {""}
    if entry is not None:
        assert f"[{entry.key}]" in note.sentence
        assert entry.short in note.text({})


def test_a_generator_of_an_unknown_paper_is_cited_from_the_registry() -> None:
    one = replace(
        generators()["smote"], key="new", doi="10.1/new", reference="Doe J, Roe R. J Things 1:2, 1999"
    )
    entry = literature.citation_of(one)
    assert entry is not None
    assert (entry.doi, entry.year, entry.short) == ("10.1/new", 1999, "Doe J 1999")


def test_no_method_is_told_that_did_not_run(study: Any) -> None:
    for path in (study.results / "augment").glob("*/*"):
        if path.name not in {"generators.parquet", "generators.json"}:
            path.unlink()
    assert {note.key for note in methods_used(read(study))} & {"augmentation", "temperature", "usefulness", "privacy", "robustness"} == {"augmentation"}  # fmt: skip


# ---- words ----


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("real_train", "real patients"),
        ("published_vae", "published VAE"),
        ("pca_gaussian", "PCA Gaussian"),
        ("smote", "SMOTE"),
    ],
)
def test_generators_have_short_names(key: str, words: str) -> None:
    assert reading.generator_words(key) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.5], "0.50"),
        ([0.5, 0.7], f"0.60{reading.PLUS_MINUS}0.14"),
        ([float("nan"), -2.0], "\N{MINUS SIGN}2.00"),
        ([float("nan")], ""),
    ],
)
def test_means_over_splits_in_words(values: list[float], words: str) -> None:
    assert reading.over(pd.DataFrame({"x": values}), "x").words == words


def test_small_differences_keep_three_digits() -> None:
    assert curves._gap(-0.0304, -0.04, 0.0001) == "\N{MINUS SIGN}0.030 [\N{MINUS SIGN}0.040, 0.000]"
    assert curves._gap(0.01, None, None) == "+0.010"
    assert curves._gap(None, 0.0, 1.0) == ""
