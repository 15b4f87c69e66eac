"""What is asked of the GDC, how its pages are put together, and the plan of a cohort, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consilience.foundation.errors import ConsilienceError, DataError, DownloadError
from consilience.sources.gdc.manifest import manifest_text, read_manifest
from consilience.sources.gdc.plan import plan_project, write_manifest
from consilience.sources.gdc.query import ask, data_release, find_files, is_any_of
from consilience.sources.gdc.read import read_gdc
from consilience.sources.plans import Plan
from consilience.sources.raw_folder import raw_folder_of
from consilience.study.cohorts import Cohort
from fake_gdc import API, RELEASE, FakeGdc, kich, star_file


class Asking:
    """As much of `Downloads` as a plan uses: small answers, a folder, perhaps a token."""

    def __init__(self, gdc: FakeGdc, *, folder: Path = Path(), token: bool = False) -> None:
        self.gdc, self.folder, self.token = gdc, folder, token

    def read(
        self, url: str, *, body: str = "", authorised: bool = False, optional: bool = False
    ) -> bytes | None:
        assert not authorised, "questions need no token"
        return self.gdc.answer(url.removeprefix(API), body)

    def has_token(self) -> bool:
        return self.token


def plan(
    gdc: FakeGdc, location: str = "TCGA-KICH", *, folder: Path = Path(), token: bool = False, **of_cohort: Any
) -> Plan:
    cohort = Cohort("kich", "bulk", "gdc", location, **of_cohort)
    return plan_project(cohort=cohort, downloads=Asking(gdc, folder=folder, token=token))  # type: ignore[arg-type]


def test_the_plan_lists_every_file_with_its_size_and_md5() -> None:
    gdc = FakeGdc(kich(6))
    found = plan(gdc)
    assert found.release == RELEASE
    hits = sorted((hit for hit, _ in gdc.files), key=lambda hit: hit["file_id"])
    assert [one.name for one in found.downloads] == [f"{hit['file_id']}/{hit['file_name']}" for hit in hits]
    assert [one.url for one in found.downloads] == [f"{API}data/{hit['file_id']}" for hit in hits]
    assert [(one.bytes, one.md5, one.authorised) for one in found.downloads] == [
        (hit["file_size"], hit["md5sum"], False) for hit in hits
    ]
    assert json.loads(found.written["files.json"])["data"]["hits"] == hits


def test_the_question_names_project_workflow_and_open_access() -> None:
    gdc = FakeGdc(kich(2))
    plan(gdc, select="sample_type=Primary Tumor")
    question = next(body for path, body in gdc.asked if path == "files")
    wanted = {one["content"]["field"]: one["content"]["value"] for one in question["filters"]["content"]}
    assert wanted == {
        "access": ["open"], "analysis.workflow_type": ["STAR - Counts"],
        "cases.project.project_id": ["TCGA-KICH"], "cases.samples.sample_type": ["Primary Tumor"],
        "data_type": ["Gene Expression Quantification"], "experimental_strategy": ["RNA-Seq"],
    }  # fmt: skip
    assert {"md5sum", "file_size", "cases.samples.sample_type", "cases.demographic.gender"} <= set(
        question["fields"].split(",")
    )
    assert question["sort"] == "file_id:asc"


def test_pages_are_put_together_and_the_plan_does_not_depend_on_their_size() -> None:
    whole = plan(FakeGdc(kich(10)))
    for most in (1, 3, 9):
        gdc = FakeGdc(kich(10), most=most)
        assert plan(gdc) == whole
        assert sum(path == "files" for path, _ in gdc.asked) == -(-10 // most)


def test_files_fit_what_is_written(tmp_path: Path) -> None:
    gdc = FakeGdc(kich(6))
    found = plan(gdc)
    for one in found.downloads:
        target = tmp_path / one.name
        target.parent.mkdir()
        target.write_bytes(gdc.answer(one.url.removeprefix(API)) or b"")
    for name, text in found.written.items():
        (tmp_path / name).write_text(text)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    matrix = read_gdc(raw_folder_of(tmp_path, tuple((name, tmp_path / name) for name in names)))
    totals = dict(zip(matrix.samples, matrix.values.sum(axis=1).tolist(), strict=True))
    assert totals == {
        f"TCGA-KL-{k // 2 + 1:04d}-{'01A' if k % 2 == 0 else '11A'}": 800 + k + k % 2 for k in range(6)
    }
    assert set(matrix.columns["vital_status"]) == {"Alive"}
    assert set(matrix.columns["age_at_diagnosis"]) == {"20000"}


class Moving:
    """The total changes while the first pages are read, `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, answer: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
        if question["from"] and self.times:
            self.times -= 1
            answer["data"]["pagination"]["total"] += 1
        return answer


def test_a_total_that_changes_between_pages_starts_the_question_over() -> None:
    assert plan(FakeGdc(kich(6), most=2, twist=Moving(2))) == plan(FakeGdc(kich(6)))


def test_an_answer_that_keeps_changing_is_refused() -> None:
    gdc = FakeGdc(kich(6), most=2, twist=Moving(100))
    with pytest.raises(DownloadError, match=r"changes while it is read \(of 6 files, then of 7\)"):
        plan(gdc)
    assert len(gdc.asked) < 20


def test_a_file_on_two_pages_starts_over() -> None:
    def shifted(answer: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
        if question["from"]:
            answer["data"]["hits"] = first
        else:
            first[:] = answer["data"]["hits"]
        return answer

    first: list[Any] = []
    with pytest.raises(DownloadError, match="one file on two pages"):
        plan(FakeGdc(kich(6), most=3, twist=shifted))


def test_an_empty_page_before_the_end_is_not_asked_for_ever() -> None:
    def cut(answer: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
        if question["from"]:
            answer["data"]["hits"] = []
        return answer

    with pytest.raises(DownloadError, match="3 of 6 files, then none"):
        plan(FakeGdc(kich(6), most=3, twist=cut))


def test_warnings_become_notes() -> None:
    def warn(answer: dict[str, Any], _question: dict[str, Any]) -> dict[str, Any]:
        return answer | {"warnings": {"fields": "unrecognized values: [cases.gendre]"}}

    assert [note for note in plan(FakeGdc(kich(2), twist=warn)).notes if "unrecognized values" in note]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "not JSON"),
        (b"<html><head><title>503 Service Unavailable</title></head></html>", "503 Service Unavailable"),
        ({"message": "internal server error"}, "the GDC refuses: 'internal server error'"),
        ({"error": "Invalid filters"}, "the GDC refuses: 'Invalid filters'"),
        ([1], "not what the GDC gives"),
        ({"data": {}}, "not a page of files"),
        ({"data": {"hits": None, "pagination": {"total": 1}}}, "not a page of files"),
        ({"data": {"hits": [], "pagination": {"total": "many"}}}, "not a page of files"),
        ({"data": {"hits": ["x"], "pagination": {"total": 1}}}, "is no record of a file"),
    ],
)  # fmt: skip
def test_answers_that_are_none_are_refused_and_quoted(answer: Any, words: str) -> None:
    with pytest.raises(DownloadError, match=r"api\.gdc\.cancer\.gov/files") as caught:
        plan(FakeGdc(kich(2), twist=lambda _answer, _question: answer))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"md5sum": None}, "has no md5sum"),
        ({"md5sum": "no"}, "a md5sum that cannot be"),
        ({"file_size": None}, "file_size"),
        ({"file_size": -1}, "file_size"),
        ({"file_name": "../../x.rna_seq.augmented_star_gene_counts.tsv"}, "file_name that cannot be"),
        ({"file_id": "../up"}, "file_id that cannot be"),
        ({"file_name": ""}, "no file_name"),
    ],
)
def test_files_without_size_or_md5_or_with_hostile_names_are_refused(
    change: dict[str, Any], words: str
) -> None:
    files = kich(4)
    files[1][0].update(change)
    with pytest.raises(DownloadError, match=words):
        plan(FakeGdc(files))


def test_a_status_without_a_release_is_refused() -> None:
    with pytest.raises(DownloadError, match="names no data release"):
        data_release(Asking(FakeGdc([], release="")))  # type: ignore[arg-type]


def test_a_misspelt_project_is_refused_with_the_name_that_was_meant() -> None:
    with pytest.raises(
        DownloadError, match=r"no such project; found 'TGCA-KICH'.*did you mean 'TCGA-KICH'\?"
    ):
        plan(FakeGdc(kich(2)), "TGCA-KICH")
    with pytest.raises(DownloadError, match="TGCA-KICH"):
        plan(FakeGdc(kich(2)), "TCGA-KICH|TGCA-KICH")


def test_a_project_without_open_counts_is_refused() -> None:
    with pytest.raises(DownloadError, match="no open STAR counts; found 'TCGA-KIRC'"):
        plan(FakeGdc(kich(2)), "TCGA-KICH|TCGA-KIRC")


def test_several_projects_are_one_cohort() -> None:
    other = star_file("TCGA-BP-0001-01A", project="TCGA-KIRC")
    found = plan(FakeGdc([*kich(2), other]), "TCGA-KICH|TCGA-KIRC")
    assert len(found.downloads) == 3


def test_select_leaves_files_out_before_they_are_downloaded() -> None:
    found = plan(FakeGdc(kich(6)), select="sample_type=Primary Tumor; gender=female")
    assert len(found.downloads) == 3
    for wanted, words in (
        ("Primary Tumour", "did you mean 'Primary Tumor'"),
        ("Primary Tumor|Metastatic", "Metastatic"),
    ):
        with pytest.raises(DataError, match=words):
            plan(FakeGdc(kich(6)), select=f"sample_type={wanted}")
    with pytest.raises(DataError, match="no such phenotype column"):
        plan(FakeGdc(kich(6)), select="sexx=female")


def test_sample_types_that_only_the_barcodes_tell_are_selected_all_the_same() -> None:
    files = kich(4)
    for hit, _ in files:
        del hit["cases"][0]["samples"][0]["sample_type"]
    assert len(plan(FakeGdc(files), select="sample_type=Solid Tissue Normal").downloads) == 2


def test_controlled_files_need_a_token(tmp_path: Path) -> None:
    files = kich(2, access="controlled")
    with pytest.raises(DownloadError, match="no open STAR counts"):
        plan(FakeGdc(files))
    (tmp_path / "m.tsv").write_text(manifest_text([hit for hit, _ in files], release=RELEASE))
    with pytest.raises(DownloadError, match=r"2 of 2 files are controlled.*Download Token.*gdc_token_file"):
        plan(FakeGdc(files), "m.tsv", folder=tmp_path)
    found = plan(FakeGdc(files), "m.tsv", folder=tmp_path, token=True)
    assert [one.authorised for one in found.downloads] == [True, True]


def test_a_manifest_is_written_read_and_followed_to_the_letter(tmp_path: Path) -> None:
    gdc = FakeGdc(kich(6))
    said = write_manifest(
        Asking(gdc),
        projects=["TCGA-KICH"],
        sample_types=["Primary Tumor"],
        path=tmp_path / "m.tsv",  # type: ignore[arg-type]
    )
    assert "3 files (Primary Tumor 3)" in said
    assert RELEASE in said
    entries = read_manifest(tmp_path / "m.tsv")
    assert {(one.project, one.sample_type, one.access, one.release) for one in entries} == {
        ("TCGA-KICH", "Primary Tumor", "open", RELEASE)
    }
    assert {(one.case, one.sample) for one in entries} == {
        (f"TCGA-KL-000{k}", f"TCGA-KL-000{k}-01A") for k in (1, 2, 3)
    }
    later = FakeGdc(kich(10))  # a newer release has more files; the cohort stays what it was
    found = plan(later, "m.tsv", folder=tmp_path)
    assert sorted(one.url.rpartition("/")[2] for one in found.downloads) == sorted(one.id for one in entries)


def test_a_manifest_of_an_unknown_sample_type_or_name_is_refused(tmp_path: Path) -> None:
    asking: Any = Asking(FakeGdc(kich(4)))
    with pytest.raises(DownloadError, match="did you mean 'Primary Tumor'"):
        write_manifest(
            asking, projects=["TCGA-KICH"], sample_types=["primary tumour"], path=tmp_path / "m.tsv"
        )
    with pytest.raises(ConsilienceError, match=r"must be named \.tsv or \.txt"):
        write_manifest(asking, projects=["TCGA-KICH"], sample_types=[], path=tmp_path / "m.json")
    assert not list(tmp_path.iterdir())


def test_files_that_a_newer_release_superseded_are_listed_with_their_new_ids(tmp_path: Path) -> None:
    files = kich(6)
    (tmp_path / "m.tsv").write_text(manifest_text([hit for hit, _ in files], release=RELEASE))
    old = files[0][0]["file_id"]
    with pytest.raises(DownloadError, match=r"2 of 6 files of the manifest are no longer served") as caught:
        plan(FakeGdc(files[2:], latest={old: "new-id"}), "m.tsv", folder=tmp_path)
    assert f"{old} (now new-id)" in str(caught.value)
    assert files[1][0]["file_id"] in str(caught.value)
    assert "consilience manifest" in str(caught.value)


@pytest.mark.parametrize("column", ["filename", "md5", "size"])
def test_a_manifest_that_contradicts_the_gdc_is_refused(tmp_path: Path, column: str) -> None:
    files = kich(2)
    hits = [dict(hit) for hit, _ in files]
    hits[0].update(
        {"filename": {"file_name": "other.tsv"}, "md5": {"md5sum": "0" * 32}, "size": {"file_size": 7}}[
            column
        ]
    )
    (tmp_path / "m.tsv").write_text(manifest_text(hits, release=RELEASE))
    with pytest.raises(DataError, match=f"the manifest's {column} is not the GDC's"):
        plan(FakeGdc(files), "m.tsv", folder=tmp_path)


def test_a_manifest_is_asked_for_in_pages_of_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consilience.sources.gdc.plan.PAGE_SIZE", 4)
    files = kich(10)
    (tmp_path / "m.tsv").write_text(manifest_text([hit for hit, _ in files], release=RELEASE))
    gdc = FakeGdc(files)
    assert len(plan(gdc, "m.tsv", folder=tmp_path).downloads) == 10
    sizes = [len(body["filters"]["content"]["value"]) for path, body in gdc.asked if path == "files"]
    assert sizes == [4, 4, 2]


def test_other_files_of_a_manifest_are_left_out_and_noted(tmp_path: Path) -> None:
    files = kich(2)
    bam = star_file("TCGA-KL-0009-01A", file_name="x.bam")
    (tmp_path / "m.txt").write_text(manifest_text([hit for hit, _ in [*files, bam]], release=RELEASE))
    found = plan(FakeGdc([*files, bam]), "m.txt", folder=tmp_path)
    assert len(found.downloads) == 2
    assert any("1 listed files are no STAR counts" in note for note in found.notes)
    with pytest.raises(DownloadError, match="none of the files is a table of gene counts"):
        plan(FakeGdc([*files, bam]), "m.txt", folder=tmp_path, files=("*.bam",))


def test_questions_are_the_same_text_every_time() -> None:
    first, second = FakeGdc(kich(2)), FakeGdc(kich(2))
    plan(first)
    plan(second)
    assert first.asked == second.asked
    assert find_files(Asking(first), filters=is_any_of("file_id", ["none"])).hits == ()  # type: ignore[arg-type]
    assert ask(Asking(first), "status")["tag"] == "7.2"  # type: ignore[arg-type]
