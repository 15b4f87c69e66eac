"""Figures and tables of one cohort's quality control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consilience.report.elements import Cell, CellKind, Column, Table
from consilience.report.figures import SERIES, Axis, Colour, Figure, histogram, points, segments
from consilience.report.shapes import CellTypes, Embedding, ExpressionQuality, Point
from consilience.report.words import count, listed, metric, title, unit_noun
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

SHARES = ("share", "fraction")
MANY_GROUPS = 6


def figures(quality: ExpressionQuality, cohort: Cohort) -> tuple[Figure, ...]:
    """Histograms of all metrics, kept cells per sample, samples in PCA space."""
    noun = unit_noun(cohort.kind) + "s"
    drawn = [
        histogram(
            key=f"{cohort.name}-{name}",
            title=title(name),
            label=metric(name),
            noun=noun,
            edges=part.edges,
            counts=part.counts,
            low=part.low,
            high=part.high,
            log=part.log,
            percent=name.endswith(SHARES),
        )
        for name, part in quality.distributions.items()
        if len(part.edges) == len(part.counts) + 1 and part.counts
    ]
    if cohort.kind != "bulk" and len(quality.samples) > 1:
        drawn.append(_cells_per_sample(quality, cohort))
    if quality.embedding and quality.embedding.points:
        drawn.append(_embedding(quality.embedding, cohort))
    return tuple(drawn)


def _embedding(embedding: Embedding, cohort: Cohort) -> Figure:
    kept = [point for point in embedding.points if point.kept]
    groups = _groups([point.group for point in kept])
    marks = []
    for name, colour in _colours(sorted(set(groups.values())), cohort).items():
        part = [point for point in kept if groups[point.group] == name]
        marks.append(
            points(
                x=[point.x for point in part],
                y=[point.y for point in part],
                labels=[point.sample for point in part],
                name=name or "kept",
                colour=colour,
            )
        )
    removed = [point for point in embedding.points if not point.kept]
    limits = [_limits([getattr(point, axis) for point in kept or removed]) for axis in ("x", "y")]
    outside = [point for point in removed if _moved(point, limits) != (point.x, point.y)]
    if removed:
        marks.append(
            points(
                x=[_moved(point, limits)[0] for point in removed],
                y=[_moved(point, limits)[1] for point in removed],
                name="removed",
                colour="removed",
                shape="cross",
                labels=[_removed_label(point, far=point in outside) for point in removed],
            )
        )
    shares = [f" ({100 * share:.0f} %)" for share in embedding.explained[:2]] + ["", ""]
    what = "Samples" if cohort.kind == "bulk" else "Samples (sums of their cells)"
    return Figure(
        key=f"{cohort.name}-{embedding.kind}",
        title=f"{what} by principal components",
        marks=tuple(marks),
        alt=f"{count(len(kept), 'kept sample')}, {len(removed)} removed, by two principal components.",
        caption="Removed samples far outside are drawn at the edge; point at them for their place."
        if outside
        else "",
        x=Axis(label=f"component 1{shares[0]}"),
        y=Axis(label=f"component 2{shares[1]}"),
        height=270,
    )


def _limits(values: list[float]) -> tuple[float, float]:
    """The range of the kept samples with half as much room on either side."""
    low, high = min(values), max(values)
    room = 0.5 * (high - low) or 1.0
    return low - room, high + room


def _moved(point: Point, limits: list[tuple[float, float]]) -> tuple[float, float]:
    """The point, or the nearest place within the limits (one far outlier must not squeeze all others)."""
    (left, right), (bottom, top) = limits
    return min(max(point.x, left), right), min(max(point.y, bottom), top)


def _removed_label(point: Point, *, far: bool) -> str:
    return f"{point.sample} (removed{f'; lies at {point.x:.3g}, {point.y:.3g}' if far else ''})"


def _groups(names: list[str]) -> dict[str, str]:
    """The most frequent groups keep their name, the others become "other"."""
    frequent = sorted(set(names), key=lambda name: (-names.count(name), name))
    return {name: name if place < MANY_GROUPS else "other" for place, name in enumerate(frequent)}


def _colours(names: list[str], cohort: Cohort) -> dict[str, Colour]:
    """Cases and controls in their own colours (levels of the sheet), other groups in turn."""
    roles: dict[str, Colour] = {"case": "case", "control": "control", "other": "muted", "": "kept"}
    free = iter(SERIES)
    colours: dict[str, Colour] = {}
    for name in names:
        role = name if name in roles else cohort.arm(name)
        colours[name] = roles[role] if role or name == "" else next(free, "muted")
    return colours


def _cells_per_sample(quality: ExpressionQuality, cohort: Cohort) -> Figure:
    rows = [row for row in quality.samples if row.n_cells_in is not None]
    rows = sorted(rows, key=lambda row: (row.arm, row.sample))[:60]
    names = tuple(row.sample for row in rows)
    places = list(range(len(rows)))
    came = [row.n_cells_in or 0 for row in rows]
    kept = [row.n_cells_kept or 0 for row in rows]
    return Figure(
        key=f"{cohort.name}-cells",
        title="Cells that came in and were kept",
        alt=f"Per sample {min(kept, default=0):,} to {max(kept, default=0):,} cells were kept.",
        marks=(
            segments(x0=kept, x1=came, y0=places, y1=places, name="", colour="removed"),
            points(
                x=came,
                y=places,
                name="came in",
                colour="removed",
                shape="ring",
                labels=[f"{row.sample}: {row.n_cells_in:,} came in" for row in rows],
            ),
            points(
                x=kept,
                y=places,
                name="kept",
                colour="kept",
                labels=[f"{row.sample}: {row.n_cells_kept or 0:,} kept" for row in rows],
            ),
        ),
        x=Axis(label="cells", zero=True, format="integer"),
        y=Axis(scale="category", categories=names),
        height=max(190, 50 + 17 * len(rows)),
    )


def threshold_table(quality: ExpressionQuality, cohort: Cohort) -> Table:
    """Every threshold with median, MAD and what it removed."""
    return Table(
        key=f"thresholds.{cohort.name}",
        title="Thresholds",
        columns=(
            Column("metric", "Metric"),
            Column("scope", "Within"),
            Column("low", "From", "number"),
            Column("high", "Up to", "number"),
            Column("median", "Median", "number"),
            Column("mad", "MAD", "number"),
            Column("n_mads", "MADs", "number"),
            Column("n_removed", "Removed", "integer"),
            Column("explanation", "In words", "words"),
        ),
        rows=tuple(
            (
                metric(row.metric),
                "all" if row.scope == "all" else row.scope,
                row.low,
                row.high,
                row.median,
                row.mad,
                row.n_mads,
                row.n_removed,
                row.explanation,
            )
            for row in quality.thresholds
        ),
        when_empty="no threshold was needed",
        visible=6,
    )


def type_table(found: CellTypes, cohort: Cohort) -> Table:
    """The types that cells were labelled with, and those that could not be looked for."""
    unmeasured = f" Not looked for, with too few markers measured: {listed(found.left_out)}."
    return Table(
        key=f"cell_types.{cohort.name}",
        title="Types of cells, told from markers",
        columns=(
            Column("cell_type", "Type"),
            Column("n", "Cells", "integer"),
            Column("markers_measured", "Markers measured", "integer"),
            Column("markers_listed", "Markers listed", "integer"),
        ),
        rows=(
            *((row.cell_type, row.n, row.markers_measured, row.markers_listed) for row in found.types),
            ("unassigned", found.n_unassigned, None, None),
        ),
        caption=f"Markers {found.markers!r}: {found.method}." + (unmeasured if found.left_out else ""),
    )


def removed_table(removed: pd.DataFrame, cohort: Cohort) -> Table:
    """Every removed sample or cell with its reason and metrics, as prepare left it."""
    noun = unit_noun(cohort.kind)
    if cohort.kind == "bulk" and "sample" in removed:
        removed = removed.drop(columns="id", errors="ignore")  # the id of a bulk sample is its name
    columns = tuple(
        Column(str(name), "ID" if name == "id" else title(str(name)), _kind(removed[name]))
        for name in removed
    )
    rows = tuple(
        tuple(
            _reason(value) if name == "reason" else _plain(value)
            for name, value in zip(removed, row, strict=True)
        )
        for row in removed.itertuples(index=False, name=None)
    )
    return Table(
        key=f"removed.{cohort.name}",
        title=f"Removed {noun}s",
        columns=columns,
        rows=rows,
        visible=8,
        when_empty=f"no {noun} was removed",
    )


def sample_table(quality: ExpressionQuality, cohort: Cohort) -> Table:
    """All samples, kept or not, with their metrics."""
    names = list(dict.fromkeys(name for row in quality.samples for name in row.metrics))
    cells = cohort.kind != "bulk"
    columns = [
        Column("sample", "Sample", "id"),
        Column("donor", "Donor", "id"),
        Column("condition", "Condition"),
        Column("arm", "Arm"),
        Column("batch", "Batch"),
        Column("kept", "Kept"),
        Column("reasons", "Why not", "words"),
    ]
    if cells:
        columns += [
            Column("n_cells_in", "Cells in", "integer"),
            Column("n_cells_kept", "Cells kept", "integer"),
        ]
    columns += [Column(name, title(name), "share" if name.endswith(SHARES) else "number") for name in names]
    rows = tuple(
        (
            row.sample,
            row.donor,
            row.condition,
            row.arm,
            row.batch,
            "yes" if row.kept else "no",
            ", ".join(metric(reason) for reason in row.reasons),
            *((row.n_cells_in, row.n_cells_kept) if cells else ()),
            *(row.metrics.get(name) for name in names),
        )
        for row in quality.samples
    )
    return Table(
        key=f"samples.{cohort.name}",
        title="All samples",
        columns=tuple(columns),
        rows=rows,
        visible=6,
        caption="Metrics are medians over the cells of a sample." if cells else "",
    )


def _reason(value: object) -> str:
    return ", ".join(metric(part.strip()) for part in str(value).split(";"))


def _kind(column: pd.Series[Any]) -> CellKind:
    name, kind = str(column.name), column.dtype.kind
    if kind in "iu":
        return "integer"
    if kind == "f":
        return "share" if name.endswith(SHARES) else "number"
    return "id" if name in {"id", "sample", "donor", "barcode"} else "words" if name == "reason" else "text"


def _plain(value: object) -> Cell:
    """A table cell without numpy: lists joined, missing values None."""
    if value is None or value != value:  # NaN is not equal to itself
        return None
    if isinstance(value, str | bool | int | float):
        return value
    if hasattr(value, "tolist"):
        inner = value.tolist()
        return ", ".join(map(str, inner)) if isinstance(inner, list) else inner
    return str(value)
