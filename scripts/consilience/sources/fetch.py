"""Bring a cohort's raw files into results/<study>/raw/<cohort>/ and record where they came from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from consilience.foundation.errors import DataError, DownloadError, Problem
from consilience.foundation.files import (
    atomic_path,
    explain_disk_full,
    read_json,
    sha256_of,
    write_json,
    write_text,
)
from consilience.foundation.jobs import log, progress
from consilience.foundation.provenance import now
from consilience.sources.formats import PACKED, file_kind, samples_table_of
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection

PROVENANCE = "provenance.json"
NETWORK_SOURCES = ("geo", "gdc", "url")
NEVER_READ = (".xlsx", ".rds", ".rda", ".rdata")
HOW_TO_READ = "save tables of workbooks and R objects as text, if something in them is needed"
Entry = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: `files` as provenance.json lists them, the `release` of the source, `notes` for a reader.

    `members` are patterns of the members wanted from archives.
    """

    files: list[Entry]
    release: str = ""
    notes: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


def fetch_cohort(
    *, cohort: Cohort, served_dir: Path | None, raw_dir: Path, folder: Path, settings: FetchSection
) -> None:
    """Fetch every raw file of one cohort; `raw_dir` holds them and provenance.json, or stays incomplete.

    Parameters
    ----------
    served_dir
        For simulated cohorts: the folder that plays the remote server, with its manifest of digests.
    raw_dir
        Where the files go. provenance.json is written last, so its presence means that all is there.
    folder
        What a local cohort's path, and the path of the download cache, are relative to.
    settings
        Cache, mirrors, limits of archives, and whether large local files are copied or linked.
    """
    (raw_dir / PROVENANCE).unlink(missing_ok=True)
    if cohort.source == "simulated" and served_dir is not None:
        fetched = Fetched(_fetch_served(served_dir, raw_dir))
    elif cohort.source == "local":
        fetched = _fetch_local(
            folder / cohort.location, raw_dir, patterns=cohort.files, link=settings.local_files == "link"
        )
    else:
        fetched = _fetch_planned(cohort, raw_dir, folder=folder, settings=settings)
    files = _unpacked(fetched.files, raw_dir, members=fetched.members, settings=settings)
    unread = [str(entry["name"]) for entry in files if str(entry["name"]).casefold().endswith(NEVER_READ)]
    notes = [*fetched.notes, *([f"never read: {', '.join(unread[:8])} ({HOW_TO_READ})"] if unread else [])]
    _remove_strangers(raw_dir, {str(entry["name"]) for entry in files})
    record = {
        "cohort": cohort.name,
        "source": cohort.source,
        "location": cohort.location,
        "date": now(),
        "release": fetched.release,
        "notes": notes,
        "files": files,
    }
    write_json(raw_dir / PROVENANCE, record)
    log.info("%s: %d files, %.1f MB", cohort.name, len(files), sum(int(f["bytes"]) for f in files) / 1e6)


def _fetch_planned(cohort: Cohort, raw: Path, *, folder: Path, settings: FetchSection) -> Fetched:
    """Ask the source what there is, bring it by way of the cache, and keep what the plan itself says."""
    from consilience.downloads.downloads import Downloads
    from consilience.sources.plans import fill_cache, plan_cohort

    downloads = Downloads(settings, folder=folder)
    plan = plan_cohort(cohort=cohort, downloads=downloads)
    fill_cache(plan, cohort=cohort, downloads=downloads, settings=settings)
    arrived = downloads.bring(plan.downloads, into=raw)
    files: list[Entry] = [
        {"name": one.name, "bytes": one.bytes, "sha256": one.sha256, "url": one.url, "date": one.date}
        for one in arrived
    ]
    for name, text in plan.written.items():
        write_text(raw / name, text)
        files.append(_entry(raw, name))
    notes = plan.notes + tuple(note for one in arrived for note in one.notes)
    return Fetched(files, plan.release, notes, plan.members)


def _fetch_served(served: Path, raw: Path) -> list[Entry]:
    """Copy what the simulated server offers and check it against the server's own digests."""
    manifest = read_json(served / "manifest.json")
    files: list[Entry] = []
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


def _fetch_local(location: Path, raw: Path, *, patterns: Sequence[str], link: bool) -> Fetched:
    files: list[Entry] = []
    wanted = list(local_files(location, patterns=patterns))
    for source, name in progress(wanted, label="files"):
        digest = _bring(source, raw / name, link=link)
        files.append({"name": name, "bytes": (raw / name).stat().st_size, "sha256": digest, "url": ""})
    n_others = len(list(local_files(location))) - len(wanted)
    notes = (f"{n_others} files of the folder do not fit 'files' and were left",) if n_others else ()
    only_archives = all(_packed(name) for _, name in wanted)
    return Fetched(files, notes=notes, members=tuple(patterns) if only_archives else ())


