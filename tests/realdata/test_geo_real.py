"""GEO's own files, read as they were served, and a series brought from a server laid out as NCBI's."""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.downloads.downloads import Downloads
from consilience.expression.genes import load_gene_table, resolve
from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.bulk.read import read_bulk
from consilience.sources.geo.phenotypes import series_phenotypes
from consilience.sources.geo.plan import plan_series
from consilience.sources.geo.platform import read_platform
from consilience.sources.geo.read import read_geo
from consilience.sources.geo.soft import soft_records
from consilience.sources.phenotypes import standard_phenotypes
from consilience.sources.raw_folder import RawFolder, raw_folder_of
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection
from replay import ReplayServer

pytestmark = pytest.mark.real_data
MATRIX, PROBES = "GSE55235_series_matrix.txt.gz", "GPL96_probe_to_symbol.tsv.gz"
PAIRED, COUNTS = "GSE97165_series_header.txt.gz", "GSE97165_GEO_count_matrix.txt.gz"
OA = ("osteoarthritis", "synovial tissue isolated from osteoarthritic joint")


@pytest.fixture(scope="module")
def geo(kit: Path) -> Path:
    return kit / "geo_as_served"


def folder_of(geo: Path, *names: str) -> RawFolder:
    return raw_folder_of(geo, tuple(sorted((Path(name).name, geo / name) for name in names)))


def read(geo: Path, *names: str, **cohort: object) -> BulkMatrix:
    row = {"name": "c", "kind": "bulk", "source": "geo"} | cohort
    return read_bulk(folder_of(geo, *names), cohort=Cohort(**row))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def synovium(geo: Path) -> BulkMatrix:
    return read(geo, MATRIX, PROBES)


def test_gse55235_is_a_matrix_of_symbols_and_samples(synovium: BulkMatrix, geo: Path) -> None:
    assert synovium.values.shape == (30, 22283)
    assert synovium.units == "intensity"
    assert len(set(synovium.genes) - {""}) == 12502
    assert "498 probes of several genes and 2489 of none" in " ".join(synovium.notes)
    # a second reader: pandas
    text = gzip.decompress((geo / MATRIX).read_bytes()).decode()
    body = text.partition("!series_matrix_table_begin\n")[2].partition("!series_matrix_table_end")[0]
    frame = pd.read_csv(pd.io.common.StringIO(body), sep="\t", index_col=0)
    assert list(frame.columns) == list(synovium.samples)
    assert list(frame.index) == list(synovium.gene_columns["probe"])
    np.testing.assert_array_equal(frame.to_numpy().T, synovium.values)
    symbols = pd.read_csv(geo / PROBES, sep="\t", index_col=0).iloc[:, 0]
    named = symbols[~symbols.str.contains("///", na=True)]
    assert {p: g for p, g in zip(frame.index, synovium.genes, strict=True) if g} == named.to_dict()
    match = resolve([gene for gene in synovium.genes if gene], table=load_gene_table())
    assert match.n_matched / len(match.symbol) > 0.95


def test_gse55235_has_ten_of_each_group_whatever_they_are_called(synovium: BulkMatrix) -> None:
    assert Counter(synovium.columns["disease state"]) == {
        "healthy control": 10, "rheumatoid arthritis": 10, OA[1]: 9, OA[0]: 1,
    }  # fmt: skip
    assert sorted(Counter(synovium.columns["source_name_ch1"]).values()) == [10, 10, 10]
    cohort = Cohort("oa", "bulk", "geo", condition="disease state", control=("healthy control",), case=OA)
    found = standard_phenotypes(
        cohort=cohort, samples=synovium.samples, columns=synovium.columns, min_samples_per_arm=10
    )
    assert Counter(found.standard["arm"]) == {"case": 10, "control": 10, "": 10}
    by_source = {"case": "osteoarthritic", "control": "healthy", "": "rheumatoid"}
    sources = synovium.columns["source_name_ch1"]
    assert all(by_source[arm] in one for arm, one in zip(found.standard["arm"], sources, strict=True))


def test_gse55235_keeps_known_biology(synovium: BulkMatrix) -> None:
    """Plasma cells and CXCL13 mark rheumatoid synovium; XIST and RPS4Y1 tell the sexes apart."""
    state = np.array(synovium.columns["disease state"])
    logs = np.log2(synovium.values + 16)
    genes = np.array(synovium.genes)
    for marker in ("CXCL13", "CD27", "SDC1"):
        values = logs[:, genes == marker].max(axis=1)
        assert (
            values[state == "rheumatoid arthritis"].mean() > values[state == "healthy control"].mean() + 1
        ), marker
    xist, y = (logs[:, genes == one].mean(axis=1) for one in ("XIST", "RPS4Y1"))
    assert np.corrcoef(xist, y)[0, 1] < -0.7


