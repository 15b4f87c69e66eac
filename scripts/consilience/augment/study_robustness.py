"""How much of the chosen generator's figures is luck, and whether its samples have the patients' markers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.judging import REAL_TRAIN
from consilience.augment.makers import fresh_seed, wanted_labels
from consilience.augment.marker_agreement import TOP, false_positive_rate, markers, one_per_donor
from consilience.augment.robustness import PARTS, robustness_runs, robustness_table
from consilience.augment.study_cohort import maker_of_recipe, open_cohort, recipe_of
from consilience.foundation.errors import DataError, ModelError
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.measures.plain import plain
from consilience.rnagan.study_samples import CASE

if TYPE_CHECKING:
    import pandas as pd

    from consilience.augment.makers import Maker
    from consilience.learning.samples import Samples
    from consilience.study.sections import AugmentSection

SOURCES = {"split": "data split", "init": "init", "sampling": "sampling"}
N_INITS, N_DRAWS = 2, 2
MARKER_FOLDS = (1, 10)
ROBUST = ("generator", "figure", "source", "variance", "share", "sd", "mean", "error", "n_runs")
GENES = ("gene", "effect_real", "p_real", "fdr_real", "effect_synthetic", "p_synthetic", "fdr_synthetic")
AGREED = ("split", "generator", "fold", "class", "test", "n", "top", "rbo", "spearman", "sign", "own_top",
          "own_rbo", "own_spearman", "own_sign", "called", "called_deflated")  # fmt: skip


@dataclass(frozen=True)
class Robust:
    """Rows of ROBUST, GENES and AGREED, and the record."""

    table: pd.DataFrame
    genes: pd.DataFrame
    agreement: pd.DataFrame
    record: dict[str, Any]


def robustness_of(
    path: Path, choice: dict[str, Any], *, name: str, settings: AugmentSection, seed: int, gpus: int = 0,
    base: Path | None = None,
) -> Robust:  # fmt: skip
    """Independent runs of the generator that generators.json names, and its markers."""
    import pandas as pd

    started = time.perf_counter()
    key = choice.get("generator")
    record: dict[str, Any] = {"runs": settings.runs, "generator": key, "skipped": None}
    nothing = [pd.DataFrame(columns=list(names)) for names in (ROBUST, GENES, AGREED)]
    why = choice.get("skipped") or ("augment.runs is 0" if not settings.runs else None)
    if why or not key:
        return Robust(nothing[0], nothing[1], nothing[2], record | {"skipped": why or "nothing was chosen"})
    recipe = recipe_of(key, settings, fold=1.0, gpus=gpus, base=base)
    maker = maker_of_recipe(recipe)
    try:
        samples = open_cohort(path, name=name, genes=settings.genes).samples
        runs = robustness_runs(
            samples, maker, n_splits=settings.runs, n_inits=N_INITS, n_draws=N_DRAWS, seed=seed
        )
        agreement = markers(
            samples, {key: maker}, n_splits=settings.runs, folds=MARKER_FOLDS, seed=seed,
            tests=("moderated_t",),
        )  # fmt: skip
        genes = gene_table(samples, maker, seed=seed)
    except (DataError, ModelError) as error:
        log.warning("%s: %s", key, error)
        return Robust(nothing[0], nothing[1], nothing[2], record | {"skipped": str(error)})
    record |= {
        "overlap": overlaps(agreement, n_genes=len(samples.genes)), "n_splits": settings.runs,
        "n_runs": len(runs), "seconds": round(time.perf_counter() - started, 1),
        "false_positive_rate": {str(fold): false_positive_rate(fold) for fold in MARKER_FOLDS},
    }  # fmt: skip
    return Robust(long_table(robustness_table(runs), key), genes, agreement, plain(record))


def write_robust(found: Robust, *, table: Path, genes: Path, agreement: Path, record: Path) -> None:
    """All four files."""
    write_parquet(table, found.table)
    write_parquet(genes, found.genes)
    write_parquet(agreement, found.agreement)
    write_json(record, found.record)


def long_table(wide: pd.DataFrame, key: str) -> pd.DataFrame:
    """One row per figure and source of variance, and one of the total."""
    import pandas as pd

    rows = []
    for figure in wide.to_dict("records"):
        named = {"generator": key, "figure": figure["figure"]} | {
            name: figure[name] for name in ("mean", "error", "n_runs")
        }
        for part in PARTS:
            variance = float(figure[f"variance_{part}"])
            rows.append(named | {
                "source": SOURCES[part], "variance": variance, "sd": float(np.sqrt(variance)),
                "share": float(figure[f"share_{part}"]),
            })  # fmt: skip
        total = float(np.nansum([figure[f"variance_{part}"] for part in PARTS]))
        rows.append(named | {"source": "total", "variance": total, "share": 1.0, "sd": float(np.sqrt(total))})
    return pd.DataFrame(rows, columns=list(ROBUST))


def gene_table(samples: Samples, maker: Maker, *, seed: int) -> pd.DataFrame:
    """Effect of cases against controls by gene, in patients and in as many synthetic samples made of them."""
    import pandas as pd

    from consilience.learning.differential.moderated_t import moderated_t

    patients = one_per_donor(samples)
    draw = maker(samples, fresh_seed(seed, "marker genes fit"))
    drawn = draw(wanted_labels(patients.labels, fold=1), fresh_seed(seed, "marker genes draw"))
    found: dict[str, Any] = {"gene": list(samples.genes)}
    for kind, values, labels in (
        ("real", patients.values, patients.labels), ("synthetic", drawn.values, drawn.labels),
    ):  # fmt: skip
        one = moderated_t(
            values=values, positive=labels == CASE, batches=np.zeros(len(values), dtype=np.intp)
        )
        found |= {f"effect_{kind}": one.effect, f"p_{kind}": one.p, f"fdr_{kind}": one.fdr}
    return pd.DataFrame(found, columns=list(GENES))


def overlaps(agreement: pd.DataFrame, *, n_genes: int) -> list[dict[str, Any]]:
    """Means over splits of the agreement of markers with patients left out, the training patients' beside."""
    if not len(agreement):
        return []
    names = ["top", "rbo", "spearman", "sign", "own_top", "own_spearman", "own_sign", "called",
             "called_deflated"]  # fmt: skip
    found = agreement.groupby(["generator", "fold"], sort=True)[names].mean().reset_index()
    chance = min(1.0, TOP / n_genes)
    return [
        {"generator": row["generator"], "fold": int(row["fold"]), "top": TOP, "overlap": row["top"],
         "rank_biased_overlap": row["rbo"], "rank_correlation": row["spearman"],
         "sign_agreement": row["sign"],
         "overlap_training": row["own_top"], "rank_correlation_training": row["own_spearman"],
         "called": row["called"], "called_deflated": row["called_deflated"], "chance": chance,
         "ceiling": row["generator"] == REAL_TRAIN}
        for row in found.to_dict("records")
    ]  # fmt: skip
