"""How much of a figure is luck: independent runs, and their variance split by where it arises.

Runs are nested: the patients are split anew, in each split the generator is fitted with several seeds, from
each fit samples are drawn with several seeds. With y = μ + split + init(split) + draw(init, split), all three
random, mean squares give the variance of each by the method of moments (Henderson's first, so that runs may
be missing). An estimate below zero says that its part is too small to be seen in so many runs: it is reported
as 0 and named. `init` holds whatever a fit's seed decides (first weights, order of batches), and how that
differs between splits.

References
----------
Henderson CR. Biometrics 9:226, 1953. Searle SR, Casella G, McCulloch CE. Variance Components, 1992, ch. 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.makers import Maker, by_name, fresh_seed, wanted_labels
from consilience.foundation.errors import DataError, ModelError
from consilience.learning.splits import donor_splits

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.augment.generators.generator import Drawn
    from consilience.learning.samples import Samples

    Judge = Callable[[Samples, Samples, Drawn, int], dict[str, float]]
    """(train, held out, drawn, seed) → figures by name."""

PARTS = ("split", "init", "sampling")
RUN = ("split", "init", "draw", "error")


@dataclass(frozen=True, slots=True)
class VarianceParts:
    """Variance components of one figure.

    `split`, `init`, `sampling`: variances, floored at 0; `raw`: as estimated, in this order. `floored`: the
    parts that came out below 0. NaN where the design cannot tell (one fit per split, one draw per fit: the
    part is then within the next larger one). `error`: standard error of `mean`, by splits. `freedom`: degrees
    of freedom of the three.
    """

    mean: float
    error: float
    split: float
    init: float
    sampling: float
    raw: tuple[float, float, float]
    floored: tuple[str, ...]
    freedom: tuple[int, int, int]
    n_runs: int

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of the total variance, in the order of PARTS; NaN where there is none at all."""
        parts = np.nan_to_num(np.array([self.split, self.init, self.sampling]))
        total = parts.sum()
        split, init, sampling = (parts / total).tolist() if total > 0 else [float("nan")] * 3
        return split, init, sampling


def robustness_runs(
    samples: Samples,
    maker: Maker,
    *,
    n_splits: int = 5,
    n_inits: int = 2,
    n_draws: int = 2,
    test_share: float = 0.3,
    fold: int = 1,
    seed: int = 0,
    judge: Judge | None = None,
) -> pd.DataFrame:
    """One row per run: RUN and the figures of `judge` (those of `judging.judge`).

    A fit that fails leaves rows without figures that say why (`error`); if all fail the last error is raised.

    `n_splits` × `n_inits` fits and `n_draws` sets of `fold` synthetic samples per real one from each.
    """
    import pandas as pd

    if min(n_splits, n_inits, n_draws) < 1:
        raise DataError("runs are counted from 1 on", value=f"{n_splits} × {n_inits} × {n_draws}")
    figures_of = judge or _judged
    rows = by_name(samples)
    found: list[dict[str, Any]] = []
    failed: list[ModelError] = []
    splits = donor_splits(
        rows.donors, labels=rows.labels, n_splits=n_splits, test_share=test_share, seed=seed
    )
    for split in splits:
        train, held_out = rows.take(split.train), rows.take(split.test)
        wanted = wanted_labels(train.labels, fold=fold)
        # what judging draws at random is the same in all runs of a split: it is no part of the luck
        judging = fresh_seed(seed, "robustness judging", split.name)
        for init in range(n_inits):
            try:
                draw = maker(train, fresh_seed(seed, "robustness fit", split.name, init))
            except ModelError as error:
                # that training can fail is a finding of its own
                failed.append(error)
                found += [_run(split.name, init, number, str(error)) for number in range(n_draws)]
                continue
            for number in range(n_draws):
                drawn = draw(wanted, fresh_seed(seed, "robustness draw", split.name, init, number))
                figures = figures_of(train, held_out, drawn, judging)
                found.append(_run(split.name, init, number, "") | figures)
    if len(failed) == n_splits * n_inits:
        raise failed[-1]
    return pd.DataFrame(found)


def _run(split: str, init: int, draw: int, error: str) -> dict[str, Any]:
    return dict(zip(RUN, (split, init, draw, error), strict=True))


