import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from consilience.foundation.errors import DataError
from consilience.measures.distributions import (
    cloud_agreement,
    diversity_within,
    pathway_distances,
    wasserstein,
)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 5), (7, 12), (30, 11)])
def test_wasserstein_is_scipys(n, m):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((n, 6)), rng.standard_normal((m, 6)) + 0.5
    expected = [stats.wasserstein_distance(a[:, k], b[:, k]) for k in range(6)]
    assert np.allclose(wasserstein(a=a, b=b), expected)


def test_clouds_by_the_definitions():
    rng = np.random.default_rng(0)
    real, made = rng.standard_normal((14, 3)), rng.standard_normal((9, 3)) + 0.3
    found = cloud_agreement(reference=real, compared=made, k=2)
    own, other, between = cdist(real, real), cdist(made, made), cdist(real, made)
    width = np.median([own[i, j] for i in range(14) for j in range(i)])

    def kernel(square):
        return np.exp(-(square**2) / (2 * width**2))

    def mean_off(square):
        return np.mean([square[i, j] for i in range(len(square)) for j in range(len(square)) if i != j])

    assert found.diversity == pytest.approx(mean_off(other) / mean_off(own))
    assert found.mmd == pytest.approx(
        mean_off(kernel(own)) + mean_off(kernel(other)) - 2 * kernel(between).mean()
    )
    assert found.energy == pytest.approx(
        (2 * between.mean() - mean_off(own) - mean_off(other)) / mean_off(own)
    )
    radius = np.sort(own, axis=1)[:, 2]
    inside = np.array([[between[i, j] <= radius[i] for j in range(9)] for i in range(14)])
    assert found.density == pytest.approx(inside.sum() / (2 * 9))
    assert found.coverage == pytest.approx(inside.any(axis=1).mean())
    assert found.precision == pytest.approx(inside.any(axis=0).mean())
    assert found.unique_share == 1
    assert diversity_within(reference=real, compared=made) == pytest.approx(found.diversity)
    assert np.isnan(diversity_within(reference=real, compared=made[:1]))


def test_mmd_and_energy_are_unbiased():
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        one = cloud_agreement(reference=rng.standard_normal((10, 5)), compared=rng.standard_normal((12, 5)))
        found.append((one.mmd, one.energy))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(200)
    assert (np.abs(mean) < 3.5 * error).all()


def test_mode_collapse_shows():
    rng = np.random.default_rng(0)
    real = rng.standard_normal((60, 20))
    found = cloud_agreement(reference=real, compared=real[:2][rng.integers(2, size=50)])
    assert found.unique_share == 2 / 50
    assert found.coverage < 0.5
    assert found.diversity < 0.7


def test_pathway_scores_by_a_loop():
    rng = np.random.default_rng(0)
    real, made = rng.standard_normal((20, 8)) * 3 + 2, rng.standard_normal((15, 8)) + 2
    real[:, 7] = 4.0
    sets = [np.array([0, 1, 2]), np.array([2, 5]), np.array([7])]
    found = pathway_distances(reference=real, compared=made, membership=sets)
    for number, genes in enumerate(sets[:2]):
        scores = [
            ((v - real.mean(0)) / np.where(real.std(0) > 0, real.std(0), np.inf))[:, genes].mean(axis=1)
            for v in (real, made)
        ]
        expected = stats.wasserstein_distance(*scores) / scores[0].std()
        assert found[number] == pytest.approx(expected)
    assert np.isnan(found[2])
    with pytest.raises(DataError, match="not measured"):
        pathway_distances(reference=real, compared=made, membership=[np.array([8])])
