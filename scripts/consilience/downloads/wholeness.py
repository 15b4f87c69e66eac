"""Whether a file is whole, told from its own form, for when nobody said how long it should be.

What can be noticed: gzip and its relatives (the stream has an end mark and a checksum), zip (its directory is
at the end), tar (blocks of zeros at the end), parquet (its footer), HDF5 (the address of its end), small JSON
(it parses). What cannot: plain text without a length and a digest; cut between two lines, it is a shorter
table.
"""

from __future__ import annotations

import bz2
import json
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

_BLOCK = 1 << 20
_PIECE = 4 << 20
_SMALL = 64 << 20
GZIP = b"\x1f\x8b"
BZIP2 = b"BZh"
XZ = b"\xfd7zXZ\x00"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
PARQUET = b"PAR1"
HDF5 = b"\x89HDF\r\n\x1a\n"
PAGES = (b"<!doctype html", b"<html", b"<head")
NO_END = "the tar file has no end (it may be cut)"
GZIP_NAMES = (".gz", ".tgz", ".bgz", ".gzip")


def damage(path: Path, *, name: str = "", length_known: bool = False) -> str | None:
    """What is wrong with a file, in words, or None.

    Parameters
    ----------
    name
        Its real name, where `path` is a temporary one.
    length_known
        Its length is the promised one: then only what contradicts itself counts as damage (some programs
        write tar without an end).
    """
    name = (name or path.name).casefold()
    start = _start(path)
    if not start:
        return None  # nothing says that an empty file is wrong; its reader will
    if name.endswith(GZIP_NAMES) and not start.startswith(GZIP):
        return f"it is named {PurePosixPath(name).suffix} but is not gzip"
    check = _check_for(start, name)
    found = check(path) if check else None
    return None if found == NO_END and length_known else found


def can_be_judged(path: Path, *, name: str = "") -> bool:
    """True when the form of the file says whether it is whole."""
    return _check_for(_start(path), (name or path.name).casefold()) is not None


def page_title(path: Path) -> str | None:
    """The title of a web page ("" where it has none), or None for a file that is no web page."""
    start = _start(path, 8192).removeprefix(b"\xef\xbb\xbf").lstrip()
    lower = start.lower()
    if not lower.startswith(PAGES) and not (lower.startswith(b"<?xml") and b"<html" in lower):
        return None
    found = re.search(rb"<title[^>]*>(.*?)</title", start, flags=re.IGNORECASE | re.DOTALL)
    return " ".join(found[1].decode("utf-8", "replace").split())[:120] if found else ""


def _start(path: Path, n: int = 512) -> bytes:
    with path.open("rb") as handle:
        return handle.read(n)


def _check_for(start: bytes, name: str) -> Callable[[Path], str | None] | None:
    if start.startswith(GZIP):
        return _gzip
    if start.startswith(BZIP2) and name.endswith((".bz2", ".tbz2")):
        return lambda path: _stream(path, bz2.BZ2Decompressor, "bzip2")
    if start.startswith(XZ):
        return lambda path: _stream(path, lzma.LZMADecompressor, "xz")
    if start.startswith(ZIP):
        return _zip
    if start.startswith(PARQUET):
        return _parquet
    if start.startswith(HDF5):
        return _hdf5
    if start[257:262] == b"ustar" or name.endswith(".tar"):
        return _tar
    return _json if name.endswith(".json") else None


def _gzip(path: Path) -> str | None:
    """Decompress all members (bgzip files have many); zero bytes may follow the last one."""
    try:
        return _members(path, lambda: zlib.decompressobj(31), "gzip")
    except zlib.error as error:
        return f"its gzip stream is damaged ({error})"


def _stream(path: Path, start: Callable[[], Any], kind: str) -> str | None:
    try:
        return _members(path, start, kind)
    except (OSError, EOFError, lzma.LZMAError) as error:
        return f"its {kind} stream is damaged ({error})"


def _members(path: Path, start: Callable[[], Any], kind: str) -> str | None:
    """Decompress one member after the other, piece by piece, and look whether the last one ends."""
    inflate: Any = None
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            while block:
                if inflate is None:
                    block = block.lstrip(b"\0")
                    if not block:
                        break
                    inflate = start()
                inflate.decompress(block, _PIECE)
                while not inflate.eof and not _hungry(inflate):
                    inflate.decompress(getattr(inflate, "unconsumed_tail", b""), _PIECE)
                block = inflate.unused_data
                inflate = None if inflate.eof else inflate
    return f"its {kind} stream is cut (it has no end)" if inflate is not None else None


def _hungry(inflate: Any) -> bool:
    """True when a decompressor has used all it was given (zlib and bz2/lzma say it in different ways)."""
    if hasattr(inflate, "unconsumed_tail"):
        return not inflate.unconsumed_tail
    return bool(inflate.needs_input)


def _zip(path: Path) -> str | None:
    """The directory of a zip file is at its end."""
    return None if zipfile.is_zipfile(path) else "the zip file is cut (it has no directory)"


def _tar(path: Path) -> str | None:
    """Every member lies inside the file, and a block of zeros comes after the last one."""
    try:
        with tarfile.open(path, "r:") as archive:
            while archive.next() is not None:
                archive.members = []  # type: ignore[attr-defined]  # else every header stays in memory
            end = archive.offset
    except (tarfile.TarError, EOFError, OverflowError, ValueError) as error:
        return f"the tar file is cut or damaged ({error})"
    if end > path.stat().st_size:
        return "the tar file is cut"
    with path.open("rb") as handle:
        handle.seek(end)
        last = handle.read(tarfile.BLOCKSIZE)
    if last.strip(b"\0"):
        return "the tar file is cut or damaged in the header of a member"
    return None if len(last) == tarfile.BLOCKSIZE else NO_END


def _parquet(path: Path) -> str | None:
    """Parquet ends with the length of its footer and its mark."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, size - 8))
        tail = handle.read(8)
    whole = size >= 12 and tail.endswith(PARQUET) and struct.unpack("<I", tail[:4])[0] + 12 <= size
    return None if whole else "the parquet file is cut (it has no footer)"


def _hdf5(path: Path) -> str | None:
    """The superblock says where the file ends (versions 0 to 3; others are left to their reader)."""
    start = _start(path, 96)
    if len(start) < 48:
        return "the HDF5 file is cut (its superblock is not whole)"
    version, width = start[8], start[13] if start[8] < 2 else start[9]
    if version > 3 or width not in (4, 8):
        return None
    # versions 0 and 1: four addresses follow the header (base, free space, end of file, driver);
    # versions 2 and 3: base, extension, end of file
    at = (24 if version == 0 else 28 if version == 1 else 12) + 2 * width
    end = int.from_bytes(start[at : at + width], "little")
    size = path.stat().st_size
    return None if size >= end else f"the HDF5 file is cut ({size:,} bytes of {end:,})"


def _json(path: Path) -> str | None:
    """Small JSON is parsed; of a large file only the last character is looked at."""
    if path.stat().st_size > _SMALL:
        with path.open("rb") as handle:
            handle.seek(-64, 2)
            return None if handle.read().rstrip().endswith((b"}", b"]")) else "the JSON text is cut"
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return f"the JSON text is cut or damaged ({error})"
    return None
