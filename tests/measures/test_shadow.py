import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.measures.shadow import shadow_attack
from samplers import Population, bootstrap, by_class, shrunk_gaussian

POPULATION = Population(n_genes=150)


def fitted(sampler):
    def make(rows, labels, seed):
        return by_class(
            sampler, rows, labels, dict.fromkeys(np.unique(labels), 20), np.random.default_rng(seed)
        )

    return make


@pytest.fixture(scope="module")
def patients():
    return POPULATION.draw(36, np.random.default_rng(0))


def test_a_generator_that_never_looks_leaks_nothing(patients):
    found = [
        shadow_attack(
            values=patients[0], labels=patients[1], seed=seed,
            make=lambda rows, labels, fresh: POPULATION.draw(40, np.random.default_rng(fresh)),
        ).auc for seed in range(8)
    ]  # fmt: skip
    assert abs(np.mean(found) - 0.5) < 4 * np.std(found, ddof=1) / np.sqrt(8)
    assert np.std(found) < 0.06


def test_copying_leaks_everything_and_the_ratio_sees_more_than_the_distance(patients):
    assert shadow_attack(values=patients[0], labels=patients[1], make=fitted(bootstrap)).auc > 0.88
    found = shadow_attack(values=patients[0], labels=patients[1], make=fitted(shrunk_gaussian), n_shadows=24)
    assert found.auc > 0.65
    assert found.auc > found.plain
    assert found.error < 0.05


def test_bad_input_is_named(patients):
    with pytest.raises(DataError, match="too few shadow"):
        shadow_attack(values=patients[0], labels=patients[1], make=fitted(bootstrap), n_shadows=2)
    with pytest.raises(DataError, match="too small to be halved"):
        shadow_attack(values=patients[0][:9], labels=np.arange(9).astype(str), make=fitted(bootstrap))
