import numpy as np
import pytest
from scipy.stats import binom, kstest
from sklearn.linear_model import Ridge

from consilience.foundation.errors import DataError
from consilience.measures.attribute import (
    ATTACKS,
    MOST_SYNTHETIC,
    PENALTY,
    attribute_attacks,
    genes_guessed,
    judged,
    label_guessed,
    sensitive,
)
from samplers import Population, bootstrap, by_class, independent_genes, shrunk_gaussian, smote

POPULATION = Population(n_genes=120)


def patients(seed, n=40, m=30):
    rng = np.random.default_rng(seed)
    return POPULATION.draw(n, rng), POPULATION.draw(m, rng), rng


def attacked(seed, sampler=None, n=40, m=30, k=100, **more):
    """Attacks by name; without a sampler the samples are fresh draws from the population."""
    (train, of_train), (held, of_held), rng = patients(seed, n, m)
    made, of_made = (
        by_class(sampler, train, of_train, {"ill": k, "well": k}, rng)
        if sampler
        else POPULATION.draw(2 * k, rng)
    )
    found = attribute_attacks(
        train=train, held_out=held, synthetic=made, labels=(of_train, of_held, of_made), seed=seed, **more
    )
    return {one.name: one for one in found}


def parts(seed=0, n=12, k=15, p=9):
    rng = np.random.default_rng(seed)
    pool, made = rng.normal(2, 1, (n, p)), rng.normal(2, 1.2, (k, p))
    pool[:, 4] = made[:, 4] = 1.5
    groups, codes = np.arange(n) % 2, np.arange(k) % 2
    genes = np.array([0, 3, 8])
    return {"pool": pool, "groups": groups, "synthetic": made, "made": codes, "genes": genes}


def slowly(guess, *, pool, groups, synthetic, made, genes):
    """Each patient and gene by itself, the gene's column truly taken away."""
    sd = np.where(pool.std(axis=0) > 0, pool.std(axis=0), 1)
    real, fake = (pool - pool.mean(axis=0)) / sd, (synthetic - pool.mean(axis=0)) / sd
    right = np.zeros((len(pool), len(genes)), dtype=bool)
    for row in range(len(pool)):
        mine = fake[made == groups[row]]
        for place, gene in enumerate(genes):
            value = guess(np.delete(real[row], gene), np.delete(mine, gene, axis=1), mine, gene)
            cut = np.median(mine[:, gene])
            right[row, place] = (value > cut) == (real[row, gene] > cut)
    return right


def by_nearest(query, others, mine, gene):
    return mine[((others - query) ** 2).sum(axis=1).argmin(), gene]


def by_ridge(query, others, mine, gene):
    centred = mine - mine.mean(axis=0)
    model = Ridge(alpha=PENALTY * (centred**2).sum() / len(mine))
    return model.fit(others, mine[:, gene]).predict(query[None])[0]


@pytest.mark.parametrize(("name", "guess"), [("nearest", by_nearest), ("ridge", by_ridge)])
@pytest.mark.parametrize("seed", range(5))
def test_guesses_are_those_of_one_gene_after_the_other(name, guess, seed):
    given = parts(seed)
    np.testing.assert_array_equal(genes_guessed(name=name, **given), slowly(guess, **given))


def test_the_label_is_that_of_the_nearest_sample():
    given = parts()
    given.pop("genes")
    pool, made = given["pool"], given["synthetic"]
    sd = np.where(pool.std(axis=0) > 0, pool.std(axis=0), 1)
    near = [(((made - row) / sd) ** 2).sum(axis=1).argmin() for row in pool]
    np.testing.assert_array_equal(label_guessed(**given), given["made"][near] == given["groups"])


def test_accuracies_and_advantage_are_means_over_patients_within_classes():
    right = np.array([1.0, 0.5, 0.0, 1.0, 1.0, 0.0, 0.25, 0.75])
    member = np.array([True, True, False, False, True, False, False, False])
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    donors = np.arange(8).astype(str)
    found = judged("x", right, member=member, groups=groups, donors=donors, seed=0, n_genes=4)
    assert found.train == pytest.approx((0.75 + 1.0) / 2)
    assert found.held_out == pytest.approx((0.5 + 1 / 3) / 2)
    assert found.advantage == pytest.approx(found.train - found.held_out)
    assert found.low < found.advantage < found.high


def test_the_p_value_is_that_of_all_ways_to_choose_members():
    """Five of one class, two of them members: ten ways, each as likely."""
    right = np.array([1.0, 0.9, 0.2, 0.1, 0.0])
    member = np.array([True, True, False, False, False])
    found = judged("x", right, member=member, groups=np.zeros(5, dtype=int),
                   donors=np.arange(5).astype(str), seed=0, n_genes=1)  # fmt: skip
    assert found.p == pytest.approx(0.1, abs=0.03)


def test_a_donor_s_samples_stay_together_when_members_are_redrawn():
    """Twenty samples of four donors, who alone decide the score: no p-value below 1/6 can be."""
    donors = np.repeat(["a", "b", "c", "d"], 5)
    member = np.isin(donors, ["a", "b"])
    found = {
        name: judged("x", member.astype(float), member=member, groups=np.zeros(20, dtype=int), donors=who,
                     seed=0, n_genes=1).p
        for name, who in (("donors", donors), ("samples", np.arange(20).astype(str)))
    }  # fmt: skip
    assert found["donors"] == pytest.approx(1 / 6, abs=0.03)
    assert found["samples"] < 0.002


