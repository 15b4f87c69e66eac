"""What a cohort needs from GEO: asked of the series' own folders, with as few requests as will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from consilience.downloads.request import Download
from consilience.foundation.errors import DownloadError
from consilience.sources.geo.addresses import (
    annotation_folder,
    counts_page,
    family_file,
    is_accession,
    matrix_folder,
    supplement_folder,
)
from consilience.sources.geo.choose import (
    MAX_LISTED,
    NO_VALUES,
    UNNAMED,
    Choice,
    choose_by_patterns,
    choose_cells,
    choose_counts,
    refuse_several,
)
from consilience.sources.geo.listings import Supplement, folder_names, offered_counts, supplement_of
from consilience.sources.geo.phenotypes import (
    Method,
    method_of,
    one_platform,
    platforms_of,
    read_series,
    wanted_rows,
)
from consilience.sources.geo.series import Series
from consilience.sources.plans import Plan
from consilience.sources.raw_folder import raw_folder_of
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    from consilience.downloads.downloads import Downloads

NOT_EXPRESSION = (
    "methylation profiling", "genome binding/occupancy profiling", "genome variation profiling",
    "protein profiling", "snp genotyping",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Asked:
    """What GEO said: the `heads` that tell of the samples, the `series`, its selected `rows`, suppl/."""

    accession: str
    heads: tuple[Download, ...]
    series: Series
    rows: list[int]
    method: Method
    supplement: Supplement


def plan_series(*, cohort: Cohort, downloads: Downloads) -> Plan:
    """Ask GEO what a series holds, and choose what the cohort needs of it.

    The series matrices are brought here while planning: their headers say how the samples were measured, of
    what species they are and whether there are supplementary files, and they are needed anyway. Offline, all
    of it comes from the cache.
    """
    asked = _ask(cohort, downloads)
    heads, choice, made = _choose(cohort, asked, downloads)
    folder = supplement_folder(asked.accession)
    size_of = asked.supplement.size_of
    files = [Download(name, folder + quote(name), bytes=size_of(name)) for name in choice.files]
    arrays = cohort.kind == "bulk" and asked.method == "array"
    said = asked.series.facts.get("last_update_date", ("",))[-1]
    return Plan(
        downloads=(*heads, *(_annotation(asked, downloads) if arrays else ()), *files, *made),
        release=f"GEO, last updated {said}" if said else "",
        members=choice.members,
        notes=(*_relations(asked), *choice.notes),
    )


def _ask(cohort: Cohort, downloads: Downloads) -> _Asked:
    """Everything that GEO is asked before the choice; what cannot be used at all is refused here."""
    accession = cohort.location.strip()
    if not is_accession(accession, "GSE"):
        raise DownloadError(
            "not a series of GEO", where=f"cohort {cohort.name}", value=cohort.location,
            allowed="an accession such as GSE55235", mend="mend 'location' in the cohort sheet",
        )  # fmt: skip
    heads = _head_files(accession, downloads)
    series = _header(heads, downloads, accession=accession)
    rows = wanted_rows(series, select=cohort.select)
    types = [one.casefold() for one in series.facts.get("type", ())]
    if types and all(one.startswith(NOT_EXPRESSION) for one in types):
        raise DownloadError(
            "the series holds no gene expression", where=accession, value="; ".join(series.facts["type"]),
            allowed="a series of the type Expression profiling", mend="leave this series out",
        )  # fmt: skip
    method = method_of(series, rows)
    if cohort.kind == "bulk" and method != "sequencing":
        one_platform(series, rows)
    arrays = cohort.kind == "bulk" and method == "array" and not cohort.files
    supplement = Supplement() if arrays else _supplement(series, accession, downloads)
    return _Asked(accession, heads, series, rows, method, supplement)


def _head_files(accession: str, downloads: Downloads) -> tuple[Download, ...]:
    """The files that tell who the samples are: the series matrices, or without them the family file.

    Offline and without the folder's listing, the one matrix of a series on one platform: it may have been
    brought by hand, and if not, its address and its place in the cache are what a person needs to know.
    """
    folder, family = matrix_folder(accession), _family(accession)
    page = downloads.read(folder, optional=True)
    names = [name for name in folder_names(page or b"", url=folder) if "series_matrix.txt" in name]
    if page is None and downloads.settings.offline and not downloads.has(family):
        names = [f"{accession}_series_matrix.txt.gz"]
    return tuple(Download(name, folder + quote(name)) for name in names) or (family,)


def _family(accession: str) -> Download:
    url = family_file(accession)
    return Download(url.rpartition("/")[2], url, optional=True)


def _header(heads: Sequence[Download], downloads: Downloads, *, accession: str) -> Series:
    """Phenotypes and facts of the series, from its head files brought into the cache."""
    with TemporaryDirectory(prefix="consilience-") as scratch:
        into = Path(scratch, "geo", accession)
        files = tuple((one.name, one.path) for one in downloads.bring(heads, into=into))
        series = read_series(raw_folder_of(into, files), values=False)
    if series is None:
        raise DownloadError(
            "GEO has no public series with samples under this accession", where=matrix_folder(accession),
            value=accession, mend="check the accession; a series under embargo cannot be downloaded",
        )  # fmt: skip
    return series


def _supplement(series: Series, accession: str, downloads: Downloads) -> Supplement:
    """What lies in suppl/; not asked for when the series says that it has no supplementary files.

    (GEO answers 403 for an empty folder, which must not be taken for a refusal.)
    """
    said = [one for one in series.facts.get("supplementary_file", ()) if one.upper() != "NONE"]
    if not said:
        return Supplement()
    folder = supplement_folder(accession)
    page = downloads.read(folder, optional=True)
    if page is None:  # offline, with files brought by hand: the series names them too
        return Supplement(tuple(unquote(one.rpartition("/")[2]) for one in said))
    files = folder_names(page, url=folder)
    listing = downloads.read(f"{folder}filelist.txt", optional=True) if "filelist.txt" in files else None
    return supplement_of(tuple(name for name in files if name != "filelist.txt"), listing)


def _choose(
    cohort: Cohort, asked: _Asked, downloads: Downloads
) -> tuple[Sequence[Download], Choice, list[Download]]:
    """Head files, supplementary files, and what NCBI made itself."""
    made: list[Download] = []
    if cohort.files:
        return _choose_named(cohort, asked, downloads)
    if cohort.kind != "bulk":
        choice = choose_cells(asked.supplement, where=asked.accession)
    elif asked.method == "array":
        return asked.heads, Choice(), []
    else:
        choice = choose_counts(asked.supplement, units=cohort.units)
        if choice.rank >= UNNAMED and cohort.units in {"", "counts"}:
            made = _ncbi_counts(asked.accession, downloads)
        if made:
            choice = Choice(notes=("the authors give no table of counts: those that NCBI made are taken",))
        else:
            choice = refuse_several(choice, where=asked.accession)
    if choice.rank == NO_VALUES and not made:
        raise _nothing(cohort, asked)
    return asked.heads, choice, made


def _choose_named(
    cohort: Cohort, asked: _Asked, downloads: Downloads
) -> tuple[Sequence[Download], Choice, list[Download]]:
    """What the patterns of the cohort sheet name; the samples' own files come along in any case."""
    made: list[Download] = []
    if any("NCBI" in pattern for pattern in cohort.files):
        made = _ncbi_counts(asked.accession, downloads)
    family = _family(asked.accession)
    names, choice = choose_by_patterns(
        cohort.files, known=[one.name for one in (*asked.heads, family, *made)], supplement=asked.supplement,
        where=asked.accession,
    )  # fmt: skip
    heads = [one for one in asked.heads if one.name in names] or list(asked.heads)
    heads += [family] if family.name in names and family not in heads else []
    return heads, choice, [one for one in made if one.name in names]


