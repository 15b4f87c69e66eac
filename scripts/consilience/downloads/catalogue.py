"""The catalogue of known downloads (resources/datasets.tsv): addresses, sizes, digests, licences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from consilience.downloads.request import Download
from consilience.foundation.errors import DataError, DownloadError, Problem, did_you_mean
from consilience.foundation.places import RESOURCES
from consilience.study.cohorts import NAME_PATTERN

COLUMNS = ("dataset", "file", "url", "bytes", "md5", "sha256", "licence", "reference", "checked", "note")
NEEDED = ("dataset", "file", "url", "licence", "reference", "checked")
HTTP_ONLY = "http only"
_FORMS = {
    "dataset": (NAME_PATTERN, "letters, digits, '_', '.', '-'"),
    "file": (r"[A-Za-z0-9][A-Za-z0-9_.+-]*(/[A-Za-z0-9][A-Za-z0-9_.+-]*)*", "a relative path of plain names"),
    "url": (r"https?://[A-Za-z0-9.-]+/[!-~]*", "an https:// address"),
    "bytes": (r"[1-9][0-9]{0,14}|", "a whole number, or empty where unknown"),
    "md5": (r"[0-9a-f]{32}|", "32 digits 0-9 a-f, or empty where unknown"),
    "sha256": (r"[0-9a-f]{64}|", "64 digits 0-9 a-f, or empty where unknown"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One file of a data set: what is asked for, its licence and reference, and how the row is known.

    `checked` says what kind of source the address was seen in, or that it was not checked; `note` is for
    people.
    """

    dataset: str
    download: Download
    licence: str
    reference: str
    checked: str
    note: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All known downloads, in the order of the table."""

    known: tuple[Row, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The data sets."""
        return tuple(dict.fromkeys(row.dataset for row in self.known))

    def of(self, dataset: str) -> tuple[Download, ...]:
        """The files of a data set; an unknown name is a `DownloadError`."""
        found = tuple(row.download for row in self.known if row.dataset == dataset)
        if not found:
            raise DownloadError(
                "no data set of this name is in resources/datasets.tsv", value=dataset,
                allowed=f"an https:// address, or one of {', '.join(self.names)}",
                mend=did_you_mean(dataset, self.names) or "mend 'location' in the cohort sheet",
            )  # fmt: skip
        return found

    def rows(self, location: str) -> list[str]:
        """What is known of the files of a location (a data set, addresses, a GEO series), as text."""
        addresses = set(location.split("|"))
        series = f"/{location}/" if re.fullmatch(r"GSE[0-9]+", location) else "\0"
        return [
            "\t".join([one.name, one.url, str(one.bytes or ""), one.md5, one.sha256])
            for row in self.known
            if (one := row.download).url in addresses or row.dataset == location or series in one.url
        ]

    def pin(self, download: Download) -> Download:
        """Add the size and digests known for the download's address; a contradiction is a `DownloadError`."""
        for one in (row.download for row in self.known if row.download.url == download.url):
            for what in ("bytes", "md5", "sha256"):
                said, known = getattr(download, what), getattr(one, what)
                if said and known and said != known:
                    raise DownloadError(
                        f"the source now says {what} {said}, but resources/datasets.tsv knows {known}",
                        where=download.url,
                        mend="the file was replaced at its source: see what changed there, then mend the row",
                    )
            return replace(
                download,
                bytes=download.bytes or one.bytes,
                md5=download.md5 or one.md5,
                sha256=download.sha256 or one.sha256,
            )
        return download


def load_catalogue(path: Path = RESOURCES / "datasets.tsv") -> Catalogue:
    """Read the catalogue; raise one `DataError` that lists every problem of it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the catalogue of downloads cannot be read ({error})", where=str(path)) from None
    numbered = [
        (number, line.split("\t"))
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not numbered or tuple(numbered[0][1]) != COLUMNS:
        raise DataError("the first line must name the columns", where=f"{path}:1", allowed=" ".join(COLUMNS))
    problems: list[Problem] = []
    known: list[Row] = []
    for number, cells in numbered[1:]:
        found = _row_problems(cells, where=f"{path.name}:{number}")
        problems += found
        if not found:
            known.append(_row(cells))
    problems += _repeated(known, where=path.name)
    if problems:
        raise DataError.from_problems(problems)
    return Catalogue(tuple(known))


def _row_problems(cells: Sequence[str], *, where: str) -> list[Problem]:
    if len(cells) != len(COLUMNS):
        return [Problem(f"the row has {len(cells)} cells but the header has {len(COLUMNS)}", where, cells[0])]
    row = dict(zip(COLUMNS, cells, strict=True))
    problems = [Problem("the cell is empty", f"{where}:{name}") for name in NEEDED if not row[name]]
    for name, (pattern, allowed) in _FORMS.items():
        if row[name] and not re.fullmatch(pattern, row[name]):
            problems.append(Problem("cannot be used", f"{where}:{name}", row[name], allowed))
    if row["url"].startswith("http://") and HTTP_ONLY not in row["note"]:
        problems.append(
            Problem("an address that anybody on the way can change", f"{where}:url", row["url"], "https://",
                    f"where the host offers nothing else, say {HTTP_ONLY!r} in 'note'")
        )  # fmt: skip
    if ".." in PurePosixPath(row["file"]).parts or len(row["file"]) > 200:
        problems.append(Problem("not a usable file name", f"{where}:file", row["file"]))
    return problems


def _row(cells: Sequence[str]) -> Row:
    row = dict(zip(COLUMNS, cells, strict=True))
    size = int(row["bytes"]) if row["bytes"] else None
    download = Download(row["file"], row["url"], bytes=size, md5=row["md5"], sha256=row["sha256"])
    return Row(row["dataset"], download, row["licence"], row["reference"], row["checked"], row["note"])


def _repeated(known: Sequence[Row], *, where: str) -> list[Problem]:
    """A data set has each file once (without regard to case); one address has one size and digest."""
    named = Counter((row.dataset, row.download.name.casefold()) for row in known)
    problems = [
        Problem(f"data set {dataset!r} has this file {times} times", f"{where}:file", name)
        for (dataset, name), times in named.items()
        if times > 1
    ]
    said: dict[str, set[tuple[int | None, str, str]]] = {}
    for one in (row.download for row in known):
        said.setdefault(one.url, set()).add((one.bytes, one.md5, one.sha256))
    return problems + [
        Problem("rows of one address say different sizes or digests", f"{where}:url", url)
        for url, facts in said.items()
        if len(facts) > 1
    ]
