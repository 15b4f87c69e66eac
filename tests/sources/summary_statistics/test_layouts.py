"""One study in every layout gives one table, whichever allele each layout counts."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import ConfigError, DataError
from consilience.sources.summary_statistics.layout import LEVELS, OURS, TEXT
from consilience.sources.summary_statistics.layouts import layout_of, layouts
from consilience.study.sections import AssociationColumn, OfOneCohort, SummaryStatisticsSection
from served_associations import (
    EQTL_LAYOUTS,
    GWAS_LAYOUTS,
    MINE,
    N,
    aligned,
    flipped,
    genes_of,
    gtex,
    gwas_ssf,
    prepared,
    study,
    text,
)

WHOLE = study()
PLACELESS = {"ma", "metal", "metal_z", "z"}
STANDARDISED = {"metal_z", "z"}


def check_gwas(found: pd.DataFrame, *, key: str) -> None:
    want = WHOLE.v.sort_values("rsid", ignore_index=True)
    turn = (want["a1"] > want["a2"]).to_numpy()
    sign = np.where(turn, -1.0, 1.0)
    got = aligned(found)
    assert got["rsid"].tolist() == want["rsid"].tolist()
    assert got["z"].to_numpy() == pytest.approx(want["z"].to_numpy() * sign, rel=1e-9, abs=1e-9)
    assert got["n"].tolist() == [float(N)] * len(want)
    assert got["beta_standardised"].to_numpy() == pytest.approx(
        want["z"] * sign / np.sqrt(N), rel=1e-9, abs=1e-9
    )
    if key not in STANDARDISED:
        assert got["beta"].to_numpy() == pytest.approx(want["beta"] * sign, rel=1e-9)
        assert got["standard_error"].to_numpy() == pytest.approx(want["se"], rel=1e-9)
    if key not in PLACELESS:
        assert got["position"].tolist() == want["pos"].tolist()
        assert got["chromosome"].tolist() == want["chr"].astype(str).tolist()
    else:
        assert got["position"].isna().all()


@pytest.mark.parametrize("turned", [False, True], ids=["as drawn", "alleles flipped"])
@pytest.mark.parametrize("key", GWAS_LAYOUTS)
def test_every_gwas_layout_gives_the_same_table(key: str, turned: bool, tmp_path: Path) -> None:
    v = (flipped(WHOLE) if turned else WHOLE).v
    name, content = GWAS_LAYOUTS[key](v)
    found = prepared(tmp_path, {name: content}, columns=MINE, n_gwas=N if key == "bolt" else 0)
    check_gwas(found.gwas, key=key)
    assert not found.qc["removed_by_reason"]
    assert "no eQTL table" in found.said("alarm")
    assert len(found.qc["layouts"]) == 1


@pytest.mark.parametrize("turned", [False, True], ids=["as drawn", "alleles flipped"])
@pytest.mark.parametrize("key", [*EQTL_LAYOUTS, "gtex_text", "gtex_parquet"])
def test_every_eqtl_layout_gives_the_same_table(key: str, turned: bool, tmp_path: Path) -> None:
    v = (flipped(WHOLE) if turned else WHOLE).v
    if key == "gtex_text":
        name, content = "e.signif_variant_gene_pairs.txt.gz", gtex(v).to_csv(sep="\t", index=False).encode()
    elif key == "gtex_parquet":
        buffer = io.BytesIO()
        gtex(v).to_parquet(buffer, index=False)
        name, content = "e.parquet", buffer.getvalue()
    else:
        name, content = EQTL_LAYOUTS[key](v)
    found = prepared(tmp_path, {name: content}, eqtl_p=1.0)
    want = WHOLE.v.assign(gene=genes_of(WHOLE.v)).sort_values(["gene", "pos"], ignore_index=True)
    sign = np.where(want["a1"] > want["a2"], -1.0, 1.0)
    got = aligned(found.eqtl).sort_values(["ensembl_id", "position"], ignore_index=True)
    assert got["ensembl_id"].tolist() == want["gene"].tolist()
    assert got["z"].to_numpy() == pytest.approx(want["z"] * sign, rel=1e-9, abs=1e-9)
    assert got["position"].tolist() == want["pos"].tolist()
    assert got["n"].to_numpy() == pytest.approx(np.full(len(want), float(N)))
    if key.startswith("gtex"):
        first = want.iloc[0]
        low, high = sorted([first["a1"], first["a2"]])
        assert got["rsid"][0] == f"{first['chr']}:{first['pos']}:{low}:{high}"
        assert found.qc["build"] == "GRCh38"
    else:
        assert got["rsid"].tolist() == want["rsid"].tolist()
    assert "no GWAS" in found.said("alarm")


def test_names_are_shared_by_place_where_one_table_has_no_rsids(tmp_path: Path) -> None:
    eqtl = {"e.txt.gz": gtex(flipped(WHOLE).v).to_csv(sep="\t", index=False).encode()}
    ssf = {"g_GRCh38.tsv": text(gwas_ssf(WHOLE.v))}
    found = prepared(tmp_path, eqtl | ssf, eqtl_p=1.0)
    assert set(found.eqtl["rsid"]) == set(WHOLE.v["rsid"])
    assert "60 eQTL variants without rsid got the other table's name" in found.said("note")
    assert "60 in both" in found.said("note")
    assert found.qc["builds"] == {"GWAS": "GRCh38", "eQTL": "GRCh38"}
    both = found.eqtl.merge(found.gwas, on="rsid")
    assert (both["position_x"] == both["position_y"]).all()


def test_tables_of_two_builds_without_shared_names_are_refused(tmp_path: Path) -> None:
    files = {
        "e.txt": gtex(WHOLE.v).to_csv(sep="\t", index=False).encode(),
        "g_hg19.tsv": text(gwas_ssf(WHOLE.v)),
    }
    with pytest.raises(DataError, match=r"different genome builds.*GWAS: GRCh37, eQTL: GRCh38.*no liftover"):
        prepared(tmp_path, files)


@pytest.mark.parametrize(
    ("shift", "gwas_name", "words"),
    [
        (7, "g_hg19.tsv", r"different genome builds \(GWAS: GRCh37, eQTL: GRCh38\): 60 of 60 shared variants stand"
            r" elsewhere.*joined by name, which is right in any build.*no liftover"),
        (0, "g_hg19.tsv", r"different genome builds \(GWAS: GRCh37, eQTL: GRCh38\), but only 0 of 60.*stated wrongly\?"),
        (7, "g_GRCh38.tsv", r"60 of 60 shared variants stand elsewhere in the eQTL table: another build\?"),
        (0, "g_GRCh38.tsv", ""),
    ],
    ids=["two builds", "one stated wrongly", "one build, other places", "one build"],
)  # fmt: skip
def test_tables_with_rsids_may_be_of_two_builds_but_that_is_said(
    shift: int, gwas_name: str, words: str, tmp_path: Path
) -> None:
    v = WHOLE.v.assign(pos=WHOLE.v["pos"] + shift)
    name, content = EQTL_LAYOUTS["eqtl_catalogue"](v)
    found = prepared(tmp_path, {name: content, gwas_name: text(gwas_ssf(WHOLE.v))}, eqtl_p=1.0)
    alarms = [one for one in found.said("alarm").split("\n") if "build" in one]
    assert len(alarms) == bool(words)
    assert re.search(words, found.said("alarm"))


def test_places_join_with_an_alarm_where_a_build_is_unknown(tmp_path: Path) -> None:
    files = {"e.txt": gtex(WHOLE.v).to_csv(sep="\t", index=False).encode(), "g.tsv": text(gwas_ssf(WHOLE.v))}
    assert "genome build of GWAS is not known" in prepared(tmp_path / "a", files).said("alarm")
    known = prepared(tmp_path / "b", files, build="GRCh38")
    assert "genome build" not in known.said("alarm")


def test_a_gwas_without_rsids_is_named_by_place(tmp_path: Path) -> None:
    columns = gwas_ssf(WHOLE.v)
    del columns["rsid"]
    found = prepared(tmp_path, {"g.tsv": text(columns)})
    first = found.gwas.iloc[0]
    low, high = sorted([first["effect_allele"], first["other_allele"]])
    assert first["rsid"] == f"{first['chromosome']}:{first['position']}:{low}:{high}"


def test_rows_of_other_tests_and_with_errors_are_counted(tmp_path: Path) -> None:
    v = WHOLE.v
    name, content = GWAS_LAYOUTS["plink2"](v)
    lines = content.decode().splitlines()
    lines.append(lines[1].replace("\tADD\t", "\tDOMDEV\t"))
    lines[2] = lines[2].removesuffix(".") + "UNFINISHED"
    found = prepared(tmp_path, {name: ("\n".join(lines) + "\n").encode()})
    assert found.qc["removed_by_reason"] == {
        "GWAS: rows of other tests than the additive one": 1, "GWAS: rows for which PLINK states an error": 1,
    }  # fmt: skip
    assert len(found.gwas) == len(v) - 1


@pytest.mark.parametrize("block", ["\r\n", "\n"])
def test_comments_line_ends_marks_and_members_of_gzip_change_nothing(block: str, tmp_path: Path) -> None:
    name, content = GWAS_LAYOUTS["plink2"](WHOLE.v)
    whole = b"\xef\xbb\xbf## made by hand\n## in a test\n" + content
    whole = whole.replace(b"\n", block.encode())
    found = prepared(tmp_path / "a", {name: whole})
    check_gwas(found.gwas, key="plink2")
    half = whole.index(b"\n", len(whole) // 2) + 1
    members = gzip.compress(whole[:half], mtime=0) + gzip.compress(whole[half:], mtime=0)
    check_gwas(prepared(tmp_path / "b", {name + ".bgz": members}).gwas, key="plink2")


def test_every_layout_is_known_by_its_own_header_and_says_what_it_counts() -> None:
    keys = [one.key for one in layouts()]
    assert len(set(keys)) == len(keys)
    for one in layouts():
        names = [word.split("|")[0] for word in one.signature]
        assert layout_of([name.upper() for name in names]) is not None
        assert set(one.columns) <= set(OURS)
        assert one.effect_allele
    assert layout_of(["gene", "logFC", "p"]) is None


def test_two_tables_of_one_sort_are_both_named(tmp_path: Path) -> None:
    files = {"a.fastGWA": GWAS_LAYOUTS["fastgwa"](WHOLE.v)[1], "b.ma": GWAS_LAYOUTS["ma"](WHOLE.v)[1]}
    with pytest.raises(DataError, match=r"2 files could be the GWAS.*a\.fastGWA \(fastGWA\), b\.ma.*'files'"):
        prepared(tmp_path, files)


def test_the_configuration_knows_all_our_columns() -> None:
    assert get_args(AssociationColumn) == tuple(OURS)
    assert {*TEXT, *LEVELS} <= set(OURS)
    own = set(SummaryStatisticsSection.model_fields) - {"columns", "cohorts"}
    assert set(get_args(OfOneCohort)) == own


def test_settings_of_one_cohort(tmp_path: Path) -> None:
    name, content = GWAS_LAYOUTS["bolt"](WHOLE.v)
    found = prepared(tmp_path, {name: content}, n_gwas=7, cohorts={"gwas": {"n_gwas": N}})
    assert set(found.gwas["n"]) == {float(N)}
    with pytest.raises(ConfigError, match=r"cohorts: gwas: eqtl_p"):
        prepared(tmp_path, {name: content}, cohorts={"gwas": {"eqtl_p": 2.0}})


def test_people_by_gene_fill_an_eqtl_table(tmp_path: Path) -> None:
    name, content = EQTL_LAYOUTS["plain_eqtl"](WHOLE.v)
    without = b"".join(line.rpartition(b",")[0] + b"\n" for line in content.splitlines())
    people = text({"Gene": [f"ENSG{k:011d}" for k in (1, 2, 3)], "N": [100.5, 200.0, 300.0]})
    found = prepared(tmp_path, {name: without, "genes.N.tsv": people}, eqtl_p=1.0)
    assert found.eqtl.groupby("ensembl_id")["n"].first().tolist() == [100.5, 200.0, 300.0]
