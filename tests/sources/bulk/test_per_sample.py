"""Folders of one table for each sample, as HTSeq, STAR, RSEM, salmon and kallisto write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from consilience.foundation.errors import DataError
from consilience.sources.bulk.per_sample import sample_of
from consilience.sources.bulk.read import read_bulk
from consilience.sources.raw_folder import raw_folder_of
from consilience.study.cohorts import Cohort

COHORT = Cohort("c", "bulk", "local")
RSEM = "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
SALMON = "Name\tLength\tEffectiveLength\tTPM\tNumReads\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "samples.tsv").write_text("sample\tgroup\nS2\twell\nS1\till\n")


def read(folder: Path, cohort: Cohort = COHORT):
    files = tuple((p.relative_to(folder).as_posix(), p) for p in sorted(folder.rglob("*")) if p.is_file())
    return read_bulk(raw_folder_of(folder, files), cohort=cohort)


def test_htseq_tables_with_their_last_rows(tmp_path: Path) -> None:
    write(tmp_path, {
        "S1.htseq.txt": "TP53\t5\nXIST\t7\n__no_feature\t8\n__ambiguous\t0\n",
        "S2.htseq.txt": "TP53\t1\nXIST\t2\n__no_feature\t3\n__ambiguous\t0\n",
    })  # fmt: skip
    matrix = read(tmp_path)
    assert matrix.samples == ("S1", "S2")
    assert matrix.values.tolist() == [[5, 7], [1, 2]]
    assert matrix.columns["group"] == ("ill", "well")
    assert matrix.units == "counts"
    assert matrix.metrics["assigned_share"].tolist() == [0.6, 0.5]


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [
        ("{}.genes.results", RSEM, "{}\tx\t10\t9\t{}\t1\t1\n"),
        ("{}/quant.genes.sf", SALMON, "{}\t10\t9\t1\t{}\n"),
        ("{}/abundance.tsv", "target_id\tlength\teff_length\test_counts\ttpm\n", "{}\t10\t9\t{}\t1\n"),
    ],
)
def test_estimates_are_rounded_because_their_column_says_what_they_are(
    tmp_path: Path, name: str, head: str, row: str
) -> None:
    write(tmp_path, {
        name.format(sample): head + row.format("TP53", value) + row.format("XIST", 100)
        for sample, value in (("S1", "3.7"), ("S2", "0.2"))
    })  # fmt: skip
    matrix = read(tmp_path)
    assert matrix.samples == ("S1", "S2")
    assert matrix.values.tolist() == [[4, 100], [0, 100]]
    assert matrix.units == "estimated_counts"
    assert any("rounded to whole counts" in note for note in matrix.notes)


def test_another_column_is_taken_when_the_sheet_asks_for_it(tmp_path: Path) -> None:
    row = "{}\tx\t10\t9\t3\t{}\t1\n"
    write(tmp_path, {
        f"{sample}.genes.results": RSEM + row.format("TP53", 250_000.5) + row.format("XIST", 749_999.5)
        for sample in ("S1", "S2")
    })  # fmt: skip
    matrix = read(tmp_path, Cohort("c", "bulk", "local", units="tpm"))
    assert matrix.units == "tpm"
    assert matrix.values[0].tolist() == [250_000.5, 749_999.5]


def test_transcripts_are_refused_with_the_reason(tmp_path: Path) -> None:
    rows = "".join(f"ENST{k:011d}.1\t10\t9\t1\t5.5\n" for k in range(4))
    write(tmp_path, {f"{sample}/quant.sf": SALMON + rows for sample in ("S1", "S2")})
    with pytest.raises(
        DataError, match=r"4 of 4 ids are transcripts, not genes.*ENST00000000000\.1.*tximport"
    ):
        read(tmp_path)


def test_a_table_without_a_row_among_the_samples_is_named(tmp_path: Path) -> None:
    write(tmp_path, {f"{name}.htseq.txt": "TP53\t5\nXIST\t1\n__no_feature\t8\n" for name in ("S1", "T9")})
    with pytest.raises(DataError, match=r"1 of 2 samples have no row in the samples table: T9"):
        read(tmp_path)


def test_two_tables_of_one_sample_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {f"{name}.txt": "TP53\t5\nXIST\t1\n__no_feature\t8\n" for name in ("a/S1", "b/S1")})
    with pytest.raises(DataError, match="table of sample 2 has the same name as table of sample 1"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("x/S1.htseq.counts.gz", "S1"), ("S1/quant.sf", "S1"), ("S1/abundance.tsv", "S1"),
        ("S1.genes.results", "S1"), ("S1.ReadsPerGene.out.tab", "S1"), ("quant.sf", "quant"), ("S.1.txt", "S.1"),
    ],
)  # fmt: skip
def test_what_a_file_is_called_after(name: str, sample: str) -> None:
    assert sample_of(name) == sample
