"""The GDC's own answers, manifests, sheets and clinical tables, as it serves them."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from consilience.downloads.downloads import Downloads
from consilience.foundation.errors import DataError, DownloadError
from consilience.sources.gdc.barcodes import sample_type_of
from consilience.sources.gdc.hits import broken_hit, flatten, read_hits
from consilience.sources.gdc.manifest import read_manifest
from consilience.sources.gdc.plan import plan_project
from consilience.sources.gdc.query import (
    counts_of,
    data_release,
    find_files,
    newer_versions,
    refuse_unknown_projects,
)
from consilience.sources.gdc.read import peek_gdc, read_gdc
from consilience.sources.phenotypes import standard_phenotypes
from consilience.sources.raw_folder import RawFolder, raw_folder_of
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection
from fake_gdc import API, FakeGdc, kich, star_text
from replay import ReplayServer

pytestmark = pytest.mark.real_data
HTSEQ = "ENSG00000000003.13\t{}\nENSG00000000005.5\t7\n__no_feature\t30\n__ambiguous\t5\n__not_aligned\t0\n"


@pytest.fixture(scope="module")
def gdc(kit: Path) -> Path:
    return kit / "gdc_as_served"


@pytest.fixture(scope="module")
def answers(gdc: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((gdc / "api_answers").iterdir())}


class Says:
    """Every question gets the same answer."""

    folder = Path()

    def __init__(self, answer: bytes) -> None:
        self.answer, self.asked = answer, 0

    def read(self, _url: str, **_: object) -> bytes:
        self.asked += 1
        return self.answer

    def has_token(self) -> bool:
        return False


def folder_of(path: Path) -> RawFolder:
    names = sorted(one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file())
    return raw_folder_of(path, tuple((name, path / name) for name in names))


def test_all_37_answers_end_in_a_clear_error_when_they_are_no_list_of_our_files(
    answers: dict[str, bytes],
) -> None:
    assert len(answers) == 37
    for name, answer in answers.items():
        says = Says(answer)
        with pytest.raises(DownloadError, match=r"api\.gdc\.cancer\.gov"):
            find_files(says, filters=counts_of(["TCGA-KICH"]))  # type: ignore[arg-type]
        assert says.asked < 10, name


def test_the_answers_are_refused_from_a_raw_folder_too(answers: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "files.json"
    for answer in answers.values():
        path.write_bytes(answer)
        with pytest.raises(DataError, match=r"files\.json"):
            read_hits(path)


def test_malformed_answers_are_called_so_and_quoted(answers: dict[str, bytes]) -> None:
    malformed = [answer for name, answer in answers.items() if "malformed" in name]
    assert len(malformed) == 2
    for answer in malformed:
        with pytest.raises(DownloadError, match="the answer is not JSON"):
            find_files(Says(answer), filters={})  # type: ignore[arg-type]


def test_the_same_over_a_connection(answers: dict[str, bytes], replay: ReplayServer, tmp_path: Path) -> None:
    mirrors = FakeGdc(kich(2)).serve(replay)
    settings = FetchSection(cache=str(tmp_path / "cache"), mirrors=mirrors, attempts=1, stall_seconds=5.0)
    for name, answer in answers.items():
        replay.serve("/gdc/files", answer)
        replay.serve("/gdc/projects", answers["Search_and_Retrieval_001.json"])
        with pytest.raises(DownloadError, match=r"api\.gdc\.cancer\.gov") as caught:
            plan_project(cohort=Cohort("c", "bulk", "gdc", "TCGA-KICH"), downloads=Downloads(settings))
        assert "127.0.0.1" not in str(caught.value), name


def test_files_as_the_api_lists_them_have_what_a_download_needs(answers: dict[str, bytes]) -> None:
    for name in ("Additional_Examples_003.json", "Search_and_Retrieval_005.json"):
        for hit in json.loads(answers[name])["data"]["hits"]:
            assert broken_hit(hit) == "", name
            assert hit["access"] == "controlled"
    names_only = json.loads(answers["Search_and_Retrieval_047.json"])["data"]["hits"]
    assert broken_hit(names_only[0]) == "has no file_id"


def test_a_nested_record_becomes_columns_by_its_paths(answers: dict[str, bytes]) -> None:
    row = flatten(json.loads(answers["Search_and_Retrieval_044.json"])["data"])
    assert row["cases.samples.sample_type"] == "Solid Tissue Normal"
    assert row["cases.samples.submitter_id"] == "TCGA-QQ-A5VA-11A"
    assert sample_type_of(row["cases.samples.submitter_id"]) == row["cases.samples.sample_type"]
    case = flatten({"cases": [json.loads(answers["Search_and_Retrieval_015.json"])["data"]]})
    assert case["cases.diagnoses.age_at_diagnosis"]


def test_aliquot_barcodes_of_the_guide_tell_their_sample_types(answers: dict[str, bytes]) -> None:
    codes: Counter[str] = Counter()
    for hit in json.loads(answers["Search_and_Retrieval_026.json"])["data"]["hits"]:
        codes.update(sample_type_of(one) for one in hit["submitter_aliquot_ids"])
    assert codes[""] == 0
    assert {"Primary Tumor", "Blood Derived Normal"} <= set(codes)


def test_projects_and_versions_as_the_api_gives_them(answers: dict[str, bytes]) -> None:
    says: Any = Says(answers["Search_and_Retrieval_001.json"])
    with pytest.raises(DownloadError, match="did you mean 'TCGA-LGG'"):
        refuse_unknown_projects(says, ["TCGA-LLG", "TCGA-THCA"])
    versions = json.loads(answers["Search_and_Retrieval_011.json"])
    newer = newer_versions(Says(answers["Search_and_Retrieval_011.json"]), ["x"])  # type: ignore[arg-type]
    assert newer == {one["id"]: one["latest_id"] for one in versions if one["id"] != one["latest_id"]}
    for name in (
        "Search_and_Retrieval_021.json",
        "Search_and_Retrieval_003.json",
        "Search_and_Retrieval_013.malformed.json",
    ):
        assert newer_versions(Says(answers[name]), ["x"]) == {}  # type: ignore[arg-type]
    with pytest.raises(DownloadError, match="names no data release"):
        data_release(Says(answers["System_Information_001.json"]))  # type: ignore[arg-type]


def test_the_portals_manifests_are_read_whole(gdc: Path) -> None:
    star = read_manifest(gdc / "gdc_manifest.2024-08-06.txt")
    assert len(star) == 142
    assert all(one.filename.endswith(".rna_seq.augmented_star_gene_counts.tsv") for one in star)
    assert {one.state for one in star} == {"released"}
    assert all(4_000_000 < one.size < 4_400_000 for one in star)
    htseq = read_manifest(gdc / "gdc_manifest_20200213_235716.txt")
    assert len(htseq) == 149
    assert all(one.filename.endswith(".htseq.counts.gz") for one in htseq)


def test_a_manifest_of_2020_says_that_its_files_are_no_longer_served(gdc: Path, tmp_path: Path) -> None:
    shutil.copy(gdc / "gdc_manifest_20200213_235716.txt", tmp_path / "m.txt")

    class Empty(Says):
        folder = tmp_path

        def read(self, url: str, **_: object) -> bytes:
            if url == API + "status":
                return b'{"data_release": "Data Release 41.0"}'
            return (
                b"[]" if url.endswith("versions") else b'{"data": {"hits": [], "pagination": {"total": 0}}}'
            )

    with pytest.raises(DownloadError, match="149 of 149 files of the manifest are no longer served"):
        plan_project(cohort=Cohort("c", "bulk", "gdc", "m.txt"), downloads=Empty(b""))  # type: ignore[arg-type]


def test_a_tree_of_2020_with_its_sheet_and_clinical_table_becomes_a_cohort(gdc: Path, tmp_path: Path) -> None:
    sheet = gdc / "gdc_sample_sheet.2020-02-13.tsv"
    shutil.copy(sheet, tmp_path / sheet.name)
    (tmp_path / "clinical.tsv").write_bytes(gzip.decompress((gdc / "clinical.tsv.gz").read_bytes()))
    rows = [line.split("\t") for line in sheet.read_text().splitlines()[1:]]
    for number, row in enumerate(rows):
        target = tmp_path / row[0] / row[1]
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(gzip.compress(HTSEQ.format(number).encode(), mtime=0))
    matrix = read_gdc(folder_of(tmp_path))
    assert len(matrix.samples) == len(rows) == 149
    expected = dict(zip((row[0] for row in rows), range(149), strict=True))
    found = dict(zip(matrix.columns["file_id"], matrix.values[:, 0].tolist(), strict=True))
    assert found == expected
    assert Counter(matrix.columns["sample_type"]) == Counter(row[7] for row in rows)
    assert set(matrix.columns["project_id"]) == {"TCGA-LUSC"}
    ages = dict(zip(matrix.columns["case_id"], matrix.columns["age_at_index"], strict=True))
    assert ages["TCGA-43-5670"] == "70"
    assert "ajcc_pathologic_stage" in matrix.columns
    assert not any(set(values) <= {"", "--", "'--"} for values in matrix.columns.values())
    cohort = Cohort("lusc", "bulk", "local", condition="ajcc_pathologic_stage", case=("Stage IIA",), control=("Stage IB",),
                    donor="case_id")  # fmt: skip
    standard = standard_phenotypes(
        cohort=cohort, samples=matrix.samples, columns=matrix.columns, min_samples_per_arm=3
    )
    assert set(standard.standard["arm"]) == {"case", "control", ""}


def test_a_tree_of_2024_gets_its_types_from_a_table_of_file_ids(gdc: Path, tmp_path: Path) -> None:
    types = gdc / "sample_type_by_file_id.2024-08-06.tsv"
    shutil.copy(types, tmp_path / types.name)
    for entry in read_manifest(gdc / "gdc_manifest.2024-08-06.txt"):
        (tmp_path / entry.id).mkdir()
        (tmp_path / entry.id / entry.filename).write_text(star_text((1, 2, 3)))
    columns = peek_gdc(folder_of(tmp_path))
    assert columns is not None
    assert Counter(columns["type"]) == {"Primary Tumor": 83, "Solid Tissue Normal": 59}
    shutil.copy(gdc / "gdc_manifest.2024-08-06.txt", tmp_path)
    with pytest.raises(DataError, match="the GDC says 4219837"):
        read_gdc(folder_of(tmp_path))


def test_annotations_and_logs_of_gdc_client(gdc: Path, tmp_path: Path) -> None:
    shutil.copytree(gdc / "gdc_client_tree", tmp_path, dirs_exist_ok=True)
    tmp_path.chmod(0o755)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for folder in sorted(tmp_path.iterdir()):
        (folder / "x.rna_seq.augmented_star_gene_counts.tsv").write_text(star_text((1, 2, 3)))
    matrix = read_gdc(folder_of(tmp_path))
    assert len(matrix.samples) == 3
    (note,) = [note for note in matrix.notes if "flags" in note]
    assert "2 files as Prior malignancy (Notification)" in note
    assert "0d1f21df-73b3-4dd0-9ad4-fd5c7a5d2424" in note
    assert "24079217-3899-4843-81fc-638293771d93" in note
