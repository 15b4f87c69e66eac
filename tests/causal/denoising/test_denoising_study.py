"""The whole step on a small cohort: no label, any order, restored equal, what it finds, tiny cohorts."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from causal.denoising.small_cells import cells, permuted, write
from consilience.causal.denoising import training
from consilience.causal.denoising.cohort import open_cells
from consilience.causal.denoising.denoiser import denoised, denoised_genes, load_denoiser
from consilience.causal.denoising.figures import share_between
from consilience.causal.denoising.study import write_denoised
from consilience.foundation.errors import DataError, ModelError
from consilience.study.causal import DenoisingSection
from consilience.study.sections import PathwaysSection

SHORT = {"folds": 2, "latent": 3, "effort": 0.2}


def run(path, out, *, seed=1, pathways=None, settings_pathways="none", **settings):
    out.mkdir()
    section = DenoisingSection(**{**SHORT, **settings, "pathways": settings_pathways})
    write_denoised(path, out_dir=out, settings=section, pathways=pathways, seed=seed)
    return pd.read_parquet(out / "latent.parquet").set_index("cell"), json.loads(
        (out / "denoising.json").read_text()
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One run on 6 donors."""
    folder = tmp_path_factory.mktemp("denoising")
    counts, log_rate, obs = cells()
    path = write(folder / "cells.h5ad", counts, obs)
    latent, record = run(path, folder / "out")
    return folder, path, counts, log_rate, obs, latent, record


def test_what_is_written(done):
    _, _, counts, _, obs, latent, record = done
    assert list(latent.columns) == ["fold", "l0", "l1", "l2"]
    assert latent.index.tolist() == obs.index.tolist()
    values = latent[["l0", "l1", "l2"]].to_numpy()
    assert np.isfinite(values).all()
    assert values.dtype == np.float32
    assert latent.groupby(obs["donor"].astype(str))["fold"].nunique().eq(1).all()
    assert sum(fold["cells"] for fold in record["folds"]) == len(counts)
    nll = record["reconstruction"]["nll_per_count"]
    assert set(nll) == {"network", "gene_mean", "cell_type_mean", "pca", "neighbours"}
    assert nll["network"] < nll["gene_mean"]
    assert record["permuted_labels"]["rejected"] == pytest.approx(0.05, abs=0.05)


def test_labels_cannot_enter(done, tmp_path):
    """Other labels: the same bits."""
    _, _, counts, _, obs, latent, _ = done
    labels = np.random.default_rng(0).permutation(obs["condition"])
    path = write(tmp_path / "cells.h5ad", counts, obs.assign(condition=pd.Categorical(labels)))
    found, record = run(path, tmp_path / "out")
    pd.testing.assert_frame_equal(found, latent, check_exact=True)
    assert "condition" not in record["columns_read"]


def test_columns_of_the_file_that_are_opened(done, monkeypatch, tmp_path):
    """Not even looked at: the reader never asks for another column than it says."""
    from consilience.expression.store import Expression

    _, path, _, _, _, _, record = done
    asked = set()
    for name in ("obs", "obs_numbers"):
        original = getattr(Expression, name)
        monkeypatch.setattr(
            Expression, name, lambda self, column, kept=original: asked.add(column) or kept(self, column)
        )
    run(path, tmp_path / "out", effort=0.05)
    assert asked <= set(record["columns_read"])


def test_order_storage_and_threads_do_not_matter(done, tmp_path):
    _, _, counts, _, obs, latent, _ = done
    rng = np.random.default_rng(2)
    rows, genes = rng.permutation(len(counts)), rng.permutation(counts.shape[1])
    shuffled, other = permuted(counts, obs, rows, genes)
    names = [f"G{number:03d}" for number in genes]
    path = write(tmp_path / "cells.h5ad", shuffled, other, genes=names, with_x=False)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the global state must not matter
    found, _ = run(path, tmp_path / "out")
    pd.testing.assert_frame_equal(found.loc[latent.index], latent, rtol=0, atol=1e-4)
    assert (found.loc[latent.index, "fold"] == latent["fold"]).all()


def test_another_seed_gives_another_network(done, tmp_path):
    _, path, _, _, _, latent, _ = done
    other, _ = run(path, tmp_path / "seed", seed=2, effort=0.1)
    assert not np.allclose(other["l0"], latent["l0"], atol=1e-3)


@pytest.mark.slow
def test_pools_that_do_not_fit_in_memory_learn_as_well(done, monkeypatch):
    """Reading other cells every epoch ends as near as reading all of them at once."""
    _, path, _, _, _, _, _ = done
    monkeypatch.setattr(training, "POOL_EPOCHS", 1)
    one = open_cells(path, genes=0)
    test = one.donor == 0
    held = training.held_out(one, test, seed=3)
    losses = [
        held.loss(training.learned(one, ~test, wiring=None, seed=1,
                                   recipe=training.Recipe(latent=3, pool=pool, effort=0.4)).network)
        for pool in (1_000, 80)
    ]  # fmt: skip
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_restored_models_give_the_same_numbers(done):
    folder, path, counts, _, _, latent, _ = done
    model = folder / "out" / "model"
    one = load_denoiser(model)
    assert denoised_genes(model) == denoised_genes(one) == tuple(f"G{number:03d}" for number in range(60))
    every = np.concatenate([values for _, values in denoised(model, path)])
    assert every.shape == counts.shape
    assert every.dtype == np.float32
    rows = np.random.default_rng(0).permutation(len(counts))[:70]
    rows = np.append(rows, rows[:3])  # the same cell twice
    found = np.full((73, 60), np.nan, np.float32)
    for places, values in denoised(one, path, rows):
        found[places] = values
    np.testing.assert_allclose(found, every[rows], rtol=1e-4, atol=1e-5)
    cohort = open_cells(path, genes=0)
    for at, block in cohort.blocks():
        again = one.latents(block, cohort.size_factor[at], cohort.donor[at])
        np.testing.assert_allclose(again, latent.iloc[at, 1:], atol=1e-4)


