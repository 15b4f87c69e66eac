"""Do effects and LD fit? Variants in strong LD must have effects whose signs the LD foretells.

If variants i and j correlate by r with |r| >= 0.7 and both have |z| >= 3, then z_i and z_j have the sign of
r between them, but for rare cases of two strong opposite signals in one place. And a variant in such LD with
a gene's strongest one, so that |r z| >= 8 is foretold for it, cannot be missing among the gene's rows (when
other genes have rows of it). In a matrix of another order the first holds in about half of the pairs and the
second hardly ever; in one of r² or of other alleles the first fails. All variants of the eQTL table are used,
before pruning; no model of the signal is needed.

`inflation` is how far (z_i - r z_j)² / (1 - r²), j the stronger, lies above what one signal in a perfect
panel gives (1): the statistic of DENTIST (Chen W et al. Nat Commun 12:7117, 2021). It is told, not judged:
several signals in one place raise it as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.instruments.choose import Candidates
from consilience.causal.instruments.ld import Ld
from consilience.causal.instruments.ld_table import Locus

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

STRONG_R, STRONG_Z = 0.7, 3.0
FORETOLD_Z = 8.0
MOST = 200
"""Variants of a gene that are looked at, the strongest."""
LEAST_PAIRS, LEAST_SHARE = 5, 0.8
"""Of a gene or a locus: pairs that are needed to judge, and the share that must agree."""
COHORT_PAIRS, COHORT_LIMIT = 30, 0.9
MANY_ENTRIES = 100
MEDIAN_CHI2 = 0.454936
PERFECT = 0.999
"""Correlations above this are taken as this, so that rounding does not look like a contradiction."""


@dataclass(frozen=True)
class Agreement:
    """`n` pairs in strong LD with strong effects; `n_agree` are as the LD foretells.

    `misfit`, one for each pair with two effects, see above.
    """

    n: int
    n_agree: int
    misfit: Floats
    locus: int = -1
    """the matrix that has the strongest variant; -1: none"""

    @property
    def share(self) -> float:
        """Share of pairs that agree, NaN without pairs."""
        return self.n_agree / self.n if self.n else float("nan")


def contradicted(agreements: Sequence[Agreement]) -> npt.NDArray[np.bool_]:
    """Genes (g,) whose own pairs contradict the LD, or those of all genes of their locus together."""
    locus = np.array([one.locus for one in agreements], dtype=np.int64)
    n, agree = (np.array([getattr(one, name) for one in agreements]) for name in ("n", "n_agree"))

    def few(n: npt.NDArray[np.int64], agree: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return (n >= LEAST_PAIRS) & (agree < LEAST_SHARE * n)

    together = few(np.bincount(locus + 1, n), np.bincount(locus + 1, agree)) if len(locus) else few(n, agree)
    return np.asarray(few(n, agree) | (together[locus + 1] & (locus >= 0) & (n > 0)), dtype=bool)


def agreement(z: Floats, ld: Floats) -> Agreement:
    """Compare the signs of z (m,) with `ld` (m, m)."""
    strong = np.flatnonzero(np.abs(z) >= STRONG_Z)
    z, ld = z[strong], ld[np.ix_(strong, strong)]
    i, j = np.nonzero(np.triu(np.abs(ld) >= STRONG_R, 1))
    r = np.clip(ld[i, j], -PERFECT, PERFECT)
    one, other = z[i], z[j]
    high, low = np.where(np.abs(one) >= np.abs(other), (one, other), (other, one))
    return Agreement(len(r), int((one * other * r > 0).sum()), (low - r * high) ** 2 / (1 - r**2))


def gene_agreements(found: Candidates, in_ld: npt.NDArray[np.bool_], ld: Ld) -> list[Agreement]:
    """One comparison a gene; `in_ld` (v,) variants that have LD."""
    pairs, all_of_them = found.pairs, []
    usable = np.isfinite(found.effect) & in_ld[pairs.variant]
    z = found.effect * np.sqrt(pairs.n)
    for low, high in zip(found.start[:-1], found.start[1:], strict=True):
        rows = np.arange(low, high)[usable[low:high]]
        rows = rows[np.abs(z[rows]) >= STRONG_Z]
        if len(rows) > MOST:
            rows = np.sort(rows[np.argsort(-np.abs(z[rows]), kind="stable")[:MOST]])
        r = ld.among(pairs.variant[rows])[0] if len(rows) > 1 else np.eye(len(rows))
        one = agreement(z[rows], r)
        missing, locus = 0, -1
        if len(rows):
            lead = rows[np.argmax(np.abs(z[rows]))]
            locus = int(ld.locus[ld.start[pairs.variant[lead]]])
            missing = _missing(int(pairs.variant[lead]), float(z[lead]), pairs.variant[low:high], ld)
        all_of_them.append(replace(one, n=one.n + missing, locus=locus))
    return all_of_them


def _missing(lead: int, z: float, present: npt.NDArray[np.int64], ld: Ld) -> int:
    """How many variants have no row although LD with the `lead` foretells a strong effect."""
    near, r = ld.near(lead)
    foretold = near[(np.abs(r) >= STRONG_R) & (np.abs(r * z) >= FORETOLD_Z)]
    return int((~np.isin(foretold, present)).sum())


def judge_ld(
    genes: Sequence[Agreement], *, trait: Floats, loci: Sequence[Locus], served: Sequence[Locus]
) -> tuple[dict[str, Any], list[dict[str, str]], bool]:
    """Figures over all genes and of the trait's z (v,); alarms; and whether the LD is doubtful altogether.

    `loci` are harmonised matrices, `served` as they came.
    """
    by_trait = [agreement(np.nan_to_num(trait[locus.variant]), locus.r) for locus in loci]
    kinds = {"eqtl": _all(genes), "gwas": _all(by_trait)}
    squared = _no_negative(served)
    alarms, doubtful = [], squared
    if squared:
        alarms.append(
            "the LD has no negative entry among many: r² instead of r? Signs are lost; all genes are marked "
            "ld_doubtful"
        )
    for what, one in kinds.items():
        if one.n >= COHORT_PAIRS and one.share < COHORT_LIMIT:
            doubtful = True
            name = {"eqtl": "eQTL table", "gwas": "GWAS"}[what]
            alarms.append(
                f"effects of the {name} and LD contradict each other: {one.n_agree:,} of {one.n:,} pairs of "
                f"variants with |r| of {STRONG_R} or more have the effects that it foretells "
                f"({one.share:.0%}; nearly all should): LD in another order, of other alleles, or r² instead "
                "of r? All genes are marked ld_doubtful"
            )
    record = {
        what: {
            "n_pairs": one.n,
            "agreement": one.share if one.n else None,
            "inflation": float(np.median(one.misfit) / MEDIAN_CHI2) if one.misfit.size else None,
        }
        for what, one in kinds.items()
    }
    return record, [{"level": "alarm", "text": text} for text in alarms], doubtful


def _all(many: Sequence[Agreement]) -> Agreement:
    misfit = np.concatenate([np.empty(0), *(one.misfit for one in many)])
    return Agreement(sum(one.n for one in many), sum(one.n_agree for one in many), misfit)


def _no_negative(loci: Sequence[Locus]) -> bool:
    """True when many correlations are there and none is below 0 (about half of signed ones are)."""
    entries = [locus.r[np.triu_indices(len(locus.r), 1)] for locus in loci]
    values = np.concatenate([np.empty(0), *entries])
    return bool((values != 0).sum() >= MANY_ENTRIES and values.min() >= 0)
