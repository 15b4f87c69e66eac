"""Damaged files of cells: refused by name, or the same result; never a silently different one."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy import sparse

from consilience.expression.gene_table import load_gene_table
from consilience.expression.prepare import prepare_cohort
from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of, write_json
from consilience.study.cohorts import Cohort
from consilience.study.sections import NormalisationSection, QualitySection
from sources.cells.cell_files import Truth, write_loom, write_old_h5ad, write_table, write_tenx_h5
from sources.cells.cell_files import write_h5ad as write_h5ad_file

COHORT = Cohort(
    name="c",
    kind="single_cell",
    source="local",
    condition="condition",
    case=("sick",),
    control=("well",),
    donor="donor",
)
N_CELLS, N_GENES, PLACES = 120, 60, 50


def counts_and_columns() -> tuple[sparse.csr_matrix, list[str], dict[str, list[str]]]:
    rng = np.random.default_rng(0)
    counts = sparse.csr_matrix(rng.poisson(1.5, (N_CELLS, N_GENES)).astype(np.int32))
    donors = [f"D{k // 20}" for k in range(N_CELLS)]
    columns = {"donor": donors, "condition": ["sick" if k < 60 else "well" for k in range(N_CELLS)]}
    return counts, load_gene_table().symbols_of(gene_type="protein_coding")[:N_GENES], columns


def write_h5ad(raw: Path) -> list[Path]:
    import anndata
    import pandas as pd

    counts, genes, columns = counts_and_columns()
    data = anndata.AnnData(
        counts.astype(np.float32), obs=pd.DataFrame(columns, index=[f"c{k}" for k in range(N_CELLS)])
    )
    data.var_names = genes
    data.write_h5ad(raw / "cells.h5ad", compression="gzip")
    return [raw / "cells.h5ad"]


def write_10x(raw: Path) -> list[Path]:
    counts, genes, columns = counts_and_columns()
    cells, rows = counts.nonzero()
    entries = [f"{g + 1} {c + 1} {counts[c, g]}\n" for c, g in zip(cells, rows, strict=True)]
    header = f"%%MatrixMarket matrix coordinate integer general\n{N_GENES} {N_CELLS} {len(entries)}\n"
    table = ["barcode\tsample\tdonor\tcondition\n"] + [
        f"AC{k}\tS\t{d}\t{c}\n" for k, (d, c) in enumerate(zip(*columns.values(), strict=True))
    ]
    texts = {
        "S/matrix.mtx.gz": header + "".join(entries), "S/barcodes.tsv.gz": "".join(f"AC{k}\n" for k in range(N_CELLS)),
        "S/features.tsv.gz": "".join(f"{g}\t{g}\tGene Expression\n" for g in genes), "cells.tsv.gz": "".join(table),
    }  # fmt: skip
    (raw / "S").mkdir()
    for name, text in texts.items():
        (raw / name).write_bytes(gzip.compress(text.encode(), mtime=0))
    return [raw / name for name in texts]


def record(raw: Path, files: list[Path]) -> None:
    entries = [
        {"name": path.relative_to(raw).as_posix(), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in files
    ]
    write_json(raw / "provenance.json", {"cohort": "c", "files": entries})


def run(raw: Path, out: Path) -> tuple[str, str, Any]:
    """Digests of what was written and the record."""
    shutil.rmtree(out, ignore_errors=True)
    prepare_cohort(
        cohort=COHORT, raw_dir=raw, quality=QualitySection(), normalisation=NormalisationSection(), min_samples_per_arm=3,
        seed=1, expression_path=out / "c.h5ad", removed_path=out / "c.removed.parquet", qc_path=out / "c.qc.json",
    )  # fmt: skip
    qc = json.loads((out / "c.qc.json").read_text())
    return sha256_of(out / "c.h5ad"), sha256_of(out / "c.removed.parquet"), qc


def outcome(raw: Path, out: Path) -> tuple[str, str, Any] | str:
    """What was written, or the message of the error; any other exception fails the test."""
    try:
        return run(raw, out)
    except DataError as error:
        return str(error)


def truth_and_table(raw: Path) -> Truth:
    """The cohort for the writers of one file, and a table of its cells."""
    counts, genes, columns = counts_and_columns()
    barcodes = tuple(f"AC{k}" for k in range(N_CELLS))
    rows = [f"{code}\t{d}\t{c}\n" for code, d, c in zip(barcodes, *columns.values(), strict=True)]
    (raw / "cells.tsv.gz").write_bytes(
        gzip.compress(("barcode\tdonor\tcondition\n" + "".join(rows)).encode(), mtime=0)
    )
    return Truth(counts, barcodes, tuple(genes))


def written_with(writer: Callable[[Path, Truth], Path], name: str) -> Callable[[Path], list[Path]]:
    """A writer of a raw folder: the damaged file first."""
    return lambda raw: [writer(raw / name, truth_and_table(raw)), raw / "cells.tsv.gz"]


def write_csc(path: Path, truth: Truth) -> Path:
    return write_h5ad_file(path, truth, storage="csc", place="raw/X")


def write_csv(path: Path, truth: Truth) -> Path:
    return write_table(path, truth, genes_in_rows=True)


FORMATS = [pytest.param(write_h5ad, id="h5ad"), pytest.param(write_10x, id="10x")]
OTHERS = [
    pytest.param(written_with(write_tenx_h5, "c.h5"), id="10x_h5"),
    pytest.param(written_with(write_loom, "c.loom"), id="loom"),
    pytest.param(written_with(write_csc, "c.h5ad"), id="h5ad_csc"),
    pytest.param(written_with(write_old_h5ad, "c.h5ad"), id="h5ad_old"),
]


@pytest.mark.parametrize(
    "write", [*FORMATS, *OTHERS, pytest.param(written_with(write_csv, "c.csv.gz"), id="csv")]
)
def test_a_changed_byte_anywhere_is_noticed(tmp_path: Path, write: Callable[[Path], list[Path]]) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    files = write(raw)
    record(raw, files)
    run(raw, tmp_path / "out")
    rng = np.random.default_rng(1)
    for place in range(PLACES):
        path = files[place % len(files)]
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=path.name):
            run(raw, tmp_path / "out")
        assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
        path.write_bytes(whole)


def damaged_copies(whole: bytes, rng: np.random.Generator) -> list[bytes]:
    """Flips and cuts at random places, and what servers send instead of a file."""
    flips, cuts = rng.integers(0, len(whole), PLACES), rng.integers(1, len(whole), 8)
    flipped = []
    for place in flips:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        flipped.append(bytes(damaged))
    return [
        *flipped,
        *(whole[:cut] for cut in cuts),
        b"",
        b"<!DOCTYPE html>\n<html>404</html>\n",
        b"\x1f\x8b\x08\x00",
    ]


def test_text_that_was_damaged_before_its_digest_was_taken(tmp_path: Path) -> None:
    """gzip's own checksum refuses every change that could alter a number."""
    raw = tmp_path / "raw"
    raw.mkdir()
    files = write_10x(raw)
    record(raw, files)
    good, refused = run(raw, tmp_path / "out"), 0
    for path in files:
        whole = path.read_bytes()
        for damaged in damaged_copies(whole, np.random.default_rng(2))[:: 1 if "matrix" in path.name else 5]:
            path.write_bytes(damaged)
            record(raw, files)
            found = outcome(raw, tmp_path / "out")
            assert path.name in found if isinstance(found, str) else found == good
            refused += isinstance(found, str)
        path.write_bytes(whole)
    assert refused > PLACES


