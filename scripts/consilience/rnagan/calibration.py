"""From logits to probabilities: a line on the logit scale, known as well as a few patients allow.

The calibrated log-odds are slope × (logit − shift). Slope and shift are not points but a posterior on a
grid: a prior (of the model, or a general one) times the likelihood of references that were scored without
their own patient. Averaging the probability over it is what keeps five references per kind from being
overconfident; Platt's scaling (1999) with its point estimate does not. The slope is positive: calibration
never turns a score round. A share of the prior says that the score tells nothing (slope 0).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError, ModelError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Text = npt.NDArray[np.str_]

# The general prior, in units of the scores' standard deviation within a kind. Chosen on simulated scores and
# on thirteen real tasks with two scorers (docs/lab-notes.md): wide enough not to matter from ten references.
GENERAL_LOG_SLOPE, GENERAL_LOG_SLOPE_SD = float(np.log(2.0)), 0.7
GENERAL_SHIFT_SD = 0.7
USELESS = 0.15
"""Prior share of tasks on which the score tells nothing."""
BETWEEN_TASKS = 0.5
"""Least standard deviation of log slope (and, in slopes, of the shift) between a model's tasks."""
_GRID_SLOPES, _GRID_SHIFTS, _REACH = 49, 33, 3.5


@dataclass(frozen=True)
class Calibration:
    """What a model's logits have meant on patients it had not seen.

    Normal in log slope and in shift (in logits), with standard deviations for a new task; `useless` the
    share of tasks on which the score told nothing; `n_donors`, `n_tasks` it was learnt from.
    """

    log_slope: float
    log_slope_sd: float
    shift: float
    shift_sd: float
    useless: float = USELESS
    n_donors: int = 0
    n_tasks: int = 0

    @property
    def slope(self) -> float:
        """Calibrated log-odds per logit."""
        return float(np.exp(self.log_slope))

    @property
    def intercept(self) -> float:
        """Calibrated log-odds of a logit of 0."""
        return -self.slope * self.shift

    @classmethod
    def of_line(cls, slope: float, intercept: float) -> Calibration:
        """From a stored slope and intercept, with the usual spread between tasks."""
        if not (np.isfinite(slope) and np.isfinite(intercept) and slope > 0):
            raise ModelError(
                "the calibration cannot be used", value=f"slope {slope}, intercept {intercept}",
                allowed="a positive slope and a finite intercept",
            )  # fmt: skip
        return cls(float(np.log(slope)), BETWEEN_TASKS, -intercept / slope, BETWEEN_TASKS / slope)

    def as_record(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True)
class Posterior:
    """What is known of the line after some references: K slopes, shifts and weights (K,), which sum to 1."""

    slopes: Floats
    shifts: Floats
    weights: Floats

    def probability(self, logits: Floats, *, log_odds: float = 0.0) -> Floats:
        """Mean probability (n,) of logits (n,); `log_odds` of the positive kind before the test."""
        from scipy.special import expit

        found = np.zeros(len(logits))
        for slope, shift, weight in zip(self.slopes, self.shifts, self.weights, strict=True):
            found += weight * expit(slope * (logits - shift) + log_odds)
        return found

    def interval(
        self, logits: Floats, *, standard_errors: Floats, df: float, level: float, log_odds: float = 0.0
    ) -> tuple[Floats, Floats]:
        """Quantiles (n,), (n,) of the probability under the line's and the logits' uncertainty.

        The errors of the logits follow Student's t with `df` degrees of freedom. The same fixed points are
        used for each query, so that its interval depends on no other query.
        """
        from scipy.special import expit
        from scipy.stats import t

        n_points = 1000
        cumulated = np.cumsum(self.weights)
        place = np.minimum(
            np.searchsorted(cumulated, (np.arange(n_points) + 0.5) / n_points), len(cumulated) - 1
        )
        # a golden-ratio sequence pairs the error's quantiles with the line's points evenly
        golden = (np.arange(n_points) * 0.6180339887498949 + 0.5 / n_points) % 1.0
        errors = t.ppf(np.clip(golden, 1e-4, 1 - 1e-4), df)
        slopes, shifts = self.slopes[place], self.shifts[place]
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.empty(len(logits)), np.empty(len(logits))
        for start in range(0, len(logits), 4096):
            block = slice(start, start + 4096)
            moved = logits[block, None] + standard_errors[block, None] * errors - shifts
            low[block], high[block] = np.quantile(slopes * moved + log_odds, tails, axis=1)
        return expit(low), expit(high)


