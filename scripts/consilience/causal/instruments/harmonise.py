"""All effects and correlations in the GWAS's coding: eQTL rows and LD matrices are turned to its alleles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.instruments.alleles import (
    LEAST_SEEN,
    ONE_STRAND,
    Alleles,
    FrequencyCheck,
    Matched,
    Policy,
    Strand,
    by_name,
    frequency_check,
    match,
    strand_of,
)
from consilience.causal.instruments.ld_table import Locus
from consilience.causal.instruments.reasons import CODES
from consilience.causal.instruments.tables import Tables
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Reasons = npt.NDArray[np.int8]

SWAPPED = 0.9
"""Share of opposite frequencies beyond which a table's allele columns must be swapped."""
LEAST_FREQUENCIES = 50


@dataclass(frozen=True)
class Harmonised:
    """The tables in one coding.

    `eqtl` (p,) standardised effects of the pairs, NaN where unusable for `reason` (p,), a number of CODES (0:
    usable); `gwas` (v,) standardised effects of the variants; `flipped`, `palindromic` (p,). `loci` hold r of
    the GWAS's effect alleles; `ld_reason` (v,) why a variant is not in them (0: it is). `record`: counts;
    `messages` (level, text).
    """

    eqtl: Floats
    gwas: Floats
    reason: Reasons
    flipped: npt.NDArray[np.bool_]
    palindromic: npt.NDArray[np.bool_]
    loci: tuple[Locus, ...]
    ld_reason: Reasons
    record: dict[str, Any]
    messages: list[dict[str, str]]


def harmonise(tables: Tables, *, policy: Policy) -> Harmonised:
    """Bring eQTL effects and LD to the GWAS's coding.

    Raises
    ------
    DataError
        Where frequencies show that one table's allele columns are swapped.
    """
    messages: list[dict[str, str]] = []
    pairs, variants = tables.pairs, tables.variants
    reference = variants.alleles.take(pairs.variant)
    frequencies = _frequencies(reference, pairs.alleles, messages)
    strand = strand_of(*by_name(reference, pairs.alleles))
    found = match(reference, pairs.alleles, policy=policy, strand=strand, frequencies=frequencies.usable)
    standardised = _standardised(pairs.z, pairs.n)
    gwas = _standardised(variants.z, variants.n)
    reason = _reasons(found)
    reason[~np.isfinite(standardised) | (variants.in_gwas & ~np.isfinite(gwas))[pairs.variant]] = CODES[
        "missing"
    ]
    reason[~variants.in_gwas[pairs.variant]] = CODES["not_in_gwas"]
    loci, ld_reason, ld_record = _harmonised_ld(tables, policy, messages)
    _say_strand("eQTL table", strand, policy, int(found.unsettled.sum()), messages)
    return Harmonised(
        eqtl=np.where(reason == 0, standardised * found.sign, np.nan), gwas=gwas, reason=reason,
        flipped=found.sign < 0, palindromic=found.palindromic, loci=loci, ld_reason=ld_reason,
        record={"eqtl": _record(found, strand, variants.in_gwas[pairs.variant]), "ld": ld_record,
                "frequencies": {"n": frequencies.n, "n_opposite": frequencies.n_swapped}},
        messages=messages,
    )  # fmt: skip


def unharmonised(tables: Tables) -> Harmonised:
    """Tables that are of one coding already although none is named (ready TWMR inputs)."""
    pairs, variants = tables.pairs, tables.variants
    eqtl, gwas = _standardised(pairs.z, pairs.n), _standardised(variants.z, variants.n)
    reason = np.where(np.isfinite(eqtl), 0, CODES["missing"])
    reason = np.where(variants.in_gwas[pairs.variant], reason, CODES["not_in_gwas"]).astype(np.int8)
    nothing = np.zeros(len(pairs.z), dtype=bool)
    ld_reason = np.full(len(variants.name), CODES["not_in_ld"], dtype=np.int8)
    for locus in tables.loci:
        ld_reason[locus.variant] = 0
    eqtl = np.where(reason == 0, eqtl, np.nan)
    return Harmonised(eqtl, gwas, reason, nothing, nothing, tables.loci, ld_reason, {}, [])


