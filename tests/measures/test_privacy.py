from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest

from consilience.foundation.errors import DataError
from consilience.measures.plain import plain
from consilience.measures.privacy import closest_record, privacy, wilson
from samplers import Population, bootstrap, by_class

POPULATION = Population()


def drawn(seed, n=40, m=25, k=100):
    rng = np.random.default_rng(seed)
    return rng, POPULATION.draw(n, rng), POPULATION.draw(m, rng), POPULATION.draw(k, rng)


def test_the_share_is_the_mean_over_all_choices_of_equally_many():
    """One synthetic sample on a line of patients: the formula against drawing subsets."""
    rng = np.random.default_rng(0)
    train, held, made = (
        rng.standard_normal((9, 40)),
        rng.standard_normal((4, 40)),
        rng.standard_normal((30, 40)),
    )
    found = closest_record(train=train, held_out=held, synthetic=made).share
    pool = np.concatenate([train, held])
    z = (pool - pool.mean(0)) / pool.std(0)
    w = (made - pool.mean(0)) / pool.std(0)
    similar = np.corrcoef(np.concatenate([w, z]))[:30, 30:]
    wins = []
    for _ in range(4000):
        some = rng.choice(9, 4, replace=False)
        wins.append((similar[:, some].max(axis=1) > similar[:, 9:].max(axis=1)).mean())
    assert found == pytest.approx(np.mean(wins), abs=4 * np.std(wins) / np.sqrt(4000))
    swapped = closest_record(train=held, held_out=train, synthetic=made).share
    assert swapped == pytest.approx(1 - found)
    assert comb(9, 4) == 126


def test_wilson_is_scipys():
    for wins, n in ((0, 10), (7, 20), (50, 50)):
        low, high = wilson(wins / n, n)
        expected = binomtest(wins, n).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_an_independent_sampler_is_as_near_to_one_as_to_the_other():
    shares, ps = [], []
    for seed in range(30):
        _, (train, a), (held, b), (made, c) = drawn(seed, n=30, m=15, k=800)
        found = closest_record(train=train, held_out=held, synthetic=made, labels=(a, b, c), seed=seed)
        shares.append(found.share)
        ps.append(found.p)
    assert abs(np.mean(shares) - 0.5) < 3.5 * np.std(shares, ddof=1) / np.sqrt(30)
    # the binomial interval takes samples for independent draws of patients; the p-value does not
    assert np.std(shares) > 1.25 * 0.5 / np.sqrt(800)
    assert np.mean(np.array(ps) < 0.1) < 0.3


def test_copies_show_in_every_figure():
    rng, (train, a), (held, b), _ = drawn(0)
    made, c = by_class(bootstrap, train, a, {"ill": 50, "well": 50}, rng)
    made[0], c[0] = train[3], a[3]
    found = privacy(train=train, held_out=held, synthetic=made, labels=(a, b, c), seed=1)
    assert (found.exact_copies, found.near_copies, found.near_share, found.near_held_out) == (
        1,
        100,
        1.0,
        0.0,
    )
    assert found.closest.share > 0.6
    assert found.closest.p < 0.01
    assert found.closest.to_train < 0.3 * found.closest.to_held_out
    assert found.closest.ratio_train < 0.2 < 0.7 < found.closest.ratio_held_out
    assert plain(found)["attacks"][1]["auc"] > 0.94


def test_the_order_of_rows_changes_nothing():
    rng, *sets = drawn(0)
    turned = []
    for values, labels in sets:
        order = rng.permutation(len(values))
        turned.append((values[order], labels[order]))
    results = [
        privacy(
            train=one[0][0], held_out=one[1][0], synthetic=one[2][0],
            labels=(one[0][1], one[1][1], one[2][1]), seed=4,
        ) for one in (sets, turned)
    ]  # fmt: skip
    assert results[0].closest.share == pytest.approx(results[1].closest.share)
    assert results[0].closest.p == results[1].closest.p
    assert [a.auc for a in results[0].attacks] == [a.auc for a in results[1].attacks]
    assert [a.p for a in results[0].attacks] == [a.p for a in results[1].attacks]


def test_bad_input_is_named():
    _, (train, _), (held, _), (made, _) = drawn(0, n=8, m=8, k=8)
    with pytest.raises(DataError, match="both in training and held out"):
        privacy(train=train, held_out=held, synthetic=made, donors=(np.arange(8), np.arange(7, 15)))
    with pytest.raises(DataError, match="too few"):
        privacy(train=train, held_out=held[:2], synthetic=made)
    with pytest.raises(DataError, match="same genes"):
        privacy(train=train, held_out=held[:, :5], synthetic=made)
    made[0, 0] = np.inf
    with pytest.raises(DataError, match="no numbers"):
        privacy(train=train, held_out=held, synthetic=made)
