"""Every estimator against a second, slow way, and what must not change its answer."""

from __future__ import annotations

import re

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from causal.mr.simulated import correlations, exposures
from consilience.causal.mr.estimate import MrResult, estimate_all
from consilience.causal.mr.estimators import estimator, estimators
from consilience.causal.mr.estimators.raps import HUBER
from consilience.causal.mr.instruments import Exposure
from consilience.causal.mr.one import mendelian_randomisation
from consilience.causal.mr.robust_kernels import smoothed_modes, weighted_medians
from consilience.foundation.errors import ConfigError

KEYS = sorted(estimators())
SMALL = {"bootstraps": 100, "seed": 3}


def drawn(seed: int, *, n: int, ld: bool = True) -> dict[str, np.ndarray]:
    """Effects with errors of all sizes, of alleles that raise and lower the exposure."""
    rng = np.random.default_rng(seed)
    return {
        "b_exp": rng.choice([-1, 1], n) * rng.uniform(0.05, 0.3, n), "se_exp": rng.uniform(0.005, 0.02, n),
        "b_out": rng.normal(0.02, 0.05, n), "se_out": rng.uniform(0.01, 0.05, n),
        "ld": correlations(n, 0.6, rng) if ld else np.eye(n),
    }  # fmt: skip


def answer(key: str, data: dict[str, np.ndarray], **more: float) -> MrResult:
    return mendelian_randomisation(key, **data, **SMALL, **more)  # type: ignore[arg-type]


def numbers(row: MrResult) -> list[float]:
    return [row.estimate, row.se, row.low, row.high, row.p, row.q, row.q_p, row.intercept, row.intercept_se,
            row.intercept_p]  # fmt: skip


def test_registry_tells_what_a_reader_needs() -> None:
    asked = {
        "wald_ratio",
        "ivw_fixed",
        "ivw_random",
        "ivw_ld",
        "egger",
        "egger_ld",
        "weighted_median",
        "weighted_mode",
    }
    assert asked <= set(KEYS)
    for key in KEYS:
        one = estimator(key)
        assert one.key == key
        assert re.fullmatch(r"10\.\d{4,}/\S+", one.doi)
        assert all(len(text) > 7 for text in (one.title, one.reference, one.assumes, one.limits))
    with pytest.raises(ConfigError, match="ivw_random"):
        estimator("ivw_randm")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 30))
def test_weighted_regressions_are_those_of_statsmodels(seed: int, n: int) -> None:
    data = drawn(seed, n=n, ld=False)
    weights = data["se_out"] ** -2
    line = sm.WLS(data["b_out"], data["b_exp"], weights=weights).fit()
    scale = np.sqrt(line.scale)
    for key, due in (("ivw_fixed", line.bse[0] / scale), ("ivw_random", line.bse[0] / min(scale, 1))):
        got = answer(key, data)
        p = 2 * stats.norm.sf(abs(line.params[0] / due))
        q = line.scale * (n - 1)
        assert np.allclose(
            [got.estimate, got.se, got.p, got.q], [line.params[0], due, p, q], rtol=1e-10, atol=0
        )
        assert got.q_p == pytest.approx(stats.chi2.sf(q, n - 1), rel=1e-9)
        assert got.low == pytest.approx(line.params[0] - stats.norm.ppf(0.975) * due, rel=1e-9)
    sign = np.sign(data["b_exp"])
    line = sm.WLS(sign * data["b_out"], sm.add_constant(abs(data["b_exp"])), weights=weights).fit()
    se = line.bse / min(np.sqrt(line.scale), 1)
    p = 2 * stats.t.sf(abs(line.params / se), n - 2)
    got = answer("egger", data)
    due = [line.params[1], se[1], p[1], line.params[0], se[0], p[0], line.scale * (n - 2)]
    found = [got.estimate, got.se, got.p, got.intercept, got.intercept_se, got.intercept_p, got.q]
    assert np.allclose(found, due, rtol=1e-8, atol=1e-12)
    assert got.high == pytest.approx(line.params[1] + stats.t.ppf(0.975, n - 2) * se[1], rel=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 25))
