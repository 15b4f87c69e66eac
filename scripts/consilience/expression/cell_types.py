"""Types of cells from lists of marker genes, for cohorts that come without labels.

The score of a type is the mean log-normalised expression of its markers. A cell gets the type of its highest
score; it stays "unassigned" where the next type is close, or where these markers are not above control genes
that are seen in as many cells. (Taking the controls off before types are compared did worse: lab notes.)

Assumptions: every type in the cohort is in the list, and its markers are expressed in its cells only.
Limits: types that are close to each other (CD4 and CD8 T cells, states of fibroblasts) are confused in cells
with few counts; a type that is not in the list gets the name of its nearest relative. Labels by the authors
of a data set, or by a reference atlas, are better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.doublets import log_normalised
from consilience.expression.genes import GeneTable, resolve
from consilience.expression.stream import GeneColumns, select_block
from consilience.foundation.errors import DataError, did_you_mean
from consilience.foundation.places import RESOURCES
from consilience.foundation.seeds import stream
from consilience.sources.cells.matrix import BLOCK_CELLS, CountSource, Labels
from consilience.sources.text import read_lines, shown, split_line

if TYPE_CHECKING:
    import numpy.typing as npt

MARKERS = RESOURCES / "markers"
SHIPPED = ("immune", "synovium")
COLUMNS = ("cell_type", "gene", "weight")
UNASSIGNED = "unassigned"
MIN_MARKERS = 3
"""A type of which fewer markers are measured is not looked for."""
MARGIN = 0.05
N_BINS, CONTROLS = 24, 50


@dataclass(frozen=True, slots=True)
class MarkerScores:
    """What scores a cell: `weights` and `controls` (genes, types) on log-normalised values.

    Of each type, markers `measured` of those `listed`; `left_out` are types of which too few are measured.
    """

    types: tuple[str, ...]
    weights: npt.NDArray[np.float32]
    controls: npt.NDArray[np.float32]
    measured: tuple[int, ...]
    listed: tuple[int, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellTypes:
    """The label of each cell (missing where it was not judged), its score (n,), the record for qc.json."""

    labels: Labels
    scores: npt.NDArray[np.float64]
    record: dict[str, Any]


def load_markers(name: str, *, table: GeneTable) -> dict[str, dict[str, float]]:
    """Weights of current symbols by type, from a shipped list or the user's table."""
    path = MARKERS / f"{name}.tsv" if name in SHIPPED else Path(name)
    if not path.is_file():
        raise DataError("no such table of markers", where="cell_types.markers", value=name,
                        allowed=f"{', '.join(SHIPPED)}, or the path of a table",
                        mend=did_you_mean(name, SHIPPED))  # fmt: skip
    lines = [line for line in read_lines(path) if line and not line.startswith("#")]
    header = split_line(lines[0], separator="\t") if lines else []
    if not set(COLUMNS) <= set(header):
        raise DataError("is no table of markers", where=f"{shown(path)}:1", value=", ".join(header),
                        allowed="tab-separated columns " + ", ".join(COLUMNS))  # fmt: skip
    places = [header.index(column) for column in COLUMNS]
    rows = [split_line(line, separator="\t") for line in lines[1:]]
    symbols = resolve([row[places[1]] if len(row) > places[1] else "" for row in rows], table=table).symbol
    markers: dict[str, dict[str, float]] = {}
    for row, symbol in zip(rows, symbols, strict=True):
        kind, weight = _checked(row, symbol, places, shown(path))
        markers.setdefault(kind, {})[symbol] = weight
    return markers


def _checked(row: Sequence[str], symbol: str, places: Sequence[int], where: str) -> tuple[str, float]:
    """The type and the weight of a row of the table."""
    said = " ".join(row)[:60]
    try:
        kind, gene, weight = row[places[0]].strip(), row[places[1]], float(row[places[2]])
    except (IndexError, ValueError):
        raise DataError("a row is not a type, a gene and a weight", where=where, value=said) from None
    if not kind or not np.isfinite(weight) or weight == 0:
        raise DataError("a marker needs a type and a weight other than 0", where=where, value=said)
    if not symbol:
        raise DataError("a marker is no known human gene", where=where, value=gene)
    return kind, weight


