"""Questions to the GDC's API as plain JSON, and its answers: every page, or a clear refusal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consilience.foundation.errors import DownloadError, Problem, did_you_mean, printable
from consilience.foundation.jobs import log
from consilience.sources.gdc.hits import Hit, broken_hit

if TYPE_CHECKING:
    from consilience.downloads.downloads import Downloads

API = "https://api.gdc.cancer.gov/"
PAGE_SIZE = 1000
"""Files in one answer, and ids in one question."""
MAX_STARTS = 3
TRY_LATER = "run again in a while; https://gdc.cancer.gov tells of outages"
FIELDS = (
    "file_id", "file_name", "md5sum", "file_size", "access", "state", "data_type", "experimental_strategy",
    "analysis.workflow_type",
    "annotations.category", "annotations.classification", "annotations.notes",
    "associated_entities.entity_submitter_id", "associated_entities.entity_type",
    "cases.case_id", "cases.submitter_id", "cases.project.project_id", "cases.disease_type",
    "cases.primary_site",
    "cases.demographic.gender", "cases.demographic.race", "cases.demographic.ethnicity",
    "cases.demographic.vital_status", "cases.demographic.days_to_death", "cases.demographic.age_at_index",
    "cases.diagnoses.submitter_id", "cases.diagnoses.diagnosis_is_primary_disease",
    "cases.diagnoses.primary_diagnosis", "cases.diagnoses.age_at_diagnosis",
    "cases.diagnoses.ajcc_pathologic_stage", "cases.diagnoses.tumor_stage", "cases.diagnoses.tumor_grade",
    "cases.diagnoses.days_to_last_follow_up", "cases.diagnoses.prior_malignancy",
    "cases.samples.submitter_id", "cases.samples.sample_type", "cases.samples.sample_type_id",
    "cases.samples.tissue_type", "cases.samples.tumor_descriptor", "cases.samples.preservation_method",
    "cases.samples.portions.analytes.aliquots.submitter_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """Files that the GDC has: `hits` sorted by file id, and `notes` (its warnings)."""

    hits: tuple[Hit, ...]
    notes: tuple[str, ...]


def is_any_of(field: str, values: Sequence[str]) -> dict[str, Any]:
    """A filter: the field has one of these values."""
    return {"op": "in", "content": {"field": field, "value": sorted(values)}}


def all_of(filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A filter: all of these hold."""
    return {"op": "and", "content": list(filters)}


def counts_of(projects: Sequence[str], *, sample_types: Sequence[str] = ()) -> dict[str, Any]:
    """The filter for the open STAR counts of some projects, of all sample types or some."""
    wanted = {
        "access": ["open"], "analysis.workflow_type": ["STAR - Counts"], "cases.project.project_id": projects,
        "data_type": ["Gene Expression Quantification"], "experimental_strategy": ["RNA-Seq"],
    } | ({"cases.samples.sample_type": sample_types} if sample_types else {})  # fmt: skip
    return all_of([is_any_of(field, values) for field, values in wanted.items()])


def files_question(filters: Mapping[str, Any], *, start: int = 0) -> str:
    """The body of one question to /files: a page of `PAGE_SIZE`, sorted by file id, from `start` on."""
    question = {
        "filters": filters, "fields": ",".join(FIELDS), "format": "JSON", "size": PAGE_SIZE, "from": start,
        "sort": "file_id:asc",
    }  # fmt: skip
    return json.dumps(question, sort_keys=True, separators=(",", ":"))


def find_files(downloads: Downloads, *, filters: Mapping[str, Any]) -> Found:
    """Ask for all pages; where the GDC changes its mind between two of them, start over.

    Raises
    ------
    DownloadError
        When the answer is an error, no answer at all, keeps changing, or holds files without size or md5.
    """
    for attempt in range(1, MAX_STARTS + 1):
        found = _all_pages(downloads, filters)
        if isinstance(found, Found):
            return found
        log.info("the GDC's answer changed between two pages (%s); attempt %d", found, attempt)
    raise DownloadError(f"the answer changes while it is read ({found})", where=API + "files", mend=TRY_LATER)


