"""SOFT: records, families, data sets and single samples, whole, short or cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.sources.geo.families import series_of_soft
from consilience.sources.geo.phenotypes import series_phenotypes
from consilience.sources.geo.read import read_geo
from consilience.sources.geo.soft import soft_records
from consilience.study.cohorts import Cohort
from geo_text import annotation_text, folder_of

COHORT = Cohort("c", "bulk", "local")
SERIES = "^SERIES = GSE1\n!Series_geo_accession = GSE1\n!Series_type = Expression profiling by array\n"
PLATFORM = (
    "^PLATFORM = GPL96\n!Platform_title = x\n#ID = \n!platform_table_begin\nID\tGene Symbol\np1\tTP53\np2\tKIT\n"
    "p3\tA /// B\n!platform_table_end\n"
)


def sample(
    name: str,
    *rows: str,
    header: str = "ID_REF\tVALUE",
    end: str = "!sample_table_end",
    extra: str = "",
    platform: str = "GPL96",
) -> str:
    return "\n".join([
        f"^SAMPLE = {name}", f"!Sample_title = title of {name}", f"!Sample_geo_accession = {name}", "!Sample_type = RNA",
        "!Sample_organism_ch1 = Homo sapiens", "!Sample_characteristics_ch1 = state: ill", f"!Sample_platform_id = {platform}",
        *([extra] if extra else []), "!sample_table_begin", header, *rows, end, "",
    ])  # fmt: skip


FAMILY = (
    "^DATABASE = GeoMiame\n!Database_name = x\n" + SERIES + PLATFORM
    + sample("GSM1", "p1\t101.5\t", "p2\t250", "p3\t9", header="ID_REF\tVALUE", extra="!Sample_description = a 5\" b")
      .replace("101.5\t", "101.5")
    + sample("GSM2", "p3\t8\tP", "p2\tnull\tA", "p1\t90.25\tP", header="ID_REF\tVALUE\tABS_CALL", extra="!Sample_characteristics_ch1 = age: 44")
)  # fmt: skip


def test_a_family_alone_is_a_cohort_and_values_are_joined_by_id(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"GSE1_family.soft.gz": FAMILY})
    matrix = read_geo(folder, cohort=COHORT)
    assert matrix.samples == ("GSM1", "GSM2")
    assert matrix.genes == ("TP53", "KIT", "")
    assert matrix.gene_columns["probe"] == ("p1", "p2", "p3")
    np.testing.assert_array_equal(matrix.values, [[101.5, 250, 9], [90.25, np.nan, 8]])
    assert matrix.units == "intensity"
    assert matrix.columns["age"] == ("", "44")
    assert matrix.columns["state"] == ("ill", "ill")
    phenotypes = series_phenotypes(folder)
    assert phenotypes is not None
    assert (phenotypes.accession, phenotypes.samples) == ("GSE1", ("GSM1", "GSM2"))
    assert phenotypes.columns == dict(matrix.columns)


def test_records_come_one_by_one_with_all_their_attributes(tmp_path: Path) -> None:
    (tmp_path / "f.soft").write_text(FAMILY)
    records = list(soft_records(tmp_path / "f.soft"))
    assert [one.kind for one in records] == ["DATABASE", "SERIES", "PLATFORM", "SAMPLE", "SAMPLE"]
    assert records[4].attributes["characteristics_ch1"] == ["state: ill", "age: 44"]
    assert records[2].header == ("ID", "Gene Symbol")
    assert len(records[2].rows) == 3
    assert not [one.rows for one in soft_records(tmp_path / "f.soft", tables=()) if one.rows]


DATASET = "\n".join([
    "^DATABASE = Geo", "^DATASET = GDS1", "!dataset_type = gene expression array-based", "!dataset_platform = GPL97",
    "!dataset_sample_organism = Homo sapiens", "^SUBSET = GDS1_1", "!subset_description = ill", "!subset_sample_id = GSM2,GSM3",
    "!subset_type = disease state", "^SUBSET = GDS1_2", "!subset_description = well", "!subset_sample_id = GSM1",
    "!subset_type = disease state", "^DATASET = GDS1", "#ID_REF = x", "#IDENTIFIER = identifier",
    "#GSM1 = Value for GSM1: N1: kidney; src: left kidney", "#GSM2 = Value for GSM2: T2; src: tumour", "#GSM3 = Value for GSM3: T3; src: t",
    "!dataset_table_begin", "ID_REF\tIDENTIFIER\tGSM1\tGSM2\tGSM3", "p1\tTP53\t100.5\t2\t3", "p2\t--Control\t4\tnull\t60",
    "!dataset_table_end", "",
])  # fmt: skip


def test_a_data_set_tells_groups_titles_and_genes(tmp_path: Path) -> None:
    matrix = read_geo(folder_of(tmp_path, {"GDS1.soft.gz": DATASET}), cohort=COHORT)
    assert matrix.columns["disease state"] == ("well", "ill", "ill")
    assert matrix.columns["title"] == ("N1: kidney", "T2", "T3")
    assert matrix.columns["source_name_ch1"] == ("left kidney", "tumour", "t")
    assert matrix.genes == ("TP53", "")
    np.testing.assert_array_equal(matrix.values[:, 1], [4, np.nan, 60])
    assert any("IDENTIFIER" in note for note in matrix.notes)


def test_single_samples_lying_together_are_one_cohort(tmp_path: Path) -> None:
    files = {f"GSM{k}.txt.gz": sample(f"GSM{k}", f"p1\t10{k}.5", f"p2\t2{k}") for k in (1, 2)}
    folder = folder_of(tmp_path, files | {"GPL96.annot.gz": annotation_text({"p1": "TP53", "p2": "KIT"})})
    matrix = read_geo(folder, cohort=COHORT)
    assert matrix.samples == ("GSM1", "GSM2")
    np.testing.assert_array_equal(matrix.values, [[101.5, 21], [102.5, 22]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(sample("GSM1", "p1\t1", end=""), ["GSM1", "does not end", "cut", ":8"], id="end of file"),
        pytest.param(sample("GSM1", "p1\t1", end="^SAMPLE = GSM2"), ["GSM1", "does not end"], id="next record"),
        pytest.param(sample("GSM1", "p1\t1", end="!platform_table_end"), ["GSM1", "does not end"], id="other end"),
        pytest.param(sample("GSM1", "p1\t1\t2\t3"), ["4 cells under 2", "GSM1", ":10"], id="ragged"),
        pytest.param(sample("GSM1", "p1\tx"), ["not a number", "'x'", "p1", "GSM1"], id="word"),
        pytest.param(sample("GSM1", "p1\t1", header="ID_REF\tSIGNAL"), ["GSM1", "lacks a column", "VALUE"], id="no VALUE"),
        pytest.param(sample("GSM1", "p1\t1", "p1\t2"), ["two rows", "'p1'"], id="id twice"),
        pytest.param(sample("GSM1", "p1\t1") * 2, ["same name"], id="sample twice"),
        pytest.param(sample("GSM1", "p1\t1", "p2\t2") + sample("GSM2", "p1\t1"), ["GSM2 has no value of 1 of the 2 ids"], id="ids"),
        pytest.param("^SAMPLE = GSM1\nwhat is this\n", [":2", "not a line of a SOFT file"], id="stranger"),
        pytest.param(DATASET.replace("GSM3\np1", "GSM4\np1"), ["not its samples"], id="columns of a data set"),
        pytest.param(DATASET.replace("#GSM", "#X"), ["describes no samples"], id="no samples in a data set"),
        pytest.param(SERIES, ["no file tells who the samples are"], id="series alone"),
        pytest.param(PLATFORM, ["no file tells who the samples are"], id="platform alone"),
        pytest.param(sample("GSM1", "p1\t1").replace("Homo sapiens", "Mus musculus"), ["not human"], id="mouse"),
        pytest.param(sample("GSM1"), ["no values"], id="empty table"),
        pytest.param(sample("GSM1", "p1\t1") + sample("GSM2"), ["1 of 2 samples have no values", "GSM2"], id="one empty"),
        pytest.param(sample("GSM1", "p1\t100"), ["GPL96.annot.gz"], id="no platform"),
    ],
)  # fmt: skip
def test_refused_with_place_and_reason(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read_geo(folder_of(tmp_path, {"x.soft": text}), cohort=COHORT)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_platform_is_no_series(tmp_path: Path) -> None:
    (tmp_path / "x.soft").write_text(PLATFORM)
    assert series_of_soft([tmp_path / "x.soft"]) is None


def damaged(text: str, seed: int) -> bytes:
    """The text with up to three bytes, lines or cells changed, lost or repeated."""
    rng = np.random.default_rng(seed)
    content = text.encode()
    for kind in rng.integers(0, 5, size=rng.integers(1, 4)):
        place = int(rng.integers(0, len(content) + 1))
        lines = content.split(b"\n")
        line = int(rng.integers(0, len(lines)))
        if kind == 0:
            content = content[:place]
        elif kind == 1:
            content = content[:place] + rng.bytes(1) + content[place + 1 :]
        elif kind == 2:
            content = (
                content[:place]
                + [b"\t", b'"', b"\n", b"=", b"^", b"!"][int(rng.integers(0, 6))]
                + content[place:]
            )
        elif kind == 3:
            content = b"\n".join(lines[:line] + lines[line + 1 :])
        else:
            content = b"\n".join([*lines, lines[line]])
    return content or b"\n"


@pytest.mark.parametrize("text", [FAMILY, DATASET], ids=["family", "data set"])
def test_damage_ends_in_a_reading_or_in_a_clear_error(tmp_path: Path, text: str) -> None:
    read = 0
    for seed in range(300):
        (tmp_path / "x.soft").write_bytes(damaged(text, seed))
        try:
            matrix = read_geo(folder_of(tmp_path, {}), cohort=COHORT)
        except DataError:
            continue
        read += 1
        assert matrix.values.shape == (len(matrix.samples), len(matrix.genes))
    assert 0 < read < 300
