"""Many files of the GDC in one request: a tar.gz that is taken apart while it arrives."""

from __future__ import annotations

import json
import tarfile
import time
import zlib
from collections.abc import Sequence
from itertools import groupby
from typing import IO, TYPE_CHECKING

from consilience.downloads.request import Download
from consilience.foundation.errors import DownloadError
from consilience.foundation.jobs import log
from consilience.sources.gdc.query import API
from consilience.sources.plans import Plan

if TYPE_CHECKING:
    from consilience.downloads.downloads import Downloads

DATA_URL = API + "data"
MAX_FRUITLESS = 3
"""Batches in a row that may bring nothing before all that is left is fetched file by file."""
PAUSE = 2.0
"""Seconds to wait after a batch that brought nothing, times the number of them in a row."""
MOST_EXTRA = 16 << 20
"""Bytes that an archive may hold beside the files asked for (MANIFEST.txt, annotations, padding)."""
_BLOCK = 64 << 10
_CUT = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, DownloadError)
"""How a batch can end early; ValueError because tarfile lets it out for some broken headers."""


def fill_cache(plan: Plan, downloads: Downloads, *, batch: int) -> None:
    """Bring what the cache lacks in batches; what no batch brings is left to single downloads."""
    wanted = downloads.missing([one for one in plan.downloads if one.url.startswith(f"{DATA_URL}/")])
    fruitless = 0
    for _, group in groupby(sorted(wanted, key=lambda one: one.authorised), key=lambda one: one.authorised):
        files = list(group)  # the token goes only with requests for controlled files
        for start in range(0, len(files), batch):
            asked = files[start : start + batch]
            left = take(asked, downloads)
            log.info("GDC: %d of %d files asked for in batches", start + len(asked), len(files))
            fruitless = fruitless + 1 if len(asked) > 1 and len(left) == len(asked) else 0
            if fruitless >= MAX_FRUITLESS:
                log.info("GDC: batches bring nothing; the files are fetched one by one")
                return
            time.sleep(PAUSE * fruitless)


def take(wanted: Sequence[Download], downloads: Downloads) -> list[Download]:
    """Ask for these files, and again for what is missing as long as that brings some; returns what is left.

    A single file is left as it is: the GDC does not pack it, and a single download can be resumed.
    """
    left = list(wanted)
    while len(left) > 1:
        body = json.dumps({"ids": [one.url.rpartition("/")[2] for one in left]}, separators=(",", ":"))
        kept: set[str] = set()
        try:
            with downloads.stream(DATA_URL, body=body, authorised=left[0].authorised) as stream:
                unpack_stream(stream, wanted=left, downloads=downloads, kept=kept)
        except _CUT as error:
            log.info("GDC: a batch of %d files ended after %d: %s", len(left), len(kept), str(error)[:300])
        left = [one for one in left if one.name not in kept]
        if not kept:
            break
    return left


def unpack_stream(
    stream: IO[bytes], *, wanted: Sequence[Download], downloads: Downloads, kept: set[str]
) -> None:
    """Put each wanted member into the cache as it arrives; `kept` gets its name once it is verified.

    No member is trusted: its path is only ever compared with the names asked for, links and other kinds are
    passed over, and a wanted one must have the size and the md5 that the GDC gave beforehand.
    """
    inflated = Inflated(stream, most=sum(one.bytes or 0 for one in wanted) + MOST_EXTRA)
    start = inflated.peek()
    if start[257:262] != b"ustar":
        words = " ".join(start.decode("utf-8", "replace").split())[:200]
        raise inflated.error or DownloadError("the answer is no archive", where=DATA_URL, value=words)
    names = {one.name: one for one in wanted}
    n_members = 0
    with tarfile.open(fileobj=inflated, mode="r|") as archive:  # type: ignore[call-overload]
        for member in archive:
            n_members += 1
            if n_members > 4 * len(wanted) + 16:
                raise DownloadError("the archive has far more members than were asked for", where=DATA_URL)
            one = names.get(member.name.removeprefix("./")) if member.isreg() else None
            if one is None or one.name in kept or member.size != one.bytes:
                continue
            content = archive.extractfile(member)
            if content is not None and _keep(one, content, downloads):
                kept.add(one.name)
    if inflated.error:
        raise inflated.error


def _keep(one: Download, content: IO[bytes], downloads: Downloads) -> bool:
    """Whether the member is what the GDC described; a damaged one is asked for again."""
    try:
        downloads.keep(one, content)  # type: ignore[arg-type]
    except DownloadError as error:
        log.info("GDC: %s was not kept: %s", one.name, error)
        return False
    return True


class Inflated:
    """A gzip stream, decompressed while it is read (a stream that is not gzip is handed on as it is).

    An error of the connection or of the compression becomes the end of the stream, so that nothing is lost
    of what came before it; `error` keeps it.
    """

    def __init__(self, stream: IO[bytes], *, most: int) -> None:
        """`most`: bytes that may come out of it; more is an error, so that nothing small unpacks for ever."""
        self._left = most
        # read1 hands on what one read of the connection brings; read would drop it if the next one fails
        self._more = getattr(stream, "read1", stream.read)
        self._inflate = zlib.decompressobj(31)
        self._plain: bool | None = None
        self._ready = b""
        self.error: Exception | None = None

    def peek(self, n: int = 512) -> bytes:
        """The next n bytes (fewer at the end), which stay to be read."""
        self._fill(n)
        return self._ready[:n]

    def read(self, n: int) -> bytes:
        """The next n bytes, fewer only at the end."""
        self._fill(n)
        now, self._ready = self._ready[:n], self._ready[n:]
        return now

    def _fill(self, n: int) -> None:
        pieces, have = [self._ready], len(self._ready)
        while have < n and self.error is None and (piece := self._next(n - have)) is not None:
            pieces.append(piece)
            have += len(piece)
        self._ready = b"".join(pieces)

    def _next(self, n: int) -> bytes | None:
        """Some more bytes (possibly none yet), or None at the end."""
        if self._inflate.eof:
            return None
        try:
            packed = self._inflate.unconsumed_tail or bytes(self._more(_BLOCK))
            if self._plain is None and packed:
                self._plain = not packed.startswith(b"\x1f")
            found = packed if self._plain else self._inflate.decompress(packed, max(n, _BLOCK))
            self._left -= len(found)
            if self._left < 0:
                raise DownloadError("the archive holds far more than was asked for", where=DATA_URL)
            return found if packed else found or None
        except (OSError, zlib.error, DownloadError) as error:
            self.error = error
            return None
