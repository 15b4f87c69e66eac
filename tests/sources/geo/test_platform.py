"""From probes to genes: annotations, SOFT platforms and plain tables, whole or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from consilience.foundation.errors import DataError
from consilience.sources.geo.platform import (
    assigned_symbols,
    find_platform,
    only_gene,
    read_platform,
    symbols_of_probes,
)
from geo_text import annotation_text, folder_of

GENES = {"p1": "TP53", "p2": "DDX11L1///WASH7P", "p3": "", "p4": "KIT /// KIT", "p5": "---"}


def table(header: str, *rows: str, platform: str = "GPL1", end: str = "!platform_table_end") -> str:
    return "\n".join(
        [f"^PLATFORM = {platform}", "!Platform_title = x", "!platform_table_begin", header, *rows, end, ""]
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("GPL96.annot.gz", annotation_text(GENES), id="annotation"),
        pytest.param("GPL1.txt", table("ID\tGene Symbol\tENTREZ_GENE_ID", *(f"{p}\t{g}\t7" for p, g in GENES.items())), id="affymetrix"),
        pytest.param("GPL6480.soft", table("ID\tSPOT_ID\tGENE\tGENE_SYMBOL", *(f"{p}\tx\t7\t{g}" for p, g in GENES.items())), id="agilent"),
        pytest.param("GPL10558.soft.gz", table("ID\tILMN_Gene\tSymbol", *(f"{p}\tx\t{g}" for p, g in GENES.items())), id="illumina"),
        pytest.param("GPL96_probe_to_symbol.tsv.gz", "ID_REF\tGene symbol\n" + "".join(f"{p}\t{g}\n" for p, g in GENES.items()), id="plain"),
        pytest.param("GPL96.csv", "probe,symbol\n" + "".join(f"{p},{g}\n" for p, g in GENES.items()), id="commas"),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_genes(tmp_path: Path, name: str, text: str) -> None:
    folder = folder_of(tmp_path, {name: text})
    accession = name.partition(".")[0].partition("_")[0]
    platform = find_platform(folder, accession="GPL1" if "PLATFORM" in text else accession)
    symbols = symbols_of_probes(["p4", "p1", "p2", "p3", "p5", "p9"], platform=platform)
    assert symbols.genes == ("KIT", "TP53", "", "", "", "")
    assert "6 probes of GPL" in symbols.notes[0]
    assert "1 probes of several genes and 3 of none" in symbols.notes[0]


def test_gene_assignments_of_affymetrix(tmp_path: Path) -> None:
    cell = "NM_1 // TP53 // tumor protein // 17p13 // 7157 /// ENST1 // TP53 // tumor protein // --- // ---"
    assert assigned_symbols(cell) == "TP53"
    assert assigned_symbols("NM_1 // A // a // --- // 1 /// NM_2 // B // b // --- // 2") == "A /// B"
    assert assigned_symbols("---") == ""
    text = table("ID\tprobeset_id\tgene_assignment", f"79\t79\t{cell}", "80\t80\t---")
    platform = read_platform(folder_of(tmp_path, {"GPL1.soft": text}).of_kind("soft")[0])
    assert platform is not None
    assert platform.names == {"79": "TP53", "80": ""}


@pytest.mark.parametrize(
    ("text", "gene"),
    [
        ("A", "A"),
        ("A /// A", "A"),
        ("A///B", ""),
        ("A;B", ""),
        ("A // B", ""),
        ("A|--- ", "A"),
        ("--", ""),
        ("", ""),
        ("NKX3-1", "NKX3-1"),
    ],
)
def test_one_gene_or_none(text: str, gene: str) -> None:
    assert only_gene(text) == gene


def test_ids_stand_in_where_no_symbols_are(tmp_path: Path) -> None:
    for column, value in {"ENTREZ_GENE_ID": "7157", "ENSEMBL_ID": "ENSG00000141510"}.items():
        path = folder_of(tmp_path, {"GPL1.soft": table(f"ID\tGB_ACC\t{column}", f"p1\tX\t{value}")}).of_kind(
            "soft"
        )[0]
        platform = read_platform(path)
        assert platform is not None
        assert platform.names == {"p1": value}
        assert platform.column == column


def test_the_wanted_platform_of_a_family_and_cells_missing_at_the_end(tmp_path: Path) -> None:
    text = table("ID\tSymbol\tNote", "p1\tWRONG\t", platform="GPL1") + table(
        "ID\tSymbol\tNote", "p1\tTP53", "p2", platform="GPL2"
    )
    folder = folder_of(tmp_path, {"GSE1_family.soft.gz": text})
    assert find_platform(folder, accession="GPL2").names == {"p1": "TP53", "p2": ""}


def test_nothing_tells_the_genes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"GPL97.annot.gz": annotation_text({"p1": "A"}, platform="GPL97")})
    with pytest.raises(DataError) as caught:
        find_platform(folder, accession="GPL96")
    for word in (
        "platform GPL96",
        "GPL96.annot.gz, from https://ftp.ncbi.nlm.nih.gov/geo/platforms/GPLnnn/GPL96/annot/",
        "beside",
    ):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(annotation_text(GENES, end=False), ["cut", "no !platform_table_end", ":5"], id="no end"),
        pytest.param(table("ID\tSymbol", "p1\tA", end="!sample_table_end"), ["cut"], id="other end"),
        pytest.param(table("ID\tSymbol", "p1\tA", end="^SAMPLE = x"), ["cut"], id="next record"),
        pytest.param(table("ID\tSymbol", "p1\tA\tB\tC"), [":5", "4 cells under 2"], id="too many cells"),
        pytest.param(
            table("ID\tSequence", "p1\tACGT"), ["no column", "ID, Sequence", "Gene Symbol"], id="no symbols"
        ),
    ],
)
def test_refused_with_place_and_reason(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "GPL96.annot"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_platform(path)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_table_of_another_platform_is_refused(tmp_path: Path) -> None:
    platform = find_platform(
        folder_of(tmp_path, {"GPL96.annot.gz": annotation_text(GENES)}), accession="GPL96"
    )
    with pytest.raises(DataError, match=r"only 1 of 4 probes are in the platform's table.*'x1'"):
        symbols_of_probes(["p1", "x1", "x2", "x3"], platform=platform)
