"""Is this sample of the positive kind? A probability from few references, with an interval and a warning.

How it is made: each query is scored under many draws of references that hold no patient of its own; the mean
logit is turned into a probability by a line learnt from the references themselves (each scored by the draws
without its patient) on top of what the model's logits have meant before; the interval covers both the choice
of the reference patients and that line; novelty flags what neither kind of reference is like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import ConfigError
from consilience.rnagan.calibration import Calibration
from consilience.rnagan.comparison import Comparison, Reference, compare
from consilience.rnagan.diagnosis_modes import Answer, Options, positive_only, published_rule, two_kinds
from consilience.rnagan.draw_scores import Scorer
from consilience.rnagan.novelty import Novelty, novelty

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

OOD_LEVEL = 0.05


@dataclass(frozen=True)
class Diagnosis:
    """One row per query (n,).

    `probability` of the positive kind; `low`, `high` interval at `level`; `logit_mean`, `logit_sd` over
    draws, `logit_se` standard error of the mean for a new choice of reference patients (NaN where a kind has
    one patient); `p_value` (positive-only mode, else None) share of positives at most as typical as the
    query; `ood` flag, `ood_p` and `ood_distance` (1: as far from its nearer kind as that kind's own
    patients); `usable_genes`; `n_left_out` references left out for the query, told in `left_out`.
    `mode` is `two kinds`, `positive only` or `published`; `calibration` (slope, intercept) of the mean line,
    None where there is none; `n_positive`, `n_negative` reference samples, `references_per_draw` of them
    (positive, negative) in a draw; `notes` what a reader must know.
    """

    names: npt.NDArray[np.str_]
    probability: Floats
    low: Floats
    high: Floats
    logit_mean: Floats
    logit_sd: Floats
    logit_se: Floats
    p_value: Floats | None
    ood: Flags
    ood_p: Floats
    ood_distance: Floats
    usable_genes: npt.NDArray[np.intp]
    n_left_out: npt.NDArray[np.intp]
    left_out: tuple[Reference, ...]
    mode: str
    level: float
    calibration: tuple[float, float] | None
    n_positive: int
    n_negative: int
    references_per_draw: tuple[int, int]
    n_draws: int
    notes: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """One row per sample, as written to diagnosis tables."""
        import pandas as pd

        columns: dict[str, Any] = {"sample": self.names} | {
            name: getattr(self, name)
            for name in ("probability", "low", "high", "ood", "logit_mean", "logit_sd", "logit_se",
                         "ood_p", "ood_distance", "usable_genes", "n_left_out")
        }  # fmt: skip
        if self.p_value is not None:
            columns["p_value"] = self.p_value
        return pd.DataFrame(columns)

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "mode": self.mode, "level": self.level, "samples": len(self.names),
            "calibration": None if self.calibration is None else list(self.calibration),
            "positive_references": self.n_positive, "negative_references": self.n_negative,
            "references_per_draw": list(self.references_per_draw), "draws": self.n_draws,
            "out_of_distribution": int(self.ood.sum()),
            "left_out": [vars(one) | {} for one in self.left_out], "notes": list(self.notes),
        }  # fmt: skip


def diagnose(
    score: Scorer,
    queries: Samples,
    positives: Samples,
    negatives: Samples | None,
    *,
    seed: int,
    n_references: int = 20,
    n_draws: int = 100,
    calibration: Calibration | tuple[float, float] | None = None,
    prevalence: float = 0.5,
    level: float = 0.9,
    ood_level: float = OOD_LEVEL,
    observed: Flags | None = None,
    published: bool = False,
) -> Diagnosis:
    """Probability that each query is of the positive kind.

    `n_references` of each kind in each of `n_draws` draws, fewer where there are not as many; `calibration`
    what the model's logits meant on held-out patients; `prevalence` share of positives among such queries
    before the test; `level` of the intervals; `ood_level` share of ordinary patients that the flag may hit;
    `observed` (G,) genes measured. `published`: draws with replacement and the Mann-Whitney probability of
    the original, without calibration.
    """
    _check_shares(prevalence=prevalence, level=level, ood_level=ood_level)
    line = Calibration.of_line(*calibration) if isinstance(calibration, tuple) else calibration
    ready = compare(queries, positives, negatives, observed=observed)
    options = Options(n_references, n_draws, seed, prevalence, level, observed)
    if published:
        mode, answer = "published", published_rule(score, ready, options)
    elif negatives is None:
        mode, answer = "positive only", positive_only(score, ready, options)
    else:
        mode, answer = "two kinds", two_kinds(score, ready, options, line)
    strange = novelty(ready, level=ood_level, observed=observed)
    return _diagnosis(ready, answer, strange, mode=mode, options=options)


def _check_shares(**shares: float) -> None:
    for name, value in shares.items():
        if not 0.0 < value < 1.0:
            raise ConfigError("must lie between 0 and 1, both excluded", where=name, value=value)


def _diagnosis(
    ready: Comparison, answer: Answer, strange: Novelty, *, mode: str, options: Options
) -> Diagnosis:
    counts = dict.fromkeys(ready.queries.names.tolist(), 0)
    for one in ready.left_out:
        counts[one.query] += 1
    return Diagnosis(
        names=ready.queries.names, probability=answer.probability, low=answer.low, high=answer.high,
        logit_mean=answer.mean, logit_sd=answer.sd, logit_se=answer.se, p_value=answer.p_value,
        ood=strange.flag, ood_p=strange.p_value, ood_distance=strange.distance,
        usable_genes=ready.usable_genes,
        n_left_out=np.array([counts[name] for name in ready.queries.names.tolist()], dtype=np.intp),
        left_out=ready.left_out, mode=mode, level=options.level, calibration=answer.line,
        n_positive=len(ready.positives), n_negative=0 if ready.negatives is None else len(ready.negatives),
        references_per_draw=answer.per_draw, n_draws=options.n_draws,
        notes=ready.notes + strange.notes,
    )  # fmt: skip
