"""Which bulk samples are set aside, for which reasons, by which limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.expression.log_values import log_metrics
from consilience.expression.naming import NamedValues
from consilience.expression.normalise import chosen_genes, comparable
from consilience.expression.quality import Limits, mad_limits, pca_distances, subgroup_members
from consilience.expression.sex import SexCheck, check_sex, check_sex_of_logs
from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.bulk.stored import blocks, row_totals, whole
from consilience.sources.phenotypes import Phenotypes
from consilience.study.sections import BulkQuality

if TYPE_CHECKING:
    import numpy.typing as npt

LIBRARY_TOLERANCE = float(np.log(2))
GENES_TOLERANCE = 0.1
SPREAD_TOLERANCE = 0.25
DISTANCE_TOLERANCE = 0.5
EXPLANATIONS = {
    "library_size": "counts of the sample over all genes of its file; far lower is a failed library "
    "(no limit within a factor of 2 of the median)",
    "n_genes": "genes with at least one count; far fewer is a failed or overamplified library "
    "(no limit within 10 % of the median)",
    "typical_expression": "2 to the power of the sample's median over the genes that most samples express; "
    "far from the others is a failed sample or another scale (no limit within a factor of 2 of the median)",
    "spread": "interquartile range, in log2, of the genes that most samples express; far less is a failed "
    "sample (no limit within 25 % of the median)",
    "share_above_background": "share of genes above the cohort's background, the median of its samples' 20th "
    "percentiles; far fewer is a failed sample (no limit within 10 % of the median)",
    "pca_distance": "what the leading principal components of the cohort's core leave of a sample, after arm "
                    "and batch medians are taken away; far is a swapped or foreign tissue "
                    "(no limit within 50 % of the median)",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided on each sample.

    `kept` (samples,); `reasons` per sample, empty for a kept one; `metrics` by name, each (samples,);
    `groups` (samples,) within which limits hold; `limits` by metric, with `n_removed` samples beyond each by
    group; `expressed_sex` (samples,) or empty; `messages` (level, text).
    """

    kept: npt.NDArray[np.bool_]
    reasons: tuple[tuple[str, ...], ...]
    metrics: dict[str, npt.NDArray[np.float64]]
    groups: tuple[str, ...]
    limits: dict[str, Limits]
    expressed_sex: tuple[str, ...]
    messages: tuple[tuple[str, str], ...]

    def removed_by_reason(self) -> dict[str, int]:
        """How many samples each reason removed (a sample may have several)."""
        return dict(sorted(Counter(reason for reasons in self.reasons for reason in reasons).items()))


def sample_metrics(matrix: BulkMatrix, *, named: NamedValues) -> dict[str, npt.NDArray[np.float64]]:
    """Quality figures of the samples before any is set aside, and what the source tells; (samples,).

    Of counts the library size and detected genes over all rows of the source; of log2 values those of
    `log_values.log_metrics` over the named genes.
    """
    if not named.counted:
        return log_metrics(whole(named.values)) | dict(matrix.metrics)
    n_samples = matrix.values.shape[0]
    detected = [np.count_nonzero(row) for rows in blocks(n_samples) for row in matrix.values[rows]]
    return {
        "library_size": row_totals(matrix.values).astype(np.float64),
        "n_genes": np.array(detected, dtype=np.float64),
        **matrix.metrics,
    }


def judge_samples(
    *,
    metrics: dict[str, npt.NDArray[np.float64]],
    named: NamedValues,
    phenotypes: Phenotypes,
    quality: BulkQuality,
) -> Verdict:
    """Depth and detected genes, or what stands for them, first; then, among the sound, distance and sex."""
    n_samples = named.values.shape[0]
    groups = sample_groups(phenotypes, n_samples=n_samples)
    limits = _limits(metrics, groups=groups, counted=named.counted, quality=quality)
    flags = {name: limit.outside(metrics[name], groups=groups) for name, limit in limits.items()}
    if named.counted:
        flags["no_counts"] = row_totals(named.values) == 0
    sound = ~np.logical_or.reduce(list(flags.values()))
    batches = phenotypes.standard.get("batch")
    distance, flags["pca_distance"], limits["pca_distance"], messages = _judge_distance(
        named, sound=sound, groups=groups, batches=batches, quality=quality
    )
    measured = dict(metrics) | {"pca_distance": distance}
    sex = _check_sex(named, annotated=phenotypes.sex())
    if sex:
        measured["sex_log2_ratio"] = sex.log2_ratio
        mismatch = sex.mismatch & sound
        flags["sex_mismatch"] = mismatch & quality.remove_sex_mismatch
        messages += _sex_message(
            mismatch, samples=phenotypes.standard["sample"], removed=quality.remove_sex_mismatch
        )
    reasons = tuple(tuple(name for name, flag in flags.items() if flag[row]) for row in range(n_samples))
    return Verdict(
        kept=np.array([not one for one in reasons]), reasons=reasons, metrics=measured, groups=groups,
        limits=limits, expressed_sex=sex.expressed if sex else (), messages=tuple(messages),
    )  # fmt: skip


