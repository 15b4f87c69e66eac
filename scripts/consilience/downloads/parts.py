"""The state of an unfinished file: its bytes so far, which version of it they are, and their digests."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO

BLOCK = 1 << 20
_STRONG_AFTER = 60.0
"""A Last-Modified younger than this many seconds may cover two versions (RFC 9110, 8.8.2.2)."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a server said of the file when it began to send it: `total` bytes (None: not said)."""

    url: str
    etag: str = ""
    last_modified: str = ""
    date: str = ""
    encoding: str = ""
    total: int | None = None

    @property
    def condition(self) -> str:
        """What names this version in If-Range: a strong ETag, else an old enough Last-Modified, else ""."""
        if self.etag.startswith('"'):
            return self.etag
        try:
            age = parsedate_to_datetime(self.date) - parsedate_to_datetime(self.last_modified)
        except (ValueError, TypeError):
            return ""
        return self.last_modified if age.total_seconds() >= _STRONG_AFTER else ""

    def agrees(self, headers: Mapping[str, str]) -> bool:
        """False when an answer's headers name another version."""
        etag, changed = headers.get("ETag", ""), headers.get("Last-Modified", "")
        return not (etag and self.etag and etag != self.etag) and not (
            changed and self.last_modified and changed != self.last_modified
        )


class Digests:
    """MD5 and SHA-256 of a stream, taken in one pass."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def add(self, block: bytes) -> None:
        """The next bytes."""
        self.n_bytes += len(block)
        self._md5.update(block)
        self._sha256.update(block)

    @property
    def md5(self) -> str:
        """Hex digest so far."""
        return self._md5.hexdigest()

    @property
    def sha256(self) -> str:
        """Hex digest so far."""
        return self._sha256.hexdigest()


def digests_of(path: Path) -> Digests:
    """The digests of a file."""
    digests = Digests()
    with path.open("rb") as handle:
        while block := handle.read(BLOCK):
            digests.add(block)
    return digests


class Part:
    """`<target>.part`: written by whoever holds the lock of `target`."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self._handle: BinaryIO | None = None
        self._digests = Digests()
        self.version = self._read_note()
        self.size = self.path.stat().st_size if self.version and self.path.is_file() else 0

    def _read_note(self) -> Version | None:
        try:
            return Version(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None  # none, or one of a killed run: then the part is worth nothing

    def begin(self, version: Version) -> None:
        """Throw away what there is and write down which version comes now."""
        self.discard()
        write_note(self._note, asdict(version))
        self.version = version
        self.path.touch()

    def write(self, block: bytes) -> None:
        """Append; what was written survives this process."""
        if self._handle is None:
            self._handle = self.path.open("ab", buffering=0)
        if self._digests.n_bytes != self.size:
            self._digests = digests_of(self.path)
        self._handle.write(block)
        self._digests.add(block)
        self.size += len(block)

    def digests(self) -> Digests:
        """The digests of all there is."""
        if self._digests.n_bytes != self.size:
            self._digests = digests_of(self.path)
        return self._digests

    def replace(self, other: Path) -> None:
        """Put another file in its place (its decoded form)."""
        self.close()
        other.replace(self.path)
        self._digests = digests_of(self.path)
        self.size = self._digests.n_bytes

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def discard(self) -> None:
        """Remove it."""
        self.close()
        self._note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self.version, self.size, self._digests = None, 0, Digests()

    def finish(self, target: Path, *, mode: int) -> None:
        """Sync, rename to `target`, forget the note."""
        self.close()
        install(self.path, target, mode=mode)
        self._note.unlink(missing_ok=True)


def install(source: Path, target: Path, *, mode: int) -> None:
    """Give a finished file its name. It is synced before, so that not even a power cut leaves half of it."""
    source.chmod(mode)
    with source.open("rb") as handle:
        os.fsync(handle.fileno())
    source.replace(target)


def write_note(path: Path, value: Any) -> None:
    """Write JSON beside a file, whole or not at all; for the holder of the file's lock.

    Not synced: should a power cut empty it, the file is judged afresh. With thousands of files in a folder,
    the syncs would take longer than the downloads.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
