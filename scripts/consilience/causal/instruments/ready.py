"""Cohorts of ready TWMR inputs: variants, genes and LD of each focal gene as they came; nothing is chosen.

Their prepared tables name no alleles and no places, and each LD matrix bears the name of its focal gene. The
genes beside it are those of its own table (qc.json: models) that its variants have an effect on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from consilience.causal.instruments.choose import Candidates, Chosen
from consilience.causal.instruments.ld_table import Locus
from consilience.causal.instruments.tables import Tables


def is_ready(tables: Tables) -> bool:
    """True for a cohort of ready TWMR inputs."""
    genes = set(tables.genes.gene)
    return (
        bool(tables.loci)
        and all(locus.name in genes for locus in tables.loci)
        and bool((tables.variants.alleles.effect < 0).all())
        and all((locus.alleles.effect < 0).all() for locus in tables.loci)
    )


def ready_instruments(
    locus: Locus, tables: Tables, found: Candidates, *, models: Mapping[str, Sequence[str]]
) -> Chosen | None:
    """The focal gene that a matrix is named after, with the variants that GWAS and LD have.

    `models`: genes of each table; without an entry, all genes that the variants have an effect on.
    """
    number = {name: place for place, name in enumerate(tables.genes.gene)}
    gene = number[locus.name]
    has_effect = tables.variants.in_gwas & np.isfinite(tables.variants.z)
    kept = np.flatnonzero(has_effect[locus.variant])
    variants = locus.variant[kept]
    if not variants.size:
        return None
    if locus.name in models:
        others = np.array([number[one] for one in models[locus.name] if one in number], dtype=np.int64)
    else:
        others = np.unique(found.pairs.gene[found.of_variants(variants)])
    genes = np.concatenate([[gene], others[others != gene]]).astype(np.int64)
    eqtl, at = found.effects(genes, variants)
    acting = (eqtl != 0).any(0)
    if not acting[0]:
        return None
    none, own, r = np.empty(0, dtype=np.int64), at[:, 0][at[:, 0] >= 0], locus.r[np.ix_(kept, kept)]
    return Chosen(
        variants, genes[acting], eqtl[:, acting], at[:, acting] >= 0, at[:, acting], r, own, none, 0, none,
        ("ready_inputs",),
    )  # fmt: skip
