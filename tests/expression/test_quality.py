"""Limits and distances against slow forms, and against outliers that were planted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.expression.quality import (
    mad_limits,
    mad_of,
    pca_distances,
    principal_components,
    subgroup_members,
)
from consilience.foundation.seeds import stream


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@given(st.lists(st.floats(1, 1e6), min_size=3, max_size=19), st.booleans())
def test_limits_are_median_plus_minus_mads(values: list[float], log: bool) -> None:
    scaled = [float(np.log(v)) for v in values] if log else values
    centre = median(scaled)
    deviations = [abs(one - centre) for one in scaled]
    mad = 1.4826 * median(deviations) or 1.2533 * sum(deviations) / len(deviations)
    found = mad_limits(
        values=np.array(values), groups=["a"] * len(values), n_mads=3, low=True, high=True, log=log
    )
    if mad == 0:
        assert (found.low["a"], found.high["a"]) == (None, None)
        return
    back = np.exp if log else float
    assert found.low["a"] == pytest.approx(back(centre - 3 * mad), rel=1e-9, abs=1e-6)
    assert found.high["a"] == pytest.approx(back(centre + 3 * mad), rel=1e-9, abs=1e-6)


def test_the_mad_of_normal_data_is_its_standard_deviation() -> None:
    assert mad_of(stream(1, "mad").normal(0, 2.5, 200_000)) == pytest.approx(2.5, rel=0.01)


def test_mad_of_mostly_equal_values_falls_back_and_of_equal_ones_is_zero() -> None:
    assert mad_of(np.array([0.0, 0, 0, 0, 4])) == pytest.approx(1.2533 * 0.8)
    assert mad_of(np.zeros(5)) == 0
    limits = mad_limits(values=np.full(5, 7.0), groups=["a"] * 5, n_mads=1, low=True, high=True, log=True)
    assert not limits.outside(np.full(5, 7.0), groups=["a"] * 5).any()


def test_a_zero_lies_below_every_logarithmic_limit() -> None:
    values = np.array([0.0, 90, 100, 110, 120])
    limits = mad_limits(values=values, groups=["a"] * 5, n_mads=50, low=True, high=False, log=True)
    assert limits.outside(values, groups=["a"] * 5).tolist() == [True, False, False, False, False]


def test_a_small_arm_at_another_depth_is_no_outlier() -> None:
    rng = stream(2, "depth")
    values = np.concatenate([rng.lognormal(17, 0.1, 40), rng.lognormal(14, 0.1, 4)])
    groups = ["case"] * 40 + ["control"] * 4
    apart = mad_limits(values=values, groups=groups, n_mads=4, low=True, high=True, log=True)
    assert not apart.outside(values, groups=groups).any()
    together = mad_limits(values=values, groups=["all"] * 44, n_mads=4, low=True, high=True, log=True)
    assert together.outside(values, groups=["all"] * 44)[40:].all()


def test_tolerance_keeps_limits_away_from_the_median() -> None:
    values = np.array([100.0, 101, 99, 100, 60])
    near = mad_limits(values=values, groups=["a"] * 5, n_mads=3, low=True, high=True, log=True)
    far = mad_limits(
        values=values, groups=["a"] * 5, n_mads=3, low=True, high=True, log=True, tolerance=np.log(2)
    )
    assert near.outside(values, groups=["a"] * 5).tolist() == [False] * 4 + [True]
    assert far.low["a"] == pytest.approx(50)
    assert far.high["a"] == pytest.approx(200)


def expression(
    n_case: int, n_control: int, *, seed: int, n_genes: int = 1500
) -> tuple[np.ndarray, list[str]]:
    """Log expression with a disease effect, three programs and noise."""
    rng = stream(seed, "expression")
    n = n_case + n_control
    base = rng.normal(5, 2, n_genes) + rng.normal(0, 0.5, (n, 3)) @ rng.normal(0, 0.5, (3, n_genes))
    base[:n_case] += rng.normal(0, 1, n_genes) * (rng.random(n_genes) < 0.3)
    return base + rng.normal(0, 0.4, (n, n_genes)), ["case"] * n_case + ["control"] * n_control


def far(values: np.ndarray, groups: list[str], batches: list[str] | None = None) -> np.ndarray:
    found = pca_distances(log_expression=values, groups=groups, batches=batches)
    limits = mad_limits(
        values=found.distance, groups=groups, n_mads=5, low=False, high=True, log=False, tolerance=0.5
    )
    flagged = limits.outside(found.distance, groups=groups)
    return flagged & ~subgroup_members(flagged=flagged, products=found.products, groups=groups)


@pytest.mark.parametrize(("n_case", "n_control"), [(30, 30), (40, 6), (8, 8), (7, 5)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_planted_foreign_tissue_is_found_and_nothing_else(n_case: int, n_control: int, seed: int) -> None:
    values, groups = expression(n_case, n_control, seed=seed)
    assert not far(values, groups).any()
    rng = stream(seed, "swap")
    rows = rng.permutation(len(groups))[: 2 if n_control > 5 else 1]
    values[rows] += rng.normal(0, 1.5, values.shape[1])
    assert np.flatnonzero(far(values, groups)).tolist() == sorted(rows.tolist())


@pytest.mark.parametrize("n_control", [1, 2, 4, 10])
def test_a_minority_arm_is_never_far_however_large_its_difference(n_control: int) -> None:
    values, groups = expression(40, n_control, seed=4)
    values[40:] += stream(4, "arm").normal(0, 4, values.shape[1])
    assert not far(values, groups)[40:].any()
    assert not far(values, groups).all()


def test_a_known_batch_is_no_distance_and_an_unknown_one_is_a_subgroup() -> None:
    values, groups = expression(30, 30, seed=5)
    rows = np.arange(0, 60, 4)
    values[rows] += stream(5, "batch").normal(0, 1.5, values.shape[1])
    batches = ["b" if row % 4 == 0 else "a" for row in range(60)]
    assert not far(values, groups, batches).any()
    found = pca_distances(log_expression=values, groups=groups)
    members = subgroup_members(flagged=np.isin(np.arange(60), rows), products=found.products, groups=groups)
    assert members[rows].all()
    assert members.sum() == rows.size


def test_lone_outliers_are_no_subgroup() -> None:
    values, groups = expression(20, 20, seed=6)
    rows = np.arange(0, 20, 4)
    values[rows] += stream(6, "each").normal(0, 2, (rows.size, values.shape[1]))
    found = pca_distances(log_expression=values, groups=groups)
    flagged = np.isin(np.arange(40), rows)
    assert not subgroup_members(flagged=flagged, products=found.products, groups=groups).any()


def test_distances_follow_the_samples_when_their_order_changes() -> None:
    values, groups = expression(12, 9, seed=7)
    order = stream(7, "order").permutation(21)
    straight = pca_distances(log_expression=values, groups=groups).distance
    shuffled = pca_distances(log_expression=values[order], groups=[groups[k] for k in order]).distance
    np.testing.assert_allclose(shuffled, straight[order], rtol=1e-9)


def test_too_few_samples_have_no_distance() -> None:
    values, groups = expression(5, 4, seed=8)
    assert np.isnan(pca_distances(log_expression=values, groups=groups).distance).all()


def test_distance_is_what_a_projection_leaves() -> None:
    """The same through an explicit basis in gene space (the library uses inner products of samples)."""
    values, groups = expression(9, 8, seed=9, n_genes=200)
    found = pca_distances(log_expression=values, groups=groups)
    residuals = values.copy()
    for rows in (slice(0, 9), slice(9, 17)):
        residuals[rows] -= np.median(residuals[rows], axis=0)
    np.testing.assert_allclose(found.products, residuals @ residuals.T)
    core = np.flatnonzero(found.core)
    assert len(core) == 13
    for row in range(17):
        others = [k for k in core if k != row]
        basis = np.linalg.svd(residuals[others], full_matrices=False)[2][: len(others) // 4]
        rest = residuals[row] - basis.T @ (basis @ residuals[row])
        assert found.distance[row] == pytest.approx(np.sqrt((rest**2).mean()), rel=1e-9)


def test_principal_components_are_those_of_a_singular_value_decomposition() -> None:
    values, _ = expression(9, 8, seed=10, n_genes=50)
    found = principal_components(values, n_components=3)
    u, s, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found.scores), np.abs(u[:, :3] * s[:3]), rtol=1e-7)
    np.testing.assert_allclose(found.explained, s[:3] ** 2 / (s**2).sum(), rtol=1e-9)
    assert (found.scores[np.argmax(np.abs(found.scores), axis=0), range(3)] > 0).all()
