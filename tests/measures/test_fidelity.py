import json

import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.measures.fidelity import fidelity
from consilience.measures.plain import average, plain
from samplers import Population, by_class, narrow, shrunk_gaussian


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(0)
    draw = Population().draw
    train, held_out = draw(120, rng), draw(80, rng)
    return train, held_out, draw(200, rng)


def judge(cohort, synthetic=None, **more):
    (train, of_train), (held_out, of_held), own = cohort
    made, of_made = synthetic or own
    more.setdefault("labels", (of_train, of_held, of_made))
    return fidelity(real_train=train, real_held_out=held_out, synthetic=made, seed=3, **more)


def sampled(cohort, sampler, counts=None):
    (train, labels), _, _ = cohort
    n_of = counts or {label: int((labels == label).sum()) for label in np.unique(labels)}
    return by_class(sampler, train, labels, n_of, np.random.default_rng(1))


def test_a_sampler_of_the_population_reaches_the_ceiling(cohort):
    sets = [np.arange(k, k + 20) for k in range(0, 300, 20)]
    found = judge(cohort, membership=sets)
    assert found.synthetic.n_compared == found.ceiling.n_compared == 120
    for one in (found.synthetic, found.ceiling, found.split_half):
        assert one.genes.mean.r2 > 0.95
        assert 0.93 < one.genes.spread_ratio < 1.07
        assert 0.93 < one.cloud.diversity < 1.07
        assert 0.85 < one.correlation.concordance < 1.15
        assert one.pathways.median < 0.5
        assert one.classes.mean_r2 > 0.92
        assert one.classes.fold_change.r2 > 0.6
        assert one.classes.lost == ()
        assert max(one.two_sample.linear, one.two_sample.spread, one.two_sample.joint) < 0.72
    assert found.synthetic.genes.sd.slope == pytest.approx(found.ceiling.genes.sd.slope, abs=0.12)


def test_too_little_spread_shows_where_the_mean_stays_right(cohort):
    found = judge(cohort, sampled(cohort, narrow)).synthetic
    assert found.genes.mean.r2 > 0.95
    assert found.classes.spread_ratio < 0.5
    assert found.classes.diversity < 0.5
    assert found.two_sample.spread > 0.95


def test_a_lost_class_shows_where_the_pooled_figures_stay_high(cohort):
    found = judge(cohort, sampled(cohort, shrunk_gaussian, {"well": 120})).synthetic
    assert found.genes.mean.r2 > 0.93
    assert found.classes.lost == ("ill",)
    assert found.classes.mean_r2 < 0.52
    assert np.isnan(found.classes.fold_change.r2)
    assert found.classes.share_error == pytest.approx(27 / 80)
    assert [one.label for one in found.classes.each] == ["well"]


def test_the_order_of_rows_changes_nothing(cohort):
    rng = np.random.default_rng(5)
    turned = []
    for values, labels in cohort:
        order = rng.permutation(len(values))
        turned.append((values[order], labels[order]))
    first, second = (json.dumps(plain(judge(one)), sort_keys=True) for one in (cohort, turned))
    left, right = json.loads(first), json.loads(second)
    assert left["synthetic"]["two_sample"] == pytest.approx(right["synthetic"]["two_sample"])
    assert left["split_half"]["genes"]["sd"] == pytest.approx(right["split_half"]["genes"]["sd"])
    assert left["ceiling"]["classes"]["correlation"] == pytest.approx(
        right["ceiling"]["classes"]["correlation"]
    )


def test_labels_and_pathways_are_optional(cohort):
    found = judge(cohort, labels=None)
    assert found.synthetic.classes is None
    assert found.synthetic.pathways is None
    assert plain(found)["ceiling"]["classes"] is None


def test_bad_input_is_named(cohort):
    (train, of_train), (held_out, of_held), (made, of_made) = cohort
    holes = made.copy()
    holes[3, 5] = np.nan
    cases = [
        ({"synthetic": holes}, "no numbers"),
        ({"synthetic": made[:, :9]}, "same genes"),
        ({"real_held_out": held_out[:3], "labels": (of_train, of_held[:3], of_made)}, "too few"),
        ({"labels": (of_train, of_held, of_made[:4])}, "one label per sample"),
    ]
    for change, words in cases:
        given = {
            "real_train": train,
            "real_held_out": held_out,
            "synthetic": made,
            "labels": (of_train, of_held, of_made),
        }
        with pytest.raises(DataError, match=words):
            fidelity(**{**given, **change})


def test_plain_and_average():
    from consilience.measures.gene_agreement import Line

    mean = average([Line(0.0, 1.0, 2.0), Line(1.0, 2.0, float("nan"))])
    assert (mean.r2, mean.slope) == (0.5, 1.5)
    assert plain({"line": mean, "more": (np.float32(2), np.arange(2), "x", True, float("inf"))}) == {
        "line": {"r2": 0.5, "slope": 1.5, "intercept": None},
        "more": [2.0, [0, 1], "x", True, None],
    }


def test_averages_are_those_of_all_synthetic_samples_and_the_rest_of_as_many_as_were_trained_on():
    rng = np.random.default_rng(5)
    draw = Population().draw
    (train, train_labels), (held_out, labels), (made, made_labels) = (draw(n, rng) for n in (30, 40, 3_000))
    found = fidelity(
        real_train=train, real_held_out=held_out, synthetic=made, labels=(train_labels, labels, made_labels)
    ).synthetic
    assert found.n_compared == 30
    assert found.genes.mean.r2 == pytest.approx(np.corrcoef(held_out.mean(0), made.mean(0))[0, 1] ** 2)
    zeros = np.abs((held_out <= 0).mean(axis=0) - (made <= 0).mean(axis=0)).mean()
    assert found.genes.zero_fraction_error == pytest.approx(zeros)
    means = [np.corrcoef(held_out[labels == one].mean(0), made[made_labels == one].mean(0))[0, 1] ** 2
             for one in ("ill", "well")]  # fmt: skip
    assert found.classes.mean_r2 == pytest.approx(np.mean(means))
