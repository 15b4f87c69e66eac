"""Estimates with their intervals, several for each row, one under the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.figures import Axis, Colour, Figure, points, segments
from consilience.report.sections._causal_volcano import reach, short
from consilience.report.words import count

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

COLOURS: tuple[Colour, ...] = ("accent", "c1", "c2", "c3", "c4", "c5", "c6")
MOST_SERIES = len(COLOURS)
ROOM = 0.8
"""Share of a row that its estimates take."""


@dataclass(frozen=True, slots=True)
class Series:
    """One estimator: estimates and ends of intervals (n,) of the rows `places` (n,)."""

    name: str
    places: Floats
    estimate: Floats
    low: Floats
    high: Floats

    def within(self, rows: Sequence[str], side: float, shift: float, colour: Colour) -> list[dict[str, Any]]:
        """Marks of what lies inside −side … side; intervals are cut there."""
        inside = np.isfinite(self.estimate) & (np.abs(self.estimate) <= side)
        if not inside.any():
            return []
        y = short(self.places[inside] + shift)
        labels = [f"{rows[int(place)]}, {self.name}" for place in self.places[inside]]
        low, high = (short(np.clip(end[inside], -side, side)) for end in (self.low, self.high))
        return [
            segments(x0=low, x1=high, y0=y, y1=y, name=self.name, colour=colour),
            points(x=short(self.estimate[inside]), y=y, name=self.name, colour=colour, labels=labels),
        ]


def zero_line(n_rows: int) -> dict[str, Any]:
    """The line of no effect through all rows."""
    return segments(x0=[0], x1=[0], y0=[-0.6], y1=[n_rows - 0.4])


def forest(
    *, key: str, title: str, rows: Sequence[str], series: Sequence[Series], x_label: str, caption: str,
    alt: str,
    wide: bool = True, share: float = 0.97,
) -> Figure:  # fmt: skip
    """A forest plot; the axis holds all estimates of the first series and `share` of everything else."""
    series = series[:MOST_SERIES]
    first = series[0].estimate
    own = np.abs(first[np.isfinite(first)])
    ends = np.concatenate([series[0].low, series[0].high, *(one.estimate for one in series)])
    side = max(reach(ends, share=share), 1.05 * float(own.max()) if own.size else 0.0)
    step = ROOM / len(series)
    marks = [zero_line(len(rows))]
    for number, (one, colour) in enumerate(zip(series, COLOURS, strict=False)):
        marks += one.within(rows, side, step * (number + 0.5) - ROOM / 2, colour)
    beyond = sum(int((np.abs(one.estimate) > side).sum()) for one in series)
    more = f" {count(beyond, 'estimate')} beyond the edges: in the table." if beyond else ""
    return Figure(
        key=key, title=title, wide=wide, marks=tuple(marks),
        height=90 + max(20, 11 * len(series) + 6) * len(rows),
        x=Axis(label=x_label, domain=(-1.03 * side, 1.03 * side)),
        y=Axis(scale="category", categories=tuple(rows)), caption=f"{caption}{more}", alt=alt,
    )  # fmt: skip
