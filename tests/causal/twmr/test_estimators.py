"""Least squares and the default, against slow definitions, finite differences and repeated draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from causal.twmr.simulated import Scenario, simulate
from consilience.causal.inputs_file import Bucket
from consilience.causal.twmr import fuller as fuller_module
from consilience.causal.twmr.fuller import fuller
from consilience.causal.twmr.moments import Moments, moments
from consilience.causal.twmr.plain import plain
from consilience.causal.twmr.strength import agreement, condition, conditional_f


def moments_of(bucket: Bucket) -> Moments:
    solved = np.linalg.solve(bucket.ld, np.concatenate([bucket.eqtl, bucket.gwas[:, :, None]], axis=2))
    n = np.full(len(bucket.index), bucket.gwas.shape[1])
    return moments(
        eqtl=bucket.eqtl, gwas=bucket.gwas, solved=solved, n=n, n_eqtl=bucket.n_eqtl, n_gwas=bucket.n_gwas
    )


def least_squares(eqtl, gwas, ld):
    inverse = np.linalg.inv(ld)
    return np.linalg.solve(eqtl.T @ inverse @ eqtl, eqtl.T @ inverse @ gwas)


@pytest.fixture
def bucket() -> Bucket:
    made = simulate(Scenario(n=8, k=3, strength=30, focal=0.1), genes=4, seed=2)
    made.n_eqtl[:] = [32_000, 11_000, 5_000]
    return made


def test_delta_method_is_what_finite_differences_say(bucket: Bucket) -> None:
    found = plain(moments_of(bucket))
    n, k = bucket.eqtl.shape[1:]
    for place in range(4):
        E, g, C = bucket.eqtl[place], bucket.gwas[place], bucket.ld[place]
        assert found.alpha[place] == pytest.approx(least_squares(E, g, C)[0], rel=1e-10)
        J = np.zeros((n, k + 1))
        for v in range(n):
            for j in range(k + 1):
                move_e, move_g = np.zeros((n, k)), np.zeros(n)
                if j < k:
                    move_e[v, j] = 1e-7
                else:
                    move_g[v] = 1e-7
                J[v, j] = (
                    least_squares(E + move_e, g + move_g, C) - least_squares(E - move_e, g - move_g, C)
                )[0] / 2e-7
        scaled = J / np.sqrt([*bucket.n_eqtl[place], bucket.n_gwas[place]])
        assert found.se[place] == pytest.approx(np.sqrt(np.sum(scaled * (C @ scaled))), rel=1e-6)


def test_q_is_the_literal_one_with_the_uncertainty_of_alpha_in_its_variance(bucket: Bucket) -> None:
    found = plain(moments_of(bucket))
    for place in range(4):
        E, g, C = bucket.eqtl[place], bucket.gwas[place], bucket.ld[place]
        alpha = least_squares(E, g, C)
        spread = 1 / bucket.n_gwas[place] + np.sum(alpha**2 / bucket.n_eqtl[place])
        of_alpha = np.linalg.inv(E.T @ np.linalg.inv(C) @ E) * spread
        V = C * spread + E @ of_alpha @ E.T
        d = g - E @ alpha
        assert found.q[place] == pytest.approx(d @ np.linalg.inv(V) @ d, rel=1e-8)


def test_default_without_correction_is_maximum_likelihood(bucket: Bucket, monkeypatch) -> None:
    """The likelihood, profiled over the true eQTL effects, is Q as a function of the effects."""
    monkeypatch.setattr(fuller_module, "CORRECTION", 0.0)
    found = fuller(moments_of(bucket)).alpha
    for place in range(4):
        E, g, inverse = bucket.eqtl[place], bucket.gwas[place], np.linalg.inv(bucket.ld[place])

        def q(alpha, E=E, g=g, inverse=inverse, place=place):
            d = g - E @ alpha
            return d @ inverse @ d / (1 / bucket.n_gwas[place] + np.sum(alpha**2 / bucket.n_eqtl[place]))

        start = least_squares(E, g, bucket.ld[place])
        best = minimize(
            q, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 9000}
        )
        if best.fun <= 8 - 3:  # beyond n - k the excess counts as direct effects
            assert found[place] == pytest.approx(best.x[0], rel=1e-4)
    assert not np.allclose(found, plain(moments_of(bucket)).alpha, rtol=1e-3)


def test_default_is_least_squares_when_instruments_are_strong() -> None:
    of = moments_of(simulate(Scenario(n=12, k=3, strength=1e5, focal=0.1), genes=20, seed=4))
    strong, squares = fuller(of), plain(of)
    assert strong.alpha == pytest.approx(squares.alpha, rel=2e-3)
    assert strong.se == pytest.approx(squares.se, rel=2e-2)


def test_direct_effects_do_not_inflate_the_default() -> None:
    """Without the bound on lambda they would: the excess of Q would be taken for noise of eQTL effects."""
    of = moments_of(simulate(Scenario(n=12, k=2, strength=30, focal=0.1, direct=0.01), genes=300, seed=5))
    assert np.median(np.abs(fuller(of).alpha)) < 1.3 * np.median(np.abs(plain(of).alpha))


def test_error_is_the_spread_of_repeated_studies() -> None:
    """One locus drawn 3,000 times."""
    one = simulate(Scenario(n=10, k=2, strength=40, focal=0.08, panel=0), genes=1, seed=6)
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(one.ld[0])
    truth = one.eqtl[0]
    gwas = truth @ [0.08, -0.1]
    E = truth + root @ rng.normal(size=(3000, 10, 2)) / np.sqrt(32_000)
    g = gwas + (root @ rng.normal(size=(3000, 10, 1)))[..., 0] / np.sqrt(240_000)
    drawn = Bucket(
        np.arange(3000), E, g, np.broadcast_to(one.ld, (3000, 10, 10)), np.ones(E.shape, bool),
        np.full((3000, 2), 32_000.0), np.full(3000, 240_000.0),
    )  # fmt: skip
    of = moments_of(drawn)
    for answer in (fuller(of), plain(of)):
        spread = np.std(answer.alpha)
        assert np.median(answer.se) == pytest.approx(spread, rel=0.06)
    assert np.mean(fuller(of).alpha) == pytest.approx(0.08, abs=0.003)


def test_weak_instruments_pull_least_squares_but_not_the_default() -> None:
    of = moments_of(simulate(Scenario(n=30, k=1, strength=5, focal=0.15), genes=3000, seed=7))
    assert np.median(plain(of).alpha) < 0.85 * 0.15
    assert np.median(fuller(of).alpha) == pytest.approx(0.15, rel=0.05)


def test_conditional_f_by_regression(bucket: Bucket) -> None:
    found = conditional_f(moments_of(bucket))
    for place in range(4):
        root = np.linalg.inv(np.linalg.cholesky(bucket.ld[place]))
        A = root @ bucket.eqtl[place] * np.sqrt(bucket.n_eqtl[place])
        weights, *_ = np.linalg.lstsq(A[:, 1:], A[:, 0], rcond=None)
        left = A[:, 0] - A[:, 1:] @ weights
        expected = left @ left / (8 - 2) / (1 + weights @ weights)
        assert found[place] == pytest.approx(expected, rel=1e-8)


def test_conditional_f_of_noise_is_one() -> None:
    """A gene whose effects are half its neighbour's, and nothing of its own."""
    rng = np.random.default_rng(1)
    neighbour = rng.normal(size=(2000, 20)) * 9
    both = np.stack([0.5 * neighbour, neighbour], axis=2) + rng.normal(size=(2000, 20, 2))
    of = Moments(
        np.full(2000, 20.0),
        np.einsum("gnj,gnk->gjk", both, both),
        np.zeros((2000, 2)),
        np.ones(2000),
        np.ones((2000, 2)),
    )
    assert np.mean(conditional_f(of)) == pytest.approx(1.0, abs=0.03)


def test_condition_knows_no_units(bucket: Bucket) -> None:
    of = moments_of(bucket)
    before = condition(agreement(of))
    bucket.eqtl[:, :, 1] *= 1e-3
    assert condition(agreement(moments_of(bucket))) == pytest.approx(before, rel=1e-9)
    assert (before > 1).all()
    assert condition(np.ones((1, 1, 1))) == pytest.approx(1)
