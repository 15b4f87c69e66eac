"""What pretraining remembers: against a slow second implementation, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.rnagan.contrasts import (
    FLOOR,
    MIN_DONORS,
    MOST_LEVELS,
    Moments,
    contrasts_of,
    evenly,
    merged,
    moderated_contrast,
    remember,
)
from consilience.rnagan.corpus import CohortTasks
from consilience.rnagan.corpus_rows import rows_of_matrix
from consilience.rnagan.corpus_tasks import families_of
from consilience.sources.cells.matrix import Labels


def unit(*shape, seed=0):
    x = np.random.default_rng(seed).normal(size=shape)
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def cohort(n=24, *, levels=2, donors=None, seed=0, genes=30, shift=2.0, observed=None, **labels):
    """The first genes of each level are its own: level k has genes 3 k … 3 k + 2 higher."""
    random = np.random.default_rng(seed)
    kind = np.arange(n) % levels
    x = random.gamma(3, 1, size=(n, genes)).astype(np.float32)
    for k in range(levels):
        x[kind == k, 3 * k : 3 * k + 3] += shift
    columns = {"condition": [f"k{k}" for k in kind], **labels}
    columns = {name: Labels.from_text(values).compact() for name, values in columns.items()}
    donors = np.arange(n, dtype=np.int32) if donors is None else np.asarray(donors, dtype=np.int32)
    seen = np.ones(genes, dtype=bool) if observed is None else observed
    return CohortTasks("c", False, rows_of_matrix(x), seen, tuple(families_of(columns, donors)), True)


# --- joining -----------------------------------------------------------------------------------------------


def slow_merged(vectors, names, most, alike=0.8):
    """Lists of (signed sum, names) joined two by two, cosines taken anew each time."""
    found = [(vector.astype(float), 1, (name,)) for vector, name in zip(vectors, names, strict=True)]
    while len(found) > 1:
        best, pair = -1.0, (0, 1)
        for a in range(len(found)):
            for b in range(a + 1, len(found)):
                if abs(found[a][0] @ found[b][0]) > best + 1e-12:
                    best, pair = abs(found[a][0] @ found[b][0]), (a, b)
        if len(found) <= most and best <= alike:
            break
        (one, n, who), (other, m, whose) = found[pair[0]], found.pop(pair[1])
        joint = n * one + np.sign(one @ other) * m * other
        found[pair[0]] = (joint / np.linalg.norm(joint), n + m, who + whose)
    return [vector for vector, _, _ in found], [who for _, _, who in found]


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(3, 20), st.integers(0, 10**6))
def test_merged_is_the_second_implementation(k, most, genes, seed):
    vectors, names = unit(k, genes, seed=seed), tuple(f"t{number}" for number in range(k))
    found = merged(vectors, names, most=most)
    directions, members = slow_merged(vectors, names, most)
    assert list(found.names) == members
    np.testing.assert_allclose(found.directions, np.array(directions), atol=2e-5)
    assert len(members) <= most
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1, rtol=1e-5)


def test_signs_are_aligned_before_joining():
    one = unit(20)
    near = unit(20, seed=1)
    vectors = np.stack([one, -(one + 0.1 * near) / np.linalg.norm(one + 0.1 * near), near])
    found = merged(vectors, ("a", "b", "c"), most=3)
    assert found.names == (("a", "b"), ("c",))
    assert float(found.directions[0] @ one) > 0.99
    turned = merged(vectors * np.array([[1], [-1], [1]], dtype=np.float32), ("a", "b", "c"), most=3)
    np.testing.assert_allclose(turned.directions, found.directions, atol=1e-6)


def test_alike_ones_are_joined_in_any_case_and_orthogonal_ones_only_for_room():
    eye = np.eye(5, dtype=np.float32)
    assert len(merged(eye, tuple("abcde"), most=5).names) == 5
    assert len(merged(eye, tuple("abcde"), most=3).names) == 3
    assert merged(np.stack([eye[0]] * 4), tuple("abcd"), most=4).names == (tuple("abcd"),)
    # a thousand equal weights more must not let a late comer turn the mean
    many = merged(np.stack([eye[0]] * 9 + [unit(5)]), tuple("abcdefghij"), most=1)
    assert float(many.directions[0] @ eye[0]) > 0.9


# --- contrasts of a cohort ---------------------------------------------------------------------------------


def test_contrast_is_the_vector_of_moderated_t():
    x, y = np.random.default_rng(0).normal(size=(8, 12)), np.random.default_rng(1).normal(1, 1, size=(5, 12))
    x[:, 3] = y[:, 3] = 2  # never varies
    one, other = (Moments(z.mean(axis=0), z.var(axis=0, ddof=1), len(z)) for z in (x, y))
    found = moderated_contrast(one, other)
    pooled = (7 * x.var(axis=0, ddof=1) + 4 * y.var(axis=0, ddof=1)) / 11
    t = (x.mean(axis=0) - y.mean(axis=0)) / np.sqrt(pooled + FLOOR * np.median(np.delete(pooled, 3)))
    t[3] = 0
    np.testing.assert_allclose(found, t / np.linalg.norm(t), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(moderated_contrast(other, one), -found, atol=1e-7)
    assert not moderated_contrast(one, one).any()


def test_every_pair_of_few_levels_and_one_against_the_rest_of_many():
    pairs = dict(contrasts_of(cohort(160, levels=4, shift=4.0), softening=None))
    assert len(pairs) == 6
    assert set(pairs) == {f"c, condition: k{a} or k{b}" for a in range(4) for b in range(a + 1, 4)}
    for name, contrast in pairs.items():
        a, b = int(name[-7]), int(name[-1])
        own, other = slice(3 * a, 3 * a + 3), slice(3 * b, 3 * b + 3)
        assert contrast[own].min() > 0.2
        assert contrast[other].max() < -0.2
    many = dict(contrasts_of(cohort(210, levels=MOST_LEVELS + 1, shift=4.0), softening=None))
    assert len(many) == MOST_LEVELS + 1
    assert all(name.endswith("or any other") for name in many)
    first = many["c, condition: k0 or any other"]
    assert set(np.argsort(-first)[:3].tolist()) == {0, 1, 2}


def test_levels_of_few_donors_are_not_remembered():
    n = 40
    donors = np.where(np.arange(n) % 2 == 0, np.arange(n) // 2 % (MIN_DONORS - 1), 100 + np.arange(n))
    assert not list(contrasts_of(cohort(n, donors=donors), softening=None))
    donors = np.where(np.arange(n) % 2 == 0, np.arange(n) // 2 % MIN_DONORS, 100 + np.arange(n))
    assert len(list(contrasts_of(cohort(n, donors=donors), softening=None))) == 1


def test_families_within_cell_types_are_tasks_of_their_own_and_donors_are_none():
    n = 48
    types = [("T", "B")[k // 2 % 2] for k in range(n)]
    made = cohort(n, donors=np.arange(n) // 4, cell_type=types, donor=[f"d{k // 4}" for k in range(n)])
    names = [name for name, _ in contrasts_of(made, softening=None)]
    assert sorted(names) == [
        "c, cell_type: B or T",
        "c, condition in B: k0 or k1",
        "c, condition in T: k0 or k1",
    ]


def test_unobserved_genes_have_no_weight_and_softening_ignores_the_total():
    observed = np.arange(30) % 4 > 0
    ((_, contrast),) = contrasts_of(cohort(observed=observed), softening=1.5)
    assert (contrast[~observed] == 0).all()
    assert (contrast[observed] != 0).all()


def test_remember_joins_the_same_task_of_two_cohorts():
    both = remember((cohort(80, seed=1, shift=5.0), cohort(80, seed=2, shift=4.0)), most=4, softening=None)
    assert len(both.names) == 1
    assert set(np.argsort(-np.abs(both.directions[0]))[:6].tolist()) == set(range(6))
    none = remember((cohort(donors=np.arange(24) % 4),), most=4, softening=None)
    assert (none.directions.shape, none.names) == ((0, 30), ())


@pytest.mark.parametrize(("n", "most"), [(1, 5), (5, 5), (100, 7), (0, 3)])
def test_evenly_spread_places(n, most):
    found = evenly(n, most)
    assert len(found) == min(n, most)
    assert len(set(found.tolist())) == len(found)
    if n >= most:
        assert (found[0], found[-1]) == (0, n - 1)
