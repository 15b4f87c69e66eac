"""Common axes of several networks, offsets of donors, principal axes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from consilience.causal.denoising.alignment import Sums, align
from consilience.causal.denoising.offsets import Tallies, log_factors, offsets_of
from consilience.causal.denoising.start import log_normalised, principal_axes, start_of


def views(noise=0.0, n=4_000, k=3, size=4, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((n, size))
    found = [truth @ rng.standard_normal((size, size)) + rng.standard_normal(size) for _ in range(k)]
    return truth, [one + noise * rng.standard_normal(one.shape) for one in found]


def summed(given, block=701):
    sums = Sums(len(given), given[0].shape[1])
    wide = np.concatenate(given, axis=1)
    for first in range(0, len(wide), block):
        sums.add(wide[first : first + block])
    return sums


def test_networks_that_differ_by_a_linear_map_come_to_the_same_axes():
    truth, given = views()
    found = align(summed(given))
    common = [found.onto(one, number) for number, one in enumerate(given)]
    for one in common[1:]:
        np.testing.assert_allclose(one, common[0], atol=1e-8)
    np.testing.assert_allclose(common[0].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(common[0].var(axis=0), 1, rtol=1e-9)
    np.testing.assert_allclose(found.agreement, 1, rtol=1e-9)
    explained = np.linalg.lstsq(common[0], truth - truth.mean(axis=0), rcond=None)[1]
    np.testing.assert_allclose(explained, 0, atol=1e-6)


def test_agreement_is_the_mean_correlation_of_two_networks():
    _, given = views(noise=0.5)
    found = align(summed(given))
    common = np.stack([found.onto(one, number) for number, one in enumerate(given)])
    for axis in range(4):
        pairs = [np.corrcoef(common[one, :, axis], common[two, :, axis])[0, 1]
                 for one, two in ((0, 1), (0, 2), (1, 2))]  # fmt: skip
        assert found.agreement[axis] == pytest.approx(np.mean(pairs), abs=0.08)
    assert (np.diff(found.agreement) <= 1e-12).all()
    assert found.agreement[0] < 0.999


def test_one_network_agrees_with_itself():
    _, given = views(k=1)
    found = align(summed(given))
    np.testing.assert_array_equal(found.agreement, 1)
    np.testing.assert_allclose(np.cov(found.onto(given[0], 0).T, bias=True), np.eye(4), atol=1e-9)


def test_an_axis_that_does_not_vary_is_zero_not_noise():
    _, given = views(size=3)
    given = [np.column_stack([one, np.full(len(one), 2.0)]) for one in given]
    found = align(summed(given))
    common = found.onto(given[1], 1)
    assert np.isfinite(common).all()
    assert (common.var(axis=0) < 1e-12).any()


def test_log_factors_find_and_shrink():
    rng = np.random.default_rng(3)
    true = np.exp(rng.normal(0, 0.4, (8, 200)))
    rich, poor = (np.full((8, 200), level) for level in (5_000.0, 2.0))
    few = rng.poisson(poor * true).astype(float)
    strong = log_factors(Tallies(rng.poisson(rich * true).astype(float), rich, rich))
    weak = log_factors(Tallies(few, poor, poor))
    np.testing.assert_allclose(strong, np.log(true), atol=0.1)
    errors = [np.mean((found - true) ** 2) for found in (np.exp(weak), few / poor, np.ones_like(true))]
    assert errors[0] < 0.6 * errors[1]
    assert errors[0] < errors[2]
    none = log_factors(Tallies(rng.poisson(rich).astype(float), rich, rich))
    assert np.abs(none).max() < 0.04  # nothing but noise: hardly any factor
    assert (log_factors(Tallies.empty(2, 5)) == 0).all()


def test_offsets_of_types_add_to_those_of_donors():
    rng = np.random.default_rng(4)
    expected = np.full((6, 50), 2_000.0)  # 2 donors × (2 types + unknown)
    factor = np.ones((6, 50))
    factor[0], factor[1], factor[:3, 7] = 2.0, 2.0, 4.0
    seen = rng.poisson(expected * factor).astype(float)
    found = offsets_of(Tallies(seen, expected, expected), n_donors=2, n_types=2)
    donor, kind = np.array([0, 0, 1, 0]), np.array([0, 1, 0, -1])
    log_factor = found.of(donor, kind)
    due = [seen[0] / expected[0], seen[1] / expected[1], seen[3] / expected[3]]
    np.testing.assert_allclose(np.exp(log_factor[:3]), due, rtol=0.06)
    np.testing.assert_array_equal(log_factor[3], found.of_donor[0])
    alone = offsets_of(Tallies(seen[:2], expected[:2], expected[:2]), n_donors=2, n_types=0)
    assert alone.of(donor, kind).shape == (4, 50)


def test_principal_axes_are_those_of_a_decomposition():
    rng = np.random.default_rng(5)
    values = rng.standard_normal((80, 3)) @ rng.standard_normal((3, 30)) * 3 + rng.standard_normal((80, 30))
    values = np.where(rng.random(values.shape) < 0.5, values, 0)
    centre = values.mean(axis=0)
    axes, sds = principal_axes(sparse.csr_matrix(values), centre, most=2, seed=0)
    _, singular, turned = np.linalg.svd(values - centre, full_matrices=False)
    np.testing.assert_allclose(sds, singular[:2] / np.sqrt(80), rtol=1e-3)
    assert (np.abs((axes * turned[:2].T).sum(axis=0)) > 0.999).all()
    assert (axes[np.abs(axes).argmax(axis=0), [0, 1]] > 0).all()
    nothing, _ = principal_axes(sparse.csr_matrix(values[:1]), centre, most=0, seed=0)
    assert nothing.shape == (30, 0)


def test_start_has_the_moments_of_the_cells():
    rng = np.random.default_rng(6)
    size = np.exp(rng.normal(0, 0.3, 6_000))
    rate, theta = np.exp(rng.normal(1, 0.5, 12)), 3.0
    counts = rng.poisson(rng.gamma(theta, rate * size[:, None] / theta))
    batch = np.arange(6_000) % 2
    counts[batch == 1, 3] *= 3
    found = start_of(sparse.csr_matrix(counts.astype(np.float32)), size, batch, n_batches=2, latent=4, seed=1)
    others = np.arange(12) != 3
    np.testing.assert_allclose(np.exp(found.level)[others], rate[others], rtol=0.05)
    np.testing.assert_allclose(np.exp(found.log_size)[others], theta, rtol=0.25)
    np.testing.assert_allclose(found.batch_effect[1, 3] - found.batch_effect[0, 3], np.log(3), atol=0.05)
    np.testing.assert_allclose(found.batch_effect[:, others], 0, atol=0.05)
    logs = np.log1p(counts / size[:, None])
    np.testing.assert_allclose(found.centre, logs.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(found.scale, np.maximum(logs.std(axis=0), 0.1), rtol=1e-3)
    again = log_normalised(sparse.csr_matrix(counts.astype(np.float32)), size)
    np.testing.assert_allclose(again.toarray(), logs, rtol=1e-5)
