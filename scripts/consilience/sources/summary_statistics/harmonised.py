"""Harmonised two-sample tables: both sides of every instrument, for Mendelian randomisation of one pair."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.tables import TextTable, read_text_table
from consilience.sources.text import shown

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.object_]
_SIDES = ("exposure", "outcome")
_NEEDED = (
    "SNP",
    *(f"{name}.{side}" for side in _SIDES for name in ("beta", "se", "effect_allele", "other_allele")),
)


@dataclass(frozen=True)
class Harmonised:
    """Instruments (n,) of one exposure for one outcome, effects of the same allele on both.

    `n_exposure` and `n_outcome` are people, NaN where the table does not say; `kept` is the table's own mark
    of the instruments to use (mr_keep; all True where it has none).
    """

    exposure: str
    outcome: str
    rsid: Words
    effect_allele: Words
    other_allele: Words
    beta_exposure: Floats
    se_exposure: Floats
    beta_outcome: Floats
    se_outcome: Floats
    n_exposure: Floats
    n_outcome: Floats
    kept: npt.NDArray[np.bool_]


def read_harmonised(path: Path) -> Harmonised:
    """Read a table with columns `beta.exposure`, `beta.outcome` and so on; one exposure and one outcome."""
    table = read_text_table(path, required=_NEEDED)
    named = {side: _one(table, side) for side in _SIDES}
    effect = {side: np.char.upper(table.words(f"effect_allele.{side}").astype(str)) for side in _SIDES}
    table.refuse_any(
        effect["exposure"] != effect["outcome"],
        "effect_allele.outcome",
        "not the exposure's effect allele: the table is not harmonised",
    )
    mark = table.words("mr_keep") if table.has("mr_keep") else np.full(table.n_rows, "TRUE", dtype=object)
    return Harmonised(
        named["exposure"],
        named["outcome"],
        table.words("SNP"),
        effect["exposure"].astype(object),
        np.char.upper(table.words("other_allele.exposure").astype(str)).astype(object),
        _numbers(table, "beta.exposure"),
        _numbers(table, "se.exposure", above=0),
        _numbers(table, "beta.outcome"),
        _numbers(table, "se.outcome", above=0),
        _numbers(table, "samplesize.exposure", above=0),
        _numbers(table, "samplesize.outcome", above=0),
        np.array([str(word).upper() in {"TRUE", "1"} for word in mark]),
    )


def _one(table: TextTable, side: str) -> str:
    name = f"id.{side}" if table.has(f"id.{side}") else side
    if not table.has(name):
        return side
    levels = sorted(set(table.words(name)))
    if len(levels) != 1:
        raise DataError(
            f"holds {len(levels)} {side}s, one is needed",
            where=f"{table.where}:{name}",
            value=", ".join(levels[:5]),
            mend="give one table per pair",
        )
    return str(table.words(side)[0]) if table.has(side) else levels[0]


def _numbers(table: TextTable, name: str, *, above: float = -np.inf) -> Floats:
    if not table.has(name):
        return np.full(table.n_rows, np.nan)
    allowed = "a finite number" if above == -np.inf else f"a number above {above:g}"
    return table.numbers(name, fits=lambda v: v > above, allowed=allowed)


def exposure_note(path: Path) -> str:
    """What a prepared cohort says of the exposure side, which its GWAS table does not hold."""
    both = read_harmonised(path)
    return (
        f"{shown(path)} is a harmonised two-sample table: its outcome ({both.outcome}) is the GWAS here; "
        f"its exposure ({both.exposure}, {len(both.rsid)} instruments) is read from the raw file "
        "where a pair is analysed"
    )
