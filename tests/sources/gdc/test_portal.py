"""Folders that people already have: gdc-client trees, sample sheets, clinical tables, HTSeq counts, metadata."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.bulk.read import read_bulk
from consilience.sources.phenotypes import peek_phenotypes
from consilience.sources.raw_folder import raw_folder_of
from consilience.study.cohorts import Cohort
from fake_gdc import kich, star_file, star_text

COHORT = Cohort("kich", "bulk", "local")
SHEET = "File ID\tFile Name\tData Category\tData Type\tProject ID\tCase ID\tSample ID\tSample Type"
NEW_SHEET = (
    "File ID\tFile Name\tData Category\tData Type\tProject ID\tCase ID\tSample ID\tTissue Type\t"
    "Tumor Descriptor\tSpecimen Type\tPreservation Method"
)
HTSEQ = "ENSG00000000003.13\t{}\nENSG00000000005.5\t{}\n__no_feature\t30\n__ambiguous\t5\n__too_low_aQual\t0\n__not_aligned\t0\n__alignment_not_unique\t65\n"


def read(folder: Path) -> BulkMatrix:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return read_bulk(raw_folder_of(folder, tuple((name, folder / name) for name in names)), cohort=COHORT)


def tree(folder: Path, n: int = 4, *, flat: bool = False) -> list[dict[str, str]]:
    """Files as gdc-client leaves them; returns what the portal knows of each."""
    rows = []
    for hit, content in kich(n):
        target = folder / ("" if flat else hit["file_id"]) / hit["file_name"]
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
        sample = hit["cases"][0]["samples"][0]
        rows.append({
            "File ID": hit["file_id"], "File Name": hit["file_name"], "Data Category": "Transcriptome Profiling",
            "Data Type": hit["data_type"], "Project ID": "TCGA-KICH", "Case ID": hit["cases"][0]["submitter_id"],
            "Sample ID": sample["submitter_id"], "Sample Type": sample["sample_type"],
            "Tissue Type": sample["tissue_type"], "Tumor Descriptor": "Primary", "Specimen Type": "Solid Tissue",
            "Preservation Method": "OCT", "md5": hit["md5sum"], "size": str(hit["file_size"]),
        })  # fmt: skip
    return rows


def write_sheet(folder: Path, rows: list[dict[str, str]], header: str = SHEET) -> Path:
    names = header.split("\t")
    path = folder / "gdc_sample_sheet.2024-08-06.tsv"
    path.write_text("\n".join([header, *("\t".join(row[name] for name in names) for row in rows)]) + "\n")
    return path


@pytest.mark.parametrize("flat", [False, True], ids=["tree", "flat"])
def test_a_tree_with_its_sample_sheet_becomes_a_matrix(tmp_path: Path, flat: bool) -> None:
    rows = tree(tmp_path, flat=flat)
    write_sheet(tmp_path, rows[::-1])
    matrix = read(tmp_path)
    totals = dict(zip(matrix.samples, matrix.values.sum(axis=1).tolist(), strict=True))
    assert totals == {
        "TCGA-KL-0001-01A": 800,
        "TCGA-KL-0001-11A": 802,
        "TCGA-KL-0002-01A": 802,
        "TCGA-KL-0002-11A": 804,
    }
    types = dict(zip(matrix.samples, matrix.columns["sample_type"], strict=True))
    assert types["TCGA-KL-0001-11A"] == "Solid Tissue Normal"
    cases = dict(zip(matrix.samples, matrix.columns["case_id"], strict=True))
    assert cases["TCGA-KL-0002-01A"] == "TCGA-KL-0002"
    assert matrix.metrics["assigned_share"].shape == (4,)
    assert any("no manifest" in note for note in matrix.notes)


def test_todays_sheet_has_no_sample_type_and_the_barcode_tells_it(tmp_path: Path) -> None:
    write_sheet(tmp_path, tree(tmp_path), NEW_SHEET)
    matrix = read(tmp_path)
    found = dict(zip(matrix.samples, matrix.columns["sample_type"], strict=True))
    assert found == {
        name: "Primary Tumor" if name.endswith("01A") else "Solid Tissue Normal" for name in matrix.samples
    }
    assert set(matrix.columns["tissue_type"]) == {"Tumor", "Normal"}
    assert set(matrix.columns["preservation_method"]) == {"OCT"}


def test_the_check_sees_the_same_columns_without_reading_counts(tmp_path: Path) -> None:
    write_sheet(tmp_path, tree(tmp_path))
    columns = read(tmp_path).columns
    for path in tmp_path.glob("*/*.tsv"):
        path.write_text("gene_id\tunstranded\n")
    assert peek_phenotypes(tmp_path) == columns


def test_without_a_sheet_the_files_are_named_by_their_ids(tmp_path: Path) -> None:
    rows = tree(tmp_path)
    matrix = read(tmp_path)
    assert sorted(matrix.samples) == sorted(row["File ID"] for row in rows)
    assert any("no sample sheet" in note for note in matrix.notes)


def test_a_table_with_file_ids_is_a_sample_sheet_too(tmp_path: Path) -> None:
    rows = tree(tmp_path)
    lines = ["File ID\tType", *(f"{row['File ID']}\t{row['Sample Type']}" for row in rows)]
    (tmp_path / "types.tsv").write_text("\n".join(lines) + "\n")
    matrix = read(tmp_path)
    assert set(matrix.columns["type"]) == {"Primary Tumor", "Solid Tissue Normal"}


def test_a_sheet_of_other_files_is_refused_and_unused_rows_are_noted(tmp_path: Path) -> None:
    rows = tree(tmp_path)
    write_sheet(tmp_path, rows[1:])
    with pytest.raises(
        DataError, match=rf"1 of 4 count files have no row in .*sample_sheet.*{rows[0]['File ID']}"
    ):
        read(tmp_path)
    more = rows[0] | {"File ID": "another", "File Name": "another.tsv"}
    write_sheet(tmp_path, [*rows, more])
    assert any("1 rows of" in note and "no count file here" in note for note in read(tmp_path).notes)


def test_two_rows_for_one_file_are_refused(tmp_path: Path) -> None:
    rows = tree(tmp_path)
    write_sheet(tmp_path, [*rows, rows[0] | {"Sample Type": "Metastatic"}])
    with pytest.raises(DataError, match=r"sample_sheet.*:6: a second row for this file id"):
        read(tmp_path)


def test_a_sheet_with_a_broken_row_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write_sheet(tmp_path, tree(tmp_path))
    path.write_text(path.read_text().replace("\tSolid Tissue Normal\n", "\n", 1))
    with pytest.raises(DataError, match=r":3: 7 cells under 8 column names"):
        read(tmp_path)


def test_a_file_of_several_samples_bears_the_first_by_name_and_is_noted(tmp_path: Path) -> None:
    rows = tree(tmp_path)
    rows[0] |= {"Case ID": "C3L-00908, C3L-00908", "Sample ID": "C3L-00908-03, C3L-00908-01",
                "Sample Type": "Metastatic, Primary Tumor"}  # fmt: skip
    write_sheet(tmp_path, rows)
    matrix = read(tmp_path)
    row = matrix.samples.index("C3L-00908-01")
    assert matrix.columns["sample_type"][row] == "Primary Tumor"
    assert matrix.columns["case_id"][row] == "C3L-00908"
    assert any("come from several samples" in note and rows[0]["File ID"] in note for note in matrix.notes)


def test_a_clinical_table_is_joined_by_case(tmp_path: Path) -> None:
    write_sheet(tmp_path, tree(tmp_path))
    header = "case_id\tcase_submitter_id\tgender\tage_at_index\tdays_to_death\ttreatment_type"
    rows = [
        "u1\tTCGA-KL-0001\tfemale\t61\t'--\tRadiation Therapy, NOS",
        "u1\tTCGA-KL-0001\tfemale\t61\t'--\tPharmaceutical Therapy, NOS",
        "u2\tTCGA-KL-0002\tmale\t48\t'--\t'--",
    ]
    (tmp_path / "clinical.tsv").write_text("\n".join([header, *rows]) + "\n")
    matrix = read(tmp_path)
    ages = dict(zip(matrix.samples, matrix.columns["age_at_index"], strict=True))
    assert ages == {
        "TCGA-KL-0001-01A": "61",
        "TCGA-KL-0001-11A": "61",
        "TCGA-KL-0002-01A": "48",
        "TCGA-KL-0002-11A": "48",
    }
    assert "days_to_death" not in matrix.columns, "a column without any value says nothing"
    treated = dict(zip(matrix.samples, matrix.columns["treatment_type"], strict=True))
    assert treated["TCGA-KL-0001-01A"] == "Radiation Therapy, NOS"
    assert treated["TCGA-KL-0002-01A"] == ""
    assert matrix.columns["case_id"][0] == "TCGA-KL-0001" or matrix.columns["case_id"][0] == "TCGA-KL-0002"
    assert any("several rows for some cases" in note for note in matrix.notes)


def test_a_clinical_table_of_today_has_dotted_names(tmp_path: Path) -> None:
    write_sheet(tmp_path, tree(tmp_path))
    text = "project.project_id\tcases.case_id\tcases.submitter_id\tdemographic.gender\ndiag\tu1\tTCGA-KL-0001\tfemale\n"
    (tmp_path / "clinical.tsv").write_text(text)
    matrix = read(tmp_path)
    genders = dict(zip(matrix.samples, matrix.columns["gender"], strict=True))
    assert genders["TCGA-KL-0001-01A"] == "female"
    assert genders["TCGA-KL-0002-01A"] == ""
    assert any("1 cases have no row in" in note and "TCGA-KL-0002" in note for note in matrix.notes)


def test_annotations_become_notes_that_name_the_files(tmp_path: Path) -> None:
    rows = tree(tmp_path)
    write_sheet(tmp_path, rows)
    header = (
        "id\tsubmitter_id\tentity_type\tentity_id\tcategory\tclassification\tcreated_datetime\tstatus\tnotes"
    )
    for row in rows[:2]:
        text = f"{header}\nx\t1\tcase\ty\tItem flagged DNU\tCenterNotification\t2012-10-31T00:00:00\tApproved\tlow yield"
        (tmp_path / row["File ID"] / "annotations.txt").write_text(text)
    note = next(note for note in read(tmp_path).notes if "flags" in note)
    assert "2 files as Item flagged DNU (CenterNotification)" in note
    assert all(row["File ID"] in note for row in rows[:2])


def test_logs_of_gdc_client_are_passed_over_and_unfinished_downloads_refused(tmp_path: Path) -> None:
    rows = tree(tmp_path)
    write_sheet(tmp_path, rows)
    log = tmp_path / rows[0]["File ID"] / "logs" / f"{rows[0]['File Name']}.parcel"
    log.parent.mkdir()
    log.write_bytes(b"\x80\x04\x95u\x01\x00")
    assert len(read(tmp_path).samples) == 4
    (log.parents[1] / f"{rows[0]['File Name']}.partial").write_bytes(b"gene_id\tu")
    with pytest.raises(
        DataError, match=r"1 downloads of gdc-client are not finished.*\.partial.*run gdc-client"
    ):
        read(tmp_path)


def test_a_manifest_beside_the_files_is_used_to_check_them(tmp_path: Path) -> None:
    rows = tree(tmp_path)
    write_sheet(tmp_path, rows)
    lines = [f"{row['File ID']}\t{row['File Name']}\t{row['md5']}\t{row['size']}\treleased" for row in rows]
    (tmp_path / "gdc_manifest.2024-08-06.txt").write_text(
        "\n".join(["id\tfilename\tmd5\tsize\tstate", *lines]) + "\n"
    )
    assert not any("md5" in note for note in read(tmp_path).notes)
    target = tmp_path / rows[1]["File ID"] / rows[1]["File Name"]
    target.write_text(target.read_text().replace("\t601\t", "\t609\t"))
    with pytest.raises(DataError, match=rf"{rows[1]['File Name']}: its md5 is not the one the GDC gives"):
        read(tmp_path)


def test_an_unpacked_batch_of_the_api_is_read_by_its_own_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "gdc_download_20240806_120000.000000"
    folder.mkdir()
    rows = tree(folder)
    lines = [
        f"{row['File ID']}\t{row['File ID']}/{row['File Name']}\t{row['md5']}\t{row['size']}\treleased"
        for row in rows
    ]
    (folder / "MANIFEST.txt").write_text("\n".join(["id\tfilename\tmd5\tsize\tstate", *lines]) + "\n")
    write_sheet(tmp_path, rows)
    matrix = read(tmp_path)
    assert len(matrix.samples) == 4
    assert not any("md5" in note for note in matrix.notes)


def test_the_portals_metadata_tell_samples_by_their_aliquots(tmp_path: Path) -> None:
    tree(tmp_path)
    records = [
        {key: hit[key] for key in ("file_id", "file_name", "md5sum", "file_size", "associated_entities")}
        for hit, _ in kich(4)
    ]
    (tmp_path / "metadata.cart.2024-08-06.json").write_text(json.dumps(records))
    matrix = read(tmp_path)
    assert set(matrix.samples) == {f"TCGA-KL-000{k}-{code}" for k in (1, 2) for code in ("01A", "11A")}
    assert set(matrix.columns["sample_type"]) == {"Primary Tumor", "Solid Tissue Normal"}
    assert set(matrix.columns["case_id"]) == {"TCGA-KL-0001", "TCGA-KL-0002"}


def test_htseq_counts_are_read_as_counts(tmp_path: Path) -> None:
    lines = ["File ID\tFile Name\tCase ID\tSample ID\tSample Type"]
    for k in range(3):
        name = f"f{k}.htseq.counts.gz"
        (tmp_path / f"id{k}").mkdir()
        (tmp_path / f"id{k}" / name).write_bytes(gzip.compress(HTSEQ.format(100 + k, 0).encode(), mtime=0))
        lines.append(f"id{k}\t{name}\tTCGA-33-000{k}\tTCGA-33-000{k}-01A\tPrimary Tumor")
    (tmp_path / "gdc_sample_sheet.2020-02-13.tsv").write_text("\n".join(lines) + "\n")
    matrix = read(tmp_path)
    assert matrix.values.tolist() == [[100, 0], [101, 0], [102, 0]]
    assert matrix.genes == ("ENSG00000000003.13", "ENSG00000000005.5")
    assert matrix.metrics["assigned_share"][0] == pytest.approx(0.5)
    assert matrix.metrics["multimapping_share"][0] == pytest.approx(65 / 200)
    assert matrix.units == "counts"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\t100\n", "\t1.5\n", ":1:count"),
        ("\t100\n", "\t100\t3\n", "3 cells under 2"),
        ("\t100\n", "\t-1\n", "-1"),
    ],
)
def test_a_bad_htseq_row_is_refused_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "a.htseq.counts").write_text(HTSEQ.format(100, 0).replace(old, new))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert words in str(caught.value)


def test_two_files_of_one_sample_stay_apart_and_are_noted(tmp_path: Path) -> None:
    files = [*kich(2), star_file("TCGA-KL-0001-01A", (5, 5, 0), plate="9999")]
    for hit, content in files:
        (tmp_path / hit["file_id"]).mkdir()
        (tmp_path / hit["file_id"] / hit["file_name"]).write_bytes(content)
    (tmp_path / "files.json").write_text(json.dumps({"data": {"hits": [hit for hit, _ in files]}}))
    matrix = read(tmp_path)
    assert set(matrix.samples) == {
        "TCGA-KL-0001-11A",
        "TCGA-KL-0001-01A-11R-2315-07",
        "TCGA-KL-0001-01A-11R-9999-07",
    }
    assert any(
        "1 samples have several files" in note and "TCGA-KL-0001-01A (2 files)" in note
        for note in matrix.notes
    )


def test_a_type_that_contradicts_its_barcode_is_noted_and_kept(tmp_path: Path) -> None:
    rows = tree(tmp_path)
    rows[0]["Sample Type"] = "Solid Tissue Normal"
    write_sheet(tmp_path, rows)
    matrix = read(tmp_path)
    assert matrix.columns["sample_type"][matrix.samples.index("TCGA-KL-0001-01A")] == "Solid Tissue Normal"
    assert any(
        "another type than their barcode" in note and "TCGA-KL-0001-01A" in note for note in matrix.notes
    )


def test_counts_beyond_32_bits_widen_the_matrix(tmp_path: Path) -> None:
    for k, n in enumerate((5, 3_000_000_000, 7)):
        (tmp_path / f"id{k}").mkdir()
        (tmp_path / f"id{k}" / f"f{k}.rna_seq.augmented_star_gene_counts.tsv").write_text(
            star_text((n, 1, 2))
        )
    matrix = read(tmp_path)
    assert matrix.values.dtype == "int64"
    assert matrix.values[:, 0].tolist() == [5, 3_000_000_000, 7]


def test_a_record_of_flags_in_an_answer_is_noted(tmp_path: Path) -> None:
    hit, content = star_file(
        "TCGA-KL-0001-01A", annotations=[{"category": "Item flagged DNU", "classification": "Redaction"}]
    )
    assert hit["md5sum"] == hashlib.md5(content).hexdigest()
    (tmp_path / hit["file_id"]).mkdir()
    (tmp_path / hit["file_id"] / hit["file_name"]).write_bytes(content)
    (tmp_path / "files.json").write_text(json.dumps({"data": {"hits": [hit]}}))
    matrix = read(tmp_path)
    assert any("flags 1 files as Item flagged DNU (Redaction)" in note for note in matrix.notes)
    assert "category" not in matrix.columns
