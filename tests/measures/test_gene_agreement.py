import numpy as np
import pytest
from scipy import stats

from consilience.measures.gene_agreement import fold_changes, gene_agreement, line, within_class


def test_the_line_is_that_of_a_regression():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(200)
    y = 0.4 * x + 3 + 0.2 * rng.standard_normal(200)
    ours, theirs = line(x=x, y=y), stats.linregress(x, y)
    assert ours.slope == pytest.approx(theirs.slope)
    assert ours.intercept == pytest.approx(theirs.intercept)
    assert ours.r2 == pytest.approx(theirs.rvalue**2)


def test_half_the_spread_passes_the_squared_correlation_and_fails_slope_and_ratio():
    rng = np.random.default_rng(0)
    real = rng.standard_normal((200, 300)) * rng.uniform(0.2, 3, 300) + rng.uniform(2, 9, 300)
    found = gene_agreement(reference=real, compared=real.mean(axis=0) + 0.5 * (real - real.mean(axis=0)))
    assert found.mean.r2 == pytest.approx(1)
    assert found.sd.r2 == pytest.approx(1)
    assert found.sd.slope == pytest.approx(0.5)
    assert found.spread_ratio == pytest.approx(0.5)


def test_zero_fractions():
    reference = np.array([[0.0, 1.0], [0.0, 2.0]])
    compared = np.array([[0.0, 0.0], [1.0, 2.0]])
    assert gene_agreement(reference=reference, compared=compared).zero_fraction_error == pytest.approx(0.5)
    assert gene_agreement(reference=reference, compared=compared, zero=9).zero_fraction_error == 0


def test_constant_genes_give_no_number_rather_than_a_wrong_one():
    found = gene_agreement(reference=np.ones((4, 3)), compared=np.ones((4, 3)))
    assert np.isnan([found.mean.r2, found.sd.slope, found.spread_ratio]).all()


def test_fold_changes_and_residuals():
    values = np.array([[1.0], [3.0], [10.0], [20.0]])
    labels = np.array(["a", "a", "b", "c"])
    assert fold_changes(values=values, labels=labels, of=np.array(["a", "b", "c"])).ravel().tolist() == [
        -13,
        -1,
        14,
    ]
    assert within_class(values, labels).ravel().tolist() == [-1, 1, 0, 0]
    assert within_class(values, None).sum() == 0
