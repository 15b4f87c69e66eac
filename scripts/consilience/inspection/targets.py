"""What can be inspected: something local, a GEO series, GDC projects, addresses, a known data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from consilience.downloads.catalogue import load_catalogue
from consilience.foundation.errors import ConsilienceError, DataError, did_you_mean
from consilience.inspection.findings import Inspection
from consilience.sources.formats import file_kind
from consilience.study.sections import FetchSection

_PROJECT = r"[A-Z0-9]{2,20}(-[A-Z0-9_]+){1,4}"


def inspect_target(
    target: str, *, kind: str = "", settings: FetchSection | None = None, folder: Path | None = None
) -> Inspection:
    """Inspect anything a cohort sheet can name.

    Parameters
    ----------
    target
        A local file or folder, a GEO series (GSE55235), GDC project(s) (TCGA-KICH), address(es) joined by |,
        or a name from resources/datasets.tsv. What exists here under this name comes first.
    kind
        The kind of cohort, where it is known better than by the files.
    settings
        How to reach the network (cache, mirrors, offline).
    folder
        What relative paths are relative to.
    """
    folder, settings = folder or Path(), settings or FetchSection()
    if _is_manifest(folder / target):
        from consilience.inspection.remote import inspect_projects

        return inspect_projects(target, settings=settings, folder=folder)
    if target.strip() and _exists(folder / target):
        from consilience.inspection.local import inspect_local

        return inspect_local(folder / target, location=target, kind=kind)
    if re.fullmatch(r"GSE[0-9]{1,8}", target):
        from consilience.inspection.remote import inspect_series

        return inspect_series(target, settings=settings, folder=folder)
    names = load_catalogue().names
    if re.match("https?://", target) or target in names:
        from consilience.inspection.remote import inspect_addresses

        return inspect_addresses(target, kind=kind, settings=settings, folder=folder)
    if re.fullmatch(rf"{_PROJECT}(\|{_PROJECT})*", target):
        from consilience.inspection.remote import inspect_projects

        return inspect_projects(target, settings=settings, folder=folder)
    raise DataError(
        "neither a file or folder here nor anything that can be downloaded", value=target,
        allowed="a path, a GEO series (GSE55235), a GDC project (TCGA-KICH), an https:// address, or one of "
        + ", ".join(names),
        mend=_suggestion(target, names),
    )  # fmt: skip


def _suggestion(target: str, names: Sequence[str]) -> str:
    """What was probably meant: the same in capitals, a similar name, or that only series can be fetched."""
    plain = target.strip().upper().replace(" ", "").replace("_", "-")
    if re.fullmatch(r"GSE[0-9]{1,8}", plain):
        return f"did you mean {plain!r}?"
    if re.fullmatch(r"(GSM|GPL|GDS)[0-9]+", plain):
        return "GEO is asked by series: open this accession at GEO and give the GSE it belongs to"
    if re.fullmatch(r"([SED]R[APRSX]|PRJ[A-Z]+|E-[A-Z]{4}-|EGA[A-Z])[0-9]+", plain):
        return "only GEO and the GDC are asked by accession: give the addresses of its tables of counts"
    if close := did_you_mean(target, names):
        return close
    if plain != target and re.fullmatch(rf"{_PROJECT}(\|{_PROJECT})*", plain):
        return f"did you mean {plain!r}?"
    return "mend the path or the name"


def _is_manifest(path: Path) -> bool:
    """Whether this is a manifest of the GDC: a location of the source gdc, not data."""
    try:
        return path.is_file() and file_kind(path.name, path) == "gdc_manifest"
    except (OSError, ValueError, ConsilienceError):
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