def local_files(location: Path, *, patterns: Sequence[str] = ()) -> Iterator[tuple[Path, str]]:
    """The files of a local cohort with their names in the raw folder; a table's samples sheet comes along.

    `patterns` choose among the files of a folder by name (archives always come: the patterns are for their
    members too).
    """
    if location.is_dir():
        found = sorted(_files_below(location))
        if not found:
            raise DataError("the folder holds no files", where=str(location))
        named = [(path, path.relative_to(location).as_posix()) for path in found]
        chosen = [(path, name) for path, name in named if _wanted(name, patterns) or _packed(name)]
        if not chosen:
            raise DataError(
                "no file of the folder fits the patterns of 'files'", where=str(location),
                value="|".join(patterns), allowed=", ".join(name for _, name in named[:20]),
            )  # fmt: skip
        yield from chosen
    elif location.is_file():
        if not (_wanted(location.name, patterns) or _packed(location.name)):
            raise DataError(
                "the file does not fit the patterns of 'files'", where=str(location),
                value="|".join(patterns), mend="leave 'files' empty, or give the folder as 'location'",
            )  # fmt: skip
        beside = samples_table_of(location)
        yield from ((path, path.name) for path in [location, *filter(None, [beside])])
    else:
        raise DataError(
            "no such file or folder", where=str(location), mend="mend 'location' in the cohort sheet"
        )


def _files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it, linked ones too; links that lead nowhere are refused."""
    seen, broken = set(), []
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        if real in seen:  # a link to a folder that was here before
            continue
        seen.add(real)
        for path in (Path(here, name) for name in names if not name.startswith(".")):
            if path.is_file():
                yield path
            elif path.is_symlink():
                broken.append(path)
    if broken:
        raise DataError.from_problems([
            Problem("a link that leads to no file", str(path), str(path.readlink()), mend="mend or remove it")
            for path in sorted(broken)
        ])  # fmt: skip


def _wanted(name: str, patterns: Sequence[str]) -> bool:
    path = PurePosixPath(name)
    return not patterns or any(path.match(pattern) for pattern in patterns)


def _packed(name: str) -> bool:
    return name.casefold().endswith(PACKED)


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


def _unpacked(
    files: Sequence[Entry], raw: Path, *, members: Sequence[str], settings: FetchSection
) -> list[Entry]:
    """Archives replaced by their members, in a folder named after the archive; all else as it is."""
    from consilience.downloads.archives import unpack

    found: list[Entry] = []
    for entry in files:
        name = str(entry["name"])
        if file_kind(name, raw / name) != "archive":
            found.append(entry)
            continue
        into = raw / _stem(name)
        shutil.rmtree(into, ignore_errors=True)
        paths = unpack(
            raw / name, into=into, members=members,
            max_bytes=int(settings.max_unpacked_gigabytes * 1e9), max_members=settings.max_archive_members,
        )  # fmt: skip
        log.info("%s: %d members", name, len(paths))
        origin = {"url": entry["url"], "archive": name, "archive_sha256": entry["sha256"]}
        found += [_entry(raw, path.relative_to(raw).as_posix()) | origin for path in sorted(paths)]
    return found


def _stem(name: str) -> str:
    """The folder for an archive's members: its name without what says that it is an archive."""
    for ending in sorted(PACKED, key=len, reverse=True):
        if name.casefold().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return f"{name}.members"


def _entry(raw: Path, name: str) -> Entry:
    path = raw / name
    return {"name": name, "bytes": path.stat().st_size, "sha256": sha256_of(path), "url": ""}


def _remove_strangers(raw: Path, names: set[str]) -> None:
    """Files of an earlier fetch that are no longer part of the cohort must not be read as if they were."""
    for path in sorted(raw.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(raw).as_posix() not in names | {PROVENANCE}:
            os.unlink(path)  # noqa: PTH108 - also broken links


def missing_files(*, cohort: Cohort, folder: Path, settings: FetchSection) -> list[Any]:
    """Downloads of a cohort that are not in the cache (asks the source what there is, unless offline)."""
    from consilience.downloads.downloads import Downloads
    from consilience.sources.plans import plan_cohort

    downloads = Downloads(settings, folder=folder)
    return downloads.missing(plan_cohort(cohort=cohort, downloads=downloads).downloads)
