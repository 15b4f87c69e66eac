"""One file over HTTP(S) into one place: taken up where it stopped, checked, or refused.

The state of an unfinished file is `<target>.part` and `<target>.part.json` (where it came from and which
version it is). A part is continued only when its version is certain: the server names it (ETag or
Last-Modified, sent back as If-Range), or a digest known beforehand will tell.
"""

from __future__ import annotations

import random
import re
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from consilience.downloads.answers import Answer, Client, Interrupted, Temporary
from consilience.downloads.parts import Digests, Part, Version
from consilience.downloads.request import Download
from consilience.downloads.urls import PAGE_SUFFIXES, mirrored
from consilience.downloads.wholeness import GZIP, GZIP_NAMES, can_be_judged, damage, page_title
from consilience.foundation.errors import DownloadError, printable
from consilience.foundation.files import explain_disk_full, require_space
from consilience.foundation.jobs import log

N_RESTARTS = 3
"""How often a file may be begun again and its progress still be counted from there."""
PAGE_BYTES = 8192
UNSURE = "neither a length nor a digest was known for this file: whether it is whole cannot be told"


class Wrong(Exception):  # noqa: N818 - first tried once more, then made a DownloadError
    """What came is not what is wanted."""

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend or "the file may have changed at its source; check the size and digest you expect"


