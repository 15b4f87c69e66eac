"""Archives unpacked member by member: within limits, without links, all of it or nothing.

An archive is written by somebody else, so nothing it says of itself is believed: sizes are counted while
they are written, names are judged one by one, links and devices are refused.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, cast

from consilience.downloads.members import Names, folder_name, is_archive_name, is_rubbish, safe_name
from consilience.downloads.wholeness import BZIP2, GZIP, XZ, ZIP
from consilience.foundation.errors import DataError, did_you_mean
from consilience.foundation.files import explain_disk_full, temporary_beside
from consilience.foundation.jobs import log

MAX_RATIO = 200
"""Text of zeros compresses a thousandfold, tables of counts at most some tens."""
RATIO_FROM = 100_000_000
"""Bytes below which the ratio does not matter."""
MAX_AT_ONCE = 16 << 20
"""Bytes of a header or a name; a tar may claim any, and they are read into memory."""
BLOCK = 1 << 20
MEND = "look at it with tar -tv or unzip -l; if you trust it, unpack it yourself and use source 'local'"
DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError, struct.error,
    OverflowError, UnicodeError, ValueError, IndexError,
)  # fmt: skip


@dataclass(slots=True)
class Budget:
    """What may still be unpacked: `members` and `bytes`, counted down over nested archives too."""

    max_members: int
    max_bytes: int
    members: int = 0
    bytes: int = 0

    def member(self) -> None:
        """Count one member."""
        self.members += 1
        if self.members > self.max_members:
            raise DataError(
                f"the archive has more than {self.max_members:,} members",
                mend="raise fetch.max_archive_members",
            )

    def block(self, n: int) -> None:
        """Count bytes before they are written."""
        self.bytes += n
        if self.bytes > self.max_bytes:
            raise DataError(
                f"the archive unpacks to more than {self.max_bytes / 1e9:g} GB",
                mend="raise fetch.max_unpacked_gigabytes",
            )


@dataclass(slots=True)
class Job:
    """One call of `unpack`: where to, which members, the names so far and the paths that came."""

    root: Path
    patterns: Sequence[str]
    budget: Budget
    names: Names = field(default_factory=Names)
    offered: list[str] = field(default_factory=list)
    matched: set[str] = field(default_factory=set)
    paths: list[Path] = field(default_factory=list)

    def wants(self, name: str) -> bool:
        """Whether a member fits the patterns, by its base name or its whole name."""
        base = name.rpartition("/")[2]
        fits = [one for one in self.patterns if fnmatchcase(base, one) or fnmatchcase(name, one)]
        self.matched.update(fits)
        return bool(fits) or not self.patterns


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its name as given, what else it is ("" for a plain file), its content."""

    name: str
    strange: str
    open: Any


def unpack(
    archive: Path, *, into: Path, members: Sequence[str] = (), max_bytes: int, max_members: int
) -> list[Path]:
    """Unpack a tar (also compressed) or zip into a new folder; archives inside it are unpacked too, once.

    Parameters
    ----------
    into
        The folder to make; it appears only when all is there, and replaces what there was.
    members
        Shell patterns of the members wanted, by base name or whole name; empty for all.
    max_bytes, max_members
        Limits for all members together, those of archives inside included.

    Raises
    ------
    DataError
        When the archive is cut or damaged, too large, holds links, devices or names that leave the folder or
        meet in one file, or has no member for a pattern.
    """
    temporary = temporary_beside(into)
    job = Job(temporary, members, Budget(max_members, max_bytes))
    try:
        with explain_disk_full(into):
            temporary.mkdir(parents=True)
            _unpack_one(archive, job, below="", depth=0, patterns_met=not members)
            _require_matches(job, archive)
            if into.exists():
                shutil.rmtree(into)
            temporary.rename(into)
    except DataError as error:
        if error.problems[0].where:
            raise
        first = error.problems[0]
        raise DataError(
            first.what, where=archive.name, value=first.value, allowed=first.allowed, mend=first.mend
        ) from None
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)
    return sorted(into / path.relative_to(temporary) for path in job.paths)


def _require_matches(job: Job, archive: Path) -> None:
    for pattern in job.patterns:
        if pattern not in job.matched:
            some = ", ".join(job.offered[:20]) + (" …" if len(job.offered) > 20 else "")
            hint = did_you_mean(pattern, [name.rpartition("/")[2] for name in job.offered])
            raise DataError(
                "no member of the archive fits this pattern",
                where=archive.name,
                value=pattern,
                allowed=some,
                mend=hint,
            )
    if not job.paths:
        raise DataError("the archive holds no files", where=archive.name)


