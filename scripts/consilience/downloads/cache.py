"""The cache: one readable tree of files that are whole, shared by all studies and jobs that name it.

`<cache>/<host>/<path>` is the file (read-only) and `<file>.meta.json` beside it says where it came from and
what its digests are; it is written last. A file without one was put there by hand: it is judged by whatever
is known of it, and gets its meta. Locks lie in `<cache>/.locks`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from consilience.downloads.parts import Digests, Part, digests_of, write_note
from consilience.downloads.request import Download
from consilience.downloads.transfer import UNSURE, Came, wrong_digest
from consilience.downloads.urls import PAGE_SUFFIXES, cache_name
from consilience.downloads.wholeness import can_be_judged, damage, page_title
from consilience.foundation.errors import ConsilienceError, DownloadError
from consilience.foundation.files import read_json
from consilience.foundation.jobs import log
from consilience.foundation.provenance import now

BY_HAND = "put into the cache by hand"
SHARED_MODE, PRIVATE_MODE = 0o444, 0o400
PATIENT_SECONDS = 10.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of a file in the cache; `absent` marks an address that has no file (404)."""

    url: str
    bytes: int = 0
    sha256: str = ""
    md5: str = ""
    etag: str = ""
    last_modified: str = ""
    date: str = ""
    notes: tuple[str, ...] = ()
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What the cache has for a download: `meta` when it is whole, else what is wrong ("" when not there)."""

    meta: Meta | None
    wrong: str = ""


class Cache:
    """The tree and its locks."""

    def __init__(self, root: Path, *, per_host: int, stop: threading.Event) -> None:
        self.root = root
        self.per_host = per_host
        self.stop = stop
        self._seen: dict[tuple[str, int, int, int], Digests] = {}

    def path_of(self, wanted: Download) -> Path:
        """Where a download's file is, or may be put by hand."""
        return self.root / cache_name(wanted.url, wanted.body)

    def find(self, wanted: Download, *, page_allowed: bool = False) -> Held:
        """Look for a whole file; its bytes are read and their digests compared (once per process)."""
        path = self.path_of(wanted)
        if not path.is_file():
            return Held(None)
        meta = _read_meta(path)
        if meta is not None and not meta.absent:
            digests = self._digests(path)
            if digests.sha256 != meta.sha256:
                return Held(None, "its bytes are no longer those that were downloaded")
            wrong = _unlike(wanted, digests)
            return Held(None, wrong) if wrong else Held(meta)
        with self.lock(wanted):
            return self._adopt(wanted, path, page_allowed=page_allowed)

    def _adopt(self, wanted: Download, path: Path, *, page_allowed: bool) -> Held:
        """Judge a file that was put there by hand (or whose process was killed before its meta)."""
        meta = _read_meta(path)
        if meta is not None and not meta.absent:
            return Held(meta)  # it has come while we waited
        if not path.is_file():
            return Held(None)
        digests = self._digests(path)
        wrong = _unlike(wanted, digests) or damage(path, name=wanted.url.partition("?")[0])
        if not page_allowed and page_title(path) is not None and not wanted.name.endswith(PAGE_SUFFIXES):
            wrong = "it is a web page"
        if wrong:
            return Held(None, wrong)
        sure = wanted.sha256 or wanted.md5 or wanted.bytes is not None or can_be_judged(path)
        notes = (BY_HAND,) if sure else (BY_HAND, UNSURE)
        meta = Meta(wanted.url, digests.n_bytes, digests.sha256, digests.md5, date=now(), notes=notes)
        with contextlib.suppress(PermissionError):  # a cache that others fill: judged each time
            _write_meta(path, meta)
        log.info("%s: found in the cache, put there by hand", wanted.name)
        return Held(meta)

    def _digests(self, path: Path) -> Digests:
        facts = path.stat()
        key = (str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if key not in self._seen:
            self._seen[key] = digests_of(path)
        return self._seen[key]

    def accept(self, wanted: Download, part: Part, came: Came, *, notes: tuple[str, ...] = ()) -> Meta:
        """Give a checked part its name and its meta. Holders of the lock only."""
        path, digests, version = self.path_of(wanted), came.digests, came.version
        self.forget(wanted)
        meta = Meta(
            wanted.url, digests.n_bytes, digests.sha256, digests.md5, version.etag, version.last_modified,
            now(), came.notes + notes,
        )  # fmt: skip
        part.finish(path, mode=PRIVATE_MODE if came.authorised else SHARED_MODE)
        facts = path.stat()
        self._seen[str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns] = digests
        _write_meta(path, meta)
        return meta

    def forget(self, wanted: Download) -> None:
        """Remove a file that is not what it should be; its meta first."""
        path = self.path_of(wanted)
        _meta_path(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def mark_absent(self, wanted: Download) -> None:
        """Remember that the server has no such file."""
        self.forget(wanted)
        _write_meta(self.path_of(wanted), Meta(wanted.url, date=now(), absent=True))

    def is_marked_absent(self, wanted: Download) -> bool:
        """True when the server was asked and had no such file."""
        meta = _read_meta(self.path_of(wanted))
        return meta is not None and meta.absent

    @contextmanager
    def lock(self, wanted: Download) -> Iterator[None]:
        """Keep all other jobs from this file; whoever waits finds it in the cache afterwards."""
        name = cache_name(wanted.url, wanted.body)
        lock_name = hashlib.sha256(str(name).encode()).hexdigest()[:24]
        try:
            self.path_of(wanted).parent.mkdir(parents=True, exist_ok=True)
            folder = self._lock_folder()
        except (FileExistsError, NotADirectoryError) as error:
            raise DownloadError("a file of the cache is in the way of a folder", where=str(error.filename),
                                mend="move that file away and run again") from error  # fmt: skip
        except OSError as error:
            if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
                raise
            yield  # nobody can write here, so there is nothing to keep apart
            return
        with self._taken(
            [folder / f"{lock_name}.lock"], waiting_for=f"another job that downloads {name.name}"
        ):
            yield

    @contextmanager
    def slot(self, url: str) -> Iterator[None]:
        """One of the `per_host` connections to a host that all jobs on this cache have together."""
        host = cache_name(url).parts[0]
        slots = [self._lock_folder() / f"{host}.{number}.slot" for number in range(self.per_host)]
        with self._taken(slots, waiting_for=f"a free connection to {urlsplit(url).hostname}"):
            yield

    def _lock_folder(self) -> Path:
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def _taken(self, paths: list[Path], *, waiting_for: str) -> Iterator[None]:
        """Hold the first of these locks that is free."""
        from filelock import FileLock, Timeout

        locks = [FileLock(path, timeout=0, thread_local=False) for path in paths]
        told = time.monotonic()
        while True:
            for lock in locks:
                try:
                    lock.acquire()
                except Timeout:
                    continue
                try:
                    yield
                finally:
                    lock.release()
                return
            if time.monotonic() - told > PATIENT_SECONDS:
                log.info("waiting for %s", waiting_for)
                told = time.monotonic() + 5 * PATIENT_SECONDS
            if self.stop.wait(POLL_SECONDS):
                raise DownloadError("stopped")


def _unlike(wanted: Download, digests: Digests) -> str:
    if wanted.bytes not in (None, digests.n_bytes):
        return f"it has {digests.n_bytes:,} bytes, expected are {wanted.bytes:,}"
    return wrong_digest(wanted, digests) or ""


def _meta_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.meta.json")


def _read_meta(path: Path) -> Meta | None:
    try:
        record = read_json(_meta_path(path))
        return replace(Meta(**record), notes=tuple(record.get("notes", ())))
    except (OSError, ConsilienceError, TypeError, AttributeError):
        return None  # none, or not ours


def _write_meta(path: Path, meta: Meta) -> None:
    write_note(_meta_path(path), asdict(meta))
