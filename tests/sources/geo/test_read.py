"""A bulk cohort from GEO: values, genes and phenotypes of the samples that the sheet selects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.sources.bulk.read import read_bulk
from consilience.sources.geo.phenotypes import series_phenotypes
from consilience.sources.geo.read import read_geo
from consilience.study.cohorts import Cohort
from geo_text import GSM, TITLES, annotation_text, folder_of, matrix_text, series_text, write

COHORT = Cohort("c", "bulk", "geo")
VALUES = {"p1": [120.5, 90, 300], "p2": [15, 16.5, 0], "p3": [7, 1, 80.25]}
GENES = {"p1": "TP53", "p2": "KIT", "p3": "A///B"}
SEQUENCING = "Expression profiling by high throughput sequencing"


@pytest.mark.parametrize(
    "names", [TITLES, GSM, ("RA_1", "RA_2", "RA_3"), ("RA_3", "RA_1", "RA_2"), ("GSM3", "GSM1")]
)
def test_counts_are_joined_by_title_accession_or_bracket(tmp_path: Path, names: tuple[str, ...]) -> None:
    values = [str(10 * (k + 1)) for k in range(len(names))]
    counts = "\t".join(["", *names]) + "\nTP53\t" + "\t".join(values) + "\n"
    matrix = read_geo(write(tmp_path, header=series_text(), counts=counts), cohort=COHORT)
    subjects = dict(zip([*TITLES, *GSM, "RA_1", "RA_2", "RA_3"], ["P1", "P2", "P3"] * 3, strict=True))
    assert matrix.samples == names
    assert matrix.columns["subject id"] == tuple(subjects[name] for name in names)
    assert matrix.values[:, 0].tolist() == [int(value) for value in values]
    assert any("were joined to the samples of GSE1 by" in note for note in matrix.notes)


def test_a_full_table_of_counts_in_the_series_matrix(tmp_path: Path) -> None:
    table = ('"TP53"\t1\t2\t3', '"XIST"\t0\t5\t0')
    matrix = read_geo(write(tmp_path, header=series_text(table=table)), cohort=COHORT)
    assert matrix.values.tolist() == [[1, 0], [2, 5], [3, 0]]
    assert matrix.genes == ("TP53", "XIST")
    assert matrix.gene_columns == {}
    assert matrix.units == "counts"


def test_an_array_has_the_genes_of_its_probes(tmp_path: Path) -> None:
    files = {
        "GSE1_series_matrix.txt.gz": matrix_text(GSM, values=VALUES | {"p4": ["", "null", "NA"]}),
        "GPL96.annot.gz": annotation_text(GENES),
    }
    matrix = read_bulk(folder_of(tmp_path, files), cohort=COHORT)
    np.testing.assert_array_equal(matrix.values.T, list(VALUES.values()))
    assert matrix.genes == ("TP53", "KIT", "")
    assert matrix.gene_columns == {"probe": ("p1", "p2", "p3")}
    assert matrix.units == "intensity"
    assert any("1 rows without any value" in note for note in matrix.notes)
    assert any("3 probes of GPL96 name 2 genes" in note for note in matrix.notes)


def test_the_values_of_an_array_go_before_tables_that_nobody_asked_for(tmp_path: Path) -> None:
    other = "ID\tGSM1\tGSM2\tGSM3\n" + "".join(f"{p}\t{k}.5\t{k + 1}.5\t77.5\n" for k, p in enumerate(GENES))
    files = {
        "GSE1_series_matrix.txt.gz": matrix_text(GSM, values=VALUES), "GPL96.annot.gz": annotation_text(GENES),
        "GSE1_non_normalized.txt.gz": other,
    }  # fmt: skip
    folder = folder_of(tmp_path, files)
    assert read_geo(folder, cohort=COHORT).values[0, 0] == 120.5
    asked = read_geo(folder, cohort=Cohort("c", "bulk", "geo", files=("*non_normalized*",)))
    assert asked.values[:, 0].tolist() == [0.5, 1.5, 77.5]
    assert asked.genes == ("TP53", "KIT", "")


def two_platforms(folder: Path) -> object:
    one = matrix_text(GSM[:2], values={p: v[:2] for p, v in VALUES.items()})
    two = matrix_text(GSM[2:], platform="GPL570", values={"q1": [40.5], "q2": [41]})
    return folder_of(folder, {
        "GSE1-GPL96_series_matrix.txt.gz": one, "GSE1-GPL570_series_matrix.txt.gz": two,
        "GPL96.annot.gz": annotation_text(GENES), "GPL570.annot.gz": annotation_text({"q1": "KIT", "q2": ""}, platform="GPL570"),
    })  # fmt: skip


def test_two_platforms_need_a_choice(tmp_path: Path) -> None:
    folder = two_platforms(tmp_path)
    with pytest.raises(DataError) as caught:
        read_geo(folder, cohort=COHORT)
    for words in ("2 platforms", "GPL96 (2 samples), GPL570 (1 samples)", "platform_id=GPL96"):
        assert words in str(caught.value)
    first = read_geo(folder, cohort=Cohort("c", "bulk", "geo", select="platform_id=GPL96"))
    assert (first.samples, first.genes) == (GSM[:2], ("TP53", "KIT", ""))
    second = read_geo(folder, cohort=Cohort("c", "bulk", "geo", select="platform_id=GPL570"))
    assert (second.samples, second.genes) == (GSM[2:], ("KIT", ""))
    phenotypes = series_phenotypes(folder)
    assert phenotypes is not None
    assert phenotypes.columns["platform_id"] == ("GPL570", "GPL96", "GPL96")


def test_two_sequencers_are_one_cohort(tmp_path: Path) -> None:
    counts = "gene\tGSM1\tGSM2\tGSM3\nTP53\t1\t2\t3\n"
    files = {
        "GSE1-GPL1_series_matrix.txt.gz": matrix_text(GSM[:2], kind="SRA", said=SEQUENCING, platform="GPL1"),
        "GSE1-GPL2_series_matrix.txt.gz": matrix_text(GSM[2:], kind="SRA", said=SEQUENCING, platform="GPL2"),
        "GSE1_counts.txt.gz": counts,
    }  # fmt: skip
    matrix = read_geo(folder_of(tmp_path, files), cohort=COHORT)
    assert matrix.values[:, 0].tolist() == [1, 2, 3]
    assert matrix.columns["platform_id"] == ("GPL1", "GPL1", "GPL2")


def mixed(folder: Path) -> object:
    organisms = ("Homo sapiens", "Mus musculus", "Homo sapiens")
    header = matrix_text(GSM, kind="SRA", said=SEQUENCING, organisms=organisms)
    return folder_of(folder, {
        "GSE1_series_matrix.txt.gz": header, "GSE1_counts.txt.gz": "gene\tGSM1\tGSM2\tGSM3\nTP53\t1\t2\t3\n"
    })  # fmt: skip


def test_mice_are_refused_unless_only_men_are_selected(tmp_path: Path) -> None:
    folder = mixed(tmp_path)
    with pytest.raises(
        DataError,
        match=r"1 of 3 samples are not human: Homo sapiens \(2\), Mus musculus \(1\).*organism_ch1=Homo sapiens",
    ):
        read_geo(folder, cohort=COHORT)
    matrix = read_geo(folder, cohort=Cohort("c", "bulk", "geo", select="organism_ch1=Homo sapiens"))
    assert matrix.samples == ("GSM1", "GSM3")
    assert matrix.values[:, 0].tolist() == [1, 3]
    assert set(matrix.columns["organism_ch1"]) == {"Homo sapiens"}


def test_units_that_are_no_counts_must_be_claimed(tmp_path: Path) -> None:
    folder = write(
        tmp_path, header=series_text(), counts="\tRA_1\tRA_2\tRA_3\nTP53\t100.5\t900\t33\nKIT\t50\t7\t8000\n"
    )
    with pytest.raises(DataError, match=r"not a table of counts: 16\.7 %.*estimated_counts"):
        read_geo(folder, cohort=COHORT)
    matrix = read_geo(folder, cohort=Cohort("c", "bulk", "geo", units="estimated_counts"))
    assert matrix.units == "estimated_counts"
    assert any("rounded" in note for note in matrix.notes)


def test_the_table_that_files_names_is_taken(tmp_path: Path) -> None:
    folder_of(tmp_path, {"GSE1_counts_b.tsv.gz": "\tRA_1\nTP53\t2\n"})
    folder = write(tmp_path, header=series_text(), counts="\tRA_1\nTP53\t1\n")
    with pytest.raises(DataError, match=r"several tables .*GSE1_counts_b.*'files'"):
        read_geo(folder, cohort=COHORT)
    matrix = read_geo(folder, cohort=Cohort("c", "bulk", "geo", files=("*_b.tsv*",)))
    assert matrix.values.tolist() == [[2]]
    assert any("2 samples of GSE1 have no counts: GSM2, GSM3" in note for note in matrix.notes)


@pytest.mark.parametrize(
    ("header", "counts", "words"),
    [
        pytest.param(series_text(), "", ["no counts", "'files'"], id="nothing"),
        pytest.param(matrix_text(GSM), "", ["no values", "'files'"], id="an array without values"),
        pytest.param(matrix_text(GSM, values=VALUES), "", ["GPL96.annot.gz", "beside the series matrix"], id="no platform"),
        pytest.param(series_text(), "\tRA_1\tRA_9\nTP53\t1\t2\n", ["1 of 2 columns", "RA_9"], id="strange column"),
        pytest.param(series_text(table=('"TP53"\t1.5\t2\t3',)), "", ["1.5", "33.3"], id="fractions"),
        pytest.param(series_text().replace("Homo sapiens", "Mus musculus"), "\tRA_1\nTp53\t1\n", ["not human", "leave this series out"], id="mouse"),
        pytest.param(series_text(), "\tRA_1\tRA_2\n", ["GSE1_raw_counts.tsv.gz", "no genes"], id="header alone"),
        pytest.param(series_text(), "<html></html>", ["web page"], id="page"),
    ],
)  # fmt: skip
def test_refused_with_place_and_reason(tmp_path: Path, header: str, counts: str, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read_geo(write(tmp_path, header=header, counts=counts), cohort=COHORT)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_empty_supplementary_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "GSE1_counts.tsv").write_bytes(b"")
    with pytest.raises(DataError, match=r"GSE1_counts\.tsv: the file is empty"):
        write(tmp_path, header=series_text())


def test_arrays_and_reads_are_not_mixed(tmp_path: Path) -> None:
    said = "Expression profiling by array"
    files = {
        "GSE1-GPL96_series_matrix.txt.gz": matrix_text(GSM[:2], values={p: v[:2] for p, v in VALUES.items()}),
        "GSE1-GPL1_series_matrix.txt.gz": matrix_text(GSM[2:], kind="SRA", said=said, platform="GPL1"),
        "GPL96.annot.gz": annotation_text(GENES), "GSE1_counts.txt.gz": "gene\tGSM3\nTP53\t1\nKIT\t4\n",
    }  # fmt: skip
    folder = folder_of(tmp_path, files)
    with pytest.raises(DataError, match=r"2 platforms.*GPL96 \(2 samples\), GPL1 \(1 samples\)"):
        read_geo(folder, cohort=COHORT)
    array = read_geo(folder, cohort=Cohort("c", "bulk", "geo", select="platform_id=GPL96"))
    assert (array.units, array.samples) == ("intensity", GSM[:2])
    reads = read_geo(folder, cohort=Cohort("c", "bulk", "geo", select="platform_id=GPL1"))
    assert (reads.units, reads.samples, reads.genes) == ("counts", GSM[2:], ("TP53", "KIT"))


@pytest.mark.parametrize("select", ["state=sick", "status=ill"])
def test_misspelt_selections(tmp_path: Path, select: str) -> None:
    with pytest.raises(DataError, match=r"select by|this level"):
        read_geo(
            folder_of(tmp_path, {"GSE1_series_matrix.txt": matrix_text(GSM)}),
            cohort=Cohort("c", "bulk", "geo", select=select),
        )


def test_a_folder_without_geo_has_no_phenotypes(tmp_path: Path) -> None:
    assert series_phenotypes(folder_of(tmp_path, {"a.tsv": "gene\tA\nTP53\t1\n"})) is None
