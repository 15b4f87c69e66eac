"""Text as served: whole or refused. Every way in which a file can be cut, empty or an error page is named."""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path

from consilience.foundation.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
FETCH_AGAIN = "delete this file's folder under raw/ and run again, so that it is fetched afresh"
_PAGE_STARTS = (b"<!doctype html", b"<html", b"<head", b"<?xml")


def shown(path: Path) -> str:
    """A file as messages name it: cohort folder and name, without the machine's directories."""
    return "/".join(path.parts[-3:]) if path.is_absolute() else path.as_posix()


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, decompressed when its content is gzip; refuses what is not data.

    Raises
    ------
    DataError
        When the file is absent, empty, a web page, damaged gzip, or named .gz without being gzip.
    """
    where = shown(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=where, mend=FETCH_AGAIN) from error
    if not content:
        raise DataError("the file is empty", where=where, mend=FETCH_AGAIN)
    refuse_page(content, where=where)
    if path.suffix == ".gz" and not content.startswith(GZIP_MAGIC):
        raise DataError("named .gz but its content is not gzip", where=where, mend=FETCH_AGAIN)
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"the gzip file is damaged or cut ({error})", where=where, mend=FETCH_AGAIN
            ) from error
        if not content:
            raise DataError("the gzip file holds nothing", where=where, mend=FETCH_AGAIN)
    refuse_page(content, where=where)
    return content


def refuse_page(content: bytes, *, where: str) -> None:
    """Refuse a web page (an error or log-in page saved under the name of the data)."""
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_PAGE_STARTS):
        raise DataError("this is a web page, not data", where=where, mend=FETCH_AGAIN)


def read_lines(path: Path, *, whole_last_line: bool = False) -> list[str]:
    r"""Lines of a UTF-8 text file without their ends; line k of the file is item k - 1.

    A byte order mark and CRLF are accepted; other control characters (NUL) are not. With
    `whole_last_line`, a file whose last line has no end is refused, because a number cut in two still
    looks like a number.
    """
    where = shown(path)
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"not UTF-8 text (byte {error.object[error.start]:#04x})",
            where=f"{where}:{line}",
            mend="if this is a text table, save it as UTF-8; if it should be, it is damaged: fetch it again",
        ) from error
    text = text.replace("\r\n", "\n")
    for bad in ("\0", "\r"):
        if (position := text.find(bad)) >= 0:
            raise DataError(
                f"a control character ({bad!a}) inside the text",
                where=f"{where}:{text.count(chr(10), 0, position) + 1}",
                mend=FETCH_AGAIN,
            )
    if whole_last_line and not text.endswith("\n"):
        raise DataError(
            "the last line has no line end, so the file may have been cut",
            where=f"{where}:{text.count(chr(10)) + 1}",
            mend="fetch it again; if it is whole, add a line end after its last line",
        )
    return text.removesuffix("\n").split("\n")


def split_line(line: str, *, separator: str) -> list[str]:
    """Cells of one line; quotes are honoured where there are any."""
    if '"' not in line:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator))


def separator_of(path: Path, header: str) -> str:
    """Tab or comma: what the first line uses, and for a first line with neither, what the name says."""
    if "\t" in header:
        return "\t"
    return "," if "," in header or ".csv" in path.name else "\t"
