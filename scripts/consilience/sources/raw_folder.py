"""A cohort's raw folder: nothing is read before every file is known to be the one that was fetched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from consilience.foundation.errors import DataError, Problem
from consilience.foundation.files import read_json, sha256_of
from consilience.sources.formats import FileKind, file_kind
from consilience.sources.text import FETCH_AGAIN, read_bytes, shown


@dataclass(frozen=True, slots=True)
class RawFolder:
    """A verified raw folder: `files` as (relative name, path), sorted by name, and the `kinds` of them."""

    path: Path
    files: tuple[tuple[str, Path], ...]
    kinds: tuple[FileKind, ...]
    provenance: dict[str, Any]

    def of_kind(self, *kinds: FileKind) -> list[Path]:
        """The files that are of one of these kinds."""
        return [path for (_, path), kind in zip(self.files, self.kinds, strict=True) if kind in kinds]

    def named(self, *endings: str) -> list[Path]:
        """The files whose name ends with one of `endings`."""
        return [path for name, path in self.files if name.endswith(endings)]


def open_raw_folder(raw_dir: Path) -> RawFolder:
    """Verify name, size and digest of every file listed in provenance.json, then tell the files' kinds."""
    files, provenance = verify_raw_folder(raw_dir)
    return raw_folder_of(raw_dir, files, provenance)


def raw_folder_of(
    root: Path, files: tuple[tuple[str, Path], ...], provenance: dict[str, Any] | None = None
) -> RawFolder:
    """A raw folder of files that are not (or no longer) to be verified."""
    return RawFolder(root, files, tuple(file_kind(name, path) for name, path in files), provenance or {})


def unreadable(folder: RawFolder, *, wanted: str) -> DataError:
    """The error for a folder in which no reader of the cohort's kind finds its files."""
    listed = [f"{name} ({kind})" for (name, _), kind in zip(folder.files, folder.kinds, strict=True)]
    found = ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")
    return DataError(
        f"holds no files that this kind of cohort can be read from: {found}",
        where=shown(folder.path),
        allowed=wanted,
        mend="mend 'kind', 'location' or 'files' of this cohort in the cohort sheet",
    )


def verify_raw_folder(raw_dir: Path) -> tuple[tuple[tuple[str, Path], ...], dict[str, Any]]:
    """The listed files and the provenance record; all damaged files are reported at once."""
    record = raw_dir / "provenance.json"
    if not record.is_file():
        raise DataError(
            "no provenance.json: this folder was not fetched whole",
            where=shown(raw_dir),
            mend="delete the folder and run again",
        )
    provenance = read_json(record)
    entries = _entries(provenance, where=shown(record))
    problems, files = [], []
    for name, size, digest in sorted(entries):
        path = raw_dir / name
        files.append((name, path))
        if problem := _damage(path, size=size, digest=digest):
            problems.append(problem)
    if problems:
        raise DataError.from_problems(problems)
    return tuple(files), provenance


def _entries(provenance: object, *, where: str) -> list[tuple[str, int, str]]:
    entries = []
    try:
        for entry in provenance["files"]:  # type: ignore[index]
            name, size, digest = entry["name"], entry["bytes"], entry["sha256"]
            parts = PurePosixPath(name)
            inside = not parts.is_absolute() and ".." not in parts.parts and str(parts) != "."
            if not (inside and isinstance(size, int) and isinstance(digest, str) and len(digest) == 64):
                raise ValueError(name)
            entries.append((name, size, digest))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"the record of fetched files is damaged ({error})",
            where=where,
            mend="delete the cohort's raw folder and run again",
        ) from error
    if not entries:
        raise DataError(
            "the record of fetched files lists none",
            where=where,
            mend="check the location of the cohort, delete its raw folder and run again",
        )
    return entries


def _damage(path: Path, *, size: int, digest: str) -> Problem | None:
    where = shown(path)
    if not path.is_file():
        return Problem("a fetched file is no longer there", where, mend=FETCH_AGAIN)
    found = path.stat().st_size
    if found != size:
        return Problem(f"has {found} bytes but {size} were fetched", where, mend=FETCH_AGAIN)
    seen = sha256_of(path)
    if seen != digest:
        return Problem(
            f"was changed or damaged after it was fetched: sha256 {seen[:12]}… instead of {digest[:12]}…",
            where,
            mend=FETCH_AGAIN,
        )
    return None


def read_record(path: Path) -> Any:
    """Read served JSON (a service's answer); a page, an empty or a broken file is a `DataError`."""
    content = read_bytes(path)
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"not valid JSON ({error})", where=shown(path), mend=FETCH_AGAIN) from error
