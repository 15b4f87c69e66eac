"""GEO and GDC files, read by parsers of a few lines that know nothing of the library."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.expression.genes import load_gene_table
from consilience.foundation.errors import ConfigError
from consilience.foundation.files import sha256_of
from consilience.simulate.bulk import bulk_dispersion, simulate_bulk
from consilience.simulate.cohort import planned_phenotypes, write_cohort
from consilience.simulate.truth import Truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

Serve = Callable[..., Path]


def read_series(path: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Characteristics by sample title, and the names of all lines."""
    titles, samples, names = [], {}, []
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        name, *cells = next(csv.reader([line], delimiter="\t")) if line else [""]
        names.append(name)
        if name == "!Sample_title":
            titles = cells
            samples = {title: {} for title in titles}
        if name == "!Sample_characteristics_ch1":
            for title, cell in zip(titles, cells, strict=True):
                key, value = cell.split(": ", 1)
                samples[title][key] = value
    return samples, names


def read_counts(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", index_col=0)


def test_geo_series_matrix_holds_the_planned_phenotypes(
    serve: Serve, cohorts: dict[str, Cohort], settings: SimulationSection
) -> None:
    folder = serve("geo")
    samples, names = read_series(next(folder.glob("*_series_matrix.txt.gz")))
    planned = planned_phenotypes(cohort=cohorts["geo"], settings=settings)
    assert list(samples) == planned["sample"]
    for column in ("disease state", "subject id", "Sex", "batch"):
        served = [sample[column] for sample in samples.values()]
        differing = sum(a != b for a, b in zip(served, planned[column], strict=True))
        assert differing <= (1 if column == "Sex" else 0)  # a planted sex mismatch
    assert names.index("!series_matrix_table_begin") + 2 == names.index("!series_matrix_table_end")
    assert all(24 <= int(sample["age"]) < 80 for sample in samples.values())


def test_characteristics_rows_are_shifted_between_samples(serve: Serve) -> None:
    path = next(serve("geo").glob("*_series_matrix.txt.gz"))
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    rows = [
        next(csv.reader([line], delimiter="\t"))[1:]
        for line in lines
        if line.startswith("!Sample_characteristics_ch1")
    ]
    keys = [{cell.split(":")[0] for cell in row} for row in rows]
    assert any(len(one) > 1 for one in keys)


def test_geo_counts_are_whole_and_named_as_in_the_wild(serve: Serve, truth: Truth) -> None:
    counts = read_counts(next(serve("geo").glob("*_raw_counts.tsv.gz")))
    assert counts.index.is_unique
    assert (counts.dtypes == np.int64).all()
    assert len(counts) == len(truth.genes)
    table = load_gene_table()
    odd = [name for name in counts.index if name not in table.row_of]
    assert 0 < len(odd) < 0.05 * len(counts)
    causal = truth.genes.loc[truth.genes["causal"], "gene"]
    assert set(causal) <= set(counts.index)


def test_gdc_files_and_answer_agree(
    serve: Serve, cohorts: dict[str, Cohort], settings: SimulationSection, truth: Truth
) -> None:
    folder = serve("gdc")
    answer = json.loads((folder / "files.json").read_text())
    hits = answer["data"]["hits"]
    assert answer["data"]["pagination"]["total"] == len(hits) == 15
    planned = planned_phenotypes(cohort=cohorts["gdc"], settings=settings)
    got = {}
    for hit in hits:
        content = (folder / hit["file_id"] / hit["file_name"]).read_bytes()
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == hit["md5sum"]
        assert len(content) == hit["file_size"]
        case = hit["cases"][0]
        sample = case["samples"][0]
        got[sample["submitter_id"]] = (case["submitter_id"], sample["sample_type"])
        aliquot = hit["associated_entities"][0]["entity_submitter_id"]
        assert aliquot.startswith(sample["submitter_id"])
        assert len(aliquot.split("-")) == 7
    assert got == {
        sample: (case, kind)
        for sample, case, kind in zip(
            planned["sample"], planned["case_id"], planned["sample_type"], strict=True
        )
    }
    lines = content.decode().splitlines()
    assert lines[0].startswith("# gene-model")
    assert [line.split("\t")[0] for line in lines[2:6]] == [
        "N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous",
    ]  # fmt: skip
    table = pd.read_csv(folder / hit["file_id"] / hit["file_name"], sep="\t", skiprows=1).iloc[4:]
    assert table["gene_id"].str.fullmatch(r"ENSG\d{11}\.\d+(_PAR_Y)?").all()
    assert (table["stranded_first"] + table["stranded_second"] == table["unstranded"]).all()
    assert table["tpm_unstranded"].sum() == pytest.approx(1e6, rel=1e-3)
    plain = table[~table["gene_id"].str.endswith("_PAR_Y")]
    assert len(plain) == len(truth.genes)


def test_planted_outliers_look_like_what_they_are(serve: Serve, truth: Truth) -> None:
    folder = serve("geo")
    facts = pd.read_parquet(folder.parent / "samples.parquet").set_index("id")
    counts = read_counts(next(folder.glob("*_raw_counts.tsv.gz")))
    failed = facts.index[facts["outlier_kind"] == "failed_library"]
    swapped = facts.index[facts["outlier_kind"] == "swapped_tissue"]
    assert len(failed) == len(swapped) == 1
    sound = facts.index[~facts["outlier"]]
    depth, detected = counts.sum(), (counts > 0).sum()
    assert depth[failed[0]] < 0.1 * depth[sound].min()
    assert detected[failed[0]] < 0.8 * detected[sound].min()
    logs = np.log1p(counts / depth * 1e6)
    median = logs[sound].median(axis=1)
    distance = logs.sub(median, axis=0).pow(2).mean()
    assert distance[swapped[0]] > 1.5 * distance[sound].max()
    y_genes = ["RPS4Y1", "DDX3Y", "KDM5D", "UTY"]
    y_share = logs.loc[y_genes].mean()
    assert (
        y_share[facts.index[(facts["sex"] == "male") & ~facts["outlier"]]].min()
        > y_share[facts.index[(facts["sex"] == "female") & ~facts["outlier"]]].max()
    )


def test_manifest_lists_every_file_with_its_digest(serve: Serve) -> None:
    for name in ("geo", "gdc"):
        folder = serve(name)
        files = json.loads((folder / "manifest.json").read_text())["files"]
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert {file["name"] for file in files} == there - {"manifest.json"}
        assert all(sha256_of(folder / file["name"]) == file["sha256"] for file in files)
        assert all((folder / file["name"]).stat().st_size == file["bytes"] for file in files)


def test_the_same_seed_gives_the_same_bytes(serve: Serve) -> None:
    for name in ("geo", "gdc"):
        assert (serve(name) / "manifest.json").read_bytes() == (
            serve(name, again=1) / "manifest.json"
        ).read_bytes()


def test_dispersion_of_replicates_is_the_planted_one(truth: Truth) -> None:
    """Counts of one profile drawn often: the moment estimate of each gene's dispersion is its parameter."""
    from consilience.simulate.counts import draw_counts

    planted = bulk_dispersion(truth)
    share = np.exp(truth.expression.base)
    mean = np.tile((400_000 * share / share.sum()).astype(np.float32), (3000, 1))
    x = draw_counts(mean=mean, dispersion=planted, rng=np.random.default_rng(0)).dense(mean.shape[1])
    high = mean[0] > 30
    estimate = (x.var(axis=0) - x.mean(axis=0)) / x.mean(axis=0) ** 2
    ratio = estimate[high] / planted[high]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)
    assert np.quantile(np.abs(ratio - 1), 0.95) < 0.2
    low = (mean[0] > 1) & (mean[0] < 10)
    assert planted[low].mean() > 1.5 * planted[mean[0] > 1000].mean()  # the trend falls with abundance


