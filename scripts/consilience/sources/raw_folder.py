"""A cohort's raw folder: nothing is read before every file is known to be the one that was fetched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from consilience.foundation.errors import DataError, Problem
from consilience.foundation.files import read_json, sha256_of
from consilience.sources.text import FETCH_AGAIN, GZIP_MAGIC, read_bytes, refuse_page, shown

Format = Literal["geo", "gdc", "10x", "h5ad", "gwas_ssf", "table"]
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
PARQUET_MAGIC = b"PAR1"
TABLE_SUFFIXES = (".tsv", ".csv", ".txt", ".tsv.gz", ".csv.gz", ".txt.gz", ".parquet")
COUNT_WORDS = (".counts", "_counts", ".raw_counts", "_raw_counts")


@dataclass(frozen=True, slots=True)
class RawFolder:
    """A verified raw folder: `path`, its `format`, and `files` as (relative name, path), sorted by name."""

    path: Path
    format: Format
    files: tuple[tuple[str, Path], ...]
    provenance: dict[str, Any]

    def named(self, *endings: str) -> list[Path]:
        """The files whose name ends with one of `endings`."""
        return [path for name, path in self.files if name.endswith(endings)]


def open_raw_folder(raw_dir: Path) -> RawFolder:
    """Verify name, size and digest of every file listed in provenance.json, then tell the format."""
    files, provenance = verify_raw_folder(raw_dir)
    return RawFolder(raw_dir, detect_format(files, where=shown(raw_dir)), files, provenance)


def verify_raw_folder(raw_dir: Path) -> tuple[tuple[tuple[str, Path], ...], dict[str, Any]]:
    """The listed files and the provenance record; all damaged files are reported at once."""
    record = raw_dir / "provenance.json"
    if not record.is_file():
        raise DataError(
            "no provenance.json: this folder was not fetched whole",
            where=shown(raw_dir),
            mend="delete the folder and run again",
        )
    provenance = read_json(record)
    entries = _entries(provenance, where=shown(record))
    problems, files = [], []
    for name, size, digest in sorted(entries):
        path = raw_dir / name
        files.append((name, path))
        if problem := _damage(path, size=size, digest=digest):
            problems.append(problem)
    if problems:
        raise DataError.from_problems(problems)
    return tuple(files), provenance


def _entries(provenance: object, *, where: str) -> list[tuple[str, int, str]]:
    entries = []
    try:
        for entry in provenance["files"]:  # type: ignore[index]
            name, size, digest = entry["name"], entry["bytes"], entry["sha256"]
            parts = PurePosixPath(name)
            inside = not parts.is_absolute() and ".." not in parts.parts and str(parts) != "."
            if not (inside and isinstance(size, int) and isinstance(digest, str) and len(digest) == 64):
                raise ValueError(name)
            entries.append((name, size, digest))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"the record of fetched files is damaged ({error})",
            where=where,
            mend="delete the cohort's raw folder and run again",
        ) from error
    if not entries:
        raise DataError(
            "the record of fetched files lists none",
            where=where,
            mend="check the location of the cohort, delete its raw folder and run again",
        )
    return entries


def _damage(path: Path, *, size: int, digest: str) -> Problem | None:
    where = shown(path)
    if not path.is_file():
        return Problem("a fetched file is no longer there", where, mend=FETCH_AGAIN)
    found = path.stat().st_size
    if found != size:
        return Problem(f"has {found} bytes but {size} were fetched", where, mend=FETCH_AGAIN)
    seen = sha256_of(path)
    if seen != digest:
        return Problem(
            f"was changed or damaged after it was fetched: sha256 {seen[:12]}… instead of {digest[:12]}…",
            where,
            mend=FETCH_AGAIN,
        )
    return None


def detect_format(files: tuple[tuple[str, Path], ...], *, where: str) -> Format:
    """Tell the format from names and first bytes; a folder that fits none or several is refused."""
    found: set[Format] = set()
    for name, path in files:
        kind = _format_of(name, path)
        if kind is not None:
            found.add(kind)
    if len(found) > 1:
        found.discard("table")
    if len(found) == 1:
        return found.pop()
    names = ", ".join(name for name, _ in files[:8]) + (" …" if len(files) > 8 else "")
    what = (
        f"holds files of several formats ({', '.join(sorted(found))})" if found else "holds no known format"
    )
    raise DataError(
        f"{what}: {names}",
        where=where,
        allowed="GEO series matrix + counts, GDC files.json + STAR counts, 10x folders, one .h5ad, "
        "GWAS-SSF + eQTL, or a count table (.tsv, .csv, .parquet) + samples table",
        mend="let the location of the cohort point to files of one of these formats",
    )


def _format_of(name: str, path: Path) -> Format | None:
    base = PurePosixPath(name).name
    start = _first_bytes(path)
    refuse_page(start, where=shown(path))
    if start.startswith(HDF5_MAGIC) or base.endswith((".h5ad", ".h5")):
        return "h5ad"
    if base == "files.json" or "augmented_star_gene_counts" in base:
        return "gdc"
    if base in {"matrix.mtx.gz", "matrix.mtx", "cells.tsv.gz", "barcodes.tsv.gz", "features.tsv.gz"}:
        return "10x"
    if "series_matrix" in base or start.startswith((b"!Series_", b'"!Series_')):
        return "geo"
    if base.endswith((".h.tsv.gz", "-meta.yaml", ".ld.gz")) or base == "eqtl.tsv.gz":
        return "gwas_ssf"
    return "table" if base.endswith(TABLE_SUFFIXES) else None


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as handle:
        start = handle.read(512)
    if not start:
        raise DataError("the file is empty", where=shown(path), mend=FETCH_AGAIN)
    if start.startswith(GZIP_MAGIC):
        import zlib

        try:
            start = zlib.decompressobj(31).decompress(start, 512)
        except zlib.error:
            read_bytes(path)  # says what is wrong with the whole file
    return start


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


def read_record(path: Path) -> Any:
    """Read served JSON (a service's answer); a page, an empty or a broken file is a `DataError`."""
    content = read_bytes(path)
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"not valid JSON ({error})", where=shown(path), mend=FETCH_AGAIN) from error
