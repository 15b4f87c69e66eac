"""Where luck arises: planted variances are found again, and runs that are the same say so."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.augment.generators.generator import Drawn
from consilience.augment.judging import FIDELITY, PRIVACY
from consilience.augment.makers import by_name
from consilience.augment.robustness import robustness_runs, robustness_table, variance_parts
from consilience.foundation.errors import DataError, ModelError
from consilience.learning.splits import donor_splits
from sample_makers import by_class, cohort
from samplers import Population, shrunk_gaussian

POPULATION = Population(n_genes=80)
GAUSSIAN = by_class(shrunk_gaussian)


def planted(rng, sizes, sds):
    """Values of a nested design; `sizes`: draws per fit, a list of lists (splits, fits)."""
    y, a, b = [], [], []
    for split, fits in enumerate(sizes):
        of_split = rng.normal(0, sds[0])
        for fit, draws in enumerate(fits):
            of_fit = rng.normal(0, sds[1])
            for _ in range(draws):
                y.append(3.0 + of_split + of_fit + rng.normal(0, sds[2]))
                a.append(f"split {split}")
                b.append(fit)
    return np.array(y), np.array(a), np.array(b)


BALANCED = [[3, 3]] * 6
UNBALANCED = [[1, 4], [2], [3, 1, 2], [5, 1], [2, 2, 2, 2]]


@pytest.mark.parametrize("sizes", [BALANCED, UNBALANCED], ids=["balanced", "unbalanced"])
@pytest.mark.parametrize("sds", [(1.0, 0.5, 0.25), (0.2, 1.0, 0.5), (0.0, 0.0, 1.0)])
def test_estimates_are_unbiased(sizes, sds):
    rng = np.random.default_rng(1)
    raw = []
    for _ in range(600):
        y, a, b = planted(rng, sizes, sds)
        raw.append(variance_parts(y, split=a, init=b).raw)
    mean, error = np.mean(raw, axis=0), np.std(raw, axis=0, ddof=1) / np.sqrt(600)
    assert (np.abs(mean - np.square(sds)) < 4 * error).all(), (mean, error)


def test_many_splits_find_the_planted_variances():
    y, a, b = planted(np.random.default_rng(0), [[4] * 4] * 300, (1.0, 0.7, 0.4))
    found = variance_parts(y, split=a, init=b)
    assert found.split == pytest.approx(1.0, rel=0.2)
    assert found.init == pytest.approx(0.49, rel=0.1)
    assert found.sampling == pytest.approx(0.16, rel=0.1)
    assert sum(found.shares) == pytest.approx(1)
    assert found.floored == ()
    assert found.freedom == (299, 900, 3600)


def test_balanced_components_against_mean_squares_written_plainly():
    y, a, b = planted(np.random.default_rng(2), BALANCED, (1.0, 0.5, 0.3))
    table = y.reshape(6, 2, 3)
    fits = table.mean(axis=2)
    draws = ((table - fits[..., None]) ** 2).sum() / (6 * 2 * 2)
    between_fits = 3 * ((fits - fits.mean(axis=1, keepdims=True)) ** 2).sum() / 6
    between_splits = 6 * ((fits.mean(axis=1) - y.mean()) ** 2).sum() / 5
    expected = ((between_splits - between_fits) / 6, (between_fits - draws) / 3, draws)
    found = variance_parts(y, split=a, init=b)
    np.testing.assert_allclose(found.raw, expected)
    np.testing.assert_allclose(found.error, fits.mean(axis=1).std(ddof=1) / np.sqrt(6))


@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), shift=st.floats(-1e4, 1e4))
@settings(max_examples=30)
def test_order_shift_and_scale(seed, scale, shift):
    rng = np.random.default_rng(seed)
    y, a, b = planted(rng, UNBALANCED, (1.0, 0.5, 0.5))
    order = rng.permutation(len(y))
    found = variance_parts(y, split=a, init=b)
    moved = variance_parts((shift + scale * y)[order], split=a[order], init=b[order])
    np.testing.assert_allclose(moved.raw, np.array(found.raw) * scale**2, rtol=1e-5, atol=1e-6 * scale**2)
    assert moved.floored == found.floored or min(np.abs(found.raw)) < 1e-5


def test_what_comes_out_below_zero_is_floored_and_named():
    # fits within a split differ less than draws within a fit let expect
    y = np.array([0.0, 1.0, 1.0, 0.0, 0.5, 0.5, 0.6, 0.4])
    found = variance_parts(y, split=np.repeat(["a", "b"], 4), init=np.tile([0, 0, 1, 1], 2))
    assert found.init == 0.0
    assert found.raw[1] < 0
    assert "init" in found.floored
    assert min(found.split, found.init, found.sampling) >= 0


def test_parts_that_the_design_cannot_tell_are_not_claimed():
    y = np.random.default_rng(0).normal(size=6)
    one_draw = variance_parts(y, split=np.repeat([0, 1, 2], 2), init=np.tile([0, 1], 3))
    assert np.isnan(one_draw.sampling)
    assert one_draw.init >= 0
    one_fit = variance_parts(y, split=np.repeat([0, 1, 2], 2), init=np.zeros(6, int))
    assert np.isnan(one_fit.init)
    assert one_fit.sampling == pytest.approx(np.mean([np.var(y[i : i + 2], ddof=1) for i in (0, 2, 4)]))
    one_split = variance_parts(y, split=np.zeros(6), init=np.repeat([0, 1], 3))
    assert np.isnan(one_split.split)
    assert np.isnan(one_split.error)
    alone = variance_parts(y[:1], split=np.zeros(1), init=np.zeros(1))
    assert alone.mean == y[0]
    assert np.isnan(alone.raw).all()
    same = variance_parts(np.full(8, 0.1), split=np.repeat([0, 1], 4), init=np.tile([0, 0, 1, 1], 2))
    assert same.raw == (0.0, 0.0, 0.0)
    assert np.isnan(same.shares).all()


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="sizes"):
        variance_parts(np.zeros(3), split=np.zeros(2), init=np.zeros(3))
    with pytest.raises(DataError, match="figures are missing"):
        variance_parts(np.array([1.0, np.nan]), split=np.zeros(2), init=np.zeros(2))
    with pytest.raises(DataError, match="counted from 1"):
        robustness_runs(cohort(20), GAUSSIAN, n_draws=0)


def runs_of(parts, **more):
    """Runs of a generator whose drawn values say by which seeds they came."""

    def make(train, seed):
        fit = np.random.default_rng(seed).normal() * parts[0]

        def draw(labels, seed):
            value = fit + np.random.default_rng(seed).normal() * parts[1]
            return Drawn(np.full((len(labels), train.values.shape[1]), value, np.float32), labels)

        return draw

    def judge(train, held_out, drawn, seed):
        return {"figure": float(drawn.values.mean())}

    return robustness_runs(cohort(20), make, judge=judge, n_splits=40, n_inits=4, n_draws=4, **more)


def test_runs_put_luck_where_it_arises():
    found = robustness_table(runs_of((0.0, 1.0))).set_index("figure").loc["figure"]
    assert found["share_sampling"] > 0.9
    found = robustness_table(runs_of((1.0, 0.1))).set_index("figure").loc["figure"]
    assert found["share_init"] > 0.75
    assert found["n_runs"] == 640
    assert found["least"] < found["mean"] < found["most"]


def test_runs_are_of_other_patients_and_do_not_depend_on_order():
    samples = cohort(36, population=POPULATION, per_donor=2)
    seen = []

    def spy(train, seed):
        seen.append((frozenset(train.donors.tolist()), seed))
        return GAUSSIAN(train, seed)

    def judge(train, held_out, drawn, seed):
        assert not set(train.donors.tolist()) & set(held_out.donors.tolist())
        assert len(drawn.values) == 3 * len(train)
        return {"mean": float(drawn.values.mean()), "seed": float(seed)}

    order = np.random.default_rng(0).permutation(36)
    given = {"judge": judge, "n_splits": 3, "n_inits": 2, "n_draws": 2, "fold": 3, "seed": 4}
    one = robustness_runs(samples, spy, **given)
    other = robustness_runs(samples.take(order), spy, **given)
    pd.testing.assert_frame_equal(one, other)
    assert len(seen) == 12
    assert len(set(seen[:6])) == 6  # another seed for every fit
    assert one["mean"].nunique() == 12  # and for every draw
    assert one.groupby("split")["seed"].nunique().max() == 1
    rows = by_name(samples)
    splits = donor_splits(rows.donors, labels=rows.labels, n_splits=3, test_share=0.3, seed=4)
    for number, split in enumerate(splits):
        assert seen[2 * number][0] == set(rows.donors[split.train].tolist())


def test_a_fit_that_fails_is_a_finding_and_does_not_stop_the_others():
    calls = []

    def fails(train, seed):
        calls.append(seed)
        if len(calls) in (2, 5):
            raise ModelError("a weight is not finite")
        return GAUSSIAN(train, seed)

    def judge(train, held_out, drawn, seed):
        return {"mean": float(drawn.values.mean())}

    given = {"judge": judge, "n_splits": 3, "n_inits": 2, "n_draws": 2}
    found = robustness_runs(cohort(20), fails, **given)
    assert len(found) == 12
    lost = found[found["error"] != ""]
    assert list(zip(lost["split"], lost["init"], strict=True)) == [("split 0", 1)] * 2 + [("split 2", 0)] * 2
    assert lost["mean"].isna().all()
    row = robustness_table(found).set_index("figure").loc["mean"]
    assert row["n_runs"] == 8
    assert np.isfinite(row[["variance_split", "variance_init", "variance_sampling"]].astype(float)).all()

    def never(train, seed):
        raise ModelError("a weight is not finite")

    with pytest.raises(ModelError, match="not finite"):
        robustness_runs(cohort(20), never, **given)


def test_the_figures_of_judging_by_default():
    found = robustness_runs(cohort(40, population=POPULATION), GAUSSIAN, n_splits=2, n_inits=1, n_draws=2)
    assert {"split", "init", "draw", "error", *FIDELITY, *PRIVACY} == set(found.columns)
    table = robustness_table(found)
    assert set(table["figure"]) <= {*FIDELITY, *PRIVACY}
    assert {"mean_r2", "membership"} <= set(table["figure"])
