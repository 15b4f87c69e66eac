"""Numbers that cannot be used end in a flag that says why, or in an error that names them; never in a number."""

from __future__ import annotations

import numpy as np
import pytest

from causal.mr.simulated import exposures
from consilience.causal.mr.estimate import MrResult, estimate_all
from consilience.causal.mr.estimators import estimator, estimators
from consilience.causal.mr.flags import FLAGS
from consilience.causal.mr.instruments import Exposure
from consilience.causal.mr.one import mendelian_randomisation
from consilience.foundation.errors import ConfigError, DataError

KEYS = sorted(estimators())


def gene(n: int = 6, **changed: np.ndarray) -> Exposure:
    one = exposures(1, effect=0.1, n=n, rho=0.3)[0]
    return Exposure(**(vars(one) | changed))


def by_method(one: Exposure) -> dict[str, MrResult]:
    rows = estimate_all([one], KEYS, bootstraps=100, seed=1)[0]
    for row in rows:
        words = row.flags.split(";") if row.flags else []
        assert set(words) <= set(FLAGS)
        shown = [row.estimate, row.se, row.low, row.high, row.p]
        assert np.isfinite(shown).all() or np.isnan(shown).all()
        assert np.isfinite(row.estimate) or {"no_instruments", "few_variants", "bad_ld", "singular_ld",
                                             "not_estimable"} & set(words)  # fmt: skip
    return {row.method: row for row in rows}


def answered(rows: dict[str, MrResult]) -> set[str]:
    return {key for key, row in rows.items() if np.isfinite(row.estimate)}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_methods_answer_only_with_the_variants_they_need(n: int) -> None:
    rows = by_method(gene(n))
    assert answered(rows) == {key for key in KEYS if estimator(key).min_variants <= n}
    for key, row in rows.items():
        assert ("few_variants" in row.flags) == (estimator(key).min_variants > n)
    assert rows["wald_ratio"].n_snps == 1
    assert rows["ivw_ld"].n_snps == n
    if n == 1:
        assert rows["ivw_ld"].estimate == pytest.approx(rows["wald_ratio"].estimate)
        assert np.isnan(rows["ivw_ld"].q_p), "one variant cannot disagree with itself"


def test_no_variant_at_all() -> None:
    empty = np.empty(0)
    rows = by_method(Exposure("g", empty, empty, empty, empty, np.empty((0, 0)), 1e4, 1e5))
    assert not answered(rows)
    for row in rows.values():
        assert row.flags == "no_instruments;few_variants"
        assert (row.n_snps, row.direction) == (0, "unclear")


@pytest.mark.parametrize(("column", "value"), [
    ("b_exp", np.nan), ("b_exp", 0.0), ("b_exp", np.inf), ("se_exp", 0.0), ("b_out", np.nan), ("se_out", 0.0),
    ("se_out", np.nan), ("se_out", -0.1),
])  # fmt: skip
def test_unusable_variants_are_left_out_and_said(column: str, value: float) -> None:
    one = gene()
    spoilt = getattr(one, column).copy()
    spoilt[2] = value
    kept = np.arange(6) != 2
    rest = {name: getattr(one, name)[kept] for name in ("b_exp", "se_exp", "b_out", "se_out")}
    due = by_method(Exposure(**(vars(one) | rest | {"ld": one.ld[np.ix_(kept, kept)]})))
    for key, row in by_method(gene(**{column: spoilt})).items():
        assert "unusable_variants" in row.flags
        assert row.estimate == pytest.approx(due[key].estimate, rel=1e-12)
        assert row.se == pytest.approx(due[key].se, rel=1e-12)
        assert row.n_snps == due[key].n_snps


def test_ld_that_cannot_be_used_silences_only_those_who_need_it() -> None:
    blind = {key for key in KEYS if not estimator(key).uses_ld}
    for spoil, word in (
        (lambda ld: ld.__setitem__((0, 1), 0.99), "bad_ld"),  # not symmetric
        (lambda ld: ld.__setitem__((3, 3), 0.5), "bad_ld"),
        (lambda ld: ld.__setitem__((0, 0), np.nan), "bad_ld"),
        (lambda ld: (ld.__setitem__((0, 1), 2.0), ld.__setitem__((1, 0), 2.0)), "bad_ld"),
        (lambda ld: (ld.__setitem__(0, ld[1]), ld.__setitem__((slice(None), 0), ld[:, 1]), ld.__setitem__((0, 0), 1.0),
                     ld.__setitem__((0, 1), 1.0), ld.__setitem__((1, 0), 1.0)), "singular_ld"),
        (lambda ld: ld.__setitem__(slice(None), 1 - 1.6 * (1 - np.eye(6))), "singular_ld"),  # of no real people
    ):  # fmt: skip
        ld = gene().ld.copy()
        spoil(ld)
        rows = by_method(gene(ld=ld))
        assert answered(rows) == blind
        for key, row in rows.items():
            assert word in row.flags
            assert row.direction == "unclear"
            assert np.isnan(row.direction_p)
            assert ("ld_ignored" in row.flags) == (key in blind - {"wald_ratio"})


def test_weak_instruments_are_said() -> None:
    weak = exposures(1, effect=0.0, n=8, size=0.008)[0]
    strong = exposures(1, effect=0.0, n=8)[0]
    assert all("weak_instruments" in row.flags for row in by_method(weak).values())
    assert not any("weak_instruments" in row.flags for row in by_method(strong).values())


def test_swapped_sides_look_reversed() -> None:
    one = gene(8)
    swapped = Exposure("g", one.b_out, one.se_out, one.b_exp, one.se_exp, one.ld, one.n_out, one.n_exp)
    assert all("reverse_direction" in row.flags for row in by_method(swapped).values())
    assert not any("reverse_direction" in row.flags for row in by_method(one).values())


def test_equal_ratios_have_no_bandwidth() -> None:
    one = gene(5)
    rows = by_method(gene(5, b_out=0.1 * one.b_exp))
    for key in ("simple_mode", "weighted_mode", "weighted_mode_ld"):
        assert "not_estimable" in rows[key].flags
    assert rows["weighted_median"].estimate == pytest.approx(0.1)


def test_pleiotropy_and_heterogeneity_are_said() -> None:
    uneven = exposures(1, effect=0.1, n=20, inflated=3.0)[0]
    assert "heterogeneous" in by_method(uneven)["ivw_ld"].flags
    pushed = exposures(1, effect=0.0, n=20, intercept=0.03)[0]
    assert "directional_pleiotropy" in by_method(pushed)["egger"].flags
    alike = exposures(1, effect=0.1, n=10, size=0.012)[0]
    assert "egger_attenuated" in by_method(alike)["egger"].flags


def test_errors_name_what_is_wrong_with_own_arrays() -> None:
    fine = {"b_exp": [0.1, 0.2], "se_exp": [0.01, 0.01], "b_out": [0.0, 0.1], "se_out": [0.02, 0.02]}
    with pytest.raises(DataError, match=r"se_out: variant 2.*swapped"):
        mendelian_randomisation("ivw_fixed", **fine | {"se_out": [0.02, -0.02]})
    with pytest.raises(DataError, match="b_out"):
        mendelian_randomisation("ivw_fixed", **fine | {"b_out": [0.0]})
    with pytest.raises(DataError, match="ld"):
        mendelian_randomisation("ivw_ld", **fine, ld=np.eye(3))
    with pytest.raises(ConfigError, match="egger"):
        mendelian_randomisation("eger", **fine)
