"""Random numbers that depend on names, not on order: one stream per (seed, key, key, …)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def stream(seed: int, *keys: str | int) -> np.random.Generator:
    """A generator that depends only on `seed` and the keys.

    Two samples or folds get independent streams whatever their order and however many threads run, so a
    new cohort never changes an old one: ``stream(1, "donor", "D07")``.
    """
    import numpy as np

    text = "\0".join(f"{type(key).__name__}:{key}" for key in keys)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng([seed, *words.tolist()])
