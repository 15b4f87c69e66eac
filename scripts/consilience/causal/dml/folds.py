"""Donors dealt into folds, cases and controls alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt


def donor_folds(
    donors: tuple[str, ...], *, disease: npt.NDArray[np.float64], folds: int, repeat: int, seed: int
) -> npt.NDArray[np.intp]:
    """Fold (m,) of each donor in this repeat.

    At most as many folds as the smaller arm has donors, so that none lacks an arm. A donor's luck depends on
    its name, not on its place. Donors of pairs, each of both arms, have one level of `disease` alone.
    """
    arms = [arm for level in (0.0, 1.0) if (arm := np.flatnonzero(disease == level)).size]
    n_folds = max(2, min([folds, *(arm.size for arm in arms)]))
    drawn = np.array([stream(seed, "dml_folds", repeat, name).random() for name in donors])
    found = np.empty(len(donors), dtype=np.intp)
    start = 0
    for arm in arms:
        found[arm[np.argsort(drawn[arm])]] = (start + np.arange(arm.size)) % n_folds
        start += arm.size  # what one arm has over goes on where the other ended: folds of equal size
    return found
