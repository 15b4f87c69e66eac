"""The fast reader of .matrix and .ld: the careful reader's numbers, and its words where a file is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from causal.twmr.files import write_folder
from causal.twmr.simulated import Scenario, simulate
from consilience.causal.twmr import folder as module
from consilience.causal.twmr.folder import read_folder
from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.twmr import read_twmr_folder

PEOPLE = {"n_gwas": 1000.0, "n_eqtl": 500.0}
GENE = "ENSG00000000100"


@pytest.fixture
def genes(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "genes", simulate(Scenario(n=4, k=2), genes=3, seed=1))


@pytest.fixture
def no_careful_reader(monkeypatch) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError(f"{path.name} went to the careful reader")

    monkeypatch.setattr(module, "_careful", refuse)


def compare(folder: Path) -> None:
    buckets, named = read_folder(folder, **PEOPLE)
    careful = read_twmr_folder(folder)
    assert named.gene == [one.gene for one in careful]
    assert named.genes == [one.genes for one in careful]
    assert named.variants == [one.rsid for one in careful]
    rows = []
    for bucket in buckets:
        for place, row in enumerate(bucket.index):
            one = careful[row]
            assert (bucket.eqtl[place] == one.effects).all()
            assert (bucket.gwas[place] == one.gwas).all()
            assert (bucket.ld[place] == one.ld).all()
            assert (bucket.known[place] == (one.effects != 0)).all()
            rows.append(row)
        assert (bucket.n_eqtl == 500).all()
        assert (bucket.n_gwas == 1000).all()
    assert sorted(rows) == list(range(len(careful)))


@pytest.mark.usefixtures("no_careful_reader")
@pytest.mark.parametrize("form", [{}, {"trailing_na": True}, {"tabs": True}])
def test_plain_files_are_read_fast_and_the_same(tmp_path: Path, form: dict[str, bool]) -> None:
    write_folder(tmp_path, simulate(Scenario(n=5, k=3), genes=4, seed=2), **form)
    write_folder(tmp_path, simulate(Scenario(n=3, k=1), genes=2, seed=3), **form)
    compare(tmp_path)


@pytest.mark.real_data
@pytest.mark.usefixtures("no_careful_reader")
@pytest.mark.parametrize("name", ["twmr_height", "twmr_pytwmr_layout"])
def test_the_authors_files(kit: Path, name: str) -> None:
    compare(kit / "sumstats" / name)


def test_odd_but_sound_files_go_to_the_careful_reader(genes: Path) -> None:
    for name in (f"{GENE}.matrix", f"{GENE}.ld"):
        path = genes / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    compare(genes)


def change(path: Path, line: int, old: str, new: str) -> None:
    lines = path.read_text().split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("end", "line", "old", "new", "said"),
    [
        ("matrix", 1, "GENES", "GENE", "not the header"),
        ("matrix", 1, "BETA_GWAS", "SE", "not the header"),
        ("matrix", 1, "ENSG00000000101", GENE, "different Ensembl ids"),
        ("matrix", 1, GENE, "ENSG00000000300", "not the gene of the file's name"),
        ("matrix", 2, "rs0 ", "rs2 ", "listed twice"),
        ("matrix", 3, "rs1 ", "rs1 0.1 ", "5 cells under 4"),
        ("matrix", 3, "rs1 ", "rs1 nan ", "5 cells"),
        ("matrix", 2, "rs0 ", "rs0 1_0", "not a finite number"),
        ("ld", 1, "1.0 ", "0.7 ", "with itself is not 1"),
        ("ld", 2, " 1.0", " 1.0 0.1", "5 numbers in a row for 4"),
        ("ld", 2, " 1.0", " x", "not a number"),
        ("ld", 4, " 1.0", " NA", "not a finite number"),
    ],
)
def test_a_fault_is_named_with_its_file_and_line(genes: Path, end, line, old, new, said) -> None:
    change(genes / f"{GENE}.{end}", line, old, new)
    with pytest.raises(DataError, match=said) as caught:
        read_folder(genes, **PEOPLE)
    assert f"{GENE}.{end}:{line}" in str(caught.value)


def test_ld_that_is_not_symmetric(genes: Path) -> None:
    path = genes / f"{GENE}.ld"
    rows = np.loadtxt(path)
    rows[0, 1] += 0.01
    np.savetxt(path, rows)
    with pytest.raises(DataError, match="not symmetric"):
        read_folder(genes, **PEOPLE)


def test_missing_ld_cut_files_and_no_files(genes: Path, tmp_path: Path) -> None:
    path = genes / f"{GENE}.matrix"
    whole = path.read_text()
    path.write_text(whole[:-5])
    with pytest.raises(DataError, match="no line end"):
        read_folder(genes, **PEOPLE)
    path.write_text(whole)
    (genes / f"{GENE}.ld").unlink()
    with pytest.raises(DataError, match=f"no {GENE}.ld beside"):
        read_folder(genes, **PEOPLE)
    with pytest.raises(DataError, match=r"no <gene>\.matrix"):
        read_folder(tmp_path, **PEOPLE)
