"""Gene identity and gene sets on the real files of the kit."""

from __future__ import annotations

import gzip
from collections import Counter

import pandas as pd
import pytest

from consilience.expression.duplicates import merge_duplicates
from consilience.expression.genes import load_gene_table, resolve
from consilience.pathways.gene_sets import load_gene_sets, read_gmt
from consilience.pathways.mask import build_mask, read_var_names

pytestmark = pytest.mark.real_data


def test_reactome_as_served(kit):
    raw = read_gmt(kit / "pathways/ReactomePathways_as_served.gmt")
    assert len(raw) == 1448
    assert len({gene for entry in raw for gene in entry.genes}) == 11194
    assert all(entry.source.startswith("R-HSA-") for entry in raw)
    sets = load_gene_sets([kit / "pathways/ReactomePathways_as_served.gmt"])
    strangers = Counter(member for entry in sets for member in entry.unknown)
    assert {"gag", "gag-pol", "vpr", "vif", "tat", "18S rRNA, 5.8S rRNA, 28S rRNA"} <= strangers.keys()
    members = {gene for entry in sets for gene in entry.genes}
    assert members <= load_gene_table().row_of.keys()
    assert 10_800 < len(members) < 11_000
    interleukin = next(entry for entry in sets if entry.name == "Interleukin-6 signaling")
    assert {"IL6", "IL6R", "JAK1", "STAT3"} <= set(interleukin.genes)


@pytest.mark.parametrize("name", ["h.all", "c2.cp.reactome", "c2.cp.wikipathways"])
def test_msigdb_collections(kit, name):
    sets = load_gene_sets([kit / f"pathways/{name}.v7.5.1.symbols.gmt"])
    strangers = {member for entry in sets for member in entry.unknown}
    members = {gene for entry in sets for gene in entry.genes}
    assert len(strangers) < 0.001 * len(members)


def test_shipped_files_are_those_of_the_kit(kit):
    for name, file in {"hallmark": "h.all", "reactome": "c2.cp.reactome"}.items():
        shipped = {entry.name: entry.genes for entry in load_gene_sets([name])}
        served = {
            entry.name: entry.genes for entry in load_gene_sets([kit / f"pathways/{file}.v7.5.1.symbols.gmt"])
        }
        assert shipped == served


def test_geo_matrix_with_mixed_ids(kit):
    with gzip.open(kit / "geo_as_served/GSE97165_GEO_count_matrix.txt.gz", "rt") as handle:
        ids = [line.split("\t", 1)[0] for line in handle][1:]
    match = resolve(ids, table=load_gene_table())
    assert match.n_matched > 0.84 * len(ids)
    how = match.counts()
    assert how["ensembl"] > 2_000  # symbol:ENSG…
    assert how["previous"] > 1_700
    table = load_gene_table()
    for given, symbol, way in zip(ids, match.symbol, match.how, strict=True):
        if way == "ensembl":
            assert table.row_of_ensembl[given.rpartition(":")[2]] == table.row_of[symbol]


def test_tcga_symbols_and_entrez_ids_tell_the_same_genes(kit):
    table = load_gene_table()
    counts = pd.read_parquet(kit / "bulk/tcga_kich.counts.parquet")
    by_symbol = resolve(counts["Hugo_Symbol"].tolist(), table=table)
    by_entrez = resolve(counts["Entrez_Gene_Id"].tolist(), table=table)
    both = [pair for pair in zip(by_symbol.symbol, by_entrez.symbol, strict=True) if all(pair)]
    same = sum(left == right for left, right in both)
    assert len(both) > 18_000
    assert same / len(both) > 0.98  # the file gives one Entrez id to several copies of a gene (HBA1, HBA2)
    values = counts.drop(columns=["Hugo_Symbol", "Entrez_Gene_Id"]).to_numpy()
    merged = merge_duplicates(values=values, match=by_symbol, additive=True)
    kept = [place for place, symbol in enumerate(by_symbol.symbol) if symbol]
    assert merged.shape == (len(by_symbol.unique), values.shape[1])
    assert merged.sum() == values[kept].sum()


def test_mask_of_real_cohorts(kit):
    table = load_gene_table()
    symbols = pd.read_parquet(kit / "bulk/tcga_chol.counts.parquet", columns=["Hugo_Symbol"])["Hugo_Symbol"]
    measured = {
        "bulk": resolve(symbols.tolist(), table=table).unique,
        "cells": resolve(read_var_names(kit / "singlecell/kang2018_ifnb_muscat.h5ad"), table=table).unique,
    }
    sets = load_gene_sets(["hallmark", "reactome"])
    mask = build_mask(gene_sets=sets, measured=measured, min_genes=10, max_genes=500, min_coverage=0.3)
    told = mask.coverage
    assert 1_100 < told["n_kept"] < 1_400
    assert 10_000 < told["n_genes_in_mask"] < 11_500
    cells = next(entry for entry in told["cohorts"] if entry["cohort"] == "cells")
    assert 0.05 < cells["share_of_mask"] < 0.12
    assert len(set(zip(mask.gene, mask.pathway, strict=True))) == len(mask.gene)
