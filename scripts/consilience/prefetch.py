"""Bring a study's downloads into the cache beforehand: on the one machine that has a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from consilience.foundation.errors import ConfigError, ConsilienceError, Problem, did_you_mean
from consilience.sources.fetch import NETWORK_SOURCES
from consilience.study.cohorts import Cohort
from consilience.study.config import key_lines, validate_config
from consilience.study.sheet import read_sheet


def prefetch(
    values: Mapping[str, Any],
    *,
    config_file: Path,
    names: Sequence[str] = (),
    list_only: bool = False,
    folder: Path | None = None,
) -> Iterator[str]:
    """Fill the cache for the cohorts of a study that are downloaded; yield a line about each.

    A cohort that fails does not keep the others from being fetched; all failures are raised at the end.

    Parameters
    ----------
    names
        Only these cohorts (all when empty).
    list_only
        Only say what is missing.
    """
    folder = folder or Path()
    config = validate_config(values, lines=key_lines([config_file]))
    cohorts = read_sheet(folder / config.study.cohorts, folder=folder)
    problems: list[Problem] = []
    for cohort in _chosen(cohorts, names):
        try:
            yield from _one(cohort, config.fetch, folder=folder, list_only=list_only)
        except ConsilienceError as error:
            problems += [replace(one, what=f"cohort {cohort.name}: {one.what}") for one in error.problems]
            yield f"{cohort.name}: not complete (see below)"
    if problems:
        raise ConsilienceError.from_problems(problems)


def _one(cohort: Cohort, settings: Any, *, folder: Path, list_only: bool) -> Iterator[str]:
    from consilience.downloads.downloads import Downloads
    from consilience.sources.plans import fill_cache, plan_cohort

    downloads = Downloads(settings, folder=folder)
    plan = plan_cohort(cohort=cohort, downloads=downloads)
    missing = downloads.missing(plan.downloads)
    n_files = len(plan.downloads)
    if not missing:
        yield f"{cohort.name}: all {n_files} files are in the cache"
    elif list_only:
        known = sum(one.bytes or 0 for one in missing)
        unknown = sum(one.bytes is None for one in missing)
        more = f" and {unknown} of unknown size" if unknown else ""
        sizes = f"{known / 1e6:,.1f} MB{more}"
        yield f"{cohort.name}: {len(missing)} of {n_files} files not in the cache ({sizes})"
        for one in missing:
            size = f"{one.bytes:,} bytes" if one.bytes is not None else "size unknown"
            yield f"  {one.url}  ({size}; its place by hand: {downloads.place_of(one)})"
    else:
        fill_cache(plan, cohort=cohort, downloads=downloads, settings=settings)
        downloads.fill(plan.downloads)
        yield f"{cohort.name}: {len(missing)} files brought, {n_files} in the cache"


def _chosen(cohorts: Sequence[Cohort], names: Sequence[str]) -> list[Cohort]:
    known = [cohort.name for cohort in cohorts]
    for name in names:
        if name not in known:
            raise ConfigError("no cohort of this name in the sheet", value=name, allowed=", ".join(known),
                              mend=did_you_mean(name, known))  # fmt: skip
    return [
        cohort
        for cohort in cohorts
        if cohort.source in NETWORK_SOURCES and (not names or cohort.name in names)
    ]
