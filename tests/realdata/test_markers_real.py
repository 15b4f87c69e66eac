"""Markers of real diseases that are in every textbook, and none where labels mean nothing."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples
from consilience.rnagan.markers.enrichment import ranked_enrichment
from consilience.rnagan.markers.find import find_markers
from consilience.rnagan.markers.settings import MarkerSettings
from rnagan.markers.scorers import Centroid

pytestmark = pytest.mark.real_data

QUICK = MarkerSettings(
    attributions=("integrated_gradients", "elasticity"), permutations=20, resamples=2, interactions=2
)


def sets_of(path: Path) -> dict[str, list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.split("\t")[0]: line.split("\t")[2:] for line in lines}


@pytest.fixture(scope="module")
def kich(kit: Path) -> tuple[Samples, np.ndarray]:
    """Kidney carcinoma and normal tissue: samples and counts."""
    counts = pd.read_parquet(kit / "bulk" / "tcga_kich.counts.parquet").drop_duplicates("Hugo_Symbol")
    sheet = pd.read_csv(kit / "bulk" / "tcga_kich.samples.tsv", sep="\t").set_index("sample")
    counts = counts.set_index("Hugo_Symbol").drop(columns="Entrez_Gene_Id")
    counts = counts[(counts >= 20).sum(axis=1) >= 25]
    names, x = counts.columns.to_numpy(str), counts.T.to_numpy(float)
    values = np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    donors = np.array([name[:12] for name in names])
    labels = sheet.loc[names, "group"].to_numpy(str)
    return Samples(
        values, tuple(counts.index), names, labels, donors, np.full(len(names), "TCGA"), "log1p_cp10k"
    ), x


@pytest.fixture(scope="module")
def synovium(kit: Path) -> Samples:
    """Rheumatoid arthritis and osteoarthritis, an array: log2, the brightest probe of each gene."""
    with gzip.open(kit / "geo_as_served" / "GSE55235_series_matrix.txt.gz", "rt") as handle:
        lines = handle.read().splitlines()
    state = next(line for line in lines if line.startswith('!Sample_characteristics_ch1\t"disease state'))
    kinds = [
        "RA" if "rheumatoid" in word else "OA" if "osteo" in word else "healthy"
        for word in state.split("\t")[1:]
    ]
    start = lines.index("!series_matrix_table_begin") + 1
    rows = [
        line.replace('"', "").split("\t") for line in lines[start : lines.index("!series_matrix_table_end")]
    ]
    table = pd.DataFrame(rows[1:], columns=rows[0]).set_index("ID_REF").astype(float)
    symbol = pd.read_csv(kit / "geo_as_served" / "GPL96_probe_to_symbol.tsv.gz", sep="\t", dtype=str)
    symbol = symbol.set_index(symbol.columns[0]).iloc[:, 0].dropna()
    table = table.loc[table.index.intersection(symbol[~symbol.str.contains("///")].index)]
    table = table.assign(gene=symbol[table.index], level=table.mean(axis=1)).sort_values(
        "level", ascending=False
    )
    table = table.drop_duplicates("gene").set_index("gene").drop(columns="level")
    names = table.columns.to_numpy(str)
    values = np.log2(table.T.to_numpy() + 16).astype(np.float32)
    return Samples(
        values, tuple(table.index), names, np.array(kinds), names, np.full(len(names), "B"), "log2"
    )


def test_kidney_carcinoma_has_the_markers_that_pathologists_use(kich, kit: Path) -> None:
    samples, counts = kich
    hallmarks = sets_of(kit / "pathways" / "h.all.v7.5.1.symbols.gmt")
    markers = find_markers(
        samples, positive="tumor", scorer=Centroid(), pathways=hallmarks, counts=counts, settings=QUICK
    )
    genes = markers.genes.set_index("feature")
    assert markers.record["n_donors_paired"] == 23
    # intercalated cells (the tumour's origin) against tubules (what it displaces)
    assert (genes.loc[["KIT", "FOXI1", "RHCG"], "direction"] == "pedal").all()
    assert (genes.loc[["UMOD", "AQP2", "SLC12A1", "CALB1"], "direction"] == "brake").all()
    assert (genes.loc[["KIT", "FOXI1", "RHCG", "UMOD", "AQP2", "SLC12A1", "CALB1"], "fdr"] < 0.01).all()
    assert {"UMOD", "AQP2", "SLC12A1"} <= set(genes.nlargest(30, "rank").index)
    assert genes.loc[["UMOD", "AQP2"], "stability"].min() == 1
    # a centroid's markers are the genes that simple tests find, with their signs
    found, simple = genes["fdr"] < 0.01, genes["moderated_t_fdr"] < 0.01
    assert simple[found].mean() > 0.9
    assert (np.sign(genes["effect"]) == np.sign(genes["log2fc"]))[found].mean() > 0.99
    assert (np.sign(genes["negative_binomial_effect"]) == np.sign(genes["log2fc"]))[found].mean() > 0.95
    table = ranked_enrichment(
        genes=list(genes.index), effect=genes["effect"].to_numpy(), gene_sets=hallmarks, permutations=100
    ).set_index("pathway")
    assert table.loc["HALLMARK_OXIDATIVE_PHOSPHORYLATION", "nes"] > 1.5
    assert table.loc["HALLMARK_EPITHELIAL_MESENCHYMAL_TRANSITION", "nes"] < -1.2


def test_rheumatoid_synovium_is_inflamed(synovium: Samples, kit: Path) -> None:
    hallmarks = sets_of(kit / "pathways" / "h.all.v7.5.1.symbols.gmt")
    markers = find_markers(
        synovium, positive="RA", negative="OA", scorer=Centroid(), pathways=hallmarks, settings=QUICK
    )
    assert markers.record["n_donors_positive"] == markers.record["n_donors_negative"] == 10
    genes, pathways = markers.genes.set_index("feature"), markers.pathways.set_index("feature")
    assert (genes.loc[["CXCL13", "SDC1", "CXCL9", "CD27"], "direction"] == "pedal").all()
    assert (genes.loc[["CXCL13", "SDC1", "CD27"], "fdr"] < 0.05).all()
    assert genes["fdr"].lt(0.05).sum() > 200
    inflamed = ["HALLMARK_INTERFERON_GAMMA_RESPONSE", "HALLMARK_ALLOGRAFT_REJECTION"]
    assert (pathways.loc[inflamed, "direction"] == "pedal").all()
    assert (pathways.loc[inflamed, "fdr"] < 0.05).all()


def test_labels_that_mean_nothing_have_no_markers(synovium: Samples) -> None:
    """Half of each disease is called case: whatever differs between patients, no marker is found."""
    found = []
    for seed in range(4):
        labels = np.empty(len(synovium), dtype="<U7")
        for kind in ("RA", "OA"):
            rows = np.flatnonzero(synovium.labels == kind)
            labels[rows] = np.array(["case", "control"] * 5)[stream(seed, kind).permutation(10)]
        known = np.flatnonzero(labels != "")
        mixed = replace(synovium.take(known), labels=labels[known], batches=synovium.labels[known])
        markers = find_markers(
            mixed, positive="case", scorer=Centroid(), settings=replace(QUICK, resamples=0)
        )
        found.append((markers.genes["fdr"] < 0.05).sum())
    assert np.median(found) == 0
