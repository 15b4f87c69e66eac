"""How many latents the default VAE may have at a level of privacy: as inner trials of attacks allow.

Held-out evidence alone takes as many as explain something of new patients, and by then the loadings lie so
near to the patients that who took part can be told. The trials are on training donors parted again and
again, with the closed-form start of the VAE, neither trained nor calibrated: both hardly change what leaks
(AUC: calibration up to ±.01 on four cohorts, with the same choices; training −.01 to +.02 on KICH and PEAC).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.factor_count import Trials, allowed_by
from consilience.augment.generators.vae_training import Ground, Learned, started

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.generator import Drawn, Fitted
    from consilience.augment.generators.vae_scale import Scale
    from consilience.learning.samples import Samples

SIZES = (1, 2, 3, 4, 5, 8, 12, 16, 24)
"""Latent sizes that are tried, up to that of the best evidence. Without any, class means would still tell who
was there, and no two genes would go together."""


@dataclass(frozen=True)
class Trial:
    """Starts on parts of the training donors, on a scale with the warp of `scale`.

    `dressed`: makes a generator of a start and the samples it is of. What a part gives for all sizes is kept.
    """

    scale: Scale
    most: int
    dressed: Callable[[Learned, Samples], Fitted]
    grounds: dict[tuple[str, ...], Ground] = field(default_factory=dict)

    def draw(self, inside: Samples, size: int, labels: npt.NDArray[np.str_], seed: int) -> Drawn:
        """Samples with `labels`, from a start of `size` latents on `inside`."""
        key = tuple(inside.names.tolist())
        if key not in self.grounds:
            codes = np.unique(inside.labels, return_inverse=True)[1].astype(np.intp)
            self.grounds[key] = Ground.of(
                inside.values.astype(np.float64), codes, bounded=self.scale.bounded,
                offset=self.scale.offset, most=self.most,
            )  # fmt: skip
        found = started(self.grounds[key], latent=size, seed=seed)
        return self.dressed(found, inside).sample(labels, seed=seed)


def allowed_latent(
    samples: Samples, *, level: str, most: int, scale: Scale, dressed: Callable[[Learned, Samples], Fitted],
    seed: int,
) -> tuple[int, dict[str, Any]]:  # fmt: skip
    """The latent size, at most `most`, that `level` allows on these donors, and what the trials found.

    1 where there are too few donors for trials.
    """
    tried = [size for size in SIZES if size < most]
    size, trials = allowed_by(
        level, samples, draw=Trial(scale, most, dressed).draw, tried=(*tried, most), seed=seed
    )
    return size, {"level": level, "latent_by_evidence": most, "leak_of_sizes": _leaks(trials)}


def _leaks(trials: Trials | None) -> dict[str, float]:
    """AUC − 0.5 in the trials, by size."""
    if trials is None:
        return {}
    return {str(one): round(float(leak), 4) for one, leak in zip(trials.counts, trials.leak, strict=True)}
