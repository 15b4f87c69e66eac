"""The door of the room: bring files through the cache, read small answers, or list what is missing."""

from __future__ import annotations

import io
import os
import shutil
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

from consilience.downloads.answers import Absent, Answer, Client, Interrupted, Temporary
from consilience.downloads.cache import Cache, Held, Meta
from consilience.downloads.meter import Meter
from consilience.downloads.parts import Part, Version, digests_of
from consilience.downloads.request import Download
from consilience.downloads.together import fetch_together
from consilience.downloads.token import Token, guard_logs, read_token
from consilience.downloads.transfer import Came, Patience, Transfer, wrong_digest
from consilience.downloads.urls import check_mirrors, check_names, check_url, may_be_page
from consilience.foundation.errors import ConsilienceError, DownloadError, Problem
from consilience.foundation.files import atomic_path, explain_disk_full, require_space
from consilience.foundation.jobs import log
from consilience.study.sections import FetchSection

MAX_ANSWER = 512 << 20
"""Bytes of an answer that is read into memory."""
BLOCK = 1 << 20
TAKEN_AS_ABSENT = "not in the cache and optional: taken as absent, because fetch.offline is set"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file in the raw folder: `url` its canonical address, `date` when it was downloaded (UTC)."""

    name: str
    path: Path
    url: str
    bytes: int
    sha256: str
    date: str
    notes: tuple[str, ...] = ()


class Downloads:
    """Downloads of one job; may be used by many threads."""

    def __init__(self, settings: FetchSection, *, folder: Path = Path()) -> None:
        """`folder` is what relative paths (of the cache and the token file) are relative to."""
        check_mirrors(settings.mirrors)
        self.settings = settings
        self._folder = folder
        self._stop = threading.Event()
        self._patience = Patience.of(attempts=settings.attempts, stall_seconds=settings.stall_seconds)
        self._token = Token("") if settings.offline else read_token(settings, folder=folder)
        guard_logs(self._token)
        self._cache = Cache(
            folder / Path(settings.cache).expanduser(), per_host=settings.per_host, stop=self._stop
        )
        self._client = Client(
            mirrors=settings.mirrors, token=self._token, stall_seconds=settings.stall_seconds
        )

    @property
    def folder(self) -> Path:
        """What relative paths of a study are relative to."""
        return self._folder

    def has_token(self) -> bool:
        """Whether controlled files may be asked for (offline nothing is asked: then yes)."""
        return self.settings.offline or bool(self._token)

    def read(
        self, url: str, *, body: str = "", authorised: bool = False, optional: bool = False
    ) -> bytes | None:
        """The content of a small answer: asked afresh and kept; offline, the kept one.

        None only for an `optional` answer that the server does not have.
        """
        name = check_url(url).path.rpartition("/")[2] or url
        wanted = Download(name, url, body=body, authorised=authorised, optional=optional)
        with self._clean():
            if self.settings.offline:
                held = self._cache.find(wanted, page_allowed=may_be_page(url))
                if held.meta is None:
                    self._require_optional(wanted, held)
                    return None
            else:
                with self._cache.lock(wanted):
                    if self._transfer(wanted, None, page_allowed=may_be_page(url), afresh=True) is None:
                        return None
            path = self._cache.path_of(wanted)
            if path.stat().st_size > MAX_ANSWER:
                raise DownloadError(
                    "the answer is too long to be a listing",
                    where=url,
                    value=f"{path.stat().st_size:,} bytes",
                    allowed=f"{MAX_ANSWER:,} bytes",
                )
            return path.read_bytes()

    def _require_optional(self, wanted: Download, held: Held) -> None:
        """Raise for what cannot be done without."""
        if wanted.optional and not held.wrong:
            if not self._cache.is_marked_absent(wanted):
                log.warning("%s: %s", wanted.url, TAKEN_AS_ABSENT)
            return
        raise DownloadError.from_problems([self._missing_problem(wanted)])

    def bring(self, wanted: Sequence[Download], *, into: Path) -> list[Arrived]:
        """Bring files into a folder by way of the cache; all that failed are reported at once.

        Optional files that their server does not have are left out of the answer.
        """
        check_names([one.name for one in wanted])
        into.mkdir(parents=True, exist_ok=True)
        with self._clean():
            metas = self._fetch_all(wanted, then=lambda one, meta: self._place(one, meta, into / one.name))
        return [
            Arrived(one.name, into / one.name, one.url, meta.bytes, meta.sha256, meta.date, meta.notes)
            for one, meta in zip(wanted, metas, strict=True)
            if meta is not None
        ]

    def fill(self, wanted: Sequence[Download]) -> None:
        """Bring files into the cache only."""
        with self._clean():
            self._fetch_all(wanted, then=lambda _one, _meta: None)

    def has(self, wanted: Download) -> bool:
        """True when the file is in the cache, whole, with the digests it should have."""
        return self._cache.find(wanted).meta is not None

    def missing(self, wanted: Sequence[Download]) -> list[Download]:
        """What is not in the cache (but for optional files that their server does not have)."""
        return [
            one
            for one in wanted
            if not self.has(one) and not (one.optional and self._cache.is_marked_absent(one))
        ]

    def place_of(self, wanted: Download) -> Path:
        """Where in the cache a file may be put by hand."""
        return self._cache.path_of(wanted)

    def keep(self, wanted: Download, content: BinaryIO) -> None:
        """Put content that came in another way (out of a batch) into the cache, if it is what is wanted."""
        with self._clean(), self._cache.lock(wanted):
            part = Part(self._cache.path_of(wanted))
            with explain_disk_full(part.path):
                if wanted.bytes is not None:
                    require_space(part.path, wanted.bytes)
                try:
                    part.begin(Version(wanted.url))
                    while block := content.read(BLOCK):
                        part.write(block)
                    digests = part.digests()
                    if wanted.bytes not in (None, digests.n_bytes):
                        raise DownloadError(
                            f"{digests.n_bytes:,} bytes came where {wanted.bytes:,} are expected",
                            where=wanted.url,
                        )
                    if (reason := wrong_digest(wanted, digests)) is not None:
                        raise DownloadError(reason, where=wanted.url)
                    authorised = wanted.authorised and bool(self._token)
                    self._cache.accept(wanted, part, Came(digests, Version(wanted.url), authorised))
                finally:
                    part.discard()

    @contextmanager
    def stream(self, url: str, *, body: str = "", authorised: bool = False) -> Iterator[BinaryIO]:
        """One answer as it comes: not kept, not tried again; a broken connection is a `Temporary` error."""
        with self._clean():
            if self.settings.offline:
                raise DownloadError("cannot be asked, because fetch.offline is set", where=url)
            with self._cache.slot(url), ExitStack() as stack:
                try:
                    answer = stack.enter_context(self._client.ask(url, body=body, authorised=authorised))
                except Interrupted as error:
                    raise Temporary(error.reason, where=url, mend="run again later") from None
                yield cast(BinaryIO, io.BufferedReader(_Body(answer, url), BLOCK))

    def _fetch_all(
        self, wanted: Sequence[Download], *, then: Callable[[Download, Meta], None]
    ) -> list[Meta | None]:
        """Have all of these in the cache, and do something with each as soon as it is there."""
        if self.settings.offline:
            return self._from_cache(wanted, then=then)
        for download in wanted:
            check_url(download.url)
        meter = Meter(wanted)

        def one(download: Download) -> Meta | None:
            meta = self._fetch(download, meter)
            if meta is not None:
                then(download, meta)
                meter.done(download.name, meta.bytes)
            return meta

        return fetch_together(wanted, one, per_host=self.settings.per_host, stop=self._stop)

    def _from_cache(
        self, wanted: Sequence[Download], *, then: Callable[[Download, Meta], None]
    ) -> list[Meta | None]:
        if missing := [one for one in self.missing(wanted) if not one.optional]:
            raise self.offline_error(missing)
        metas = [self._cache.find(one).meta for one in wanted]
        for one, meta in zip(wanted, metas, strict=True):
            if meta is not None:
                then(one, meta)
            elif not self._cache.is_marked_absent(one):
                log.warning("%s: %s", one.url, TAKEN_AS_ABSENT)
        return metas

    def offline_error(self, missing: Sequence[Download]) -> DownloadError:
        """The error that lists, for a person with a USB stick, what is missing and where each file goes."""
        return cast(
            DownloadError, DownloadError.from_problems([self._missing_problem(one) for one in missing])
        )

    def _missing_problem(self, wanted: Download) -> Problem:
        wrong = self._cache.find(wanted).wrong
        size = f"{wanted.bytes:,} bytes" if wanted.bytes is not None else "size unknown"
        return Problem(
            f"its file in the cache cannot be used: {wrong}"
            if wrong
            else f"not in the cache ({size}), and fetch.offline is set",
            where=wanted.url,
            mend=f"put the file at {self._cache.path_of(wanted)}, or fetch where there is a network "
            "(`consilience fetch`) and copy the cache",
        )

    def _fetch(self, wanted: Download, meter: Meter) -> Meta | None:
        """The file's meta, after it has come if need be; None for an optional file that is not there."""
        if (held := self._cache.find(wanted)).meta is not None:
            return held.meta
        with self._cache.lock(wanted):
            if (held := self._cache.find(wanted)).meta is not None:
                return held.meta  # another job has brought it while we waited
            if held.wrong:
                log.warning("%s: the file in the cache is thrown away: %s", wanted.url, held.wrong)
                self._cache.forget(wanted)
            return self._transfer(wanted, meter)

    def _transfer(
        self, wanted: Download, meter: Meter | None, *, page_allowed: bool = False, afresh: bool = False
    ) -> Meta | None:
        """Ask the server. Holders of the lock only."""
        part = Part(self._cache.path_of(wanted))
        if afresh:
            part.discard()
        if meter:
            meter.begin(wanted.name, part.size)

        def heard(position: int) -> None:
            if meter:
                meter.at(wanted.name, position)

        transfer = Transfer(
            wanted,
            part,
            client=self._client,
            patience=self._patience,
            heard=heard,
            stop=self._stop,
            page_allowed=page_allowed,
        )
        try:
            with self._cache.slot(wanted.url):
                came = transfer.run()
        except Absent:
            if not wanted.optional:
                raise
            self._cache.mark_absent(wanted)
            return None
        return self._cache.accept(wanted, part, came)

    def _place(self, wanted: Download, meta: Meta, target: Path) -> None:
        """Link the file into the raw folder, or copy it where links are not possible, and check it there."""
        source = self._cache.path_of(wanted)
        target.parent.mkdir(parents=True, exist_ok=True)
        link = target.with_name(f".tmp-{os.getpid()}-{target.name}")
        try:
            link.unlink(missing_ok=True)
            os.link(source, link)
            target.unlink(missing_ok=True)  # renaming a link onto another link of the same file does nothing
            link.replace(target)
        except OSError:
            _copy(source, target, meta)

    @contextmanager
    def _clean(self) -> Iterator[None]:
        """Let no error that carries the token out of the room, whoever put it there."""
        try:
            yield
        except ConsilienceError as error:
            if not self._token:
                raise
            # whole fields are cleaned, before a message cuts them to a length
            raise type(error).from_problems([self._scrubbed(one) for one in error.problems]) from None
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            if self._token.scrub(text) == text:
                raise
            raise DownloadError(
                f"unexpected {type(error).__name__}: {self._token.scrub(str(error))}"
            ) from None

    def _scrubbed(self, problem: Problem) -> Problem:
        clean = {
            key: None if text is None else self._token.scrub(text) for key, text in asdict(problem).items()
        }
        return Problem(**clean)  # type: ignore[arg-type]


def _copy(source: Path, target: Path, meta: Meta) -> None:
    with atomic_path(target) as temporary:
        require_space(temporary, meta.bytes)
        shutil.copyfile(source, temporary)
        if digests_of(temporary).sha256 != meta.sha256:
            raise DownloadError(
                "the copy differs from the file in the cache",
                where=str(target),
                mend="run again; if it stays, a disk is damaged",
            )


class _Body(io.RawIOBase):
    """The body of an answer as a file."""

    def __init__(self, answer: Answer, url: str) -> None:
        self._chunks = answer.chunks(decoded=True)
        self._url = url
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with what is there."""
        try:
            while not self._left:
                self._left = memoryview(next(self._chunks))
        except StopIteration:
            return 0
        except Interrupted as error:
            raise Temporary(error.reason, where=self._url, mend="run again later") from None
        n = min(len(buffer), len(self._left))
        buffer[:n] = self._left[:n]
        self._left = self._left[n:]
        return n


def offline_error(missing: Sequence[Download], *, settings: FetchSection, folder: Path) -> DownloadError:
    """What an offline run that misses these files ends with."""
    return Downloads(settings, folder=folder).offline_error(missing)
