"""Alleles of two tables brought to one coding: flips, the other strand, palindromes.

Alleles are codes A 0, C 1, G 2, T 3 (-1: not named), so that 3 - code is the other strand's allele and the
two alleles of a palindromic variant (A/T, C/G) add up to 3. Names alone settle flips and strand of all other
variants. For a palindromic one both strands give the same names; it is settled

1. by frequencies, where both tables have them and neither is near one half, else
2. by the strand of the two tables as a whole: where (nearly) all other variants show one strand, palindromic
   ones are taken to be of it as well (the rule of the GWAS Catalog's harmonisation), else
3. it is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.int8]
    Flags = npt.NDArray[np.bool_]

Policy = Literal["frequency", "drop", "keep"]
LETTERS = ("A", "C", "G", "T")
NEAR_HALF = 0.08
"""A frequency nearer than this to 0.5 does not tell which allele it is of."""
ONE_STRAND = 0.995
"""Share of variants that must show the same strand for a table to count as being of one strand."""
LEAST_SEEN = 200
"""Variants with a visible strand without which a table has no strand as a whole."""


@dataclass(frozen=True)
class Alleles:
    """Alleles of m variants (m,) in one table; `frequency` of the effect allele, NaN where unknown."""

    effect: Codes
    other: Codes
    frequency: Floats

    def take(self, rows: npt.NDArray[np.integer]) -> Alleles:
        """These rows."""
        return Alleles(self.effect[rows], self.other[rows], self.frequency[rows])


@dataclass(frozen=True)
class Matched:
    """How a table's variants (m,) stand to the reference's coding.

    `sign` 1 same effect allele, -1 the other one (its effects change sign), 0 unusable: then exactly one of
    `nameless`, `mismatch`, `unsettled` (palindromic) is true. `other_strand` where alleles were complemented.
    """

    sign: npt.NDArray[np.int8]
    other_strand: Flags
    palindromic: Flags
    nameless: Flags
    mismatch: Flags
    unsettled: Flags


@dataclass(frozen=True)
class Strand:
    """What the variants with a visible strand say: `n_seen` of them, `n_other` on the other strand.

    `whole`: 1 the two tables are of one strand, -1 of opposite strands, 0 mixed or too few to tell.
    """

    n_seen: int
    n_other: int
    whole: int


@dataclass(frozen=True)
class FrequencyCheck:
    """Do aligned frequencies agree? `n` variants with both, away from one half; `n_swapped` opposite."""

    n: int
    n_swapped: int

    @property
    def usable(self) -> bool:
        """True where frequencies are of the effect alleles in both tables."""
        return self.n_swapped <= 0.1 * self.n


def by_name(reference: Alleles, table: Alleles) -> tuple[npt.NDArray[np.int8], Flags, Flags]:
    """Sign (m,) by names alone (0: no match), whether the other strand was needed, and palindromes.

    Palindromic variants are matched as if both tables were of one strand.
    """
    signs = np.zeros(len(table.effect), dtype=np.int8)
    named = (reference.effect >= 0) & (reference.other >= 0) & (table.effect >= 0) & (table.other >= 0)
    named &= (reference.effect != reference.other) & (table.effect != table.other)
    strand = np.zeros(len(signs), dtype=bool)
    for other_strand in (True, False):  # the same strand last: it wins where both fit
        effect = 3 - table.effect if other_strand else table.effect
        other = 3 - table.other if other_strand else table.other
        same = named & (effect == reference.effect) & (other == reference.other)
        turned = named & (effect == reference.other) & (other == reference.effect)
        signs[same], signs[turned] = 1, -1
        strand[same | turned] = other_strand
    palindromic = named & (signs != 0) & (reference.effect + reference.other == 3)
    return signs, strand, palindromic


def strand_of(signs: npt.NDArray[np.int8], other_strand: Flags, palindromic: Flags) -> Strand:
    """The strand of a table as a whole, from its variants that are not palindromic."""
    seen = (signs != 0) & ~palindromic
    n, n_other = int(seen.sum()), int((seen & other_strand).sum())
    whole = 0
    if n >= LEAST_SEEN:
        whole = 1 if n - n_other >= ONE_STRAND * n else -1 if n_other >= ONE_STRAND * n else 0
    return Strand(n, n_other, whole)


def match(
    reference: Alleles, table: Alleles, *, policy: Policy, strand: Strand, frequencies: bool = True
) -> Matched:
    """Bring `table` (m,) to the coding of `reference` (m,); without `frequencies` these are not looked at."""
    signs, other_strand, palindromic = by_name(reference, table)
    nameless = (reference.effect < 0) | (reference.other < 0) | (table.effect < 0) | (table.other < 0)
    mismatch = ~nameless & (signs == 0)
    turned = np.zeros(len(signs), dtype=bool)
    settled = np.full(len(signs), policy == "keep")
    if policy == "frequency":
        by_frequency, opposite = _by_frequency(reference, table, signs)
        by_frequency &= frequencies
        settled = by_frequency | (strand.whole != 0)
        turned = np.where(by_frequency, opposite, strand.whole < 0)
    turned &= palindromic & settled
    signs = np.where(turned, -signs, signs).astype(np.int8)
    unsettled = palindromic & ~settled
    signs[unsettled] = 0
    return Matched(signs, other_strand | turned, palindromic, nameless, mismatch, unsettled)


def frequency_check(reference: Alleles, table: Alleles) -> FrequencyCheck:
    """Count variants with a visible strand whose frequencies lie on opposite sides of one half."""
    signs, _, palindromic = by_name(reference, table)
    told, opposite = _by_frequency(reference, table, signs)
    told &= (signs != 0) & ~palindromic
    return FrequencyCheck(int(told.sum()), int((told & opposite).sum()))


def _by_frequency(
    reference: Alleles, table: Alleles, signs: npt.NDArray[np.int8]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Where both frequencies can tell, and where they say that the alleles are each other's opposite."""
    here, there = reference.frequency - 0.5, (table.frequency - 0.5) * signs
    with np.errstate(invalid="ignore"):
        told = (np.abs(here) > NEAR_HALF) & (np.abs(there) > NEAR_HALF)
        return told, here * there < 0


def letters(codes: Codes) -> npt.NDArray[np.object_]:
    """Codes (m,) as letters, "" where not named."""
    return np.array([*LETTERS, ""], dtype=object)[codes]
