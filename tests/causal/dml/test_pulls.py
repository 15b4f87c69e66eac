"""What donors pull: each gene's error in shares, and with them the error of any sum of effects over genes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from consilience.causal.concordance.left_out import null_scale
from consilience.causal.dml.few_donors import DonorTest
from consilience.causal.dml.folds import donor_folds
from consilience.causal.dml.moments import columns_of, moments_in_blocks
from consilience.causal.dml.ridge_scores import choose, ridge_scores
from consilience.causal.dml.testing import from_moments


def drawn(seed: int, *, m: int = 12, genes: int = 12, program: float = 0.0) -> tuple[DonorTest, np.ndarray]:
    """Effects and pulls of genes of which nothing differs between the arms; `program` moves them together."""
    rng = np.random.default_rng(seed)
    donor = np.repeat(np.arange(m), rng.integers(8, 30, m))
    disease = (np.arange(m) % 2).astype(float)
    confounder = rng.standard_normal((m, 1))[donor]
    level = rng.standard_normal((m, genes)) + program * rng.standard_normal((m, 1))
    values = level[donor] + rng.standard_normal((donor.size, genes))
    values = np.column_stack([values, -values[:, 0], values[:, 0] * 3]).astype(np.float32)
    ((_, moments),) = moments_in_blocks(columns=columns_of(confounder, disease[donor]), expression=values,
                                        donor=donor, n_donors=m)  # fmt: skip
    folds = donor_folds(tuple(f"d{one}" for one in range(m)), disease=disease, folds=3, repeat=0, seed=1)
    chosen = choose(moments, folds)
    return from_moments(moments, disease=disease, divisions=[folds], chosen=[chosen],
                        scores=[ridge_scores(moments, folds=folds, penalty=chosen)])  # fmt: skip


def test_squares_are_shares_and_a_gene_turned_round_pulls_the_other_way() -> None:
    _, pulls = drawn(3)
    assert pulls.shape == (12, 14)
    assert (pulls**2).sum(0) == pytest.approx(1.0)
    assert pulls[:, 12] == pytest.approx(-pulls[:, 0], abs=1e-6)
    assert pulls[:, 13] == pytest.approx(pulls[:, 0], abs=1e-6)
    assert np.abs(pulls[:, 0] - pulls[:, 1]).max() > 0.05


@pytest.mark.slow
def test_sums_over_genes_of_one_program_keep_their_level() -> None:
    p, alone = [], []
    for seed in range(300):
        test, pulls = drawn(seed, genes=5, program=1.5)
        factor = null_scale(test.statistic, test.df)
        freedom = float(np.median(test.df)) - 1
        total, error = (
            (test.statistic * factor)[:5].sum(),
            np.sqrt(((pulls * factor)[:, :5].sum(1) ** 2).sum()),
        )
        p.append(2 * stats.t.sf(abs(total) / error, freedom))
        alone.append(2 * stats.norm.sf(abs(total) / np.sqrt(5)))
    # the standard error of a rate of 5 % is 1.3 %
    assert 0.015 < np.mean(np.array(p) < 0.05) < 0.085
    assert 0.4 < np.mean(np.array(p) < 0.5) < 0.6
    assert np.mean(np.array(alone) < 0.05) > 0.2, "genes are not independent"
