"""What may be wrong with a gene's Mendelian randomisation, as words of the column `flags`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FLAGS: Mapping[str, str] = MappingProxyType({
    "no_instruments": "no variant is an instrument of this gene, so nothing can be estimated",
    "few_variants": "fewer instruments than the method needs, so it has no answer",
    "unusable_variants": "variants with a missing or infinite number, without a standard error or with no "
    "effect on the gene were left out",
    "bad_ld": "the LD is not a matrix of correlations (not symmetric, not 1 on the diagonal, beyond ±1 or "
    "missing), so methods that need it have no answer and the direction is not judged",
    "singular_ld": "some variants are all but copies of others (or the LD is not one of real people), so "
    "methods that need the LD have no answer; prune more strictly (causal.instruments.r2)",
    "ld_ignored": "instruments are correlated (|r| above 0.1) but the method takes them as independent: its "
    "interval may be too short",
    "weak_instruments": "the mean F statistic is below 10: the effect is drawn towards nothing, and its "
    "interval may be wrong",
    "heterogeneous": "the variants disagree (Q, p below 0.05): pleiotropy, or an LD that is not that of the "
    "people studied",
    "directional_pleiotropy": "the intercept is not nothing (p below 0.05): variants act on the trait by "
    "other ways, on average in one direction",
    "egger_attenuated": "the exposure effects differ too little for their errors (I² below 0.9): MR-Egger's "
    "slope is drawn towards nothing",
    "reverse_direction": "the instruments explain significantly more of the trait than of expression: the "
    "effect may run the other way, or the columns of the two were swapped",
    "not_estimable": "the method has no answer for these numbers, for instance because most ratios are equal",
})  # fmt: skip
"""Flag -> what it says."""

LD_IGNORED = 0.1
WEAK_F = 10.0
ATTENUATED = 0.9
SIGNIFICANT = 0.05


def joined(words: set[str]) -> str:
    """Flags in the order of `FLAGS`, joined by ";"."""
    return ";".join(word for word in FLAGS if word in words)