def robustness_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Per figure of `robustness_runs`: mean, sd over runs, error, the three variances and their shares."""
    import pandas as pd

    found = []
    for name in [column for column in runs.columns if column not in RUN]:
        known = runs[runs[name].notna()]
        if not len(known):
            continue
        parts = variance_parts(
            known[name].to_numpy(dtype=np.float64),
            split=known["split"].to_numpy(),
            init=known["init"].to_numpy(),
        )
        row = {
            "figure": name,
            "mean": parts.mean,
            "error": parts.error,
            "sd": float(np.std(known[name], ddof=1)) if len(known) > 1 else float("nan"),
            "least": float(known[name].min()),
            "most": float(known[name].max()),
        }
        row |= {f"variance_{part}": getattr(parts, part) for part in PARTS}
        row |= {f"share_{part}": share for part, share in zip(PARTS, parts.shares, strict=True)}
        found.append(row | {"floored": ", ".join(parts.floored), "n_runs": parts.n_runs})
    return pd.DataFrame(found)


def variance_parts(
    values: npt.NDArray[np.floating], *, split: npt.NDArray[Any], init: npt.NDArray[Any]
) -> VarianceParts:
    """Components of `values` (runs,): `split` (runs,), `init` (runs,) within it, and draws within that."""
    if values.ndim != 1 or not len(values) == len(split) == len(init) or not len(values):
        raise DataError("sizes do not agree", value=f"{values.shape}, {len(split)} splits, {len(init)} fits")
    if not np.isfinite(values).all():
        raise DataError("figures are missing", value=f"{int((~np.isfinite(values)).sum())} of {len(values)}")
    y = np.asarray(values, dtype=np.float64)
    a = np.unique(split, return_inverse=True)[1]
    b = np.unique(np.stack([a, np.unique(init, return_inverse=True)[1]]), axis=1, return_inverse=True)[1]
    b = b.ravel()
    in_split, in_fit = np.bincount(a), np.bincount(b)
    above = a[np.unique(b, return_index=True)[1]]
    squares, freedom = _squares(y, a, b, in_split, in_fit, above)
    raw = _components(squares, freedom, in_split, in_fit, above)
    floored = tuple(part for part, value in zip(PARTS, raw, strict=True) if value < 0)
    split_variance, init_variance, sampling = (max(0.0, value) if value == value else value for value in raw)
    means = np.bincount(a, weights=y) / in_split
    error = float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan")
    return VarianceParts(
        float(y.mean()), error, split_variance, init_variance, sampling, raw, floored, freedom, len(y)
    )


def _squares(
    y: npt.NDArray[np.float64], a: npt.NDArray[np.intp], b: npt.NDArray[np.intp],
    in_split: npt.NDArray[np.intp], in_fit: npt.NDArray[np.intp], above: npt.NDArray[np.intp],
) -> tuple[tuple[float, float, float], tuple[int, int, int]]:  # fmt: skip
    """Sums of squares between splits, fits within splits, draws within fits, and their degrees of freedom."""
    # around a value of the data, so that figures that hardly differ keep their digits
    y = y - y[0]
    split_mean, fit_mean = np.bincount(a, weights=y) / in_split, np.bincount(b, weights=y) / in_fit
    between = float((in_split * (split_mean - y.mean()) ** 2).sum())
    fits = float((in_fit * (fit_mean - split_mean[above]) ** 2).sum())
    draws = float(((y - fit_mean[b]) ** 2).sum())
    freedom = (len(in_split) - 1, len(in_fit) - len(in_split), len(y) - len(in_fit))
    return (between, fits, draws), freedom


def _components(
    squares: tuple[float, float, float], freedom: tuple[int, int, int],
    in_split: npt.NDArray[np.intp], in_fit: npt.NDArray[np.intp], above: npt.NDArray[np.intp],
) -> tuple[float, float, float]:  # fmt: skip
    """Solve the expected mean squares from below; a level without degrees of freedom is NaN (0 above it)."""
    nan = float("nan")
    n = int(in_split.sum())
    mean = [square / free if free else nan for square, free in zip(squares, freedom, strict=True)]
    sampling = mean[2]
    known = sampling if sampling == sampling else 0.0
    within = float((in_fit**2 / in_split[above]).sum())
    init = nan
    if freedom[1]:
        init = (mean[1] - known) / ((n - within) / freedom[1])
    split = nan
    if freedom[0]:
        part = (within - float((in_fit**2).sum()) / n) / freedom[0]
        whole = (n - float((in_split**2).sum()) / n) / freedom[0]
        split = (mean[0] - known - part * (init if init == init else 0.0)) / whole
    return split, init, sampling


def _judged(train: Samples, held_out: Samples, drawn: Drawn, seed: int) -> dict[str, float]:
    from consilience.augment.judging import judge

    return judge(train=train, held_out=held_out, drawn=drawn, seed=seed).figures
