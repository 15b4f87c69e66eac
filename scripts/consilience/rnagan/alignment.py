"""New data under a model's genes and on its scale; what cannot be brought there is said or refused.

A gene that the data do not have is never a zero: it is marked as not observed, and stands at the mean that
the model knows of it (where it knows none, at 0) so that nothing downstream meets a gap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.learning.samples import Samples
from consilience.rnagan.gathering import Places, Plan, dense, gathered, refuse_value
from consilience.rnagan.reading import BLOCK, Given, symbols_of
from consilience.rnagan.scales import LOG2, SCALES, SHARES, Told, route, told_units
from consilience.sources.bulk.tables import listed

if TYPE_CHECKING:
    import numpy.typing as npt

MIN_OVERLAP = 0.5
PROBE = 64
FEW_GENES = 5_000
LEVEL_FACTOR = 4.0
SILENT_SAMPLES = 10
SILENT_SDS = 2.0


@dataclass(frozen=True)
class GeneMoments:
    """`mean` and `sd` (genes,) of a model's training samples, on its scale; NaN where they are not known."""

    mean: npt.NDArray[np.float64]
    sd: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Aligned:
    """Samples under the model's genes, on its scale.

    `samples.values` (n, genes); `rows` (n,) which rows of the file they are; `observed` (genes,) which genes
    the file has; `n_matched` how many; `units` what the file held; `notes` what a reader should be told.
    """

    samples: Samples
    rows: npt.NDArray[np.intp]
    observed: npt.NDArray[np.bool_]
    units: str
    why_units: str
    notes: tuple[str, ...]

    @property
    def n_matched(self) -> int:
        """Genes of the model that the file has."""
        return int(self.observed.sum())

    def summary(self) -> dict[str, Any]:
        """The facts as JSON."""
        return {
            "samples": len(self.samples), "genes_matched": self.n_matched,
            "genes_of_model": int(self.observed.size), "units": self.units, "why_units": self.why_units,
            "notes": list(self.notes),
        }  # fmt: skip


def align(
    given: Given,
    *,
    genes: Sequence[str],
    scale: str,
    moments: GeneMoments | None = None,
    rows: npt.NDArray[np.intp] | None = None,
    units: str = "",
    arrays: bool = False,
    min_overlap: float = MIN_OVERLAP,
) -> Aligned:
    """Bring `rows` of a file (all without them) to the model's `genes` and `scale`.

    `units` overrides what the values show; `arrays` says that a model of reads knows arrays too. The result
    depends neither on the order of the samples nor on that of the ids. Labels and batches are left empty,
    donors are the names.

    Raises
    ------
    DataError
        When fewer than `min_overlap` of the genes are there, when units cannot be turned into the model's
        scale, and when a value is missing, infinite or below zero, or a sample zero in all genes.
    """
    chosen = np.arange(len(given), dtype=np.intp) if rows is None else np.asarray(rows, dtype=np.intp)
    if not chosen.size:
        raise DataError("no samples", where=given.where)
    places = match_genes(given, genes=genes, min_overlap=min_overlap)
    told = _units(given, chosen, claimed=units)
    way = route(told.units, scale=scale, arrays=arrays, where=given.where)
    plan = Plan(given, chosen, places, told.units, way=way, scale=scale, n_genes=len(genes))
    values = gathered(plan)
    observed = np.zeros(len(genes), dtype=bool)
    observed[places.column[places.column >= 0]] = True
    notes = [*given.notes, *_notes(plan)]
    if moments is not None:
        notes += _check_level(values, observed, moments, given.where)
        silent = _silent(values, observed, moments)
        if silent.any():
            observed &= ~silent
            some = listed([genes[gene] for gene in np.flatnonzero(silent).tolist()])
            notes.append(
                f"{int(silent.sum())} genes are zero in all samples though the model's samples express them:"
                f" taken as not measured ({some})"
            )
            _refuse_little(int(observed.sum()), len(genes), min_overlap, some, given.where)
        values[:, ~observed] = np.nan_to_num(moments.mean)[~observed]
    names = given.names[chosen]
    empty = np.full(len(chosen), "", dtype=str)
    samples = Samples(values, tuple(genes), names, empty, names, empty, scale)
    return Aligned(samples, chosen, observed, told.units, told.why, tuple(notes))


def match_genes(given: Given, *, genes: Sequence[str], min_overlap: float = MIN_OVERLAP) -> Places:
    """Which gene of the model each id names, by the column of ids that names most; refused if too few."""
    place = {gene: number for number, gene in enumerate(genes)}
    for gene, symbol in zip(genes, symbols_of(tuple(genes)), strict=True):
        place.setdefault(symbol, place[gene])  # the model's names may be older than the table
    best, most = Places(np.full(0, -1), ()), -1
    for ids in given.ids:
        found = (place.get(symbol or name, -1) for symbol, name in zip(symbols_of(ids), ids, strict=True))
        column = np.fromiter(found, dtype=np.int64, count=len(ids))
        matched = np.unique(column[column >= 0]).size
        if matched > most:
            best, most = Places(column, ids), matched
    unknown = [name for name, at in zip(best.ids, best.column, strict=True) if at < 0]
    _refuse_little(most, len(genes), min_overlap, listed(unknown[:5]), given.where)
    return best


