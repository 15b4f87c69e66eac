"""Groups of donors for cross-fitting: by name and seed alone, stratified over nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt


def donor_groups(donors: tuple[str, ...], *, folds: int, seed: int) -> npt.NDArray[np.intp]:
    """Fold 0 … folds - 1 of each donor (m,), sizes as even as can be; fewer folds where donors are fewer."""
    n_folds = max(1, min(folds, len(donors)))
    order = np.argsort(np.array(donors))
    found = np.zeros(len(donors), dtype=np.intp)
    found[order[stream(seed, "denoising folds").permutation(len(donors))]] = np.arange(len(donors)) % n_folds
    return found