def test_donors_are_redrawn_among_those_of_the_same_classes():
    """Donors with both classes are all members here: there is nothing to compare them with but themselves."""
    donors = np.array(["p", "p", "q", "q", "r", "s", "t", "u"])
    groups = np.array([0, 1, 0, 1, 0, 0, 1, 1])
    member = np.array([True, True, True, True, True, False, True, False])
    right = np.array([1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5])
    found = judged("x", right, member=member, groups=groups, donors=donors, seed=0, n_genes=1)
    assert found.advantage > 0.2
    assert found.p == 1.0


@pytest.mark.parametrize("n_made", [40, 150])
def test_without_a_leak_p_values_are_uniform_for_every_attack(n_made):
    found = [attacked(seed, n=20, m=12, k=n_made // 2, n_genes=20) for seed in range(100)]
    for name in ATTACKS:
        p = np.array([one[name].p for one in found])
        below = int((p <= 0.05).sum())
        assert binom.sf(below - 1, len(p), 0.05) > 1e-3, name
        if name != "label":  # so few patients can be right or wrong that its p-values are coarse
            assert kstest(p, "uniform").pvalue > 1e-3, name
        gaps = np.array([one[name].advantage for one in found])
        assert abs(gaps.mean()) < 4 * gaps.std() / np.sqrt(len(gaps)), name


def test_intervals_hold_no_advantage_where_there_is_none():
    found = [attacked(seed, n=24, m=20, n_genes=20, attacks=("ridge",))["ridge"] for seed in range(60)]
    inside = sum(one.low <= 0 <= one.high for one in found)
    assert inside >= 50


@pytest.mark.parametrize("sampler", [bootstrap, smote])
def test_what_is_made_of_patients_gives_their_genes_away(sampler):
    for seed in range(3):
        found = attacked(seed, sampler)
        assert found["nearest"].advantage > 0.15
        assert found["nearest"].p <= 0.002
        assert found["nearest"].low > 0
        assert found["ridge"].p <= 0.02


def test_a_gaussian_gives_genes_away_by_regression():
    found = [attacked(seed, shrunk_gaussian)["ridge"] for seed in range(4)]
    assert np.mean([one.advantage for one in found]) > 0.06
    assert sum(one.p <= 0.05 for one in found) >= 3


def test_independent_genes_give_no_gene_away():
    found = [attacked(seed, independent_genes, n=24, m=20, n_genes=20) for seed in range(30)]
    for name in ("nearest", "ridge"):
        assert sum(one[name].p <= 0.05 for one in found) <= 6
        assert abs(np.mean([one[name].train for one in found]) - 0.5) < 0.05


def test_the_order_of_rows_does_not_matter():
    (train, of_train), (held, of_held), rng = patients(0)
    made, of_made = by_class(smote, train, of_train, {"ill": 50, "well": 50}, rng)
    donors = tuple(
        np.char.add(side, np.arange(n).astype(str)) for side, n in (("t", len(train)), ("h", len(held)))
    )
    first = attribute_attacks(
        train=train, held_out=held, synthetic=made, labels=(of_train, of_held, of_made), donors=donors
    )
    a, b, c = (rng.permutation(len(one)) for one in (train, held, made))
    again = attribute_attacks(
        train=train[a], held_out=held[b], synthetic=made[c], donors=(donors[0][a], donors[1][b]),
        labels=(of_train[a], of_held[b], of_made[c]),
    )  # fmt: skip
    for one, other in zip(first, again, strict=True):
        assert one.advantage == pytest.approx(other.advantage, abs=1e-12)
        assert one.p == other.p


def test_the_sensitive_genes_can_be_named_and_are_else_those_that_divide():
    (train, of_train), (held, of_held), _ = patients(1)
    train[:, :50], held[:, :50] = 0.0, 0.0
    pool, groups = np.concatenate([train, held]), np.concatenate([of_train, of_held])
    chosen = sensitive(pool, groups=groups, n=30, seed=0)
    assert len(chosen) == 30
    assert chosen.min() >= 50
    assert (np.diff(chosen) > 0).all()
    found = attribute_attacks(
        train=train, held_out=held, synthetic=pool, genes=np.array([60, 61]), attacks=("nearest",)
    )
    assert [one.n_genes for one in found] == [2]


def test_without_classes_there_is_no_guess_of_the_label():
    (train, _), (held, _), rng = patients(2)
    found = attribute_attacks(train=train, held_out=held, synthetic=bootstrap(train, 60, rng))
    assert [one.name for one in found] == ["nearest", "ridge"]
    assert found[0].p < 0.01


def test_of_many_samples_some_are_enough():
    found = attacked(3, bootstrap, k=MOST_SYNTHETIC + 200, n_genes=10)
    assert found["nearest"].advantage > 0.15


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"donors": (np.array(["a"] * 40), np.array(["a"] * 30))}, "both in training and held out"),
        ({"attacks": ("guess",)}, "no such attack"),
        ({"synthetic": np.zeros((5, 3))}, "same genes"),
        ({"synthetic": np.full((5, 120), np.nan)}, "no numbers"),
        ({"held_out": np.ones((3, 120)), "train": np.ones((3, 120))}, "no gene divides"),
        ({"labels": (np.full(40, "x"), np.full(30, "y"), np.full(60, "x"))}, "no class has both"),
    ],
)
def test_what_cannot_be_judged_is_refused(fault, words):
    (train, _), (held, _), rng = patients(0)
    given = {"train": train, "held_out": held, "synthetic": bootstrap(train, 60, rng), **fault}
    with pytest.raises(DataError, match=words):
        attribute_attacks(**given)
