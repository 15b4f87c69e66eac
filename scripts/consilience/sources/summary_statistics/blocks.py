"""Large text as served, in blocks of whole lines: gzip, line ends and cut files, dealt with once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from consilience.foundation.errors import DataError
from consilience.sources.text import FETCH_AGAIN, GZIP_MAGIC, refuse_page, shown

BLOCK = 16 << 20
PEEK = 1 << 16
_PACKED_BLOCK = 1 << 17
PACKED = (".gz", ".bgz")
_BOM = b"\xef\xbb\xbf"


def line_blocks(path: Path, *, size: int = BLOCK) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, whole lines ending in LF) of a UTF-8 text file, gzip or not.

    bgzip is gzip in many members and is read like it. Damaged gzip, NUL, bytes that are not UTF-8, lone
    carriage returns and a last line without an end (a number cut in two still looks like a number) are
    refused with their line.
    """
    where, line, rest, started = shown(path), 1, b"", False
    for served in _pieces(path, size=size, where=where):
        piece = served
        if not started:
            refuse_page(piece, where=where)
            piece, started = piece.removeprefix(_BOM), True
        cut = piece.rfind(b"\n") + 1
        if not cut:
            rest += piece
            continue
        block = _checked(b"".join((rest, memoryview(piece)[:cut])), line=line, where=where)
        rest = piece[cut:]
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
    start = b""
    for piece in _pieces(path, size=PEEK, where=shown(path)):
        start += piece
        if b"\n" in piece:
            break
    start = start.removeprefix(_BOM)
    if b"\0" in start:
        return None
    cut = start.rpartition(b"\n")[0] or start
    try:
        return cut.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        return None


def _pieces(path: Path, *, size: int, where: str) -> Iterator[bytes]:
    """The text of a file, about `size` bytes at a time."""
    try:
        handle = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=where, mend=FETCH_AGAIN) from error
    with handle:
        packed = handle.read(2) == GZIP_MAGIC
        handle.seek(0)
        if not packed and path.suffix in PACKED:
            raise DataError(f"named {path.suffix} but its content is not gzip", where=where, mend=FETCH_AGAIN)
        if not packed:
            yield from iter(lambda: handle.read(size), b"")
            return
        try:
            yield from _unpacked(handle, size=size)
        except (EOFError, zlib.error) as error:
            raise DataError(
                f"the gzip file is damaged or cut ({error})", where=where, mend=FETCH_AGAIN
            ) from error


def _unpacked(handle: IO[bytes], *, size: int) -> Iterator[bytes]:
    """The text of all members of a gzip file (zlib checks their sums); zeros between them are padding.

    The module `gzip` does the same 8 kB at a time, which takes half as long again.
    """
    member, held, n_held, packed = None, [], 0, b""
    while packed or (packed := handle.read(min(_PACKED_BLOCK, size))):
        if member is None:
            packed = packed.lstrip(b"\0")
            if not packed:
                continue
            member = zlib.decompressobj(wbits=31)
        held.append(member.decompress(packed))
        n_held += len(held[-1])
        packed = member.unused_data
        if member.eof:
            member = None
        if n_held >= size:
            yield b"".join(held)
            held, n_held = [], 0
    if n_held:
        yield b"".join(held)
    if member is not None:
        raise EOFError("it ends inside its compressed data")


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