def _refuse_little(matched: int, wanted: int, min_overlap: float, examples: str, where: str) -> None:
    if matched < max(1, min_overlap * wanted):
        raise DataError(
            f"only {matched:,} of the model's {wanted:,} genes ({matched / wanted:.1%}) are there",
            where=where, value=examples,
            allowed=f"at least {min_overlap:.0%}: symbols, Ensembl or Entrez ids of human genes",
            mend="give gene ids (probes and transcripts summed to genes) and the whole table, or lower"
            " --min-overlap if so few genes are meant",
        )  # fmt: skip


def _units(given: Given, chosen: npt.NDArray[np.intp], *, claimed: str) -> Told:
    """Units of the file, from some samples that are chosen by their names and so in any order the same."""
    claimed = claimed or given.units
    if given.units == "counts" and claimed == "counts":
        return Told("counts", "whole numbers")  # every block was checked when it was read
    if claimed in SCALES and claimed == given.units:
        return Told(claimed, "as the file says")
    digests = [hashlib.sha256(str(given.names[row]).encode()).digest() for row in chosen]
    some = chosen[sorted(range(len(chosen)), key=digests.__getitem__)[:PROBE]]
    wanted = np.zeros(len(given), dtype=bool)
    wanted[some] = True
    parts = [
        dense(block[wanted[start : start + block.shape[0]]]) for start, block in given.blocks(BLOCK, wanted)
    ]
    probe = np.concatenate(parts).astype(np.float64)
    if not np.isfinite(probe).all():
        refuse_value(~np.isfinite(probe), probe, rows=np.sort(some), given=given, ids=given.ids[0])
    return told_units(probe, claimed=claimed, natural_log=given.natural_log, where=given.where)


def _notes(plan: Plan) -> list[str]:
    notes, places, way, units = [], plan.places, plan.way, plan.units
    unknown = [name for name, at in zip(places.ids, places.column, strict=True) if at < 0]
    if unknown:
        notes.append(
            f"{len(unknown):,} of {len(places.ids):,} ids name no gene of the model ({listed(unknown[:5])})"
        )
    if plan.n_twins:
        how = "added up" if plan.adds else "the one with the highest mean was kept"
        notes.append(f"{plan.n_twins:,} ids name a gene that another id names too: {how}")
    if way == "shares" and units in {"tpm", "fpkm"}:
        notes.append(
            f"{units.upper()} are corrected for the length of genes and counts are not: levels of genes"
            " differ a little from those the model knows"
        )
    if way == "shares" and len(places.ids) < FEW_GENES and units in SHARES:
        notes.append(
            f"the file holds only {len(places.ids):,} genes: reads are taken as shares of these, which shifts"
            " all values if the sample's other genes were left out"
        )
    if way == "light":
        notes.append("intensities are treated as if they were reads, as in the training of this model")
    if way == "intensity":
        notes.append("intensities became log2(intensity + 16); they were not quantile normalised")
    if plan.scale == LOG2 and units == LOG2:
        notes.append("logarithms are taken as they are, with base 2")
    return notes


def _check_level(
    values: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_], moments: GeneMoments, where: str
) -> list[str]:
    """Compare the general level with that of the training samples: a second look at the units."""
    known = observed & np.isfinite(moments.mean)
    if not known.any():
        return []
    here, there = float(values[:, known].mean(dtype=np.float64)), float(moments.mean[known].mean())
    if there <= 0 or here <= 0:
        return []
    ratio = here / there
    text = f"values average {here:.3g} over the shared genes, those the model was trained on {there:.3g}"
    if not 1 / LEVEL_FACTOR <= ratio <= LEVEL_FACTOR:
        raise DataError(
            f"{text}: this is another scale, or another kind of data",
            where=where, value=f"{ratio:.2g} times",
            allowed=f"{1 / LEVEL_FACTOR:g} to {LEVEL_FACTOR:g} times",
            mend="say the units by --units if they were not recognised; else use a model for such data",
        )  # fmt: skip
    return [text] if not 0.5 <= ratio <= 2 else []


def _silent(
    values: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_], moments: GeneMoments
) -> npt.NDArray[np.bool_]:
    """Genes that are zero in all of ten or more samples, though the model's samples hardly ever are."""
    if len(values) < SILENT_SAMPLES:
        return np.zeros(observed.size, dtype=bool)
    expected = np.nan_to_num(moments.mean - SILENT_SDS * moments.sd, nan=-1.0) > 0
    return np.asarray(observed & expected & ~values.any(axis=0))
