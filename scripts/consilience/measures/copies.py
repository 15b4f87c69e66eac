"""Copies of patients among synthetic samples: exact ones, and near ones that point to one patient only.

A sample is a near copy of a patient when it lies within half the way from that patient to the nearest
*other* patient, by Euclidean distance or by correlation of profiles: nobody else can be meant. The scale is
the patient's own, so that an outlier in an empty region is protected as well; where a patient has a twin in
the data (a duplicate, a replicate without a donor name), half of a low quantile (5 %) of all such distances
takes its place. In hundreds of genes an independent sample never comes so near: its distance from the
nearest patient is about that of the patients from each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.measures.distances import (
    ROUNDING,
    Space,
    correlation_space,
    nearest,
    raw_space,
)

if TYPE_CHECKING:
    import numpy.typing as npt

NEAR = 0.5
LOW_QUANTILE = 0.05


@dataclass(frozen=True, slots=True)
class Copies:
    """`exact`, `near` (k,): which synthetic samples are copies (an exact one is near as well).

    `patient` (k,): row of the nearest training patient. `closeness` (k,): distance from the patient as a
    share of the forbidden radius, the smaller of the two distances (below 1: a near copy).
    """

    exact: npt.NDArray[np.bool_]
    near: npt.NDArray[np.bool_]
    patient: npt.NDArray[np.intp]
    closeness: npt.NDArray[np.float64]


def find_copies(
    *,
    synthetic: npt.NDArray[np.floating],
    train: npt.NDArray[np.floating],
    donors: npt.NDArray[np.generic] | None = None,
    near: float = NEAR,
) -> Copies:
    """Look for copies of rows of `train` (n, G) in `synthetic` (k, G).

    `donors` (n,): rows of one donor are not each other's nearest other patient.
    """
    if len(train) < 2:
        raise DataError("one patient only, so there is no scale for what is near", value=len(train))
    marks = np.arange(len(train)) if donors is None else donors
    closeness = np.full(len(synthetic), np.inf)
    patient = np.zeros(len(synthetic), dtype=np.intp)
    exact = np.zeros(len(synthetic), dtype=bool)
    for number, space in enumerate(_spaces(train)):
        references, queries = space(train), space(synthetic)
        radius = near * private_radius(references, marks)
        # the sample may be nearest to a patient of small radius and yet inside the radius of another
        found = nearest(queries=queries, references=references, k=min(len(train), 10))
        share = found.distance / np.maximum(radius[found.place], 1e-12)
        best = share.argmin(axis=1)
        value = share[np.arange(len(share)), best]
        better = value < closeness
        closeness[better] = value[better]
        patient[better] = found.place[np.arange(len(share)), best][better]
        if number == 0:
            size = np.linalg.norm(np.asarray(train, dtype=np.float64), axis=1)
            exact = found.distance[:, 0] <= ROUNDING * np.maximum(size[found.place[:, 0]], 1e-12)
    return Copies(exact, exact | (closeness < 1), patient, closeness)


def private_radius(
    values: npt.NDArray[np.floating], donors: npt.NDArray[np.generic]
) -> npt.NDArray[np.float64]:
    """Distance of every patient (n, d) from the nearest of another donor, at least the low quantile: (n,)."""
    away = nearest(queries=values, references=values, k=1, apart=(donors, donors)).distance[:, 0]
    if not np.isfinite(away).all():
        raise DataError("all samples are of one donor, so there is no scale for what is near")
    positive = away[away > 0]
    floor = float(np.quantile(positive, LOW_QUANTILE)) if positive.size else 0.0
    radius: npt.NDArray[np.float64] = np.maximum(away, floor)
    return radius


def _spaces(train: npt.NDArray[np.floating]) -> list[Space]:
    # with three patients or fewer all standardised profiles are equally far apart or opposite
    return [raw_space(train), correlation_space(train)] if len(train) > 3 else [raw_space(train)]
