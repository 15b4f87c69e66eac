"""From slopes of samples to features of donors: contributions of genes and of pathways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.rnagan.markers.attribution import fitted_slope
from consilience.rnagan.markers.contrast import Contrast, difference, neutral_values, spread

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    from consilience.rnagan.markers.cohort import Cohort


@dataclass(frozen=True)
class Pathways:
    """`names` (P,), `members` (G, P) sparse 0/1, `size` (P,) measured genes of each."""

    names: tuple[str, ...]
    members: sparse.csc_matrix
    size: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """What each gene of each donor unit adds to the logit under one labelling.

    `contribution` (units, G) logits against the neutral value; `distance` (units, G) from it.
    """

    contribution: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float64]


@dataclass(frozen=True)
class UnitSlopes:
    """Slopes of samples as donor units need them, computed once for all labellings that share the slopes.

    `slope` (units, G) mean slope, `level` (units, G) mean of slope x value, `value` (units, G) mean value.
    """

    slope: npt.NDArray[np.float64]
    level: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]

    def contribution(self, labels: Contrast) -> npt.NDArray[np.float64]:
        """Contributions of genes (units, G) against the labelling's neutral values."""
        return np.asarray(self.level - self.slope * neutral_values(labels, self.value))


def unit_slopes(cohort: Cohort, slope: npt.NDArray[np.float64]) -> UnitSlopes:
    """Means over the samples of each unit."""
    values = cohort.samples.values.astype(np.float64)
    units = cohort.units
    return UnitSlopes(units.means(slope), units.means(slope * values), units.means(values))


def gene_parts(found: UnitSlopes, labels: Contrast) -> Parts:
    """Contributions and distances of genes."""
    return Parts(found.contribution(labels), found.value - neutral_values(labels, found.value))


def pathway_effect(
    genes: Parts, labels: Contrast, pathways: Pathways
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Effect, contribution and coherence of pathways (P,), from the parts of their genes.

    The contribution is that of all member genes together, to the difference between kinds. The direction of a
    pathway is: every member gene one of its standard deviations up; the effect is the contribution with the
    sign of the slope in that direction, 0 where the contribution goes the wrong way. Coherence is 1 when all
    members push the same way and 0 when they cancel: then the sign says little.
    """
    contribution = difference(labels, sums(genes.contribution, pathways))
    slope = fitted_slope(genes.contribution, genes.distance, np.ones(len(labels.positive)))
    step = (slope * spread(labels, genes.distance))[None]
    steep, whole = sums(step, pathways)[0], sums(np.abs(step), pathways)[0]
    effect = np.sign(steep) * np.maximum(contribution, 0.0)
    return effect, contribution, np.divide(np.abs(steep), whole, out=np.zeros_like(whole), where=whole > 0)


def sums(values: npt.NDArray[np.float64], pathways: Pathways) -> npt.NDArray[np.float64]:
    """Sums of `values` (units, G) over each pathway's genes (units, P)."""
    return np.asarray((pathways.members.T @ values.T).T)


def pathways_of(source: Any, genes: Sequence[str], *, least: int = 2) -> Pathways:
    """Pathways from a mapping (pathway -> genes), a table with columns gene and pathway, or a `Wiring`.

    Genes that are not measured are left out, and pathways with fewer than `least` measured ones.
    """
    from scipy import sparse

    place = {gene: number for number, gene in enumerate(genes)}
    rows: list[int] = []
    starts, names = [0], []
    for name, members in _sets(source):
        mine = sorted({place[gene] for gene in members if gene in place})
        if len(mine) >= least:
            names.append(name)
            rows += mine
            starts.append(len(rows))
    if len(set(names)) < len(names):
        raise DataError("some pathways are there twice", mend="give every pathway once")
    members = sparse.csc_matrix(
        (np.ones(len(rows)), np.array(rows, dtype=np.intp), np.array(starts, dtype=np.intp)),
        shape=(len(genes), len(names)),
    )
    return Pathways(tuple(names), members, np.diff(starts).astype(np.float64))


def _sets(source: Any) -> Iterable[tuple[str, Iterable[str]]]:
    if source is None:
        return []
    if isinstance(source, Mapping):
        return [(str(name), members) for name, members in source.items()]
    if hasattr(source, "member") and hasattr(source, "start"):
        edges = zip(source.pathways, source.start[:-1], source.start[1:], strict=True)
        return [(name, [source.genes[g] for g in source.member[a:b]]) for name, a, b in edges]
    if not {"gene", "pathway"} <= set(getattr(source, "columns", ())):
        found = getattr(source, "columns", [type(source).__name__])
        raise DataError(
            "no pathways: a table needs the columns gene and pathway", value=", ".join(map(str, found))
        )
    return [(str(name), part) for name, part in source.groupby("pathway", sort=True)["gene"]]
