"""Files at given addresses: those of the cohort sheet's location, or of a data set of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from consilience.downloads.catalogue import load_catalogue
from consilience.downloads.request import Download
from consilience.downloads.urls import check_url
from consilience.foundation.errors import DownloadError, Problem
from consilience.sources.formats import PACKED
from consilience.sources.plans import Plan
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    from consilience.downloads.downloads import Downloads

_SERVED_AS = {"content", "download"}
"""Last words of addresses that stand after the name of the file (…/files/<name>/content)."""
_MAX_NAME = 200


def plan_addresses(*, cohort: Cohort, downloads: Downloads | None = None) -> Plan:
    """The files of a cohort whose source is `url`; nothing is asked of a server to know them.

    `cohort.files` chooses among the files by name; archives always come along, and the patterns that fit no
    file choose among their members.
    """
    location = cohort.location
    if "://" in location:
        for address in location.split("|"):
            check_url(address)
        wanted = tuple(Download(file_name(address), address) for address in location.split("|"))
    else:
        wanted = load_catalogue().of(location)
    _refuse_same_names(wanted, where=f"cohort {cohort.name}: location")
    chosen = tuple(one for one in wanted if _fits(one.name, cohort.files) or _is_packed(one.name))
    if not chosen:
        raise DownloadError(
            "no file of the location fits the patterns of 'files'", where=f"cohort {cohort.name}: files",
            value="|".join(cohort.files), allowed=", ".join(one.name for one in wanted[:20]),
        )  # fmt: skip
    members = tuple(p for p in cohort.files if not any(_fits(one.name, (p,)) for one in wanted))
    return Plan(chosen, members=members, notes=_notes(chosen, n_left=len(wanted) - len(chosen)))


def file_name(address: str) -> str:
    """The name under which the file of an address is kept: its last path segment, made plain.

    Archives of data put the name elsewhere at times: before a last word ("…/files/<name>/content") or into
    the query ("?file=<name>").
    """
    parts = urlsplit(address)
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    asked = parse_qs(parts.query).get("file", [])
    if asked:
        name = asked[-1]
    elif len(segments) > 1 and segments[-1] in _SERVED_AS:
        name = segments[-2]
    else:
        name = segments[-1] if segments else ""
    plain = re.sub(r"[^A-Za-z0-9_.+-]", "_", name.rpartition("/")[2]).lstrip("_.+-")
    if not plain or len(plain) > _MAX_NAME:
        raise DownloadError(
            "the address names no file", where=address, value=name,
            allowed=f"a last part of letters, digits, '_', '.', '-' (at most {_MAX_NAME})",
            mend="add the address with a file name to resources/datasets.tsv, and give the data set's name",
        )  # fmt: skip
    return plain


def _refuse_same_names(wanted: Sequence[Download], *, where: str) -> None:
    first: dict[str, Download] = {}
    problems = []
    for one in wanted:
        other = first.setdefault(one.name.casefold(), one)
        if other is not one:
            mend = f"give each file a name of its own in resources/datasets.tsv; the other is {other.url}"
            what = f"two addresses name the same file {one.name!r}"
            problems.append(Problem(what, where, one.url, mend=mend))
    if problems:
        raise DownloadError.from_problems(problems)


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(PurePosixPath(name).match(pattern) for pattern in patterns)


def _is_packed(name: str) -> bool:
    return name.casefold().endswith(PACKED)


def _notes(chosen: Sequence[Download], *, n_left: int) -> tuple[str, ...]:
    notes = []
    if n_left:
        notes.append(f"{n_left} files of the location do not fit 'files' and were left")
    open_ones = [one.name for one in chosen if one.url.startswith("http://")]
    if open_ones:
        notes.append(f"brought by http, which anybody on the way can change: {', '.join(open_ones)}")
    return tuple(notes)
