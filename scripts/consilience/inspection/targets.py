"""What can be inspected: something local, a GEO series, GDC projects, addresses, a known data set."""

from __future__ import annotations

import re
from pathlib import Path

from consilience.downloads.catalogue import load_catalogue
from consilience.foundation.errors import DataError, did_you_mean
from consilience.inspection.findings import Inspection
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
    if _exists(folder / target):
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
        mend=did_you_mean(target, names) or "mend the path or the name",
    )  # fmt: skip


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
