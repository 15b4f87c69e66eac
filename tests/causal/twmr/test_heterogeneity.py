"""Q, the interval that allows for it, and outliers against refitting from scratch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from causal.twmr.simulated import Scenario, simulate
from consilience.causal.twmr.estimate import estimate
from consilience.causal.twmr.heterogeneity import SPARE, judged, outlying, q_p


def refitted(E, g, C, n_eqtl, n_gwas):
    """Outliers by leaving out every variant in turn and solving everything again."""
    keep, k = list(range(len(g))), E.shape[1]

    def q_of(rows):
        e, y, inverse = E[rows], g[rows], np.linalg.inv(C[np.ix_(rows, rows)])
        alpha = np.linalg.solve(e.T @ inverse @ e, e.T @ inverse @ y)
        d = y - e @ alpha
        return d @ inverse @ d, 1 / n_gwas + np.sum(alpha**2 / n_eqtl)

    while len(keep) > max(k + SPARE, np.ceil(len(g) / 2)):
        total, noise = q_of(keep)
        if stats.chi2.sf(total / noise, len(keep) - k) >= 0.05:
            break
        keep.remove(min(keep, key=lambda v: q_of([w for w in keep if w != v])[0]))
    return sorted(set(range(len(g))) - set(keep))


@pytest.mark.parametrize(("n", "k"), [(5, 1), (9, 2), (16, 3)])
def test_outliers_are_those_of_refitting(n: int, k: int) -> None:
    one = Scenario(n=n, k=k, strength=40, focal=0.1, direct=0.01, direct_share=0.3)
    bucket = simulate(one, genes=30, seed=n)
    found = estimate([bucket], 30)
    lost = 0
    for place in range(30):
        expected = refitted(
            bucket.eqtl[place], bucket.gwas[place], bucket.ld[place], bucket.n_eqtl[place], 240_000
        )
        assert found.outliers.get(place, []) == expected
        assert np.isfinite(found.numbers["alpha_cleaned"][place]) == bool(expected)
        lost += len(expected)
    assert lost > 10


def test_cleaned_numbers_are_those_of_the_gene_without_its_outliers() -> None:
    bucket = simulate(Scenario(n=12, k=2, direct=0.01, direct_share=0.2), genes=40, seed=1)
    found = estimate([bucket], 40)
    for place, gone in list(found.outliers.items())[:8]:
        keep = np.setdiff1d(np.arange(12), gone)
        alone = replace(
            bucket, index=np.array([0]), eqtl=bucket.eqtl[[place]][:, keep], gwas=bucket.gwas[[place]][:, keep],
            ld=bucket.ld[[place]][:, keep][:, :, keep], known=bucket.known[[place]][:, keep],
            n_eqtl=bucket.n_eqtl[[place]], n_gwas=bucket.n_gwas[[place]],
        )  # fmt: skip
        again = estimate([alone], 1).numbers
        for name in ("alpha", "se", "p", "q", "q_p"):
            assert found.numbers[f"{name}_cleaned"][place] == pytest.approx(again[name][0], rel=1e-8)
        assert found.numbers["q_cleaned"][place] < found.numbers["q"][place]


def test_padding_is_no_variant() -> None:
    bucket = simulate(Scenario(n=7, k=2, direct=0.01), genes=20, seed=2)
    arrays = {"n": np.full(20, 7), "n_eqtl": bucket.n_eqtl, "n_gwas": bucket.n_gwas}
    bare = outlying(eqtl=bucket.eqtl, gwas=bucket.gwas, inverse=np.linalg.inv(bucket.ld), **arrays)
    wide = np.broadcast_to(np.eye(11), (20, 11, 11)).copy()
    wide[:, :7, :7] = np.linalg.inv(bucket.ld)
    eqtl, gwas = np.zeros((20, 11, 2)), np.zeros((20, 11))
    eqtl[:, :7], gwas[:, :7] = bucket.eqtl, bucket.gwas
    padded = outlying(eqtl=eqtl, gwas=gwas, inverse=wide, **arrays)
    assert (padded[:, :7] == bare).all()
    assert not padded[:, 7:].any()
    assert bare.any()


def test_no_more_than_half_go() -> None:
    bucket = simulate(Scenario(n=20, k=1, direct=0.05), genes=50, seed=3)
    found = estimate([bucket], 50)
    assert max(map(len, found.outliers.values())) == 10


def test_p_of_q() -> None:
    got = q_p(np.array([3.0, 0.0, 5.0]), np.array([2.0, 1.0, 0.0]))
    assert got[:2] == pytest.approx([stats.chi2.sf(3, 2), 1.0])
    assert np.isnan(got[2])


def test_intervals_where_variants_agree_are_normal() -> None:
    got = judged(alpha=np.array([-0.2]), se=np.array([0.1]), q=np.array([4.0]), df=np.array([4.0]))
    assert (got.se[0], got.z[0], got.df[0]) == (0.1, -2.0, np.inf)
    assert got.p[0] == pytest.approx(2 * stats.norm.sf(2))


def test_intervals_where_variants_disagree_have_the_t_distribution() -> None:
    got = judged(alpha=np.array([-0.3]), se=np.array([0.1]), q=np.array([16.0]), df=np.array([4.0]))
    assert got.p[0] == pytest.approx(2 * stats.t.sf(0.3 / 0.2, 4))
    assert got.se[0] * stats.norm.ppf(0.975) == pytest.approx(0.2 * stats.t.ppf(0.975, 4))
    assert 2 * stats.norm.sf(abs(got.z[0])) == pytest.approx(got.p[0])
    assert got.z[0] < 0
    edge = judged(
        alpha=got.se * 1.959963984540054, se=np.array([0.1]), q=np.array([16.0]), df=np.array([4.0])
    )
    assert edge.p[0] == pytest.approx(0.05)  # the interval just touches 0
