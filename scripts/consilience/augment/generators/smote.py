"""SMOTE: a point between a patient and one of the nearest others of its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import checked_options, in_range
from consilience.augment.generators.generator import Generator
from consilience.augment.generators.rows import TEMPERATURE, RowSampler, kept, kept_in, warmed
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.rows import Values
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

KEY = "smote"
OPTIONS = {"neighbours": 5}


@dataclass(frozen=True)
class Smote(RowSampler):
    """Patients, and among how many neighbours a second one is drawn."""

    key = KEY
    option = "neighbours"

    def made(self, rows: Values, n: int, *, warmth: float, seed: int) -> Values:
        """A patient, one of its nearest others, and a uniform share of the way between them."""
        near = neighbours(rows, k=int(self.amount))
        rng = stream(seed, "between")
        start = rng.integers(len(rows), size=n)
        end = near[start, rng.integers(near.shape[1], size=n)]
        share = rng.random((n, 1), dtype=np.float32)
        return warmed(rows[start] + share * (rows[end] - rows[start]), rows, warmth)


def neighbours(rows: npt.NDArray[np.floating], *, k: int) -> npt.NDArray[np.intp]:
    """Nearest other rows of each by Euclidean distance: (n, at most k)."""
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    gram = centred @ centred.T
    length = np.diag(gram)
    square = length[:, None] + length - 2 * gram
    np.fill_diagonal(square, np.inf)
    return np.argsort(square, axis=1, kind="stable")[:, : min(k, len(rows) - 1)]


def fit(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> Smote:
    """Nothing is learned: the patients are kept."""
    chosen = checked_options(options, known=OPTIONS, key=KEY)
    return Smote(
        kept(samples), int(in_range("neighbours", chosen["neighbours"], low=1, high=10_000, key=KEY))
    )


def restore(arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> Smote:
    """`to_arrays` turned around."""
    return Smote(kept_in(arrays, description), description["neighbours"])


GENERATOR = Generator(
    key=KEY,
    title="SMOTE",
    kind="classical",
    reference="Chawla NV, Bowyer KW, Hall LO, Kegelmeyer WP. J Artif Intell Res 16:321, 2002",
    doi="10.1613/jair.953",
    assumes="What lies between two patients of a class is a patient of that class.",
    limits="Keeps the patients: half of its samples are near copies of one, and its model holds them all.",
    fit=fit,
    restore=restore,
    temperature=TEMPERATURE,
    options=OPTIONS,
)