def _unpack_one(archive: Path, job: Job, *, below: str, depth: int, patterns_met: bool) -> None:
    """Unpack one archive into the folder `below` of the job's root."""
    packed = archive.stat().st_size
    before = job.budget.bytes
    with ExitStack() as stack:
        try:
            for member in _members(archive, stack, job.budget):
                name = safe_name(below + member.name)
                nested = depth == 0 and is_archive_name(name)
                wanted = job.wants(name) or patterns_met
                job.offered.append(name)
                if not (wanted or nested):
                    continue
                if member.strange:
                    raise DataError(f"the archive holds {member.strange}", value=member.name, mend=MEND)
                path = job.root / name
                job.names.claim(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(member, path, job.budget, packed=packed, before=before)
                if nested and _kind(path):
                    _unpack_nested(path, name, job, wanted=wanted)
                elif wanted:
                    job.paths.append(path)
                else:
                    path.unlink()
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the system's, not the archive's: bz2 and gzip give no number
            raise DataError(f"the archive is cut or damaged ({error})", where=archive.name,
                            mend="fetch it again; if it stays so, ask its makers") from None  # fmt: skip


def _unpack_nested(path: Path, name: str, job: Job, *, wanted: bool) -> None:
    """An archive inside the archive, replaced by a folder of its members."""
    held = path.with_name(path.name + ".unpacking")
    path.rename(held)
    _unpack_one(held, job, below=folder_name(name) + "/", depth=1, patterns_met=wanted)
    held.unlink()


def _write(member: Member, path: Path, budget: Budget, *, packed: int, before: int) -> None:
    """Write one member, counting."""
    with member.open() as source, path.open("xb") as target:
        while block := source.read(BLOCK):
            budget.block(len(block))
            unpacked = budget.bytes - before
            if unpacked > RATIO_FROM and unpacked > MAX_RATIO * packed:
                raise DataError(
                    f"the archive unpacks to more than {MAX_RATIO} times its size: it looks like a bomb",
                    value=member.name,
                    mend=MEND,
                )
            target.write(block)


def _kind(path: Path) -> str:
    """tar, zip, or "" for what is no archive (a single compressed file is none)."""
    with path.open("rb") as handle:
        start = handle.read(512)
    if start.startswith(ZIP):
        return "zip"
    try:
        with ExitStack() as stack:
            header = _plain(path, stack).read(tarfile.BLOCKSIZE)
        tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")  # the header's checksum tells
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError):
        return ""
    return "tar"


def _members(archive: Path, stack: ExitStack, budget: Budget) -> Iterator[Member]:
    kind = _kind(archive)
    if kind == "zip":
        return _zip_members(stack.enter_context(zipfile.ZipFile(archive)), budget)
    if kind == "tar":
        return _tar_members(archive, _plain(archive, stack), stack, budget)
    raise DataError("neither tar nor zip, or cut before its first member", where=archive.name)


def _zip_members(archive: zipfile.ZipFile, budget: Budget) -> Iterator[Member]:
    for info in archive.infolist():
        budget.member()
        if info.is_dir() or is_rubbish(info.filename):
            continue
        mode = stat.S_IFMT(info.external_attr >> 16)
        strange = (
            "" if mode in (0, stat.S_IFREG) else "a link" if mode == stat.S_IFLNK else "a device or pipe"
        )
        if info.flag_bits & 0x1:
            strange = "an encrypted member"
        yield Member(info.filename, strange, lambda info=info: _zip_open(archive, info))


def _zip_open(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(info)
    except (NotImplementedError, RuntimeError) as error:
        raise DataError(f"a member is packed in a way that is not known here ({error})", value=info.filename,
                        mend=MEND) from None  # fmt: skip


def _tar_members(archive: Path, plain: _Plain, stack: ExitStack, budget: Budget) -> Iterator[Member]:
    tar = stack.enter_context(tarfile.open(fileobj=cast("IO[bytes]", plain), mode="r:"))  # noqa: SIM115
    while (info := tar.next()) is not None:
        budget.member()
        if not info.isdir() and not is_rubbish(info.name):
            yield Member(info.name, _strange(info), lambda info=info: tar.extractfile(info))
        tar.members = []  # type: ignore[attr-defined]  # else every header stays in memory
    _require_end(plain, archive)


def _require_end(plain: _Plain, archive: Path) -> None:
    """Tell the end of a tar from damage: tarfile stops at any header that it cannot read, without a word."""
    last = plain.last
    plain.to_the_end()
    if last.strip(b"\0"):
        raise tarfile.ReadError("the header of a member is cut or damaged")
    if len(last) < tarfile.BLOCKSIZE:
        log.warning("%s: the tar has no end mark; if members are missing, it was cut", archive.name)


def _strange(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a link"
    return "" if info.isreg() else "a device or pipe"


class _Plain:
    """A tar's bytes, decompressed, for tarfile: refuses to read huge headers into memory at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.last = b""

    def read(self, n: int = -1) -> bytes:
        if n < 0 or n > MAX_AT_ONCE:
            raise tarfile.ReadError("a header of the archive claims to be huge")
        self.last = self._stream.read(n)
        return self.last

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def to_the_end(self) -> None:
        """Read what is left: there are the checksums of compressed streams."""
        while self._stream.read(BLOCK):
            pass


def _plain(path: Path, stack: ExitStack) -> _Plain:
    with path.open("rb") as handle:
        start = handle.read(8)
    stream: Any
    if start.startswith(GZIP):
        stream = gzip.open(path, "rb")  # noqa: SIM115
    elif start.startswith(BZIP2):
        stream = bz2.open(path, "rb")  # noqa: SIM115
    elif start.startswith(XZ):
        stream = lzma.open(path, "rb")  # noqa: SIM115
    else:
        stream = path.open("rb")
    return _Plain(stack.enter_context(stream))
