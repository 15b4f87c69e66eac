"""A bulk cohort of several blocks, prepared in blocks, against a plain reckoning with everything in memory."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from consilience.expression.bulk import wanted_samples
from consilience.expression.bulk_quality import sample_metrics
from consilience.expression.genes import load_gene_table
from consilience.expression.h5ad import write_h5ad
from consilience.expression.naming import name_genes
from consilience.expression.normalise import chosen_genes, comparable, normalise
from consilience.expression.prepare import prepare_cohort
from consilience.expression.quality import pca_distances, principal_components
from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of
from consilience.foundation.seeds import stream
from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.bulk.stored import Matrix, new_matrix
from consilience.study.cohorts import Cohort
from consilience.study.sections import BulkQuality, NormalisationSection, QualitySection

COHORT = Cohort("large", "bulk", "local", condition="group", case=("ill",), control=("well",), batch="run")
N, P, N_TOP = 520, 1300, 60
FAILED, SWAPPED = 3, 301


@dataclass(frozen=True)
class Cast:
    """`counts` (samples, ids) as written, `ids`, the symbol of each id ("" for none), `arms`, `runs`."""

    counts: np.ndarray
    ids: list[str]
    symbols: list[str]
    arms: np.ndarray
    runs: np.ndarray


def draw() -> Cast:
    """Two arms, three runs, a failed and a foreign sample; ids of one gene, an unknown one, rare, silent genes."""
    rng, table = stream(11, "large"), load_gene_table()
    coding = [one for one in table.symbols_of(gene_type="protein_coding", chromosome="1")
              if table.ensembl_ids[table.row_of[one]]][:P]  # fmt: skip
    assert len(coding) == P
    arms, runs = np.arange(N) % 2, np.arange(N) % 3
    log_mean = rng.normal(3.5, 1.2, P) + rng.normal(0, 0.2, (N, 4)) @ rng.normal(0, 1, (4, P))
    log_mean += 0.8 * arms[:, None] * (np.arange(P) % 7 == 0)
    log_mean += 0.5 * (runs == 1)[:, None] * (np.arange(P) % 5 == 0)
    log_mean[SWAPPED] += rng.normal(-0.9, 1.4, P)
    log_mean[:, 900:930] = -3.0
    depth = rng.uniform(0.7, 1.4, N)
    depth[FAILED] = 0.01
    counts = rng.poisson(np.exp(log_mean) * depth[:, None])
    counts[:, 950:980] = 0
    again = [table.ensembl_ids[table.row_of[one]] for one in coding[40:50]]
    more = rng.poisson(5.0, (N, 11))
    return Cast(
        np.hstack([counts, more]),
        [*coding, *again, "no such gene"],
        [*coding, *coding[40:50], ""],
        arms,
        runs,
    )


def write_raw(folder: Path, cast: Cast) -> Path:
    folder.mkdir()
    names = [f"S{k:03d}" for k in range(N)]
    pd.DataFrame(cast.counts.T, index=pd.Index(cast.ids, name="gene"), columns=names).to_csv(
        folder / "t.tsv", sep="\t"
    )
    group = np.where(cast.arms == 1, "ill", "well")
    pd.DataFrame({"sample": names, "group": group, "run": cast.runs}).to_csv(
        folder / "t.samples.tsv", sep="\t", index=False
    )
    files = [{"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path), "url": ""}
             for path in sorted(folder.iterdir())]  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps({"cohort": "large", "files": files}))
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("blocks")
    raw = write_raw(out / "raw", draw())
    prepare_cohort(
        cohort=COHORT, raw_dir=raw, quality=QualitySection(), seed=1, min_samples_per_arm=3,
        normalisation=NormalisationSection(highly_variable_genes=N_TOP),
        expression_path=out / "e.h5ad", removed_path=out / "removed.parquet", qc_path=out / "qc.json",
    )  # fmt: skip
    return out


def named(cast: Cast) -> pd.DataFrame:
    """Counts by symbol, (samples, genes): ids of one gene added, unknown and silent ones left out."""
    frame = pd.DataFrame(cast.counts.T, index=cast.symbols)
    summed = frame[frame.index != ""].groupby(level=0, sort=False).sum()
    return summed[summed.sum(axis=1) > 0].T


def well_counted(counts: pd.DataFrame) -> pd.DataFrame:
    quality = BulkQuality()
    enough = (counts >= quality.min_count).sum() >= ceil(quality.min_samples * len(counts))
    return counts.loc[:, enough]


def logs(counts: pd.DataFrame, library: np.ndarray) -> np.ndarray:
    return np.log1p(counts.to_numpy() / library[:, None] * 1e6)


def distances(cast: Cast, sound: np.ndarray) -> np.ndarray:
    """What five directions of the core, by a singular value decomposition in gene space, leave of each sample."""
    counts = well_counted(named(cast).loc[sound])
    left = logs(counts, counts.sum(axis=1).to_numpy())
    for labels in (cast.arms[sound], cast.runs[sound]):
        for label in np.unique(labels):
            left[labels == label] -= np.median(left[labels == label], axis=0)
    core = np.argsort((left**2).sum(axis=1), kind="stable")[: ceil(0.75 * len(left))]
    basis = np.linalg.svd(left[core], full_matrices=False)[2][:5]
    return np.sqrt(((left - left @ basis.T @ basis) ** 2).mean(axis=1))


def test_metrics_and_verdicts_are_those_of_the_plain_reckoning(prepared: Path) -> None:
    cast, record = draw(), json.loads((prepared / "qc.json").read_text())
    samples = record["samples"]
    assert [k for k in range(N) if not samples[k]["kept"]] == [FAILED, SWAPPED]
    assert samples[SWAPPED]["reasons"] == ["pca_distance"]
    of = {name: np.array([one["metrics"][name] for one in samples], dtype=float)
          for name in ("library_size", "n_genes", "pca_distance")}  # fmt: skip
    np.testing.assert_array_equal(of["library_size"], cast.counts.sum(axis=1))
    np.testing.assert_array_equal(of["n_genes"], (cast.counts > 0).sum(axis=1))
    sound = np.arange(N) != FAILED
    assert np.isnan(of["pca_distance"][FAILED])
    np.testing.assert_allclose(of["pca_distance"][sound], distances(cast, np.flatnonzero(sound)), rtol=1e-5)
    assert (record["n_in"], record["n_kept"], record["n_genes_in"]) == (N, N - 2, P + 11)


def test_the_file_is_that_of_the_plain_reckoning(prepared: Path) -> None:
    data, cast = anndata.read_h5ad(prepared / "e.h5ad"), draw()
    counts = well_counted(named(cast).drop(index=[FAILED, SWAPPED]))
    assert list(data.obs_names) == [f"S{k:03d}" for k in counts.index]
    assert list(data.var_names) == list(counts.columns)
    np.testing.assert_array_equal(data.layers["counts"], counts)
    assert (data.layers["counts"].dtype, data.X.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(data.var["n_samples"], (counts > 0).sum())
    in_all = np.log(counts.loc[:, (counts > 0).all()].to_numpy())
    factors = np.exp(np.median(in_all - in_all.mean(axis=0), axis=1))
    np.testing.assert_allclose(data.obs["size_factor"], factors, rtol=1e-12)
    library = factors / np.exp(np.log(factors).mean()) * np.exp(np.log(counts.sum(axis=1)).mean())
    x = logs(counts, library)
    np.testing.assert_allclose(data.X, x, rtol=2e-7, atol=1e-7)
    np.testing.assert_allclose(data.var["mean"], x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(data.var["variance"], x.var(axis=0), rtol=1e-5)
    top = np.argsort(-x.var(axis=0), kind="stable")[:N_TOP]
    assert set(np.flatnonzero(data.var["highly_variable"])) == set(top)


def test_the_embedding_is_that_of_the_plain_reckoning(prepared: Path) -> None:
    cast, record = draw(), json.loads((prepared / "qc.json").read_text())
    counts = named(cast)
    kept = counts[well_counted(counts.drop(index=[FAILED, SWAPPED])).columns]
    values = logs(kept, kept.sum(axis=1).to_numpy())
    u, s, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    points = record["embedding"]["points"]
    for name, k in (("x", 0), ("y", 1)):
        expected = u[:, k] * s[k]
        expected *= np.sign(expected[np.argmax(np.abs(expected))])
        np.testing.assert_allclose([one[name] for one in points], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(record["embedding"]["explained"], (s**2 / (s**2).sum())[:2], rtol=1e-5)


def test_no_scratch_is_left(prepared: Path) -> None:
    assert sorted(path.name for path in prepared.iterdir()) == ["e.h5ad", "qc.json", "raw", "removed.parquet"]


def steps(values: Matrix, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Distances and components of all samples but two, which also go into a file."""
    rows = np.delete(np.arange(values.shape[0]), [7, 100])
    chosen, _ = chosen_genes(values, rows=rows, units="counts", quality=BulkQuality())
    labels = ["a" if row % 2 else "b" for row in rows]
    found = pca_distances(log_expression=comparable(chosen, units="counts"), groups=labels)
    made = normalise(
        values, rows=rows, units="counts", quality=BulkQuality(), normalisation=NormalisationSection()
    )
    scores = principal_components(made.x, n_components=2).scores
    genes = [f"G{k}" for k in np.flatnonzero(made.kept)]
    tables = anndata.AnnData(
        obs=pd.DataFrame(index=[f"S{row}" for row in rows]), var=pd.DataFrame(index=genes)
    )
    assert made.counts is not None
    write_h5ad(path, tables, x=made.x, layers={"counts": made.counts})
    return found.distance, scores


