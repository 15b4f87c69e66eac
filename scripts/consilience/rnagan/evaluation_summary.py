"""What predictions on unseen patients are worth: ranking with intervals, calibration, differences.

Patients and splits are resampled together: a patient's weight holds in all splits, as it is one patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.seeds import stream
from consilience.measures.calibration import brier, calibration_error, reliability
from consilience.measures.ranking import auc

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

N_BOOT = 400
N_NULL = 200
CALIBRATION_FIGURES = (
    "brier", "ece", "ece_corrected", "ece_expected", "ece_p", "reliability", "ood_share", "interval_width",
)  # fmt: skip
LEVEL = 0.95


def summarise(table: pd.DataFrame, *, baselines: Sequence[str], seed: int) -> dict[str, Any]:
    """Plain values for JSON, by number of references: AUC, calibration, and differences to each baseline.

    `table` as in `Evaluation.predictions`.
    """
    sizes = {}
    for size, part in table.groupby("n_references", sort=True):
        found = {
            str(method): Resampled.of(rows, seed=seed) for method, rows in part.groupby("method", sort=True)
        }
        methods = {
            name: one.auc_record() | calibration_record(part[part["method"] == name], seed=seed)
            for name, one in found.items()
        }
        ours = [name for name in found if name not in baselines]
        differences = {
            name: {other: found[name].minus(found[other]) for other in baselines if other in found}
            for name in ours
        }
        ranked = sorted((name for name in baselines if name in found), key=lambda name: -found[name].auc)
        sizes[str(size)] = {
            "methods": methods, "best_baseline": ranked[0] if ranked else None, "differences": differences,
            "references": {
                kind: [int(part[f"n_{kind}"].min()), int(part[f"n_{kind}"].max())]
                for kind in ("positive", "negative")
            },
            "test_patients": int(part["donor"].nunique()), "splits": int(part["split"].nunique()),
        }  # fmt: skip
    return {"by_references": sizes, "auc_interval_level": LEVEL, "bootstraps": N_BOOT}


class Resampled:
    """AUC of one method: mean over splits, and the same for resampled splits and patients."""

    def __init__(self, auc: float, by_split: dict[str, float], resampled: Floats, n_least: int) -> None:
        self.auc = auc
        self.by_split = by_split
        self.resampled = resampled
        self.n_least = n_least

    @classmethod
    def of(cls, rows: pd.DataFrame, *, seed: int) -> Resampled:
        """From a method's predictions.

        The resampling depends on donors, splits and seed only: methods judged on the same patients are
        resampled alike.
        """
        donors = np.unique(rows["donor"].to_numpy(dtype=str))
        splits = np.unique(rows["split"].to_numpy(dtype=str))
        weights, of_splits = _multiplicities(rows, donors=donors, n_splits=len(splits), seed=seed)
        by_split, each = {}, np.full((len(splits), len(weights)), np.nan)
        for number, split in enumerate(splits):
            here = rows[rows["split"] == split]
            label, score = here["label"].to_numpy(dtype=bool), here["score"].to_numpy(dtype=np.float64)
            by_split[str(split)] = auc(score, label)
            place = np.searchsorted(donors, here["donor"].to_numpy(dtype=str))
            each[number] = weighted_auc(score, label, weights=weights[:, place])
        known = np.where(np.isnan(each), 0.0, of_splits.T)
        total = known.sum(axis=0)
        resampled = (known * np.nan_to_num(each)).sum(axis=0) / np.maximum(total, 1e-12)
        of_kind = rows.groupby("label")["donor"].nunique()
        mean = float(np.mean(list(by_split.values())))
        return cls(mean, by_split, np.where(total > 0, resampled, np.nan), int(of_kind.min()))

    def auc_record(self) -> dict[str, Any]:
        """AUC with its interval and its values by split."""
        low, high = _ends(self.resampled)
        if self.auc in {0.0, 1.0}:
            # no pair is misranked in any resample: the exact bound of no misranked pair in n independent ones
            width = 1.0 - ((1.0 - LEVEL) / 2) ** (1.0 / max(self.n_least, 1))
            low, high = (1.0 - width, 1.0) if self.auc == 1.0 else (0.0, width)
        return {"auc": self.auc, "auc_low": min(low, self.auc), "auc_high": max(high, self.auc),
                "auc_by_split": self.by_split}  # fmt: skip

    def minus(self, other: Resampled) -> dict[str, float]:
        """Difference of AUCs on the same splits and patients, with its interval."""
        low, high = _ends(self.resampled - other.resampled)
        return {"auc": self.auc - other.auc, "low": low, "high": high}


def weighted_auc(score: Floats, label: Flags, *, weights: Floats) -> Floats:
    """AUC under each of B sets of sample weights (B, n): (B,); NaN where a kind has no weight."""
    one, other = score[label], score[~label]
    wins = (one[:, None] > other) + 0.5 * (one[:, None] == other)
    of_one, of_other = weights[:, label], weights[:, ~label]
    total = of_one.sum(axis=1) * of_other.sum(axis=1)
    won = ((of_one @ wins) * of_other).sum(axis=1)
    return np.where(total > 0, won / np.maximum(total, 1e-12), np.nan)


def calibration_record(rows: pd.DataFrame, *, seed: int) -> dict[str, Any]:
    """Brier score, expected calibration error and reliability bins; nulls where there is no probability.

    `ece` is plain, `ece_corrected` less what chance makes of it. `ece_expected`: the plain error that
    perfectly calibrated probabilities would show with these patients (few patients never fall into bins as
    they should, and the splits ask about the same ones); `ece_p` how often they would show as much.
    """
    p, label = rows["probability"].to_numpy(dtype=np.float64), rows["label"].to_numpy(dtype=bool)
    if np.isnan(p).any():
        return dict.fromkeys(CALIBRATION_FIGURES)
    names, place = np.unique(rows["sample"].to_numpy(dtype=str), return_inverse=True)
    chance = np.bincount(place, weights=p) / np.bincount(place)
    labels = stream(seed, "ece").random((N_NULL, len(names))) < chance
    by_chance = np.array([calibration_error(p, one[place]).plain for one in labels])
    error, curve = calibration_error(p, label), reliability(p, label)
    ood, width = rows["ood"].dropna(), (rows["high"] - rows["low"]).dropna()
    return {
        "brier": brier(p, label), "ece": error.plain, "ece_corrected": error.corrected,
        "ece_expected": float(by_chance.mean()),
        "ece_p": float((1 + (by_chance >= error.plain).sum()) / (1 + N_NULL)),
        "reliability": [
            {"n": int(n), "mean_probability": float(mean), "share_positive": float(share),
             "low": float(low), "high": float(high)}
            for n, mean, share, low, high in zip(
                curve.count, curve.predicted, curve.observed, curve.low, curve.high, strict=True
            )
        ],
        "ood_share": float(ood.astype(bool).mean()) if len(ood) else None,
        "interval_width": float(width.mean()) if len(width) else None,
    }  # fmt: skip


def _multiplicities(
    rows: pd.DataFrame, *, donors: npt.NDArray[np.str_], n_splits: int, seed: int
) -> tuple[Floats, Floats]:
    """How often each donor (B, donors) and each split (B, splits) is drawn; donors within their kinds."""
    rng = stream(seed, "evaluation bootstrap")
    labels = rows.groupby("donor", sort=True)["label"]
    stratum = labels.max().to_numpy(dtype=int) * 2 + labels.min().to_numpy(dtype=int)
    weights = np.zeros((N_BOOT, len(donors)))
    for kind in np.unique(stratum):
        members = np.flatnonzero(stratum == kind)
        weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), N_BOOT)
    return weights, rng.multinomial(n_splits, np.full(n_splits, 1 / n_splits), N_BOOT).astype(np.float64)


def _ends(values: Floats) -> tuple[float, float]:
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
