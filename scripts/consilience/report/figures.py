"""Figures as data: axes and a handful of marks that the page's own charts.js draws as SVG.

Marks cover what the stages need: histograms and bars (`boxes`), scatter, volcano and strip plots (`points`),
loss, ROC and T-curves (`line` with `band`), forest plots (`points` with `segments`), heatmaps (`cells`) and
thresholds (`rule`). A category axis has positions 0, 1, 2 … for its categories.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Number = int | float | None
Scale = Literal["linear", "log", "category"]
Format = Literal["number", "integer", "percent"]
# role colours come first: the same meaning has the same colour in the whole report
Colour = Literal[
    "case", "control", "kept", "removed", "accent", "muted", "c0", "c1", "c2", "c3", "c4", "c5", "c6"
]
SERIES: tuple[Colour, ...] = ("c0", "c1", "c2", "c3", "c4", "c5", "c6")


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis; `domain` fixes its ends, else the marks decide."""

    label: str = ""
    scale: Scale = "linear"
    categories: tuple[str, ...] = ()
    domain: tuple[float, float] | None = None
    format: Format = "number"
    zero: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for charts.js."""
        return {
            "label": self.label,
            "scale": self.scale,
            "categories": list(self.categories),
            "domain": list(self.domain) if self.domain else None,
            "format": self.format,
            "zero": self.zero,
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the page: its text is part of it, because a plot without words helps few.

    `alt` says in one sentence what is seen; it is read aloud by screen readers and shown when there is no
    JavaScript.
    """

    block: ClassVar[str] = "figure"
    key: str
    title: str
    x: Axis
    y: Axis
    marks: tuple[dict[str, Any], ...]
    caption: str = ""
    alt: str = ""
    height: int = 230
    wide: bool = False
    square: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for charts.js."""
        return {
            "key": self.key,
            "title": self.title,
            "x": self.x.to_json(),
            "y": self.y.to_json(),
            "marks": list(self.marks),
            "height": self.height,
            "square": self.square,
        }


@dataclass(slots=True)
class _Numbers:
    """Rounding for transport: five significant digits are more than a screen shows."""

    digits: int = field(default=5)

    def __call__(self, values: Iterable[Number]) -> list[Number]:
        return [self.one(value) for value in values]

    def one(self, value: Number) -> Number:
        if value is None or not math.isfinite(value):
            return None
        if isinstance(value, int) or value == int(value):
            return int(value)
        return float(f"{value:.{self.digits}g}")


_numbers = _Numbers()


def boxes(
    *,
    x0: Sequence[float],
    x1: Sequence[float],
    y0: Sequence[float],
    y1: Sequence[float],
    name: str = "",
    colour: Colour = "kept",
    labels: Sequence[str] = (),
) -> dict[str, Any]:
    """Filled boxes: histogram bins and bars."""
    return {
        "type": "boxes",
        "x0": _numbers(x0),
        "x1": _numbers(x1),
        "y0": _numbers(y0),
        "y1": _numbers(y1),
        "name": name,
        "colour": colour,
        "labels": list(labels),
    }


def points(
    *,
    x: Sequence[Number],
    y: Sequence[Number],
    name: str = "",
    colour: Colour = "kept",
    shape: Literal["dot", "ring", "cross"] = "dot",
    labels: Sequence[str] = (),
    named: bool = False,
) -> dict[str, Any]:
    """Points with a label each, shown on hover; drawn as one path, so 20,000 of them are fine.

    `named`: labels of a few points stand beside them, where there is room.
    """
    return {
        "type": "points",
        "x": _numbers(x),
        "y": _numbers(y),
        "name": name,
        "colour": colour,
        "shape": shape,
        "labels": list(labels),
        **({"named": True} if named else {}),
    }


def line(
    *,
    x: Sequence[Number],
    y: Sequence[Number],
    name: str = "",
    colour: Colour = "accent",
    dashed: bool = False,
) -> dict[str, Any]:
    """A line through the points; a missing value breaks it."""
    return {
        "type": "line",
        "x": _numbers(x),
        "y": _numbers(y),
        "name": name,
        "colour": colour,
        "dashed": dashed,
    }


def band(
    *,
    x: Sequence[Number],
    low: Sequence[Number],
    high: Sequence[Number],
    name: str = "",
    colour: Colour = "accent",
) -> dict[str, Any]:
    """An uncertainty band around a line."""
    return {
        "type": "band",
        "x": _numbers(x),
        "low": _numbers(low),
        "high": _numbers(high),
        "name": name,
        "colour": colour,
    }


def segments(
    *,
    x0: Sequence[Number],
    x1: Sequence[Number],
    y0: Sequence[Number],
    y1: Sequence[Number],
    name: str = "",
    colour: Colour = "muted",
) -> dict[str, Any]:
    """Straight segments: confidence intervals, lollipops, dumbbells."""
    return {
        "type": "segments",
        "x0": _numbers(x0),
        "x1": _numbers(x1),
        "y0": _numbers(y0),
        "y1": _numbers(y1),
        "name": name,
        "colour": colour,
    }


def cells(
    *,
    values: Sequence[Sequence[Number]],
    rows: Sequence[str],
    columns: Sequence[str],
    diverging: bool = False,
) -> dict[str, Any]:
    """A heatmap; the axes must be category axes with `columns` (x) and `rows` (y)."""
    return {
        "type": "cells",
        "values": [_numbers(row) for row in values],
        "rows": list(rows),
        "columns": list(columns),
        "diverging": diverging,
    }


def rule(
    *, axis: Literal["x", "y"], at: float, label: str = "", shade: Literal["", "below", "above"] = ""
) -> dict[str, Any]:
    """A threshold line with its name; `shade` tints the side that is refused."""
    return {"type": "rule", "axis": axis, "at": _numbers.one(at), "label": label, "shade": shade}


def histogram(
    *,
    key: str,
    title: str,
    label: str,
    edges: Sequence[float],
    counts: Sequence[int],
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    noun: str = "samples",
    caption: str = "",
    percent: bool = False,
) -> Figure:
    """A histogram with its thresholds drawn; what lies outside them is tinted."""
    usable_log = log and min(edges, default=0.0) > 0
    marks = [boxes(x0=edges[:-1], x1=edges[1:], y0=[0] * len(counts), y1=counts, name=noun, colour="kept")]
    words = []
    for at, side, word in ((low, "below", "from"), (high, "above", "up to")):
        if at is not None:
            marks.append(rule(axis="x", at=at, label=f"{word} {short(at, percent=percent)}", shade=side))  # type: ignore[arg-type]
            words.append(f"{word} {short(at, percent=percent)}")
    total = sum(counts)
    alt = f"Histogram of {label} over {total:,} {noun}" + (f"; kept {' '.join(words)}" if words else "") + "."
    return Figure(
        key=key,
        title=title,
        caption=caption,
        alt=alt,
        marks=tuple(marks),
        height=190,
        x=Axis(
            label=label, scale="log" if usable_log else "linear", format="percent" if percent else "number"
        ),
        y=Axis(label=noun, format="integer", zero=True),
    )


def short(value: float, *, percent: bool = False) -> str:
    """A number as a person writes it in a sentence: three digits, thousands separated, shares in percent."""
    if percent:
        return f"{100 * value:.3g} %"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
