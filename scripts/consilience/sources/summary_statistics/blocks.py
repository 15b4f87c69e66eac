"""Large text as served, in blocks of whole lines: gzip, line ends and cut files, dealt with once."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from consilience.foundation.errors import DataError
from consilience.sources.text import FETCH_AGAIN, GZIP_MAGIC, refuse_page, shown

BLOCK = 16 << 20
PEEK = 1 << 16
PACKED = (".gz", ".bgz")
_BOM = b"\xef\xbb\xbf"


def line_blocks(path: Path, *, size: int = BLOCK) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, whole lines ending in LF) of a UTF-8 text file, gzip or not.

    bgzip is gzip in many members and is read like it. Damaged gzip, NUL, bytes that are not UTF-8, lone
    carriage returns and a last line without an end (a number cut in two still looks like a number) are
    refused with their line.
    """
    where, line, rest, started = shown(path), 1, b"", False
    with _opened(path, where=where) as handle:
        while piece := _read(handle, size, where=where):
            if not started:
                refuse_page(piece, where=where)
                piece, started = piece.removeprefix(_BOM), True
            whole, end, tail = piece.rpartition(b"\n")
            if not end:
                rest += piece
                continue
            block = _checked(rest + whole + end, line=line, where=where)
            rest = tail
            yield line, block
            line += block.count(b"\n")
    if not started:
        raise DataError("the file holds nothing", where=where, mend=FETCH_AGAIN)
    if rest:
        raise DataError(
            "the last line has no line end, so the file may have been cut", where=f"{where}:{line}",
            mend="fetch it again; if it is whole, add a line end after its last line",
        )  # fmt: skip


def first_lines(path: Path) -> list[str] | None:
    """The first lines of a text file without their ends, None where it is not text; the last may be cut."""
    with _opened(path, where=shown(path)) as handle:
        start = _read(handle, PEEK, where=shown(path))
        while b"\n" not in start and (more := _read(handle, PEEK, where=shown(path))):
            start += more
    start = start.removeprefix(_BOM)
    if b"\0" in start:
        return None
    cut = start.rpartition(b"\n")[0] or start
    try:
        return cut.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        return None


def _opened(path: Path, *, where: str) -> IO[bytes]:
    try:
        handle = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=where, mend=FETCH_AGAIN) from error
    packed = handle.read(2) == GZIP_MAGIC
    handle.seek(0)
    if packed:
        handle.close()
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if path.suffix in PACKED:
        handle.close()
        raise DataError(f"named {path.suffix} but its content is not gzip", where=where, mend=FETCH_AGAIN)
    return handle


def _read(handle: IO[bytes], size: int, *, where: str) -> bytes:
    try:
        return handle.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"the gzip file is damaged or cut ({error})", where=where, mend=FETCH_AGAIN
        ) from error


def _checked(block: bytes, *, line: int, where: str) -> bytes:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    for bad, what in ((b"\0", "a NUL character"), (b"\r", "a carriage return")):
        if (place := block.find(bad)) >= 0:
            number = line + block.count(b"\n", 0, place)
            raise DataError(f"{what} inside the text", where=f"{where}:{number}", mend=FETCH_AGAIN)
    if not block.isascii():
        try:
            block.decode("utf-8")
        except UnicodeDecodeError as error:
            number = line + block.count(b"\n", 0, error.start)
            raise DataError("not UTF-8 text", where=f"{where}:{number}", mend=FETCH_AGAIN) from None
    return block
