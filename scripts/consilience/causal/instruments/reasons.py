"""Why a variant is no instrument of a gene, and what a gene's row is marked with."""

from __future__ import annotations

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "weak": "its eQTL p-value is above the limit",
    "missing": "its effect or its number of people is not a number",
    "not_in_gwas": "the GWAS does not have it",
    "no_alleles": "one of the tables does not name its alleles",
    "allele_mismatch": "GWAS, eQTL table and LD name different alleles (as at a site with several)",
    "palindromic": "A/T or C/G, and nothing settles which strand is meant",
    "mhc": "in the MHC (chromosome 6, 25 to 34 Mb)",
    "far": "further from the gene than cis_kb, or on another chromosome",
    "few_people": "its effect comes from far fewer people than the others'",
    "not_in_ld": "the LD does not have it",
    "steiger": "it explains significantly more of the trait than of expression",
    "ld_pruned": "in LD with a stronger instrument",
}
"""Reason -> sentence, in the order in which they are looked at: the first that holds is given."""
CODES: Mapping[str, int] = {reason: code for code, reason in enumerate(("", *REASONS))}
"""Reason -> number, 0: kept."""
FLAGS: Mapping[str, str] = {
    "no_instruments": "no variant is left: the gene is not estimated",
    "weak_instruments": "the mean F statistic is below min_f: estimates are drawn to those of chance",
    "one_variant": "a single instrument: nothing can be said of pleiotropy",
    "few_variants": "fewer than 3 instruments: no test of heterogeneity",
    "collinear_gene": "a gene with nearly the same eQTL effects was left out: the effect may be that gene's",
    "shared_variants": "a gene was left out that the same variants regulate much alike (squared correlation "
    "above 0.5): what they do to the trait belongs to either of the two",
    "too_many_genes": "more other genes share the variants than max_genes: the weaker ones were left out",
    "more_genes_than_variants": "the weakest other genes were left out, so that there are as many variants",
    "no_ld": "no LD: only the strongest variant is used",
    "ld_across_loci": "some variants lie in different LD matrices: their correlation is taken as 0",
    "singular_ld": "the LD of the instruments is singular or nearly so",
    "ld_contradicts": "variants in strong LD have eQTL effects that it rules out: wrong LD, order or alleles",
    "ld_doubtful": "over all genes, effects and LD contradict each other (see the messages)",
    "no_place": "the gene has no position: distance to the variants was not looked at",
    "ready_inputs": "instruments, other genes and LD as they came in ready TWMR inputs",
}
"""Flag of a row of genes.parquet -> sentence."""
