"""The cells of each type out of prepared files, however these hold them."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest

from causal.dml.small_cells import GENES, counts_and_obs, write_cells
from consilience.causal.dml.cells_file import ALL_CELLS, batches, open_cells, plan_types, read_types
from consilience.causal.dml.gene_choice import seen_genes, with_genes
from consilience.foundation.errors import DataError

COUNTS, OBS = counts_and_obs(donors=8, cells=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cells")
    write_cells(made / "whole.h5ad", COUNTS, OBS)
    write_cells(made / "streamed.h5ad", COUNTS, OBS, with_x=False)
    return made


def opened(path, **more):
    return open_cells(path, covariates=["batch", "age", "smoking"], **more)


@pytest.mark.parametrize("name", ["whole", "streamed"])
def test_each_type_has_its_own_cells_sorted_by_donor(folder, name):
    source = opened(folder / f"{name}.h5ad")
    plan = plan_types(source, min_cells=5, min_donors=3)
    assert [one.cell_type for one in plan.types] == ["B", "T"]
    assert source.missing == ("smoking",)
    logged = np.log1p(COUNTS / OBS["size_factor"].to_numpy()[:, None])
    for one, matrix in zip(plan.types, read_types(source, plan.types), strict=True):
        mine = OBS.iloc[one.rows]
        assert (mine["cell_type"] == one.cell_type).all()
        assert len(mine) == (OBS["cell_type"] == one.cell_type).sum()
        assert (np.diff(one.donor) >= 0).all()
        assert [one.donors[number] for number in one.donor] == mine["donor"].tolist()
        arms = dict(zip(OBS["donor"], OBS["arm"], strict=True))
        assert one.disease.tolist() == [float(arms[donor] == "case") for donor in one.donors]
        assert matrix.toarray() == pytest.approx(logged[one.rows], abs=1e-5)
        assert matrix.has_canonical_format


def test_batches_hold_no_more_than_the_limit(folder):
    source = opened(folder / "whole.h5ad")
    plan = plan_types(source, min_cells=5, min_donors=3)
    sizes = [int(source.entries[one.rows].sum()) for one in plan.types]
    assert [len(one) for one in batches(plan.types, source.entries, limit=max(sizes))] == [1, 1]
    assert [len(one) for one in batches(plan.types, source.entries, limit=1)] == [1, 1]
    assert [len(one) for one in batches(plan.types, source.entries)] == [2]


def test_types_with_few_donors_are_told_and_few_cells_do_not_count(folder):
    source = opened(folder / "whole.h5ad")
    assert set(plan_types(source, min_cells=5, min_donors=5).skipped) == {"B", "T"}
    counts, obs = COUNTS, OBS.copy()
    obs.loc[(obs["donor"] == "P03") & (np.arange(len(obs)) % 2 == 0), "cell_type"] = "T"
    write_cells(folder / "few.h5ad", counts, obs)
    mine = int(((obs["donor"] == "P03") & (obs["cell_type"] == "B")).sum())
    plan = plan_types(opened(folder / "few.h5ad"), min_cells=mine + 1, min_donors=3)
    assert plan.types[0].few == ("P03",)
    assert "P03" not in plan.types[0].donors


def test_one_donor_an_arm_is_never_enough(folder):
    obs = OBS[OBS["donor"].isin(["P00", "P01"])]
    write_cells(folder / "two.h5ad", COUNTS[OBS["donor"].isin(["P00", "P01"])], obs)
    plan = plan_types(opened(folder / "two.h5ad"), min_cells=1, min_donors=1)
    assert plan.types == ()
    assert "1 case and 1 control" in plan.skipped["B"]


def test_a_donor_in_both_arms_is_left_out_and_named(folder):
    obs = OBS.copy()
    obs.loc[obs.index[np.flatnonzero(obs["donor"] == "P00")[:4]], "arm"] = "case"
    write_cells(folder / "both.h5ad", COUNTS, obs)
    plan = plan_types(opened(folder / "both.h5ad"), min_cells=5, min_donors=3)
    assert plan.both_arms == ("P00",)
    assert all("P00" not in one.donors for one in plan.types)


def test_cells_without_types_are_one_type(folder):
    write_cells(folder / "untyped.h5ad", COUNTS, OBS.drop(columns="cell_type"))
    (one,) = plan_types(opened(folder / "untyped.h5ad"), min_cells=5, min_donors=3).types
    assert one.cell_type == ALL_CELLS
    assert one.rows.size == len(OBS)


def test_missing_columns_and_numbers_that_are_none_are_named(folder):
    write_cells(folder / "bare.h5ad", COUNTS, OBS.drop(columns="donor"))
    with pytest.raises(DataError, match="no column donor"):
        opened(folder / "bare.h5ad")
    write_cells(folder / "nan.h5ad", COUNTS, OBS)
    with h5py.File(folder / "nan.h5ad", "r+") as file:
        file["X/data"][3] = np.nan
    source = opened(folder / "nan.h5ad")
    with pytest.raises(DataError, match="no finite numbers"):
        read_types(source, plan_types(source, min_cells=5, min_donors=3).types)


def test_latents_belong_to_cells_by_name(folder):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"cell": OBS.index, "fold": 0, "l0": rng.normal(size=len(OBS)), "l1": 1.0})
    table.sample(frac=1, random_state=1).to_parquet(folder / "latent.parquet")
    source = opened(folder / "whole.h5ad", latent=folder / "latent.parquet")
    assert source.latents == pytest.approx(table[["l0", "l1"]].to_numpy())
    table.iloc[:-3].to_parquet(folder / "short.parquet")
    with pytest.raises(DataError, match=f"3 of {len(OBS)} cells"):
        opened(folder / "whole.h5ad", latent=folder / "short.parquet")
    table.drop(columns=["l0", "l1"]).to_parquet(folder / "none.parquet")
    with pytest.raises(DataError, match="no table of latent numbers"):
        opened(folder / "whole.h5ad", latent=folder / "none.parquet")


def test_genes_are_counted_and_taken_out(folder):
    source = opened(folder / "whole.h5ad")
    plan = plan_types(source, min_cells=5, min_donors=3).types[0]
    matrix = read_types(source, [plan])[0]
    dense = matrix.toarray()
    dense[:, 4] = 0
    dense[:, 5] = np.where(plan.donor == 1, dense[:, 5] + 1, 0)
    dense[:, 6] = 0
    dense[3, 6] = 1
    from scipy import sparse

    stored = sparse.csr_matrix(dense.astype(np.float32))
    stored.data[0] = 0  # a zero that is written down is a zero
    dense = stored.toarray()
    seen = seen_genes(stored, plan.donor, min_expressed=0.05)
    assert (seen.cells == (dense > 0).sum(0)).all()
    assert seen.mean == pytest.approx(dense.mean(0), rel=1e-5)
    by_hand = [len(set(plan.donor[dense[:, gene] > 0])) for gene in range(GENES)]
    assert seen.donors.tolist() == by_hand
    assert seen.reason[[4, 5, 6]].tolist() == ["not_expressed", "few_donors_express", "rarely_expressed"]
    kept = seen.kept
    assert not kept[[4, 5, 6]].any()
    smaller = with_genes(stored, kept)
    assert (smaller.toarray() == dense[:, kept]).all()
    assert smaller.has_canonical_format
    assert (smaller.data != 0).all()
