"""The direction of an effect, against the formula written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causal.mr.simulated import correlations, exposures
from consilience.causal.mr.estimate import estimate_all
from consilience.causal.mr.one import mendelian_randomisation


def steiger_by_hand(z_exp: np.ndarray, z_out: np.ndarray, n_exp: float, n_out: float) -> tuple[float, float]:
    r_exp = np.sqrt(np.sum(z_exp**2 / (n_exp - 2 + z_exp**2)))
    r_out = np.sqrt(np.sum(z_out**2 / (n_out - 2 + z_out**2)))
    z = (np.arctanh(r_exp) - np.arctanh(r_out)) / np.sqrt(1 / (n_exp - 3) + 1 / (n_out - 3))
    return z, 2 * stats.norm.sf(abs(z))


@pytest.mark.parametrize(
    ("scale", "told"), [(0.3, "expression_to_trait"), (3.0, "trait_to_expression"), (1.0, "unclear")]
)
def test_direction_of_independent_variants(scale: float, told: str) -> None:
    rng = np.random.default_rng(1)
    b = rng.normal(0, 0.05, 6)
    n_exp, n_out = 30_000.0, 200_000.0
    b_out = scale * b * (1 if scale != 1 else 1.001)
    row = mendelian_randomisation(
        "ivw_fixed", b_exp=b, se_exp=np.full(6, n_exp**-0.5), b_out=b_out, se_out=np.full(6, n_out**-0.5),
        n_exp=n_exp, n_out=n_out,
    )  # fmt: skip
    z, p = steiger_by_hand(b * n_exp**0.5, b_out * n_out**0.5, n_exp, n_out)
    assert row.direction == told
    assert row.direction_p == pytest.approx(p, rel=1e-8)
    assert (z > 0) == (scale <= 1) or told == "unclear"
    assert ("reverse_direction" in row.flags) == (told == "trait_to_expression")


def test_explained_variance_counts_shared_signal_once() -> None:
    """Of correlated variants, the variance that all explain is that of a regression on them together."""
    from consilience.causal.mr.steiger import explained

    rng = np.random.default_rng(2)
    ld = correlations(4, 0.8, rng)
    people = 20_000
    genotypes = rng.standard_normal((people, 4)) @ np.linalg.cholesky(ld).T
    trait = genotypes @ np.array([0.2, 0.0, 0.1, -0.05]) + rng.standard_normal(people)
    r = np.corrcoef(np.column_stack([genotypes, trait]).T)
    z = r[:4, 4] * np.sqrt((people - 2) / (1 - r[:4, 4] ** 2))
    centred, outcome = genotypes - genotypes.mean(0), trait - trait.mean()
    fitted = centred @ np.linalg.lstsq(centred, outcome, rcond=None)[0]
    got = explained(z[None], n=np.array([float(people)]), ld=r[None, :4, :4])[0]
    assert got == pytest.approx(fitted.var() / outcome.var(), rel=1e-8)


def test_direction_is_right_on_simulated_genes_and_unknown_without_people() -> None:
    ones = exposures(100, effect=0.2, n=6, rho=0.5)
    told = [rows[0].direction for rows in estimate_all(ones, ["wald_ratio"], bootstraps=100, seed=1)]
    assert told.count("expression_to_trait") >= 95
    one = ones[0]
    row = mendelian_randomisation(
        "ivw_ld", b_exp=one.b_exp, se_exp=one.se_exp, b_out=one.b_out, se_out=one.se_out, ld=one.ld
    )
    assert row.direction == "unclear"
    assert np.isnan(row.direction_p)
