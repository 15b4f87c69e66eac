"""Prepared cohorts as samples: pseudobulks summed from counts, arms, scales, and genes chosen without labels."""

from __future__ import annotations

import anndata
import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.rnagan import study_samples
from consilience.rnagan.study_samples import most_variable, read_cohort, scale_of
from rnagan.prepared import GENES, bulk_file, cells_file


def test_bulk_samples_are_shares_of_reads_in_order_of_names(tmp_path) -> None:
    cohort = read_cohort(bulk_file(tmp_path / "tissue.h5ad"))
    counts = anndata.read_h5ad(tmp_path / "tissue.h5ad").layers["counts"]
    assert cohort.scale == "log1p_cp10k"
    assert list(cohort.samples.names) == sorted(cohort.samples.names)
    assert cohort.samples.values == pytest.approx(
        np.log1p(counts / counts.sum(1, keepdims=True) * 1e4), abs=1e-4
    )
    assert set(cohort.samples.labels) == {"case", "control"}
    assert [name for name, _ in cohort.tasks()] == [""]


def test_pseudobulks_are_the_sums_of_a_donors_cells_of_one_type(tmp_path) -> None:
    path = cells_file(tmp_path / "blood.h5ad")
    cohort, data = read_cohort(path), anndata.read_h5ad(path)
    assert len(cohort.samples) == 8 * 2
    for row, name in enumerate(cohort.samples.names):
        donor, kind = str(name).split(" ")
        mine = ((data.obs["donor"] == donor) & (data.obs["cell_type"] == kind)).to_numpy()
        total = np.asarray(data.layers["counts"][mine].sum(axis=0)).ravel()
        assert cohort.samples.values[row] == pytest.approx(np.log1p(total / total.sum() * 1e4), abs=1e-4)
        assert cohort.cell_types[row] == kind
        assert cohort.samples.donors[row] == donor
        assert cohort.samples.labels[row] == data.obs["arm"][mine].iloc[0]


def test_pseudobulks_do_not_depend_on_the_order_or_the_blocks_of_cells(tmp_path, monkeypatch) -> None:
    path = cells_file(tmp_path / "blood.h5ad")
    first = read_cohort(path)
    data = anndata.read_h5ad(path)
    data[np.random.default_rng(1).permutation(data.n_obs)].copy().write_h5ad(tmp_path / "shuffled.h5ad")
    second = read_cohort(tmp_path / "shuffled.h5ad")
    assert np.array_equal(first.samples.values, second.samples.values)
    assert np.array_equal(first.samples.names, second.samples.names)


def test_types_with_few_cells_are_left_out_and_told(tmp_path, monkeypatch) -> None:
    path = cells_file(tmp_path / "blood.h5ad")
    data = anndata.read_h5ad(path)
    few = (data.obs["donor"] == "p3") & (data.obs["cell_type"] == "B")
    keep = ~few | (np.cumsum(few) <= study_samples.LEAST_CELLS - 1)
    data[keep.to_numpy()].copy().write_h5ad(path)
    cohort = read_cohort(path)
    assert "p3 B" not in cohort.samples.names
    assert "p3 T" in cohort.samples.names
    assert "1 donors and cell types" in cohort.notes[0]


def test_a_donor_in_both_arms_gives_two_samples_and_stays_one_donor(tmp_path) -> None:
    path = cells_file(tmp_path / "blood.h5ad")
    data = anndata.read_h5ad(path)
    data.obs["donor"] = data.obs["donor"].astype(str).replace({"p1": "p0"})
    data.write_h5ad(path)
    cohort = read_cohort(path)
    assert {"p0 case B", "p0 control B"} <= set(cohort.samples.names.tolist())
    assert len(np.unique(cohort.samples.donors)) == 7


def test_samples_of_no_arm_are_left_out_and_counted(tmp_path) -> None:
    path = bulk_file(tmp_path / "tissue.h5ad")
    data = anndata.read_h5ad(path)
    arms = data.obs["arm"].astype(str).to_numpy()
    arms[:5] = ""
    data.obs["arm"] = arms
    data.write_h5ad(path)
    cohort = read_cohort(path)
    assert len(cohort.samples) == 19
    assert "5 samples are neither" in cohort.notes[0]
    data.obs["arm"] = "case"
    data.write_h5ad(path)
    with pytest.raises(DataError, match="no cases or no controls"):
        read_cohort(path)


def test_arrays_have_a_scale_of_their_own_and_unknown_units_are_refused(tmp_path) -> None:
    path = bulk_file(tmp_path / "array.h5ad", units="log2")
    assert read_cohort(path).scale == "log2"
    assert read_cohort(path).samples.values == pytest.approx(anndata.read_h5ad(path).X, abs=1e-5)
    data = anndata.read_h5ad(path)
    data.uns["consilience"]["units"] = "parsecs"
    data.write_h5ad(path)
    with pytest.raises(DataError, match="units"):
        scale_of(path)


def test_a_value_that_is_missing_is_named(tmp_path) -> None:
    path = bulk_file(tmp_path / "tissue.h5ad")
    data = anndata.read_h5ad(path)
    data.X[3, 7] = np.nan
    data.write_h5ad(path)
    with pytest.raises(DataError, match=rf"s03.*{GENES[7]}"):
        read_cohort(path)


def test_variable_genes_are_chosen_without_labels(tmp_path) -> None:
    cohort = read_cohort(bulk_file(tmp_path / "tissue.h5ad"))
    chosen = most_variable(cohort, 20)
    variance = dict(zip(cohort.samples.genes, cohort.samples.values.var(axis=0), strict=True))
    assert min(variance[gene] for gene in chosen) >= max(
        variance[gene] for gene in GENES if gene not in chosen
    )
    assert list(chosen) == sorted(chosen)
    swapped = np.where(cohort.samples.labels == "case", "control", "case")
    from dataclasses import replace

    assert most_variable(replace(cohort, samples=replace(cohort.samples, labels=swapped)), 20) == chosen
    assert len(most_variable(cohort, 0)) == len(GENES)


def test_variance_between_cell_types_does_not_choose_genes(tmp_path) -> None:
    cohort = read_cohort(cells_file(tmp_path / "blood.h5ad"))
    values = cohort.samples.values.copy()
    values[cohort.cell_types == "B", -1] += 50  # tells the types apart, and varies within neither
    values[:, -1] -= values[:, -1] % 10
    from dataclasses import replace

    marked = replace(cohort, samples=replace(cohort.samples, values=values))
    assert GENES[-1] not in most_variable(marked, 30)
