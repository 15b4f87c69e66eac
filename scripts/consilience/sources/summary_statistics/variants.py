"""Variants: chromosomes, alleles, places and names, under one spelling and as small integers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from consilience.sources.summary_statistics.tables import MISSING, Flags, TextTable

if TYPE_CHECKING:
    import pyarrow as pa

CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "MT")
_CHROMOSOME_CODES = {
    "23": "X",
    "24": "Y",
    "25": "X",
    "26": "MT",
    "M": "MT",
    "XY": "X",
    "PAR1": "X",
    "PAR2": "X",
}
BASES = ("A", "C", "G", "T")
_FIRST_BYTES = np.array([(1 << 8 * k) - 1 for k in range(9)], dtype=np.uint64)
NOT_SINGLE, UNKNOWN = 4, -1
_UNSPELLED = {"I", "D", "R", "N", "0", "-", "*", ".", "<DEL>", "<INS>", "<CN0>"}
RS_NAME = r"^[rR][sS]\d+$"
PLACE_NAME = (
    r"(?i)^(?:chr)?(?P<chromosome>[0-9]{1,2}|[XYM]|MT|XY)[:_](?P<position>[0-9]+)"
    r"(?:[:_](?P<ref>[A-Za-z*<>0-9-]+)[:_/](?P<alt>[A-Za-z*<>0-9-]+))?(?:[:_](?P<build>b37|b38|hg19|hg38))?$"
)
Codes = npt.NDArray[np.int8]


def chromosome_codes(rows: TextTable, name: str) -> Codes:
    """Places (n,) in CHROMOSOMES, -1 where missing; without prefix, 23 to 26 as letters."""
    where, words = rows.levels(name)
    codes = np.array([chromosome_code(word) for word in words], dtype=np.int8)[where]
    rows.refuse_any(codes == -2, name, "not a human chromosome", allowed="1 to 22, X, Y, MT")
    return codes


def chromosome_code(word: str) -> int:
    """Place of one name in CHROMOSOMES; -1 where missing, -2 where there is no such chromosome."""
    if word in MISSING:
        return UNKNOWN
    plain = word.upper().removeprefix("CHR").removesuffix(".0")
    plain = plain.removeprefix("0") if len(plain) == 2 else plain
    plain = _CHROMOSOME_CODES.get(plain, plain)
    return CHROMOSOMES.index(plain) if plain in CHROMOSOMES else -2


def allele_codes(rows: TextTable, name: str) -> Codes:
    """Places (n,) in BASES; 4 where an allele is not one letter or not spelled out; -1 where missing."""
    where, words = rows.levels(name)
    codes = np.array([allele_code(word.upper()) for word in words], dtype=np.int8)[where]
    rows.refuse_any(codes == -2, name, "not an allele", allowed="A, C, G, T")
    return codes


def allele_code(word: str) -> int:
    """Place of one allele (in capitals) in BASES; 4, -1 and -2 as `allele_codes` says."""
    if word in BASES:
        return BASES.index(word)
    if word in _UNSPELLED:
        return NOT_SINGLE
    if word in MISSING:
        return UNKNOWN
    return NOT_SINGLE if re.fullmatch("[ACGTN]+|<[A-Z0-9:_]+>", word) else -2


def palindromic(effect: Codes, other: Codes) -> Flags:
    """Variants (n,) whose two alleles are each other's complement, so that the strand cannot be told."""
    return np.asarray(effect + other == 3)


def place_keys(
    chromosome: Codes, position: npt.NDArray[np.int64], effect: Codes, other: Codes
) -> npt.NDArray[np.int64]:
    """One integer (n,) per place and pair of alleles, the same for flipped alleles and either strand."""
    first, second = np.minimum(effect, other).astype(np.int64), np.maximum(effect, other).astype(np.int64)
    here, there = first * 4 + second, (3 - second) * 4 + (3 - first)
    where = (chromosome.astype(np.int64) << 32) | position
    return np.asarray(where * 16 + np.minimum(here, there), dtype=np.int64)


def place_names(chromosome: Codes, position: npt.NDArray[np.int64], effect: Codes, other: Codes) -> list[str]:
    """chromosome:position:allele:allele (n,), the alleles in alphabetical order."""
    first, second = np.minimum(effect, other), np.maximum(effect, other)
    return [
        f"{CHROMOSOMES[c]}:{p}:{BASES[a]}:{BASES[b]}"
        for c, p, a, b in zip(chromosome, position, first, second, strict=True)
    ]


def name_hashes(names: pa.StringArray) -> npt.NDArray[np.uint64]:
    """A number (n,) per name, equal for equal names; the names themselves would take ten times the memory.

    Eight bytes of all names at a time, read straight from Arrow's buffers (no name becomes a Python object).
    """
    if not len(names):
        return np.empty(0, dtype=np.uint64)
    _, offsets, content = names.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[names.offset : names.offset + len(names) + 1]
    text = np.zeros(int(ends[-1] - ends[0]) + 8, dtype=np.uint8)  # eight bytes are read from any byte on
    text[:-8] = np.frombuffer(content or b"", dtype=np.uint8)[ends[0] : ends[-1]]
    eights = np.ndarray(len(text) - 7, dtype="<u8", buffer=text, strides=(1,))
    hashes = np.diff(ends).astype(np.uint64)
    rows, start, left = np.arange(len(names)), ends[:-1] - ends[0], np.diff(ends)
    while rows.size:
        kept = _FIRST_BYTES[np.minimum(left, 8)]
        hashes[rows] = _stirred(hashes[rows] ^ (eights[start] & kept))
        longer = left > 8
        rows, start, left = rows[longer], start[longer] + 8, left[longer] - 8
    return hashes


def _stirred(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A permutation of the 64-bit numbers in which every bit depends on all (David Stafford's mix 13)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))


def letters(codes: Codes, words: tuple[str, ...]) -> pa.StringArray:
    """Codes (n,) as words; negative ones as null."""
    import pyarrow as pa

    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words)).cast(pa.string())
