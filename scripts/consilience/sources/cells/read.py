"""A cohort of cells from its raw folder, whatever format it was served in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from consilience.foundation.errors import DataError
from consilience.foundation.jobs import progress
from consilience.sources.cells.annotation import is_annotation
from consilience.sources.cells.describe import describe_cells
from consilience.sources.cells.file_names import sample_of, unfiltered_twins
from consilience.sources.cells.h5_counts import Naming, SparseRows
from consilience.sources.cells.join import join_matrices
from consilience.sources.cells.matrix import CACHED_ENTRIES, CellMatrix
from consilience.sources.cells.spool import Spool
from consilience.sources.cells.views import entries_of_cells
from consilience.sources.raw_folder import RawFolder, unreadable
from consilience.sources.text import shown
from consilience.study.cohorts import Cohort

WANTED = (
    "counts of cells: 10x folders (matrix.mtx, features.tsv, barcodes.tsv), 10x .h5, .h5ad or .loom files, "
    "or dense tables of genes × cells"
)
_FORMATS = {"mtx": "mtx", "h5ad": "h5ad", "hdf5": "h5ad", "tenx_h5": "tenx_h5", "loom": "loom"}


def read_cells(folder: RawFolder, *, cohort: Cohort, scratch: Path) -> CellMatrix:
    """Read a verified raw folder with the reader that fits its files; `scratch` is removed by the caller."""
    kind = _format_of(folder)
    if kind == "mtx":
        from consilience.sources.cells.tenx import read_10x

        matrix = read_10x(folder, scratch=scratch)
    else:
        matrix = _read_files(folder, kind, scratch)
    if not matrix.n_cells or not matrix.genes:
        raise DataError("holds no cells or no genes", where=matrix.where,
                        value=f"{matrix.n_cells} cells, {len(matrix.genes)} genes")  # fmt: skip
    return describe_cells(matrix, folder)


def _format_of(folder: RawFolder) -> str:
    """The one format in which the folder holds cells; tables count only where there is nothing else."""
    found = sorted({_FORMATS[kind] for kind in folder.kinds if kind in _FORMATS})
    if len(found) > 1:
        names = [name for (name, _), kind in zip(folder.files, folder.kinds, strict=True) if kind in _FORMATS]
        raise DataError(
            "holds cells in several formats", where=shown(folder.path), value=", ".join(names[:8]),
            allowed="one of " + ", ".join(found), mend="name the wanted files in the cohort's 'files'",
        )  # fmt: skip
    if found:
        return found[0]
    if _tables(folder):
        return "table"
    if parquet := folder.of_kind("parquet"):
        raise _no_counts(parquet[0])
    raise unreadable(folder, wanted=WANTED)


def _tables(folder: RawFolder) -> list[tuple[str, Path]]:
    """Tables that may hold counts: not those that describe samples or cells."""
    return [
        (name, path)
        for (name, path), kind in zip(folder.files, folder.kinds, strict=True)
        if kind == "table" and not is_annotation(name) and "samples." not in path.name
    ]


def _no_counts(path: Path) -> DataError:
    """What a parquet table holds instead of counts of cells."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        told = f"{file.metadata.num_rows:,} rows of {', '.join(file.schema_arrow.names[:12])}"
    except (pa.ArrowException, OSError) as error:
        told = f"a damaged parquet file ({' '.join(str(error).split())[:100]})"
    return DataError(
        "is a table, not counts of cells", where=shown(path), value=told, allowed=WANTED,
        mend="a table of genes and samples is of the kind bulk; of ranks, effects and signatures give the "
        "counts behind them",
    )  # fmt: skip


def _read_files(folder: RawFolder, kind: str, scratch: Path) -> CellMatrix:
    """One file, or one for each sample."""
    chosen = [(name, path) for (name, path), its in zip(folder.files, folder.kinds, strict=True)
              if _FORMATS.get(its) == kind]  # fmt: skip
    chosen = chosen or _tables(folder)
    samples = {name: sample_of(name) for name, _ in chosen}
    left, notes = unfiltered_twins(samples)
    parts: list[tuple[str, CellMatrix]] = []
    files = [(name, path) for name, path in chosen if name not in left]
    for name, path in progress(files, label="opening files"):
        sample = samples[name]
        if sample in {other for other, _ in parts}:
            raise DataError(
                f"two files for sample {sample!r}",
                where=shown(path),
                mend="name the wanted files in the cohort's 'files'",
            )
        room = scratch / f"file{len(parts)}"
        parts.append((sample, _without_dense_counts(_open(path, kind, room), room)))
    if len(parts) == 1:
        matrix = parts[0][1]
        return replace(matrix, notes=(*notes, *matrix.notes))
    joined = join_matrices(parts, where=shown(folder.path))
    return replace(joined, notes=(*notes, f"{len(parts)} files, a sample each", *joined.notes))


def _without_dense_counts(matrix: CellMatrix, folder: Path) -> CellMatrix:
    """Large dense counts are read once and kept without their zeros: every later pass is then quick."""
    source = matrix.counts
    if source.n_entries <= CACHED_ENTRIES or entries_of_cells(source) is not None:
        return matrix
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "counts.h5"
    with Spool(path) as spool:
        for _, block in progress(source.blocks(), label="reading dense counts, blocks"):
            spool.append(block)
        _, n_entries = spool.finish(source.n_genes)
    naming = Naming(
        matrix.where, lambda cell: matrix.barcodes[cell].decode(), lambda gene: matrix.genes[gene]
    )
    rows = SparseRows(path, "/", source.n_cells, source.n_genes, n_entries, naming)
    return replace(matrix, counts=rows)


def _open(path: Path, kind: str, scratch: Path) -> CellMatrix:
    if kind == "h5ad":
        from consilience.sources.cells.h5ad import open_h5ad

        return open_h5ad(path, scratch=scratch)
    if kind == "tenx_h5":
        from consilience.sources.cells.tenx_h5 import open_tenx_h5

        return open_tenx_h5(path)
    if kind == "loom":
        from consilience.sources.cells.loom import open_loom

        return open_loom(path, scratch=scratch)
    from consilience.sources.cells.dense_table import open_dense_table

    return open_dense_table(path, scratch=scratch)
