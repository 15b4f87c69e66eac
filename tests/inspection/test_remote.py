"""Inspecting what lies elsewhere, on a server that plays GEO, the GDC and a plain site."""

import re

import pytest

from consilience.downloads.downloads import Downloads
from consilience.foundation.errors import DownloadError
from consilience.inspection.remote import inspect_addresses
from consilience.inspection.show import plain
from consilience.inspection.targets import inspect_target
from consilience.sources.addresses import plan_addresses
from consilience.sources.gdc.plan import write_manifest
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection
from fake_gdc import FakeGdc, kich
from faults import Fault
from sites import FILES, lay_out_series, mirrors

SERIES = """!Series_title\t"Biopsies"
!Series_geo_accession\t"GSE123456"
!Series_type\t"Expression profiling by high throughput sequencing"
!Series_supplementary_file\t"{supplement}"
!Sample_title\t"a 1"\t"a 2"\t"a 3"\t"b 1"\t"b 2"\t"b 3"
!Sample_geo_accession\t"GSM1"\t"GSM2"\t"GSM3"\t"GSM4"\t"GSM5"\t"GSM6"
!Sample_type\t"SRA"\t"SRA"\t"SRA"\t"SRA"\t"SRA"\t"SRA"
!Sample_organism_ch1\t"Homo sapiens"\t"Homo sapiens"\t"Homo sapiens"\t"Homo sapiens"\t"Homo sapiens"\t"Homo sapiens"
!Sample_characteristics_ch1\t"disease: ill"\t"disease: ill"\t"disease: ill"\t"disease: healthy"\t"disease: healthy"\t"disease: healthy"
!Sample_platform_id\t"GPL16791"\t"GPL16791"\t"GPL16791"\t"GPL16791"\t"GPL16791"\t"GPL16791"
!series_matrix_table_begin
"ID_REF"\t"GSM1"\t"GSM2"\t"GSM3"\t"GSM4"\t"GSM5"\t"GSM6"
!series_matrix_table_end
"""


@pytest.fixture
def settings(replay, tmp_path):
    return FetchSection(cache=str(tmp_path / "cache"), mirrors=mirrors(replay), attempts=2, stall_seconds=5.0)


def serve_series(replay, tmp_path, *supplements):
    text = SERIES.replace("{supplement}", supplements[0] if supplements else "NONE")
    matrix = tmp_path / "matrix.txt"
    matrix.write_text(text)
    root = tmp_path / "geo"
    table = tmp_path / "table.txt"
    table.write_bytes(b"gene\t1\n" * 40)
    lay_out_series(root, "GSE123456", matrices={"GSE123456_series_matrix.txt": matrix},
                   supplements=dict.fromkeys(supplements, table))  # fmt: skip
    replay.serve_folder("/geo", root)


def test_a_series(replay, tmp_path, settings):
    serve_series(replay, tmp_path, "GSE123456_raw_counts.txt.gz", "GSE123456_fpkm.txt.gz")
    found = inspect_target("GSE123456", settings=settings)
    assert found.kind == "bulk"
    assert [one.name for one in found.files] == [
        "GSE123456_series_matrix.txt", "GSE123456_fpkm.txt.gz", "GSE123456_raw_counts.txt.gz",
    ]  # fmt: skip
    assert found.facts["samples"] == "6"
    assert found.facts["platform"] == "GPL16791 (6)"
    assert "GSE123456_raw_counts.txt.gz" in found.facts["a study would fetch"]
    cells = found.proposal.cells
    assert (cells["source"], cells["location"]) == ("geo", "GSE123456")
    assert (cells["condition"], cells["case"], cells["control"]) == ("disease", "ill", "healthy")
    asked = [one.path for one in replay.requests]
    assert not [path for path in asked if path.endswith(("_counts.txt.gz", "_fpkm.txt.gz"))]


def test_a_series_of_cells(replay, tmp_path, settings):
    serve_series(replay, tmp_path, "GSE123456_matrix.mtx.gz", "GSE123456_barcodes.tsv.gz",
                 "GSE123456_features.tsv.gz")  # fmt: skip
    found = inspect_target("GSE123456", settings=settings)
    assert found.kind == found.proposal.cells["kind"] == "single_cell"
    assert any(one.startswith("donor: cells need") for one in found.proposal.decide)


def test_what_a_study_could_not_fetch_is_said(replay, tmp_path, settings):
    serve_series(replay, tmp_path)
    found = inspect_target("GSE123456", settings=settings)
    assert any("a study could not fetch this series as it is" in note for note in found.notes)
    assert found.proposal.cells["condition"] == "disease"


def test_a_series_that_is_not_there(replay, settings):
    replay.serve("/geo/other", b"")
    with pytest.raises(DownloadError, match="nothing is served for this series"):
        inspect_target("GSE999", settings=settings)


def test_projects(replay, settings):
    FakeGdc(kich(8)).serve(replay)
    found = inspect_target("TCGA-KICH", settings=settings)
    assert found.facts["files"].startswith("8 STAR counts")
    (types,) = [one for one in found.columns if one.name == "sample_type"]
    assert types.levels == (("Primary Tumor", 4), ("Solid Tissue Normal", 4))
    cells = found.proposal.cells
    assert (cells["condition"], cells["case"], cells["control"], cells["donor"]) == (
        "sample_type", "Primary Tumor", "Solid Tissue Normal", "case_id",
    )  # fmt: skip
    assert not [one for one in replay.requests if re.search("/data/?", one.path)]


