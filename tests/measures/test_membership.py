import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from consilience.foundation.errors import DataError
from consilience.measures.membership import ATTACKS, attack_scores, judge_attack, membership_attacks, redrawn
from samplers import Population, bootstrap, by_class, shrunk_gaussian, smote

POPULATION = Population()


def attacked(seed, make, n=40, m=30, n_made=120, **more):
    rng = np.random.default_rng(seed)
    (train, of_train), (held, of_held) = POPULATION.draw(n, rng), POPULATION.draw(m, rng)
    made, of_made = make(train, of_train, n_made, rng)
    found = membership_attacks(
        train=train, held_out=held, synthetic=made, labels=(of_train, of_held, of_made), seed=seed, **more
    )
    return {one.name: one for one in found}


def of_class(sampler):
    def make(train, labels, n, rng):
        return by_class(sampler, train, labels, dict.fromkeys(np.unique(labels), n // 2), rng)

    return make


def independent(train, labels, n, rng):
    return POPULATION.draw(n, rng)


def test_within_one_class_the_auc_is_that_of_sklearn():
    rng = np.random.default_rng(0)
    scores, member = np.round(rng.standard_normal(50), 1), rng.random(50) < 0.6
    found = judge_attack(name="x", scores=scores, member=member, groups=np.zeros(50, dtype=int), seed=0)
    assert found.auc == pytest.approx(roc_auc_score(member, scores))
    assert found.low < found.auc < found.high


def test_classes_are_never_compared_with_each_other():
    """Members are mostly of the class that scores high; within classes there is no difference."""
    member = np.array([True] * 9 + [False] + [True] + [False] * 9)
    groups = np.repeat([0, 1], 10)
    scores = np.where(groups == 0, 5.0, 0.0)
    assert judge_attack(name="x", scores=scores, member=member, groups=groups, seed=0).auc == 0.5


def test_redrawing_keeps_the_numbers_of_every_class():
    groups = np.array([0, 0, 0, 1, 1, 1, 1])
    member = np.array([True, False, False, True, True, True, False])
    drawn = redrawn(member, groups, 300, 0)
    assert (drawn[:, groups == 0].sum(axis=1) == 1).all()
    assert (drawn[:, groups == 1].sum(axis=1) == 3).all()
    assert 0.2 < drawn[:, 0].mean() < 0.47


def test_without_a_leak_p_values_are_uniform_for_every_attack():
    found = [attacked(seed, independent, n=20, m=12, n_made=40) for seed in range(80)]
    for name in ATTACKS:
        assert abs(np.mean([one[name].auc for one in found]) - 0.5) < 0.05
        assert kstest([one[name].p for one in found], "uniform").pvalue > 0.001, name


@pytest.mark.parametrize("sampler", [bootstrap, smote])
def test_copying_is_seen_by_every_attack(sampler):
    found = attacked(0, of_class(sampler))
    for one in found.values():
        assert one.auc > 0.95, one
        assert one.p < 0.005


def test_the_correlation_attack_is_stronger_where_nobody_is_copied():
    """Why it is in the gate: power on a sampler that copies nobody but knows the training covariance."""
    found = [attacked(seed, of_class(shrunk_gaussian)) for seed in range(8)]
    means = {name: np.mean([one[name].auc for one in found]) for name in ATTACKS}
    assert means["distance"] > 0.6
    assert means["correlation"] > means["distance"] + 0.02
    assert means["profile"] > means["distance"] + 0.02
    assert means["span"] > 0.99


def test_bad_input_is_named():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="no such attack"):
        attack_scores(
            name="guess",
            pool=rng.random((5, 3)),
            groups=np.zeros(5, dtype=int),
            synthetic=rng.random((2, 3)),
            made=np.zeros(2, dtype=int),
        )
    with pytest.raises(DataError, match="no class has both"):
        judge_attack(
            name="x",
            scores=rng.random(4),
            member=np.array([1, 1, 0, 0], dtype=bool),
            groups=np.array([0, 0, 1, 1]),
            seed=0,
        )
