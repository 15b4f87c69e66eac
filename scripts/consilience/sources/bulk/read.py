"""A bulk cohort from its raw folder, whatever source it came from."""

from __future__ import annotations

from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.raw_folder import RawFolder, unreadable
from consilience.study.cohorts import Cohort


def read_bulk(folder: RawFolder, *, cohort: Cohort) -> BulkMatrix:
    """Read a verified raw folder with the reader that fits its files."""
    if folder.of_kind("series_matrix", "soft"):
        from consilience.sources.geo.series import read_geo

        return read_geo(folder)
    if folder.of_kind("gdc_answer", "star_counts"):
        from consilience.sources.gdc.star_counts import read_gdc

        return read_gdc(folder)
    if folder.of_kind("table", "parquet"):
        from consilience.sources.bulk.tables import read_tables

        return read_tables(folder)
    raise unreadable(
        folder,
        wanted="a GEO series matrix with its counts, GDC STAR counts, or a table (.tsv, .csv, .parquet) with "
        "its samples table",
    )