@dataclass(frozen=True, slots=True)
class Came:
    """A file that is whole in its part: its digests, the server's version, and what a reader should know."""

    digests: Digests
    version: Version
    authorised: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on: `attempts` in a row without progress, with waits of seconds between them.

    The waits begin with `first` and double up to `longest`; a server may ask for up to `bounded`.
    """

    attempts: int
    first: float
    longest: float
    bounded: float

    @classmethod
    def of(cls, *, attempts: int, stall_seconds: float) -> Patience:
        """All waits follow from how long a silent connection is borne: 2 s, 4 s … 60 s for 60 s."""
        return cls(attempts, stall_seconds / 30, stall_seconds, 10 * stall_seconds)

    def pause(self, failures: int, *, asked: float | None, spread: random.Random) -> float:
        """Seconds to wait after so many failures in a row (0: after progress).

        Spread by a quarter, so that many jobs that failed together do not return together.
        """
        own = min(self.longest, self.first * 2.0 ** max(0, failures - 1)) * spread.uniform(0.75, 1.25)
        return own if asked is None else max(min(asked, self.bounded), own)


class Transfer:
    """The state machine for one file; `heard` is told the position in the file as it moves."""

    def __init__(
        self, wanted: Download, part: Part, *, client: Client, patience: Patience,
        heard: Callable[[int], None], stop: threading.Event, page_allowed: bool = False,
    ) -> None:  # fmt: skip
        self.wanted = wanted
        self.part = part
        self.client = client
        self.patience = patience
        self.heard = heard
        self.stop = stop
        self.page_allowed = page_allowed or wanted.name.casefold().endswith(PAGE_SUFFIXES)
        self.authorised = False
        self.restarts = 0
        self.farthest = part.size

    def run(self) -> Came:
        """Try until the file is whole in its part.

        Raises
        ------
        Temporary
            When so many tries in a row brought nothing.
        Absent, DownloadError
            When the server does not give it, or what it gives is not what is wanted (tried twice).
        """
        failures = wrong = 0
        spread = random.Random(self.wanted.url)  # noqa: S311 - spreads waits, keeps no secret
        with explain_disk_full(self.part.path):
            while True:
                try:
                    return self._once()
                except Interrupted as error:
                    failures = 0 if self.part.size > self.farthest else failures + 1
                    self.farthest = max(self.farthest, self.part.size)
                    if failures >= self.patience.attempts:
                        raise self._given_up(error.reason) from None
                    self._wait(
                        error, self.patience.pause(failures, asked=error.wait, spread=spread), failures
                    )
                except Wrong as error:
                    self.part.discard()
                    wrong += 1
                    if wrong > 1:
                        raise DownloadError(error.what, where=self.wanted.url, mend=error.mend) from None
                    self.farthest = 0
                    log.warning("%s: %s; trying once more from the beginning", self.wanted.name, error.what)
                finally:
                    self.part.close()

    def _wait(self, error: Interrupted, seconds: float, failures: int) -> None:
        log.info("%s: %s after %s bytes; again in %.1f s (%d of %d tries without progress)", self.wanted.name,
                 error.reason, f"{self.part.size:,}", seconds, failures, self.patience.attempts)  # fmt: skip
        if self.stop.wait(seconds):
            raise Temporary("stopped", where=self.wanted.url)

    def _given_up(self, reason: str) -> Temporary:
        kept = f"; {self.part.size:,} bytes are kept and will be continued" if self._can_continue() else ""
        return Temporary(
            f"given up after {self.patience.attempts} tries without progress: {reason}{kept}",
            where=self.wanted.url,
            mend="run again later; fetch.attempts and fetch.stall_seconds set the patience, fetch.mirrors "
            "another server, fetch.offline uses only what is in the cache",
        )

    def _once(self) -> Came:
        """One request: continue or begin, take the body, check the whole."""
        part, wanted = self.part, self.wanted
        if part.size and not self._can_continue():
            self._begin_again()
        if part.size and self._is_complete():
            return self._checked()
        headers = {}
        if part.size and part.version is not None:
            headers["Range"] = f"bytes={part.size}-"
            if part.version.condition:
                headers["If-Range"] = part.version.condition
        with self.client.ask(
            wanted.url, body=wanted.body, authorised=wanted.authorised, headers=headers
        ) as answer:
            self.authorised = answer.authorised
            if answer.status == 416 or (answer.status == 206 and not self._continues(answer)):
                self._begin_again()
                raise Interrupted("the server has another version of the file; it is begun again", wait=0.0)
            if answer.status == 200:
                self._begin_again()
                part.begin(self._version(answer))
            self._take(answer)
        return self._checked()

    def _begin_again(self) -> None:
        """Throw the part away; the first few times, progress counts from zero again."""
        if self.part.size:
            self.restarts += 1
            if self.restarts <= N_RESTARTS:
                self.farthest = 0
        self.part.discard()
        self.heard(0)

    def _version(self, answer: Answer) -> Version:
        scrub = self.client.token.scrub
        etag, changed, date = (
            scrub(answer.headers.get(key, "")) for key in ("ETag", "Last-Modified", "Date")
        )
        return Version(self._asked(), etag, changed, date, answer.encoding, answer.length)

    def _asked(self) -> str:
        return mirrored(self.wanted.url, self.client.mirrors)

    def _can_continue(self) -> bool:
        """Whether the part's version is certain, or will be."""
        version = self.part.version
        return (
            version is not None
            and version.url == self._asked()
            and not version.encoding
            and not self.wanted.body
            and bool(version.condition or self._digest_known())
        )

    def _digest_known(self) -> bool:
        return bool(self.wanted.sha256 or self.wanted.md5)

    def _is_complete(self) -> bool:
        """Killed between the last byte and the rename: only a digest can say that these are the bytes."""
        total = self._total()
        if total is None or self.part.size < total:
            return False
        if not self._digest_known() or self.part.size > total:
            self._begin_again()
            return False
        return True

    def _total(self) -> int | None:
        version = self.part.version
        promised = version.total if version else None
        if promised is None and not (version and version.encoding):
            return self.wanted.bytes
        return promised

    def _continues(self, answer: Answer) -> bool:
        """Whether a 206 is the next piece of the same version."""
        version = self.part.version
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
        if version is None or found is None or answer.encoding or int(found[1]) != self.part.size:
            return False
        same_total = found[3] == "*" or version.total in (None, int(found[3]))
        return same_total and version.agrees(answer.headers)

    def _take(self, answer: Answer) -> None:
        """Append the body to the part.

        Of a body that has the wrong size only the beginning is taken: it may be a web page, whose title says
        more than its size.
        """
        part, wanted, total = self.part, self.wanted, self._total()
        unwanted = wanted.bytes is not None and total not in (None, wanted.bytes) and not answer.encoding
        if total is not None:
            require_space(part.path, total - part.size)
        for block in answer.chunks():
            part.write(block)
            self.heard(part.size)
            if self.stop.is_set():
                raise Temporary("stopped", where=wanted.url)
            if unwanted and part.size >= PAGE_BYTES:
                break
        if unwanted:
            self._refuse_page()
            raise Wrong(f"the server offers {total:,} bytes where {wanted.bytes:,} are expected")

    def _checked(self) -> Came:
        """Everything that can be known of the finished part."""
        part, wanted, total = self.part, self.wanted, self._total()
        part.close()
        if total is not None and part.size < total:
            self._refuse_page()
            raise Interrupted(f"the connection ended {total - part.size:,} bytes too early")
        if total is not None and part.size > total:
            raise Wrong(f"{part.size:,} bytes came where {total:,} were promised")
        if total is None and not part.size:
            raise Interrupted("the server sent nothing")
        version = part.version or Version(self._asked())
        if version.encoding:
            self._decode(version.encoding)
        self._refuse_page()
        digests = part.digests()
        if wanted.bytes not in (None, digests.n_bytes):
            raise Wrong(f"{digests.n_bytes:,} bytes came where {wanted.bytes:,} are expected")
        if (reason := wrong_digest(wanted, digests)) is not None:
            raise Wrong(reason)
        return Came(digests, version, self.authorised, self._notes(length_known=total is not None))

    def _notes(self, *, length_known: bool) -> tuple[str, ...]:
        """Judge the form of a file for which no digest is known."""
        if self._digest_known():
            return ()
        name = self._name()
        reason = damage(self.part.path, name=name, length_known=length_known)
        if reason is not None and length_known:
            raise Wrong(f"the file came as long as promised, but {reason}")
        if reason is not None:
            raise Interrupted(f"the connection ended and {reason}")
        return () if length_known or can_be_judged(self.part.path, name=name) else (UNSURE,)

    def _name(self) -> str:
        return self.wanted.url.partition("?")[0].rpartition("/")[2] or self.wanted.name

    def _refuse_page(self) -> None:
        if self.page_allowed or not self.part.size:
            return
        title = page_title(self.part.path)
        if title is not None:
            said = f", titled {printable(self.client.token.scrub(title))}" if title else ""
            raise Wrong(
                f"a web page{said} came in place of the file",
                mend="open the address in a browser: it may need a log-in, or be gone",
            )

    def _decode(self, encoding: str) -> None:
        """Undo a compression that the server added although it was not asked to.

        Some servers only *label* .gz files so: then the file is what came, unless there is gzip in the gzip.
        """
        if encoding not in {"gzip", "x-gzip", "deflate"}:
            raise Wrong(
                f"the server sends it in an encoding that was not asked for ({printable(encoding)})",
                mend="name another server in fetch.mirrors",
            )
        plain = self.part.path.with_suffix(".decoded")
        try:
            inflate(self.part.path, plain, deflate=encoding == "deflate")
        except (zlib.error, EOFError) as error:
            plain.unlink(missing_ok=True)
            raise Wrong(f"the server's compression of the answer is damaged ({error})") from None
        with plain.open("rb") as handle:
            labelled = self._name().casefold().endswith(GZIP_NAMES) and not handle.read(2).startswith(GZIP)
        if labelled and encoding != "deflate":
            plain.unlink()
        else:
            self.part.replace(plain)


def inflate(source: Path, target: Path, *, deflate: bool) -> None:
    """Decompress a gzip (or deflate) body, member by member, in pieces."""
    bits = 15 if deflate else 31
    engine = zlib.decompressobj(bits)
    with source.open("rb") as packed, target.open("wb") as plain:
        while block := packed.read(1 << 20):
            while block:
                if engine.eof:
                    engine = zlib.decompressobj(bits)
                plain.write(engine.decompress(block, 4 << 20))
                block = engine.unused_data if engine.eof else engine.unconsumed_tail
        if not engine.eof:
            raise EOFError("it has no end")


def wrong_digest(wanted: Download, digests: Digests) -> str | None:
    """In words, how the digest differs from the one known beforehand; None when it does not."""
    for kind, expected, found in (
        ("sha256", wanted.sha256, digests.sha256),
        ("md5", wanted.md5, digests.md5),
    ):
        if expected and expected.casefold() != found:
            return f"the {kind} digest is {found}, expected is {expected}"
    return None
