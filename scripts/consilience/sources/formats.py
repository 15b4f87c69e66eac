"""What kind of file each raw file is, told from its name and its first bytes; nothing is parsed here."""

from __future__ import annotations

import re
import zlib
from pathlib import Path, PurePosixPath
from typing import Literal

from consilience.foundation.errors import DataError
from consilience.sources.text import FETCH_AGAIN, GZIP_MAGIC, read_bytes, refuse_page, shown

FileKind = Literal[
    "series_matrix", "soft", "platform",
    "gdc_answer", "gdc_manifest", "star_counts", "htseq_counts",
    "mtx", "features", "barcodes", "cell_table", "h5ad", "tenx_h5", "loom", "hdf5",
    "twmr_matrix", "ld_matrix", "plink", "metadata",
    "parquet", "table", "archive", "spreadsheet", "r_object", "other",
]  # fmt: skip
"""`table` is any delimited text, whatever it holds; `hdf5` an HDF5 file that is none of the known ones."""

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
PARQUET_MAGIC = b"PAR1"
PLINK_MAGIC = b"\x6c\x1b\x01"
BZIP_MAGIC = b"BZh"
XZ_MAGIC = b"\xfd7zXZ\0"
ZIP_MAGIC = b"PK\x03\x04"
OLE_MAGIC = b"\xd0\xcf\x11\xe0"
TABLE_SUFFIXES = (
    *(kind + pack for kind in (".tsv", ".csv", ".txt", ".tab") for pack in ("", ".gz", ".bgz")), ".parquet"
)  # fmt: skip
PACKED = (".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".zip")
"""Endings of archives."""
N_BYTES = 512

_BY_NAME: tuple[tuple[str, FileKind], ...] = (
    (r".*series_matrix[^/]*\.txt(\.gz)?", "series_matrix"),
    (r".*(_family\.soft|\.soft|_family\.txt)(\.gz)?", "soft"),
    (r"(.*/)?GPL\d+[^/]*\.annot(\.gz)?", "platform"),
    (r"(.*/)?(GPL\d+[^/]*|[^/]*probe[^/]*symbol[^/]*)\.(tsv|csv|txt|tab)(\.gz)?", "platform"),
    (r"(.*/)?files\.json", "gdc_answer"),
    (r"(.*/)?(gdc_manifest[^/]*\.(txt|tsv)|manifest\.tsv)", "gdc_manifest"),
    (r".*augmented_star_gene_counts\.tsv(\.gz)?", "star_counts"),
    (r".*\.htseq\.counts(\.gz)?", "htseq_counts"),
    (r"(.*/)?(logs/.*|annotations\.txt|MANIFEST\.txt|filelist\.txt)", "other"),
    (r".*\.mtx(\.gz)?", "mtx"),
    (r".*(features|genes)\.tsv(\.gz)?", "features"),
    (r".*barcodes\.tsv(\.gz)?", "barcodes"),
    (r"(.*[/_.-])?cells\.tsv(\.gz)?", "cell_table"),
    (r".*\.matrix", "twmr_matrix"),
    (r".*\.ld(\.tsv)?(\.gz)?", "ld_matrix"),
    (r".*\.(bim|fam)", "plink"),
    (r".*-meta\.yaml", "metadata"),
    (r".*\.xlsx?", "spreadsheet"),
    (r".*\.(rds|rdata|rda)(\.gz)?", "r_object"),
)  # fmt: skip


def file_kind(name: str, path: Path) -> FileKind:
    """The kind of one file; an empty file, a web page in its place and damaged gzip are refused.

    Parameters
    ----------
    name
        The file's name in its raw folder; its folders may be part of what it says ("ld/locus.ld.gz").
    path
        Where it lies.
    """
    start = first_bytes(path)
    refuse_page(start, where=shown(path))
    if start.startswith(HDF5_MAGIC):
        return _kind_of_hdf5(path)
    if start.startswith(PARQUET_MAGIC):
        return "parquet"
    if start.startswith(PLINK_MAGIC):
        return "plink"
    for pattern, kind in _BY_NAME:
        if re.fullmatch(pattern, name, flags=re.IGNORECASE):
            text = kind == "spreadsheet" and not start.startswith((ZIP_MAGIC, OLE_MAGIC))
            return "table" if text else kind  # many an .xls is a text table
    if start.startswith(ZIP_MAGIC) or start[257:262] == b"ustar":
        return "archive"
    if start.startswith((b"!Series_", b'"!Series_')):
        return "series_matrix"
    if start.startswith((b"^DATABASE", b"^SERIES", b"^SAMPLE", b"^PLATFORM", b"^DATASET")):
        return "soft"
    if start.startswith(b"id\tfilename\tmd5\tsize\tstate"):
        return "gdc_manifest"
    if start.startswith((b"RDX", b"X\n\0\0")):
        return "r_object"
    base = PurePosixPath(name).name.casefold()
    if base.endswith(PACKED) and start.startswith((BZIP_MAGIC, XZ_MAGIC)):
        return "archive"
    if base.endswith((".h5ad", ".h5", ".loom")):
        raise DataError(
            f"named {PurePosixPath(base).suffix} but not an HDF5 file", where=shown(path), mend=FETCH_AGAIN
        )
    if base.endswith(TABLE_SUFFIXES):
        return "table"
    return "table" if b"\t" in start and _is_text(start) else "other"


def kind_by_name(name: str) -> FileKind | None:
    """What a file that is not here says it is; None where the name alone tells nothing."""
    base = PurePosixPath(name).name.casefold()
    by_ending: tuple[tuple[str, FileKind], ...] = (
        (".h5ad", "h5ad"),
        (".loom", "loom"),
        (".parquet", "parquet"),
    )
    for ending, kind in by_ending:
        if base.endswith(ending):
            return kind
    found = (kind for pattern, kind in _BY_NAME if re.fullmatch(pattern, name, flags=re.IGNORECASE))
    return next(found, None) or ("table" if base.endswith(TABLE_SUFFIXES) else None)


def first_bytes(path: Path) -> bytes:
    """The first 512 bytes, decompressed where the file is gzip; refuses an empty file and damaged gzip."""
    with path.open("rb") as handle:
        start = handle.read(N_BYTES)
    if not start:
        raise DataError("the file is empty", where=shown(path), mend=FETCH_AGAIN)
    if start.startswith(GZIP_MAGIC):
        try:
            start = zlib.decompressobj(31).decompress(start, N_BYTES)
        except zlib.error:
            read_bytes(path)  # says what is wrong with the whole file
    return start


def _kind_of_hdf5(path: Path) -> FileKind:
    """h5ad has obs and var, loom has row_attrs, 10x has barcodes beside a matrix."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "obs" in file and "var" in file:
                return "h5ad"
            if "row_attrs" in file and "matrix" in file:
                return "loom"
            groups = [file[key] for key in file if isinstance(file[key], h5py.Group)]
            return "tenx_h5" if any("barcodes" in group and "indptr" in group for group in groups) else "hdf5"
    except (OSError, RuntimeError, KeyError):
        return "hdf5"  # cut or damaged: its reader says how


def _is_text(start: bytes) -> bool:
    return b"\0" not in start


def samples_table_of(counts: Path) -> Path | None:
    """The samples table beside a count table: <stem>.samples.tsv, with or without '.counts' in the stem."""
    stem = counts.name
    for ending in sorted(TABLE_SUFFIXES, key=len, reverse=True):
        if stem.endswith(ending):
            stem = stem.removesuffix(ending)
            break
    stems = [stem, *(stem.removesuffix(word) for word in COUNT_WORDS), counts.name.split(".")[0]]
    candidates = [
        f"{one}.samples.{kind}" for one in dict.fromkeys(stems) for kind in ("tsv", "csv", "tsv.gz")
    ]
    for name in [*candidates, "samples.tsv", "samples.csv", "samples.tsv.gz"]:
        if name != counts.name and (counts.parent / name).is_file():
            return counts.parent / name
    return None


COUNT_WORDS = (".counts", "_counts", ".raw_counts", "_raw_counts", ".rlog", "_rlog", ".tpm", "_tpm")