def test_regressions_with_ld_are_generalised_least_squares(seed: int, n: int) -> None:
    data = drawn(seed, n=n) | {"se_exp": np.full(n, 1e-12)}  # without exposure errors: as in the reference
    omega = data["ld"] * np.outer(data["se_out"], data["se_out"])
    line = sm.GLS(data["b_out"], data["b_exp"], sigma=omega).fit()
    scale = np.sqrt(line.scale)
    got = answer("ivw_ld", data)
    assert np.allclose(
        [got.estimate, got.se, got.q], [line.params[0], line.bse[0] / scale, line.scale * (n - 1)], rtol=1e-8
    )
    got = answer("ivw_ld_random", data)
    due = line.bse[0] / min(scale, 1)
    df = n - 1 if scale > 1 else np.inf
    assert np.allclose([got.se, got.p], [due, 2 * stats.t.sf(abs(line.params[0] / due), df)], rtol=1e-8)
    sign = np.sign(data["b_exp"])
    line = sm.GLS(
        sign * data["b_out"], sm.add_constant(abs(data["b_exp"])), sigma=omega * np.outer(sign, sign)
    ).fit()
    se = line.bse / min(np.sqrt(line.scale), 1)
    got = answer("egger_ld", data)
    due = [line.params[1], se[1], 2 * stats.t.sf(abs(line.params[1] / se[1]), n - 2), line.params[0], se[0]]
    assert np.allclose([got.estimate, got.se, got.p, got.intercept, got.intercept_se], due, rtol=1e-6)


def test_exposure_errors_enter_error_and_heterogeneity() -> None:
    data = drawn(4, n=9)
    b, y = data["b_exp"], data["b_out"]
    omega = data["ld"] * np.outer(data["se_out"], data["se_out"])
    gain = np.linalg.solve(omega, b) / (b @ np.linalg.solve(omega, b))
    effect = gain @ y
    noise = omega + effect**2 * data["ld"] * np.outer(data["se_exp"], data["se_exp"])
    got = answer("ivw_ld", data)
    assert got.estimate == pytest.approx(effect, rel=1e-10)
    assert got.se == pytest.approx(np.sqrt(gain @ noise @ gain), rel=1e-10)
    residual = y - effect * b
    assert got.q == pytest.approx(residual @ np.linalg.solve(noise, residual), rel=1e-10)


def test_debiased_is_the_published_sum() -> None:
    data = drawn(5, n=12, ld=False)
    w, v = data["b_exp"] ** 2 / data["se_out"] ** 2, data["se_exp"] ** 2 / data["se_out"] ** 2
    effect = np.sum(data["b_exp"] * data["b_out"] / data["se_out"] ** 2) / np.sum(w - v)
    variance = np.sum(w + effect**2 * v * (w + v)) / np.sum(w - v) ** 2
    for key in ("ivw_debiased", "ivw_ld_debiased"):
        got = answer(key, data)
        assert np.allclose([got.estimate, got.se], [effect, np.sqrt(variance)], rtol=1e-10)


def test_debiased_with_ld_is_that_of_decorrelated_variants() -> None:
    data = drawn(6, n=7) | {"se_exp": np.full(7, 0.01), "se_out": np.full(7, 0.02)}
    turned = np.linalg.inv(np.linalg.cholesky(data["ld"]))
    apart = data | {"b_exp": turned @ data["b_exp"], "b_out": turned @ data["b_out"], "ld": np.eye(7)}
    one, other = answer("ivw_ld_debiased", data), answer("ivw_debiased", apart)
    assert np.allclose([one.estimate, one.se], [other.estimate, other.se], rtol=1e-9)


