"""What a GDC cohort needs: the files of its projects, or exactly those of a manifest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from consilience.downloads.request import Download
from consilience.foundation.errors import ConfigError, DataError, DownloadError, Problem, did_you_mean
from consilience.foundation.files import write_text
from consilience.sources.gdc.hits import Hit, counts_only, flatten, phenotype, some
from consilience.sources.gdc.manifest import Entry, manifest_text, read_manifest
from consilience.sources.gdc.query import (
    API,
    PAGE_SIZE,
    Found,
    counts_of,
    data_release,
    find_files,
    is_any_of,
    newer_versions,
    refuse_unknown_projects,
)
from consilience.sources.plans import Plan
from consilience.study.cohorts import Cohort
from consilience.study.selection import parse_selection, selected_rows

if TYPE_CHECKING:
    from consilience.downloads.downloads import Downloads

DATA = API + "data/"
HOW_TO_GET_ACCESS = (
    "controlled files need a token: get one at https://portal.gdc.cancer.gov (your name, Download Token) and "
    "put it into the variable GDC_TOKEN, or into a file of mode 0600 that fetch.gdc_token_file names"
)


def plan_project(*, cohort: Cohort, downloads: Downloads) -> Plan:
    """Ask the GDC for the cohort's files: of the projects of its location, or of the manifest there."""
    where = f"cohort {cohort.name}"
    release = data_release(downloads)
    manifest = is_manifest(cohort.location)
    types = parse_selection(cohort.select).get("sample_type", ())
    if manifest:
        found = files_of_manifest(downloads, path=downloads.folder / cohort.location)
    else:
        found = files_of_projects(downloads, projects=cohort.location.split("|"), sample_types=types)
    hits, left = counts_only(found.hits)
    hits = [hit for hit in hits if _fits(hit["file_name"], cohort.files)]
    if not hits:
        raise DownloadError(
            "none of the files is a table of gene counts", where=where, value=cohort.location,
            allowed="STAR counts (*.rna_seq.augmented_star_gene_counts.tsv) that fit 'files'",
        )  # fmt: skip
    columns = phenotype([flatten(hit) for hit in hits])
    hits = [hits[row] for row in selected_rows(cohort.select, columns, where=where)]
    refuse_controlled(hits, downloads=downloads)
    return Plan(
        downloads=tuple(map(download_of, hits)),
        written={"files.json": answer_text(hits), "manifest.tsv": manifest_text(hits, release=release)},
        release=release,
        notes=(*found.notes, *left),
    )


def is_manifest(location: str) -> bool:
    """Whether a location is the path of a manifest (the cohort sheet allows only these two endings)."""
    return location.endswith((".tsv", ".txt"))


def files_of_projects(
    downloads: Downloads, *, projects: Sequence[str], sample_types: Sequence[str] = ()
) -> Found:
    """The open STAR counts of some projects; a project without any is refused, by name."""
    found = find_files(downloads, filters=counts_of(projects, sample_types=sample_types))
    if sample_types and not found.hits:
        # misspelt, or told only by the barcodes: the choice among all files says which
        found = find_files(downloads, filters=counts_of(projects))
    have = {flatten(hit).get("cases.project.project_id", "") for hit in found.hits}
    lost = [project for project in projects if project not in have]
    if lost:
        refuse_unknown_projects(downloads, lost)
        of_type = f" of sample type {' or '.join(sample_types)}" if sample_types else ""
        raise DownloadError(
            f"the project has no open STAR counts{of_type}", where=API + "files", value=", ".join(lost),
            mend="look at https://portal.gdc.cancer.gov/projects for what it has",
        )  # fmt: skip
    return found


def files_of_manifest(downloads: Downloads, *, path: Path) -> Found:
    """The files of a manifest, as the GDC describes them now; what it lacks or changed is refused."""
    entries = read_manifest(path)
    hits: list[Hit] = []
    notes: list[str] = []
    for start in range(0, len(entries), PAGE_SIZE):
        ids = [entry.id for entry in entries[start : start + PAGE_SIZE]]
        found = find_files(downloads, filters=is_any_of("file_id", ids))
        hits += found.hits
        notes += found.notes
    by_id = {str(hit["file_id"]): hit for hit in hits}
    _refuse_superseded(entries, by_id, downloads=downloads, path=path)
    problems = [
        Problem(
            f"the manifest's {what} is not the GDC's",
            f"{path}: {entry.id}",
            str(ours),
            str(theirs),
            f"correct it, or {_renew(path)}",
        )
        for entry in entries
        for what, ours, theirs in _differences(entry, by_id[entry.id])
    ]
    if problems:
        raise DataError.from_problems(problems[:30])
    return Found(tuple(by_id[entry.id] for entry in entries), tuple(dict.fromkeys(notes)))


