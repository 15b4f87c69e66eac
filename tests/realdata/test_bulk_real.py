"""Real bulk data, as GEO serves it and as RNAseqDB published it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from consilience.expression.genes import load_gene_table, resolve
from consilience.expression.prepare import prepare_cohort
from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of
from consilience.sources.bulk.tables import read_count_table
from consilience.sources.formats import samples_table_of
from consilience.sources.gdc.hits import read_hits
from consilience.sources.phenotypes import peek_phenotypes
from consilience.study.cohorts import Cohort
from consilience.study.sections import NormalisationSection, QualitySection

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize("name", ["Search_and_Retrieval_013.malformed.json", "Search_and_Retrieval_001.json"])
def test_answers_that_are_no_list_of_count_files_are_refused(kit: Path, name: str) -> None:
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read_hits(kit / "gdc_as_served" / "api_answers" / name)


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
