"""GEO's text files line by line: families of a thousand arrays do not fit into memory as one text."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from consilience.foundation.errors import DataError
from consilience.sources.text import FETCH_AGAIN, GZIP_MAGIC, refuse_page, shown

METADATA_STARTS = (b"!", b'"!', b"^", b"#")
MAX_LINE = 1 << 26
"""Bytes; the longest line known (a row of 20,000 samples) is far shorter."""


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Numbered lines, from 1, without their ends; gzip is told by content, not by name.

    Old records hold single bytes of Latin-1 in names and protocols: such a line is read as Latin-1 when it
    begins with "!", "^" or "#" (no number or id stands there), and refused otherwise.

    Raises
    ------
    DataError
        When the file is absent, empty, a web page, damaged or cut gzip, named .gz without being gzip, or
        holds control characters.
    """
    where = shown(path)
    number = 0
    try:
        with _opened(path) as handle:
            while line := handle.readline(MAX_LINE):
                number += 1
                yield number, _decoded(line, place=f"{where}:{number}", first=number == 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"the gzip file is damaged or cut ({error})", where=where, mend=FETCH_AGAIN
        ) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=where, mend=FETCH_AGAIN) from error
    if not number:
        raise DataError("the gzip file holds nothing", where=where, mend=FETCH_AGAIN)


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    """The file as bytes, decompressed where its content is gzip."""
    with path.open("rb") as handle:
        start = handle.read(512)
    if not start:
        raise DataError("the file is empty", where=shown(path), mend=FETCH_AGAIN)
    refuse_page(start, where=shown(path))
    if start.startswith(GZIP_MAGIC):
        return gzip.open(path, "rb")
    if path.suffix == ".gz":
        raise DataError("named .gz but its content is not gzip", where=shown(path), mend=FETCH_AGAIN)
    return path.open("rb")


def _decoded(line: bytes, *, place: str, first: bool) -> str:
    if first:
        refuse_page(line, where=place)
        line = line.removeprefix(b"\xef\xbb\xbf")
    line = line.removesuffix(b"\n").rstrip(b"\r")
    if b"\r" in line and line.startswith(METADATA_STARTS):
        line = line.replace(b"\r", b" ")  # pasted into a description, with the line ends of another system
    if b"\0" in line or b"\r" in line:
        raise DataError("a control character inside the text", where=place, mend=FETCH_AGAIN)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        if line.startswith(METADATA_STARTS):
            return line.decode("latin-1")
        raise DataError(
            f"not UTF-8 text (byte {line[error.start]:#04x})",
            where=place,
            mend="if this is a text table, save it as UTF-8; if it should be, it is damaged: fetch it again",
        ) from error
