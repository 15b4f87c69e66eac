"""Which cells belong to a cohort: `select` on codes as on text, and unfiltered matrices."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from consilience.expression.cell_selection import selection_mask, without_empty_barcodes
from consilience.expression.prepare import prepare_cohort
from consilience.foundation.errors import DataError
from consilience.sources.cells.matrix import CellMatrix, Labels, MemoryCounts
from consilience.sources.cells.views import CellSubset, entries_of_cells, subset_cells
from consilience.study.cohorts import Cohort
from consilience.study.sections import NormalisationSection, QualitySection
from consilience.study.selection import selected_rows
from expression.test_cells import COHORT, make_data, put

LEVELS = st.sampled_from(["a", "b", "c d", "e"])


@given(
    st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=20),
    st.sets(LEVELS, min_size=1),
    st.sets(LEVELS, min_size=1),
)
def test_codes_and_text_select_the_same(
    rows: list[tuple[str, str]], first: set[str], second: set[str]
) -> None:
    columns = {"x": tuple(row[0] for row in rows), "y": tuple(row[1] for row in rows)}
    text = f"x={'|'.join(sorted(first))}; y={'|'.join(sorted(second))}"
    labels = {name: Labels.from_text(values) for name, values in columns.items()}
    outcomes: list[Any] = []
    for select in (
        lambda: selected_rows(text, columns, where="w"),
        lambda: np.flatnonzero(selection_mask(text, labels, n_cells=len(rows), where="w")).tolist(),
    ):
        try:
            outcomes.append(select())
        except DataError as error:
            outcomes.append([(problem.where, problem.value, problem.mend) for problem in error.problems])
    assert outcomes[0] == outcomes[1]


def test_misspelt_columns_and_levels_are_all_named() -> None:
    labels = {"donor": Labels.from_text(["D1", "D2"]), "n": Labels.from_text(["1", ""])}
    with pytest.raises(
        DataError, match=r"(?s)2 problems.*no such phenotype column.*donr.*did you mean 'donor'.*level of 'n'"
    ):
        selection_mask("donr=D1; n=2", labels, n_cells=2, where="cohort c: select")
    with pytest.raises(DataError, match="no cell is left by 'select'"):
        selection_mask("donor=D2; n=1", labels, n_cells=2, where="cohort c: select")


def matrix_of(counts: Any, samples: list[str]) -> CellMatrix:
    n = counts.shape[0]
    return CellMatrix(
        where="w", counts=MemoryCounts(sparse.csr_matrix(counts)), barcodes=np.array([b"c%d" % k for k in range(n)]),
        genes=tuple(f"g{k}" for k in range(counts.shape[1])), gene_names=("",) * counts.shape[1],
        samples=Labels.from_text(samples), columns={"sample": Labels.from_text(samples)},
    )  # fmt: skip


@given(st.integers(1, 30), st.integers(0, 999), st.integers(1, 12))
def test_a_subset_is_the_rows_of_the_whole(n: int, seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.6, (n, 5)).astype(np.int32)
    cells = rng.random(n) < 0.6
    cells[rng.integers(n)] = True
    part = subset_cells(matrix_of(counts, ["s"] * n), cells, note="because")
    assert part.n_cells == cells.sum()
    assert part.notes == ("because",)
    blocks = list(part.blocks(size))
    starts = np.cumsum([0, *(block.shape[0] for _, block in blocks)])[:-1]
    assert [start for start, _ in blocks] == starts.tolist()
    assert np.array_equal(np.vstack([block.toarray() for _, block in blocks]), counts[cells])
    assert part.counts.n_entries == (counts[cells] > 0).sum()
    sizes = entries_of_cells(CellSubset(part.counts, np.ones(part.n_cells, dtype=bool)))
    assert np.array_equal(sizes, (counts[cells] > 0).sum(axis=1))
    wanted = rng.random(part.n_cells) < 0.3
    seen = np.zeros(part.n_cells, dtype=bool)
    for start, block in part.blocks(size, wanted):
        assert np.array_equal(block.toarray(), counts[cells][start : start + block.shape[0]])
        seen[start : start + block.shape[0]] = True
    assert seen[wanted].all()


def test_empty_droplets_go_where_a_sample_is_unfiltered() -> None:
    rng = np.random.default_rng(0)
    cells, empty = rng.poisson(2.0, (300, 60)), rng.poisson(0.02, (1500, 60))
    few = rng.poisson(0.02, (20, 60))
    matrix = matrix_of(np.vstack([cells, empty, cells, few]), ["raw"] * 1800 + ["filtered"] * 320)
    found = without_empty_barcodes(matrix, min_genes=10)
    assert found.n_cells == 300 + 320
    assert found.samples is not None
    assert found.samples.text().count("filtered") == 320
    assert any(
        "unfiltered samples (raw): 1500 barcodes with fewer than 10 genes" in note for note in found.notes
    )
    filtered = matrix_of(np.vstack([cells, cells, cells, cells, few]), ["s"] * 1220)
    assert without_empty_barcodes(filtered, min_genes=10) is filtered


def run(data: Any, folder: Path, cohort: Cohort) -> tuple[Any, Any]:
    import anndata

    raw = put(data, folder)
    prepare_cohort(
        cohort=cohort, raw_dir=raw, quality=QualitySection(), normalisation=NormalisationSection(),
        min_samples_per_arm=2, seed=1, expression_path=folder / "e.h5ad", removed_path=folder / "r.parquet",
        qc_path=folder / "qc.json",
    )  # fmt: skip
    return anndata.read_h5ad(folder / "e.h5ad"), json.loads((folder / "qc.json").read_text())


def test_selected_cells_are_as_if_the_others_had_never_been_there(tmp_path: Path) -> None:
    data = make_data()
    wanted = replace(COHORT, select="type=T; patient=P0|P1|P3|P4", cell_type="")
    found, qc = run(data, tmp_path / "a", wanted)
    rows = ((data.obs["type"] == "T") & data.obs["patient"].isin(["P0", "P1", "P3", "P4"])).to_numpy()
    expected, other = run(data[rows].copy(), tmp_path / "b", replace(wanted, select=""))
    assert qc["n_in"] == other["n_in"] == rows.sum()
    assert list(found.obs_names) == list(expected.obs_names)
    assert (found.X != expected.X).nnz == 0
    assert qc["removed_by_reason"] == other["removed_by_reason"]
    left = int((~rows).sum())
    assert any(f"leaves out {left} of {data.n_obs} cells" in message["text"] for message in qc["messages"])


def test_an_unfiltered_matrix_gives_the_cells_of_the_filtered_one(tmp_path: Path) -> None:
    import anndata

    data = make_data()
    rng = np.random.default_rng(1)
    obs = data.obs.iloc[rng.integers(0, data.n_obs, 3000)].set_index(
        np.array([f"empty{k}" for k in range(3000)])
    )
    counts = sparse.csr_matrix(rng.poisson(0.02, (3000, data.n_vars)).astype(np.float32))
    empty = anndata.AnnData(counts, obs=obs, var=data.var)
    whole = anndata.concat([data, empty])
    whole.obs["sample"] = "one"
    data.obs["sample"] = "one"
    found, qc = run(whole, tmp_path / "a", COHORT)
    expected, _ = run(data, tmp_path / "b", COHORT)
    assert len(set(found.obs_names) ^ set(expected.obs_names)) < 0.02 * expected.n_obs
    assert qc["n_in"] < data.n_obs + 50
    assert any("unfiltered samples (one)" in message["text"] for message in qc["messages"])
