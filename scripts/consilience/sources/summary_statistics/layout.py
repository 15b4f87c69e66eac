"""What a layout of association tables is: its columns under our names, and what its effect allele means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

OURS: dict[str, str] = {
    "rsid": "name of the variant",
    "variant": "chromosome, position and alleles in one word (chr1_123_A_G_b38)",
    "chromosome": "chromosome",
    "position": "position, 1-based",
    "effect_allele": "the allele that the effect belongs to",
    "other_allele": "the other allele",
    "ref": "reference allele (where the effect allele may be either)",
    "alt": "alternative allele (where the effect allele may be either)",
    "beta": "effect per copy of the effect allele",
    "odds_ratio": "odds ratio per copy of the effect allele",
    "standard_error": "standard error of beta or of the logarithm of the odds ratio",
    "ci_lower": "lower end of the 95 % interval",
    "ci_upper": "upper end of the 95 % interval",
    "z": "z-score (or t) of the effect",
    "p_value": "p-value",
    "neg_log10_p": "-log10 of the p-value",
    "effect_allele_frequency": "frequency of the effect allele",
    "n": "people",
    "n_cases": "people with the disease",
    "n_controls": "people without it",
    "alleles_counted": "alleles counted in all people (twice the people)",
    "minor_count": "copies of the minor allele in all people",
    "minor_frequency": "frequency of the minor allele",
    "info": "quality of imputation",
    "ensembl_id": "Ensembl id of the gene (eQTL)",
    "gene": "symbol of the gene (eQTL)",
    "gene_chromosome": "chromosome of the gene (eQTL)",
    "gene_position": "position of the gene (eQTL)",
}
"""Our names of columns: what `summary_statistics.columns` may map."""
TEXT = ("rsid", "variant")
"""Columns of words."""
LEVELS = (
    "chromosome",
    "effect_allele",
    "other_allele",
    "ref",
    "alt",
    "ensembl_id",
    "gene",
    "gene_chromosome",
)
"""Columns of words that come again and again."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One layout.

    `signature` are the column names (without regard to case) by which it is known. `columns` gives for each
    of our names theirs, in order of preference. `only` lists (column, values that are kept, what the other
    rows are). `effect_allele` says in words which allele the effect belongs to. `build` is set where every
    file of this layout is of one build. `needs` are groups of our names of which the layout itself demands
    one. A `last_resort` is tried when no other layout fits.
    """

    key: str
    title: str
    what: Literal["gwas", "eqtl"]
    reference: str
    signature: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    effect_allele: str
    only: tuple[tuple[str, tuple[str, ...], str], ...] = ()
    build: str = ""
    needs: tuple[tuple[str, ...], ...] = ()
    last_resort: bool = False

    def fits(self, present: AbstractSet[str]) -> bool:
        """True when all names of the signature are among `present` (in small letters)."""
        return all(any(one.casefold() in present for one in name.split("|")) for name in self.signature)

    def find(self, names: Sequence[str]) -> dict[str, str]:
        """Ours: theirs, for the columns that a header has."""
        by_fold = {name.casefold(): name for name in reversed(names)}
        found = {}
        for ours, wanted in self.columns.items():
            theirs = next((name for name in wanted if name in names), None) or next(
                (by_fold[name.casefold()] for name in wanted if name.casefold() in by_fold), None
            )
            if theirs is not None:
                found[ours] = theirs
        return found

    def preferred(self, ours: str) -> str:
        """How the column is called in this layout."""
        return next(iter(self.columns.get(ours, (ours,))))
