import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from consilience.foundation.errors import DataError
from consilience.measures.neighbours import batch_mixing, fit_pca, label_accuracy, stability


def donors_of(n):
    return np.array([f"d{k}" for k in range(n)])


def guess(queries, labels, donors, references, reference_labels, reference_donors, k):
    return label_accuracy(
        queries=queries, query_labels=labels, query_donors=donors, references=references,
        reference_labels=reference_labels, reference_donors=reference_donors, k=k,
    )  # fmt: skip


def test_labels_by_a_slow_vote():
    rng = np.random.default_rng(0)
    points, labels, donors = (
        rng.standard_normal((40, 3)),
        rng.choice(["a", "b", "c"], 40),
        np.repeat(donors_of(20), 2),
    )
    found = guess(points, labels, donors, points, labels, donors, 7)
    for row in range(40):
        others = np.flatnonzero(donors != donors[row])
        near = others[np.argsort(((points[others] - points[row]) ** 2).sum(axis=1))][:7]
        votes = {label: (labels[near] == label).sum() for label in "abc"}
        best = max(votes.values())
        first = next(label for label in labels[near] if votes[label] == best)
        assert found.guess[row] == first
    assert found.accuracy == (found.guess == labels).mean()


def test_samples_of_one_donor_do_not_vouch_for_each_other():
    """Labels are random, but each donor has five equal samples: only a leak would be right."""
    rng = np.random.default_rng(0)
    points = np.repeat(rng.standard_normal((60, 5)), 5, axis=0)
    labels, donors = np.repeat(rng.choice(["a", "b"], 60), 5), np.repeat(donors_of(60), 5)
    assert guess(points, labels, donors, points, labels, donors, 3).accuracy < 0.7
    alone = np.arange(300).astype(str)
    assert guess(points, labels, alone, points, labels, alone, 3).accuracy == 1
    with pytest.raises(DataError, match="no neighbour of another donor"):
        guess(points[:5], labels[:5], donors[:5], points[:5], labels[:5], donors[:5], 2)


def test_balanced_accuracy_and_chance():
    references = np.array([[0.0], [0.1], [0.2], [9.0]])
    labels = np.array(["a", "a", "a", "b"])
    queries, truth = np.array([[0.0], [0.1], [0.3], [8.0], [0.2]]), np.array(["a", "a", "a", "b", "b"])
    found = guess(queries, truth, donors_of(5), references, labels, np.array(list("wxyz")), 1)
    assert (found.accuracy, found.balanced, found.chance) == (0.8, 0.75, 0.6)


def mixing(points, batches, **more):
    return batch_mixing(vectors=points, batches=batches, donors=donors_of(len(points)), k=10, **more)


def test_mixed_and_separate_batches():
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found.append(mixing(rng.standard_normal((200, 4)), np.where(np.arange(200) % 4 == 0, "x", "y")))
    # a count of few neighbours takes few values, so the level is below 5 %: that of drawing 10 of the others
    count = np.arange(11)
    beyond = (count - 2.5) ** 2 / (10 * 0.25 * 0.75) * 198 / 189 > stats.chi2.ppf(0.95, 1)
    level = stats.hypergeom.pmf(count, 199, 50, 10)[beyond].sum()
    assert np.mean([one.rejection for one in found]) == pytest.approx(level, abs=0.01)
    assert np.mean([one.lisi for one in found]) == pytest.approx(found[0].lisi_mixed, rel=0.03)
    assert found[0].lisi_mixed == pytest.approx(1 / (0.25**2 + 0.75**2), rel=0.02)
    assert min(one.entropy for one in found) > 0.8
    rng = np.random.default_rng(0)
    points = rng.standard_normal((200, 4)) + 20 * (np.arange(200) % 2)[:, None]
    apart = mixing(points, (np.arange(200) % 2).astype(str))
    assert (apart.entropy, apart.lisi, apart.rejection) == (0, 1, 1)


def test_a_label_of_one_batch_is_no_batch_effect():
    rng = np.random.default_rng(0)
    labels = np.repeat(["t", "n", "only"], 60)
    batches = np.where(labels == "only", "x", np.where(np.arange(180) % 2, "x", "y"))
    points = rng.standard_normal((180, 4)) + np.repeat([0, 30, 60], 60)[:, None]
    assert mixing(points, batches, labels=labels).entropy > 0.8
    assert mixing(points, batches).rejection > 0.2
    assert np.isnan(mixing(points, np.full(180, "x")).entropy)


@given(st.integers(0, 1000), st.floats(0.1, 50))
def test_stability_sees_neither_turns_nor_scales(seed, scale):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((25, 4))
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    found = stability(first=points, second=scale * points @ turn + 3, k=5)
    assert found.overlap > 0.99
    assert found.distances == pytest.approx(1)
    assert found.chance == 5 / 24


def test_unrelated_vectors_share_neighbours_by_chance():
    rng = np.random.default_rng(0)
    found = stability(first=rng.standard_normal((300, 5)), second=rng.standard_normal((300, 5)), k=15)
    assert found.overlap == pytest.approx(found.chance, abs=0.02)
    assert abs(found.distances) < 0.1
    with pytest.raises(DataError, match="same three samples"):
        stability(first=rng.random((3, 2)), second=rng.random((4, 2)))


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (30, 30)])
def test_components_are_those_of_a_singular_value_decomposition(shape):
    rng = np.random.default_rng(0)
    values = rng.standard_normal(shape) + 7
    pca = fit_pca(values, 5)
    expected = np.linalg.svd(values - values.mean(axis=0))[2][:5]
    assert np.allclose(np.abs(np.sum(pca.components * expected, axis=1)), 1)
    assert np.allclose(pca.transform(values).mean(axis=0), 0)
    assert (pca.components[np.arange(5), np.abs(pca.components).argmax(axis=1)] > 0).all()
    assert len(fit_pca(values, 64).components) <= min(shape[0] - 1, shape[1])
    shuffled = fit_pca(values[rng.permutation(shape[0])], 5)
    assert np.allclose(shuffled.components, pca.components)
