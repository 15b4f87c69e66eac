"""Inspect what lies elsewhere: listings and phenotypes are asked for, measurements stay where they are."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from consilience.downloads.answers import Temporary
from consilience.downloads.catalogue import load_catalogue
from consilience.downloads.request import Download
from consilience.foundation.errors import ConsilienceError, DownloadError
from consilience.foundation.files import write_text
from consilience.inspection.columns import see_columns
from consilience.inspection.findings import FileSeen, Inspection
from consilience.inspection.local import guess_kind, inspect_bulk, inspect_local
from consilience.inspection.proposal import propose
from consilience.inspection.show import size_text
from consilience.sources.formats import file_kind, kind_by_name
from consilience.sources.raw_folder import RawFolder, raw_folder_of
from consilience.study.cohorts import Cohort, Kind
from consilience.study.sections import FetchSection

if TYPE_CHECKING:
    from consilience.downloads.downloads import Downloads

SMALL = 500_000_000
"""Files up to this size that are in the cache are looked into."""
N_START = 512
_CELLS = r"matrix\.mtx|barcodes|\.h5ad|filtered_(feature|gene)|\.loom"


def inspect_series(accession: str, *, settings: FetchSection, folder: Path) -> Inspection:
    """Files of a GEO series, the phenotypes of its samples, and what a study would fetch."""
    from consilience.sources.geo.plan import plan_series

    downloads = _open(settings, folder)
    heads, supplements = _listed(accession, downloads)
    cells = any(re.search(_CELLS, one.name, re.IGNORECASE) for one in supplements)
    kind: Kind = "single_cell" if cells else "bulk"
    notes: list[str] = []
    facts, wanted, values = {}, tuple(heads), False
    try:
        plan = plan_series(cohort=Cohort(accession, kind, "geo", location=accession), downloads=downloads)
        facts["a study would fetch"] = ", ".join(one.name for one in plan.downloads)
        if plan.release:
            facts["release"] = plan.release
        notes += plan.notes
        if not {one.url for one in supplements} & {one.url for one in plan.downloads}:
            wanted, values = plan.downloads, True
    except ConsilienceError as error:
        if settings.offline and not supplements:
            raise
        notes.append(f"a study could not fetch this series as it is: {error}")
    if not wanted and not supplements:
        raise DownloadError(
            "nothing is served for this series", where="GEO", value=accession,
            mend="check the accession; a series under embargo cannot be downloaded",
        )  # fmt: skip
    files = (*heads, *supplements)
    later = () if values else ("units: the values were not seen; empty means whole counts, or an array",)
    seen = tuple(FileSeen(one.name, one.bytes, _what(one.name), one.url) for one in files)
    with tempfile.TemporaryDirectory(prefix="consilience-") as scratch:
        here = _bring(wanted, downloads, Path(scratch))
        if not values:
            notes.append("the values are not looked at before a study has fetched them")
        found = inspect_bulk(here, seen, location=accession, notes=notes, source="geo", facts=facts,
                             values=values)  # fmt: skip
    if not cells:
        row = found.proposal
        return replace(found, proposal=row and replace(row, decide=(*row.decide, *later)))
    row = propose(kind=kind, source="geo", location=accession, columns=found.columns)
    return replace(found, kind=kind, proposal=row)


def _listed(accession: str, downloads: Downloads) -> tuple[list[Download], list[Download]]:
    """Series matrices and supplementary files that GEO lists."""
    from consilience.sources.geo.addresses import matrix_folder, supplement_folder
    from consilience.sources.geo.listings import folder_names

    found = []
    for url in (matrix_folder(accession), supplement_folder(accession)):
        try:
            page = downloads.read(url, optional=True) or b""
        except Temporary:
            raise
        except DownloadError:
            page = b""  # GEO refuses to list a folder that is empty
        names = [name for name in folder_names(page, url=url) if name != "filelist.txt"]
        found.append([Download(name, url + quote(name)) for name in names])
    return found[0], found[1]


def _what(name: str) -> str:
    """What a file that is not here is called."""
    return "series_matrix" if "series_matrix" in name else "supplement"


def inspect_projects(location: str, *, settings: FetchSection, folder: Path) -> Inspection:
    """Counts of GDC projects: how many files of each sample type, and the phenotypes the GDC knows."""
    from consilience.sources.gdc.hits import flatten, phenotype, read_hits
    from consilience.sources.gdc.plan import plan_project

    cohort = Cohort("inspected", "bulk", "gdc", location=location)
    plan = plan_project(cohort=cohort, downloads=_open(settings, folder))
    with tempfile.TemporaryDirectory(prefix="consilience-") as scratch:
        answer = Path(scratch) / "files.json"
        write_text(answer, plan.written[answer.name])
        texts = phenotype([flatten(hit) for hit in read_hits(answer)[0]])
    columns = see_columns(texts)
    total = sum(one.bytes or 0 for one in plan.downloads)
    facts = {
        "files": f"{len(plan.downloads):,} STAR counts, {size_text(total)}", "release": plan.release,
    }  # fmt: skip
    files = tuple(FileSeen(one.name, one.bytes, "star_counts", one.url) for one in plan.downloads)
    row = propose(kind="bulk", source="gdc", location=location, columns=columns, texts=texts)
    return Inspection(location, "bulk", files, facts, tuple(columns), "samples", row, plan.notes)


def inspect_addresses(target: str, *, kind: str, settings: FetchSection, folder: Path) -> Inspection:
    """Files at addresses or of a known data set: looked into where they are in the cache, else begun."""
    from consilience.sources.addresses import plan_addresses

    plan = plan_addresses(cohort=Cohort("inspected", "bulk", "url", location=target))
    catalogue = load_catalogue()
    wanted = tuple(map(catalogue.pin, plan.downloads))
    facts = {}
    for row in catalogue.known:
        if row.dataset == target:
            about = f"{row.reference}; licence: {row.licence}; {row.checked}; {row.note}"
            facts[row.download.name] = about.removesuffix("; ")
    downloads = _open(settings, folder)
    with tempfile.TemporaryDirectory(prefix="consilience-") as scratch:
        if _is_small(wanted) and not downloads.missing(wanted):
            _bring(wanted, downloads, Path(scratch))
            found = inspect_local(Path(scratch), location=target, kind=kind, source="url")
            return replace(found, target=target, facts=facts | dict(found.facts))
        here, notes = _starts(wanted, downloads, Path(scratch))
        kinds = dict(zip([name for name, _ in here.files], here.kinds, strict=True))
        files = tuple(
            FileSeen(one.name, one.bytes, kinds.get(one.name, "unknown"), one.url) for one in wanted
        )
        kind = kind or ("single_cell" if (guessed := guess_kind(here)) == "cells" else guessed)
    row_found = propose(kind=kind, source="url", location=target, columns=[])
    if not kinds:
        unknown = f"kind: nothing was seen of the files, so {kind} is a guess; say it with --kind"
        row_found = replace(row_found, decide=(unknown, *row_found.decide))
    notes.append("the columns cannot be seen before the files are here: fetch them and inspect again")
    return Inspection(target, kind, files, facts, (), "samples", row_found, (*plan.notes, *notes))


def _is_small(wanted: Sequence[Download]) -> bool:
    """Whether files can be looked into at once (those of unknown size are none of the large known ones)."""
    return sum(one.bytes or 0 for one in wanted) <= SMALL


def _open(settings: FetchSection, folder: Path) -> Downloads:
    from consilience.downloads.downloads import Downloads

    return Downloads(settings, folder=folder)


def _bring(wanted: Sequence[Download], downloads: Downloads, into: Path) -> RawFolder:
    arrived = downloads.bring(wanted, into=into)
    return raw_folder_of(into, tuple((one.name, into / one.name) for one in arrived))


def _starts(wanted: Sequence[Download], downloads: Downloads, scratch: Path) -> tuple[RawFolder, list[str]]:
    """What each file is, from its first bytes; those that cannot be had are said and told by name."""
    names, kinds, notes = [], [], []
    for one in wanted:
        path = scratch / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with downloads.stream(one.url) as answer:
                path.write_bytes(answer.read(N_START))
            kinds.append(file_kind(one.name, path))
            names.append((one.name, path))
        except DownloadError as error:
            notes.append(str(error))
            if named := kind_by_name(one.name):
                kinds.append(named)
                names.append((one.name, path))
        except ConsilienceError as error:
            look = "open the address in a browser to see what it serves"
            notes += [str(replace(found, where=one.url, mend=look)) for found in error.problems]
    return RawFolder(scratch, tuple(names), tuple(kinds), {}), notes
