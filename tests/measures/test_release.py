"""The gate, both ways: who copies must not pass, who never looked must."""

import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.measures.privacy import privacy
from consilience.measures.release import BALANCED, STRICT, PrivacyThresholds, release_gate, remove_near_copies
from samplers import Population, bootstrap, by_class, shrunk_gaussian, smote

POPULATION = Population(n_genes=400)


def judged(seed, make, n, m, thresholds=BALANCED):
    rng = np.random.default_rng(seed)
    (train, a), (held, b) = POPULATION.draw(n, rng), POPULATION.draw(m, rng)
    n_of = {label: 2 * int((a == label).sum()) for label in np.unique(a)}
    made, c = POPULATION.draw(2 * n, rng) if make is None else by_class(make, train, a, n_of, rng)
    found = privacy(train=train, held_out=held, synthetic=made, labels=(a, b, c), seed=seed)
    return release_gate(found, thresholds=thresholds)


def test_who_never_looked_passes():
    """Three figures at a level of 1 % each: of 40 clean releases one may fail by chance, four may not."""
    failed = [judged(seed, None, *((15, 9), (40, 20), (70, 30))[seed % 3]).failures() for seed in range(40)]
    assert sum(bool(one) for one in failed) <= 3, failed


@pytest.mark.parametrize(
    "sampler", [bootstrap, smote, lambda rows, n, rng: bootstrap(rows, n, rng, noise=0.5)]
)
@pytest.mark.parametrize("seed", range(4))
def test_who_copies_fails_with_reasons(sampler, seed):
    found = judged(seed, sampler, *((15, 9), (40, 20))[seed % 2])
    assert not found.passed
    words = " ".join(found.failures())
    assert "near copies" in words
    assert "membership AUC (correlation)" in words
    assert len(found.reasons) == 5


def test_who_copies_nobody_but_knows_the_covariance_fails_by_membership_alone():
    found = judged(0, shrunk_gaussian, 60, 40)
    assert not found.passed
    names = [reason.name for reason in found.reasons if not reason.passed]
    assert not {"exact copies", "near copies"} & set(names)
    assert any("membership" in name for name in names)


def test_few_patients_cannot_be_cleared_by_the_strict_gate():
    assert judged(1, None, 15, 9).passed
    assert any("would not be seen" in note for note in judged(1, None, 15, 9).notes)
    strict = judged(1, None, 15, 9, STRICT)
    assert not strict.passed
    assert any("cannot be cleared" in sentence for sentence in strict.failures())


def test_without_removal_one_near_copy_is_enough():
    rng = np.random.default_rng(0)
    (train, a), (held, b), (made, c) = (POPULATION.draw(n, rng) for n in (60, 40, 120))
    made[7] = train[2] + 0.01
    found = release_gate(privacy(train=train, held_out=held, synthetic=made, labels=(a, b, c)))
    assert [reason.name for reason in found.reasons if not reason.passed] == ["near copies"]
    cleaned = remove_near_copies(synthetic=made, train=train)
    assert (cleaned.n_removed, cleaned.n_redrawn, cleaned.rounds) == (1, 0, 0)
    assert cleaned.source.tolist() == [row for row in range(120) if row != 7]
    labels = (a, b, c[cleaned.source])
    assert release_gate(privacy(train=train, held_out=held, synthetic=cleaned.values, labels=labels)).passed


def test_redrawing_fills_the_places_and_gives_up_after_the_rounds():
    rng = np.random.default_rng(0)
    train, made = POPULATION.draw(30, rng)[0], POPULATION.draw(20, rng)[0]
    made[[3, 5]] = train[[0, 1]]
    asked = []

    def redraw(rows, number):
        asked.append((rows.tolist(), number))
        # row 5 succeeds in the second round only
        return np.stack(
            [train[0] if row == 5 and number == 1 else POPULATION.draw(1, rng)[0][0] for row in rows]
        )

    found = remove_near_copies(synthetic=made, train=train, redraw=redraw)
    assert asked == [([3, 5], 1), ([5], 2)]
    assert (len(found.values), found.n_removed, found.n_redrawn, found.rounds) == (20, 2, 2, 2)
    assert np.flatnonzero(found.source == -1).tolist() == [3, 5]
    stubborn = remove_near_copies(
        synthetic=made, train=train, redraw=lambda rows, _: train[: len(rows)], max_rounds=3
    )
    assert (len(stubborn.values), stubborn.n_removed, stubborn.n_redrawn, stubborn.rounds) == (18, 2, 0, 3)
    with pytest.raises(DataError, match="another number"):
        remove_near_copies(synthetic=made, train=train, redraw=lambda rows, _: train[:9])


def test_thresholds_name_attacks_that_exist():
    with pytest.raises(DataError, match="no such attack"):
        PrivacyThresholds(attacks=("magic",))