def test_profile_score_solves_its_two_equations() -> None:
    data = drawn(7, n=40, ld=False)
    x, y, v_exp, v_out = data["b_exp"], data["b_out"], data["se_exp"] ** 2, data["se_out"] ** 2
    z = np.linspace(-12, 12, 400_001)
    phi = stats.norm.pdf(z) * (z[1] - z[0])
    delta = np.sum(z * np.clip(z, -HUBER, HUBER) * phi)
    size = np.sum(np.clip(z, -HUBER, HUBER) ** 2 * phi)

    def sums(place: np.ndarray) -> list[float]:
        b, spread = place[0], place[1] ** 2
        s = v_out + spread + b**2 * v_exp
        t = (y - b * x) / np.sqrt(s)
        psi = np.clip(t, -HUBER, HUBER)
        g = (x * (v_out + spread) + b * v_exp * y) / s
        return [np.sum(psi * g / np.sqrt(s)), np.sum((t * psi - delta) / s) / 1e3]

    found = optimize.root(sums, [np.median(y / x), 0.03], tol=1e-13)
    assert found.success
    assert found.x[1] ** 2 > 1e-5, "a data set without spread would test nothing"
    got = answer("raps", data)
    assert got.estimate == pytest.approx(found.x[0], rel=1e-6)
    s = v_out + found.x[1] ** 2 + found.x[0] ** 2 * v_exp
    g = (x * (s - found.x[0] ** 2 * v_exp) + found.x[0] * v_exp * y) / s
    slope = delta * np.sum(g**2 / s - v_exp * (s - found.x[0] ** 2 * v_exp) / s**2)
    assert got.se == pytest.approx(np.sqrt(size * np.sum(g**2 / s)) / slope, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_weighted_median_halves_the_weight(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values, weights = rng.normal(size=(3, n)), rng.gamma(1, size=n)
    for row, got in zip(values, weighted_medians(values, weights), strict=True):
        order = np.argsort(row)
        middle = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
        assert got == pytest.approx(np.interp(0.5, middle, row[order]), abs=1e-10)
    assert np.allclose(weighted_medians(values, np.ones(n)), np.median(values, axis=1))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 40))
def test_mode_is_the_highest_point_of_the_smoothed_ratios(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values, weights = rng.standard_t(2, size=(5, n)), rng.gamma(1, size=n)
    for row, got in zip(values, smoothed_modes(values, weights), strict=True):
        spread = stats.median_abs_deviation(row, scale=1 / 1.4826)
        h = 0.9 * min(row.std(ddof=1), spread) / n**0.2
        near = (row[:, None] + h * np.linspace(-1.2, 1.2, 101)).ravel()  # a mode is within h of some value

        def density(at: np.ndarray, row: np.ndarray = row, h: float = h) -> np.ndarray:
            return np.exp(-0.5 * ((at[:, None] - row) / h) ** 2) @ weights

        assert density(np.array([got]))[0] >= density(near).max() * (1 - 1e-9)


def test_bootstraps_are_what_their_papers_say() -> None:
    """Median and mode redrawn by a plain loop with other random numbers: equal within Monte Carlo error."""
    data = drawn(8, n=8)
    rng = np.random.default_rng(0)
    ratio = data["b_out"] / data["b_exp"]
    se = np.sqrt(
        data["se_out"] ** 2 / data["b_exp"] ** 2
        + data["b_out"] ** 2 * data["se_exp"] ** 2 / data["b_exp"] ** 4
    )
    weights = se**-2
    factor = np.linalg.cholesky(data["ld"])

    def noise(ld: bool) -> np.ndarray:
        free = rng.standard_normal((4_000, 8))
        return free @ factor.T if ld else free

    for ld in (False, True):
        # a draw of the outcome's and the exposure's effects as they are coded: signs must not matter
        b_exp = data["b_exp"] + data["se_exp"] * noise(ld)
        b_out = data["b_out"] + data["se_out"] * noise(ld)
        redrawn = weighted_medians(b_out / b_exp, weights).std()
        key = "weighted_median_ld" if ld else "weighted_median"
        got = mendelian_randomisation(key, **data, bootstraps=4_000, seed=1)
        assert got.se == pytest.approx(redrawn, rel=0.08)
        signs = np.sign(data["b_exp"])  # ratios do not flip with the allele, their errors do
        modes = smoothed_modes(ratio + se * noise(ld) * signs, weights)
        key = "weighted_mode_ld" if ld else "weighted_mode"
        got = mendelian_randomisation(key, **data, bootstraps=4_000, seed=1)
        assert got.se == pytest.approx(1.4826 * np.median(abs(modes - np.median(modes))), rel=0.1)
        assert got.p == pytest.approx(2 * stats.t.sf(abs(got.estimate / got.se), 7), rel=1e-9)


@pytest.mark.parametrize("key", KEYS)
@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1_000))
def test_order_and_counted_allele_change_nothing(key: str, seed: int) -> None:
    data = drawn(seed, n=6)
    rng = np.random.default_rng(seed)
    order, sign = rng.permutation(6), rng.choice([-1.0, 1.0], 6)
    turned = {
        "b_exp": (sign * data["b_exp"])[order], "se_exp": data["se_exp"][order],
        "b_out": (sign * data["b_out"])[order], "se_out": data["se_out"][order],
        "ld": (data["ld"] * np.outer(sign, sign))[np.ix_(order, order)],
    }  # fmt: skip
    assert np.allclose(numbers(answer(key, data)), numbers(answer(key, turned)), rtol=1e-7, equal_nan=True)


