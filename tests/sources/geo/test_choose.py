"""Which supplementary files are wanted, told from names as authors give them."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DownloadError
from consilience.sources.geo.addresses import annotation_folder, family_file, is_accession, matrix_folder
from consilience.sources.geo.choose import (
    COUNTS,
    NO_VALUES,
    NORMALISED,
    RAW_COUNTS,
    UNNAMED,
    choose_by_patterns,
    choose_cells,
    choose_counts,
    rank_of,
    refuse_several,
)
from consilience.sources.geo.listings import Supplement, folder_names, offered_counts, supplement_of

FOLDER = "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE12nnn/GSE12345/suppl/"


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("GSE1_raw_counts.txt.gz", RAW_COUNTS), ("GSE1_RawCounts_all.csv.gz", RAW_COUNTS), ("GSE1_GEO_count_matrix.txt.gz", COUNTS),
        ("GSM1_sample.htseq.txt.gz", COUNTS), ("GSM1_ReadsPerGene.out.tab.gz", COUNTS), ("GSE1_featureCounts.tsv.gz", COUNTS),
        ("GSE1_processed_data.txt.gz", UNNAMED), ("GSM1_x.genes.results.gz", UNNAMED), ("GSE1_matrix.csv.gz", UNNAMED),
        ("GSE1_FPKM.txt.gz", NORMALISED), ("GSE1_normalized_counts.txt.gz", NORMALISED), ("GSE1_log2cpm.txt.gz", NORMALISED),
        ("GSE1_metadata.csv.gz", NO_VALUES), ("GSE1_DEG_results.csv.gz", NO_VALUES), ("GSE1_counts.xlsx", NO_VALUES),
        ("GSE1_counts.rds", NO_VALUES), ("GSM1_x.bw", NO_VALUES), ("GSM1_x.isoforms.results.gz", NO_VALUES), ("GSM1_x.CEL.gz", NO_VALUES),
    ],
)  # fmt: skip
def test_what_a_name_promises(name: str, rank: int) -> None:
    assert rank_of(name) == rank


def test_claimed_units_turn_the_order_round() -> None:
    supplement = Supplement(("GSE1_counts.txt.gz", "GSE1_TPM.txt.gz"))
    assert choose_counts(supplement, units="").files == ("GSE1_counts.txt.gz",)
    assert choose_counts(supplement, units="tpm").files == ("GSE1_TPM.txt.gz",)


def test_raw_counts_go_first_and_equals_are_never_drawn_by_lot() -> None:
    names = (
        "GSE1_normalized_counts.txt.gz",
        "GSE1_raw_counts.txt.gz",
        "GSE1_counts.txt.gz",
        "GSE1_README.txt",
    )
    assert choose_counts(Supplement(names), units="").files == ("GSE1_raw_counts.txt.gz",)
    several = choose_counts(Supplement(("GSE1_counts_a.txt.gz", "GSE1_counts_b.txt.gz")), units="")
    with pytest.raises(DownloadError, match=r"equally likely .*counts_a.*counts_b.*'files'"):
        refuse_several(several, where="GSE1")


def test_tables_of_single_samples_come_out_of_the_archive() -> None:
    members = ("GSM1_a[1].counts.txt.gz", "GSM2_b.counts.txt.gz", "GSM1_a.bw", "GSM1_a_FPKM.txt.gz")
    choice = choose_counts(Supplement(("GSE1_RAW.tar", "GSE1_FPKM.txt.gz"), members), units="")
    assert choice.files == ("GSE1_RAW.tar",)
    taken = [name for name in members if any(fnmatchcase(name, one) for one in choice.members)]
    assert taken == list(members[:2])
    assert "2 tables of GSE1_RAW.tar" in choice.notes[0]
    whole = choose_counts(Supplement(("GSE1_RAW.tar", "GSE1_counts.txt.gz"), members), units="")
    assert whole.files == ("GSE1_counts.txt.gz",)
    assert choose_counts(Supplement(("GSE1_RAW.tar",), ("GSM1_a.CEL.gz",)), units="").rank == NO_VALUES


CELLS = ("GSM1_a_matrix.mtx.gz", "GSM1_a_barcodes.tsv.gz", "GSM1_a_features.tsv.gz")


def test_matrices_of_cells_and_what_tells_of_the_cells() -> None:
    files = ("GSE1_RAW.tar", "GSE1_cell_metadata.csv.gz", "GSE1_all.h5ad", "GSE1_x.bw")
    choice = choose_cells(Supplement(files, (*CELLS, "GSM1_a.bam")), where="GSE1")
    assert choice.files == ("GSE1_RAW.tar", "GSE1_cell_metadata.csv.gz")
    assert choice.members == CELLS
    assert "GSE1_all.h5ad" in choice.notes[0]
    alone = choose_cells(Supplement(files[1:]), where="GSE1")
    assert alone.files == ("GSE1_all.h5ad", "GSE1_cell_metadata.csv.gz")
    with pytest.raises(DownloadError, match=r"a\.h5ad, b\.h5ad.*'files'"):
        choose_cells(Supplement(("a.h5ad", "b.h5ad")), where="GSE1")
    tables = choose_cells(Supplement(("GSE1_umi_counts.csv.gz", "GSE1_cells.csv.gz")), where="GSE1")
    assert set(tables.files) == {"GSE1_umi_counts.csv.gz", "GSE1_cells.csv.gz"}
    assert choose_cells(Supplement(("GSE1_x.bw",)), where="GSE1").rank == NO_VALUES


def test_all_droplets_are_left_where_the_cells_are_there() -> None:
    members = ("GSM1_raw_feature_bc_matrix.h5", "GSM1_filtered_feature_bc_matrix.h5")
    choice = choose_cells(Supplement(("GSE1_RAW.tar",), members), where="GSE1")
    assert choice.members == members[1:]
    assert "all droplets" in choice.notes[0]
    assert choose_cells(Supplement(("GSE1_RAW.tar",), members[:1]), where="GSE1").members == members[:1]


def test_patterns_of_the_sheet() -> None:
    supplement = Supplement(("GSE1_RAW.tar", "GSE1_counts.txt.gz"), CELLS)
    wanted, choice = choose_by_patterns(
        ("*GPL96_series*", "GSM1_*.mtx.gz", "GSE1_c*"), known=["GSE1-GPL96_series_matrix.txt.gz", "GSE1-GPL97_series_matrix.txt.gz"],
        supplement=supplement, where="GSE1",
    )  # fmt: skip
    assert "GSE1-GPL96_series_matrix.txt.gz" in wanted
    assert "GSE1-GPL97_series_matrix.txt.gz" not in wanted
    assert set(choice.files) == set(supplement.files)
    assert choice.members == CELLS[:1]
    _, whole = choose_by_patterns(("GSE1_RAW.tar",), known=[], supplement=supplement, where="GSE1")
    assert (whole.files, whole.members) == (("GSE1_RAW.tar",), ())
    with pytest.raises(DownloadError) as caught:
        choose_by_patterns(("GSE1_count.txt.gz", "*.bam"), known=[], supplement=supplement, where="GSE1")
    assert "2 problems" in str(caught.value)
    assert "did you mean 'GSE1_counts.txt.gz'" in str(caught.value)
    assert "GSM1_a_matrix.mtx.gz" in str(caught.value)


def test_folders_of_records() -> None:
    assert matrix_folder("GSE55235") == "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE55nnn/GSE55235/matrix/"
    assert matrix_folder("GSE781").endswith("/series/GSEnnn/GSE781/matrix/")
    assert matrix_folder("GSE1000").endswith("/series/GSE1nnn/GSE1000/matrix/")
    assert family_file("GSE123456").endswith("/series/GSE123nnn/GSE123456/soft/GSE123456_family.soft.gz")
    assert annotation_folder("GPL96").endswith("/platforms/GPLnnn/GPL96/annot/")
    assert is_accession("GSE1", "GSE")
    assert not is_accession("GSE1/..", "GSE")
    assert not is_accession("GPL1", "GSE")


def test_index_pages_list_the_files_of_their_folder_only() -> None:
    page = f"""<html><pre><a href="?C=N;O=D">Name</a> <a href="/geo/series/GSE12nnn/GSE12345/">Parent Directory</a>
      <a href="a_counts.txt.gz">a</a> <A HREF='a_counts.txt.gz'>again</A> <a href="b%20%281%29.tsv">b</a> <a href="sub/">sub</a>
      <a href="{FOLDER}c.tar">c</a> <a href="../d.txt">d</a> <a href="%2e%2e%2fe.txt">e</a> <a href="https://x.org/f.txt">f</a>
      <a href="//x.org/g.txt">g</a> <a href="#top">h</a> <a>i</a> <a href="http://[">j</a> <a href=".hidden">k</a></pre>""".encode()
    assert folder_names(page, url=FOLDER) == ("a_counts.txt.gz", "b (1).tsv", "c.tar")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_page_without_harm(page: bytes) -> None:
    assert all("/" not in name for name in folder_names(page, url=FOLDER))
    assert all("/" not in name for name in supplement_of((), page).members)


def test_the_list_of_files_gives_exact_sizes_and_members() -> None:
    text = (
        "#Archive/File\tName\tTime\tSize\tType\nArchive\tGSE1_RAW.tar\t02/03/2026\t1013760\tTAR\n"
        "File\tGSM1_a.txt.gz\t02/03/2026\t166519\tTXT\nFile\tGSE1_counts.txt.gz\tx\t77\tTXT\nFile\t../evil\tx\t1\tTXT\nodd\n"
    )
    supplement = supplement_of(("GSE1_RAW.tar", "GSE1_counts.txt.gz"), text.encode())
    assert supplement.archive == "GSE1_RAW.tar"
    assert supplement.members == ("GSM1_a.txt.gz",)
    assert [supplement.size_of(name) for name in ("GSE1_RAW.tar", "GSE1_counts.txt.gz", "x")] == [
        1013760,
        77,
        None,
    ]
    assert supplement_of(("a",), None) == Supplement(("a",))


def test_counts_that_ncbi_offers() -> None:
    url = "https://www.ncbi.nlm.nih.gov/geo/download/?acc=GSE1"
    link = "/geo/download/?type=rnaseq_counts&amp;acc=GSE1&amp;format=file&amp;file={}"
    page = "".join(f'<a href="{link.format(name)}">x</a>' for name in (
        "GSE1_norm_counts_TPM_GRCh38.p13_NCBI.tsv.gz", "GSE1_raw_counts_GRCh38.p13_NCBI.tsv.gz"))  # fmt: skip
    found = offered_counts(page.encode(), url=url)
    assert found is not None
    assert found[0] == "GSE1_raw_counts_GRCh38.p13_NCBI.tsv.gz"
    assert found[1] == (
        "https://www.ncbi.nlm.nih.gov/geo/download/?type=rnaseq_counts&acc=GSE1&format=file"
        "&file=GSE1_raw_counts_GRCh38.p13_NCBI.tsv.gz"
    )
    assert offered_counts(b"<html></html>", url=url) is None