def _standardised(z: Floats, n: Floats) -> Floats:
    """Effects in standard deviations: z / sqrt(people); NaN where there are none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.isfinite(n) & (n > 0) & np.isfinite(z), z / np.sqrt(n), np.nan)


def _reasons(found: Matched) -> Reasons:
    reason = np.zeros(len(found.sign), dtype=np.int8)
    reason[found.unsettled] = CODES["palindromic"]
    reason[found.mismatch] = CODES["allele_mismatch"]
    reason[found.nameless] = CODES["no_alleles"]
    return reason


def _frequencies(reference: Alleles, table: Alleles, messages: list[dict[str, str]]) -> FrequencyCheck:
    found = frequency_check(reference, table)
    if found.n >= LEAST_FREQUENCIES and found.n_swapped >= SWAPPED * found.n:
        raise DataError(
            "allele frequencies of GWAS and eQTL table are opposite: in one of them the columns of effect "
            "allele and other allele are swapped",
            where="effect_allele_frequency",
            value=f"{found.n_swapped:,} of {found.n:,} variants",
            allowed=f"fewer than {SWAPPED:.0%}",
            mend="name the columns in summary_statistics: columns (which allele do the effects count?)",
        )
    if not found.usable:
        messages.append(_alarm(
            "allele frequencies of GWAS and eQTL table lie on opposite sides of one half at "
            f"{found.n_swapped:,} of {found.n:,} variants: they are not of the effect allele in both (of the "
            "rarer one?), and settle no strand"
        ))  # fmt: skip
    return found


def _say_strand(
    what: str, strand: Strand, policy: Policy, unsettled: int, messages: list[dict[str, str]]
) -> None:
    if strand.n_seen and strand.n_other > 0.1 * strand.n_seen:
        messages.append(_alarm(
            f"{strand.n_other:,} of {strand.n_seen:,} variants of the {what} are on the other strand than "
            "those of the GWAS"
        ))  # fmt: skip
    if unsettled and policy == "frequency":
        messages.append(_note(
            f"{what}: {unsettled:,} palindromic (A/T, C/G) rows are left out: no frequencies on both sides "
            f"away from one half, and {strand.n_other:,} of {strand.n_seen:,} other variants are on the "
            f"other strand, which does not show that all are of one strand (at least {LEAST_SEEN} must be "
            f"seen, and {ONE_STRAND:.1%} of them agree)"
        ))  # fmt: skip


def _harmonised_ld(
    tables: Tables, policy: Policy, messages: list[dict[str, str]]
) -> tuple[tuple[Locus, ...], Reasons, dict[str, Any]]:
    """The matrices with signs of the GWAS's alleles, reduced to variants that agree with them.

    LD without any alleles is believed to be of the GWAS's effect alleles: there is nothing else to go by, and
    the check of effects against LD tells when it is not so.
    """
    variants = tables.variants
    reason = np.full(len(variants.name), CODES["not_in_ld"], dtype=np.int8)
    if not tables.loci:
        return (), reason, {"n": 0}
    rows = np.concatenate([locus.variant for locus in tables.loci])
    alleles = Alleles(*(
        np.concatenate([getattr(locus.alleles, name) for locus in tables.loci])
        for name in ("effect", "other", "frequency")
    ))  # fmt: skip
    reference = variants.alleles.take(rows)
    strand = strand_of(*by_name(reference, alleles))
    found = match(reference, alleles, policy=policy, strand=strand)
    signs, why = found.sign.copy(), _reasons(found)
    if (alleles.effect < 0).all():
        signs[:], why[:] = 1, 0
        messages.append(_alarm("the LD names no alleles: it is believed to be of the GWAS's effect alleles"))
    else:
        _say_strand("LD", strand, policy, int(found.unsettled.sum()), messages)
    why[~variants.in_gwas[rows]] = CODES["not_in_gwas"]
    reason[rows[why != 0]] = why[why != 0]
    reason[rows[why == 0]] = 0
    loci, start = [], 0
    for locus in tables.loci:
        here = slice(start, start + len(locus.variant))
        start = here.stop
        kept = np.flatnonzero(why[here] == 0)
        if kept.size:
            sign = signs[here][kept].astype(np.float64)
            r = locus.r[np.ix_(kept, kept)] * sign[:, None] * sign
            loci.append(Locus(locus.name, locus.variant[kept], locus.alleles.take(kept), r, locus.n_absent))
    return tuple(loci), reason, _record(found, strand, variants.in_gwas[rows])


def _record(found: Matched, strand: Strand, in_gwas: npt.NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "n": len(found.sign),
        "n_in_gwas": int(in_gwas.sum()),
        "n_flipped": int((found.sign < 0).sum()),
        "n_other_strand": int(found.other_strand.sum()),
        "n_palindromic": int(found.palindromic.sum()),
        "n_palindromic_unsettled": int(found.unsettled.sum()),
        "n_mismatched": int(found.mismatch.sum()),
        "n_without_alleles": int((found.nameless & in_gwas).sum()),
        "n_strand_seen": strand.n_seen,
        "n_strand_other": strand.n_other,
    }


def _alarm(text: str) -> dict[str, str]:
    return {"level": "alarm", "text": text}


def _note(text: str) -> dict[str, str]:
    return {"level": "note", "text": text}
