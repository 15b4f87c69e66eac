"""The comparison of one cohort: all generators side by side, the frontier, and the one that is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.frontier import choose, standings
from consilience.augment.judging import REAL_TRAIN
from consilience.augment.release import limits_told, thresholds_of
from consilience.foundation.files import read_json, write_json, write_parquet
from consilience.measures.plain import plain
from consilience.measures.release import LEVELS, PrivacyThresholds

if TYPE_CHECKING:
    import pandas as pd

    from consilience.study.sections import AugmentSection

COHORT = ("classes", "n_samples", "n_donors", "genes", "scale", "notes")


def choose_generator(
    records: Sequence[Mapping[str, Any]], table: pd.DataFrame, *, settings: AugmentSection
) -> dict[str, Any]:
    """What generators.json holds, from the records and rows of all generators."""
    first = next((one for one in records if not one.get("skipped")), None)
    told: dict[str, Any] = {"level": settings.privacy, "asked": settings.generator, "skipped": None}
    if first is None or not len(table):
        why = next((one["skipped"] for one in records if one.get("skipped")), "nothing was compared")
        return told | {"generator": None, "skipped": why}
    told |= {name: first.get(name) for name in COHORT}
    sizes = table[table["split"] == table["split"].min()].iloc[0]
    told |= {
        "n_splits": int(table["split"].nunique()), "n_train": int(sizes["n_train"]),
        "n_held_out": int(sizes["n_held_out"]), "limits": _limits(settings, int(sizes["n_train"])),
        "compared": [_short(one) for one in records if one["generator"] != REAL_TRAIN],
    }  # fmt: skip
    usable = _usable(table)
    names = [name for name in usable["generator"].unique().tolist() if name != REAL_TRAIN]
    if not names:
        return told | {"generator": settings.generator if settings.generator != "auto" else None,
                       "skipped": "no generator could be fitted in every split"}  # fmt: skip
    told |= _frontier(usable)
    if settings.generator == "auto":
        found = choose(usable, settings.privacy, among=names, limits=_own_limits(settings))
        told |= {"generator": found.generator, "why": found.why, "within": found.within,
                 "all_met": found.all_met, "refused": list(found.refused)}  # fmt: skip
    else:
        told |= {"generator": settings.generator, "why": "as the configuration asks", "refused": []}
    return told | _chosen(told["generator"], records)


def write_choice(
    parts: Sequence[Mapping[str, Path]], *, settings: AugmentSection, table: Path, attacks: Path,
    scan: Path, temperatures: Path, record: Path,
) -> None:  # fmt: skip
    """Join the pieces of all generators (`table`, `attacks`, `scan`, `record` of each) and choose."""
    records = [read_json(part["record"]) for part in parts]
    joined = {name: joined_tables([part[name] for part in parts]) for name in ("table", "attacks", "scan")}
    write_parquet(table, joined["table"])
    write_parquet(attacks, joined["attacks"])
    write_parquet(scan, joined["scan"])
    write_json(temperatures, temperatures_told(records))
    write_json(record, plain(choose_generator(records, joined["table"], settings=settings)))


def joined_tables(paths: Sequence[Path]) -> pd.DataFrame:
    """Tables of the same columns one below the other; those without rows do not decide on types."""
    import pandas as pd

    tables = [pd.read_parquet(path) for path in paths]
    full = [table for table in tables if len(table)]
    return pd.concat(full, ignore_index=True) if full else tables[0]


def temperatures_told(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The temperature of each generator that has one: geometric means over splits, and each split's."""
    told: dict[str, Any] = {}
    for one in records:
        splits = one.get("temperatures") or []
        if not splits:
            continue
        means = {
            name: float(np.exp(np.mean([np.log(split[name]) for split in splits])))
            for name in ("temperature", "estimate", "low", "high")
        }
        told[one["generator"]] = means | {
            "mode": "adaptive", "why": splits[0]["why"], "means": one.get("temperature_means", ""),
            "splits": splits,
        }  # fmt: skip
    return told


def _usable(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of generators that could be fitted in every split."""
    failed = set(table.loc[table["error"] != "", "generator"])
    return table[~table["generator"].isin(failed)].reset_index(drop=True)


def _frontier(table: pd.DataFrame) -> dict[str, Any]:
    found = standings(table)
    return {
        "frontier": [
            {"generator": one.generator, "fidelity": one.fidelity.value, "fidelity_error": one.fidelity.error,
             "shortfall": 1 - one.fidelity.value, "privacy": one.privacy.value,
             "privacy_error": one.privacy.error, "membership": 0.5 + one.leak.value,
             "membership_error": one.leak.error, "n_met": one.n_met, "n_targets": len(one.targets),
             "dominated": bool(one.dominated_by), "dominated_by": list(one.dominated_by),
             "dominates": list(one.dominates)}
            for one in found if one.generator != REAL_TRAIN
        ],
        "targets": {
            one.generator: [
                plain(target) | {"met": target.passed,
                                 "limit": target.high if np.isfinite(target.high) else target.low}
                for target in one.targets
            ]
            for one in found
        },
    }  # fmt: skip


def _limits(settings: AugmentSection, n_train: int) -> dict[str, Any]:
    limits = {level: limits_told(thresholds_of(level), n_train=n_train) for level in LEVELS}
    return limits | {settings.privacy: limits_told(_own_limits(settings), n_train=n_train)}


def _own_limits(settings: AugmentSection) -> PrivacyThresholds:
    """The level's limits with those that the configuration replaces."""
    return thresholds_of(settings.privacy, {str(name): one for name, one in settings.limits.items()})


def _short(record: Mapping[str, Any]) -> dict[str, Any]:
    """A generator's record without its cohort and its splits."""
    return {key: value for key, value in record.items() if key not in {*COHORT, "temperatures"}}


def _chosen(key: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    one = next((record for record in records if record["generator"] == key), {})
    found = temperatures_told([one] if one else []).get(key, {})
    return {
        "title": one.get("title", key), "kind": one.get("kind", ""),
        "temperature": found.get("temperature"), "temperature_low": found.get("low"),
        "temperature_high": found.get("high"), "temperature_why": found.get("why", ""),
    }  # fmt: skip
