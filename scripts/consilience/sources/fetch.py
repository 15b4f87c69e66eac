"""Bring a cohort's raw files into results/<study>/raw/<cohort>/ and record where they came from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from consilience.foundation.errors import DataError, DownloadError
from consilience.foundation.files import atomic_path, explain_disk_full, read_json, sha256_of, write_json
from consilience.foundation.jobs import log, progress
from consilience.foundation.provenance import now
from consilience.sources.formats import samples_table_of
from consilience.study.cohorts import Cohort

FETCHED_SOURCES = ("simulated", "local")
"""Sources that this version brings in by itself (url, geo and gdc come with the download capability)."""

PROVENANCE = "provenance.json"


def fetch_cohort(
    *, cohort: Cohort, served_dir: Path | None, raw_dir: Path, folder: Path, local_files: str = "copy"
) -> None:
    """Fetch every raw file of one cohort; `raw_dir` holds them and provenance.json, or stays incomplete.

    Parameters
    ----------
    served_dir
        For simulated cohorts: the folder that plays the remote server, with its manifest of digests.
    raw_dir
        Where the files go. provenance.json is written last, so its presence means that all is there.
    folder
        What a local cohort's path is relative to.
    local_files
        'copy', or 'link' to leave large local files where they are.
    """
    (raw_dir / PROVENANCE).unlink(missing_ok=True)
    if cohort.source == "simulated" and served_dir is not None:
        files = _fetch_served(served_dir, raw_dir)
    elif cohort.source == "local":
        files = _fetch_local(folder / cohort.location, raw_dir, link=local_files == "link")
    else:
        raise DownloadError(
            f"source {cohort.source!r} cannot be fetched by this version",
            where=f"cohort {cohort.name}",
            allowed=", ".join(FETCHED_SOURCES),
            mend="download the files yourself and give their folder as a local cohort",
        )
    _remove_strangers(raw_dir, {str(entry["name"]) for entry in files})
    record = {
        "cohort": cohort.name,
        "source": cohort.source,
        "location": cohort.location,
        "date": now(),
        "release": "",
        "files": files,
    }
    write_json(raw_dir / PROVENANCE, record)
    log.info("%s: %d files, %.1f MB", cohort.name, len(files), sum(int(f["bytes"]) for f in files) / 1e6)


def _fetch_served(served: Path, raw: Path) -> list[dict[str, str | int]]:
    """Copy what the simulated server offers and check it against the server's own digests."""
    manifest = read_json(served / "manifest.json")
    files: list[dict[str, str | int]] = []
    for entry in progress(manifest["files"], label="files"):
        target = raw / entry["name"]
        digest = _bring(served / entry["name"], target, link=False)
        if digest != entry["sha256"]:
            target.unlink()
            raise DownloadError(
                f"the digest differs from the server's ({digest[:12]}… instead of {entry['sha256'][:12]}…)",
                where=str(served / entry["name"]),
                mend="run again; the server's file was changed or damaged",
            )
        files.append({"name": entry["name"], "bytes": target.stat().st_size, "sha256": digest, "url": ""})
    return files


def _fetch_local(location: Path, raw: Path, *, link: bool) -> list[dict[str, str | int]]:
    files: list[dict[str, str | int]] = []
    for source, name in progress(list(local_files(location)), label="files"):
        target = raw / name
        digest = _bring(source, target, link=link)
        files.append({"name": name, "bytes": target.stat().st_size, "sha256": digest, "url": ""})
    return files


def local_files(location: Path) -> Iterator[tuple[Path, str]]:
    """The files of a local cohort with their names in the raw folder; a table's samples sheet comes along."""
    if location.is_dir():
        found = sorted(path for path in location.rglob("*") if path.is_file() and not _hidden(path, location))
        if not found:
            raise DataError("the folder holds no files", where=str(location))
        yield from ((path, path.relative_to(location).as_posix()) for path in found)
    elif location.is_file():
        beside = samples_table_of(location)
        yield from ((path, path.name) for path in [location, *filter(None, [beside])])
    else:
        raise DataError(
            "no such file or folder", where=str(location), mend="mend 'location' in the cohort sheet"
        )


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _bring(source: Path, target: Path, *, link: bool) -> str:
    """Copy (or link) one file whole, and return the digest of what arrived."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if link:
            target.unlink(missing_ok=True)
            target.symlink_to(source.resolve())
            return sha256_of(target)
        with explain_disk_full(target), atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=str(source)) from error
    return sha256_of(target)


def _remove_strangers(raw: Path, names: set[str]) -> None:
    """Files of an earlier fetch that are no longer part of the cohort must not be read as if they were."""
    for path in sorted(raw.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(raw).as_posix() not in names | {PROVENANCE}:
            os.unlink(path)  # noqa: PTH108 - also broken links
