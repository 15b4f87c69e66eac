"""Units of a file, to logarithms and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.strangers import cohort, counts_of
from consilience.augment.units import FARTHEST, Units, logged, scale_of, units_of, unlogged
from consilience.foundation.errors import DataError

SAMPLES = cohort(60)
COUNTS = counts_of(SAMPLES)


def back(values, units, *, labels=SAMPLES.labels, seed=1):
    found = units_of(values, units=units, labels=labels)
    return unlogged(logged(values, units=units), labels=labels, units=found, seed=seed), found


def test_counts_come_back_whole_with_shares_kept_and_totals_drawn_anew():
    made, units = back(COUNTS, "counts")
    assert (made == np.floor(made)).all()
    assert (made >= 0).all()
    before, after = (values / values.sum(axis=1, keepdims=True) for values in (COUNTS, made))
    assert after == pytest.approx(before, rel=0.05, abs=3e-5)
    assert not np.isin(made.sum(axis=1), COUNTS.sum(axis=1)).any()  # no patient's library size
    for label in ("sick", "well"):
        rows = SAMPLES.labels == label
        logs = np.log(COUNTS[rows].sum(axis=1))
        assert units.totals[label] == pytest.approx((logs.mean(), logs.std(ddof=1)))


def test_totals_follow_the_log_normal_of_their_class():
    labels = np.repeat(["sick", "well"], 2000)
    units = Units("counts", "log1p_cp10k", {"sick": (10.0, 0.5), "well": (12.0, 0.1)})
    logs = np.log1p(np.full((4000, 20), 1e4 / 20))
    totals = np.log(unlogged(logs, labels=labels, units=units, seed=0).sum(axis=1))
    for label, mean, sd in (("sick", 10.0, 0.5), ("well", 12.0, 0.1)):
        mine = totals[labels == label]
        assert abs(mine.mean() - mean) < 4 * sd / np.sqrt(2000)
        assert 0.9 * sd < mine.std() < 1.02 * sd  # a little narrower, as the far ones are cut
        assert np.abs(mine - mean).max() < FARTHEST * sd + 0.05


def test_rounding_keeps_the_expectation_of_few_reads():
    units = Units("counts", "log1p_cp10k", {"a": (np.log(1000.0), 0.0)})
    shares = np.array([0.0003, 0.0007, 0.999])
    logs = np.tile(np.log1p(shares * 1e4), (4000, 1))
    made = unlogged(logs, labels=np.full(4000, "a"), units=units, seed=0)
    assert made[:, :2].mean(axis=0) == pytest.approx([0.3, 0.7], abs=0.03)
    assert set(np.unique(made[:, :2])) == {0.0, 1.0}


@pytest.mark.parametrize("units", ["tpm", "cpm"])
def test_what_adds_up_to_one_total_does_so_again(units):
    values = COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e6
    made, _ = back(values, units)
    assert made.sum(axis=1) == pytest.approx(1e6, rel=1e-4)
    assert made == pytest.approx(values, rel=1e-3, abs=1e-2)


def test_logarithms_come_back_as_they_are_and_keep_the_total_they_were_scaled_to():
    logs = np.log1p(COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e6)
    made, units = back(logs, "log1p")
    assert units.total == pytest.approx(1e6, rel=1e-3)
    assert made == pytest.approx(logs, abs=1e-3)
    some = unlogged(logs + 0.5, labels=SAMPLES.labels, units=units, seed=0)
    assert np.expm1(some.astype(float)).sum(axis=1) == pytest.approx(1e6, rel=1e-3)
    twos = (logs / np.log(2)).astype(np.float32)
    again, _ = back(twos, "log2p1")
    assert again == pytest.approx(twos, abs=1e-3)
    free, told = back(logs[:, :100], "log1p")  # some genes only: totals differ, and are left alone
    assert told.total == 0
    assert free == pytest.approx(logs[:, :100])


def test_an_array_keeps_its_least_intensity():
    light = np.exp2(np.random.default_rng(0).normal(7, 2, (20, 50))).astype(np.float32)
    labels = np.repeat(["a", "b"], 10)
    made, units = back(light, "intensity", labels=labels)
    assert made == pytest.approx(light, rel=1e-3)
    low = unlogged(np.zeros((2, 50)), labels=labels[:2], units=units, seed=0)
    assert (low == light.min()).all()
    assert scale_of("intensity") == "log2"


def test_what_cannot_be_is_told():
    with pytest.raises(DataError, match="no such units"):
        logged(COUNTS, units="furlongs")
    with pytest.raises(DataError, match="zero in all genes"):
        logged(np.zeros((3, 5)), units="counts")
    units = units_of(COUNTS, units="counts", labels=SAMPLES.labels)
    with pytest.raises(DataError, match="class"):
        unlogged(SAMPLES.values[:2], labels=np.array(["x", "x"]), units=units, seed=0)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), order=st.permutations(range(12)))
def test_units_do_not_depend_on_the_order_of_samples(seed, order):
    some, labels = COUNTS[:12], SAMPLES.labels[:12]
    one = units_of(some, units="counts", labels=labels)
    two = units_of(some[list(order)], units="counts", labels=labels[list(order)])
    assert one.totals["well"] == pytest.approx(two.totals["well"])
    made = unlogged(SAMPLES.values[:12], labels=labels, units=one, seed=seed)
    assert (made == unlogged(SAMPLES.values[:12], labels=labels, units=one, seed=seed)).all()
