"""Diagnosis judged on patients never seen: repeated splits by donor, or one cohort against another.

Whatever learns (adaptation, calibration, references, baselines) sees the training patients of a split only;
all methods are given the same references and asked about the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from consilience.foundation.errors import ConfigError, DataError
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples
from consilience.learning.splits import Split, donor_splits, reference_draws, reference_sizes
from consilience.rnagan.calibration import Calibration
from consilience.rnagan.comparison import donors_or_names
from consilience.rnagan.diagnosis import diagnose
from consilience.rnagan.draw_scores import Scorer
from consilience.rnagan.evaluation_samples import apart, check_labels, concatenated, merge_copies
from consilience.rnagan.evaluation_summary import summarise

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.learning.baselines.baseline import Baseline, FitPredict

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

SIZES = (5, 10, 20, 30)
Adapt = Callable[[Samples, str, int], tuple[Scorer, Calibration | tuple[float, float] | None]]
"""Given training samples, the positive label and a seed: a scorer and its calibration (or None)."""


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    `predictions`: one row per split, size, method and test sample (sample, donor, split, n_references,
    n_positive, n_negative, method, score, probability, low, high, ood, label); probability, low, high are
    NaN for methods that only rank. `summary`: plain values for JSON. `leakage`: copies found, in words.
    """

    predictions: pd.DataFrame
    summary: dict[str, Any]
    leakage: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is asked of each split.

    `sizes` numbers of references per kind, `n_draws` per diagnosis, `prevalence` share of positives before
    the test (`training`: as among the split's training patients), `level` of intervals, `seed`.
    """

    sizes: Sequence[int] = SIZES
    n_draws: int = 100
    prevalence: float | Literal["training"] = "training"
    level: float = 0.9
    seed: int = 0


def evaluate(
    samples: Samples,
    *,
    positive: str,
    methods: Mapping[str, Adapt],
    baselines: Mapping[str, Baseline | FitPredict],
    plan: Plan,
    n_splits: int = 20,
    test_share: float = 0.3,
) -> Evaluation:
    """Repeated splits by donor; donors who share a profile count as one and are reported."""
    check_labels(samples, positive)
    whole, leakage = merge_copies(samples)
    splits = donor_splits(
        whole.donors, labels=whole.labels, n_splits=n_splits, test_share=test_share, seed=plan.seed
    )
    return _evaluate(whole, list(splits), positive, methods, baselines, plan, leakage)


def evaluate_transfer(
    train: Samples,
    test: Samples,
    *,
    positive: str,
    methods: Mapping[str, Adapt],
    baselines: Mapping[str, Baseline | FitPredict],
    plan: Plan,
    n_repeats: int = 20,
) -> Evaluation:
    """Train on one cohort, test on another, with `n_repeats` draws of references.

    Samples of the training cohort whose patient, name or profile is in the test cohort too are left out of
    training and reported.
    """
    for cohort in (train, test):
        check_labels(cohort, positive)
    if train.genes != test.genes or train.units != test.units:
        raise DataError(
            "the cohorts do not have the same genes in the same order on the same scale",
            value=f"{len(train.genes)} genes, {train.units}; {len(test.genes)} genes, {test.units}",
            mend="align both to the model first",
        )
    kept, leakage = apart(train, test)
    check_labels(kept, positive)
    both = concatenated(kept, test)
    rows = np.arange(len(both))
    splits = [Split(f"draw {k}", rows[: len(kept)], rows[len(kept) :]) for k in range(n_repeats)]
    return _evaluate(both, splits, positive, methods, baselines, plan, leakage)


def _evaluate(
    samples: Samples,
    splits: Iterable[Split],
    positive: str,
    methods: Mapping[str, Adapt],
    baselines: Mapping[str, Baseline | FitPredict],
    plan: Plan,
    leakage: tuple[str, ...],
) -> Evaluation:
    import pandas as pd

    if twice := sorted(set(methods) & set(baselines)):
        raise ConfigError("a method and a baseline have one name", value=", ".join(twice))
    adapted: dict[bytes, dict[str, Any]] = {}
    parts: list[pd.DataFrame] = []
    skipped: list[str] = []
    for split in splits:
        train = samples.take(split.train)
        kind = samples.labels == positive
        if any(len(np.unique(kind[rows])) < 2 for rows in (split.train, split.test)):
            skipped.append(f"{split.name}: training or test patients of one kind only")
            continue
        key = split.train.tobytes()
        if key not in adapted:
            seed = int(stream(plan.seed, "adapt", split.name).integers(2**31))
            adapted = {key: {name: adapt(train, positive, seed) for name, adapt in methods.items()}}
        parts += _one_split(samples, split, kind, adapted[key], baselines, plan)
    if not parts:
        raise DataError("no split has training and test patients of both kinds", value="; ".join(skipped[:3]),
                        mend="more patients of the rarer kind are needed")  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    summary = summarise(table, baselines=list(baselines), seed=plan.seed)
    summary |= {"positive": positive, "splits_skipped": skipped, "leakage": list(leakage),
                "prevalence": plan.prevalence, "interval_level": plan.level}  # fmt: skip
    return Evaluation(table, summary, leakage)


def _one_split(
    samples: Samples,
    split: Split,
    kind: Flags,
    adapted: Mapping[str, Any],
    baselines: Mapping[str, Baseline | FitPredict],
    plan: Plan,
) -> list[pd.DataFrame]:
    """Predictions of all methods with each number of references."""
    here = [np.isin(np.arange(len(samples)), rows) for rows in (split.train, split.test)]
    most = reference_sizes(kind, references=here[0], test=here[1])
    donors = donors_or_names(samples)
    prevalence = _share(kind[split.train], donors[split.train]) if plan.prevalence == "training" else float(
        plan.prevalence)  # fmt: skip
    parts, before = [], 0
    for size in sorted(set(plan.sizes)):
        if before >= max(most.values()):
            break
        before = size
        (drawn,) = reference_draws(
            kind, names=samples.names, donors=donors, n_references=size, n_draws=1, seed=plan.seed,
            key=split.name, references=here[0], test=here[1],
        )  # fmt: skip
        one, other, test = (samples.take(rows) for rows in (drawn.positive, drawn.negative, drawn.test))
        common = {
            "sample": test.names, "donor": donors[drawn.test], "split": split.name, "n_references": size,
            "n_positive": len(one), "n_negative": len(other), "label": kind[drawn.test],
        }  # fmt: skip
        for name, (score, calibration) in adapted.items():
            found = diagnose(
                score, test, one, other, seed=plan.seed, n_references=size, n_draws=plan.n_draws,
                calibration=calibration, prevalence=prevalence, level=plan.level,
            )  # fmt: skip
            parts.append(_rows(common, name, found.logit_mean, found.probability, found.low, found.high,
                               found.ood))  # fmt: skip
        for name, baseline in baselines.items():
            scores, probability = _baseline(baseline, one, other, test, prevalence, plan.seed)
            unknown = np.full(len(test), np.nan)
            parts.append(_rows(common, name, scores, probability, unknown, unknown, None))
    return parts


def _baseline(
    baseline: Baseline | FitPredict, one: Samples, other: Samples, test: Samples, prevalence: float, seed: int
) -> tuple[Floats, Floats]:
    """Scores, and probabilities at the prevalence (NaN where the scores only rank)."""
    from scipy.special import expit, logit

    fit_predict: Any = baseline if not hasattr(baseline, "fit_predict") else baseline.fit_predict
    labels = np.arange(len(one) + len(other)) < len(one)
    values = np.concatenate([one.values, other.values])
    scores = np.asarray(fit_predict(values, labels, test.values, seed), dtype=np.float64)
    if not getattr(baseline, "probability", False):
        return scores, np.full(len(scores), np.nan)
    # a classifier takes the share of positives among its references for that among patients
    moved = logit(np.clip(scores, 1e-9, 1 - 1e-9)) + logit(prevalence) - logit(len(one) / len(labels))
    return scores, np.asarray(expit(moved))


def _rows(
    common: Mapping[str, Any], method: str, score: Floats, probability: Floats, low: Floats, high: Floats,
    ood: Flags | None,
) -> pd.DataFrame:  # fmt: skip
    import pandas as pd

    flags = pd.array([None] * len(score) if ood is None else ood.tolist(), dtype="boolean")
    return pd.DataFrame({**common, "method": method, "score": score, "probability": probability,
                         "low": low, "high": high, "ood": flags})  # fmt: skip


def _share(kind: Flags, donors: npt.NDArray[np.str_]) -> float:
    """Share of positives among donors (a donor of both kinds counts by its samples)."""
    _, place, counts = np.unique(donors, return_inverse=True, return_counts=True)
    return float((kind / counts[place]).sum() / len(counts))
