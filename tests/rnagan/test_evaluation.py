"""Evaluation: patients never parted, nothing learnt from the test, summaries against slow ones."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import ConfigError, DataError
from consilience.learning.baselines import baseline
from consilience.measures.ranking import auc
from consilience.rnagan.evaluation import Plan, evaluate, evaluate_transfer
from consilience.rnagan.evaluation_samples import merge_copies, permuted_labels
from consilience.rnagan.evaluation_summary import (
    Resampled,
    calibration_record,
    summarise,
    weighted_auc,
)
from rnagan.simple_scorers import FastCentroid, make_samples, of_kind

PLAN = Plan(sizes=(3, 6), n_draws=10, seed=1)
BASELINES = {"nearest_centroid": baseline("nearest_centroid"), "logistic_ridge": baseline("logistic_ridge")}


def plain(train, positive, seed):
    return FastCentroid(), None


def run(samples, *, methods=None, baselines=None, plan=PLAN, **options):
    return evaluate(samples, positive="sick", methods=methods or {"ours": plain},
                    baselines=BASELINES if baselines is None else baselines, plan=plan, **{"n_splits": 4} | options)  # fmt: skip


def test_all_methods_are_asked_the_same():
    found = run(make_samples(15, 15, seed=1))
    table = found.predictions
    assert set(table["method"]) == {"ours", *BASELINES}
    asked = table.groupby(["split", "n_references", "method"])["sample"].apply(tuple).unstack()
    assert (asked["ours"] == asked["logistic_ridge"]).all()
    assert (asked["ours"] == asked["nearest_centroid"]).all()
    ranks = table[table["method"] == "nearest_centroid"]
    assert ranks[["probability", "low", "high"]].isna().all(axis=None)
    assert ranks["ood"].isna().all()
    judged = table[table["method"] == "ours"]
    assert judged["probability"].between(judged["low"], judged["high"]).all()
    assert list(found.summary["by_references"]) == ["3", "6"]
    json.dumps(found.summary, allow_nan=False)
    assert found.summary["by_references"]["6"]["best_baseline"] in BASELINES


def test_patients_are_never_parted_and_only_training_patients_teach():
    samples = make_samples(24, 24, seed=1, per_donor=3)
    seen: list[tuple[str, ...]] = []

    def adapt(train, positive, seed):
        seen.append(tuple(sorted(set(train.donors.tolist()))))
        return FastCentroid(), None

    class Spy:
        probability = False

        @staticmethod
        def fit_predict(train, labels, test, seed):
            rows = {row.tobytes() for row in train}
            owners = {
                str(d) for d, row in zip(samples.donors, samples.values, strict=True) if row.tobytes() in rows
            }
            tested = {row.tobytes() for row in test}
            others = {
                str(d)
                for d, row in zip(samples.donors, samples.values, strict=True)
                if row.tobytes() in tested
            }
            assert not owners & others
            assert owners <= set(seen[-1])
            return test[:, 0]

    table = run(samples, methods={"ours": adapt}, baselines={"spy": Spy}).predictions
    assert len(seen) == 4
    for number, donors in enumerate(seen):
        tested = set(table.loc[table["split"] == f"split {number}", "donor"])
        assert tested
        assert not tested & set(donors)


def test_order_of_samples_does_not_matter():
    samples = make_samples(12, 12, seed=1)
    one = run(samples).predictions
    other = run(samples.take(np.random.default_rng(0).permutation(24))).predictions
    keys = ["split", "n_references", "method", "sample"]
    one, other = (x.sort_values(keys, ignore_index=True) for x in (one, other))
    np.testing.assert_allclose(one["score"], other["score"], rtol=1e-4, atol=1e-5)


def test_sizes_are_capped_by_what_there_is():
    found = run(make_samples(11, 20, seed=1), plan=Plan(sizes=(5, 10, 20, 30), n_draws=10, seed=1))
    table = found.predictions
    assert (table["n_positive"] <= table["n_references"]).all()
    assert set(table["n_references"]) == {5, 10, 20}
    assert found.summary["by_references"]["20"]["references"]["positive"][1] < 12


@pytest.mark.slow
def test_permuted_labels_give_chance_and_true_ones_do_not():
    values = {"true": [], "permuted": []}
    for seed in range(24):
        samples = make_samples(20, 20, seed=seed)
        for name, judged in (("true", samples), ("permuted", permuted_labels(samples, seed=seed))):
            found = run(judged, plan=Plan(sizes=(8,), n_draws=10, seed=seed))
            values[name].append(
                [found.summary["by_references"]["8"]["methods"][m]["auc"] for m in ("ours", *BASELINES)]
            )
    chance = np.array(values["permuted"])
    assert np.abs(chance.mean(axis=0) - 0.5).max() < 4 * chance.std(axis=0).max() / np.sqrt(24)
    assert np.mean(values["true"]) > 0.85


def test_permuting_keeps_donors_whole():
    samples = make_samples(12, 12, seed=1, per_donor=3)
    found = permuted_labels(samples, seed=3)
    assert sorted(found.labels.tolist()) == sorted(samples.labels.tolist())
    assert all(
        len(set(found.labels[found.donors == donor].tolist())) == 1 for donor in set(found.donors.tolist())
    )
    paired = replace(samples, donors=np.array([f"p{k % 12}" for k in range(24)]))
    found = permuted_labels(paired, seed=3)
    assert all(
        set(found.labels[found.donors == d].tolist()) == {"sick", "well"} for d in set(paired.donors.tolist())
    )
    assert (found.labels != paired.labels).any()
    shuffled = samples.take(np.arange(24)[::-1])
    np.testing.assert_array_equal(
        permuted_labels(shuffled, seed=3).labels[::-1], permuted_labels(samples, seed=3).labels
    )


def test_copies_are_found_and_kept_on_one_side():
    samples = make_samples(12, 12, seed=1)
    samples.values[5] = samples.values[2]
    samples.values[9] = samples.values[5]
    merged, told = merge_copies(samples)
    assert [one.split(" are ")[0] for one in told] == [
        "s0002 and s0005",
        "s0002 and s0009",
        "s0005 and s0009",
    ]
    assert "identical" in told[0]
    assert len({str(merged.donors[k]) for k in (2, 5, 9)}) == 1
    found = run(samples, baselines={})
    assert found.leakage == told
    samples.values[20] = samples.values[5]
    with pytest.raises(DataError, match="one profile has two labels"):
        run(samples)
    assert found.summary["leakage"] == list(told)
    for _, rows in found.predictions.groupby(["split", "n_references"]):
        tested = {"s0002", "s0005", "s0009"} & set(rows["sample"])
        assert not tested or len(tested) == 3


def test_from_one_cohort_to_another():
    train, test = make_samples(12, 12, seed=1, prefix="a"), make_samples(8, 8, seed=2, prefix="b")
    test.values[0] = train.values[3]
    shared = replace(test, donors=np.where(test.names == "b0001", "ad0004", test.donors))
    seen = []

    def adapt(part, positive, seed):
        seen.append(part)
        return FastCentroid(), None

    found = evaluate_transfer(train, shared, positive="sick", methods={"ours": adapt}, baselines=BASELINES,
                              plan=PLAN, n_repeats=3)  # fmt: skip
    assert len(seen) == 1
    assert {"a0003", "a0004"}.isdisjoint(seen[0].names.tolist())
    assert len(found.leakage) == 2
    assert "its patient is in the test cohort" in found.leakage[0]
    assert "its profile is in the test cohort" in found.leakage[1]
    assert set(found.predictions["sample"]) == set(test.names.tolist())
    assert found.predictions["split"].nunique() == 3
    assert found.summary["by_references"]["6"]["methods"]["ours"]["auc"] > 0.8


def test_bad_input_is_named():
    samples = make_samples(12, 12, seed=1)
    with pytest.raises(DataError, match=r"no sample has the positive label.*did you mean 'sick'"):
        evaluate(samples, positive="sik", methods={}, baselines=BASELINES, plan=PLAN)
    with pytest.raises(DataError, match=r"all samples have one label.*negatives=None"):
        run(of_kind(samples, "sick"))
    with pytest.raises(ConfigError, match="one name"):
        run(samples, methods={"nearest_centroid": plain})
    with pytest.raises(DataError, match="same genes in the same order"):
        evaluate_transfer(samples, samples.of_genes(samples.genes[:5]), positive="sick", methods={}, baselines={},
                          plan=PLAN)  # fmt: skip
    paired = replace(samples, donors=np.where(samples.labels == "sick", "one", "two"))
    with pytest.raises(DataError, match="no split has training and test patients of both kinds"):
        run(paired)


def test_probabilities_of_baselines_are_moved_to_the_prevalence():
    samples = make_samples(40, 10, seed=1, shift=0.0)

    class Half:
        probability = True

        @staticmethod
        def fit_predict(train, labels, test, seed):
            return np.full(len(test), labels.mean())

    table = run(samples, baselines={"half": Half}, plan=Plan(sizes=(5,), n_draws=5)).predictions
    np.testing.assert_allclose(table.loc[table["method"] == "half", "probability"].mean(), 0.8, atol=0.03)


# ---- summaries ----


def test_weighted_auc_is_the_auc_of_repeated_samples():
    rng = np.random.default_rng(0)
    score, label = np.round(rng.normal(size=14), 1), rng.random(14) < 0.5
    weights = rng.integers(0, 4, (6, 14)).astype(float)
    found = weighted_auc(score, label, weights=weights)
    for row, value in zip(weights.astype(int), found, strict=True):
        assert value == pytest.approx(auc(np.repeat(score, row), np.repeat(label, row)))
    assert np.isnan(weighted_auc(score, label, weights=label[None].astype(float)))[0]


def predictions(
    n: int, *, seed: int, separation: float, n_splits: int = 3, method: str = "ours"
) -> pd.DataFrame:
    """Test tables of `n` patients in several splits: a patient's scores share most of their noise."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2 == 0
    own = rng.normal(size=n)
    parts = []
    for split in range(n_splits):
        score = separation * label + own + 0.3 * rng.normal(size=n)
        parts.append(pd.DataFrame({
            "sample": [f"s{k}" for k in range(n)], "donor": [f"d{k}" for k in range(n)], "split": f"x{split}",
            "n_references": 5, "n_positive": 5, "n_negative": 5, "label": label, "method": method, "score": score,
            "probability": 1 / (1 + np.exp(-separation * (score - separation / 2) / 1.09)), "low": 0.0, "high": 1.0,
            "ood": pd.array([False] * n, dtype="boolean"),
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_interval_of_the_auc_holds_the_true_one():
    """Patients are the unit: three splits of the same patients must not pass for three times as many."""
    from scipy.stats import norm

    truth = float(norm.cdf(1.2 / np.sqrt(2 * 1.09)))
    hits, widths = [], []
    for seed in range(80):
        record = Resampled.of(predictions(40, seed=seed, separation=1.2), seed=seed).auc_record()
        hits.append(record["auc_low"] <= truth <= record["auc_high"])
        widths.append(record["auc_high"] - record["auc_low"])
    assert 0.87 <= np.mean(hits) <= 1.0
    assert np.mean(widths) < 0.35


def test_a_perfect_auc_has_a_width():
    record = Resampled.of(predictions(20, seed=1, separation=30.0), seed=0).auc_record()
    assert record["auc"] == record["auc_high"] == 1.0
    assert record["auc_low"] == pytest.approx(0.025 ** (1 / 10))


def test_differences_are_paired():
    one, other = (predictions(40, seed=3, separation=1.2, method=m) for m in ("ours", "theirs"))
    table = pd.concat([one, other], ignore_index=True)
    found = summarise(table, baselines=["theirs"], seed=0)["by_references"]["5"]
    assert found["differences"]["ours"]["theirs"] == {"auc": 0.0, "low": 0.0, "high": 0.0}
    assert found["best_baseline"] == "theirs"
    assert found["test_patients"] == 40


def test_expected_error_is_what_calibrated_probabilities_show():
    errors, expected = [], []
    for seed in range(40):
        record = calibration_record(predictions(40, seed=seed, separation=1.5, n_splits=1), seed=seed)
        errors.append(record["ece"])
        expected.append(record["ece_expected"])
    assert np.mean(errors) == pytest.approx(np.mean(expected), rel=0.25)
    sure = predictions(40, seed=1, separation=1.5, n_splits=1)
    assert record["ece_p"] > 0.01
    assert calibration_record(sure.assign(probability=1.0 - sure["probability"]), seed=1)["ece_p"] < 0.01
    assert sum(one["n"] for one in record["reliability"]) == 40