def test_an_h5ad_that_was_damaged_before_its_digest_was_taken_never_ends_in_a_traceback(
    tmp_path: Path,
) -> None:
    """HDF5 has no checksum here, so a changed number cannot be known; everything else is an error with the name."""
    raw = tmp_path / "raw"
    raw.mkdir()
    files = write_h5ad(raw)
    whole = files[0].read_bytes()
    refused = 0
    for damaged in damaged_copies(whole, np.random.default_rng(3)):
        files[0].write_bytes(damaged)
        record(raw, files)
        found = outcome(raw, tmp_path / "out")
        assert not isinstance(found, str) or "cells.h5ad" in found or "cohort c" in found
        refused += isinstance(found, str)
    assert refused > 12  # all the cuts and foreign contents, and the flips in compressed numbers


@pytest.mark.parametrize("write", OTHERS)
def test_other_hdf5_files_never_end_in_a_traceback(
    tmp_path: Path, write: Callable[[Path], list[Path]]
) -> None:
    """A flipped byte gives the same result, a refusal, or (HDF5 has no checksum) a changed number; cuts are refused."""
    raw = tmp_path / "raw"
    raw.mkdir()
    files = write(raw)
    record(raw, files)
    run(raw, tmp_path / "out")
    whole = files[0].read_bytes()
    copies = damaged_copies(whole, np.random.default_rng(5))
    for number, damaged in enumerate(copies):
        files[0].write_bytes(damaged)
        record(raw, files)
        found = outcome(raw, tmp_path / "out")
        if isinstance(found, str):
            assert files[0].name in found or "cohort c" in found or "cells.tsv.gz" in found or "raw" in found
        else:
            assert number < PLACES
            assert found[2]["n_in"] == N_CELLS


def test_a_damaged_table_of_counts_is_refused_or_the_same(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    files = written_with(write_csv, "c.csv.gz")(raw)
    record(raw, files)
    good, refused = run(raw, tmp_path / "out"), 0
    for damaged in damaged_copies(files[0].read_bytes(), np.random.default_rng(6)):
        files[0].write_bytes(damaged)
        record(raw, files)
        found = outcome(raw, tmp_path / "out")
        assert files[0].name in found if isinstance(found, str) else found == good
        refused += isinstance(found, str)
    assert refused > PLACES


def test_numbers_that_make_no_matrix_are_refused(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    files = write_h5ad(raw)
    whole = files[0].read_bytes()
    rng = np.random.default_rng(4)
    for _ in range(20):
        files[0].write_bytes(whole)
        with h5py.File(files[0], "r+") as file:
            name, n = ("indices", N_GENES) if rng.random() < 0.5 else ("indptr", 10**7)
            file["X"][name][int(rng.integers(1, file["X"][name].size))] = int(n + rng.integers(0, 1000))
        record(raw, files)
        with pytest.raises(DataError, match=r"cells\.h5ad.*(damaged|cannot be read)"):
            run(raw, tmp_path / "out")
