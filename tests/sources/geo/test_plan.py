"""Plans for GEO series, asked of a server laid out as NCBI's, brought by way of the cache and read."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from consilience.downloads.archives import unpack
from consilience.downloads.downloads import Downloads
from consilience.downloads.request import Download
from consilience.foundation.errors import ConsilienceError, DownloadError
from consilience.sources.geo.plan import plan_series
from consilience.sources.geo.read import read_geo
from consilience.sources.plans import Plan
from consilience.sources.raw_folder import RawFolder, raw_folder_of
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection
from geo_text import GSM, annotation_text, matrix_text
from replay import ReplayServer

SEQUENCING = "Expression profiling by high throughput sequencing"
SUPPLEMENT = [
    ("supplementary_file", "ftp://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE1/suppl/x"),
    ("last_update_date", "May 15 2019"),
]
READS = matrix_text(GSM, kind="SRA", said=SEQUENCING, platform="GPL11154", facts=SUPPLEMENT)
COUNTS = "gene\tGSM1\tGSM2\tGSM3\nTP53\t1\t2\t3\nKIT\t4\t5\t6\n"
VALUES = {"p1": [120.5, 90, 300], "p2": [15, 16.5, 0]}
PAGE = '<a href="/geo/download/?type=rnaseq_counts&amp;acc=GSE1&amp;format=file&amp;file=GSE1_raw_counts_GRCh38.p13_NCBI.tsv.gz">x</a>'


@dataclass
class Ncbi:
    """A small NCBI: `root` is the folder /geo of its file server."""

    server: ReplayServer
    root: Path
    settings: FetchSection

    def put(self, path: str, content: str | bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        target.write_bytes(gzip.compress(data, mtime=0) if path.endswith(".gz") else data)

    def series(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            self.put(f"series/GSEnnn/GSE1/{name}", content)

    def offer_counts(self) -> None:
        self.server.serve("/www/download/?acc=GSE1", PAGE)
        link = "/www/download/?type=rnaseq_counts&acc=GSE1&format=file&file=GSE1_raw_counts_GRCh38.p13_NCBI.tsv.gz"
        self.server.serve(
            link, gzip.compress(COUNTS.replace("gene", "GeneID").replace("TP53", "7157").encode(), mtime=0)
        )

    def plan(self, *, offline: bool = False, **cohort: object) -> Plan:
        settings = self.settings.model_copy(update={"offline": offline})
        row = {"kind": "bulk", "source": "geo", "location": "GSE1"} | cohort
        return plan_series(cohort=Cohort("c", **row), downloads=Downloads(settings))  # type: ignore[arg-type]

    def bring(self, plan: Plan, into: Path) -> RawFolder:
        Downloads(self.settings).bring(plan.downloads, into=into)
        for archive in into.glob("*.tar"):
            unpack(archive, into=into / archive.stem, members=plan.members, max_bytes=10**6, max_members=100)
            archive.unlink()
        paths = sorted(one for one in into.rglob("*") if one.is_file())
        return raw_folder_of(into, tuple((one.relative_to(into).as_posix(), one) for one in paths))


@pytest.fixture
def ncbi(tmp_path: Path, replay: ReplayServer) -> Ncbi:
    mirrors = {
        "https://ftp.ncbi.nlm.nih.gov/geo/": replay.url + "/geo/", "https://www.ncbi.nlm.nih.gov/geo/": replay.url + "/www/",
    }  # fmt: skip
    replay.serve_folder("/geo", tmp_path / "geo")
    (tmp_path / "geo").mkdir()
    return Ncbi(
        replay, tmp_path / "geo", FetchSection(cache=str(tmp_path / "cache"), mirrors=mirrors, attempts=1)
    )


def tar(members: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in members.items():
            data = gzip.compress(text.encode(), mtime=0)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def filelist(archive: bytes, members: Mapping[str, str]) -> str:
    rows = [
        f"Archive\tGSE1_RAW.tar\tx\t{len(archive)}\tTAR",
        *(f"File\t{name}\tx\t1\tTXT" for name in members),
    ]
    return "\n".join(["#Archive/File\tName\tTime\tSize\tType", *rows, ""])


def names(plan: Plan) -> list[str]:
    return [one.name for one in plan.downloads]


def test_counts_of_the_authors(ncbi: Ncbi, tmp_path: Path) -> None:
    ncbi.series(
        {
            "matrix/GSE1_series_matrix.txt.gz": READS,
            "suppl/GSE1_raw_counts.txt.gz": COUNTS,
            "suppl/GSE1_FPKM.txt.gz": COUNTS,
        }
    )
    plan = ncbi.plan()
    assert names(plan) == ["GSE1_series_matrix.txt.gz", "GSE1_raw_counts.txt.gz"]
    assert (
        plan.downloads[1].url
        == "https://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE1/suppl/GSE1_raw_counts.txt.gz"
    )
    assert plan.release == "GEO, last updated May 15 2019"
    assert [one.path for one in ncbi.server.requests] == [
        "/geo/series/GSEnnn/GSE1/matrix/", "/geo/series/GSEnnn/GSE1/matrix/GSE1_series_matrix.txt.gz", "/geo/series/GSEnnn/GSE1/suppl/",
    ]  # fmt: skip
    matrix = read_geo(ncbi.bring(plan, tmp_path / "raw"), cohort=Cohort("c", "bulk", "geo"))
    np.testing.assert_array_equal(matrix.values, [[1, 4], [2, 5], [3, 6]])
    asked = len(ncbi.server.requests)
    assert ncbi.plan(offline=True) == plan
    assert len(ncbi.server.requests) == asked
    assert names(ncbi.plan(units="fpkm")) == ["GSE1_series_matrix.txt.gz", "GSE1_FPKM.txt.gz"]


def test_an_array_comes_with_the_annotation_of_its_platform(ncbi: Ncbi, tmp_path: Path) -> None:
    ncbi.series(
        {
            "matrix/GSE1_series_matrix.txt.gz": matrix_text(GSM, values=VALUES, facts=SUPPLEMENT),
            "suppl/GSE1_RAW.tar": b"cels",
        }
    )
    ncbi.put("platforms/GPLnnn/GPL96/annot/GPL96.annot.gz", annotation_text({"p1": "TP53", "p2": "KIT"}))
    plan = ncbi.plan()
    assert names(plan) == ["GSE1_series_matrix.txt.gz", "GPL96.annot.gz"]
    assert not ncbi.server.asked("/geo/series/GSEnnn/GSE1/suppl/")
    matrix = read_geo(ncbi.bring(plan, tmp_path / "raw"), cohort=Cohort("c", "bulk", "geo"))
    assert matrix.genes == ("TP53", "KIT")
    assert matrix.units == "intensity"


def test_without_an_annotation_the_family_file_names_the_genes(ncbi: Ncbi, tmp_path: Path) -> None:
    family = "^SERIES = GSE1\n!Series_geo_accession = GSE1\n^PLATFORM = GPL96\n!platform_table_begin\nID\tSymbol\np1\tTP53\np2\tKIT\n!platform_table_end\n"
    ncbi.series(
        {
            "matrix/GSE1_series_matrix.txt.gz": matrix_text(GSM, values=VALUES),
            "soft/GSE1_family.soft.gz": family,
        }
    )
    plan = ncbi.plan()
    assert names(plan) == ["GSE1_series_matrix.txt.gz", "GSE1_family.soft.gz"]
    matrix = read_geo(ncbi.bring(plan, tmp_path / "raw"), cohort=Cohort("c", "bulk", "geo"))
    assert matrix.genes == ("TP53", "KIT")
    assert ncbi.plan(offline=True) == plan


def test_two_platforms_are_asked_about_before_anything_large_is_brought(ncbi: Ncbi) -> None:
    ncbi.series({
        "matrix/GSE1-GPL96_series_matrix.txt.gz": matrix_text(GSM[:2], values={"p1": [1.5, 200]}),
        "matrix/GSE1-GPL570_series_matrix.txt.gz": matrix_text(GSM[2:], platform="GPL570", values={"q1": [4.5]}),
    })  # fmt: skip
    ncbi.put("platforms/GPLnnn/GPL96/annot/GPL96.annot.gz", annotation_text({"p1": "TP53"}))
    with pytest.raises(
        ConsilienceError, match=r"2 platforms.*GPL96 \(2 samples\), GPL570 \(1 samples\).*platform_id=GPL96"
    ):
        ncbi.plan()
    plan = ncbi.plan(select="platform_id=GPL96")
    assert names(plan) == [
        "GSE1-GPL570_series_matrix.txt.gz",
        "GSE1-GPL96_series_matrix.txt.gz",
        "GPL96.annot.gz",
    ]
    one = ncbi.plan(select="platform_id=GPL96", files=("*GPL96_series_matrix*",))
    assert names(one) == ["GSE1-GPL96_series_matrix.txt.gz", "GPL96.annot.gz"]


def test_tables_of_single_samples_come_out_of_the_archive(ncbi: Ncbi, tmp_path: Path) -> None:
    members = {f"{name}_x.counts.txt.gz": f"TP53\t{k}\nKIT\t{k + 1}\n" for k, name in enumerate(GSM)} | {
        "GSM1_x.bw.gz": "no"
    }
    archive = tar(members)
    ncbi.series(
        {
            "matrix/GSE1_series_matrix.txt.gz": READS,
            "suppl/GSE1_RAW.tar": archive,
            "suppl/filelist.txt": filelist(archive, members),
        }
    )
    plan = ncbi.plan()
    assert plan.members == tuple(list(members)[:3])
    assert plan.downloads[1].bytes == len(archive)
    matrix = read_geo(ncbi.bring(plan, tmp_path / "raw"), cohort=Cohort("c", "bulk", "geo"))
    np.testing.assert_array_equal(matrix.values, [[0, 1], [1, 2], [2, 3]])
    assert matrix.samples == GSM
    one = ncbi.plan(files=("GSM2_*.counts.*",))
    assert one.members == ("GSM2_x.counts.txt.gz",)


def test_counts_that_ncbi_made(ncbi: Ncbi, tmp_path: Path) -> None:
    ncbi.series({"matrix/GSE1_series_matrix.txt.gz": READS, "suppl/GSE1_FPKM.txt.gz": COUNTS})
    ncbi.offer_counts()
    plan = ncbi.plan()
    assert names(plan) == ["GSE1_series_matrix.txt.gz", "GSE1_raw_counts_GRCh38.p13_NCBI.tsv.gz"]
    assert any("NCBI made" in note for note in plan.notes)
    matrix = read_geo(ncbi.bring(plan, tmp_path / "raw"), cohort=Cohort("c", "bulk", "geo"))
    assert matrix.genes == ("7157", "KIT")
    np.testing.assert_array_equal(matrix.values[:, 0], [1, 2, 3])
    assert ncbi.plan(offline=True) == plan
    assert names(ncbi.plan(files=("*NCBI*",))) == names(plan)


def test_without_them_what_the_authors_give_is_taken(ncbi: Ncbi) -> None:
    ncbi.series({"matrix/GSE1_series_matrix.txt.gz": READS, "suppl/GSE1_FPKM.txt.gz": COUNTS})
    assert names(ncbi.plan()) == ["GSE1_series_matrix.txt.gz", "GSE1_FPKM.txt.gz"]
    ncbi.series({"suppl/GSE1_RPKM.txt.gz": COUNTS})
    with pytest.raises(DownloadError, match="equally likely"):
        ncbi.plan()


def test_matrices_of_cells(ncbi: Ncbi) -> None:
    members = {
        f"GSM1_{name}.gz": "x" for name in ("matrix.mtx", "barcodes.tsv", "features.tsv", "fragments.tsv")
    }
    archive = tar(members)
    ncbi.series({
        "matrix/GSE1_series_matrix.txt.gz": READS, "suppl/GSE1_RAW.tar": archive, "suppl/filelist.txt": filelist(archive, members),
        "suppl/GSE1_cell_types.csv.gz": "cell,type\nA,B\n",
    })  # fmt: skip
    plan = ncbi.plan(kind="single_cell")
    assert names(plan) == ["GSE1_series_matrix.txt.gz", "GSE1_RAW.tar", "GSE1_cell_types.csv.gz"]
    assert len(plan.members) == 3


def test_a_super_series_is_told_and_its_parts_are_named(ncbi: Ncbi) -> None:
    relation = [("relation", "SuperSeries of: GSE2"), ("relation", "SuperSeries of: GSE3")]
    ncbi.series(
        {"matrix/GSE1_series_matrix.txt.gz": matrix_text(GSM, kind="SRA", said=SEQUENCING, facts=relation)}
    )
    with pytest.raises(
        DownloadError, match=r"no table of counts.*made of other series: GSE2, GSE3.*give one of the series"
    ):
        ncbi.plan()
    ncbi.offer_counts()
    assert ncbi.plan().notes[0] == "GSE1 is made of other series: GSE2, GSE3"


@pytest.mark.parametrize(
    ("header", "cohort", "words"),
    [
        pytest.param(matrix_text(GSM, organisms=["Mus musculus"] * 3), {}, r"geo/GSE1/GSE1_series.*: 3 of 3 samples are not human", id="mice"),
        pytest.param(matrix_text(GSM, said="Methylation profiling by array"), {}, r"no gene expression.*Methylation", id="methylation"),
        pytest.param(READS, {}, r"no table of counts.*GSE1_counts\.xlsx.*'files'", id="spreadsheet"),
        pytest.param(READS, {"kind": "single_cell"}, r"no matrix of cells.*GSE1_x\.bw", id="cells"),
        pytest.param(READS, {"files": ("*.loom",)}, r"fits this pattern.*GSE1_counts\.xlsx", id="pattern"),
        pytest.param("<html>busy</html>", {}, r"web page|page", id="page"),
    ],
)  # fmt: skip
def test_series_that_are_no_use(ncbi: Ncbi, header: str, cohort: dict[str, object], words: str) -> None:
    ncbi.series(
        {"matrix/GSE1_series_matrix.txt.gz": header, "suppl/GSE1_x.bw": b"x", "suppl/GSE1_counts.xlsx": b"x"}
    )
    with pytest.raises(ConsilienceError, match=words):
        ncbi.plan(**cohort)


def test_mice_that_nobody_selected_do_no_harm(ncbi: Ncbi) -> None:
    organisms = ["Homo sapiens", "Mus musculus", "Homo sapiens"]
    header = matrix_text(GSM, kind="SRA", said=SEQUENCING, organisms=organisms, facts=SUPPLEMENT)
    ncbi.series({"matrix/GSE1_series_matrix.txt.gz": header, "suppl/GSE1_counts.txt.gz": COUNTS})
    with pytest.raises(ConsilienceError, match="organism_ch1=Homo sapiens"):
        ncbi.plan()
    assert "GSE1_counts.txt.gz" in names(ncbi.plan(select="organism_ch1=Homo sapiens"))


def test_accessions_that_do_not_exist(ncbi: Ncbi) -> None:
    with pytest.raises(DownloadError, match=r"no public series.*GSE1"):
        ncbi.plan()
    with pytest.raises(DownloadError, match=r"not a series of GEO.*GPL96"):
        ncbi.plan(location="GPL96")


def test_a_series_without_matrices_is_told_by_its_family_file(ncbi: Ncbi, tmp_path: Path) -> None:
    family = (
        "^SERIES = GSE1\n!Series_geo_accession = GSE1\n!Series_type = Expression profiling by array\n^PLATFORM = GPL96\n!platform_table_begin\n"
        "ID\tSymbol\np1\tTP53\n!platform_table_end\n^SAMPLE = GSM1\n!Sample_geo_accession = GSM1\n!Sample_organism_ch1 = Homo sapiens\n"
        "!Sample_platform_id = GPL96\n!sample_table_begin\nID_REF\tVALUE\np1\t99.5\n!sample_table_end\n"
    )
    ncbi.series({"soft/GSE1_family.soft.gz": family})
    plan = ncbi.plan()
    matrix = read_geo(ncbi.bring(plan, tmp_path / "raw"), cohort=Cohort("c", "bulk", "geo"))
    assert (matrix.values.tolist(), matrix.genes) == ([[99.5]], ("TP53",))


def test_offline_without_a_cache_says_which_file_is_missing(ncbi: Ncbi) -> None:
    address = "https://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE1/matrix/GSE1_series_matrix.txt.gz"
    with pytest.raises(DownloadError, match=address.replace(".", r"\.")):
        ncbi.plan(offline=True)


def test_files_brought_into_the_cache_by_hand_are_enough(ncbi: Ncbi, tmp_path: Path) -> None:
    """No listing was ever asked for: the header names the supplementary files."""
    said = [
        ("supplementary_file", "ftp://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE1/suppl/GSE1_counts.txt.gz")
    ]
    header = matrix_text(GSM, kind="SRA", said=SEQUENCING, facts=said)
    offline = Downloads(ncbi.settings.model_copy(update={"offline": True}))
    folder = "https://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE1/"
    for name, text in {
        "matrix/GSE1_series_matrix.txt.gz": header,
        "suppl/GSE1_counts.txt.gz": COUNTS,
    }.items():
        place = offline.place_of(Download(name.rpartition("/")[2], folder + name))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.compress(text.encode(), mtime=0))
    plan = ncbi.plan(offline=True)
    assert names(plan) == ["GSE1_series_matrix.txt.gz", "GSE1_counts.txt.gz"]
    assert [one.name for one in offline.bring(plan.downloads, into=tmp_path / "raw")] == names(plan)
    assert not ncbi.server.requests
