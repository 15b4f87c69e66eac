from dataclasses import dataclass, replace

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from consilience.foundation.errors import DataError, ModelError
from consilience.learning.samples import Samples
from consilience.rnagan.vectors import group_vectors, nearest, sample_vectors, vectors_table
from consilience.rnagan.vectors_evaluation import evaluate_vectors
from consilience.rnagan.vectors_export import add_to_h5ad, write_vectors
from rnagan.small_models import make_model, make_samples

G = 80


class Projection(nn.Module):
    """An encoder that keeps the genes of the class and few others; not observed genes count as the level 5."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(G, 64, generator=generator) / 8)
        with torch.no_grad():
            self.weight[20:] *= 0.1
        self.drop = nn.Dropout(0.5)
        self.seen = []

    def vectors(self, samples, *, observed=None):
        self.seen.append((len(samples), None if observed is None else int(observed.sum())))
        values = samples - 5
        if observed is not None:
            values = values * observed
        return self.drop(values @ self.weight)


@dataclass
class Model:
    genes: tuple
    discriminator: nn.Module


@pytest.fixture
def model():
    return Model(tuple(f"G{k}" for k in range(G)), Projection())


def make(n, seed=0, per_donor=1, batch_shift=0.0):
    rng = np.random.default_rng(seed)
    donors = np.repeat([f"d{seed}-{k}" for k in range(n)], per_donor)
    labels = np.where(np.arange(len(donors)) // per_donor % 2 == 0, "ill", "well")
    batches = np.where(np.arange(len(donors)) // per_donor % 3 == 0, "x", "y")
    values = 5 + rng.standard_normal((len(donors), G))
    values[:, :10] += 1.0 * (labels == "ill")[:, None]
    values[:, 40:] += batch_shift * (batches == "x")[:, None]
    names = np.array([f"s{seed}-{k}" for k in range(len(donors))])
    return Samples(
        values.astype(np.float32), tuple(f"G{k}" for k in range(G)), names, labels, donors, batches, "log1p"
    )


def test_vectors_do_not_depend_on_batches_and_leave_the_model_as_it_was(model, monkeypatch):
    samples = make(40)
    model.discriminator.train()
    whole = sample_vectors(model, samples)
    assert whole.shape == (40, 64)
    assert whole.dtype == np.float32
    assert model.discriminator.training
    monkeypatch.setattr("consilience.rnagan.vectors.BATCH", 7)
    assert np.allclose(sample_vectors(model, samples), whole, atol=1e-6)
    assert model.discriminator.seen[1] == (7, None)
    assert np.allclose(sample_vectors(model, samples.take(np.arange(40)[::-1])), whole[::-1], atol=1e-6)
    assert sample_vectors(model, samples.take(np.arange(0))).shape == (0, 64)


def test_a_real_model_has_what_is_needed():
    vectors = sample_vectors(make_model(), make_samples(seed=2), observed=np.arange(100) % 5 > 0)
    assert vectors.shape == (24, 64)
    assert len(np.unique(vectors.round(6), axis=0)) == 24


def test_other_genes_and_broken_values_are_refused(model):
    samples = make(6)
    with pytest.raises(ModelError, match="align"):
        sample_vectors(model, samples.of_genes(samples.genes[::-1]))
    samples.values[2, 3] = np.nan
    with pytest.raises(ModelError, match="s0-2"):
        sample_vectors(model, samples)


def test_a_donor_counts_once_in_its_group():
    samples = make(20, per_donor=3)
    vectors = np.random.default_rng(0).standard_normal((60, 4))
    keep = np.concatenate([np.arange(1), np.arange(3, 60)])
    found = group_vectors(vectors=vectors[keep], samples=samples.take(keep), n_resamples=2000)
    assert found.labels == ("ill", "well")
    assert found.n_donors == (10, 10)
    each = vectors.reshape(20, 3, 4).mean(axis=1)[::2]
    each[0] = vectors[0]
    assert np.allclose(found.mean[0], each.mean(axis=0))
    assert np.allclose(found.spread[0], each.std(axis=0) / np.sqrt(10), rtol=0.1)


def test_nearest_patients():
    references = np.array([[0.0], [1.0], [2.0], [10.0]])
    table = nearest(
        query_vectors=np.array([[0.9], [11.0]]), reference_vectors=references, query_names=np.array(["q1", "q2"]),
        names=np.array(["a", "b", "c", "d"]), labels=np.array(["x", "x", "y", "y"]), k=2,
        donors=(np.array(["B", "Q"]), np.array(["A", "B", "C", "D"])),
    )  # fmt: skip
    assert table["neighbour"].tolist() == ["a", "c", "d", "c"]
    assert table["rank"].tolist() == [1, 2, 1, 2]
    assert table["label"].tolist() == ["x", "y", "y", "y"]
    assert np.allclose(table["distance"], [0.9, 1.1, 1.0, 9.0])


def test_tables_and_obsm(model, tmp_path):
    samples = make(12)
    vectors = sample_vectors(model, samples)
    for name, read in (("v.parquet", pd.read_parquet), ("v.tsv", lambda path: pd.read_csv(path, sep="\t"))):
        write_vectors(tmp_path / name, names=samples.names, vectors=vectors)
        table = read(tmp_path / name)
        assert list(table.columns) == ["sample", *[f"v{k}" for k in range(64)]]
        assert table["sample"].tolist() == samples.names.tolist()
        assert np.allclose(table.iloc[:, 1:], vectors, atol=1e-5)
    assert vectors_table(samples.names, vectors).shape == (12, 65)
    with pytest.raises(DataError, match=r"\.parquet, \.tsv"):
        write_vectors(tmp_path / "v.csv", names=samples.names, vectors=vectors)
    data = anndata.AnnData(samples.values, obs=pd.DataFrame(index=samples.names.astype(str)))
    data.write_h5ad(tmp_path / "a.h5ad")
    add_to_h5ad(
        source=tmp_path / "a.h5ad",
        target=tmp_path / "b.h5ad",
        names=samples.names[:0:-1],
        vectors=vectors[:0:-1],
    )
    read = anndata.read_h5ad(tmp_path / "b.h5ad")
    assert np.allclose(read.obsm["X_rnagan"][1:], vectors[1:])
    assert np.isnan(read.obsm["X_rnagan"][0]).all()
    assert (samples.values == read.X).all()
    assert "X_rnagan" not in anndata.read_h5ad(tmp_path / "a.h5ad").obsm
    add_to_h5ad(source=tmp_path / "b.h5ad", target=tmp_path / "b.h5ad", names=samples.names, vectors=vectors)
    assert np.allclose(anndata.read_h5ad(tmp_path / "b.h5ad").obsm["X_rnagan"], vectors)
    with pytest.raises(DataError, match="not in this file"):
        add_to_h5ad(
            source=tmp_path / "a.h5ad",
            target=tmp_path / "c.h5ad",
            names=np.array(["who"]),
            vectors=vectors[:1],
        )
    assert not (tmp_path / "c.h5ad").exists()
    (tmp_path / "text.h5ad").write_text("no")
    with pytest.raises(DataError, match="no h5ad file"):
        add_to_h5ad(
            source=tmp_path / "text.h5ad", target=tmp_path / "c.h5ad", names=samples.names, vectors=vectors
        )


def test_an_encoder_that_knows_the_class_beats_components_that_know_the_batch(model):
    references, queries = make(60, seed=1, batch_shift=2.0), make(30, seed=2, batch_shift=2.0)
    found = evaluate_vectors(model, references=references, queries=queries, n_seeds=3, k=9)
    assert found.rnagan.accuracy.mean > found.pca.accuracy.mean + 0.05
    assert found.rnagan.mixing.mean > found.pca.mixing.mean + 0.1
    assert found.rnagan.rejection.mean < found.pca.rejection.mean
    assert found.rnagan.overlap_references.mean == 1
    assert found.overlap_chance < found.pca.overlap_genes.mean < 1
    assert found.chance == 0.5
    assert {entry[1] for entry in model.discriminator.seen} > {80}, "hidden genes are marked as not observed"
    plain = found.to_plain()
    assert plain["rnagan"]["accuracy"]["mean"] == found.rnagan.accuracy.mean
    one_batch = replace(references, batches=np.full(60, "")), replace(queries, batches=np.full(30, ""))
    alone = evaluate_vectors(model, references=one_batch[0], queries=one_batch[1], n_seeds=1)
    assert alone.to_plain()["pca"]["mixing"]["mean"] is None


def test_donors_on_both_sides_are_refused(model):
    with pytest.raises(DataError, match="both references and queries"):
        evaluate_vectors(model, references=make(10), queries=make(10))
