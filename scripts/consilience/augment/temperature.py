"""Sampling temperature: what a generator's samples are like by temperature, and which one fits a cohort.

`scan` shows the figures of fidelity and privacy by temperature. `adaptive` chooses: the generator is fitted
anew in folds of the *training* patients, and the temperature is the one at which its samples are as wide, as
diverse and as correlated as the patients left out (see temperature_match.py). Nobody but the training
patients is looked at, so the choice may be judged on others. One fit per fold serves all temperatures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.judging import GATED, judge
from consilience.augment.temperature_choice import Adaptive, choose, unchosen
from consilience.augment.temperature_match import (
    FIGURES,
    compared,
    correlation_columns,
    fold_of,
    summary_of,
)
from consilience.foundation.errors import ConfigError, DataError, ModelError
from consilience.learning.splits import Split, donor_folds
from consilience.learning.stopping import TrainingStopped

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.generator import Drawn, Fitted, Generator
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

TEMPERATURES = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
GRID = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Temperatures drawn at for the choice, which is made between them on the scale of log T."""
N_FOLDS = 5
LEAST_FOLDS = 3
"""With two, nobody would be left when one fold is taken out of the comparison with the other."""
N_DRAWN = 200


def scan(
    fitted: Fitted,
    *,
    train: Samples,
    held_out: Samples,
    temperatures: Sequence[float] = TEMPERATURES,
    membership: Sequence[npt.NDArray[np.intp]] | None = None,
    full: bool = True,
    seed: int = 0,
) -> list[dict[str, float]]:
    """One row per temperature: `temperature` and figures by the names of judging.

    `fitted` learned from `train`; classes are drawn as `train` has them, with the same random numbers at
    every temperature. Not `full`: only what temperature moves, several times faster.
    """
    _check(temperatures, least=1)
    labels = np.sort(train.labels)
    rows = []
    for temperature in temperatures:
        drawn = fitted.sample(labels, seed=seed, temperature=temperature)
        figures = (
            judge(train=train, held_out=held_out, drawn=drawn, membership=membership, seed=seed).figures
            if full
            else quick_figures(train=train, held_out=held_out, drawn=drawn, seed=seed)
        )
        rows.append({"temperature": float(temperature)} | figures)
    return rows


def quick_figures(*, train: Samples, held_out: Samples, drawn: Drawn, seed: int = 0) -> dict[str, float]:
    """The figures of judging that temperature moves, by their names, without ceiling and nulls."""
    from consilience.measures.class_agreement import class_agreement
    from consilience.measures.copies import find_copies
    from consilience.measures.correlation import most_variable
    from consilience.measures.distances import canonical_order
    from consilience.measures.gene_agreement import gene_agreement
    from consilience.measures.membership import membership_attacks
    from consilience.measures.privacy import closest_record
    from consilience.measures.two_sample import two_sample_auc

    # as judging does, so that the random draws are the same and follow the content only
    train, held_out = (one.take(canonical_order(one.values)) for one in (train, held_out))
    order = canonical_order(drawn.values)
    drawn = replace(drawn, values=drawn.values[order], labels=drawn.labels[order])
    labels = (train.labels, held_out.labels, drawn.labels)
    sets: dict[str, Any] = {
        "train": train.values, "held_out": held_out.values, "synthetic": drawn.values, "labels": labels,
    }  # fmt: skip
    genes = gene_agreement(reference=held_out.values, compared=drawn.values)
    classes = class_agreement(
        reference=held_out.values, compared=drawn.values, reference_labels=held_out.labels,
        compared_labels=drawn.labels, columns=most_variable(train.values, train.labels, 500),
        zero=float(train.values.min()), seed=seed,
    )  # fmt: skip
    apart = two_sample_auc(
        real=held_out.values, synthetic=drawn.values, seed=seed, labels=(held_out.labels, drawn.labels)
    )
    copies = find_copies(synthetic=drawn.values, train=train.values, donors=train.donors)
    attacks = membership_attacks(**sets, seed=seed, attacks=GATED)
    return {
        "mean_r2": genes.mean.r2, "sd_r2": genes.sd.r2, "sd_slope": genes.sd.slope,
        "class_mean_r2": classes.mean_r2, "spread": classes.spread_ratio, "diversity": classes.diversity,
        "correlation": classes.correlation.concordance,
        "two_sample_linear": apart.linear, "two_sample_spread": apart.spread,
        "two_sample_joint": apart.joint, "lost_classes": float(len(classes.lost)),
        "near_copies": float(copies.near.sum()), "closest_share": closest_record(**sets, seed=seed).share,
        "membership": max(attack.auc for attack in attacks),
    }  # fmt: skip