def posterior(
    logits: Floats,
    *,
    positive: Flags,
    weights: Floats,
    calibration: Calibration | None,
) -> Posterior:
    """What is known of the line from logits (n,) of samples of known kind and the prior.

    `positive` (n,) their kind; `weights` (n,) how much of a patient each counts (a patient's samples share
    one). Both kinds count alike. Without a `calibration` the general prior is used, in units of the logits'
    own spread. Without logits of both kinds the posterior is the prior.
    """
    from scipy.special import log_expit

    known = bool(positive.any() and not positive.all())
    prior = calibration or _general(logits, positive=positive, weights=weights)
    steps = np.linspace(-_REACH, _REACH, _GRID_SLOPES), np.linspace(-_REACH, _REACH, _GRID_SHIFTS)
    u, v = (grid.ravel() for grid in np.meshgrid(*steps, indexing="ij"))
    log_weights = -0.5 * (u * u + v * v)
    log_weights += np.log(1.0 - prior.useless) - np.log(np.exp(log_weights).sum())
    slopes, shifts = np.exp(prior.log_slope + prior.log_slope_sd * u), prior.shift + prior.shift_sd * v
    nothing = np.log(max(prior.useless, 1e-300))
    if known:
        alike = _both_alike(positive, weights)
        signed = np.where(positive, 1.0, -1.0)
        log_weights += log_expit(slopes[:, None] * (signed * (logits - shifts[:, None]))) @ alike
        nothing -= float(alike.sum()) * np.log(2.0)
    log_weights = np.append(log_weights, nothing)
    found = np.exp(log_weights - log_weights.max())
    found /= found.sum()
    slopes, shifts = np.append(slopes, 0.0), np.append(shifts, prior.shift)
    kept = found > 1e-7
    return Posterior(slopes[kept], shifts[kept], found[kept] / found[kept].sum())


def fit_calibration(
    logits: Floats, *, positive: Flags, donors: Text, tasks: Text | None = None
) -> Calibration:
    """Learn what logits (n,) of patients not seen in training mean.

    `positive` (n,) their kind, `donors` (n,), `tasks` (n,) where they come from several tasks: then the
    spread of slope and shift between tasks is learnt too (each task's posterior, then mean and variance of
    these). A patient counts once per kind and task.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(logits).all():
        raise DataError("logits to calibrate on are missing or infinite", mend="score these samples again")
    if not positive.any() or positive.all():
        raise DataError(
            "calibration needs patients of both kinds",
            value=f"{int(positive.sum())} positive, {int((~positive).sum())} negative",
        )
    names = np.full(len(logits), "") if tasks is None else tasks
    moments = []
    for task in np.unique(names):
        here = names == task
        if positive[here].any() and not positive[here].all():
            shares = donor_weights(donors[here], positive=positive[here])
            moments.append(_moments(posterior(
                logits[here], positive=positive[here], weights=shares, calibration=None)))  # fmt: skip
    if not moments:
        raise DataError(
            "calibration needs a task with patients of both kinds", value=f"{len(set(names))} tasks"
        )
    each = np.array(moments)
    mean, between = each.mean(axis=0), each.std(axis=0, ddof=1) if len(each) > 2 else np.zeros(each.shape[1])
    slope_sd = float(np.sqrt(max(between[0], BETWEEN_TASKS) ** 2 + (mean[1] ** 2) / len(each)))
    least = BETWEEN_TASKS / float(np.exp(mean[0]))
    shift_sd = float(np.sqrt(max(between[2], least) ** 2 + (mean[3] ** 2) / len(each)))
    return Calibration(float(mean[0]), slope_sd, float(mean[2]), shift_sd,
                       useless=float(np.clip(mean[4], 0.02, 0.5)),
                       n_donors=len(np.unique(donors)), n_tasks=len(each))  # fmt: skip


def donor_weights(donors: Text, *, positive: Flags) -> Floats:
    """What each sample (n,) counts, so that a patient counts once in each kind."""
    keys = np.char.add(np.where(positive, "+", "-"), donors)
    _, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[place])


def _moments(found: Posterior) -> tuple[float, float, float, float, float]:
    """Mean and sd of log slope and of shift among the lines that tell something, and the weight of none."""
    some = found.slopes > 0
    useless = float(found.weights[~some].sum())
    w = found.weights[some] / found.weights[some].sum()
    log_slopes, shifts = np.log(found.slopes[some]), found.shifts[some]
    mean, shift = float(w @ log_slopes), float(w @ shifts)
    return (mean, float(np.sqrt(w @ (log_slopes - mean) ** 2)),
            shift, float(np.sqrt(w @ (shifts - shift) ** 2)), useless)  # fmt: skip


def _both_alike(positive: Flags, weights: Floats) -> Floats:
    """Weights (n,) scaled so that each kind has half of their sum."""
    found = np.array(weights, dtype=np.float64)
    half = found.sum() / 2
    found[positive] *= half / found[positive].sum()
    found[~positive] *= half / found[~positive].sum()
    return found


def _general(logits: Floats, *, positive: Flags, weights: Floats) -> Calibration:
    """The general prior, in units of these logits."""
    if not positive.any() or positive.all():
        return Calibration(0.0, 1.0, 0.0, 1.0)
    means, squares = [], 0.0
    for kind in (positive, ~positive):
        mean = float(np.average(logits[kind], weights=weights[kind]))
        means.append(mean)
        squares += float(weights[kind] @ (logits[kind] - mean) ** 2)
    df = weights.sum() - 2
    # two patients have no spread within a kind: the distance between them has to do
    sd = np.sqrt(squares / df) if df >= 1 else abs(means[0] - means[1])
    unit = float(max(sd, 1e-6 * (1.0 + abs(means[0]) + abs(means[1]))))
    middle = 0.5 * (means[0] + means[1])
    return Calibration(
        GENERAL_LOG_SLOPE - float(np.log(unit)), GENERAL_LOG_SLOPE_SD, middle, GENERAL_SHIFT_SD * unit
    )
