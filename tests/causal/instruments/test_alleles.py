"""Alleles to one coding, against a table of cases and a slow implementation by letters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.causal.instruments.alleles import (
    LEAST_SEEN,
    Alleles,
    Strand,
    by_name,
    frequency_check,
    match,
    strand_of,
)

MIXED, ONE, OPPOSITE = Strand(1000, 100, 0), Strand(1000, 0, 1), Strand(1000, 1000, -1)
CODE = {"A": 0, "C": 1, "G": 2, "T": 3, "-": -1}
OTHER = {"A": "T", "C": "G", "G": "C", "T": "A"}


def alleles(words: list[str], frequency: list[float] | None = None) -> Alleles:
    effect, other = (np.array([CODE[word[k]] for word in words], dtype=np.int8) for k in (0, 1))
    return Alleles(
        effect, other, np.array(frequency if frequency else [np.nan] * len(words), dtype=np.float64)
    )


def slow_sign(reference: str, word: str) -> int:
    """By letters: 1, -1, or 0 where the alleles do not fit; palindromic ones as named."""
    if len(set(reference)) < 2 or len(set(word)) < 2 or "-" in reference + word:
        return 0
    complement = "".join(OTHER[letter] for letter in word)
    for candidate in (word, complement):
        if candidate == reference:
            return 1
        if candidate == reference[::-1]:
            return -1
    return 0


def test_every_pair_of_alleles_is_matched_as_by_letters() -> None:
    words = ["".join(pair) for pair in itertools.product("ACGT-", repeat=2)]
    cases = list(itertools.product(words, repeat=2))
    signs, strand, palindromic = by_name(alleles([a for a, _ in cases]), alleles([b for _, b in cases]))
    for (reference, word), sign, turned, odd in zip(cases, signs, strand, palindromic, strict=True):
        assert sign == slow_sign(reference, word), (reference, word)
        assert odd == (sign != 0 and OTHER[reference[0]] == reference[1])
        assert turned == (sign != 0 and set(word) != set(reference))


@pytest.mark.parametrize(
    ("policy", "strand", "frequencies", "sign"),
    [
        ("drop", ONE, (0.2, 0.2), 0),
        ("keep", MIXED, (0.2, 0.8), 1),
        ("frequency", MIXED, (0.2, 0.25), 1),
        ("frequency", MIXED, (0.2, 0.75), -1),  # named alike, but of the other strand
        ("frequency", ONE, (0.2, 0.75), -1),  # its own frequencies go before the table's strand
        ("frequency", MIXED, (0.2, 0.5), 0),
        ("frequency", MIXED, (0.45, 0.2), 0),
        ("frequency", MIXED, (0.2, np.nan), 0),
        ("frequency", ONE, (0.2, np.nan), 1),
        ("frequency", OPPOSITE, (np.nan, np.nan), -1),
    ],
)
def test_palindromic_variants(policy, strand, frequencies, sign) -> None:
    """A/T on both sides; the same with the table's alleles in the other order has the opposite sign."""
    here, there = frequencies
    found = match(
        alleles(["AT", "AT"], [here] * 2),
        alleles(["AT", "TA"], [there, 1 - there]),
        policy=policy,
        strand=strand,
    )
    assert found.sign.tolist() == [sign, -sign]
    assert found.unsettled.tolist() == [sign == 0] * 2
    assert found.palindromic.all()


def test_reasons_exclude_each_other_and_explain_every_zero() -> None:
    words = ["".join(pair) for pair in itertools.product("ACGT-", repeat=2)]
    cases = list(itertools.product(words, repeat=2))
    found = match(
        alleles([a for a, _ in cases]), alleles([b for _, b in cases]), policy="frequency", strand=MIXED
    )
    why = found.nameless.astype(int) + found.mismatch + found.unsettled
    assert np.array_equal(why, found.sign == 0)


def test_a_table_has_a_strand_only_when_enough_variants_show_it() -> None:
    def strand(n: int, n_other: int) -> int:
        signs, palindromic = np.ones(n + 50, dtype=np.int8), np.arange(n + 50) >= n
        return strand_of(signs, np.arange(n + 50) < n_other, palindromic).whole

    assert strand(LEAST_SEEN, 0) == 1
    assert strand(LEAST_SEEN - 1, 0) == 0
    assert strand(1000, 5) == 1
    assert strand(1000, 6) == 0
    assert strand(1000, 995) == -1


@given(
    st.lists(st.sampled_from(["AC", "AG", "CT", "GT", "CA", "TG"]), min_size=1, max_size=30),
    st.integers(0, 99),
)
def test_frequencies_show_swapped_columns(words, seed) -> None:
    frequency = np.random.default_rng(seed).uniform(0.05, 0.4, len(words))
    reference = alleles(words, frequency.tolist())
    assert frequency_check(reference, reference).n_swapped == 0
    swapped = Alleles(reference.other, reference.effect, reference.frequency)
    found = frequency_check(reference, swapped)
    assert found.n == found.n_swapped == len(words)
    assert not found.usable
    honest = Alleles(reference.other, reference.effect, 1 - reference.frequency)
    assert frequency_check(reference, honest).n_swapped == 0
