"""A bulk cohort from GEO: phenotypes from the series, values from its matrix, its tables or its SOFT file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.bulk.tables import listed
from consilience.sources.bulk.units import settle_units
from consilience.sources.geo.phenotypes import Method, method_of, one_platform, read_series, wanted_rows
from consilience.sources.geo.platform import Symbols, find_platform, only_gene, symbols_of_probes
from consilience.sources.geo.series import Series
from consilience.sources.geo.supplement import Measured, asked_for, measured, supplementary_tables
from consilience.sources.geo.values import joined
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import shown
from consilience.study.cohorts import Cohort


def read_geo(folder: RawFolder, *, cohort: Cohort) -> BulkMatrix:
    """Read the samples that `cohort` selects of the series in a raw folder.

    An array is read from the series' own values, sequencing from the tables that its authors (or NCBI) added;
    a table that `cohort.files` names goes before both. The selection is applied here, before species and
    platforms are judged: a series may hold mice or a second platform that nobody asked for. Selecting again
    changes nothing.
    """
    series = read_series(folder)
    if series is None:
        raise DataError(
            "no file tells who the samples are: a platform or an empty series alone is no cohort",
            where=shown(folder.path),
            allowed="a series matrix, or a SOFT file with samples",
            mend="add GSE…_series_matrix.txt.gz",
        )
    rows = wanted_rows(series, select=cohort.select)
    method = method_of(series, rows)
    if method != "sequencing":
        one_platform(series, rows)
    paths = supplementary_tables(folder, cohort=cohort)
    if paths and not (series.tables and method == "array" and not asked_for(paths, cohort=cohort)):
        found = measured(paths, series, rows, units=cohort.units)
        probes = method == "array" and bool(folder.of_kind("platform"))
    else:
        found = _own_values(series, rows, method=method)
        probes = method == "array" or bool(folder.of_kind("platform") or _symbols_in(series))
    array = method == "array" or probes
    platform = one_platform(series, found.rows) if array else ""
    symbols = _symbols(found, series, folder, platform=platform) if probes else Symbols(found.ids, ())
    settled = settle_units(
        found.values,
        claimed=cohort.units,
        array=array,
        genes=found.ids,
        samples=found.samples,
        where=found.where,
    )
    return BulkMatrix(
        values=np.ascontiguousarray(settled.values.T),
        samples=found.samples,
        genes=symbols.genes,
        gene_columns=found.id_columns | ({"probe": found.ids} if probes else {}),
        columns={name: tuple(values[row] for row in found.rows) for name, values in series.columns.items()},
        metrics=found.metrics,
        notes=(*series.notes, *found.notes, *symbols.notes, *settled.notes),
        units=settled.units,
    )


def _own_values(series: Series, rows: Sequence[int], *, method: Method) -> Measured:
    """The values inside the series matrix (or the SOFT file), without rows that no sample has a value of."""
    samples = [series.samples[row] for row in rows]
    table = joined(series.tables, samples=samples, where=series.where)
    if table is None:
        raise _no_values(series, samples, method=method)
    known = np.flatnonzero(~np.isnan(table.values).all(axis=1))
    n_empty = len(table.ids) - len(known)
    return Measured(
        values=table.values[known] if n_empty else table.values,
        ids=tuple(table.ids[row] for row in known),
        samples=tuple(samples),
        rows=list(rows),
        where=table.where,
        notes=(f"{n_empty} rows without any value were left out",) if n_empty else (),
    )


def _no_values(series: Series, samples: Sequence[str], *, method: Method) -> DataError:
    held = {name for table in series.tables for name in table.samples}
    without = [name for name in samples if name not in held]
    if held and without:
        return DataError(
            f"{len(without)} of {len(samples)} samples have no values in the series: {listed(without)}",
            where=series.where, mend="leave these samples out by 'select' of the cohort sheet",
        )  # fmt: skip
    if held:
        return DataError(
            "the tables of the samples have no id in common", where=series.where,
            mend="choose samples of one kind by 'select' of the cohort sheet",
        )  # fmt: skip
    what, table = ("values", "values") if method == "array" else ("counts", "raw counts")
    return DataError(
        f"no {what}: the series holds no table of values and no supplementary table lies beside it",
        where=series.where,
        mend=f"name the authors' table of {table} in 'files' of the cohort sheet",
    )


def _symbols_in(series: Series) -> dict[str, str]:
    """Genes that the series' own tables name for their ids (GEO DataSets do), {} where they name none."""
    return {
        one: symbol for table in series.tables for one, symbol in zip(table.ids, table.symbols, strict=False)
    }


def _symbols(found: Measured, series: Series, folder: RawFolder, *, platform: str) -> Symbols:
    """Genes of the probes: by the platform's annotation, else as the series' own table names them."""
    named = _symbols_in(series)
    if not named or folder.of_kind("platform"):
        return symbols_of_probes(found.ids, platform=find_platform(folder, accession=platform))
    genes = tuple(only_gene(named.get(one, "")) for one in found.ids)
    note = (
        f"{len(genes)} probes name {len(set(genes) - {''})} genes by the column IDENTIFIER of the data set;"
        f" {genes.count('')} of several genes or none are left out"
    )
    return Symbols(genes, (note,))
