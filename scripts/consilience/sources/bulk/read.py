"""A bulk cohort from its raw folder, whatever source it came from."""

from __future__ import annotations

from pathlib import Path

from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.raw_folder import RawFolder, unreadable
from consilience.study.cohorts import Cohort


def read_bulk(folder: RawFolder, *, cohort: Cohort, scratch: Path | None = None) -> BulkMatrix:
    """Read a verified raw folder with the reader that fits its files.

    Counts of many files are gathered in the folder `scratch`, which the caller removes, or in memory.
    """
    if folder.of_kind("series_matrix", "soft"):
        from consilience.sources.geo.read import read_geo

        return read_geo(folder, cohort=cohort)
    if not folder.of_kind("gdc_answer", "gdc_manifest", "star_counts"):
        from consilience.sources.bulk.per_sample import read_tables_of_samples, tables_of_samples

        if tables := tables_of_samples(folder):
            return read_tables_of_samples(folder, tables=tables, units=cohort.units)
    if folder.of_kind("gdc_answer", "star_counts", "htseq_counts"):
        from consilience.sources.gdc.read import read_gdc

        return read_gdc(folder, scratch=scratch)
    if folder.of_kind("table", "parquet"):
        from consilience.sources.bulk.tables import read_tables

        return read_tables(folder, units=cohort.units)
    raise unreadable(
        folder,
        wanted="a GEO series matrix with its counts, GDC STAR counts, or a table (.tsv, .csv, .parquet) with "
        "its samples table" + _how_to_export(folder),
    )


def _how_to_export(folder: RawFolder) -> str:
    """What to do with files of programs that only these programs read safely."""
    if folder.of_kind("spreadsheet"):
        return (
            "; save the sheet of a spreadsheet as tab delimited text (and look whether it has turned genes"
            " such as MARCH1 into dates)"
        )
    if folder.of_kind("r_object"):
        return "; write an R object by write.table(x, 'table.tsv', sep = '\\t', quote = FALSE)"
    return ""
