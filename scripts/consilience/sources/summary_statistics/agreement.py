"""Do GWAS, eQTL and LD speak of the same variants? Names are shared by place where one side has no rsids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.columns import Associations
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.panel import first_match
from consilience.sources.summary_statistics.variants import PLACE_NAME, name_hashes

MOVED_ALARM = 0.01
MOVED_REFUSED = 0.5


def share_names(
    gwas: Associations, eqtl: Associations, *, builds: Mapping[str, str], where: str, findings: Findings
) -> tuple[Associations, Associations]:
    """Give variants named by their place the rsid that the other table has for this place and these alleles.

    Refused where the two tables are of different builds and nothing but places could join them.
    """
    by_place = {"GWAS": _by_place(gwas), "eQTL": _by_place(eqtl)}
    needed = by_place["GWAS"].any() != by_place["eQTL"].any() or (
        by_place["GWAS"].any() and not by_place["GWAS"].all()
    )
    if not needed:
        if by_place["GWAS"].all() and by_place["eQTL"].all():
            _refuse_two_builds(builds, where=where)
        return gwas, eqtl
    moved, shared = _moved(gwas, eqtl, ~by_place["GWAS"], ~by_place["eQTL"])
    if not shared:
        _refuse_two_builds(builds, where=where)
    if moved > MOVED_REFUSED * shared:
        raise DataError(
            f"{moved:,} of {shared:,} shared names stand elsewhere in the eQTL table, so its places cannot "
            "name the others",
            where=where,
            mend="give both tables in one genome build (no liftover is done here), or rsids in both",
        )
    renamed_gwas = _renamed(gwas, by_place["GWAS"], eqtl, ~by_place["eQTL"])
    renamed_eqtl = _renamed(eqtl, by_place["eQTL"], gwas, ~by_place["GWAS"])
    for what, number in (("GWAS", renamed_gwas[1]), ("eQTL", renamed_eqtl[1])):
        if number:
            findings.note(
                f"{number:,} {what} variants without rsid got the other table's name by place and alleles"
            )
    if not all(builds.values()):
        findings.alarm(
            "variants were joined by place, but the genome build of "
            + " and ".join(what for what, build in builds.items() if not build)
            + " is not known: set summary_statistics: build"
        )
    return renamed_gwas[0], renamed_eqtl[0]


def _by_place(found: Associations) -> npt.NDArray[np.bool_]:
    import pyarrow.compute as pc

    mask = pc.match_substring_regex(found.table.column("rsid"), PLACE_NAME)
    return np.asarray(mask.to_numpy(), dtype=bool)


def _refuse_two_builds(builds: Mapping[str, str], *, where: str) -> None:
    if len({build for build in builds.values() if build}) > 1:
        raise DataError(
            "variants have no rsids in common and the tables are of different genome builds",
            where=where,
            value=", ".join(f"{what}: {build}" for what, build in builds.items()),
            mend="give both tables in one genome build (no liftover is done here), or rsids in both",
        )


def _renamed(
    found: Associations, nameless: npt.NDArray[Any], other: Associations, named: npt.NDArray[Any]
) -> tuple[Associations, int]:
    """`found` with the names that `other` has for its nameless variants, and how many these are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    givers = np.flatnonzero(named & (other.position > 0))
    match = first_match(found.places(), other.places()[givers])
    taken = nameless & (match >= 0)
    if not taken.any():
        return found, 0
    source = givers[match[taken]]
    taken[taken] = ~np.isin(other.keys[source], found.keys)  # a name that is already there stays where it is
    names = other.table.column("rsid").take(pa.array(givers[match[taken]])).combine_chunks()
    old = found.table.column("rsid").combine_chunks()
    new = pc.replace_with_mask(old, pa.array(taken), names)
    table = found.table.set_column(found.table.column_names.index("rsid"), "rsid", new)
    return Associations(found.what, table, name_hashes(new), found.scale), int(taken.sum())


def _moved(
    gwas: Associations, eqtl: Associations, in_gwas: npt.NDArray[Any], in_eqtl: npt.NDArray[Any]
) -> tuple[int, int]:
    """How many variants that both tables name stand at different positions, and how many they share."""
    left, right = np.flatnonzero(in_gwas & (gwas.position > 0)), np.flatnonzero(in_eqtl & (eqtl.position > 0))
    _, first, second = np.intersect1d(gwas.keys[left], eqtl.keys[right], return_indices=True)
    return int((gwas.position[left[first]] != eqtl.position[right[second]]).sum()), len(first)


def compare_sources(
    gwas: Associations | None,
    eqtl: Associations | None,
    ld_variants: set[str] | None,
    *,
    builds: Mapping[str, str],
    findings: Findings,
) -> None:
    """Say how far the sources that have rows speak of the same variants, at the same places."""
    import pyarrow as pa

    keys = {}
    if gwas:
        keys["GWAS"] = gwas.keys
    if eqtl:
        keys["eQTL"] = np.unique(eqtl.keys)
    if ld_variants:
        keys["LD"] = name_hashes(pa.array(sorted(ld_variants), pa.string()))
    if len(keys) < 2:
        return
    shared = next(iter(keys.values()))
    for others in keys.values():
        shared = np.intersect1d(shared, others)
    all_of_them = {2: "both", 3: "all three"}[len(keys)]
    findings.note(
        "; ".join(f"{len(names):,} variants in the {kind}" for kind, names in keys.items())
        + f"; {len(shared):,} in {all_of_them}"
    )
    if len(shared) < 0.5 * min(map(len, keys.values())):
        findings.alarm(
            f"fewer than half of the variants are in {' and '.join(keys)}: do all use the same names?"
        )
    if gwas and eqtl:
        everywhere = np.ones(len(gwas), dtype=bool), np.ones(len(eqtl), dtype=bool)
        _compare_places(*_moved(gwas, eqtl, *everywhere), builds=builds, findings=findings)


def _compare_places(moved: int, both: int, *, builds: Mapping[str, str], findings: Findings) -> None:
    """Two tables joined by rsid may be of two builds: that is no error, but no place may be compared."""
    stated = {what: build for what, build in builds.items() if build}
    differ = len(set(stated.values())) > 1
    elsewhere = moved > MOVED_ALARM * max(both, 1)
    if not (differ or elsewhere):
        return
    said = "the tables are of different genome builds (" + ", ".join(map(": ".join, stated.items())) + ")"
    seen = f"{moved:,} of {both:,} shared variants stand elsewhere in the eQTL table"
    if differ and elsewhere:
        told = f"{said}: {seen}."
    elif differ:
        told = f"{said}, but only {seen}: is one build stated wrongly?"
    else:
        told = f"{seen}: another build?"
    findings.alarm(
        f"{told} Variants are joined by name, which is right in any build; each table keeps its own "
        "positions (no liftover is done), so distances from one table to the other would be wrong"
    )
