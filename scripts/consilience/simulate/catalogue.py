"""Which real genes a simulated study has, with their real places and pathways."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consilience.expression.gene_table import SEX_GENES, load_gene_table

if TYPE_CHECKING:
    from consilience.expression.gene_table import GeneTable

MARKERS: Mapping[str, tuple[str, ...]] = {
    "naive B": ("CD19", "MS4A1", "CD79A", "CD79B", "TCL1A", "IGHD", "BANK1", "CD22"),
    "memory B": ("CD19", "MS4A1", "CD79A", "CD79B", "CD27", "TNFRSF13B", "AIM2"),
    "naive CD4 T": ("CD3D", "CD3E", "CD4", "IL7R", "CCR7", "LEF1", "TCF7", "MAL"),
    "memory CD4 T": ("CD3D", "CD3E", "CD4", "IL7R", "S100A4", "AQP3", "CD40LG"),
    "CD8 T": ("CD3D", "CD3E", "CD8A", "CD8B", "GZMK", "CST7", "LYAR"),
    "NK": ("NKG7", "GNLY", "KLRD1", "KLRF1", "PRF1", "GZMB", "NCAM1", "SPON2"),
    "monocyte": ("CD14", "LYZ", "S100A8", "S100A9", "FCN1", "VCAN", "CSF1R", "MS4A7"),
    "dendritic": ("FCER1A", "CLEC10A", "CD1C", "IRF8", "LILRA4", "CLEC9A", "ITM2C"),
}
BLOOD_SHARES = (0.10, 0.06, 0.20, 0.16, 0.16, 0.10, 0.17, 0.05)
TISSUE_SHARES = (0.20, 0.06, 0.30, 0.12, 0.10, 0.04, 0.12, 0.06)
ACTIVE_TYPES = ("naive B", "naive CD4 T")
MIN_SET, SMALL_SET, MAX_SET = 15, 45, 200
N_SMALL_FIRST = 12


@dataclass(frozen=True)
class Catalogue:
    """Genes in genome order: `symbols`, `ensembl_ids`, `chromosomes`, `positions` (one entry per gene).

    `sets` maps each pathway to the rows of its genes here; `collections` names where each comes from;
    `full_sizes` counts its genes whether they are here or not.
    """

    symbols: tuple[str, ...]
    ensembl_ids: tuple[str, ...]
    chromosomes: tuple[str, ...]
    positions: tuple[int, ...]
    sets: dict[str, tuple[int, ...]]
    collections: dict[str, str]
    full_sizes: dict[str, int]


def build_catalogue(*, n_genes: int) -> Catalogue:
    """Choose genes: sex, mitochondrial and marker genes, then whole gene sets, then other coding genes."""
    from consilience.pathways.gene_sets import load_gene_sets

    table = load_gene_table()
    gene_sets = load_gene_sets(["hallmark", "reactome"])
    members = {one.name: tuple(gene for gene in one.genes if gene in table.row_of) for one in gene_sets}
    chosen = choose_genes(n_genes=n_genes, members=members, table=table)
    rows = sorted(table.row_of[symbol] for symbol in chosen)
    row_here = {table.symbols[row]: position for position, row in enumerate(rows)}
    sets = {
        name: tuple(sorted(row_here[g] for g in genes if g in row_here)) for name, genes in members.items()
    }
    return Catalogue(
        symbols=tuple(table.symbols[row] for row in rows),
        ensembl_ids=tuple(table.ensembl_ids[row] for row in rows),
        chromosomes=tuple(table.chromosomes[row] for row in rows),
        positions=tuple(table.positions[row] for row in rows),
        sets={name: genes for name, genes in sets.items() if genes},
        collections={one.name: one.collection for one in gene_sets},
        full_sizes={name: len(genes) for name, genes in members.items()},
    )


def choose_genes(*, n_genes: int, members: Mapping[str, Sequence[str]], table: GeneTable) -> list[str]:
    """The first `n_genes` of one fixed order, so that a larger study holds every gene of a smaller one.

    Whole gene sets are taken one after the other (in an order that means nothing: by the hash of their
    names), because genes drawn singly would leave every pathway with too few of its members.
    """
    mitochondrial = table.symbols_of(gene_type="protein_coding", chromosome="MT")
    first = [*mitochondrial, "XIST", *SEX_GENES["male"]]
    markers = [gene for genes in MARKERS.values() for gene in genes]
    order = dict.fromkeys(gene for gene in (*first, *markers) if gene in table.row_of)
    by_hash = sorted(members, key=lambda name: hashlib.sha256(name.encode()).digest())
    fitting = [name for name in by_hash if MIN_SET <= len(members[name]) <= MAX_SET]
    small = [name for name in fitting if len(members[name]) <= SMALL_SET][:N_SMALL_FIRST]
    for name in (*small, *fitting):
        order.update(dict.fromkeys(members[name]))
    for genes in members.values():
        order.update(dict.fromkeys(genes))
    coding = table.symbols_of(gene_type="protein_coding")
    order.update(dict.fromkeys(sorted(coding, key=lambda gene: hashlib.sha256(gene.encode()).digest())))
    return list(order)[:n_genes]
