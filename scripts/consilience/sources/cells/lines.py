"""Text files of any size as a stream of whole lines, plain or gzip; every way of being cut is named."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from consilience.foundation.errors import DataError
from consilience.sources.text import FETCH_AGAIN, GZIP_MAGIC, refuse_page

CHUNK = 4 << 20


class Lines:
    """Decompressed bytes of a file in whole lines, with the number of the next line."""

    def __init__(self, handle: Any, where: str) -> None:
        self.where = where
        self.number = 0
        self._chunks = _decompressed(handle, where)
        self._rest = b""

    def line(self) -> bytes:
        """The next line without its end; refuses the end of the file."""
        while b"\n" not in self._rest:
            more = next(self._chunks, b"")
            if not more:
                raise DataError("the file ends inside its header", where=f"{self.where}:{self.number + 1}",
                                mend=FETCH_AGAIN)  # fmt: skip
            self._rest += more
        line, self._rest = self._rest.split(b"\n", 1)
        self.number += 1
        return line.rstrip(b"\r")

    def pieces(self) -> Iterator[bytes]:
        """The rest in pieces of whole lines; refuses a last line without end."""
        for more in self._chunks:
            text = self._rest + more
            cut = text.rfind(b"\n") + 1
            self._rest = text[cut:]
            if cut:
                yield text[:cut]
        if b"\n" in self._rest:
            cut = self._rest.rfind(b"\n") + 1
            piece, self._rest = self._rest[:cut], self._rest[cut:]
            yield piece
        if self._rest.strip():
            raise DataError("the last line has no line end, so the file was cut",
                            where=f"{self.where}:{self.number + 1}", mend=FETCH_AGAIN)  # fmt: skip


def _decompressed(handle: Any, where: str) -> Iterator[bytes]:
    """Bytes of a plain or gzip file (one or several members) in chunks; damaged or cut gzip is refused."""
    first = handle.read(CHUNK)
    if not first:
        raise DataError("the file is empty", where=where, mend=FETCH_AGAIN)
    refuse_page(first, where=where)
    if not first.startswith(GZIP_MAGIC):
        if where.endswith(".gz"):
            raise DataError("named .gz but its content is not gzip", where=where, mend=FETCH_AGAIN)
        while first:
            yield first
            first = handle.read(CHUNK)
        return
    member = zlib.decompressobj(31)
    try:
        while first:
            text = member.decompress(first, CHUNK)
            if text:
                yield text
            if member.eof:
                first = member.unused_data or handle.read(CHUNK)
                member = zlib.decompressobj(31) if first else member
            else:
                first = member.unconsumed_tail or handle.read(CHUNK)
        tail = member.flush()
        if tail:
            yield tail
    except zlib.error as error:
        raise DataError(f"the gzip file is damaged ({error})", where=where, mend=FETCH_AGAIN) from error
    if not member.eof:
        raise DataError("the gzip file is cut", where=where, mend=FETCH_AGAIN)
