import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.measures.copies import find_copies, private_radius
from samplers import Population, bootstrap, independent_genes, shrunk_gaussian, smote


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_found_and_strangers_are_not(seed):
    rng = np.random.default_rng(seed)
    draw = Population(seed=seed).draw
    train = draw(25, rng)[0]
    assert find_copies(synthetic=train, train=train).exact.all()
    assert find_copies(synthetic=train[::-1], train=train).patient.tolist() == list(range(25))[::-1]
    noisy = find_copies(synthetic=bootstrap(train, 100, rng), train=train)
    assert noisy.near.all()
    assert not noisy.exact.any()
    assert find_copies(synthetic=smote(train, 100, rng), train=train).near.mean() > 0.6
    for made in (draw(400, rng)[0], shrunk_gaussian(train, 400, rng), independent_genes(train, 400, rng)):
        assert not find_copies(synthetic=made, train=train).near.any()


def test_a_copy_on_another_scale_is_found_by_its_profile():
    """Every gene's deviation from the mean halved: far off by distance, the same by correlation."""
    rng = np.random.default_rng(0)
    train = Population().draw(25, rng)[0]
    made = train.mean(axis=0) + 0.3 * (train - train.mean(axis=0))
    assert find_copies(synthetic=made, train=train).near.all()


def test_a_twin_does_not_take_the_protection_away():
    rng = np.random.default_rng(0)
    train = Population().draw(25, rng)[0]
    doubled = np.concatenate([train, train[:1] + 1e-4])
    made = train[:1] + 0.05 * rng.standard_normal(300)
    assert find_copies(synthetic=made, train=doubled).near.all()
    marks = np.append(np.arange(25), 0)
    assert private_radius(doubled, marks)[0] == pytest.approx(
        private_radius(train, np.arange(25))[0], rel=5e-3
    )


def test_one_patient_is_no_scale():
    with pytest.raises(DataError, match="one patient"):
        find_copies(synthetic=np.zeros((2, 5)), train=np.ones((1, 5)))
    with pytest.raises(DataError, match="one donor"):
        private_radius(np.eye(3), np.array(["a", "a", "a"]))
