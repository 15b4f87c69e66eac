"""GMT files as people have them."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.expression.genes import load_gene_table
from consilience.foundation.errors import ConfigError, DataError
from consilience.pathways.gene_sets import GeneSet, load_gene_sets, read_gmt, to_current_symbols


def write(folder, data: str | bytes, name: str = "sets.gmt"):
    place = folder / name
    place.write_bytes(data if isinstance(data, bytes) else data.encode())
    return place


def test_msigdb_line(tmp_path):
    place = write(tmp_path, "HALLMARK_X\thttps://www.gsea-msigdb.org/x\tTP53\tSTAT1\n")
    assert read_gmt(place) == [
        GeneSet("HALLMARK_X", "sets", "https://www.gsea-msigdb.org/x", ("TP53", "STAT1"))
    ]


def test_reactome_lines(tmp_path):
    text = (
        "2-LTR circle formation\tR-HSA-164843\tBANF1\tgag-pol\tvif\n"
        "Synthesis of PIPs, early/late\tR-HSA-1\tPI4K2A\n"
        "Old release\tR-HSA-2\tReactome Pathway\tTP53\n"
    )
    sets = read_gmt(write(tmp_path, text))
    assert [entry.name for entry in sets] == [
        "2-LTR circle formation", "Synthesis of PIPs, early/late", "Old release",
    ]  # fmt: skip
    assert sets[0].genes == ("BANF1", "gag-pol", "vif")
    assert sets[1].genes == ("PI4K2A",)
    assert sets[2] == GeneSet("Old release", "sets", "R-HSA-2", ("TP53",))


@pytest.mark.parametrize(
    "line",
    [
        "A\t\tTP53\tSTAT1",
        "A\tna\tTP53\tSTAT1",
        "A\t\tTP53\tSTAT1\t\t\t",
        "A\t\tTP53,1.0\tSTAT1,0.5",
        "A\t\tTP53,1\tSTAT1,-1e-05",
        '"A"\t""\t"TP53"\t"STAT1"',
        " A \t\t TP53\tSTAT1 ",
        "A\t\tTP53\tSTAT1\tTP53",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
@pytest.mark.parametrize("start", ["", "\ufeff", "# a comment\n", "\n\n"])
def test_dialects_mean_the_same(tmp_path, line, end, start):
    assert read_gmt(write(tmp_path, start + line + end)) == [GeneSet("A", "sets", "", ("TP53", "STAT1"))]


def test_gzip_is_recognised_by_its_bytes_and_the_name_loses_its_endings(tmp_path):
    packed = gzip.compress(b"A\t\tTP53\n")
    for name in ("mine.gmt.gz", "mine.gmt", "mine.GMT"):
        assert read_gmt(write(tmp_path, packed, name))[0] == GeneSet("A", "mine", "", ("TP53",))


@pytest.mark.parametrize(
    ("data", "where", "what"),
    [
        (b"", "sets.gmt", "empty"),
        (b"\n\n", "sets.gmt", "empty"),
        (b"# only a comment\n", "sets.gmt", "no gene set"),
        (b"<!DOCTYPE html><html>", "sets.gmt:1", "web page"),
        (b"\n  <html><body>404", "sets.gmt:1", "web page"),
        (b'{"HALLMARK_X": {}}', "sets.gmt:1", "JSON"),
        (b"PK\x03\x04rest", "sets.gmt:1", "zip"),
        (b"A\t\tTP53\nnot a set\n", "sets.gmt:2", "no tab"),
        (b"A\t\tTP53\n\t\tSTAT1\n", "sets.gmt:2", "without a name"),
        (b"A\t\tTP53\n\xff\xfe\n", "sets.gmt:2", "UTF-8"),
        (b"A\t\tTP53\nB\t\tX\0Y\n", "sets.gmt:2", "binary"),
        (gzip.compress(b"A\t\tTP53\n" * 1000, mtime=0)[:30], "sets.gmt", "cannot be read to its end"),
        (b"\x1f\x8b\x08\x00garbage-garbage", "sets.gmt", "cannot be read to its end"),
    ],
)
def test_what_is_no_gmt_file_is_refused_by_name_and_line(tmp_path, data, where, what):
    with pytest.raises(DataError, match=what) as caught:
        read_gmt(write(tmp_path, data))
    assert caught.value.problems[0].where == str(tmp_path / where)
    assert caught.value.problems[0].mend


def test_two_sets_of_one_name_are_refused_with_both_lines(tmp_path):
    with pytest.raises(DataError, match="first is in line 2") as caught:
        read_gmt(write(tmp_path, "B\t\tX\nA\t\tTP53\n\nA\t\tSTAT1\n"))
    assert caught.value.problems[0].where.endswith("sets.gmt:4")


def test_a_damaged_gzip_file_never_gives_other_sets(tmp_path):
    """Flip bits at 50 places: the same sets or a DataError, nothing else."""
    text = "".join(f"SET{number}\t\tTP53\tSTAT{number % 6 + 1}\tG{number}\n" for number in range(200))
    packed = bytearray(gzip.compress(text.encode(), mtime=0))
    whole = read_gmt(write(tmp_path, bytes(packed)))
    refused = 0
    for place in range(50):
        damaged = bytearray(packed)
        damaged[len(packed) * place // 50] ^= 0x55
        try:
            assert read_gmt(write(tmp_path, bytes(damaged))) == whole
        except DataError:
            refused += 1
    assert refused >= 45


def test_members_become_current_symbols_and_strangers_are_listed(tmp_path):
    text = "A\t\tMARCH8\tMARCHF8\ttat\tvif\tC1ORF112\tENSG00000141510\tTP53\n"
    sets = to_current_symbols(read_gmt(write(tmp_path, text)), table=load_gene_table())
    assert sets[0].genes == ("MARCHF8", "FIRRM", "TP53")
    assert sets[0].unknown == ("tat", "vif")  # HIV tat is not human TAT


def test_shipped_collections():
    hallmark, reactome = load_gene_sets(["hallmark"]), load_gene_sets(["reactome"])
    assert (len(hallmark), len(reactome)) == (50, 1615)
    symbols = load_gene_table().row_of
    members = {gene for entry in (*hallmark, *reactome) for gene in entry.genes}
    assert members <= symbols.keys()
    assert len(members) > 11_000
    strangers = {gene for entry in (*hallmark, *reactome) for gene in entry.unknown}
    assert len(strangers) <= 5
    interferon = next(entry for entry in hallmark if entry.name == "HALLMARK_INTERFERON_ALPHA_RESPONSE")
    assert {"ISG15", "RIGI"} & set(interferon.genes)
    assert load_gene_sets(["hallmark", "reactome"]) == [*hallmark, *reactome]


def test_names_shared_by_two_collections_are_told_apart(tmp_path):
    first = write(tmp_path, "Apoptosis\t\tTP53\nOnly\t\tTP53\n", "kegg.gmt")
    second = write(tmp_path, "Apoptosis\t\tBAX\n", "wiki.gmt")
    names = [entry.name for entry in load_gene_sets([str(first), second])]
    assert names == ["Apoptosis (kegg)", "Only", "Apoptosis (wiki)"]


def test_unknown_or_repeated_collections_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'reactome'"):
        load_gene_sets(["reactom"])
    with pytest.raises(ConfigError, match="two collections have the same name"):
        load_gene_sets(["hallmark", "hallmark"])


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8),
        st.lists(st.from_regex(r"[A-Z][A-Z0-9-]{0,6}", fullmatch=True), max_size=5, unique=True),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_is_read(tmp_path_factory, sets):
    place = tmp_path_factory.getbasetemp() / "round.gmt"
    place.write_text("".join("\t".join((name, "", *genes)) + "\n" for name, genes in sets.items()), "utf-8")
    found = {entry.name: list(entry.genes) for entry in read_gmt(place)}
    assert found == sets
