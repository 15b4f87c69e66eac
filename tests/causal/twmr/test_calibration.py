"""Type-I error and coverage on loci with a known truth; how bias and power go with strength."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from causal.twmr.simulated import Scenario, simulate
from consilience.causal.twmr.estimate import estimate

pytestmark = pytest.mark.slow
SIZES = [(4, 1), (10, 2), (16, 3), (30, 4)]
GENES, SEEDS = 3000, (1, 2, 3)


def missed(scene: Scenario, end: str = "") -> float:
    """Share of 95 % intervals that miss the truth: the type-I error where the truth is 0."""
    shares = []
    for seed in SEEDS:
        got = estimate([simulate(scene, genes=GENES, seed=seed)], GENES).numbers
        away = np.abs(got[f"alpha{end}"] - scene.focal)
        shares.append(np.mean(away > 1.959964 * got[f"se{end}"]))
        if scene.focal == 0 and not end:
            assert shares[-1] == pytest.approx(np.mean(got["p"] < 0.05), abs=1e-6)
    return float(np.mean(shares))


@pytest.mark.parametrize(("n", "k"), SIZES)
@pytest.mark.parametrize("neighbours", [0.0, 0.06])
def test_nulls_are_rejected_as_often_as_said(n: int, k: int, neighbours: float) -> None:
    scene = Scenario(n=n, k=k, neighbours=neighbours)
    assert 0.04 <= missed(scene) <= 0.06
    if k > 1 and neighbours:
        assert missed(scene, "_published") > 0.09  # the ridge leaves neighbours' effects on the focal gene


@pytest.mark.parametrize(("n", "k"), SIZES)
@pytest.mark.parametrize("focal", [0.05, 0.15])
def test_intervals_cover(n: int, k: int, focal: float) -> None:
    scene = Scenario(n=n, k=k, focal=focal)
    assert 0.03 <= missed(scene) <= 0.07
    assert missed(scene, "_published") > 0.3


@pytest.mark.parametrize(("n", "k"), SIZES)
@pytest.mark.parametrize("strength", [4.0, 12.0])
def test_weak_instruments(n: int, k: int, strength: float) -> None:
    scene = Scenario(n=n, k=k, strength=strength)
    assert 0.03 <= missed(scene) <= 0.06
    assert 0.03 <= missed(replace(scene, focal=0.15)) <= 0.07


@pytest.mark.parametrize(("n", "k"), SIZES)
@pytest.mark.parametrize(("direct", "share"), [(0.01, 0.15), (0.006, 1.0)])
def test_direct_effects_of_variants(n: int, k: int, direct: float, share: float) -> None:
    scene = Scenario(n=n, k=k, direct=direct, direct_share=share)
    assert 0.03 <= missed(scene) <= 0.075
    assert missed(scene, "_plain") > 0.15


def test_bias_falls_and_power_grows_with_strength() -> None:
    powers, biases = [], []
    for strength in (4.0, 10.0, 30.0, 100.0):
        got = estimate(
            [simulate(Scenario(n=12, k=2, strength=strength, focal=0.08), genes=GENES, seed=4)], GENES
        )
        powers.append(np.mean(got.numbers["p"] < 0.05))
        biases.append(np.abs(np.median(got.numbers["alpha"]) / 0.08 - 1))
        pulled = np.abs(np.median(got.numbers["alpha_plain"]) / 0.08 - 1)
        assert biases[-1] < max(0.5 * pulled, 0.02)
    assert powers == sorted(powers)
    assert powers[0] < 0.2 < 0.8 < powers[-1]
    assert max(biases[1:]) < 0.05