def stored(path: Path, counts: np.ndarray) -> Matrix:
    matrix = new_matrix((counts.shape[0], counts.shape[1]), dtype=np.int32, path=path)
    matrix[slice(0, counts.shape[0])] = counts
    return matrix


def test_from_a_file_and_from_memory_comes_the_same(tmp_path: Path) -> None:
    counts = stream(5, "same").poisson(stream(5, "mean").lognormal(2, 1, 3000), (300, 3000)).astype(np.int32)
    inside = steps(counts, tmp_path / "memory.h5ad")
    outside = steps(stored(tmp_path / "m.h5", counts), tmp_path / "file.h5ad")
    for one, other in zip(outside, inside, strict=True):
        np.testing.assert_array_equal(one, other)
    assert sha256_of(tmp_path / "file.h5ad") == sha256_of(tmp_path / "memory.h5ad")


def test_selected_samples_of_a_file_are_those_of_memory(tmp_path: Path) -> None:
    cast, table = draw(), load_gene_table()
    counts = cast.counts.astype(np.int32)
    columns = {"run": tuple(str(one) for one in cast.runs)}
    samples = tuple(f"S{k}" for k in range(N))
    chosen = replace(COHORT, select="run=0|2")
    found = []
    for values, scratch in ((counts, None), (stored(tmp_path / "m.h5", counts), tmp_path)):
        matrix = wanted_samples(BulkMatrix(values, samples, tuple(cast.ids), columns), cohort=chosen)
        genes = name_genes(matrix, table=table, where="x", scratch=scratch)
        found.append((matrix.samples, genes.symbols, genes.values[:], sample_metrics(matrix, named=genes)))
    assert len(found[0][0]) == np.isin(cast.runs, (0, 2)).sum()
    assert found[0][:2] == found[1][:2]
    np.testing.assert_array_equal(found[0][2], found[1][2])
    np.testing.assert_array_equal(found[0][2], named(cast)[np.isin(cast.runs, (0, 2))])
    for name, values in found[0][3].items():
        np.testing.assert_array_equal(values, found[1][3][name])


def test_memory_does_not_grow_with_the_matrix(tmp_path: Path) -> None:
    """Of thrice the samples (25 MB more of counts) it grows by less than a quarter of that."""
    peaks = []
    for n in (256, 768):
        counts = stored(tmp_path / f"{n}.h5", stream(6, n).poisson(8.0, (n, 12_000)).astype(np.int32))
        tracemalloc.start()
        steps(counts, tmp_path / "e.h5ad")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 512 * 12_000, peaks


def test_a_file_that_reads_back_otherwise_is_refused(tmp_path: Path) -> None:
    class Fickle:
        """Values that change each time they are asked for, as a failing disk would."""

        shape, dtype, asked = (3, 2), np.dtype(np.float32), 0

        def __getitem__(self, key: object) -> np.ndarray:
            self.asked += 1
            return np.full(self.shape, self.asked, dtype=np.float32)

    tables = anndata.AnnData(obs=pd.DataFrame(index=list("abc")), var=pd.DataFrame(index=list("xy")))
    with pytest.raises(DataError, match="not what can be read back"):
        write_h5ad(tmp_path / "e.h5ad", tables, x=Fickle(), layers={})
    assert not list(tmp_path.iterdir())