def _ncbi_counts(accession: str, downloads: Downloads) -> list[Download]:
    """The raw counts that NCBI made of a series' reads, if its download page offers them."""
    url = counts_page(accession)
    offered = offered_counts(downloads.read(url, optional=True) or b"", url=url)
    return [Download(*offered)] if offered else []


def _annotation(asked: _Asked, downloads: Downloads) -> list[Download]:
    """The tables of an array's probes: GEO's annotation of the platform, else the one in the family file.

    Only trying tells whether a platform has an annotation; what was tried stays in the cache.
    """
    wanted = [
        Download(f"{name}.annot.gz", f"{annotation_folder(name)}{name}.annot.gz", optional=True)
        for name in platforms_of(asked.series, asked.rows)
        if is_accession(name, "GPL")
    ]
    with TemporaryDirectory(prefix="consilience-") as scratch:
        arrived = {one.name for one in downloads.bring(wanted, into=Path(scratch))}
    found = [one for one in wanted if one.name in arrived]
    family = _family(asked.accession)
    enough = (wanted and len(found) == len(wanted)) or family in asked.heads
    return found if enough else [*found, family]


def _relations(asked: _Asked) -> list[str]:
    """That a series is made of others, or is part of one."""
    notes = []
    for what, words in (
        ("SuperSeries of", "is made of other series"), ("SubSeries of", "is part of another series"),
    ):  # fmt: skip
        found = [one for one in asked.series.facts.get("relation", ()) if one.startswith(f"{what}:")]
        if found:
            names = ", ".join(one.partition(":")[2].strip() for one in found)
            notes.append(f"{asked.accession} {words}: {names}")
    return notes


def _nothing(cohort: Cohort, asked: _Asked) -> DownloadError:
    """The error for a series without anything that this kind of cohort could be read from."""
    what = "table of counts" if cohort.kind == "bulk" else "matrix of cells"
    names = [*asked.supplement.files, *asked.supplement.members]
    parts = [one for one in _relations(asked) if "is made of" in one]
    mend = "name files of it in 'files' of the cohort sheet, or bring the data by hand as a local cohort"
    if parts:
        mend = "give one of the series that it is made of as 'location'; " + mend
    return DownloadError(
        f"the series offers no {what} that could be told by its name" + "".join(f"; {one}" for one in parts),
        where=asked.accession,
        value=", ".join(names[:MAX_LISTED]) + (" …" if len(names) > MAX_LISTED else "") or "no files",
        mend=mend,
    )
