"""What the sections of augmentation claim: temperatures, usefulness, privacy, luck, markers, methods."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from consilience.augment.utility_summary import summarised
from consilience.foundation.files import write_parquet
from consilience.report.elements import tables_of
from consilience.report.sections import _augment_reading as reading
from consilience.report.sections import (
    augment_privacy,
    augment_robustness,
    methods_used,
)
from consilience.report.sections import augment_temperature as temperature
from consilience.report.sections import augment_utility as utility
from consilience.report.sections._augment_shapes import Chosen, PrivacyRecord

# ---- temperature ----


def test_the_temperature_and_its_interval_are_drawn(augmented: Any, look: ModuleType) -> None:
    section = temperature.build(look.read(augmented))
    assert section is not None
    assert (
        "best at T = 1.20 (1.05 to 1.40), over 3 splits; T = 1 is inside the interval in 1 of them"
        in look.said(section)
    )
    assert section.headline == "T = 1 kept for 1 of 2 generators in 1 cohort."
    figure = look.figures_of(section)["temperature-match-tissue_geo"]
    (interval,) = [mark for mark in figure.marks if mark["type"] == "segments"]
    assert (interval["x0"], interval["x1"]) == ([1.05], [1.4])
    assert {mark["name"] for mark in figure.marks if mark["type"] == "line"} == {"spreads of genes", "spread within classes", "diversity"}  # fmt: skip
    slope = look.figures_of(section)["temperature-sd-slope-tissue_geo"]
    rules = {mark["label"]: mark["at"] for mark in slope.marks if mark["type"] == "rule"}
    judged = pd.read_parquet(look.folder(augmented) / "generators.parquet")
    ceiling = judged.loc[judged["generator"] == "real_train", "sd_slope"].mean()
    assert rules == {"T = 1.15": 1.15, "real patients": pytest.approx(ceiling, rel=1e-4)}


def test_curves_are_means_over_splits_of_each_way_of_sampling(augmented: Any, look: ModuleType) -> None:
    section = temperature.build(look.read(augmented))
    assert section is not None
    scan = pd.read_parquet(look.folder(augmented) / "temperature.parquet")
    figure = look.figures_of(section)["temperature-diversity-tissue_geo"]
    own = scan[(scan["generator"] == "published_vae") & (scan["mode"] == "posterior")]
    mark = look.series(figure, "published VAE, posterior")
    assert mark["x"] == [0.5, 1, 2, 4]
    assert mark["y"] == pytest.approx(own.groupby("temperature")["diversity"].mean().tolist(), rel=1e-4)
    assert [mark["name"] for mark in figure.marks if mark["type"] == "band"] == ["private factors"]
    assert "temperature-mean-r2-tissue_geo" not in look.figures_of(section)  # nothing but NaN


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


def test_a_gain_must_beat_repetition(augmented: Any, look: ModuleType) -> None:
    section = utility.build(look.read(augmented))
    assert section is not None
    assert section.headline.startswith(
        "Adding synthetic samples beats repeating the real ones in 6 of 6 comparisons"
    )
    path = look.folder(augmented) / "utility.parquet"
    rows = pd.read_parquet(path)
    twice = rows[rows["protocol"] == "twice"].set_index(["split", "classifier", "n_per_class"])["auc"]
    both = (rows["protocol"] == "augmented") & (rows["generator"] == "private_factors")
    noise = np.random.default_rng(1).normal(0, 0.01, int(both.sum()))
    rows.loc[both, "auc"] = twice.loc[pd.MultiIndex.from_frame(rows.loc[both, ["split", "classifier", "n_per_class"]])].to_numpy() + noise  # fmt: skip
    write_parquet(look.folder(augmented) / "utility_summary.parquet", summarised(rows))
    section = utility.build(look.read(augmented))
    assert section is not None
    assert "no claim in 6" in section.headline
    assert "Real and synthetic samples show no difference that may be claimed" in look.said(section)
    assert {row["over_twice_claim"] for row in look.table(section, "utility.tissue_geo") if row["protocol"] == "real and synthetic"} == {"no claim"}  # fmt: skip


def test_paired_differences_are_those_of_the_splits(augmented: Any, look: ModuleType) -> None:
    section = utility.build(look.read(augmented))
    assert section is not None
    rows = pd.read_parquet(look.folder(augmented) / "utility.parquet")
    wide = rows[(rows["classifier"] == "random_forest") & (rows["n_per_class"] == 20)].pivot_table(
        index="split", columns=["generator", "protocol"], values="auc"
    )
    gap = (wide["private_factors", "augmented"] - wide["real_train", "trtr"]).mean()
    (row,) = [row for row in look.table(section, "utility.tissue_geo")
              if (row["protocol"], row["classifier"], row["n_per_class"]) == ("real and synthetic", "random forest", "20")]  # fmt: skip
    assert row["difference"].startswith(f"{gap:+.3f} [")
    figure = look.figures_of(section)["utility-random-forest-tissue_geo"]
    assert figure.x.categories == ("10", "20", "all")
    assert look.series(figure, "synthetic")["y"][1] == pytest.approx(
        wide["private_factors", "tstr"].mean(), rel=1e-4
    )


def test_splits_do_where_the_summary_is_missing(augmented: Any, look: ModuleType) -> None:
    first = utility.build(look.read(augmented))
    (look.folder(augmented) / "utility_summary.parquet").unlink()
    second = utility.build(look.read(augmented))
    assert first is not None
    assert second is not None
    assert look.table(first, "utility") == look.table(second, "utility")


def test_a_task_that_is_too_easy_is_said(augmented: Any, look: ModuleType) -> None:
    path = look.folder(augmented) / "utility.parquet"
    rows = pd.read_parquet(path)
    rows["auc"] = 1.0
    write_parquet(look.folder(augmented) / "utility_summary.parquet", summarised(rows))
    section = utility.build(look.read(augmented))
    assert section is not None
    assert "too easy to show any use" in look.said(section)
    assert "no claim in 6" in section.headline


def test_usefulness_that_was_not_judged_is_said(augmented: Any, look: ModuleType) -> None:
    section = utility.build(look.read(augmented))
    assert section is not None
    (notice,) = section.notices
    assert notice.subject == "rare_geo"
    assert notice.text.startswith("usefulness was not judged: too few patients")
    assert "PCA mixture could not always be fitted: too few patients" in look.said(section)


def test_the_published_evaluation_stands_beside_the_paper(augmented: Any, look: ModuleType) -> None:
    section = utility.build(look.read(augmented))
    assert section is not None
    rows = look.table(section, "published.tissue_geo")
    assert rows[0]["generator"] == "the paper (GSE134900)"
    assert (rows[0]["mean_r2"], rows[0]["accuracy"], rows[0]["auc"]) == (0.9988, 0.9931, 0.9899)
    assert [row["evaluation"] for row in rows[1:5]] == [
        "as published",
        "patients never seen",
        "true labels",
        "both",
    ]
    assert [row["generator"] for row in rows[1::4]] == ["private factors", "published VAE"]
    judged = pd.read_parquet(look.folder(augmented) / "generators.parquet")
    honest = judged.loc[judged["generator"] == "published_vae", "mean_r2"].mean()
    assert rows[-1]["mean_r2"] == pytest.approx(honest)
    assert rows[-2]["mean_r2"] is None
    assert rows[-1]["auc"] == pytest.approx(0.705)


# ---- privacy ----


def test_attacks_and_limits(augmented: Any, look: ModuleType) -> None:
    section = augment_privacy.build(look.read(augmented))
    assert section is not None
    assert section.headline == "The trial is passed in 1 of 2 cohorts."
    assert look.facts(section, "privacy-tissue_geo")["best attack"] == "0.55"
    gate = {row["figure"]: row for row in look.table(section, "release.rare_geo")}
    assert (gate["membership AUC (distance)"]["passed"], gate["exact copies"]["passed"]) == ("no", "yes")
    figure = look.figures_of(section)["privacy-attacks-tissue_geo"]
    assert look.series(figure, "attack")["x"] == pytest.approx([0.55, 0.53, 0.51, 0.49])
    assert [mark["at"] for mark in figure.marks if mark["type"] == "rule"] == [0.6]
    every = look.figures_of(section)["privacy-generators-tissue_geo"]
    assert "real patients" not in every.y.categories
    assert every.y.categories[0] == "published GAN"  # the least first
    assert "private factors (chosen)" in every.y.categories


def test_the_other_attacks_in_words(augmented: Any, look: ModuleType) -> None:
    section = augment_privacy.build(look.read(augmented))
    assert section is not None
    words = look.said(section)
    for part in ("53 % of samples are nearer to a training patient", "(16 fits) reaches an AUC of 0.58 ± 0.03",
                 "a gene, guessed by regression from synthetic samples, is right for 62 % of training patients and 60 % of others: +0.020 [\N{MINUS SIGN}0.030, 0.070], p = 0.4"):  # fmt: skip
        assert part in words
    for cohort in ("tissue_geo", "rare_geo"):
        look.changed(
            look.folder(augmented, cohort) / "privacy.json",
            shadow=None,
            attribute=None,
            closest=None,
            epsilon=4.0,
        )
    section = augment_privacy.build(look.read(augmented))
    assert section is not None
    assert look.facts(section, "privacy-tissue_geo")["differential privacy"] == "ε = 4"
    for gone in ("Shadow", "Attribute", "Closest"):
        assert gone in words
        assert gone not in look.said(section)
    keys = {entry.key for note in methods_used(look.read(augmented)) for entry in note.citations}
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


def test_a_level_without_a_limit_draws_none(augmented: Any, look: ModuleType) -> None:
    look.changed(
        look.folder(augmented) / "privacy.json",
        level="none",
        limits={"membership": None, "closest_share": 1.0},
    )
    section = augment_privacy.build(look.read(augmented))
    assert section is not None
    figure = look.figures_of(section)["privacy-attacks-tissue_geo"]
    assert not [mark for mark in figure.marks if mark["type"] == "rule"]


# ---- robustness ----


def test_variance_is_stacked_to_the_whole(augmented: Any, look: ModuleType) -> None:
    section = augment_robustness.build(look.read(augmented))
    assert section is not None
    figure = look.figures_of(section)["robustness-shares-tissue_geo"]
    first, second, third = (mark for mark in figure.marks if mark["type"] == "boxes")
    assert (first["x1"][0], second["x1"][0], third["x1"][0]) == pytest.approx((0.6, 0.7, 1.0))
    assert second["x0"] == first["x1"]
    (row,) = [
        row for row in look.table(section, "robustness") if row["figure"] == reading.figure_words("sd_slope")
    ]
    assert (row["split"], row["init"], row["sampling"]) == (0.6, 0.1, 0.3)


def test_markers_stand_beside_patients_and_the_truth(augmented: Any, look: ModuleType) -> None:
    from consilience.measures.ranking import average_precision

    section = augment_robustness.build(look.read(augmented))
    assert section is not None
    assert "72 % of the top markers" in section.headline  # the patients' own 80 % is no part of the mean
    assert "genes below p = 0.05: 100 % as tested, 8 % with the patients' own error counted" in look.said(
        section
    )
    planted = (
        pd.read_parquet(augmented.results / "truth" / "genes.parquet").set_index("gene")["effect"].fillna(0.0)
    )
    found = pd.read_parquet(look.folder(augmented) / "markers.parquet")
    real = (found["gene"].map(planted) != 0).to_numpy()
    ours = {row["ranked_by"]: row for row in look.table(section, "augment_truth")}
    for column, who in (("effect_real", "patients"), ("effect_synthetic", "synthetic samples")):
        assert ours[who]["auprc"] == pytest.approx(average_precision(found[column].abs().to_numpy(), real))
    figure = look.figures_of(section)["robustness-markers-tissue_geo"]
    assert sorted(look.series(figure, "planted")["labels"]) == sorted(found.loc[real, "gene"])


def test_real_cohorts_have_no_truth(augmented: Any, look: ModuleType) -> None:
    augmented.cohorts = [replace(cohort, source="local") for cohort in augmented.cohorts]
    section = augment_robustness.build(look.read(augmented))
    assert section is not None
    assert not [one for one in tables_of(section) if one.key == "augment_truth"]
    figure = look.figures_of(section)["robustness-markers-tissue_geo"]
    assert {mark["name"] for mark in figure.marks} == {"equal", "genes"}


def test_a_null_study_has_nothing_to_find(augmented: Any, look: ModuleType) -> None:
    path = augmented.results / "truth" / "genes.parquet"
    write_parquet(path, pd.read_parquet(path).assign(effect=0.0))
    section = augment_robustness.build(look.read(augmented))
    assert section is not None
    assert not [one for one in tables_of(section) if one.key == "augment_truth"]


def test_intervals_of_shares_stay_between_nothing_and_all(augmented: Any, look: ModuleType) -> None:
    """Student's interval of two splits may leave 0 to 1; the figure cannot."""
    rows = pd.read_parquet(look.folder(augmented) / "utility.parquet")
    write_parquet(
        look.folder(augmented) / "utility_summary.parquet",
        summarised(rows[rows["split"] < 2].assign(auc=rows["split"] * 0.4 + 0.5)),
    )
    section = utility.build(look.read(augmented))
    assert section is not None
    told = [row for row in look.table(section, "utility") if row["measure"] == "auc"]
    assert {(row["low"], row["high"]) for row in told} == {(0.0, 1.0)}