def test_genes_of_a_program_are_correlated(truth: Truth, cohorts: dict[str, Cohort]) -> None:
    settings = SimulationSection.model_validate({
        "n_genes": 600, "n_causal_genes": 20, "n_causal_pathways": 2,
        "bulk": {"n_case": 1, "n_control": 150, "n_outliers": 0},
    })  # fmt: skip
    bulk = simulate_bulk(cohort=cohorts["geo"], settings=settings, truth=truth)
    logs = np.log1p(bulk.counts / bulk.counts.sum(axis=1, keepdims=True) * 1e6)
    batch = np.array([one.batch for one in bulk.planned])
    for name in set(batch):
        logs[batch == name] -= logs[batch == name].mean(axis=0)
    strong, free = [], []
    member = np.zeros(logs.shape[1], dtype=int)
    for rows in truth.programs.rows:
        member[rows] += 1
    for rows, loading in zip(truth.programs.rows, truth.programs.loadings, strict=True):
        kept = rows[(loading > 0.3) & (member[rows] == 1) & (truth.expression.base[rows] > 0)]
        if kept.size >= 2:
            pairs = np.corrcoef(logs[:, kept].T)[np.triu_indices(kept.size, 1)]
            strong.extend(pairs.tolist())
    outside = np.flatnonzero((member == 0) & (truth.expression.base > 0))[:40]
    free = np.corrcoef(logs[:, outside].T)[np.triu_indices(outside.size, 1)]
    assert np.mean(strong) > 0.2
    assert abs(np.mean(free)) < 0.1


def test_more_outliers_than_half_of_the_samples(
    truth_dir: Path, settings: SimulationSection, cohorts: dict[str, Cohort], tmp_path: Path
) -> None:
    too_many = settings.model_copy(update={"cohorts": {"geo": {"n_outliers": 9}}})
    with pytest.raises(ConfigError, match="n_outliers"):
        write_cohort(
            cohort=cohorts["geo"], settings=too_many, seed=7, truth_dir=truth_dir, served_dir=tmp_path / "served",
            samples_path=tmp_path / "samples.parquet", threads=1,
        )  # fmt: skip
    assert not any(tmp_path.iterdir())
