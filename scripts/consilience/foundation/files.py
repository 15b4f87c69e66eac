"""Files that are whole or absent: every output is written to a temporary name, synced, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience.foundation.errors import ConsilienceError, DataError

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 1 << 20
SPACE_MARGIN = 4 << 20
"""What HDF5 may hold in its caches, in bytes."""


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path` (same suffix); rename it into place if the block succeeds.

    On any failure the temporary file is removed and `path` is left as it was. A full disk becomes a
    `DataError` that says so.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(target)
    try:
        with explain_disk_full(target):
            yield temporary
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(target: Path) -> Path:
    """A free temporary name beside `target`; what a killed run left under such a name is removed.

    Safe because a target has one writer at a time (Snakemake's lock).
    """
    ours = re.compile(rf"\.tmp-[0-9]+-{re.escape(target.name)}")
    for left in [path for path in target.parent.iterdir() if ours.fullmatch(path.name)]:
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)
    return target.parent / f".tmp-{os.getpid()}-{target.name}"


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards; what a killed run left in it is removed first."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def explain_disk_full(target: Path) -> Iterator[None]:
    """Turn 'no space left' from any library into one clear sentence."""
    try:
        yield
    except ConsilienceError:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise _disk_full(target) from error
        raise


def require_space(path: Path, needed: int) -> None:
    """Refuse to go on writing to `path` when fewer than `needed` bytes and a margin are free on its disk.

    HDF5 does not survive a full disk (it crashes when it closes the file), so it must not meet one: this is
    called with an upper bound before each block.
    """
    free = shutil.disk_usage(path.parent).free
    if free < needed + SPACE_MARGIN:
        raise _disk_full(
            path, f" ({free / 1e6:.1f} MB are free, the next step may need {needed / 1e6:.1f} MB)"
        )


def _disk_full(target: Path, numbers: str = "") -> DataError:
    return DataError(
        f"the disk is full while writing this file{numbers}; nothing was kept of it",
        where=str(target),
        mend="free some space (or point results/ to a larger disk) and run the same command again",
    )


def is_disk_full(error: BaseException | None) -> bool:
    """True when an error, or what caused it, is ENOSPC or EDQUOT (h5py hides it in its message)."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        text = str(error)
        if f"errno = {errno.ENOSPC}" in text or os.strerror(errno.ENOSPC) in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write JSON atomically; refuses NaN, which is not JSON (use null)."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read JSON; a broken file is a `DataError` naming it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"not valid JSON ({error})", where=str(path), mend="delete the file and run again"
        ) from error


def write_parquet(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table as parquet (zstd) atomically, without the index."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")


def write_tsv(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table as tab-separated text atomically, without the index."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as handle:
        while block := handle.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def digest_of_files(paths: Iterable[str | os.PathLike[str]], *, root: str | os.PathLike[str]) -> str:
    """One digest for a set of files: their names relative to `root` and their bytes, in sorted order."""
    digest = hashlib.sha256()
    for path in sorted(Path(entry) for entry in paths):
        digest.update(f"{path.relative_to(root).as_posix()}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()[:16]