def test_an_address_is_only_begun(replay, settings):
    replay.serve("/files/big.tsv", b"gene\ts1\n" + b"TP53\t1\n" * 200_000)
    found = inspect_target(f"{FILES}big.tsv", settings=settings)
    assert [(one.name, one.what) for one in found.files] == [("big.tsv", "table")]
    assert found.proposal.cells["source"] == "url"
    assert any("fetch them and inspect again" in note for note in found.notes)


def test_an_address_that_serves_a_page_is_said(replay, settings):
    replay.serve("/files/x.h5ad", b"<!DOCTYPE html><html>log in</html>")
    found = inspect_target(f"{FILES}x.h5ad", settings=settings)
    assert any(note.startswith(f"{FILES}x.h5ad: this is a web page") for note in found.notes)
    assert found.files[0].what == "unknown"


def test_an_address_that_does_not_answer_is_said(replay, settings):
    replay.serve("/files/x.tsv", b"a\tb\n")
    replay.fault("/files/x.tsv", Fault.status(503), times=9)
    found = inspect_target(f"{FILES}x.tsv", settings=settings)
    assert found.notes


def test_a_known_data_set_says_what_is_known(tmp_path):
    settings = FetchSection(cache=str(tmp_path / "cache"), offline=True)
    found = inspect_addresses("norman-2019", kind="perturbation", settings=settings, folder=tmp_path)
    (about,) = found.facts.values()
    assert "doi:10.1126/science.aax4438" in about
    assert "CC BY 4.0" in about
    assert found.files[0].bytes == 698680199
    text = "\n".join(plain(found))
    assert "\tperturbation\turl\tnorman-2019\t" in text


def test_what_is_in_the_cache_is_looked_into(replay, tmp_path, settings):
    samples = "sample\tpatient\tdisease\n" + "".join(
        f"s{k}\tp{k}\t{'ill' if k % 2 else 'healthy'}\n" for k in range(8)
    )
    counts = (
        "\t".join(["gene", *(f"s{k}" for k in range(8))]) + "\n" + "TP53\t" + "\t".join("12345678") + "\n"
    )
    replay.serve("/files/x.tsv", counts.encode())
    replay.serve("/files/x.samples.tsv", samples.encode())
    location = f"{FILES}x.tsv|{FILES}x.samples.tsv"
    begun = inspect_target(location, settings=settings)
    assert begun.proposal.cells.get("condition", "") == ""
    wanted = plan_addresses(cohort=Cohort("c", "bulk", "url", location=location)).downloads
    Downloads(settings).bring(wanted, into=tmp_path / "raw")
    offline = settings.model_copy(update={"offline": True})
    found = inspect_target(location, settings=offline)
    assert found.facts["units"] == "counts"
    cells = found.proposal.cells
    assert (cells["source"], cells["location"], cells["condition"]) == ("url", location, "disease")


def test_no_network_is_not_taken_for_an_absent_series(tmp_path):
    settings = FetchSection(
        cache=str(tmp_path / "cache"), attempts=1, stall_seconds=1.0,
        mirrors={"https://ftp.ncbi.nlm.nih.gov/geo/": "http://127.0.0.1:9/geo/"},
    )  # fmt: skip
    with pytest.raises(
        DownloadError, match=r"GSE999/matrix/: given up after 1 tries.*refuses the connection"
    ):
        inspect_target("GSE999", settings=settings)
    offline = settings.model_copy(update={"offline": True})
    with pytest.raises(DownloadError, match=r"not in the cache.*put the file at .*GSE999_series_matrix"):
        inspect_target("GSE999", settings=offline)


def test_units_of_values_that_were_not_seen_are_left_to_a_person(replay, tmp_path, settings):
    serve_series(replay, tmp_path, "GSE123456_raw_counts.txt.gz")
    found = inspect_target("GSE123456", settings=settings)
    assert any(one.startswith("units: the values were not seen") for one in found.proposal.decide)


def test_a_manifest_is_a_location_of_the_gdc(replay, tmp_path, settings):
    FakeGdc(kich(8)).serve(replay)
    path = tmp_path / "mine.tsv"
    write_manifest(Downloads(settings), projects=["TCGA-KICH"], sample_types=[], path=path)
    found = inspect_target(str(path), settings=settings)
    cells = found.proposal.cells
    assert (cells["source"], cells["location"], cells["donor"]) == ("gdc", str(path), "case_id")


def test_what_cannot_be_asked_is_told_by_its_name(tmp_path):
    settings = FetchSection(cache=str(tmp_path / "cache"), offline=True)
    found = inspect_target(f"{FILES}x.h5ad", settings=settings)
    assert (found.kind, found.files[0].what) == ("single_cell", "h5ad")
    assert any("the columns were not seen" in one for one in found.proposal.decide)
    unknown = inspect_target(f"{FILES}35773219", settings=settings)
    assert unknown.proposal.decide[0].startswith("kind: nothing was seen of the files, so bulk is a guess")