def test_gse55235_selected_and_without_its_platform(geo: Path) -> None:
    some = read(geo, MATRIX, PROBES, select="disease state=healthy control|rheumatoid arthritis")
    assert some.values.shape == (20, 22283)
    with pytest.raises(
        DataError,
        match=r"GPL96\.annot\.gz, from https://ftp\.ncbi\.nlm\.nih\.gov/geo/platforms/GPLnnn/GPL96/annot/",
    ):
        read(geo, MATRIX)
    with pytest.raises(DataError, match="not logarithms"):
        read(geo, MATRIX, PROBES, units="log2")


def test_gse97165_is_refused_as_counts_and_accepted_as_estimates(geo: Path) -> None:
    with pytest.raises(DataError, match=r"11\.8 %.*7SK.*RA_post_1.*2332\.6.*estimated_counts"):
        read(geo, PAIRED, COUNTS)
    matrix = read(geo, PAIRED, COUNTS, units="estimated_counts")
    assert matrix.values.shape == (38, 25227)
    assert matrix.units == "estimated_counts"
    notes = " ".join(matrix.notes)
    assert "joined to the samples of GSE97165 by the bracket at the end of the title" in notes
    assert "11.8 %" in notes


def test_gse97165_pairs_are_read_right_though_its_rows_are_shifted(geo: Path) -> None:
    matrix = read(geo, PAIRED, COUNTS, units="estimated_counts")
    for name, time, title in zip(
        matrix.samples, matrix.columns["time point"], matrix.columns["title"], strict=True
    ):
        assert time == ("Baseline" if name.startswith("RA_pre") else "6 mo tDMARD")
        assert title.endswith(f"({name})")
    pairs: dict[str, set[str]] = {}
    for name, subject in zip(matrix.samples, matrix.columns["subject number"], strict=True):
        pairs.setdefault(subject, set()).add(name)
    assert len(pairs) == 19
    # the authors number pre and post of one patient alike
    assert all(
        one == {f"RA_pre_{k}", f"RA_post_{k}"}
        for one in pairs.values()
        for k in [min(one).rpartition("_")[2]]
    )
    assert set(matrix.columns["disease"]) == {"Rheumatoid arthritis (early)"}
    cohort = Cohort("ra", "bulk", "geo", condition="time point", case=("Baseline",), control=("6 mo tDMARD",),
                    donor="subject number")  # fmt: skip
    found = standard_phenotypes(
        cohort=cohort, samples=matrix.samples, columns=matrix.columns, min_samples_per_arm=19
    )
    assert any("19 donors are in both arms" in note for note in found.notes)
    # sexes agree with what is expressed
    y = matrix.values[:, matrix.genes.index("RPS4Y1")] > 200
    assert [("M" if one else "F") for one in y] == list(matrix.columns["Sex"])


def test_gse89408_header_has_its_six_diagnoses(geo: Path) -> None:
    series = series_phenotypes(folder_of(geo, "GSE89408_series_header.txt.gz"))
    assert series is not None
    assert (series.accession, len(series.samples)) == ("GSE89408", 218)
    assert sorted(Counter(series.columns["disease"]).values()) == [6, 10, 22, 28, 57, 95]
    with pytest.raises(DataError, match="no counts"):
        read(geo, "GSE89408_series_header.txt.gz")


def test_gds507_tells_groups_and_genes(geo: Path) -> None:
    matrix = read(geo, "GDS507.soft.gz")
    assert matrix.values.shape == (17, 22645)
    assert matrix.units == "intensity"
    assert Counter(matrix.columns["disease state"]) == {"RCC": 9, "normal": 8}
    assert sorted(Counter(matrix.columns["individual"]).values())[-1] == 2
    assert matrix.genes[:3] == ("PRPF8", "CAPNS1", "RPL35")
    assert matrix.values[0, :2].tolist() == [4254, 17996.2]
    renal = np.array(matrix.columns["disease state"]) == "RCC"
    logs = np.log2(matrix.values + 16)
    values = (
        logs[:, matrix.genes.index("CA9")] if "CA9" in matrix.genes else logs[:, matrix.genes.index("EGLN3")]
    )
    assert values[renal].mean() > values[~renal].mean() + 1


