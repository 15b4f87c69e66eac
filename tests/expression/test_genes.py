"""Gene identity: every way in which a file can name its genes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from consilience.expression.duplicates import merge_duplicates
from consilience.expression.gene_dates import date_candidates, month_and_number
from consilience.expression.gene_table import GeneTable
from consilience.expression.genes import HOWS, SEX_GENES, load_gene_table, resolve
from consilience.foundation.errors import DataError
from consilience.foundation.places import ROOT


@pytest.fixture(scope="module")
def table() -> GeneTable:
    return load_gene_table()


def one(table: GeneTable, given_id: object) -> tuple[str, str]:
    match = resolve([given_id], table=table)
    return match.symbol[0], match.how[0]


def test_table_holds_what_the_stages_need(table):
    assert len(table) > 70_000
    assert len(set(table.symbols)) == len(table)
    assert len(set(table.ensembl_ids)) == len(table)
    assert 19_000 < len(table.symbols_of(gene_type="protein_coding")) < 21_000
    assert len(table.mitochondrial) == 37
    assert {"MT-ND1", "MT-CO1", "MT-CYB", "MT-ATP6", "MT-RNR1"} <= set(table.mitochondrial)
    rows = [table.row_of[name] for names in SEX_GENES.values() for name in names]
    assert {table.chromosomes[row] for row in rows} == {"X", "Y"}
    assert table.chromosomes[table.row_of["TP53"]] == "17"
    assert table.positions[table.row_of["TP53"]] == 7_661_779  # GRCh38
    entrez = [name for name in table.entrez if name]
    assert len(set(entrez)) == len(entrez) > 35_000


def test_table_is_in_genome_order(table):
    rows = [row for row, place in enumerate(table.chromosomes) if place == "7" and table.positions[row]]
    positions = [table.positions[row] for row in rows]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("given_id", "symbol", "how"),
    [
        ("TP53", "TP53", "exact"),
        ("ENSG00000141510", "TP53", "ensembl"),
        ("ENSG00000141510.18", "TP53", "ensembl"),
        ("ensg00000141510", "TP53", "ensembl"),
        ("ENSG00000182378.15_PAR_Y", "PLCXD1", "ensembl"),
        ("ENSGR0000182378.10", "PLCXD1", "ensembl"),
        ("7157", "TP53", "entrez"),
        (7157, "TP53", "entrez"),
        (7157.0, "TP53", "entrez"),
        (np.int64(7157), "TP53", "entrez"),
        ("7157.0", "TP53", "entrez"),
        ("MARCH8", "MARCHF8", "previous"),
        ("SEPT2", "SEPTIN2", "previous"),
        ("SEP15", "SELENOF", "previous"),
        ("GBA", "GBA1", "previous"),
        ("MTND1", "MT-ND1", "previous"),
        ("PDL1", "CD274", "synonym"),
        ("Stat1", "STAT1", "case"),
        ("HLA.A", "HLA-A", "punctuation"),
        ("TP53:ENSG00000141510", "TP53", "ensembl"),
        ("WRONG:ENSG00000141510.3", "TP53", "ensembl"),
        ("ENSG00000141510_TP53", "TP53", "ensembl"),
        ("TP53|7157", "TP53", "entrez"),
        ("?|7157", "TP53", "entrez"),
        ("MARCH1 /// MARCHF1", "MARCHF1", "previous"),
        ("  STAT3\t", "STAT3", "exact"),
        ('"STAT3"', "STAT3", "exact"),
        ("\u00a0STAT3\u00a0", "STAT3", "exact"),
    ],
)
def test_resolved(table, given_id, symbol, how):
    assert one(table, given_id) == (symbol, how)


@pytest.mark.parametrize(
    ("given_id", "how"),
    [
        ("TP53 /// WRAP53", "ambiguous"),
        ("TP53;WRAP53", "ambiguous"),
        ("TP53 /// NOSUCHGENE", "ambiguous"),
        ("ENSG00000141510:ENSG00000141499", "ambiguous"),
        ("Y_RNA", "ambiguous"),
        ("COX1", "ambiguous"),
        ("ENSG00000000000", "unmatched"),
        ("ENSMUSG00000059552", "unmatched"),
        ("AFFX-BioB-3_at", "unmatched"),
        ("nosuchgene", "unmatched"),
        ("TP53.1", "unmatched"),
        ("99999999", "unmatched"),
        ("2.31E+13", "unmatched"),
        ("", "blank"),
        ("   ", "blank"),
        ("nan", "blank"),
        (float("nan"), "blank"),
        (None, "blank"),
        ("---", "blank"),
    ],
)
def test_refused(table, given_id, how):
    assert one(table, given_id) == ("", how)


@pytest.mark.parametrize(
    ("text", "symbol", "told"),
    [
        ("1-Mar", "", "MARCHF1 or MTARC1"),
        ("01-Mar", "", "MARCHF1 or MTARC1"),
        ("Mar-01", "", "MARCHF1 or MTARC1"),
        ("2001-03-01", "", "MARCHF1 or MTARC1"),
        ("2021-03-01 00:00:00", "", "MARCHF1 or MTARC1"),
        ("44256", "", "MARCHF1 or MTARC1"),
        ("3/1/2021", "", "MARCHF1 or MTARC1"),
        ("01.03.2021", "", "MARCHF1 or MTARC1"),
        ("1. Mrz", "", "MARCHF1 or MTARC1"),
        ("2-Mar", "", "MARCHF2 or MTARC2"),
        ("2003-03-01", "", "MARCHF1 or MARCHF3 or MTARC1"),
        ("3-Mar", "MARCHF3", "MARCHF3"),
        ("2021-03-03", "MARCHF3", "MARCHF3"),
        ("44258", "MARCHF3", "MARCHF3"),
        ("44258.0", "MARCHF3", "MARCHF3"),
        ("2-Sep", "SEPTIN2", "SEPTIN2"),
        ("Sep-02", "SEPTIN2", "SEPTIN2"),
        ("sep-02", "SEPTIN2", "SEPTIN2"),
        ("15-Sep", "SELENOF", "SELENOF"),
        ("1-Dec", "DELEC1", "DELEC1"),
        ("2.31E+13", "", "no known gene"),
        ("13-Jan", "", "no known gene"),
    ],
)
def test_spreadsheet_dates_are_reported_and_resolved_only_when_one_gene_can_be_meant(
    table, text, symbol, told
):
    match = resolve([text], table=table)
    assert match.symbol == (symbol,)
    assert match.dates == ((text, told),)


def test_every_gene_that_excel_turns_into_a_date_is_found_again(table):
    """What Excel does with each old symbol, in three of its formats; the gene is always a candidate."""
    months = {"MARCH": ("Mar", 3), "SEPT": ("Sep", 9), "MARC": ("Mar", 3), "DEC": ("Dec", 12)}
    checked = 0
    for stem, (short, month) in months.items():
        for number in range(1, 16):
            rows = table.rows_of_previous.get(f"{stem}{number}", ())
            for row in rows:
                for text in (f"{number}-{short}", f"{short}-{number:02d}", f"2024-{month:02d}-{number:02d}"):
                    match = resolve([text], table=table)
                    assert table.symbols[row] in match.dates[0][1].split(" or ")
                    checked += 1
    assert checked >= 3 * 25


def test_names_that_are_no_dates():
    for text in ("MARCH1", "SEPT2", "", "12345", "99999", "1.5", "ENSG00000141510", "HLA-A", "2021-13-45"):
        assert month_and_number(text) == set()


def test_entrez_ids_are_never_days_that_a_gene_can_have_become(table):
    """Day numbers of 2000-2035 meet two human Entrez ids (KLK12, KLK14), on days of no gene: nothing to guess."""
    both = [name for name in table.entrez if name and month_and_number(name)]
    assert len(both) == 2
    assert not [name for name in both if date_candidates(name, table=table)]


def test_a_synonym_is_refused_when_its_gene_is_there_by_name(table):
    match = resolve(["CD274", "PDL1"], table=table)
    assert match.symbol == ("CD274", "")
    assert match.ambiguous == (("PDL1", "a synonym of CD274, which is listed as well"),)


def test_lists_name_each_id_once_and_count_everything(table):
    match = resolve(["MARCH8", "MARCH8", "x1", "x1", "TP53 /// WRAP53", "TP53", "", "1-Mar"], table=table)
    assert match.renamed == (("MARCH8", "MARCHF8"),)
    assert match.unmatched == ("x1",)
    assert [name for name, _ in match.ambiguous] == ["TP53 /// WRAP53", "1-Mar"]
    told = match.to_report()
    assert told["total"] == 8
    assert told["matched"] == 3
    assert told["duplicates"] == 1
    assert sum(told["how"].values()) == 8
    assert told["dates"] == [["1-Mar", "MARCHF1 or MTARC1"]]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=12) | st.sampled_from(["TP53", "MARCH1", "1-Mar", "ENSG00000141510.1"])),
    st.randoms(),
)
def test_any_text_is_answered_and_order_never_matters(names, random):
    table = load_gene_table()
    match = resolve(names, table=table)
    assert len(match.symbol) == len(match.how) == len(names)
    assert set(match.how) <= set(HOWS)
    assert all(symbol == "" or symbol in table.row_of for symbol in match.symbol)
    assert all(bool(symbol) != (how in {"ambiguous", "unmatched", "blank"})
               for symbol, how in zip(match.symbol, match.how, strict=True))  # fmt: skip
    order = list(range(len(names)))
    random.shuffle(order)
    shuffled = resolve([names[place] for place in order], table=table)
    assert shuffled.symbol == tuple(match.symbol[place] for place in order)


def test_every_current_name_finds_itself(table):
    assert resolve(table.symbols, table=table).symbol == table.symbols
    versions = [f"{name}.7" for name in table.ensembl_ids]
    assert resolve(versions, table=table).symbol == table.symbols
    known = [(entrez, symbol) for entrez, symbol in zip(table.entrez, table.symbols, strict=True) if entrez]
    assert resolve([entrez for entrez, _ in known], table=table).symbol == tuple(
        symbol for _, symbol in known
    )


def test_sixty_thousand_ids_take_moments(table):
    names = [*table.symbols[:20_000], *(f"{name}.3" for name in table.ensembl_ids[20_000:40_000])]
    names += [f"unknown{number}" for number in range(10_000)] + list(table.rows_of_previous)[:10_000]
    resolve(names[:10], table=table)
    begin = time.process_time()
    resolve(names, table=table)
    assert time.process_time() - begin < 5  # 0.3 s on a quiet machine; a search per id would take minutes


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_counts_of_one_gene_are_added_and_other_values_keep_the_first(table, kind):
    names = ["ENSG00000182378.15", "TP53", "unknown", "ENSG00000182378.15_PAR_Y", "MARCH8", "MARCHF8"]
    match = resolve(names, table=table)
    assert match.unique == ("PLCXD1", "TP53", "MARCHF8")
    counts = np.arange(12, dtype=np.int32).reshape(6, 2)
    values = sparse.csr_matrix(counts) if kind == "sparse" else counts
    summed = merge_duplicates(values=values, match=match, additive=True)
    kept = merge_duplicates(values=values, match=match, additive=False)
    assert summed.dtype == kept.dtype == counts.dtype
    dense = [matrix.toarray() if kind == "sparse" else matrix for matrix in (summed, kept)]
    np.testing.assert_array_equal(dense[0], [[0 + 6, 1 + 7], [2, 3], [8 + 10, 9 + 11]])
    np.testing.assert_array_equal(dense[1], [[0, 1], [2, 3], [8, 9]])


def test_merging_without_duplicates_keeps_the_order_of_the_file(table):
    match = resolve(["STAT1", "nothing", "ACTB", "TP53"], table=table)
    merged = merge_duplicates(values=np.eye(4), match=match, additive=False)
    assert match.unique == ("STAT1", "ACTB", "TP53")
    np.testing.assert_array_equal(merged, np.eye(4)[[0, 2, 3]])


def test_nothing_heavy_is_imported_to_name_genes():
    code = (
        "import sys; from consilience.expression.genes import load_gene_table, resolve; "
        "import consilience.pathways.mask; resolve(['TP53'], table=load_gene_table()); "
        "print(sorted({'numpy', 'pandas', 'torch', 'anndata', 'scipy', 'h5py'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_table_is_named(tmp_path, damage):
    from consilience.expression.gene_table import GENE_TABLE

    place = tmp_path / "genes.tsv.gz"
    data = GENE_TABLE.read_bytes()
    place.write_bytes({"cut": data[: len(data) // 2], "text": b"<html>", "empty": b""}[damage])
    with pytest.raises(DataError, match=r"genes\.tsv\.gz"):
        load_gene_table(place)
