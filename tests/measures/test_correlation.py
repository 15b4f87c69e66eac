import numpy as np
import pytest

from consilience.measures.correlation import correlation_agreement, most_variable, published_similarity

G = 60
ALL = np.arange(G)


def population(seed):
    rng = np.random.default_rng(seed)
    loading = rng.standard_normal((5, G))

    def draw(n, rng, strength=1.0):
        return strength * rng.standard_normal((n, 5)) @ loading + 2 * rng.standard_normal((n, G))

    return draw


def compare(reference, compared, **more):
    return correlation_agreement(reference=reference, compared=compared, columns=ALL, seed=1, **more)


def test_noise_of_few_samples_is_removed_and_not_the_difference():
    """Two small draws of one population agree after the correction; before, they do not."""
    found = []
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        draw = population(seed)
        found.append(compare(draw(24, rng), draw(24, rng)))
    raw, similarity, strength, concordance = (
        np.array([getattr(one, name) for one in found])
        for name in ("raw", "similarity", "strength", "concordance")
    )
    assert raw.mean() < 0.85
    for values in (similarity, strength, concordance):
        assert abs(values.mean() - 1) < 3 * values.std(ddof=1) / np.sqrt(len(values)) + 0.02


def test_weak_and_absent_structure():
    rng = np.random.default_rng(0)
    draw = population(0)
    real = draw(400, rng)
    weak = compare(real, draw(400, rng, strength=0.5))
    assert weak.similarity > 0.9
    assert weak.strength < 0.6
    assert weak.concordance < 0.8
    alone = compare(real, rng.permuted(real, axis=0))
    assert abs(alone.strength) < 0.05
    assert abs(alone.concordance) < 0.05
    assert np.isnan(alone.similarity)
    assert published_similarity(reference=real, compared=rng.permuted(real, axis=0)) > 0.3, (
        "the diagonal flatters"
    )


def test_a_difference_of_classes_is_no_correlation_within():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 100)
    real = rng.standard_normal((200, G)) + 4 * (labels == "b")[:, None] * np.linspace(-1, 1, G)
    copy = real[rng.permutation(200)]
    assert compare(real, copy).raw == pytest.approx(1)
    draw = population(1)
    structured, other = (draw(200, rng) + real for _ in range(2))
    inside = compare(structured, other, reference_labels=labels, compared_labels=labels)
    assert 0.85 < inside.concordance < 1.15
    scrambled = other.copy()
    for label in ("a", "b"):
        scrambled[labels == label] = rng.permuted(other[labels == label], axis=0)
    assert (
        abs(compare(structured, scrambled, reference_labels=labels, compared_labels=labels).concordance) < 0.1
    )
    assert compare(structured, scrambled).raw > 0.5


def test_too_few_samples_give_no_number():
    rng = np.random.default_rng(0)
    found = compare(rng.standard_normal((5, G)), rng.standard_normal((50, G)))
    assert np.isfinite(found.raw)
    assert np.isnan([found.similarity, found.strength, found.concordance]).all()
    assert np.isnan(compare(np.ones((20, G)), np.ones((20, G))).raw)


def test_the_published_measure_is_that_of_two_corrcoefs():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((30, G)), rng.standard_normal((40, G))
    top = np.argsort(-a.var(axis=0))[:50]
    both = np.corrcoef(np.corrcoef(a[:, top].T).ravel(), np.corrcoef(b[:, top].T).ravel())
    assert published_similarity(reference=a, compared=b) == pytest.approx(both[0, 1])


def test_the_most_variable_genes_are_chosen_within_classes():
    values = np.array([[0.0, 1.0, 5.0], [0.0, -1.0, 5.0], [9.0, 1.0, 5.0], [9.0, -1.0, 5.0]])
    assert most_variable(values, None, 1).tolist() == [0]
    assert most_variable(values, np.array(["a", "a", "b", "b"]), 2).tolist() == [1]
