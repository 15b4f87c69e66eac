"""What must not matter does not; what cannot be estimated is a flagged row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from causal.twmr.simulated import Scenario, simulate
from consilience.causal.inputs_file import Bucket, Named
from consilience.causal.twmr import methods
from consilience.causal.twmr.estimate import NUMBERS, estimate
from consilience.causal.twmr.flags import FLAGS, UNESTIMATED
from consilience.causal.twmr.table import ALSO, FIRST, table
from consilience.learning.differential.method import benjamini_hochberg

SCENE = Scenario(n=9, k=3, strength=25, focal=0.1, direct=0.004)


@pytest.fixture
def bucket() -> Bucket:
    return simulate(SCENE, genes=6, seed=1)


def named(bucket: Bucket) -> Named:
    n, k = bucket.eqtl.shape[1:]
    G = len(bucket.index)
    return Named(
        [f"ENSG{row:011d}" for row in range(G)], [""] * G,
        [tuple(f"gene{row}_{j}" for j in range(k)) for row in range(G)], [tuple(f"rs{v}" for v in range(n))] * G,
    )  # fmt: skip


def flags(bucket: Bucket) -> list[str]:
    G = len(bucket.index)
    return table(named(bucket), estimate([bucket], G))["flags"].tolist()


def same(one, other, *, rel: float = 1e-9, but: tuple[str, ...] = ()) -> None:
    for name in NUMBERS:
        if name not in but:
            np.testing.assert_allclose(other.numbers[name], one.numbers[name], rtol=rel, err_msg=name)


def test_a_gene_alone_has_the_answers_it_has_among_others(bucket: Bucket) -> None:
    other = simulate(replace(SCENE, n=5, k=2), genes=3, seed=2)
    shifted = replace(other, index=other.index + 6)
    together = estimate([shifted, bucket], 9)
    for row in range(6):
        one = replace(
            bucket, index=np.array([0]), **{name: getattr(bucket, name)[[row]] for name in ("eqtl", "gwas", "ld", "known", "n_eqtl", "n_gwas")}
        )  # fmt: skip
        alone = estimate([one], 1)
        for name in NUMBERS:
            np.testing.assert_allclose(alone.numbers[name][0], together.numbers[name][row], rtol=1e-9)
        assert alone.outliers.get(0) == together.outliers.get(row)


@given(seed=st.integers(0, 10_000))
@hypothesis_settings(max_examples=15)
def test_alleles_and_order_of_variants_do_not_matter(seed: int) -> None:
    bucket, rng = simulate(SCENE, genes=4, seed=seed), np.random.default_rng(seed)
    sign, order = rng.choice([-1.0, 1.0], 9), rng.permutation(9)
    turned = replace(
        bucket, eqtl=(bucket.eqtl * sign[:, None])[:, order], gwas=(bucket.gwas * sign)[:, order],
        ld=(bucket.ld * np.outer(sign, sign))[:, order][:, :, order],
    )  # fmt: skip
    one, other = estimate([bucket], 4), estimate([turned], 4)
    # the published error depends on the order of variants: its slip lays LD on other effects
    same(one, other, rel=1e-6, but=("se_published", "p_published"))
    assert {row: sorted(order[gone]) for row, gone in other.outliers.items()} == one.outliers


@given(seed=st.integers(0, 10_000), factor=st.floats(0.2, 3.0))
@hypothesis_settings(max_examples=15)
def test_units_of_expression_and_order_of_neighbours(seed: int, factor: float) -> None:
    bucket = simulate(SCENE, genes=4, seed=seed)
    order = np.array([0, 2, 1])
    turned = replace(
        bucket, eqtl=bucket.eqtl[:, :, order] * factor, n_eqtl=bucket.n_eqtl[:, order] / factor**2
    )
    one, other = estimate([bucket], 4).numbers, estimate([turned], 4).numbers
    np.testing.assert_allclose(other["alpha"] * factor, one["alpha"], rtol=1e-7)
    for name in ("p", "q", "condition", "conditional_f", "p_cleaned"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-6, err_msg=name)


def test_published_error_does_depend_on_the_order_of_variants(bucket: Bucket) -> None:
    order = np.arange(9)[::-1]
    turned = replace(
        bucket, eqtl=bucket.eqtl[:, order], gwas=bucket.gwas[:, order], ld=bucket.ld[:, order][:, :, order]
    )
    one, other = (estimate([each], 6).numbers["se_published"] for each in (bucket, turned))
    assert not np.allclose(one, other, rtol=1e-3)


def test_rows_that_cannot_be_estimated_say_why(bucket: Bucket) -> None:
    bucket.gwas[0, 3] = np.nan
    bucket.eqtl[1, :, 0] = 0.0
    bucket.ld[2, 0, 1] = bucket.ld[2, 1, 0] = 1.0
    bucket.ld[2, 0, 2:] = bucket.ld[2, 2:, 0] = bucket.ld[2, 1, 2:] = bucket.ld[2, 2:, 1]
    bucket.ld[2, [0, 1], [0, 1]] = 1.0
    bucket.n_eqtl[3, 0] = 0.0
    bucket.eqtl[4, :, 0] = 2.0 * bucket.eqtl[4, :, 1]
    got = table(named(bucket), estimate([bucket], 6))
    firsts = [words.split(";")[0] for words in got["flags"][:5]]
    assert firsts == ["not_a_number", "no_focal_effect", "ld_singular", "not_a_number", "not_separable"]
    assert set(firsts) <= set(UNESTIMATED)
    assert got["alpha"].isna().tolist() == [True] * 5 + [False]
    assert got["fdr"].isna().tolist() == [True] * 5 + [False]
    assert got["fdr"][5] == got["p"][5]


@pytest.mark.parametrize("damage", ["diagonal", "asymmetric", "beyond", "negative"])
def test_what_is_no_correlation_matrix_is_not_inverted(bucket: Bucket, damage: str) -> None:
    if damage == "diagonal":
        bucket.ld[0, 2, 2] = 0.5
    elif damage == "asymmetric":
        bucket.ld[0, 2, 3] += 0.2
    elif damage == "beyond":
        bucket.ld[0, 2, 3] = bucket.ld[0, 3, 2] = 1.7
    else:
        bucket.ld[0] = np.where(np.eye(9), 1.0, -0.5)
    got = flags(bucket)
    assert got[0].startswith("ld_singular")
    assert not any("ld_singular" in words for words in got[1:])


def test_fewer_variants_than_genes() -> None:
    bucket = simulate(Scenario(n=2, k=3), genes=2, seed=1)
    found = estimate([bucket], 2)
    assert np.isnan(found.numbers["alpha"]).all()
    assert np.isfinite(found.numbers["alpha_published"]).all()  # its ridge always gives a number
    assert all("fewer_variants_than_genes" in words for words in flags(bucket))


def test_as_many_variants_as_genes_leave_no_test() -> None:
    bucket = simulate(Scenario(n=3, k=3, strength=100), genes=3, seed=1)
    found = estimate([bucket], 3)
    assert np.isnan(found.numbers["q_p"]).all()
    assert np.isfinite(found.numbers["p"]).all()
    assert all("no_heterogeneity_test" in words for words in flags(bucket))


def test_collinear_neighbours_lose_one_and_the_focal_effect_stays() -> None:
    bucket = simulate(Scenario(n=15, k=4, strength=400, focal=0.1), genes=8, seed=3)
    rng = np.random.default_rng(0)
    bucket.eqtl[:, :, 3] = 0.5 * bucket.eqtl[:, :, 2] * (1 + 1e-3 * rng.normal(size=(8, 15)))
    found = estimate([bucket], 8)
    assert found.raised["neighbours_dropped"].all()
    assert set(map(tuple, found.dropped.values())) == {(3,)}
    without = replace(
        bucket, eqtl=bucket.eqtl[:, :, :3], known=bucket.known[:, :, :3], n_eqtl=bucket.n_eqtl[:, :3]
    )
    clean = estimate([without], 8)
    same(clean, found, but=("alpha_published", "se_published", "p_published", "n_genes"))
    assert table(named(bucket), found)["dropped_genes"][2] == "gene2_3"


def test_a_focal_gene_with_a_twin_keeps_it_and_is_flagged() -> None:
    bucket = simulate(Scenario(n=15, k=2, strength=400, focal=0.1), genes=8, seed=4)
    rng = np.random.default_rng(0)
    bucket.eqtl[:, :, 1] = bucket.eqtl[:, :, 0] + 0.1 * bucket.eqtl.std() * rng.normal(size=(8, 15))
    found = estimate([bucket], 8)
    got = table(named(bucket), found)
    assert (got["condition"] > 30).all()
    assert got["flags"].str.contains("collinear").all()
    assert got["collinear_with"].tolist() == [f"gene{row}_1" for row in range(8)]
    single = replace(
        bucket, eqtl=bucket.eqtl[:, :, :1], known=bucket.known[:, :, :1], n_eqtl=bucket.n_eqtl[:, :1]
    )
    assert (got["se"] > 3 * estimate([single], 8).numbers["se"]).all()


def test_flags_of_what_is_estimated_with_care(bucket: Bucket) -> None:
    bucket.known[0, 0, 1] = False
    bucket.gwas[1, 0] = 1.5
    bucket.ld[2, 0, 1] = bucket.ld[2, 1, 0] = 0.9999
    bucket.ld[2, :2, 2:] = bucket.ld[2, 2:, :2] = 0.0
    weak = flags(simulate(Scenario(n=9, k=2, strength=3), genes=5, seed=2))
    got = flags(bucket)
    assert "unknown_pairs" in got[0]
    assert "not_standardised" in got[1]
    assert "heterogeneous" in got[1]
    assert "ld_near_singular" in got[2]
    assert all("weak_instruments" in words for words in weak)
    assert all(set(words.split(";")) <= {"", *FLAGS} for words in [*got, *weak])


def test_table_has_the_promised_columns_and_its_interval(bucket: Bucket) -> None:
    got = table(named(bucket), estimate([bucket], 6))
    assert tuple(got.columns) == (*FIRST, *ALSO)
    assert ((got["low"] > 0) | (got["high"] < 0)).tolist() == (got["p"] < 0.05).tolist()
    assert np.sign(got["z"]).tolist() == np.sign(got["alpha"]).tolist()


def test_no_genes_make_an_empty_table() -> None:
    got = table(Named([], [], [], []), estimate([], 0))
    assert len(got) == 0
    assert tuple(got.columns) == (*FIRST, *ALSO)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_false_discovery_rates(p: list[float]) -> None:
    from scipy.stats import false_discovery_control

    values = np.array([*p, np.nan])
    got = benjamini_hochberg(values)
    np.testing.assert_allclose(got[:-1], false_discovery_control(p, method="bh"))
    assert np.isnan(got[-1])


def test_methods_tell_about_themselves() -> None:
    assert list(methods()) == ["fuller", "plain", "published"]
    for one in methods().values():
        assert set(one.columns) <= {*FIRST, *ALSO}
        assert one.doi.startswith("10.")
        assert one.limits
        assert one.assumes