def _all_pages(downloads: Downloads, filters: Mapping[str, Any]) -> Found | str:
    """All hits, or what changed between two pages."""
    hits: dict[str, Hit] = {}
    notes: dict[str, None] = {}
    total = -1
    while total < 0 or len(hits) < total:
        answer = ask(downloads, "files", body=files_question(filters, start=len(hits)))
        page, said = _page_of(answer)
        if warnings := answer.get("warnings"):
            notes[f"the GDC answered with warnings: {printable(json.dumps(warnings), limit=300)}"] = None
        if total not in {-1, said}:
            return f"of {total} files, then of {said}"
        if not page and len(hits) < said:
            return f"{len(hits)} of {said} files, then none"
        total, before = said, len(hits)
        hits |= {str(hit["file_id"]): hit for hit in page}
        if len(hits) != before + len(page):
            return "one file on two pages"
        if len(hits) > total:
            return f"{len(hits)} files where {total} were announced"
    return Found(tuple(hits[one] for one in sorted(hits)), tuple(notes))


def _page_of(answer: Mapping[str, Any]) -> tuple[list[Hit], int]:
    """The hits of one page and how many there are on all pages."""
    try:
        hits, total = list(answer["data"]["hits"]), int(answer["data"]["pagination"]["total"])
    except (KeyError, TypeError, ValueError) as error:
        raise DownloadError(
            f"not a page of files: {error!r} is missing or no number", where=API + "files",
            value=json.dumps(answer)[:200], mend=TRY_LATER,
        ) from error  # fmt: skip
    problems = [
        Problem(f"the file {why}", API + "files", _name_of(hit), mend="tell support@nci-gdc.datacommons.io")
        for hit in hits
        if (why := broken_hit(hit))
    ]
    if problems:
        raise DownloadError.from_problems(problems[:20])
    return hits, total


def _name_of(hit: object) -> str:
    return (
        str(hit.get("file_id") or hit.get("id") or hit)[:80] if isinstance(hit, Mapping) else repr(hit)[:80]
    )


def ask(downloads: Downloads, path: str, *, body: str = "") -> dict[str, Any]:
    """One answer of the API as an object; an error, a web page or anything else is refused and quoted."""
    url = API + path
    content = downloads.read(url, body=body) or b""
    try:
        answer = json.loads(content)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DownloadError(
            f"the answer is not JSON ({error})", where=url, value=_quoted(content), mend=TRY_LATER
        ) from error
    if isinstance(answer, dict):
        message = answer.get("message") or answer.get("error") or answer.get("errors")
        if message and "data" not in answer:
            raise DownloadError(
                f"the GDC refuses: {printable(str(message), limit=300)}", where=url, mend=TRY_LATER
            )
        return answer
    raise DownloadError("the answer is not what the GDC gives here", where=url, value=_quoted(content),
                        mend=TRY_LATER)  # fmt: skip


def _quoted(content: bytes) -> str:
    """The start of an answer; of a web page, its title."""
    text = content[:2000].decode("utf-8", "replace")
    title = re.search(r"<title[^>]*>([^<]{1,200})", text, flags=re.IGNORECASE)
    return title[1].strip() if title else " ".join(text.split())[:200]


def data_release(downloads: Downloads) -> str:
    """The release that the API serves now, as it calls it ("Data Release 41.0 - August 28, 2024")."""
    answer = ask(downloads, "status")
    release = answer.get("data_release")
    if not (isinstance(release, str) and release.strip()):
        raise DownloadError("the status names no data release", where=API + "status",
                            value=json.dumps(answer)[:200], mend=TRY_LATER)  # fmt: skip
    return " ".join(release.split())


def refuse_unknown_projects(downloads: Downloads, projects: Sequence[str]) -> None:
    """Refuse projects that the GDC does not have; all at once, with the name that may have been meant."""
    question = {"fields": "project_id", "format": "JSON", "size": 10_000, "from": 0, "sort": "project_id:asc"}
    answer = ask(downloads, "projects", body=json.dumps(question, sort_keys=True, separators=(",", ":")))
    try:
        known = [str(hit.get("project_id") or hit["id"]) for hit in answer["data"]["hits"]]
    except (KeyError, TypeError, AttributeError):
        known = []
    problems = [
        Problem(
            "the GDC has no such project",
            API + "projects",
            project,
            mend=did_you_mean(project, known) or "https://portal.gdc.cancer.gov/projects lists all of them",
        )
        for project in projects
        if known and project not in known
    ]
    if problems:
        raise DownloadError.from_problems(problems)


def newer_versions(downloads: Downloads, ids: Sequence[str]) -> dict[str, str]:
    """The latest id of files that were superseded, by their old id (those of which the GDC tells one)."""
    body = json.dumps({"ids": sorted(ids)}, separators=(",", ":"))
    try:
        answer = json.loads(downloads.read(API + "files/versions", body=body, optional=True) or b"[]")
        return {
            one["id"]: one["latest_id"] for one in answer if one.get("latest_id") not in {None, one["id"]}
        }
    except (DownloadError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # a kindness beside the error that matters
