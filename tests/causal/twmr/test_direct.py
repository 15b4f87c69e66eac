"""Direct effects learnt from all genes: against a literal average, and against what was planted."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from causal.twmr.simulated import Scenario, simulate
from consilience.causal.inputs_file import Bucket
from consilience.causal.twmr.direct import Law, averaged, fits, learnt
from consilience.causal.twmr.estimate import NUMBERS, estimate
from consilience.causal.twmr.fuller import fuller
from consilience.causal.twmr.moments import moments
from consilience.causal.twmr.sized import Sized

LAW = Law(share=0.1, extra=25.0, spread=1.3)


def stack_of(bucket: Bucket) -> Sized:
    G, n, k = bucket.eqtl.shape
    return Sized(
        np.arange(G), np.tile(np.arange(k), (G, 1)), np.full(G, n), bucket.eqtl, bucket.gwas, bucket.ld, bucket.n_eqtl,
        bucket.n_gwas,
    )  # fmt: skip


def moments_of(stack: Sized, ld: np.ndarray, n: float):
    both = np.concatenate([stack.eqtl, stack.gwas[:, :, None]], axis=2)
    return moments(
        eqtl=stack.eqtl, gwas=stack.gwas, solved=np.linalg.solve(ld, both), n=np.full(len(ld), n),
        n_eqtl=stack.n_eqtl, n_gwas=stack.n_gwas,
    )  # fmt: skip


def literal(stack: Sized, law: Law) -> tuple[float, list[tuple[float, float, float]]]:
    """Mean effect of the one gene, and (weight, effect, error) of each choice, from full covariances."""
    n = stack.eqtl.shape[1]
    A, y = stack.eqtl[0] * np.sqrt(stack.n_eqtl[0]), stack.gwas[0] * np.sqrt(stack.n_gwas[0])
    C = stack.ld[0]
    a = np.linalg.solve(A.T @ np.linalg.solve(C, A), A.T @ np.linalg.solve(C, y))
    noise = law.spread * (1 + a @ a)
    parts = []
    for S in [(), *((i,) for i in range(n)), *combinations(range(n), 2)]:
        V = C.copy()
        V[S, S] += law.extra
        M = A.T @ np.linalg.solve(V, A)
        b = np.linalg.solve(M, A.T @ np.linalg.solve(V, y))
        squares = (y - A @ b) @ np.linalg.solve(V, y - A @ b)
        log = -0.5 * (squares / noise + np.linalg.slogdet(V)[1] + np.linalg.slogdet(M)[1])
        weight = np.exp(log) * law.share ** len(S) * (1 - law.share) ** (n - len(S))
        one = fuller(moments_of(stack, V[None], np.trace(np.linalg.solve(V, C))))
        parts.append((weight, float(one.alpha[0]), float(one.se[0]) * np.sqrt(law.spread)))
    total = sum(weight for weight, _, _ in parts)
    parts = [(weight / total, alpha, se) for weight, alpha, se in parts]
    return sum(weight * alpha for weight, alpha, _ in parts), parts


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (3, 3), (5, 2), (8, 3)])
def test_the_average_is_that_of_full_covariances(n: int, k: int) -> None:
    from scipy.stats import norm

    bucket = simulate(Scenario(n=n, k=k, focal=0.1, direct=0.01, direct_share=0.3), genes=4, seed=n)
    for row in range(4):
        stack = stack_of(bucket).only(np.arange(4) == row)
        got = averaged(fits(stack, moments_of(stack, stack.ld, float(n))), LAW)
        alpha, parts = literal(stack, LAW)
        assert got.alpha[0] == pytest.approx(
            alpha, abs=2e-3 * got.se[0] + 1e-9
        )  # negligible choices left out

        def beyond(half: float, alpha: float = alpha, parts=parts) -> float:
            return sum(
                w * (norm.cdf((alpha - a - half) / s) + norm.cdf((a - alpha - half) / s)) for w, a, s in parts
            )

        assert got.p[0] == pytest.approx(beyond(abs(alpha)), abs=2e-3)
        assert beyond(1.959964 * got.se[0]) == pytest.approx(0.05, abs=2e-3)


def test_padding_changes_nothing() -> None:
    bucket = simulate(Scenario(n=5, k=2, focal=0.1), genes=30, seed=4)
    stack = stack_of(bucket)
    ld = np.tile(np.eye(8), (30, 1, 1))
    ld[:, :5, :5] = stack.ld
    wide = replace(
        stack, eqtl=np.pad(stack.eqtl, ((0, 0), (0, 3), (0, 0))), gwas=np.pad(stack.gwas, ((0, 0), (0, 3))), ld=ld
    )  # fmt: skip
    one, other = (averaged(fits(each, moments_of(each, each.ld, 5.0)), LAW) for each in (stack, wide))
    for name in ("alpha", "se", "p", "z", "disturbed"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-8, atol=1e-12)


def test_the_planted_law_is_found() -> None:
    def law_of(**scene: float) -> Law:
        parts = []
        for n, k in ((4, 1), (8, 2)):
            stack = stack_of(simulate(Scenario(n=n, k=k, **scene), genes=1500, seed=6))
            parts.append(fits(stack, moments_of(stack, stack.ld, float(n))))
        law = learnt(parts)
        assert law is not None
        return law

    nothing, some, all_of_them = (
        law_of(),
        law_of(direct=0.012, direct_share=0.1),
        law_of(direct=0.005, direct_share=1.0),
    )
    assert nothing.share < 0.01
    assert nothing.spread < 1.2
    assert some.share == pytest.approx(0.08, abs=0.03)  # some of the planted effects are about 0
    assert 8 <= some.extra <= 64  # planted: 0.012² x 240,000 = 35
    assert all_of_them.spread == pytest.approx(1 + 0.005**2 * 240_000, rel=0.3)
    stack = stack_of(simulate(Scenario(), genes=99, seed=6))
    assert learnt([fits(stack, moments_of(stack, stack.ld, 10.0))]) is None


def test_order_of_genes_does_not_matter_and_few_genes_stand_alone() -> None:
    bucket = simulate(Scenario(n=4, k=1, direct=0.01, direct_share=0.1), genes=2500, seed=7)
    order = np.random.default_rng(1).permutation(2500)
    turned = replace(bucket, **{name: getattr(bucket, name)[order] for name in ("eqtl", "gwas", "ld", "known", "n_eqtl", "n_gwas")})  # fmt: skip
    one, other = estimate([bucket], 2500).numbers, estimate([turned], 2500).numbers
    for name in NUMBERS:
        np.testing.assert_allclose(other[name], one[name][order], rtol=1e-7, atol=1e-12, err_msg=name)
    alone = estimate([bucket], 2500, together=False).numbers
    assert np.isnan(alone["disturbed"]).all()
    np.testing.assert_array_equal(alone["alpha_published"], one["alpha_published"])
    few = simulate(Scenario(n=4, k=1), genes=99, seed=8)
    assert np.isnan(estimate([few], 99).numbers["disturbed"]).all()
    assert np.mean(one["p"] < 0.05) < 0.07 < np.mean(alone["p_plain"] < 0.05)
