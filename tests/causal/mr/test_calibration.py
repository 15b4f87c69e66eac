"""Each estimator where its own assumptions hold, and what happens where they do not (bench/mr.py has more)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causal.mr.simulated import exposures
from consilience.causal.mr.estimate import estimate_all

pytestmark = pytest.mark.slow
GOOD = (0.04, 0.06)


def rates(key: str, count: int, *, effect: float, bootstraps: int = 200, **world: Any) -> tuple[float, float]:
    """Shares of `count` exposures whose effect is significant at 0.05, and whose interval has the truth."""
    ones = exposures(count, effect=effect, **world)
    rows = [row for (row,) in estimate_all(ones, [key], bootstraps=bootstraps, seed=1)]
    assert all(np.isfinite(row.estimate) for row in rows)
    return float(np.mean([row.p < 0.05 for row in rows])), float(
        np.mean([row.low <= effect <= row.high for row in rows])
    )


VALID: dict[str, Any] = {"n": 10}
LINKED: dict[str, Any] = {"n": 10, "rho": 0.7}
WEAK: dict[str, Any] = {"n": 30, "size": 0.0115}
UNEVEN: dict[str, Any] = {"n": 40, "inflated": 3**0.5}
PUSHED: dict[str, Any] = {"n": 40, "inflated": 2**0.5, "intercept": 0.004}


@pytest.mark.parametrize(("key", "world"), [
    ("wald_ratio", VALID), ("ivw_fixed", VALID), ("ivw_debiased", VALID), ("ivw_debiased", WEAK),
    ("ivw_random", UNEVEN), ("ivw_ld", LINKED), ("ivw_ld", {"n": 10, "rho": 0.7, "size": 0.02}),
    ("ivw_ld_debiased", LINKED), ("ivw_ld_random", {"n": 8, "rho": 0.7, "inflated": 3**0.5}), ("egger", PUSHED),
    ("egger_ld", {"n": 40, "rho": 0.7, "inflated": 2**0.5}),
])  # fmt: skip
def test_level_and_coverage_where_assumptions_hold(key: str, world: dict[str, Any]) -> None:
    level, covered = rates(key, 6_000, effect=0.0, **world)
    assert GOOD[0] <= level <= GOOD[1]
    assert covered == pytest.approx(1 - level)
    power, covered = rates(key, 3_000, effect=0.05 if key.startswith("egger") else 0.1, seed=2, **world)
    assert 0.93 <= covered <= 0.97
    assert power > 3 * level


def test_bootstrapped_errors_are_cautious_but_not_idle() -> None:
    """The bootstrap redraws noise around noisy ratios, so that medians and (t besides) modes keep below 0.05."""
    for key, least in (("weighted_median", 0.02), ("simple_median", 0.02), ("weighted_mode", 0.002)):
        level, _ = rates(key, 1_500, effect=0.0, **VALID)
        assert least < level < 0.045
        power, covered = rates(key, 500, effect=0.1, **VALID)
        assert covered > 0.95
        assert power > 0.9
    level, _ = rates("raps", 1_500, effect=0.0, n=60, size=0.03, inflated=2**0.5)
    assert 0.03 <= level <= 0.07


def test_what_others_claim_where_assumptions_fail() -> None:
    """LD that is ignored, direct effects in one direction, weak instruments: too sure or too small."""
    assert rates("ivw_fixed", 1_000, effect=0.0, **LINKED)[0] > 0.15
    assert rates("ivw_fixed", 1_000, effect=0.0, **UNEVEN)[0] > 0.2
    assert rates("ivw_random", 500, effect=0.0, **PUSHED)[0] > 0.9
    assert rates("ivw_ld", 1_000, effect=0.2, **WEAK)[1] < 0.9
    assert (
        rates("weighted_median", 500, effect=0.0, **LINKED)[0]
        > rates("weighted_median_ld", 500, effect=0.0, **LINKED)[0] + 0.04
    )
    invalid = {"n": 20, "share_invalid": 0.3, "direct": (0.02, 0.01)}
    mean, median, mode = (
        rates(key, 400, effect=0.0, **invalid)[0]
        for key in ("ivw_random", "weighted_median", "weighted_mode")
    )
    assert mean > 0.3
    assert median < mean / 2
    assert mode < 0.05


def test_heterogeneity_is_found_and_not_invented() -> None:
    for effect in (0.0, 0.15):
        rows = [
            row
            for (row,) in estimate_all(
                exposures(4_000, effect=effect, **LINKED), ["ivw_ld"], bootstraps=100, seed=1
            )
        ]
        assert np.mean([row.q_p < 0.05 for row in rows]) == pytest.approx(0.05, abs=0.012)
    rows = [
        row
        for (row,) in estimate_all(exposures(500, effect=0.0, **UNEVEN), ["ivw_ld"], bootstraps=100, seed=1)
    ]
    assert np.mean([row.q_p < 0.05 for row in rows]) > 0.95
    rows = [
        row
        for (row,) in estimate_all(
            exposures(3_000, effect=0.1, n=40, inflated=2**0.5), ["egger"], bootstraps=100, seed=1
        )
    ]
    assert np.mean([row.intercept_p < 0.05 for row in rows]) == pytest.approx(0.05, abs=0.015)