def marker_scores(
    markers: Mapping[str, Mapping[str, float]],
    *,
    symbols: Sequence[str],
    abundance: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> MarkerScores:
    """Turn markers into weights of the measured genes; `abundance` (genes,) cells in which each is seen.

    Positive markers are averaged by their weights, negative ones taken off. Each positive marker has up to 50
    control genes, drawn from the genes of like abundance that are no marker of any type.
    """
    row_of = {symbol: row for row, symbol in enumerate(symbols)}
    is_marker = np.zeros(len(symbols), dtype=bool)
    is_marker[[row_of[gene] for one in markers.values() for gene in one if gene in row_of]] = True
    seen = np.flatnonzero(abundance > 0)
    bins = np.full(len(symbols), -1)
    bins[seen[np.argsort(abundance[seen], kind="stable")]] = (
        np.arange(seen.size) * N_BINS // max(1, seen.size)
    )
    found = {
        kind: {gene: w for gene, w in one.items() if gene in row_of and bins[row_of[gene]] >= 0}
        for kind, one in sorted(markers.items())
    }
    types = [kind for kind, one in found.items() if sum(w > 0 for w in one.values()) >= MIN_MARKERS]
    weights, controls = np.zeros((2, len(symbols), len(types)), dtype=np.float32)
    for column, kind in enumerate(types):
        total = sum(weight for weight in found[kind].values() if weight > 0)
        for gene, weight in found[kind].items():
            weights[row_of[gene], column] = weight / total
            alike = np.flatnonzero((bins == bins[row_of[gene]]) & ~is_marker)
            if weight > 0 and alike.size:
                chosen = rng.permutation(alike)[:CONTROLS]
                controls[chosen, column] += weight / total / chosen.size
    return MarkerScores(
        tuple(types), weights, controls, tuple(len(found[kind]) for kind in types),
        tuple(len(markers[kind]) for kind in types), tuple(kind for kind in found if kind not in types),
    )  # fmt: skip


def decide(
    scores: npt.NDArray[np.float32], controls: npt.NDArray[np.float32], *, margin: float = MARGIN
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Type of each cell (-1: unsure) and how far its score is above the next; both given (cells, types)."""
    best = np.argmax(scores, axis=1)
    ordered = np.sort(scores, axis=1)
    ahead = (ordered[:, -1] - ordered[:, -2]).astype(np.float64)
    stands_out = ordered[:, -1] > controls[np.arange(best.size), best]
    return np.where((ahead >= margin) & stands_out, best, -1).astype(np.int32), ahead


def label_cells(
    *, markers: str, table: GeneTable, counts: CountSource, kept: npt.NDArray[np.bool_], genes: GeneColumns,
    symbols: Sequence[str], gene_cells: npt.NDArray[np.int64], target_sum: float, seed: int, cohort: str,
) -> CellTypes:  # fmt: skip
    """Label the kept cells in one pass; refuses a cohort in which too few markers are measured."""
    given = load_markers(markers, table=table)
    found = marker_scores(
        given, symbols=symbols, abundance=gene_cells, rng=stream(seed, cohort, "cell type controls")
    )
    if len(found.types) < 2:
        raise DataError(
            f"too few markers are measured to tell types of cells: {len(found.types)} of {len(given)} types "
            f"have at least {MIN_MARKERS}", where=f"cohort {cohort}: cell_types.markers", value=markers,
            mend="name the column of types in the cohort sheet, or give other markers or none",
        )  # fmt: skip
    codes, scores = np.full(kept.size, -1, dtype=np.int32), np.full(kept.size, np.nan)
    unassigned = len(found.types)
    for start, block in counts.blocks(BLOCK_CELLS, kept):
        mine = kept[start : start + block.shape[0]]
        logged = log_normalised(select_block(block, kept=mine, genes=genes), target_sum=target_sum)
        chosen, ahead = decide(logged @ found.weights, logged @ found.controls)
        rows = start + np.flatnonzero(mine)
        codes[rows], scores[rows] = np.where(chosen < 0, unassigned, chosen), ahead
    labels = Labels(codes, (*found.types, UNASSIGNED))
    return CellTypes(labels, scores, _record(markers, found, labels, int(kept.sum())))


def _record(markers: str, found: MarkerScores, labels: Labels, n_kept: int) -> dict[str, Any]:
    sizes = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.levels))
    types = zip(found.types, sizes[:-1], found.measured, found.listed, strict=True)
    return {
        "markers": Path(markers).name,
        "method": "highest mean of markers, where it is above control genes and ahead of the next type",
        "types": [
            {"cell_type": kind, "n": int(n), "markers_measured": measured, "markers_listed": listed}
            for kind, n, measured, listed in types
        ],
        "left_out": list(found.left_out),
        "n_unassigned": int(sizes[-1]),
        "share_unassigned": round(float(sizes[-1] / max(1, n_kept)), 4),
    }  # fmt: skip
