"""Real bulk data, as GEO serves it and as RNAseqDB published it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from consilience.expression.genes import load_gene_table, resolve
from consilience.expression.prepare import prepare_cohort
from consilience.expression.store import open_expression
from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of
from consilience.sources.bulk.tables import read_count_table
from consilience.sources.fetch import fetch_cohort
from consilience.sources.formats import samples_table_of
from consilience.sources.gdc.hits import read_hits
from consilience.sources.phenotypes import peek_phenotypes
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection, NormalisationSection, QualitySection

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize("name", ["Search_and_Retrieval_013.malformed.json", "Search_and_Retrieval_001.json"])
def test_answers_that_are_no_list_of_count_files_are_refused(kit: Path, name: str) -> None:
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read_hits(kit / "gdc_as_served" / "api_answers" / name)


def prepared(out: Path, cohort: Cohort, *, least: int = 3) -> tuple[anndata.AnnData, dict]:
    """Fetch and prepare a cohort of the kit as its user would."""
    fetch_cohort(cohort=cohort, served_dir=None, raw_dir=out / "raw", folder=Path(), settings=FetchSection())
    prepare_cohort(
        cohort=cohort, raw_dir=out / "raw", quality=QualitySection(), normalisation=NormalisationSection(),
        min_samples_per_arm=least, seed=1, expression_path=out / "e.h5ad", removed_path=out / "r.parquet",
        qc_path=out / "qc.json",
    )  # fmt: skip
    opened = open_expression(out / "e.h5ad")
    data = anndata.read_h5ad(out / "e.h5ad")
    assert opened.shape == data.shape
    return data, json.loads((out / "qc.json").read_text())


MATRICES = {
    "tcga_kich": ({"condition": "group", "case": ("tumor",), "control": ("normal",)}, 85, {"case": 59, "control": 25}),
    "tcga_chol": ({"condition": "group", "case": ("tumor",), "control": ("normal",)}, 40, {"case": 31, "control": 9}),
    "tcga_lihc_kirc_thca_normals": ({"role": "pretrain"}, 173, {}),
    "gtex_kidney_bladder": ({"role": "pretrain"}, 43, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", MATRICES)
def test_every_matrix_of_the_kit_is_prepared_as_a_users_own_table(
    name: str, kit: Path, tmp_path: Path
) -> None:
    sheet, n_samples, arms = MATRICES[name]
    location = str(kit / "bulk" / f"{name}.counts.parquet")
    data, record = prepared(tmp_path, Cohort("c", "bulk", "local", location=location, **sheet))
    assert record["n_in"] == n_samples
    assert record["n_kept"] >= 0.97 * n_samples
    assert record["arms"] == arms
    assert record["n_genes_kept"] > 16_000
    assert record["units"] == "counts"
    assert data.layers["counts"].dtype == np.int32
    assert (tmp_path / "raw" / "provenance.json").is_file()


def test_samples_are_selected_by_a_column_of_the_users_table(kit: Path, tmp_path: Path) -> None:
    location = str(kit / "bulk" / "tcga_lihc_kirc_thca_normals.counts.parquet")
    cohort = Cohort("c", "bulk", "local", location=location, role="pretrain", select="project=KIRC|LIHC")
    data, record = prepared(tmp_path, cohort)
    assert set(data.obs["project"]) == {"KIRC", "LIHC"}
    assert record["n_in"] == 120
    assert any("53 of 173 samples are not of" in message["text"] for message in record["messages"])


def test_peac_pathotypes_are_read_as_the_logarithms_that_they_are(kit: Path, tmp_path: Path) -> None:
    location = str(kit / "bulk" / "peac_ra_synovium_500genes.rlog.tsv.gz")
    sheet = {"location": location, "condition": "Pathotype", "case": ("Lymphoid",), "control": ("Fibroid",)}
    with pytest.raises(DataError, match="look like log2, say so in 'units'"):
        prepared(tmp_path / "claimless", Cohort("c", "bulk", "local", **sheet))
    data, record = prepared(tmp_path / "log2", Cohort("c", "bulk", "local", units="log2", **sheet))
    assert record["arms"] == {"case": 45, "control": 16}
    assert list(data.layers) == []
    source = pd.read_csv(location, sep="\t", index_col=0)
    np.testing.assert_allclose(
        data[:, "TNFRSF13C"].X.ravel(), source.loc["TNFRSF13C", list(data.obs_names)], rtol=1e-5
    )
    case = (data.obs["arm"] == "case").to_numpy()
    control = (data.obs["arm"] == "control").to_numpy()
    difference = data[case].X.mean(axis=0) - data[control].X.mean(axis=0)
    assert difference[list(data.var_names).index("TNFRSF13C")] > 0.8  # the BAFF receptor of B cells


def test_gse55235_becomes_an_array_cohort_with_the_right_groups(kit: Path, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    for name in ("GSE55235_series_matrix.txt.gz", "GPL96_probe_to_symbol.tsv.gz"):
        shutil.copy(kit / "geo_as_served" / name, served)
    cohort = Cohort(
        "c", "bulk", "local", location=str(served), condition="disease state", case=("rheumatoid arthritis",),
        control=("healthy control",), select="disease state=rheumatoid arthritis|healthy control",
    )  # fmt: skip
    data, record = prepared(tmp_path, cohort)
    assert record["units"] == "intensity"
    assert record["arms"] == {"case": 10, "control": 10}
    assert 11_000 < data.n_vars < 12_502
    assert list(data.layers) == []
    assert {"male", "female"} <= set(data.obs["expressed_sex"])
    quartiles = np.percentile(data.X, [25, 50, 75], axis=1)
    assert np.ptp(quartiles, axis=1).max() < 0.02
    case = (data.obs["arm"] == "case").to_numpy()
    difference = data.X[case].mean(axis=0) - data.X[~case].mean(axis=0)
    by_gene = dict(zip(data.var_names, difference, strict=True))
    assert by_gene["CXCL13"] > 1.5  # B cells gather in synovium of rheumatoid arthritis
    assert by_gene["MMP1"] > 2
    kept = set(data.var["source_id"])
    assert all("_at" in one for one in kept)


def test_gse97165_is_rounded_when_the_sheet_calls_it_estimates(kit: Path, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(
        kit / "geo_as_served" / "GSE97165_series_header.txt.gz", served / "GSE97165_series_matrix.txt.gz"
    )
    shutil.copy(kit / "geo_as_served" / "GSE97165_GEO_count_matrix.txt.gz", served)
    cohort = Cohort(
        "c", "bulk", "local", location=str(served), condition="time point", case=("Baseline",),
        control=("6 mo tDMARD",), donor="subject number", units="estimated_counts",
    )  # fmt: skip
    data, record = prepared(tmp_path, cohort)
    assert record["arms"] == {"case": 19, "control": 19}
    assert record["units"] == "estimated_counts"
    assert any("113,144 of 958,626 values (11.8 %)" in message["text"] for message in record["messages"])
    called = data.obs[data.obs["expressed_sex"] != "unclear"]
    words = called["Sex"].map({"F": "female", "M": "male"})
    assert len(called) >= 36
    assert list(words) == list(called["expressed_sex"])


@pytest.fixture(scope="module")
def kich(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TCGA chromophobe kidney carcinoma prepared as a user's own table."""
    out = tmp_path_factory.mktemp("kich")
    raw = out / "raw"
    raw.mkdir()
    counts = kit / "bulk" / "tcga_kich.counts.parquet"
    beside = samples_table_of(counts)
    assert beside == kit / "bulk" / "tcga_kich.samples.tsv"
    files = []
    for path in (counts, beside):
        (raw / path.name).write_bytes(path.read_bytes())
        files.append({"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)})
    (raw / "provenance.json").write_text(json.dumps({"cohort": "kich", "files": files}))
    cohort = Cohort("kich", "bulk", "local", condition="group", case=("tumor",), control=("normal",))
    prepare_cohort(
        cohort=cohort, raw_dir=raw, quality=QualitySection(), normalisation=NormalisationSection(),
        min_samples_per_arm=20, seed=1, expression_path=out / "e.h5ad", removed_path=out / "r.parquet",
        qc_path=out / "qc.json",
    )  # fmt: skip
    return out


def test_kich_keeps_its_arms_and_current_symbols(kich: Path, kit: Path) -> None:
    record = json.loads((kich / "qc.json").read_text())
    assert record["n_in"] == 85
    assert record["n_kept"] >= 80
    assert record["arms"]["case"] >= 56
    assert record["arms"]["control"] >= 24
    assert record["genes"]["matched"] > 19_000
    assert record["genes"]["n_renamed"] > 1_000
    data = anndata.read_h5ad(kich / "e.h5ad")
    assert not {"MARCH1", "SEPT2"} & set(data.var_names)
    assert {"MARCHF1", "SEPTIN2"} <= set(data.var_names)
    source = pd.read_parquet(kit / "bulk" / "tcga_kich.counts.parquet").set_index("Hugo_Symbol")
    expected = source.loc["TP53", list(data.obs_names)].to_numpy()
    np.testing.assert_array_equal(data.layers["counts"][:, list(data.var_names).index("TP53")], expected)


def test_kich_tumours_lose_what_tumours_lose(kich: Path) -> None:
    """Known biology survives: uromodulin marks normal kidney, KIT marks chromophobe tumours (sign check)."""
    data = anndata.read_h5ad(kich / "e.h5ad")
    case = (data.obs["arm"] == "case").to_numpy()
    difference = {
        gene: float(data[case, gene].X.mean() - data[~case, gene].X.mean()) for gene in ("UMOD", "KIT")
    }
    assert difference["UMOD"] < -2
    assert difference["KIT"] > 1


def test_kich_with_livers_among_the_kidneys_shows_them(kit: Path, tmp_path: Path) -> None:
    source = pd.read_parquet(kit / "bulk" / "tcga_kich.counts.parquet").set_index("Hugo_Symbol")
    others = pd.read_parquet(kit / "bulk" / "tcga_lihc_kirc_thca_normals.counts.parquet").set_index(
        "Hugo_Symbol"
    )
    origin = pd.read_csv(kit / "bulk" / "tcga_lihc_kirc_thca_normals.samples.tsv", sep="\t").set_index(
        "sample"
    )
    livers = origin.index[origin["project"] == "LIHC"]
    swapped = [source.columns[5], source.columns[75]]
    for name, liver in zip(swapped, livers[:2], strict=True):
        source[name] = others[liver].reindex(source.index)
    raw = tmp_path / "raw"
    raw.mkdir()
    source.reset_index().to_parquet(raw / "k.parquet")
    (raw / "k.samples.tsv").write_bytes((kit / "bulk" / "tcga_kich.samples.tsv").read_bytes())
    files = [
        {"name": p.name, "bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in sorted(raw.iterdir())
    ]
    (raw / "provenance.json").write_text(json.dumps({"files": files}))
    cohort = Cohort("kich", "bulk", "local", condition="group", case=("tumor",), control=("normal",))
    prepare_cohort(
        cohort=cohort, raw_dir=raw, quality=QualitySection(), normalisation=NormalisationSection(),
        min_samples_per_arm=20, seed=1, expression_path=tmp_path / "e.h5ad", removed_path=tmp_path / "r.parquet",
        qc_path=tmp_path / "qc.json",
    )  # fmt: skip
    removed = pd.read_parquet(tmp_path / "r.parquet")
    far = set(removed.loc[removed["reason"].str.contains("pca_distance"), "id"])
    assert set(swapped) <= far
    assert len(far) <= 4


def test_entrez_ids_and_symbols_name_the_same_genes(kit: Path) -> None:
    frame = pd.read_parquet(kit / "bulk" / "tcga_chol.counts.parquet")
    table = read_count_table(kit / "bulk" / "tcga_chol.counts.parquet")
    assert list(table.ids) == ["Hugo_Symbol", "Entrez_Gene_Id"]
    assert table.counts().sum() == frame.iloc[:, 2:].to_numpy().sum()
    by_symbol, by_entrez = (resolve(ids, table=load_gene_table()) for ids in table.ids.values())
    both = [pair for pair in zip(by_symbol.symbol, by_entrez.symbol, strict=True) if all(pair)]
    assert len(both) > 18_000
    assert sum(one == other for one, other in both) / len(both) > 0.98


def test_logarithms_are_refused_as_counts(kit: Path) -> None:
    table = read_count_table(kit / "bulk" / "peac_ra_synovium_500genes.rlog.tsv.gz")
    assert table.values.shape == (500, 81)
    with pytest.raises(DataError, match="not a table of counts"):
        table.counts()


def test_peek_finds_the_levels_without_the_matrix(kit: Path) -> None:
    columns = peek_phenotypes(kit / "bulk" / "tcga_kich.counts.parquet")
    assert columns is not None
    assert Counter(columns["group"]) == {"tumor": 60, "normal": 25}