def test_one_sample_alone_and_with_its_platform(geo: Path) -> None:
    with pytest.raises(DataError, match="platform GPL96"):
        read(geo, "GSM11805.txt.gz")
    matrix = read(geo, "GSM11805.txt.gz", PROBES)
    assert (matrix.samples, matrix.values.shape) == (("GSM11805",), (1, 22283))
    assert matrix.values[0, matrix.gene_columns["probe"].index("AFFX-BioB-5_at")] == 953.9


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("GPL20814_family.soft", r"GPL20814_family.soft:37: the table of GPL20814 does not end.*cut"),
        ("GPL4133.txt", "no file tells who the samples are"),
        ("GSE105845_family.soft", "no file tells who the samples are"),
        ("GSM2795971.txt", r"GSM2795971.txt: no counts"),
        ("GSM32878.txt", r"GSM32878.txt: not a table of counts"),
        ("soft_ex_family.txt", r"3 of 3 samples are not human: Mus musculus"),
    ],
)
def test_short_and_odd_records_are_refused_clearly(geo: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_geo(folder_of(geo, f"geoparse_tests/{name}"), cohort=Cohort("c", "bulk", "geo"))


def test_what_can_be_read_of_them(geo: Path) -> None:
    agilent = read_platform(geo / "geoparse_tests" / "GPL4133.txt")
    assert agilent is not None
    assert (agilent.column, agilent.names["12"], agilent.names["1"]) == ("GENE_SYMBOL", "APOBEC3B", "")
    mouse = folder_of(geo, "geoparse_tests/soft_ex_family.txt")
    phenotypes = series_phenotypes(mouse)
    assert phenotypes is not None
    assert phenotypes.columns["Strain"] == ("129Sv",) * 3
    assert phenotypes.columns["Tissue (ch2)"] == ("whole embryo",) * 3
    records = {one.name: one for one in soft_records(geo / "geoparse_tests" / "soft_ex_family.txt")}
    table = records["Control Embyronic Stem Cell Replicate 1"]
    assert (len(table.rows), table.header[:2], table.rows[0][1][:2]) == (
        20,
        ("ID_REF", "VALUE"),
        ["1", "-1.6274758"],
    )
    lone = series_phenotypes(folder_of(geo, "geoparse_tests/GSM2795971.txt"))
    assert lone is not None
    assert lone.columns["title"] == ("SMAD2/3, Hs578T, TGFβ 16h_ChIP",)


def annotation(geo: Path) -> bytes:
    """The kit's probe table in the form in which GEO serves a platform's annotation."""
    rows = gzip.decompress((geo / PROBES).read_bytes()).decode().splitlines()[1:]
    head = "^Annotation\n!Annotation_platform = GPL96\n#ID = x\n!platform_table_begin\nID\tGene title\tGene symbol\n"
    body = "".join("{}\t\t{}\n".format(*row.split("\t")) for row in rows)
    return gzip.compress((head + body + "!platform_table_end\n").encode(), mtime=0)


def test_gse55235_from_listing_to_matrix(
    geo: Path, tmp_path: Path, replay: ReplayServer, synovium: BulkMatrix
) -> None:
    series, platform = tmp_path / "geo/series/GSE55nnn/GSE55235", tmp_path / "geo/platforms/GPLnnn/GPL96"
    for folder in (series / "matrix", series / "suppl", platform / "annot"):
        folder.mkdir(parents=True)
    shutil.copy(geo / MATRIX, series / "matrix" / MATRIX)
    (series / "suppl" / "GSE55235_RAW.tar").write_bytes(b"108 MB of intensities that nobody wants")
    (platform / "annot" / "GPL96.annot.gz").write_bytes(annotation(geo))
    replay.serve_folder("/geo", tmp_path / "geo")
    settings = FetchSection(
        cache=str(tmp_path / "cache"), mirrors={"https://ftp.ncbi.nlm.nih.gov/geo/": replay.url + "/geo/"}
    )
    cohort = Cohort("ra", "bulk", "geo", "GSE55235", condition="disease state", case=("rheumatoid arthritis",),
                    control=("healthy control",))  # fmt: skip
    downloads = Downloads(settings)
    plan = plan_series(cohort=cohort, downloads=downloads)
    assert [one.name for one in plan.downloads] == [MATRIX, "GPL96.annot.gz"]
    assert plan.release == "GEO, last updated Aug 10 2018"
    arrived = downloads.bring(plan.downloads, into=tmp_path / "raw")
    assert len(replay.requests) == 3  # the listing, the matrix, the annotation: each once
    folder = raw_folder_of(tmp_path / "raw", tuple((one.name, one.path) for one in arrived))
    matrix = read_bulk(folder, cohort=cohort)
    assert (matrix.samples, matrix.genes) == (synovium.samples, synovium.genes)
    np.testing.assert_array_equal(matrix.values, synovium.values)
    offline = Downloads(settings.model_copy(update={"offline": True}))
    assert plan_series(cohort=cohort, downloads=offline) == plan
    assert len(replay.requests) == 3
