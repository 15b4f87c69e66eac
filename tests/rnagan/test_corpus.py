"""The corpus: what it reads from expression files, which rows it keeps, and what it refuses or leaves out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from consilience.expression.h5ad_writer import CellsWriter
from consilience.foundation.errors import ConfigError, DataError
from consilience.rnagan import corpus_files
from consilience.rnagan.corpus import donor_codes, pretraining_cohorts, samples_corpus
from consilience.rnagan.corpus_files import open_corpus
from consilience.rnagan.corpus_rows import choose_rows, name_hashes, strata_of, water_fill
from consilience.rnagan.presets import EpisodeSettings
from consilience.sources.cells.matrix import Labels
from consilience.study.cohorts import Cohort
from rnagan.small_models import make_samples as ready_samples

SETTINGS = EpisodeSettings(episodes=4, queries=4, reference_sizes=(3,))
GENES = [f"G{k:03d}" for k in range(30)]
N_CELLS = 240


def cell_counts(n: int = N_CELLS, n_genes: int = 30) -> np.ndarray:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1, 2, n_genes), (n, n_genes))
    counts[:, 0] += 1 + np.arange(n) % 7
    return counts


def write_cells(path: Path, *, order=None, with_x: bool = False, genes=None, one_donor: bool = False) -> Path:
    """240 cells of 2 types, 2 conditions, 6 donors; streamed form (counts and factors) unless `with_x`."""
    genes = genes or GENES
    order = np.arange(N_CELLS) if order is None else np.asarray(order)
    counts = cell_counts(N_CELLS, len(genes))[order]
    factors = counts.sum(axis=1) / 1e4
    text = {
        "donor": [f"d{0 if one_donor else k % 6}" for k in order],
        "condition": [("ill", "well")[k // 6 % 2] for k in order],
        "cell_type": [("B", "T")[k // 12 % 2] for k in order],
    }
    matrix = sparse.csr_matrix(counts.astype(np.int32))
    logged = np.log1p(matrix.data / np.repeat(factors, np.diff(matrix.indptr))).astype(np.float32)
    with CellsWriter(
        path, n_genes=len(genes), largest=int(counts.max()), most_entries=matrix.nnz, with_x=with_x
    ) as writer:
        writer.append(matrix, logged if with_x else None)
        writer.finish(
            obs_names=np.array([f"cell-{k:04d}".encode() for k in order]),
            obs={name: Labels.from_text(values) for name, values in text.items()} | {"size_factor": factors},
            var_names=tuple(genes), var={}, varm={},
            uns={"consilience": {"units": "counts", "kind": "single_cell", "cohort": path.stem}},
        )  # fmt: skip
    return path


def write_bulk(path: Path, *, n=16, genes=None, units="counts", values=None, obs=None) -> Path:
    """Samples with a dense X, as bulk cohorts have it."""
    genes = genes or GENES
    if values is None:
        values = np.random.default_rng(1).gamma(2, 1.5, (n, len(genes)))
    columns = {"condition": [("ill", "well")[k % 2] for k in range(n)]} if obs is None else obs
    table = pd.DataFrame(columns, index=[f"s{k:02d}" for k in range(n)])
    data = anndata.AnnData(values.astype(np.float32), obs=table, var=pd.DataFrame(index=genes))
    data.uns["consilience"] = {"units": units, "kind": "bulk", "cohort": path.stem}
    data.write_h5ad(path)
    return path


def opened(paths, **options):
    return open_corpus(paths, **({"seed": 1, "scale": "log1p_cp10k"} | options))


# --- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_x", [False, True])
def test_values_of_cells_are_those_of_the_counts(tmp_path, with_x):
    corpus = opened([write_cells(tmp_path / "cells.h5ad", with_x=with_x)])
    (cohort,) = corpus.cohorts()
    counts = cell_counts()
    expected = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    assert corpus.genes == tuple(GENES)
    found = cohort.rows.dense(np.arange(len(cohort.rows)))
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.expm1(found).sum(axis=1), 1e4, rtol=1e-4)
    kinds = [(one.column, one.within) for one in cohort.families]
    assert kinds == [("condition", "B"), ("condition", "T"), ("cell_type", "")]
    assert cohort.donors_known


def test_labels_stay_with_their_rows(tmp_path):
    corpus = opened([write_cells(tmp_path / "cells.h5ad")], memory_mb=0.002, turn_epochs=0)
    (cohort,) = corpus.cohorts()
    counts = cell_counts()
    expected = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    for family in cohort.families:
        for level in family.levels:
            for row, donor in zip(level.rows, level.donors, strict=True):
                values = cohort.rows.dense(np.array([row]))[0]
                k = int(np.argmin(np.abs(expected - values).sum(axis=1)))
                np.testing.assert_allclose(values, expected[k], rtol=1e-5, atol=1e-6)
                types = {"condition": ("ill", "well")[k // 6 % 2], "cell_type": ("B", "T")[k // 12 % 2]}
                assert level.name == types[family.column]
                assert donor == k % 6
                assert family.within in {"", types["cell_type"]}


@pytest.mark.parametrize(("units", "base"), [("counts", np.e), ("tpm", 2), ("fpkm", 2), ("cpm", 2)])
def test_reads_of_bulk_samples_come_to_one_scale(tmp_path, units, base):
    linear = np.random.default_rng(2).gamma(1, 50, (16, 30))
    path = write_bulk(tmp_path / "bulk.h5ad", units=units, values=np.log1p(linear) / np.log(base))
    for scale, total in (("log1p_cp10k", 1e4), ("log1p_cpm", 1e6)):
        (cohort,) = opened([path], scale=scale).cohorts()
        expected = np.log1p(linear / linear.sum(axis=1, keepdims=True) * total)
        found = cohort.rows.dense(np.arange(16))
        np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), rtol=1e-4)


def test_arrays_among_reads_are_left_out_or_taken_for_shares(tmp_path):
    reads = write_bulk(tmp_path / "reads.h5ad")
    intensity = np.random.default_rng(2).gamma(1, 500, (16, 30))
    array = write_bulk(tmp_path / "array.h5ad", units="intensity", values=np.log2(intensity + 16))
    corpus = opened([reads, array])
    assert [cohort.name for cohort in corpus.cohorts()] == ["reads"]
    assert "array: left out, it holds array intensities" in corpus.notes[0]
    both = opened([reads, array], arrays="as_shares")
    assert [cohort.name for cohort in both.cohorts()] == ["array", "reads"]
    expected = np.log1p(intensity / intensity.sum(axis=1, keepdims=True) * 1e4)
    found = both.cohorts()[0].rows.dense(np.arange(16))
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), rtol=1e-3, atol=1e-3)
    (alone,) = opened([reads, array], scale="log2").cohorts()
    np.testing.assert_allclose(
        np.sort(alone.rows.dense(np.arange(16)), axis=0), np.sort(np.log2(intensity + 16), axis=0), rtol=1e-5
    )
    with pytest.raises(DataError, match=r"no cohort to learn from.*array intensities"):
        opened([array])


# --- genes -------------------------------------------------------------------------------------------------


def test_genes_that_a_cohort_lacks_are_not_observed(tmp_path):
    first = write_bulk(tmp_path / "a.h5ad", genes=GENES[:20])
    second = write_bulk(tmp_path / "b.h5ad", genes=GENES[:9:-1])
    union = opened([first, second])
    assert union.genes == tuple(GENES)
    assert [cohort.observed.tolist() for cohort in union.cohorts()] == [
        [True] * 20 + [False] * 10,
        [False] * 10 + [True] * 20,
    ]
    values = union.cohorts()[1].rows.dense(np.arange(16))
    assert (values[:, :10] == 0).all()
    stored = anndata.read_h5ad(second).X[:, ::-1]
    expected = np.log1p(np.expm1(stored) / np.expm1(stored).sum(axis=1, keepdims=True) * 1e4)
    np.testing.assert_allclose(np.sort(values[:, 10:], axis=0), np.sort(expected, axis=0), rtol=1e-4)
    common = opened([first, second], vocabulary="intersection")
    assert common.genes == tuple(GENES[10:20])
    assert all(cohort.observed.all() for cohort in common.cohorts())
    given_genes = opened([first], genes=["G003", "unknown", "G001"])
    assert given_genes.genes == ("G003", "unknown", "G001")
    assert given_genes.cohorts()[0].observed.tolist() == [True, False, True]
    batch = given_genes.batch(epoch=0, step=0, settings=SETTINGS)
    assert not batch.observed[:, 1].any()
    assert (batch.query[..., 1] == 0).all()


def test_too_few_genes_in_common_are_refused(tmp_path):
    first = write_bulk(tmp_path / "a.h5ad", genes=GENES[:15])
    second = write_bulk(tmp_path / "b.h5ad", genes=GENES[15:])
    with pytest.raises(DataError, match="no gene in common"):
        opened([first, second], vocabulary="intersection")
    with pytest.raises(DataError, match=r"has no gene in common with the model.*G015"):
        opened([first, second], genes=GENES[:15])
    with pytest.raises(DataError, match=r"has 1 of the model's 15 genes"):
        opened([second], genes=[*GENES[:14], GENES[20]])


# --- which rows are kept -----------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(0, 300))
def test_water_filling(sizes, total):
    found = water_fill(np.array(sizes), total)
    assert found.sum() == min(total, sum(sizes))
    assert (found <= sizes).all()
    short = found[found < np.array(sizes)]
    if short.size:
        assert found.max() - short.min() <= 1


@given(
    st.lists(st.text("abcd01", min_size=1, max_size=6), min_size=1, max_size=20, unique=True),
    st.integers(0, 99),
)
def test_hashes_depend_on_the_name_alone(texts, seed):
    names = np.array([text.encode() for text in texts])
    found = name_hashes(names, seed=seed, keys=("rows", "x", 0))
    wider = name_hashes(names.astype("S40"), seed=seed, keys=("rows", "x", 0))
    assert np.array_equal(found, wider)
    assert np.array_equal(found[::-1], name_hashes(names[::-1], seed=seed, keys=("rows", "x", 0)))
    assert len(set(found.tolist())) == len(texts)
    assert not np.array_equal(found, name_hashes(names, seed=seed, keys=("rows", "x", 1)))


def test_hashes_are_uniform():
    names = np.array([f"AAACCTGAG{k:06d}-1".encode() for k in range(20_000)])
    found = name_hashes(names, seed=1, keys=("rows",)) / 2.0**64
    # Kolmogorov-Smirnov: the 0.1 % point of the statistic is 1.95 / sqrt(n)
    gap = np.abs(np.sort(found) - np.arange(20_000) / 20_000).max()
    assert gap < 1.95 / np.sqrt(20_000)
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 4 / np.sqrt(20_000)


def test_strata_are_combinations_of_labels():
    first, second = Labels.from_text("aabbab"), Labels.from_text(["x", "y", "x", "y", "x", "y"])
    missing = Labels(np.array([0, -1, 0, 0, 0, 0], dtype=np.int32), ("k",))
    codes = strata_of([first, second, missing], 6)
    combinations = list(zip(first.codes, second.codes, missing.codes, strict=True))
    for a in range(6):
        for b in range(6):
            assert (codes[a] == codes[b]) == (combinations[a] == combinations[b])
    assert strata_of([], 3).tolist() == [0, 0, 0]


def test_rows_are_shared_among_strata_and_the_smallest_hashes_win():
    strata = np.repeat([0, 1, 2], [100, 5, 50]).astype(np.int32)
    hashes = np.random.default_rng(0).integers(2**64, size=155, dtype=np.uint64)
    chosen = choose_rows(strata, hashes, most=45)
    assert np.bincount(strata[chosen]).tolist() == [20, 5, 20]
    for stratum in range(3):
        mine = chosen[strata[chosen] == stratum]
        everyone = np.flatnonzero(strata == stratum)
        assert mine.tolist() == everyone[np.argsort(hashes[everyone])][: mine.size].tolist()


def few_rows(monkeypatch, n=48):
    """The least number of rows, so that a small file can stand for one that is larger than memory."""
    monkeypatch.setattr(corpus_files, "MIN_ROWS", n)


def test_a_large_cohort_keeps_a_balanced_choice_and_takes_turns(tmp_path, monkeypatch):
    few_rows(monkeypatch)
    path = write_cells(tmp_path / "cells.h5ad")
    corpus = opened([path], memory_mb=0.0001, turn_epochs=2)
    seen, values = [], []
    for epoch in range(4):
        (cohort,) = corpus.cohorts(epoch)
        assert len(cohort.rows) == 48
        conditions = [level for one in cohort.families if one.column == "condition" for level in one.levels]
        assert [level.rows.size for level in conditions] == [12] * 4
        assert all(np.bincount(level.donors, minlength=6).tolist() == [2] * 6 for level in conditions)
        values.append(cohort.rows.dense(np.arange(48)))
        seen.append({row.tobytes() for row in values[-1]})
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    assert len(seen[0] & seen[2]) < 40
    np.testing.assert_array_equal(corpus.cohorts(0)[0].rows.dense(np.arange(48)), values[0])
    assert corpus.notes == ("cells: 48 of 240 rows are in memory at a time",)


def test_resuming_needs_no_state(tmp_path, monkeypatch):
    few_rows(monkeypatch)
    paths = [write_cells(tmp_path / "cells.h5ad"), write_bulk(tmp_path / "bulk.h5ad")]
    steps = [(epoch, step) for epoch in range(4) for step in range(3)]
    whole = opened(paths, memory_mb=0.0001)
    first = [whole.batch(epoch=epoch, step=step, settings=SETTINGS) for epoch, step in steps]
    again = opened(paths[::-1], memory_mb=0.0001)
    for (epoch, step), batch in list(zip(steps, first, strict=True))[7:]:
        found = again.batch(epoch=epoch, step=step, settings=SETTINGS)
        assert found.names == batch.names
        assert torch.equal(found.query, batch.query)
        assert torch.equal(found.negative, batch.negative)


def test_order_of_cells_in_the_file_is_no_matter(tmp_path, monkeypatch):
    few_rows(monkeypatch)
    (tmp_path / "other").mkdir()
    straight = opened([write_cells(tmp_path / "cells.h5ad")], memory_mb=0.0001)
    order = np.random.default_rng(5).permutation(N_CELLS)
    shuffled = opened([write_cells(tmp_path / "other" / "cells.h5ad", order=order)], memory_mb=0.0001)
    for epoch in range(2):
        one, other = (corpus.batch(epoch=epoch, step=1, settings=SETTINGS) for corpus in (straight, shuffled))
        assert one.names == other.names
        assert torch.equal(one.query, other.query)
        assert torch.equal(one.positive, other.positive)


# --- cohorts without an answer, and broken ones ------------------------------------------------------------


def test_cohorts_of_one_label_are_said(tmp_path):
    good = write_bulk(tmp_path / "good.h5ad")
    single = write_bulk(tmp_path / "single.h5ad", obs={"condition": ["ill"] * 16})
    bare = write_bulk(tmp_path / "bare.h5ad", obs={})
    corpus = opened([good, single, bare])
    assert [cohort.name for cohort in corpus.cohorts()] == ["good"]
    assert corpus.notes == (
        "bare: left out, it has no label column",
        "single: left out, no label has two levels of two donors each (levels: condition 1)",
    )
    with pytest.raises(DataError, match=r"no cohort to learn from.*single: left out"):
        opened([single, bare])
    with pytest.raises(DataError, match="no files were given"):
        opened([])


def test_a_cohort_of_one_label_tells_its_donors_apart(tmp_path):
    donors = [f"p{k // 4}" for k in range(16)]
    path = write_bulk(tmp_path / "single.h5ad", obs={"condition": ["ill"] * 16, "donor": donors})
    corpus = opened([path])
    assert "its donors are told apart" in corpus.notes[0]
    batch = corpus.batch(epoch=0, step=0, settings=SETTINGS)
    assert all(name.startswith("single, donor: p") for name in batch.names)


def test_without_donors_each_sample_is_one(tmp_path):
    named, known = donor_codes(Labels.from_text(["a", "", "b", "", "a"]).compact())
    assert known
    assert named.tolist() == [0, 2, 1, 3, 0]
    assert [part.tolist() if hasattr(part, "tolist") else part for part in donor_codes(None, 3)] == [
        [0, 1, 2],
        False,
    ]
    assert not opened([write_cells(tmp_path / "one.h5ad", one_donor=True)]).cohorts()[0].donors_known


@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "no finite value"), (np.inf, "no finite value"), (4000.0, "not a logarithm")]
)
def test_odd_values_name_sample_and_gene(tmp_path, value, word):
    values = np.random.default_rng(1).gamma(2, 1.5, (16, 30))
    values[11, 7] = value
    with pytest.raises(DataError, match=f"sample 's11', gene G007: {word}|sample 's11', gene 'G007': {word}"):
        opened([write_bulk(tmp_path / "bulk.h5ad", values=values)])


@pytest.mark.parametrize("units", ["", "furlongs"])
def test_units_must_be_said(tmp_path, units):
    with pytest.raises(DataError, match="in which units"):
        opened([write_bulk(tmp_path / "bulk.h5ad", units=units)])


def test_a_damaged_file_is_named(tmp_path):
    path = write_bulk(tmp_path / "bulk.h5ad")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"bulk\.h5ad"):
        opened([path])


def test_samples_in_memory(tmp_path):
    samples = ready_samples()
    corpus = samples_corpus(samples, seed=2)
    assert corpus.describe()["cohorts"][0]["rows"] == len(samples)
    one = replace(samples, labels=np.full(len(samples), "sick"))
    with pytest.raises(DataError, match=r"no cohort to learn from.*1 levels of the label \(sick\)"):
        samples_corpus(one, seed=2)
    values = samples.values.copy()
    values[3, 5] = np.nan
    with pytest.raises(
        DataError, match=f"sample {samples.names[3]}, gene {samples.genes[5]}: no finite value"
    ):
        samples_corpus(replace(samples, values=values), seed=2)


def test_cells_and_bulk_by_themselves(tmp_path):
    corpus = opened([write_cells(tmp_path / "cells.h5ad"), write_bulk(tmp_path / "bulk.h5ad")])
    assert [cohort.name for cohort in corpus.of("cells").cohorts()] == ["cells"]
    assert [cohort.name for cohort in corpus.of("bulk").cohorts()] == ["bulk"]
    told = corpus.describe()
    assert [(one["name"], one["rows"], one["levels"]) for one in told["cohorts"]] == [
        ("bulk", 16, 2),
        ("cells", 240, 6),
    ]
    with pytest.raises(DataError, match="no single-cell cohort"):
        opened([tmp_path / "bulk.h5ad"]).of("cells")


def test_no_cohort_with_the_role():
    cohorts = [Cohort("a", "bulk", "local"), Cohort("b", "summary_statistics", "local", role="pretrain")]
    with pytest.raises(ConfigError, match=r"no cohort has the role pretrain.*a: study"):
        pretraining_cohorts(cohorts)
    chosen = pretraining_cohorts(
        [*cohorts, Cohort("c", "bulk", "local", role="both"), Cohort("d", "bulk", "local", role="pretrain")]
    )
    assert [cohort.name for cohort in chosen] == ["c", "d"]
