"""Who the samples of a raw folder are, whichever of GEO's files say so, and which of them are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from consilience.foundation.errors import DataError
from consilience.sources.geo.series import Series, join_series, parse_series_matrix
from consilience.sources.raw_folder import RawFolder
from consilience.study.selection import selected_rows

HUMAN = frozenset({"9606", "homo sapiens"})
MAX_LISTED = 8
Method = Literal["array", "sequencing", "unknown"]


@dataclass(frozen=True, slots=True)
class SeriesPhenotypes:
    """`samples` (GSM accessions) of a series; their `columns` by name, each (samples,) of text; `notes`."""

    accession: str
    samples: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()


def series_phenotypes(folder: RawFolder) -> SeriesPhenotypes | None:
    """Phenotypes from the series matrices (one for each platform), or without them from SOFT files."""
    series = read_series(folder, values=False)
    if series is None:
        return None
    return SeriesPhenotypes(series.accession, series.samples, series.columns, series.notes)


def read_series(folder: RawFolder, *, values: bool = True) -> Series | None:
    """The series that a raw folder holds, None where no file of it tells of samples."""
    if matrices := folder.of_kind("series_matrix"):
        return join_series([parse_series_matrix(path, values=values) for path in matrices])
    if records := folder.of_kind("soft"):
        from consilience.sources.geo.families import series_of_soft

        return series_of_soft(records, values=values)
    return None


def wanted_rows(series: Series, *, select: str) -> list[int]:
    """Rows of the samples that the cohort sheet selects; refuses those that are not human."""
    rows = selected_rows(select, series.columns, where=series.where)
    refuse_other_species(series, rows)
    return rows


def refuse_other_species(series: Series, rows: Sequence[int]) -> None:
    """Refuse a selection in which any sample is not (only) human."""
    for key in ("organism_ch1", "organism_ch2", "taxid_ch1"):
        values = series.fields.get(key, ())
        others = [row for row in rows if values and values[row] and values[row].casefold() not in HUMAN]
        if not others:
            continue
        named = Counter(values[row] for row in rows)
        human = next((name for name in named if name.casefold() in HUMAN), "")
        counted = ", ".join(f"{name} ({n})" for name, n in named.most_common(MAX_LISTED))
        raise DataError(
            f"{len(others)} of {len(rows)} samples are not human: {counted}; sample"
            f" {series.samples[others[0]]!r}",
            where=series.where,
            value=values[others[0]],
            allowed="Homo sapiens",
            mend=f"select the human samples: {key}={human}" if human else "leave this series out",
        )


def method_of(series: Series, rows: Sequence[int]) -> Method:
    """How the samples were measured: reads are of type SRA; arrays say so in the type of the series."""
    kinds = {series.fields["type"][row].upper() for row in rows} if "type" in series.fields else set()
    said = " ".join(series.facts.get("type", ())).casefold()
    if kinds & {"SRA", "SRA RNA"}:
        return "sequencing" if len(kinds) == 1 else "unknown"
    if "by array" in said or (kinds & {"RNA", "MIXED"} and "sequencing" not in said):
        return "array"
    return "sequencing" if "sequencing" in said else "unknown"


def platforms_of(series: Series, rows: Sequence[int]) -> dict[str, int]:
    """Platforms of the samples, with how many samples each has; the most used first."""
    values = series.fields.get("platform_id", ())
    return dict(Counter(values[row] for row in rows if values and values[row]).most_common())


def one_platform(series: Series, rows: Sequence[int]) -> str:
    """The platform of an array cohort ("" where none is named): probes of two platforms do not compare."""
    platforms = platforms_of(series, rows)
    if len(platforms) < 2:
        return next(iter(platforms), "")
    counted = ", ".join(f"{name} ({n} samples)" for name, n in platforms.items())
    raise DataError(
        f"the samples were measured on {len(platforms)} platforms, whose values do not compare: {counted}",
        where=series.where,
        mend=f"choose one in 'select' of the cohort sheet, for example platform_id={next(iter(platforms))}; "
        "the other can be a cohort of its own",
    )
