"""The same patient under another name is found; other patients are not taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.learning.leakage import (
    donors_with_copies_joined,
    find_copies,
    leakage,
    refuse_leakage,
    without_leakage,
)
from consilience.learning.samples import Samples
from consilience.learning.splits import Split

N_GENES = 3_000


def counts(n: int, *, seed: int) -> np.ndarray:
    """Patients of one tissue: shared gene means, patients' own deviations, some 20 million reads."""
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(8, 1.0, N_GENES)
    return rng.poisson(mean * np.exp(0.5 * rng.normal(size=(n, N_GENES))))


def log(x: np.ndarray) -> np.ndarray:
    return np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e6).astype(np.float32)


def samples(values: np.ndarray) -> Samples:
    names = np.array([f"S{number:02d}" for number in range(len(values))])
    genes = tuple(f"G{number}" for number in range(values.shape[1]))
    return Samples(values, genes, names, np.full(len(values), "x"), names, np.full(len(values), "b"), "log")


def test_identical_and_resequenced_patients_are_found_and_others_are_not() -> None:
    raw = counts(30, seed=0)
    rng = np.random.default_rng(1)
    again = np.stack([raw[3], rng.binomial(raw[7], 0.3), rng.poisson(raw[9] * 2.0)])
    found = find_copies(log(np.concatenate([raw, again])))
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(3, 30), (7, 31), (9, 32)]
    np.testing.assert_array_equal(found.identical, [True, False, False])
    assert (found.correlation >= 0.98).all()


def test_the_largest_correlation_is_numpys() -> None:
    values = log(np.concatenate([counts(12, seed=2), counts(12, seed=2)[:1] + 3]))
    found = find_copies(values, least=0.5)
    # the second way: standardise samples, then genes, then correlate without blocks or a choice of genes
    z = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    best = np.sort(
        np.argsort(-((values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)).std(0))[:2000]
    )
    z = z[:, best] / np.linalg.norm(z[:, best], axis=1, keepdims=True)
    expected = [(a, b) for a in range(13) for b in range(a + 1, 13) if z[a] @ z[b] >= 0.5]
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected == [(0, 12)]
    np.testing.assert_allclose(found.correlation, [z[0] @ z[12]], atol=1e-4)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = counts(20, seed=4)
    values = log(np.concatenate([raw, raw[::3]]))
    whole = find_copies(values)
    monkeypatch.setattr("consilience.learning.leakage.BLOCK", 4)
    blocks = find_copies(values)
    np.testing.assert_array_equal(whole.first, blocks.first)
    np.testing.assert_array_equal(whole.second, blocks.second)
    assert len(whole) == 7


@given(st.permutations(range(8)))
def test_order_does_not_matter(order: list[int]) -> None:
    raw = log(counts(6, seed=5))
    values = np.concatenate([raw, raw[[1, 4]]])
    found = find_copies(values[order])
    pairs = {frozenset((order[a], order[b])) for a, b in zip(found.first, found.second, strict=True)}
    assert pairs == {frozenset((1, 6)), frozenset((4, 7))}


def test_empty_and_few_gene_samples_are_no_copies() -> None:
    values = log(counts(10, seed=6))
    values[[2, 5]] = 0.0
    assert len(find_copies(values)) == 0
    # with three genes only identity counts
    few = values[:, :3].copy()
    few[8] = few[9]
    found = find_copies(few)
    assert (found.first.tolist(), found.second.tolist(), found.identical.tolist()) == ([8], [9], [True])
    assert len(find_copies(values[:1])) == 0


def leaky() -> tuple[Samples, Split]:
    raw = counts(12, seed=7)
    raw[10] = raw[2]
    raw[11] = np.random.default_rng(0).binomial(raw[4], 0.5)
    return samples(log(raw)), Split("split 0", np.arange(8), np.arange(8, 12))


def test_leaks_are_reported_refused_and_dropped() -> None:
    data, split = leaky()
    found = leakage(data, split)
    assert found
    assert found.donors == ()
    assert sorted(zip(found.copies.first.tolist(), found.copies.second.tolist(), strict=True)) == [
        (2, 10),
        (4, 11),
    ]
    with pytest.raises(DataError, match="2 problems") as error:
        refuse_leakage(data, split)
    assert (
        "split 0: one sample is in training and in test (identical); found 'S02 (training), S10 (test)'"
        in str(error.value)
    )
    assert "S04 (training), S11 (test)" in str(error.value)
    clean = without_leakage(data, split)
    np.testing.assert_array_equal(clean.train, [0, 1, 3, 5, 6, 7])
    np.testing.assert_array_equal(clean.test, split.test)
    refuse_leakage(data, clean)


def test_all_samples_of_a_copied_donor_go() -> None:
    data, split = leaky()
    donors = data.donors.copy()
    donors[3] = donors[2]
    from dataclasses import replace

    np.testing.assert_array_equal(without_leakage(replace(data, donors=donors), split).train, [0, 1, 5, 6, 7])


def test_copies_on_one_side_are_no_leak_and_shared_donors_are() -> None:
    data, _ = leaky()
    inside = Split("inside", np.array([2, 10, 4, 11, 0]), np.array([5, 6, 7]))
    assert not leakage(data, inside)
    refuse_leakage(data, inside)
    from dataclasses import replace

    donors = data.donors.copy()
    donors[5] = "S00"
    shared = replace(data, donors=donors)
    assert leakage(shared, inside).donors == ("S00",)
    with pytest.raises(DataError, match=r"a donor is in training and in test; found 'S00'"):
        refuse_leakage(shared, inside)
    with pytest.raises(DataError, match="no training sample is left"):
        without_leakage(shared, Split("all", np.array([0]), np.array([5])))


def test_joined_donors_cannot_be_parted() -> None:
    data, _ = leaky()
    donors = donors_with_copies_joined(data, find_copies(data.values))
    assert (donors[10], donors[11]) == ("S02", "S04")
    assert len(set(donors)) == 10
    # chains: a copy of a copy
    values = data.values.copy()
    values[0] = values[10]
    chained = donors_with_copies_joined(samples(values), find_copies(values))
    assert {chained[0], chained[2], chained[10]} == {"S00"}


def test_bad_input_is_explained() -> None:
    with pytest.raises(DataError, match="missing"):
        find_copies(np.full((3, 30), np.nan))
    with pytest.raises(DataError, match="out of range"):
        find_copies(np.zeros((3, 30)), least=0.0)
