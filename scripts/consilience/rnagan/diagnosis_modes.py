"""The three ways to a probability: against the other kind, from positives alone, and as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream
from consilience.rnagan.calibration import Calibration, donor_weights, posterior
from consilience.rnagan.comparison import Comparison
from consilience.rnagan.draw_scores import Scorer, score_draws
from consilience.rnagan.reference_draws import (
    Draws,
    draw_references,
    free_draws,
    published_draws,
    standard_error,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Rows = npt.NDArray[np.intp]

MOST_CALIBRATORS = 120
"""References of each kind that calibrate; more change little and cost time."""
_POINTS = 1000


@dataclass(frozen=True)
class Options:
    """What a diagnosis was asked for; see `diagnose`."""

    n_references: int
    n_draws: int
    seed: int
    prevalence: float
    level: float
    observed: Flags | None

    @property
    def log_odds(self) -> float:
        """Log-odds of the positive kind before the test."""
        return float(np.log(self.prevalence) - np.log1p(-self.prevalence))


@dataclass(frozen=True)
class Answer:
    """What a mode finds for each query: (n,) arrays as in `Diagnosis`; `line` (slope, intercept)."""

    probability: Floats
    low: Floats
    high: Floats
    mean: Floats
    sd: Floats
    se: Floats
    p_value: Floats | None
    line: tuple[float, float] | None
    per_draw: tuple[int, int]


@dataclass(frozen=True)
class _Scored:
    """Logits over draws: `mean`, `sd` and standard error `se` (n,) of the queries.

    `of_references` (k,) mean logits of references (`rows` (k,) of all) by the draws without their patient,
    NaN where there is no such draw.
    """

    mean: Floats
    sd: Floats
    se: Floats
    of_references: Floats
    rows: Rows
    per_draw: tuple[int, int]


def two_kinds(score: Scorer, ready: Comparison, options: Options, line: Calibration | None) -> Answer:
    """Calibrated probability against references of the other kind."""
    scored = _scored(score, ready, options)
    known = np.isfinite(scored.of_references)
    positive = (scored.rows < len(ready.positives))[known]
    found = posterior(
        scored.of_references[known],
        positive=positive,
        weights=donor_weights(ready.units[scored.rows][known], positive=positive),
        calibration=line,
    )
    probability = found.probability(scored.mean, log_odds=options.log_odds)
    low, high = np.zeros_like(probability), np.ones_like(probability)
    if min(ready.n_units) > 1:
        low, high = found.interval(
            scored.mean, standard_errors=scored.se, df=min(ready.n_units) - 1,
            level=options.level, log_odds=options.log_odds,
        )  # fmt: skip
    slope = float(found.weights @ found.slopes)
    intercept = -float(found.weights @ (found.slopes * found.shifts))
    return Answer(probability, np.minimum(low, probability), np.maximum(high, probability), scored.mean,
                  scored.sd, scored.se, None, (slope, intercept), scored.per_draw)  # fmt: skip


def positive_only(score: Scorer, ready: Comparison, options: Options) -> Answer:
    """How typical of the positive kind a query is: 1 minus the share of new positives that are more typical.

    For a new positive this is uniform on 0..1; small values speak against the kind. It supposes that the
    logits of new positives are about normal (Student's t by their number); `p_value` is the conformal
    p-value, which supposes only that patients are exchangeable, in steps of 1 / (patients + 1).
    """
    from scipy.stats import t

    scored = _scored(score, ready, options)
    known = np.isfinite(scored.of_references)
    null, units = scored.of_references[known], ready.units[scored.rows][known]
    weights = donor_weights(units, positive=np.ones(len(units), dtype=bool))
    n = float(weights.sum())
    at_most = np.array([weights[null <= one + 1e-12].sum() for one in scored.mean])
    p_value = np.asarray((1.0 + at_most) / (n + 1.0))
    half, none, all_ = (np.full(len(scored.mean), share) for share in (0.5, 0.0, 1.0))
    if n < 2:
        return Answer(half, none, all_, scored.mean, scored.sd, scored.se, p_value, None, scored.per_draw)
    centre = float(weights @ null) / n
    spread = float(np.sqrt(weights @ (null - centre) ** 2 / (n - 1)))
    spread = max(spread, 1e-9 * (1.0 + abs(centre)))
    probability = t.cdf((scored.mean - centre) / (spread * np.sqrt(1 + 1 / n)), n - 1)
    low, high = _typical_interval(scored, centre, spread, n, options.level)
    return Answer(probability, np.minimum(low, probability), np.maximum(high, probability), scored.mean,
                  scored.sd, scored.se, p_value, None, scored.per_draw)  # fmt: skip


def _typical_interval(
    scored: _Scored, centre: float, spread: float, n: float, level: float
) -> tuple[Floats, Floats]:
    """Quantiles of the share of positives below a query, under what is not known of their distribution."""
    from scipy.special import ndtr

    rng = stream(0, "positive-only interval")
    sds = spread * np.sqrt((n - 1) / rng.chisquare(n - 1, _POINTS))
    centres = centre + sds / np.sqrt(n) * rng.standard_normal(_POINTS)
    errors = rng.standard_t(n - 1, _POINTS)
    low, high = np.empty(len(scored.mean)), np.empty(len(scored.mean))
    for start in range(0, len(low), 4096):
        block = slice(start, start + 4096)
        moved = scored.mean[block, None] + np.nan_to_num(scored.se[block, None]) * errors
        shares = ndtr((moved - centres) / sds)
        low[block], high[block] = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return low, high


def published_rule(score: Scorer, ready: Comparison, options: Options) -> Answer:
    """The original's probability: draws with replacement, no calibration.

    With negatives: share of all pairs of a positive and a negative draw in which the query scores higher
    under the positive one (a Mann-Whitney probability). Without: share of draws with a logit above 0. The
    interval is the Monte Carlo error of the draws only, not what other patients would give.
    """
    answers: dict[frozenset[str], tuple[Rows, Answer]] = {}
    for own in sorted(set(ready.conflicts), key=sorted):
        rows = np.flatnonzero([one == own for one in ready.conflicts])
        answers[own] = rows, _published_for(score, ready.without(own, rows), options)
    parts = list(answers.values())
    if not parts:
        return _published_for(score, ready, options)
    order = np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable")

    def joined(name: str) -> Floats:
        return np.asarray(np.concatenate([getattr(answer, name) for _, answer in parts])[order])

    return Answer(
        probability=joined("probability"),
        low=joined("low"),
        high=joined("high"),
        mean=joined("mean"),
        sd=joined("sd"),
        se=joined("se"),
        p_value=None,
        line=None,
        per_draw=parts[0][1].per_draw,
    )


def _published_for(score: Scorer, ready: Comparison, options: Options) -> Answer:
    from scipy.stats import norm

    negative = None if ready.negatives is None else ready.negatives.values
    rows = published_draws(
        n_positive=len(ready.positives), n_negative=0 if negative is None else len(negative),
        n_references=options.n_references, n_draws=options.n_draws, seed=options.seed,
    )  # fmt: skip
    values = [ready.positives.values] if negative is None else [ready.positives.values, negative]
    logits = [
        score_draws(score, query=ready.queries.values, positive=of, negative=None, positive_rows=drawn,
                    negative_rows=None, observed=options.observed)
        for of, drawn in zip(values, rows, strict=False)
    ]  # fmt: skip
    y, n_draws = logits[0], options.n_draws
    if negative is None:
        probability = (y > 0).mean(axis=0)
        variance = probability * (1 - probability) / n_draws
    else:
        pairs = [_wins(one, two) for one, two in zip(y.T, logits[1].T, strict=True)]
        wins = np.array(pairs).reshape(-1, 2, n_draws).transpose(1, 2, 0)
        probability = wins[0].mean(axis=0)
        variance = (wins.var(axis=1, ddof=1) if n_draws > 1 else 0.25 + 0 * wins[:, 0]).sum(axis=0) / n_draws
        y = y - logits[1]
    reach = norm.ppf((1 + options.level) / 2) * np.sqrt(variance)
    sd = y.std(axis=0, ddof=1) if n_draws > 1 else np.zeros(y.shape[1])
    n_drawn = options.n_references
    return Answer(probability, np.clip(probability - reach, 0, 1), np.clip(probability + reach, 0, 1),
                  y.mean(axis=0), sd, sd / np.sqrt(n_draws), None, None,
                  (n_drawn, 0 if negative is None else n_drawn))  # fmt: skip


def _wins(one: Floats, other: Floats) -> Floats:
    """Share of `other` (D,) below each of `one`, and share of `one` above each of `other`: (2, D)."""
    above = (one[:, None] > other) + 0.5 * (one[:, None] == other)
    return np.stack([above.mean(axis=1), above.mean(axis=0)])


def _scored(score: Scorer, ready: Comparison, options: Options) -> _Scored:
    """Score queries and references under the draws that hold no patient of theirs."""
    draws = draw_references(
        positive_units=ready.positive_units, negative_units=ready.negative_units,
        n_references=options.n_references, n_draws=options.n_draws, seed=options.seed,
    )  # fmt: skip
    rows = _calibrators(ready, options.seed)
    logits = score_draws(
        score,
        query=np.concatenate([ready.queries.values, ready.references[rows]]),
        positive=ready.positives.values,
        negative=None if ready.negatives is None else ready.negatives.values,
        positive_rows=draws.positive,
        negative_rows=draws.negative,
        observed=options.observed,
    )
    n = len(ready.queries)
    free = _free(ready, draws)
    units = {unit: place for place, unit in enumerate(free[0])}
    own = np.array([units[unit] for unit in ready.units[rows].tolist()], dtype=np.intp)
    of_references = _masked_mean(logits[:, n:], free[1][:, own])
    allowed = np.ones((len(draws), n), dtype=bool)
    for query, conflict in enumerate(ready.conflicts):
        for unit in sorted(conflict):
            allowed[:, query] &= free[1][:, units[unit]]
    mean, sd, se = _over_draws(logits[:, :n], allowed, draws)
    for query in np.flatnonzero(~allowed.any(axis=0)).tolist():
        # no draw happens to be without this query's patients: draw again from the others only
        alone = _scored(score, ready.without(ready.conflicts[query], np.array([query])), options)
        mean[query], sd[query], se[query] = alone.mean[0], alone.sd[0], alone.se[0]
    width = draws.positive.shape[1], 0 if draws.negative is None else draws.negative.shape[1]
    return _Scored(mean, sd, se, of_references, rows, width)


def _free(ready: Comparison, draws: Draws) -> tuple[list[str], Flags]:
    """All units, and whether draw d is without unit u (D, U)."""
    units = np.unique(ready.units)
    free = free_draws(rows=draws.positive, units=ready.positive_units, of=units)
    if draws.negative is not None and ready.negative_units is not None:
        free &= free_draws(rows=draws.negative, units=ready.negative_units, of=units)
    return units.tolist(), free


def _calibrators(ready: Comparison, seed: int) -> Rows:
    """Rows of the references that are scored too, at most `MOST_CALIBRATORS` of each kind."""
    n = len(ready.positives)
    kinds = {"positive": np.arange(n)}
    if ready.negatives is not None:
        kinds["negative"] = n + np.arange(len(ready.negatives))
    chosen = [
        np.sort(stream(seed, "calibrators", kind).permutation(rows)[:MOST_CALIBRATORS])
        for kind, rows in kinds.items()
    ]
    return np.concatenate(chosen)


def _masked_mean(values: Floats, mask: Flags) -> Floats:
    """Mean over axis 0 where `mask` is true; NaN where it never is."""
    counts = mask.sum(axis=0)
    sums = np.where(mask, values, 0.0).sum(axis=0)
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))


def _over_draws(logits: Floats, allowed: Flags, draws: Draws) -> tuple[Floats, Floats, Floats]:
    """Mean, sd and standard error (n,) over the allowed draws; zeros where there are none."""
    counts = allowed.sum(axis=0)
    mean = np.nan_to_num(_masked_mean(logits, allowed))
    filled = np.where(allowed, logits, mean)
    deviations = filled - mean
    sd = np.sqrt((deviations**2).sum(axis=0) / np.maximum(counts - 1, 1))
    # draws that may not count are held at the mean, which shrinks the variance by the share of the others
    se = standard_error(filled, draws=draws) * np.sqrt(len(logits) / np.maximum(counts, 1))
    return mean, sd, np.asarray(se)