def _limits(
    metrics: dict[str, npt.NDArray[np.float64]], *, groups: Sequence[str], counted: bool, quality: BulkQuality
) -> dict[str, Limits]:
    """Limits by metric; the MADs configured for library size and genes hold for what stands for them."""
    depth, genes = quality.library_size_mads, quality.detected_genes_mads
    if counted:
        rules = {
            "library_size": (depth, LIBRARY_TOLERANCE, True, True),
            "n_genes": (genes, GENES_TOLERANCE, False, False),
        }
    else:
        rules = {
            "typical_expression": (depth, LIBRARY_TOLERANCE, True, True),
            "spread": (depth, SPREAD_TOLERANCE, False, False),
            "share_above_background": (genes, GENES_TOLERANCE, False, False),
        }
    return {
        name: mad_limits(
            values=metrics[name],
            groups=groups,
            n_mads=n_mads,
            tolerance=tolerance,
            low=True,
            high=high,
            log=log,
        )
        for name, (n_mads, tolerance, high, log) in rules.items()
    }


def _check_sex(named: NamedValues, *, annotated: Sequence[str] | None) -> SexCheck | None:
    index = {symbol: k for k, symbol in enumerate(named.symbols)}
    if named.counted:
        return check_sex(counts=named.values, gene_index=index, annotated=annotated)
    return check_sex_of_logs(logs=whole(named.values), gene_index=index, annotated=annotated)


def sample_groups(phenotypes: Phenotypes, *, n_samples: int) -> tuple[str, ...]:
    """The arm of each sample; for one in no arm its level; "all" in a cohort without conditions."""
    levels = phenotypes.standard.get("condition")
    if levels is None:
        return ("all",) * n_samples
    arms = phenotypes.standard["arm"]
    return tuple(arm or level or "(empty)" for arm, level in zip(arms, levels, strict=True))


def _judge_distance(
    named: NamedValues,
    *,
    sound: npt.NDArray[np.bool_],
    groups: Sequence[str],
    batches: Sequence[str] | None,
    quality: BulkQuality,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], Limits, list[tuple[str, str]]]:
    """Distances of the sound samples (NaN for the others), who is too far, the limits, and what to tell."""
    rows = [int(row) for row in np.flatnonzero(sound)]
    distance, far = np.full(len(groups), np.nan), np.zeros(len(groups), dtype=bool)
    of_rows = [groups[row] for row in rows]
    messages: list[tuple[str, str]] = []
    if rows:
        chosen, _ = chosen_genes(named.values, rows=np.array(rows), units=named.units, quality=quality)
        found = pca_distances(
            log_expression=comparable(chosen, units=named.units),
            groups=of_rows,
            batches=[batches[row] for row in rows] if batches else None,
        )
        distance[rows] = found.distance
    limits = mad_limits(
        values=distance[rows], groups=of_rows, n_mads=quality.outlier_mads, tolerance=DISTANCE_TOLERANCE,
        low=False, high=True, log=False,
    )  # fmt: skip
    if not rows or np.isnan(distance[rows]).all():
        messages.append(
            ("note", f"{len(rows)} samples are too few to judge outliers by their principal components")
        )
        return distance, far, limits, messages
    flagged = limits.outside(distance[rows], groups=of_rows)
    members = subgroup_members(flagged=flagged, products=found.products, groups=of_rows)
    far[rows] = flagged & ~members
    for group, n in sorted(
        Counter(group for group, member in zip(of_rows, members, strict=True) if member).items()
    ):
        messages.append((
            "alarm",
            f"{n} of {of_rows.count(group)} samples of group {group!r} lie apart together; as this looks "
            "like a subtype or an unknown batch they were kept: look at the plot and decide",
        ))  # fmt: skip
    return distance, far, limits, messages


def _sex_message(
    mismatch: npt.NDArray[np.bool_], *, samples: Sequence[str], removed: bool
) -> list[tuple[str, str]]:
    names = [sample for sample, one in zip(samples, mismatch, strict=True) if one]
    if not names:
        return []
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    done = "were removed" if removed else "were kept (quality.bulk.remove_sex_mismatch)"
    return [
        (
            "alarm",
            f"the sex genes of {len(names)} samples contradict their annotated sex; they {done}: {shown}",
        )
    ]