def _refuse_superseded(
    entries: Sequence[Entry], by_id: dict[str, Hit], *, downloads: Downloads, path: Path
) -> None:
    lost = [entry.id for entry in entries if entry.id not in by_id]
    if not lost:
        return
    newer = newer_versions(downloads, lost)
    listed = some(f"{one} (now {newer[one]})" if one in newer else one for one in lost)
    raise DownloadError(
        f"{len(lost)} of {len(entries)} files of the manifest are no longer served; a newer release "
        f"superseded or withdrew them: {listed}",
        where=str(path),
        mend=_renew(path),
    )


def _renew(path: Path) -> str:
    return f"write the manifest again: `consilience manifest PROJECT … --out {path}`"


def _differences(entry: Entry, hit: Hit) -> list[tuple[str, Any, Any]]:
    pairs = (
        ("filename", entry.filename, hit["file_name"]), ("md5", entry.md5, hit["md5sum"]),
        ("size", entry.size, hit["file_size"]),
    )  # fmt: skip
    return [(what, ours, theirs) for what, ours, theirs in pairs if ours != theirs]


def refuse_controlled(hits: Sequence[Hit], *, downloads: Downloads) -> None:
    """Refuse controlled files where there is no token, before anything is downloaded."""
    controlled = [str(hit["file_id"]) for hit in hits if hit.get("access") == "controlled"]
    if controlled and not downloads.has_token():
        raise DownloadError(
            f"{len(controlled)} of {len(hits)} files are controlled: {some(controlled)}", where=API + "data",
            mend=HOW_TO_GET_ACCESS,
        )  # fmt: skip


def write_manifest(
    downloads: Downloads, *, projects: Sequence[str], sample_types: Sequence[str], path: Path
) -> str:
    """Write the manifest of what some projects have now, and say in one line what it lists."""
    if path.suffix not in {".tsv", ".txt"}:
        raise ConfigError("a manifest must be named .tsv or .txt", where="--out", value=path,
                          mend="so that the cohort sheet can tell it from a project")  # fmt: skip
    release = data_release(downloads)
    found = files_of_projects(downloads, projects=projects, sample_types=sample_types)
    columns = phenotype([flatten(hit) for hit in found.hits])
    kinds = columns.get("sample_type", ("",) * len(found.hits))
    absent = [one for one in sample_types if one not in kinds]
    if absent:
        present = ", ".join(sorted(set(kinds)))
        raise DownloadError("no file has this sample type", where="--sample-type", value=", ".join(absent),
                            allowed=present, mend=did_you_mean(absent[0], kinds))  # fmt: skip
    hits = [
        hit for hit, kind in zip(found.hits, kinds, strict=True) if not sample_types or kind in sample_types
    ]
    write_text(path, manifest_text(hits, release=release))
    chosen = Counter(kind for kind in kinds if not sample_types or kind in sample_types)
    counted = ", ".join(f"{kind or 'of no stated type'} {n}" for kind, n in sorted(chosen.items()))
    size = sum(int(hit["file_size"]) for hit in hits) / 1e6
    return f"{path}: {len(hits)} files ({counted}), {size:,.1f} MB, {release}"


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(PurePosixPath(name).match(pattern) for pattern in patterns)


def download_of(hit: Hit) -> Download:
    """One file, under its id, with the size and md5 that the GDC gives."""
    return Download(
        name=f"{hit['file_id']}/{hit['file_name']}", url=f"{DATA}{hit['file_id']}",
        bytes=int(hit["file_size"]), md5=str(hit["md5sum"]), authorised=hit.get("access") == "controlled",
    )  # fmt: skip


def answer_text(hits: Sequence[Hit]) -> str:
    """All hits as one answer of the files service, the same text for the same files."""
    page = {
        "count": len(hits), "from": 0, "page": 1, "pages": 1, "size": len(hits), "sort": "file_id:asc",
        "total": len(hits),
    }  # fmt: skip
    answer = {"data": {"hits": list(hits), "pagination": page}, "warnings": {}}
    return json.dumps(answer, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