def test_denoised_is_nearer_to_the_truth_than_what_was_counted(done):
    folder, path, counts, log_rate, obs, _, _ = done
    found = np.concatenate([values for _, values in denoised(folder / "out" / "model", path)])
    seen = np.log1p(counts / obs["size_factor"].to_numpy()[:, None])
    true = np.log1p(np.exp(log_rate))
    errors = [np.mean((one - true) ** 2) for one in (found, seen)]
    assert errors[0] < 0.5 * errors[1]


def test_effects_of_disease_survive(tmp_path):
    """A shift in the patients' cells of one type is in the denoised values, though no label was read."""
    counts, _, obs = cells(n_donors=8, per_donor=60, disease=1.2, seed=3)
    path = write(tmp_path / "cells.h5ad", counts, obs)
    run(path, tmp_path / "out")
    found = np.concatenate([values for _, values in denoised(tmp_path / "out" / "model", path)])
    seen = np.log1p(counts / obs["size_factor"].to_numpy()[:, None])
    ill, mine = (obs["condition"] == "ill").to_numpy(), (obs["cell_type"] == "a").to_numpy()
    shift, due = (
        one[ill & mine][:, :5].mean(axis=0) - one[~ill & mine][:, :5].mean(axis=0) for one in (found, seen)
    )
    strong = due > 0.5
    assert strong.sum() == 3
    assert (shift[strong] > 0.55 * due[strong]).all()  # drawn towards 0 where a donor has few cells
    np.testing.assert_allclose(shift, due, atol=0.35)


def test_donor_that_is_unknown_is_refused(done, tmp_path):
    folder, _, counts, _, obs, _, _ = done
    other = obs.assign(donor=obs["donor"].astype(str).replace("D03", "D99"))
    path = write(tmp_path / "cells.h5ad", counts, other)
    with pytest.raises(DataError, match="does not know; found 'D99'"):
        list(denoised(folder / "out" / "model", path))


def test_damaged_model_is_refused(done, tmp_path):
    import shutil

    folder, *_ = done
    shutil.copytree(folder / "out" / "model", tmp_path / "model")
    (tmp_path / "model" / "card.md").write_text("other")
    with pytest.raises(ModelError, match="card"):
        load_denoiser(tmp_path / "model")


@pytest.mark.parametrize("sizes", [(1, 12), (2, 6), (3, 2)])
def test_tiny_cohorts(sizes, tmp_path):
    counts, _, obs = cells(n_donors=sizes[0], per_donor=sizes[1], n_genes=15)
    path = write(tmp_path / "cells.h5ad", counts, obs)
    latent, record = run(path, tmp_path / "out", folds=3, latent=4, effort=0.1)
    assert np.isfinite(latent.to_numpy()).all()
    assert len(record["folds"]) == sizes[0]
    assert record["permuted_labels"]["rejected"] is None
    assert np.isfinite(
        np.concatenate([values for _, values in denoised(tmp_path / "out" / "model", path)])
    ).all()


@pytest.mark.parametrize("mode", ["learned", "fixed"])
def test_pathways_zeros_and_one_network(mode, tmp_path):
    from consilience.pathways.gene_sets import load_gene_sets

    counts, _, obs = cells(n_donors=4, per_donor=30, n_genes=40)
    known = [sorted(one.genes) for one in load_gene_sets(["hallmark"])[:2]]
    symbols = sorted({*known[0][:20], *known[1][:20]})[:35]
    symbols += [f"ZZ{number}" for number in range(40 - len(symbols))]
    path = write(tmp_path / "cells.h5ad", counts, obs, genes=symbols)
    section = PathwaysSection(gene_sets=["hallmark"], min_genes=10, min_coverage=0.05)
    latent, record = run(
        path, tmp_path / "out", pathways=section, folds=1, likelihood="zinb", settings_pathways=mode
    )
    assert record["n_pathways"] >= 1
    assert 0 < record["genes_in_pathways"] < 40
    assert not record["reconstruction"]["left_out"]
    assert np.isfinite(latent.to_numpy()).all()
    one = load_denoiser(tmp_path / "out" / "model")
    layer = one.networks[0].pathways
    assert layer is not None
    assert layer.learned == (mode == "learned")
    assert one.networks[0].zeros


def test_share_between_is_free_of_chance():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 30)
    nothing = rng.standard_normal((600, 40))
    assert share_between(nothing, group) < 0.01
    shifted = nothing + rng.standard_normal((20, 40))[group]
    assert share_between(shifted, group) == pytest.approx(0.5, abs=0.08)
    assert share_between(nothing, np.zeros(600, int)) == 0.0


def test_file_without_counts_is_refused(done, tmp_path):
    import shutil

    _, path, *_ = done
    shutil.copy(path, tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        del file["layers/counts"]
    with pytest.raises(DataError, match="learns from counts"):
        open_cells(tmp_path / "cells.h5ad", genes=0)
