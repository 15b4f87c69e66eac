"""What a cohort needs from its source: the plan that the fetcher carries out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from consilience.downloads.request import Download
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection

if TYPE_CHECKING:
    from consilience.downloads.downloads import Downloads


@dataclass(frozen=True, slots=True)
class Plan:
    """Files to bring, and what the source says of itself.

    `downloads` in the order in which they are worth having; `written` texts that belong to the raw files,
    by name (a manifest); `release` of the source ("" where it has none); `members` shell patterns of the
    members wanted from archives (() for all); `notes` what a reader should be told.
    """

    downloads: tuple[Download, ...]
    written: Mapping[str, str] = field(default_factory=dict)
    release: str = ""
    members: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan_cohort(*, cohort: Cohort, downloads: Downloads) -> Plan:
    """Ask the cohort's source what there is, and choose what is wanted.

    Sizes and digests that resources/datasets.tsv knows are added.
    """
    from consilience.downloads.catalogue import load_catalogue

    plan = _plan(cohort, downloads)
    catalogue = load_catalogue()
    return replace(plan, downloads=tuple(catalogue.pin(one) for one in plan.downloads))


def _plan(cohort: Cohort, downloads: Downloads) -> Plan:
    if cohort.source == "geo":
        from consilience.sources.geo.plan import plan_series

        return plan_series(cohort=cohort, downloads=downloads)
    if cohort.source == "gdc":
        from consilience.sources.gdc.plan import plan_project

        return plan_project(cohort=cohort, downloads=downloads)
    from consilience.sources.addresses import plan_addresses

    return plan_addresses(cohort=cohort, downloads=downloads)


def fill_cache(plan: Plan, *, cohort: Cohort, downloads: Downloads, settings: FetchSection) -> None:
    """Where a source hands out many files at once, take them so; `Downloads.bring` fetches what is left."""
    if cohort.source == "gdc" and not settings.offline:
        from consilience.sources.gdc.batches import fill_cache as ask_in_batches

        ask_in_batches(plan, downloads, batch=settings.gdc_batch)
