"""What a folder of GEO holds: its index page, and the list of files with their exact sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

ARCHIVE_ENDING = "_RAW.tar"
_SAFE_NAME = re.compile(r"[A-Za-z0-9][^/\\\0-\x1f\x7f]{0,254}")
_COUNTS_OF_NCBI = re.compile(r"GSE\d+_raw_counts_[A-Za-z0-9._-]+_NCBI\.tsv\.gz")


@dataclass(frozen=True, slots=True)
class Supplement:
    """What lies in suppl/: names of its `files`; `members` of its archive; exact `sizes` where known."""

    files: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()

    def size_of(self, name: str) -> int | None:
        """Exact size in bytes, None where only the rounded one of the index page is known."""
        return dict(self.sizes).get(name)

    @property
    def archive(self) -> str:
        """The archive of one or more files for each sample, "" where there is none."""
        return next((name for name in self.files if name.endswith(ARCHIVE_ENDING)), "")


class _Links(HTMLParser):
    """Collects the targets of a page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One tag; only links count."""
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def links(page: bytes, *, url: str) -> Iterator[str]:
    """All links of a page as full addresses."""
    parser = _Links()
    parser.feed(page.decode("utf-8", "replace"))
    for target in parser.found:
        try:
            yield urljoin(url, target)
        except ValueError:
            continue  # no address at all


def folder_names(page: bytes, *, url: str) -> tuple[str, ...]:
    """Names of the files that an index page lists, each once, in its order.

    Only files directly in this folder: no folders, no sorting links, nothing of another host or path.
    """
    names = []
    for target in links(page, url=url):
        name = unquote(target.removeprefix(url)) if target.startswith(url) else ""
        if _SAFE_NAME.fullmatch(name) and "?" not in target and "#" not in target:
            names.append(name)
    return tuple(dict.fromkeys(names))


def supplement_of(files: tuple[str, ...], listing: bytes | None) -> Supplement:
    """What suppl/ holds: names from its index page, exact sizes and members from its filelist.txt.

    The list has a row for the archive and one for each file inside; a row that names a file of the folder
    itself gives that file's size.
    """
    members, sizes = [], {}
    for line in (listing or b"").decode("utf-8", "replace").splitlines():
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) < 4 or line.startswith("#") or not _SAFE_NAME.fullmatch(cells[1]):
            continue
        if cells[3].isdecimal():
            sizes[cells[1]] = int(cells[3])
        if cells[0].casefold() == "file" and cells[1] not in files:
            members.append(cells[1])
    return Supplement(files, tuple(dict.fromkeys(members)), tuple(sizes.items()))


def offered_counts(page: bytes, *, url: str) -> tuple[str, str] | None:
    """Name and address of the raw counts that NCBI made of a series, None where its page offers none."""
    for target in links(page, url=url):
        for name in parse_qs(urlsplit(target).query).get("file", ()):
            if _COUNTS_OF_NCBI.fullmatch(name) and target.startswith("https://www.ncbi.nlm.nih.gov/geo/"):
                return name, target
    return None
