"""Whether the samples of one generator help on one cohort, and what the published evaluation would say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience.augment.judging import REAL_TRAIN
from consilience.augment.published_protocol import protocol_ladder
from consilience.augment.study_choice import joined_tables
from consilience.augment.study_cohort import maker_of_recipe, open_cohort, recipe_of
from consilience.augment.utility import UtilityRow, utility
from consilience.augment.utility_summary import summarised
from consilience.foundation.errors import DataError, ModelError
from consilience.foundation.files import read_json, write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.measures.plain import plain

if TYPE_CHECKING:
    import pandas as pd

    from consilience.study.sections import AugmentSection

MOST_LADDER_SPLITS = 2
"""The published evaluation needs two fits a split more, and its figures hardly differ between splits."""
PUBLISHED = ("split", "generator", "protocol", "accuracy", "f1", "auc")
KEYS = ["generator", "protocol", "classifier", "n_per_class", "split"]


@dataclass(frozen=True)
class Used:
    """`table`: rows of UtilityRow, those of real samples alone among them; `published`: rows of PUBLISHED."""

    table: pd.DataFrame
    published: pd.DataFrame
    record: dict[str, Any]


def use_generator(
    path: Path, key: str, *, name: str, settings: AugmentSection, seed: int, gpus: int = 0,
    base: Path | None = None,
) -> Used:  # fmt: skip
    """Train classifiers with and without samples of one generator; test on patients nobody has seen."""
    import pandas as pd

    started = time.perf_counter()
    nothing = pd.DataFrame(columns=list(PUBLISHED))
    record: dict[str, Any] = {"generator": key, "skipped": None, "notes": []}
    recipe = recipe_of(key, settings, fold=1.0, gpus=gpus, base=base)
    makers = {key: maker_of_recipe(recipe)}
    try:
        samples = open_cohort(path, name=name, genes=settings.genes).samples
        table = utility(
            samples, makers, classifiers=settings.classifiers, sizes=settings.sizes,
            n_splits=settings.splits, seed=seed,
        )  # fmt: skip
    except DataError as error:
        log.warning("%s: %s", key, error)
        empty = pd.DataFrame(columns=list(UtilityRow.__slots__))
        return Used(empty, nothing, record | {"skipped": str(error), "seconds": 0.0})
    splits = min(settings.splits, MOST_LADDER_SPLITS)
    try:
        published = protocol_ladder(samples, makers, n_splits=splits, seed=seed)
    except (DataError, ModelError) as error:
        published = nothing
        record["notes"].append(f"not judged as published: {error}")
    return Used(table, published, record | {"seconds": round(time.perf_counter() - started, 1)})


def write_used(found: Used, *, table: Path, published: Path, record: Path) -> None:
    """The pieces of one generator."""
    write_parquet(table, found.table)
    write_parquet(published, found.published)
    write_json(record, found.record)


def write_utility(
    tables: Sequence[Path], published: Sequence[Path], records: Sequence[Path], *, table: Path,
    summary: Path, ladder: Path, record: Path,
) -> None:  # fmt: skip
    """Join the pieces of all generators and say what may be claimed."""
    joined = joined_tables(tables)
    real = joined["generator"] == REAL_TRAIN
    joined = joined[~(real & joined.duplicated(KEYS))].reset_index(drop=True)
    told = [read_json(path) for path in records]
    found, steps = summarised(joined), joined_tables(published)
    write_parquet(table, joined)
    write_parquet(summary, found)
    write_parquet(ladder, steps)
    skipped = next((one["skipped"] for one in told if one["skipped"]), None) if not len(joined) else None
    write_json(record, plain({
        "differences": differences(found), "published": _published(steps),
        "n_splits": int(joined["split"].nunique()),
        "errors": dict(_errors(joined)), "generators": told, "skipped": skipped,
    }))  # fmt: skip


def differences(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """AUC with synthetic samples less that of real ones alone, and of these repeated."""
    kept = summary[(summary["measure"] == "auc") & summary["protocol"].isin(["tstr", "augmented"])]
    found = []
    for row in kept.to_dict("records"):
        named = {name: row[name] for name in ("generator", "protocol", "classifier", "n_per_class",
                                              "n_splits")}  # fmt: skip
        found.append(named | {
            "against": "trtr", "difference": row["difference"], "low": row["difference_low"],
            "high": row["difference_high"], "p": row["p"], "claim": row["claim"], "mean": row["mean"],
        })  # fmt: skip
        if row["protocol"] == "augmented":
            found.append(named | {
                "against": "twice", "difference": row["over_twice"], "low": row["over_twice_low"],
                "high": row["over_twice_high"], "p": None, "claim": row["over_twice_claim"],
                "mean": row["mean"],
            })  # fmt: skip
    return found


def _published(steps: pd.DataFrame) -> list[dict[str, Any]]:
    """Means over splits of what the published evaluation, and its mended forms, say of each generator."""
    if not len(steps):
        return []
    names = ["accuracy", "f1", "auc"]
    found = steps.groupby(["generator", "protocol"], sort=True)[names].mean().reset_index()
    return [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]


def _errors(table: pd.DataFrame) -> list[tuple[str, str]]:
    failed = table[table["error"] != ""]
    return sorted({(str(row["generator"]), str(row["error"])) for row in failed.to_dict("records")})
