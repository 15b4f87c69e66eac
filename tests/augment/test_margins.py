"""Genes on the floor of the scale: moments by quadrature, by simulation and as asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from consilience.augment.generators.margins import (
    FLATTEST,
    STEEPEST,
    bent_moments,
    margins,
    restored_margins,
)

NO_FLOOR = float("-inf")


def one(mean, sd, zeros, n=40, floor=0.0):
    return margins(mean=np.array([mean]), sd=np.array([sd]), on_floor=np.array([zeros]), n=n, floor=floor)


def drawn(found, n=400_000, seed=0):
    z = np.random.default_rng(seed).standard_normal((n, len(found.mean)))
    return found.seen((found.mean + z * found.sd).astype(np.float32)).astype(np.float64), z


@pytest.mark.parametrize("place", [-2.5, -0.5, 0.0, 1.0, 3.0])
@pytest.mark.parametrize("power", [0.05, 0.5, 1.0, 2.0, 3.0])
def test_moments_are_those_of_adaptive_quadrature(place, power):
    def moment(times_z, square):
        return quad(
            lambda z: norm.pdf(z) * (place + z) ** (power * square) * z**times_z, -place, -place + 14, limit=400
        )[0]  # fmt: skip

    mean, sd, response = (float(part[0]) for part in bent_moments(np.array([place]), np.array([power])))
    assert mean == pytest.approx(moment(0, 1), rel=2e-3)
    assert sd == pytest.approx(np.sqrt(moment(0, 2) - moment(0, 1) ** 2), rel=4e-3)
    assert response == pytest.approx(moment(1, 1) / sd, rel=4e-3)


@given(
    zeros=st.floats(0.02, 0.9), power=st.floats(0.1, 2.9), scale=st.floats(0.05, 5.0), floor=st.floats(-2, 3)
)
@settings(max_examples=60)
def test_a_bent_gene_is_found_again_from_its_moments(zeros, power, scale, floor):
    place = np.array([-norm.ppf(zeros)])
    mean, sd, _ = bent_moments(place, np.array([power]))
    found = one(floor + scale * float(mean[0]), scale * float(sd[0]), zeros, floor=floor)
    assert found.power[0] == pytest.approx(power, rel=2e-3)
    assert found.scale[0] == pytest.approx(scale, rel=5e-3)
    assert found.mean[0] == pytest.approx(place[0])
    assert found.sd[0] == 1


@pytest.mark.parametrize(
    ("mean", "sd", "zeros"), [(0.4, 0.5, 0.3), (1.5, 0.9, 0.05), (0.1, 0.2, 0.7), (0.8, 0.6, 0.0)]
)
def test_what_is_drawn_has_the_mean_the_sd_and_the_zeros(mean, sd, zeros):
    values, z = drawn(found := one(mean, sd, zeros))
    assert values.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(len(values)))
    assert values.std() == pytest.approx(sd, rel=0.02)
    assert (values <= 0).mean() == pytest.approx(max(zeros, 0.25 / 40), abs=0.004)
    assert np.corrcoef(values[:, 0], z[:, 0])[0, 1] == pytest.approx(found.response[0], abs=0.01)


def test_more_spread_than_any_power_gives_keeps_the_mean_and_the_zeros():
    found = one(0.05, 0.6, 0.9)
    values, _ = drawn(found)
    assert found.power[0] == pytest.approx(STEEPEST, rel=1e-3)
    assert values.mean() == pytest.approx(0.05, rel=0.05)
    assert (values <= 0).mean() == pytest.approx(0.9, abs=0.004)
    assert values.std() < 0.6


def test_a_gene_that_is_on_or_off_is_nearly_so():
    found = one(4.0 * 0.7, 4.0 * np.sqrt(0.21), 0.3)
    values, _ = drawn(found)
    assert found.power[0] == pytest.approx(FLATTEST, rel=1e-3)
    assert np.median(values[values > 0]) == pytest.approx(4.0, rel=0.02)


def test_a_gene_far_from_the_floor_is_plain_normal():
    found = one(9.0, 1.0, 0.0)
    assert (found.power[0], found.mean[0], found.sd[0], found.response[0]) == (0, 9.0, 1.0, 1.0)


def test_without_a_floor_all_genes_are_plain_normal():
    found = one(0.1, 1.0, 0.0, floor=NO_FLOOR)
    values, _ = drawn(found, n=10_000)
    assert found.power[0] == 0
    assert (values < 0).mean() == pytest.approx(norm.cdf(-0.1), abs=0.03)


def test_genes_that_do_not_vary_stay_at_their_value():
    for value in (0.0, 2.5):
        found = one(value, 0.0, float(value == 0))
        joint, own = found.joint(np.zeros((3, 1)))
        assert (joint == 0).all()
        assert (own == 0).all()
        assert (found.seen(np.full((4, 1), found.mean[0], dtype=np.float32)) == value).all()


def test_weak_correlation_of_what_is_seen_is_as_asked_for():
    """Two genes with many zeros and a correlation of 0.1 between what is seen: the latent one is higher."""
    found = margins(
        mean=np.array([0.3, 0.5]), sd=np.array([0.45, 0.6]), on_floor=np.array([0.4, 0.3]), n=40, floor=0.0
    )
    axes = np.sqrt(0.1) * np.ones((1, 2))
    joint, own = found.joint(axes)
    rng = np.random.default_rng(0)
    latent = found.mean + rng.standard_normal((400_000, 1)) @ joint + rng.standard_normal((400_000, 2)) * own
    values = found.seen(latent.astype(np.float32))
    assert np.corrcoef(latent.T)[0, 1] > 0.115
    assert np.corrcoef(values.T)[0, 1] == pytest.approx(0.1, abs=0.012)


def test_joint_deviations_never_exceed_what_a_gene_varies():
    found = one(0.05, 0.2, 0.85)
    joint, own = found.joint(np.ones((1, 1)))
    assert joint[0, 0] == pytest.approx(found.sd[0])
    assert own[0] == 0


def test_what_is_kept_is_the_same():
    found = one(0.4, 0.5, 0.3)
    again = restored_margins(found.to_arrays(), floor=0.0)
    for name, array in found.to_arrays().items():
        np.testing.assert_array_equal(getattr(again, name), array)
