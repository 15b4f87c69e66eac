"""Effects against evidence, and effects against effects: what is drawn of thousands of genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.figures import Axis, Colour, Figure, line, points, rule, segments
from consilience.report.sections._causal_reading import evidence
from consilience.report.words import count

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Booleans = npt.NDArray[np.bool_]

RAISES, LOWERS, OTHERS = "raises the risk", "lowers the risk", "not significant"
BINS = (96, 72, 54, 40, 30, 22, 16, 12, 8, 4, 2)


def thinned(x: Floats, y: Floats, *, most: int) -> npt.NDArray[np.intp]:
    """Places of at most `most` points that keep the shape of the cloud: one for each cell of a grid."""
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(known) <= most:
        return known
    scaled = []
    for values in (x[known], y[known]):
        span = np.ptp(values)
        scaled.append((values - values.min()) / span if span > 0 else np.zeros(len(values)))
    for bins in BINS:
        cell = np.minimum((scaled[0] * bins).astype(int), bins - 1) * bins
        cell += np.minimum((scaled[1] * bins).astype(int), bins - 1)
        first = np.unique(cell, return_index=True)[1]
        if len(first) <= most:
            return known[np.sort(first)]
    return known[:most]


def reach(values: Floats, *, always: Booleans | None = None, share: float = 0.99) -> float:
    """Half the width of a symmetric axis: nearly all values, and those of `always`."""
    known = np.abs(values[np.isfinite(values)])
    if not known.size:
        return 1.0
    size = float(np.quantile(known, share)) * 1.25
    if always is not None and (named := np.abs(values[always & np.isfinite(values)])).size:
        size = max(size, min(float(named.max()) * 1.05, 4 * size))
    largest = float(known.max()) * 1.05
    return min(size, largest) or 1.0


def short(values: npt.NDArray[np.floating]) -> list[float | None]:
    """Four digits: more than a pixel tells."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]


def cloud(
    *, x: Floats, y: Floats, labels: Sequence[str], groups: Sequence[tuple[str, Colour, Booleans]],
    named: npt.NDArray[np.intp], most: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Points in groups of (name, colour, members (n,)).

    The first group is thinned and has no names, `named` have theirs beside them.
    """
    marks = []
    is_named = np.zeros(len(x), dtype=bool)
    is_named[named] = True
    for place, (name, colour, members) in enumerate(groups):
        own = np.flatnonzero(members & ~is_named)
        own = own[thinned(x[own], y[own], most=most)]
        if own.size:
            words = [labels[int(one)] for one in own] if place else []
            marks.append(points(x=short(x[own]), y=short(y[own]), name=name, colour=colour, labels=words))
        top = named[members[named]]
        if top.size:
            marks.append(points(x=short(x[top]), y=short(y[top]), name=name, colour=colour, named=True,
                                labels=[labels[int(one)] for one in top]))  # fmt: skip
    return marks


def strongest(p: Floats, *, top: int) -> npt.NDArray[np.intp]:
    """Places of the smallest p-values, those that are unknown left out."""
    order = np.argsort(p, kind="stable")
    return order[: min(top, int(np.isfinite(p).sum()))]


def zeros(across: float, up: float) -> dict[str, Any]:
    """Lines through the origin of a symmetric picture."""
    return segments(x0=[-1.2 * across, 0], x1=[1.2 * across, 0], y0=[0, -1.2 * up], y1=[0, 1.2 * up])


def volcano(
    *, key: str, title: str, effect: Floats, p: Floats, labels: Sequence[str], hold: Booleans, x_label: str,
    noun: str = "gene", most: int = 600, top: int = 8, height: int = 300, wide: bool = False,
    caption: str = "", bound: float | None = None, domain_y: float | None = None,
) -> Figure:  # fmt: skip
    """Effect (n,) against −log10 p (n,); `hold` (n,) are coloured by direction, the `top` of them named."""
    y = evidence(p)
    named = np.array([one for one in strongest(p, top=top) if hold[one]], dtype=np.intp)
    always = np.zeros(len(p), dtype=bool)
    always[named] = True
    side = reach(effect, always=always)
    beyond = int((np.abs(effect) > side).sum())
    x = np.clip(effect, -side, side)
    marks = cloud(
        x=x, y=y, labels=labels, named=named, most=most,
        groups=((OTHERS, "muted", ~hold), (RAISES, "case", hold & (effect >= 0)),
                (LOWERS, "control", hold & (effect < 0))),
    )  # fmt: skip
    known = y[np.isfinite(y)]
    height_y = domain_y or 1.08 * max(float(known.max()) if known.size else 1.0, 2.0)
    if bound is not None:
        marks.append(rule(axis="y", at=bound, label="5 % false discoveries" if wide else ""))
    edge = f"{count(beyond, noun)} beyond the edges are drawn there." if beyond else ""
    return Figure(
        key=key, title=title, height=height, wide=wide, marks=tuple(marks),
        x=Axis(label=x_label, domain=(-1.1 * side, 1.1 * side)),
        y=Axis(label="−log10 p", domain=(0.0, height_y)),
        caption=" ".join(filter(None, (caption, edge))),
        alt=f"{int(hold.sum()):,} of {int(np.isfinite(p).sum()):,} {noun}s are below 5 % false discoveries"
            + (f", first {labels[named[0]]}" if len(named) else "") + ".",
    )  # fmt: skip


def fdr_bound(p: Floats, hold: Booleans) -> float | None:
    """−log10 of the largest p-value that holds; None where none does."""
    own = p[hold & np.isfinite(p)]
    return float(evidence(own).min()) if own.size else None


def against(
    *, key: str, title: str, x: Floats, y: Floats, labels: Sequence[str],
    groups: Sequence[tuple[str, Colour, Booleans]], named: npt.NDArray[np.intp], x_label: str, y_label: str,
    slope: float | None = None, slope_words: str = "", most: int = 500, height: int = 300, caption: str = "",
    alt: str = "",
) -> Figure:  # fmt: skip
    """One estimate against another, with zero lines and a line through the origin where `slope` is given."""
    sides = (reach(x), reach(y))
    always = np.zeros(len(x), dtype=bool)
    always[named] = True
    sides = (reach(x, always=always), reach(y, always=always))
    u, v = np.clip(x, -sides[0], sides[0]), np.clip(y, -sides[1], sides[1])
    marks: list[dict[str, Any]] = []
    if slope is not None and np.isfinite(slope):
        end = min(sides[0], sides[1] / abs(slope) if slope else sides[0])
        marks.append(line(x=[-end, end], y=[-end * slope, end * slope], name=slope_words, colour="muted",
                          dashed=True))  # fmt: skip
    marks += cloud(x=u, y=v, labels=labels, groups=groups, named=named, most=most)
    marks.append(zeros(*sides))
    return Figure(
        key=key, title=title, height=height, marks=tuple(marks), caption=caption, alt=alt,
        x=Axis(label=x_label, domain=(-1.12 * sides[0], 1.12 * sides[0])),
        y=Axis(label=y_label, domain=(-1.12 * sides[1], 1.12 * sides[1])),
    )  # fmt: skip