@pytest.mark.parametrize("key", KEYS)
def test_units_of_exposure_and_outcome_only_scale(key: str) -> None:
    data = drawn(11, n=8)
    scaled = data | {"b_exp": 4 * data["b_exp"], "se_exp": 4 * data["se_exp"],
                     "b_out": 0.5 * data["b_out"], "se_out": 0.5 * data["se_out"]}  # fmt: skip
    one, other = answer(key, data), answer(key, scaled)
    assert np.isfinite([one.estimate, one.se, one.p]).all()
    assert np.allclose([other.estimate, other.se], [one.estimate / 8, one.se / 8], rtol=1e-7)
    assert other.p == pytest.approx(one.p, rel=1e-6)


def test_answers_of_a_gene_do_not_depend_on_the_other_genes() -> None:
    ones = [*exposures(6, effect=0.1, n=5, rho=0.4), *exposures(5, effect=0.0, n=7, rho=0.4, seed=2)]
    ones = [Exposure(f"gene{i}", *list(vars(one).values())[1:]) for i, one in enumerate(ones)]
    together = estimate_all(ones, KEYS, **SMALL)
    for i in (3, 0, 8):
        alone = estimate_all([ones[i]], KEYS, **SMALL)[0]
        for got, due in zip(together[i], alone, strict=True):
            assert got.name == due.name == f"gene{i}"
            assert np.allclose(numbers(got), numbers(due), rtol=1e-12, equal_nan=True)
    turned = estimate_all(ones[::-1], KEYS, **SMALL)[::-1]
    assert [row.name for row in (rows[0] for rows in turned)] == [one.name for one in ones]
    for rows, others in zip(turned, together, strict=True):
        for got, due in zip(rows, others, strict=True):
            assert np.allclose(numbers(got), numbers(due), rtol=1e-12, equal_nan=True)


def test_seed_moves_only_the_bootstrapped_errors() -> None:
    data = drawn(12, n=8)
    for key in KEYS:
        one = mendelian_randomisation(key, **data, bootstraps=200, seed=1)
        other = mendelian_randomisation(key, **data, bootstraps=200, seed=2)
        assert one.estimate == other.estimate
        assert (one.se != other.se) == ("median" in key or "mode" in key)
        again = mendelian_randomisation(key, **data, bootstraps=200, seed=1)
        assert np.array_equal(numbers(one), numbers(again), equal_nan=True)
