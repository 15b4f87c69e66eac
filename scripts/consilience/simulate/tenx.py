"""10x folders as Cell Ranger 3 and later write them, one per sample, and one table of all cells."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from consilience.simulate.cells import Block
from consilience.simulate.gzipped import member, write_gzip

MATRIX_HEADER = (
    "%%MatrixMarket matrix coordinate integer general\n"
    '%metadata_json: {"software_version": "consilience-simulator", "format_version": 2}\n'
)


def triplets(block: Block) -> bytes:
    """The matrix lines "gene cell count" of one block, counted from one, as one gzip member."""
    import pyarrow as pa
    from pyarrow import csv

    n = len(block.barcodes)
    cells = np.repeat(np.arange(n, dtype=np.int64) + block.start + 1, np.diff(block.counts.indptr))
    table = pa.table({"gene": block.counts.genes + np.int32(1), "cell": cells, "count": block.counts.values})
    sink = io.BytesIO()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none"))
    return member(sink.getvalue())


class TenxWriter:
    """Writes samples one after the other; blocks of a sample must come in order and together."""

    def __init__(self, folder: Path, *, symbols: list[str], ensembl_ids: list[str]) -> None:
        self.folder = folder
        self.features = "".join(
            f"{gene_id}\t{symbol}\tGene Expression\n"
            for gene_id, symbol in zip(ensembl_ids, symbols, strict=True)
        )
        self.n_genes = len(symbols)
        self.columns: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, blocks: Iterable[tuple[Block, bytes]]) -> None:
        """Write all blocks, each with its matrix lines."""
        sample, n_cells, nnz = "", 0, 0
        for block, lines in blocks:
            if block.sample != sample:
                self._finish(sample, n_cells=n_cells, nnz=nnz)
                sample, n_cells, nnz = block.sample, 0, 0
                (self.folder / sample).mkdir()
            n_cells += len(block.barcodes)
            nnz += block.counts.values.size
            with (self.folder / sample / "matrix.body").open("ab") as handle:
                handle.write(lines)
            with (self.folder / sample / "barcodes.tsv.gz").open("ab") as handle:
                handle.write(member("".join(f"{barcode}\n" for barcode in block.barcodes)))
            self._append_cells(block)
        self._finish(sample, n_cells=n_cells, nnz=nnz)

    def _append_cells(self, block: Block) -> None:
        columns = ["barcode", *block.columns]
        rows = zip(block.barcodes, *block.columns.values(), strict=True)
        text = "".join("\t".join(row) + "\n" for row in rows)
        if not self.columns:
            self.columns = columns
            text = "\t".join(columns) + "\n" + text
        with (self.folder / "cells.tsv.gz").open("ab") as handle:
            handle.write(member(text))

    def _finish(self, sample: str, *, n_cells: int, nnz: int) -> None:
        """Put the header, whose counts are known only now, before the matrix lines."""
        if not sample:
            return
        folder = self.folder / sample
        write_gzip(folder / "features.tsv.gz", self.features)
        with (folder / "matrix.mtx.gz").open("wb") as whole, (folder / "matrix.body").open("rb") as body:
            whole.write(member(f"{MATRIX_HEADER}{self.n_genes} {n_cells} {nnz}\n"))
            shutil.copyfileobj(body, whole, 1 << 20)
        (folder / "matrix.body").unlink()
