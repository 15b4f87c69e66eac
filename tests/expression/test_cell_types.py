"""Types of cells from markers: planted types are found, doubt is said, and too little is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from consilience.expression.cell_types import (
    MARGIN,
    SHIPPED,
    decide,
    label_cells,
    load_markers,
    marker_scores,
)
from consilience.expression.gene_table import load_gene_table
from consilience.expression.prepare import prepare_cohort
from consilience.expression.stream import GeneColumns
from consilience.foundation.errors import DataError
from consilience.sources.cells.matrix import MemoryCounts
from consilience.study.sections import CellTypesSection, NormalisationSection, QualitySection
from expression.test_cells import COHORT, put

TARGET = 1e4


def planted(
    seed: int = 0, n: int = 600, depth: float = 1500
) -> tuple[sparse.csr_matrix, tuple[str, ...], np.ndarray]:
    """Cells of five immune types whose own markers are tenfold up, among a thousand other genes."""
    rng = np.random.default_rng(seed)
    table = load_gene_table()
    markers = load_markers("immune", table=table)
    types = sorted(markers)[:5]
    own = {gene for one in markers.values() for gene in one}
    others = [gene for gene in table.symbols_of(gene_type="protein_coding")[200:1300] if gene not in own]
    symbols = (*sorted(own), *others)
    level = rng.lognormal(0, 1.2, len(symbols))
    kind = rng.integers(0, len(types), n)
    profiles = np.tile(level, (len(types), 1))
    for row, name in enumerate(types):
        for k, gene in enumerate(symbols):
            weight = markers[name].get(gene, 0)
            profiles[row, k] *= 10 if weight > 0 else 0.1 if weight < 0 else 1
    mean = profiles[kind] / profiles[kind].sum(axis=1, keepdims=True) * depth * rng.lognormal(0, 0.4, (n, 1))
    return sparse.csr_matrix(rng.poisson(mean).astype(np.int32)), symbols, np.array(types)[kind]


def label(
    counts: Any, symbols: tuple[str, ...], *, kept: np.ndarray | None = None, markers: str = "immune"
) -> Any:
    return label_cells(
        markers=markers, table=load_gene_table(), counts=MemoryCounts(counts),
        kept=np.ones(counts.shape[0], dtype=bool) if kept is None else kept,
        genes=GeneColumns(np.arange(len(symbols)), len(symbols)), symbols=symbols,
        gene_cells=np.asarray((counts > 0).sum(axis=0)).ravel(), target_sum=TARGET, seed=1, cohort="c",
    )  # fmt: skip


def test_planted_types_are_found() -> None:
    counts, symbols, truth = planted()
    found = label(counts, symbols)
    named = np.array(found.labels.text())
    assert (named == truth).mean() > 0.97
    assert found.record["share_unassigned"] == (named == "unassigned").mean().round(4)
    assert sum(one["n"] for one in found.record["types"]) + found.record["n_unassigned"] == counts.shape[0]
    assert found.record["types"][0] == {
        "cell_type": "B cell", "n": int((named == "B cell").sum()), "markers_measured": 19, "markers_listed": 19
    }  # fmt: skip


def test_sure_cells_are_labelled_better_than_by_the_plain_mean_of_markers() -> None:
    counts, symbols, truth = planted(n=2000, depth=150)
    markers = load_markers("immune", table=load_gene_table())
    logged = np.log1p(counts.toarray() / counts.sum(axis=1).A1[:, None] * TARGET)
    types = sorted(markers)
    plain = np.stack([
        logged[:, [symbols.index(gene) for gene, weight in markers[name].items() if weight > 0]].mean(axis=1)
        for name in types
    ])  # fmt: skip
    baseline = (np.array(types)[plain.argmax(axis=0)] == truth).mean()
    named = np.array(label(counts, symbols).labels.text())
    sure = named != "unassigned"
    assert sure.mean() > 0.85
    assert (named == truth)[sure].mean() > baseline + 0.005


def test_cells_in_which_no_marker_stands_out_stay_unassigned() -> None:
    counts, symbols, _ = planted(n=100)
    flat = counts.copy()
    flat.data = np.ones_like(flat.data)
    own = {gene for one in load_markers("immune", table=load_gene_table()).values() for gene in one}
    silent = sparse.csr_matrix(flat.multiply(np.array([symbol not in own for symbol in symbols])))
    both = sparse.vstack([counts, silent], format="csr").astype(np.int32)
    assert set(label(both, symbols).labels.text()[100:]) == {"unassigned"}


def test_scores_are_those_of_a_slow_second_way() -> None:
    counts, symbols, _ = planted(n=40)
    markers = {
        "B cell": {"CD79A": 1.0, "MS4A1": 2.0, "CD19": 1.0, "CD3D": -0.5},
        "T": {"CD3D": 1, "CD3E": 1, "CD3G": 1},
    }
    abundance = np.asarray((counts > 0).sum(axis=0)).ravel()
    found = marker_scores(markers, symbols=symbols, abundance=abundance, rng=np.random.default_rng(3))
    logged = np.log1p(counts.toarray() / counts.sum(axis=1).A1[:, None] * TARGET)
    weights = found.weights[:, found.types.index("B cell")]
    own = [symbols.index(gene) for gene in markers["B cell"]]
    assert np.flatnonzero(weights).tolist() == sorted(own)
    assert weights[own] == pytest.approx([0.25, 0.5, 0.25, -0.125])
    assert np.allclose(logged @ weights, logged[:, own] @ [0.25, 0.5, 0.25, -0.125], atol=1e-5)
    controls = found.controls[:, found.types.index("B cell")]
    assert controls.sum() == pytest.approx(1)
    assert not {symbols[k] for k in np.flatnonzero(controls)} & {
        gene for one in markers.values() for gene in one
    }
    seen = np.sort(abundance[abundance > 0])
    ranks = np.searchsorted(seen, abundance[np.flatnonzero(controls)]) / seen.size
    own_ranks = np.searchsorted(seen, abundance[own[:3]]) / seen.size
    assert all(np.abs(own_ranks - rank).min() < 0.09 for rank in ranks)


def test_doubt_is_said() -> None:
    scores = np.array([[1.0, 0.2], [0.5, 0.5 - MARGIN / 2], [0.9, 0.4]], dtype=np.float32)
    codes, ahead = decide(scores, np.array([[0.5, 2], [0, 0], [1.0, 0]], dtype=np.float32))
    assert codes.tolist() == [0, -1, -1]
    assert ahead == pytest.approx([0.8, MARGIN / 2, 0.5])


def test_neither_order_of_cells_nor_cells_that_are_not_kept_matter() -> None:
    counts, symbols, _ = planted(n=200)
    order = np.random.default_rng(0).permutation(200)
    found, shuffled = label(counts, symbols), label(counts[order], symbols)
    assert shuffled.labels.text() == [found.labels.text()[k] for k in order]
    kept = np.arange(200) % 3 > 0
    part = label(counts, symbols, kept=kept)
    assert part.labels.text()[0] == ""
    assert [text for text in part.labels.text() if text] == [
        found.labels.text()[k] for k in np.flatnonzero(kept)
    ]
    assert np.isnan(part.scores[~kept]).all()


def test_too_few_markers_are_refused() -> None:
    counts, symbols, _ = planted(n=50)
    few = [symbols.index(gene) for gene in ("CD79A", "MS4A1", "CD19", "CD3D", *symbols[-50:])]
    with pytest.raises(DataError, match=r"too few markers are measured.*1 of 12 types have at least 3"):
        label(counts[:, few], tuple(symbols[k] for k in few))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_lists_name_known_genes(name: str) -> None:
    markers = load_markers(name, table=load_gene_table())
    assert len(markers) >= 10
    assert all(sum(weight > 0 for weight in one.values()) >= 6 for one in markers.values())


TABLES = [
    pytest.param("immun", None, r"no such table of markers.*did you mean 'immune'", id="name"),
    pytest.param("m.tsv", "type\tgene\n", r"m.tsv:1: is no table of markers", id="columns"),
    pytest.param("m.tsv", "cell_type\tgene\tweight\nB\tCD19\n", r"not a type, a gene and a weight", id="short"),
    pytest.param("m.tsv", "cell_type\tgene\tweight\nB\tCD19\tx\n", r"not a type, a gene and a weight", id="word"),
    pytest.param("m.tsv", "cell_type\tgene\tweight\nB\tCD19\t0\n", r"weight other than 0", id="zero"),
    pytest.param("m.tsv", "cell_type\tgene\tweight\nB\tNoGene\t1\n", r"no known human gene.*NoGene", id="gene"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), TABLES)
def test_bad_tables_are_refused(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        load_markers(str(tmp_path / name) if text else name, table=load_gene_table())


@pytest.mark.parametrize("named", [False, True])
def test_labels_are_written_only_where_the_sheet_names_none(tmp_path: Path, named: bool) -> None:
    import anndata
    import pandas as pd

    counts, symbols, truth = planted()
    obs = pd.DataFrame({
        "patient": [f"P{k % 6}" for k in range(600)], "state": ["sick" if k % 6 < 3 else "well" for k in range(600)],
        "type": truth, "run": ["r1" if k % 2 else "r2" for k in range(600)],
    }, index=[f"c{k}" for k in range(600)])  # fmt: skip
    data = anndata.AnnData(counts.astype(np.float32), obs=obs)
    data.var_names = list(symbols)
    prepare_cohort(
        cohort=COHORT if named else replace(COHORT, cell_type=""), raw_dir=put(data, tmp_path), quality=QualitySection(),
        normalisation=NormalisationSection(), min_samples_per_arm=3, seed=1, expression_path=tmp_path / "e.h5ad",
        removed_path=tmp_path / "r.parquet", qc_path=tmp_path / "qc.json", cell_types=CellTypesSection(markers="immune"),
    )  # fmt: skip
    found, qc = anndata.read_h5ad(tmp_path / "e.h5ad"), json.loads((tmp_path / "qc.json").read_text())
    assert (found.obs["cell_type"].astype(str) == data.obs.loc[found.obs_names, "type"]).mean() > 0.95
    assert ("cell_types" in qc) is not named
    assert ("cell_type_score" in found.obs) is not named
    told = [
        message["text"] for message in qc["messages"] if "labelled by the markers 'immune'" in message["text"]
    ]
    assert len(told) == (0 if named else 1)
