"""Text as served: whole or refused. Every way in which a file can be cut, empty or an error page is named."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from pathlib import Path

from consilience.foundation.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
FETCH_AGAIN = (
    "if it was downloaded, delete its folder under raw/ and run again; if it is your own, give the whole file"
)
_PAGE_STARTS = (b"<!doctype html", b"<html", b"<head", b"<?xml")


def shown(path: Path) -> str:
    """A file as messages name it: cohort folder and name, without the machine's directories."""
    return "/".join(path.parts[1:][-3:]) if path.is_absolute() else path.as_posix()


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, decompressed when its content is gzip; refuses what is not data.

    Raises
    ------
    DataError
        When the file is absent, empty, a web page, damaged gzip, or named .gz without being gzip.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=shown(path), mend=FETCH_AGAIN) from error
    return plain_bytes(content, path)


def plain_bytes(content: bytes, path: Path) -> bytes:
    """`read_bytes` for bytes of `path` that were read already (to take their digest)."""
    where = shown(path)
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
    return text_lines(read_bytes(path), path, whole_last_line=whole_last_line)


def read_noted_lines(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """`read_lines` of a file that people write (phenotypes): also in Windows-1252; and what was decoded."""
    content, notes = utf8_bytes(read_bytes(path), path, windows=True)
    return text_lines(content, path), notes


def text_lines(content: bytes, path: Path, *, whole_last_line: bool = False) -> list[str]:
    """`read_lines` for the plain bytes of `path` that were read already."""
    text = utf8_bytes(content, path)[0].decode().replace("\r\n", "\n")
    for bad in ("\0", "\r"):
        if (position := text.find(bad)) >= 0:
            raise _control_character(bad, shown(path), text.count("\n", 0, position) + 1)
    if whole_last_line and not text.endswith("\n"):
        raise _cut_line(shown(path), text.count("\n") + 1)
    return text.removesuffix("\n").split("\n")


def utf8_bytes(content: bytes, path: Path, *, windows: bool = False) -> tuple[bytes, tuple[str, ...]]:
    """Bytes of a text as UTF-8 without byte order mark, and a note where they were another encoding.

    UTF-16 is known by its mark (a spreadsheet's "Unicode text"). Bytes that are no UTF-8 are refused, or with
    `windows` taken for Windows-1252, of which Latin-1 is a part: there a word is at stake, not a number.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16").encode(), (f"{path.name} is UTF-16 text; it was decoded",)
        except UnicodeError as error:
            raise DataError(f"damaged UTF-16 text ({error})", where=shown(path), mend=FETCH_AGAIN) from error
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        try:
            text = content.decode("cp1252") if windows else ""
        except UnicodeDecodeError:
            text = ""
        if text:
            word = _word(text, error.start)
            note = (
                f"{path.name} is no UTF-8 text; it was read as Windows-1252 (first in line {line}: {word!r})"
            )
            return text.encode(), (note,)
        raise DataError(
            f"not UTF-8 text (byte {error.object[error.start]:#04x})",
            where=f"{shown(path)}:{line}",
            mend="if this is a text table, save it as UTF-8; if it should be, it is damaged: fetch it again",
        ) from error
    return content, ()


def _word(text: str, position: int) -> str:
    """The word around a position, as it was decoded."""
    before, after = text[:position], text[position:]
    return (re.split(r"[\s,;]", before)[-1] + re.split(r"[\s,;]", after)[0])[:40]


def refuse_broken_text(content: bytes, path: Path) -> None:
    """What `text_lines` refuses, for bytes that are parsed without being split into lines."""
    bad = b"\0" if b"\0" in content else b"\r" if content.count(b"\r") != content.count(b"\r\n") else b""
    if bad:
        position = content.find(bad) if bad == b"\0" else re.search(rb"\r(?!\n)", content).start()  # type: ignore[union-attr]
        raise _control_character(bad.decode(), shown(path), content.count(b"\n", 0, position) + 1)
    if not content.endswith(b"\n"):
        raise _cut_line(shown(path), content.count(b"\n") + 1)


def _control_character(bad: str, where: str, line: int) -> DataError:
    return DataError(
        f"a control character ({bad!a}) inside the text", where=f"{where}:{line}", mend=FETCH_AGAIN
    )


def _cut_line(where: str, line: int) -> DataError:
    return DataError(
        "the last line has no line end, so the file may have been cut",
        where=f"{where}:{line}",
        mend="fetch it again; if it is whole, add a line end after its last line",
    )


def split_line(line: str, *, separator: str) -> list[str]:
    """Cells of one line; quotes are honoured where there are any."""
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:  # a quote that never ends: the number of cells will tell
        return line.split(separator)


def separator_of(path: Path, header: str) -> str:
    """Tab, semicolon or comma: what the first line uses; for one with none of them, what the name says."""
    if "\t" in header:
        return "\t"
    if header.count(";") > header.count(","):
        return ";"
    return "," if "," in header or ".csv" in path.name else "\t"
