"""One row of figures for one set of synthetic samples: how faithful, how diverse, how private.

Everything is held against patients the generator never saw. The same figures of the training patients
themselves (`REAL_TRAIN`) are the ceiling of fidelity, and the floor of privacy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.generator import Drawn
    from consilience.learning.samples import Samples
    from consilience.measures.fidelity import Agreement, Fidelity
    from consilience.measures.privacy import Privacy

REAL_TRAIN = "real_train"
FIDELITY = (
    "mean_r2", "sd_r2", "sd_slope", "class_mean_r2", "fold_change_r2", "spread", "diversity", "correlation",
    "correlation_published", "zero_error", "pathways", "mmd", "energy", "density", "coverage", "unique_share",
    "two_sample_linear", "two_sample_spread", "two_sample_joint", "lost_classes", "share_error",
)  # fmt: skip
"""`spread`, `diversity` and `correlation` are within classes; `correlation` is the concordance."""
PRIVACY = (
    "exact_copies", "near_copies", "closest_share", "membership", "membership_distance",
    "membership_correlation", "membership_profile", "membership_span",
)  # fmt: skip
"""`membership`: the larger AUC of the attacks by distance and by correlation, which the release gate uses."""
GATED = ("distance", "correlation")


@dataclass(frozen=True)
class Judged:
    """`figures` by the names of FIDELITY and PRIVACY; `ceiling`: FIDELITY of the training patients."""

    figures: dict[str, float]
    ceiling: dict[str, float]
    fidelity: Fidelity
    privacy: Privacy


def judge(
    *,
    train: Samples,
    held_out: Samples,
    drawn: Drawn,
    membership: Sequence[npt.NDArray[np.intp]] | None = None,
    seed: int = 0,
) -> Judged:
    """Hold `drawn` against `held_out`, beside `train`; `membership` columns of each pathway's genes."""
    from consilience.measures.fidelity import fidelity
    from consilience.measures.privacy import privacy

    labels = (train.labels, held_out.labels, drawn.labels)
    closeness = fidelity(
        real_train=train.values, real_held_out=held_out.values, synthetic=drawn.values, labels=labels,
        membership=membership, zero=float(train.values.min()), seed=seed,
    )  # fmt: skip
    leak = privacy(
        train=train.values, held_out=held_out.values, synthetic=drawn.values, labels=labels,
        donors=(train.donors, held_out.donors), seed=seed,
    )  # fmt: skip
    return Judged(
        figures=fidelity_figures(closeness.synthetic) | privacy_figures(leak),
        ceiling=fidelity_figures(closeness.ceiling),
        fidelity=closeness,
        privacy=leak,
    )


def fidelity_figures(found: Agreement) -> dict[str, float]:
    """The figures of FIDELITY, NaN where they could not be computed."""
    genes, cloud, apart, classes = found.genes, found.cloud, found.two_sample, found.classes
    nan = float("nan")
    values = (
        genes.mean.r2, genes.sd.r2, genes.sd.slope,
        classes.mean_r2 if classes else nan, classes.fold_change.r2 if classes else nan,
        classes.spread_ratio if classes else genes.spread_ratio,
        classes.diversity if classes else cloud.diversity,
        classes.correlation.concordance if classes else found.correlation.concordance,
        found.correlation_published, genes.zero_fraction_error,
        found.pathways.median if found.pathways else nan,
        cloud.mmd, cloud.energy, cloud.density, cloud.coverage, cloud.unique_share,
        apart.linear, apart.spread, apart.joint,
        float(len(classes.lost)) if classes else nan, classes.share_error if classes else nan,
    )  # fmt: skip
    return dict(zip(FIDELITY, (float(value) for value in values), strict=True))


def privacy_figures(found: Privacy) -> dict[str, float]:
    """The figures of PRIVACY."""
    attacks = {attack.name: attack.auc for attack in found.attacks}
    values = (
        float(found.exact_copies), float(found.near_copies), found.closest.share,
        max(attacks[name] for name in GATED), *(attacks[name.partition("_")[2]] for name in PRIVACY[4:]),
    )  # fmt: skip
    return dict(zip(PRIVACY, values, strict=True))
