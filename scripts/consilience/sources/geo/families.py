"""A series from SOFT files: a family, a GEO DataSet, or single sample records lying together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import refuse_duplicates
from consilience.sources.geo.series import Series, join_series, sample_columns
from consilience.sources.geo.soft import SoftRecord, soft_records
from consilience.sources.geo.values import ValueTable, numbers_of, one_value_per_id
from consilience.sources.text import FETCH_AGAIN, shown

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(slots=True)
class _Values:
    """Values of the samples of one platform, joined by the ids of the first of them."""

    ids: tuple[str, ...]
    samples: list[str] = field(default_factory=list)
    columns: list[npt.NDArray[np.float64]] = field(default_factory=list)


def series_of_soft(paths: Sequence[Path], *, values: bool = True) -> Series | None:
    """The series of some SOFT files; None where they tell of no samples (a platform alone does not)."""
    parts = [part for path in paths if (part := _series_of(path, values=values))]
    return join_series(parts) if parts else None


def _series_of(path: Path, *, values: bool) -> Series | None:
    samples: list[SoftRecord] = []
    facts: dict[str, tuple[str, ...]] = {}
    tables: dict[str, _Values] = {}
    datasets: list[SoftRecord] = []
    subsets: list[SoftRecord] = []
    where = shown(path)
    for record in soft_records(path, tables=("SAMPLE", "DATASET") if values else ()):
        if record.kind == "SERIES":
            said = {name: tuple(found) for name, found in record.attributes.items()}
            facts |= {"geo_accession": (record.name,)} | said
        elif record.kind == "SAMPLE":
            samples.append(record)
            if record.rows:
                _take_values(record, tables, where=where)
                record.rows = []
        elif record.kind == "DATASET":
            datasets.append(record)
        elif record.kind == "SUBSET":
            subsets.append(record)
    if datasets:
        return _series_of_dataset(datasets, subsets, where=where)
    if not samples:
        return None
    accessions = [one.first("geo_accession") or one.name for one in samples]
    refuse_duplicates(accessions, what="sample", where=where)
    columns, fields = sample_columns([*_attribute_rows(samples), ("geo_accession", accessions)])
    found = tuple(
        ValueTable(one.ids, np.stack(one.columns, axis=1), tuple(one.samples), where)
        for one in tables.values()
    )
    accession = (facts.get("geo_accession") or ("",))[-1]
    return Series(accession, tuple(accessions), columns, fields, facts, found, where)


def _attribute_rows(samples: Sequence[SoftRecord]) -> list[tuple[str, list[str]]]:
    """Attributes of samples as the rows of a series matrix: the k-th value of each in row k."""
    rows = []
    for name in dict.fromkeys(name for one in samples for name in one.attributes):
        if name == "geo_accession":
            continue
        found = [one.attributes.get(name, []) for one in samples]
        for k in range(max(map(len, found))):
            rows.append((name, [values[k] if k < len(values) else "" for values in found]))
    return rows


def _take_values(record: SoftRecord, tables: dict[str, _Values], *, where: str) -> None:
    """Add one sample's column VALUE to those of its platform, whatever the order of its ids."""
    accession = record.first("geo_accession") or record.name
    place = f"{where}:{record.line}"
    try:
        id_at, value_at = record.header.index("ID_REF"), record.header.index("VALUE")
    except ValueError:
        raise DataError(
            f"the table of sample {accession} lacks a column", where=place, value=", ".join(record.header),
            allowed="ID_REF and VALUE", mend=FETCH_AGAIN,
        ) from None  # fmt: skip
    ids = tuple(cells[id_at].strip() for _, cells in record.rows)
    one_value_per_id(ids, where=place)
    cells = [cells[value_at] for _, cells in record.rows]
    numbers = numbers_of(cells, names=ids, where=f"{place}:{accession}")
    held = tables.setdefault(record.first("platform_id"), _Values(ids))
    if ids != held.ids:
        rows = dict(zip(ids, range(len(ids)), strict=True))
        if missing := [name for name in held.ids if name not in rows]:
            raise DataError(
                f"sample {accession} has no value of {len(missing)} of the {len(held.ids)} ids that sample"
                f" {held.samples[0]} of the same platform has", where=place, value=missing[0],
                mend=FETCH_AGAIN,
            )  # fmt: skip
        numbers = numbers[[rows[name] for name in held.ids]]
    held.samples.append(accession)
    held.columns.append(numbers)


def _series_of_dataset(
    datasets: Sequence[SoftRecord], subsets: Sequence[SoftRecord], *, where: str
) -> Series:
    """A GEO DataSet: what its subsets say of each sample, its values, and the genes it names them by."""
    said = {name: tuple(values) for one in datasets for name, values in one.attributes.items()}
    described = {name: text for one in datasets for name, text in one.described.items()}
    samples = tuple(name for name in described if re.fullmatch(r"GSM\d+", name))
    if not samples:
        raise DataError("the data set describes no samples", where=where, mend=FETCH_AGAIN)
    rows: dict[str, list[str]] = {}
    for subset in subsets:
        column = rows.setdefault(subset.first("type") or "subset", [""] * len(samples))
        for name in subset.first("sample_id").split(","):
            if name.strip() in samples:
                column[samples.index(name.strip())] = subset.first("description")
    platform, organism = said.get("platform", ("",))[0], said.get("sample_organism", ("",))[0]
    titles = [_between(described[name], ": ", "; src: ") for name in samples]
    fields: dict[str, tuple[str, ...]] = {
        "title": tuple(titles),
        "geo_accession": samples,
        "source_name_ch1": tuple(described[name].partition("; src: ")[2] for name in samples),
        "organism_ch1": (organism,) * len(samples),
        "platform_id": (platform,) * len(samples),
    }
    columns = {name: tuple(values) for name, values in rows.items()}
    columns |= {name: values for name, values in fields.items() if name not in columns}
    # GEO's "gene expression array-based" in the words that a series uses
    facts = {"type": tuple(f"by array; {one}" for one in said.get("type", ())), "platform_id": (platform,)}
    table = next((one for one in datasets if one.rows), None)
    tables = (_dataset_values(table, samples=samples, where=where),) if table else ()
    return Series(datasets[0].name, samples, columns, fields, facts, tables, where)


def _between(text: str, before: str, after: str) -> str:
    return text.partition(before)[2].partition(after)[0]


def _dataset_values(record: SoftRecord, *, samples: tuple[str, ...], where: str) -> ValueTable:
    if record.header[:2] != ("ID_REF", "IDENTIFIER") or set(record.header[2:]) != set(samples):
        raise DataError(
            "the columns of the data set's table are not its samples", where=f"{where}:{record.line}",
            value=", ".join(record.header[:5]), allowed="ID_REF, IDENTIFIER and one column for each sample",
            mend=FETCH_AGAIN,
        )  # fmt: skip
    names = record.header[2:]
    numbers = [numbers_of(cells[2:], names=names, where=f"{where}:{line}") for line, cells in record.rows]
    ids = tuple(cells[0].strip() for _, cells in record.rows)
    one_value_per_id(ids, where=where)
    symbols = tuple("" if cells[1].startswith("--") else cells[1].strip() for _, cells in record.rows)
    return ValueTable(ids, np.stack(numbers), names, where, symbols)