def adaptive(
    generator: Generator,
    samples: Samples,
    *,
    seed: int,
    n_folds: int = N_FOLDS,
    temperatures: Sequence[float] = GRID,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] | None = None,
) -> Adaptive:
    """Choose the temperature for `generator` on a cohort, by donor, within `samples` alone.

    `samples`: the training patients. The criterion (see temperature_choice.py) is interpolated over log T.
    Where a class has fewer donors than folds, fewer folds are made, but three or more; a class of one donor
    keeps T = 1.
    """
    _check(temperatures)
    grid = tuple(sorted(float(one) for one in temperatures))
    if not generator.temperature:
        return unchosen(grid, "This generator has no temperature.")
    samples = samples.take(np.argsort(samples.names, kind="stable"))
    fewest = _fewest_donors(samples)
    n_folds = min(n_folds, max(LEAST_FOLDS, fewest))
    if fewest < 2:
        return unchosen(grid, "A class has one donor only, so no fold can be made: T = 1 is kept.")
    folds = list(donor_folds(samples.donors, labels=samples.labels, n_folds=n_folds, seed=seed))
    parts = np.zeros((1 + n_folds, n_folds, len(grid), 2, len(FIGURES)))
    for number, fold in enumerate(folds):
        try:
            fitted = generator.fit(
                samples.take(fold.train), seed=seed, effort=effort, device=device, options=options or {}
            )
        except TrainingStopped:
            raise
        except (DataError, ModelError) as error:
            return unchosen(grid, f"With a fold left out it cannot be fitted ({error}): T = 1 is kept.")
        parts[:, number] = _fold_parts(fitted, samples, folds=folds, number=number, grid=grid, seed=seed)
    return choose(parts, temperatures=grid)


def _fold_parts(
    fitted: Fitted, samples: Samples, *, folds: list[Split], number: int, grid: Sequence[float], seed: int
) -> npt.NDArray[np.float64]:
    """Numerators and denominators of FIGURES of one fold: (1 + folds, t, 2, 4).

    First with all real patients; then with those of each fold taken out of what the draws are compared with
    (of its own fold nothing is left: 0).
    """
    fold = folds[number]
    train, held_out = samples.take(fold.train), samples.take(fold.test)
    columns = correlation_columns(train)
    # whole copies of the training labels, so that classes come in their shares
    labels = np.tile(np.sort(train.labels), -(-N_DRAWN // len(train)))
    drawn = [
        summary_of(fitted.sample(labels, seed=seed, temperature=temperature), columns=columns)
        for temperature in grid
    ]
    found = np.zeros((1 + len(folds), len(grid), 2, len(FIGURES)))
    for place in range(1 + len(folds)):
        if place != number + 1:
            left = fold.train if not place else np.setdiff1d(fold.train, folds[place - 1].test)
            real = fold_of(samples.take(left), held_out, columns=columns)
            found[place] = [compared(real, one) for one in drawn]
    return found


def _fewest_donors(samples: Samples) -> int:
    """Donors of the class that has fewest."""
    return min(len(np.unique(samples.donors[samples.labels == label])) for label in np.unique(samples.labels))


def _check(temperatures: Sequence[float], *, least: int = 2) -> None:
    values = np.asarray(temperatures, dtype=np.float64)
    if values.size < least or not np.isfinite(values).all() or (values <= 0).any():
        raise ConfigError(
            "temperatures must be positive numbers, for a choice two or more", where="temperatures",
            value=", ".join(f"{one:g}" for one in values.ravel()), mend="for example 0.5, 1, 2, 4",
        )  # fmt: skip
