"""A GEO series: the series matrix (header only, as for RNA-seq) and the supplementary table of counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from consilience.expression.gene_table import load_gene_table
from consilience.foundation.seeds import stream
from consilience.simulate.bulk import BulkCohort
from consilience.simulate.gzipped import write_gzip
from consilience.simulate.plan import column_names
from consilience.simulate.truth import Truth
from consilience.study.cohorts import Cohort

OLD_SYMBOL_EVERY = 50


def write_geo(folder: Path, *, cohort: Cohort, bulk: BulkCohort, truth: Truth) -> None:
    """Write ``GSE…_series_matrix.txt.gz`` and ``GSE…_raw_counts.tsv.gz``."""
    number = int(stream(0, "GEO accession", cohort.name).integers(100_000, 999_999))
    series = f"GSE9{number:06d}"
    write_gzip(folder / f"{series}_series_matrix.txt.gz", series_matrix(series, cohort=cohort, bulk=bulk))
    names = served_names(truth)
    titles = [one.sample for one in bulk.planned]
    rows = ["\t".join(["gene", *titles])]
    rows += [
        f"{name}\t" + "\t".join(map(str, row))
        for name, row in zip(names, bulk.counts.T.tolist(), strict=True)
    ]
    write_gzip(folder / f"{series}_raw_counts.tsv.gz", "\n".join(rows) + "\n")


def series_matrix(series: str, *, cohort: Cohort, bulk: BulkCohort) -> str:
    """The header as GEO serves it, with an empty table."""
    n = len(bulk.planned)
    gsm = [f"GSM9{series[4:]}{row:03d}" for row in range(1, n + 1)]
    head = {
        "title": cohort.label or cohort.name,
        "geo_accession": series,
        "status": "Public on Jan 01 2025",
        "summary": "Simulated samples of a study whose truth is known; no patient was involved.",
        "overall_design": "One sample per subject",
        "type": "Expression profiling by high throughput sequencing",
        "sample_id": " ".join(gsm),
        "supplementary_file": f"ftp://ftp.ncbi.nlm.nih.gov/geo/series/{series[:-3]}nnn/{series}/suppl/"
        f"{series}_raw_counts.tsv.gz",
        "platform_id": "GPL24676",
        "platform_taxid": "9606",
        "sample_taxid": "9606",
    }
    lines = [f"!Series_{key}\t{_quoted(value)}" for key, value in head.items()]
    lines.append("")
    samples: list[tuple[str, Sequence[str]]] = [
        ("title", [one.sample for one in bulk.planned]),
        ("geo_accession", gsm),
        ("status", ["Public on Jan 01 2025"] * n),
        ("type", ["SRA"] * n),
        ("channel_count", ["1"] * n),
        ("source_name_ch1", ["tissue biopsy"] * n),
        ("organism_ch1", ["Homo sapiens"] * n),
        *(("characteristics_ch1", row) for row in characteristic_rows(cohort=cohort, bulk=bulk)),
        ("molecule_ch1", ["total RNA"] * n),
        ("taxid_ch1", ["9606"] * n),
        ("data_processing", ["Supplementary_files_format_and_content: tab-delimited raw counts"] * n),
        ("platform_id", ["GPL24676"] * n),
        ("data_row_count", ["0"] * n),
        ("instrument_model", ["Illumina NovaSeq 6000"] * n),
        ("library_strategy", ["RNA-Seq"] * n),
    ]
    lines += ["\t".join([f"!Sample_{key}", *map(_quoted, values)]) for key, values in samples]
    lines += [
        "!series_matrix_table_begin",
        "\t".join(map(_quoted, ["ID_REF", *gsm])),
        "!series_matrix_table_end",
    ]
    return "\n".join(lines) + "\n"


def characteristic_rows(*, cohort: Cohort, bulk: BulkCohort) -> list[list[str]]:
    """Rows of "key: value" cells; every third sample states its age after its sex, which shifts its rows.

    Submitters' sheets do this, and a parser that trusts rows instead of keys mixes up the columns.
    """
    names = column_names(cohort)
    cells = []
    for position, (one, age) in enumerate(zip(bulk.planned, bulk.ages, strict=True)):
        facts = {
            names["condition"]: one.level,
            names["donor"]: one.donor,
            names["sex"]: one.sex,
            names["batch"]: one.batch,
        }
        own = [f"{key}: {value}" for key, value in facts.items()]
        own.insert(3 if position % 3 == 2 else len(own), f"age: {age}")
        if position % 3 == 2:
            own[0], own[1] = own[1], own[0]
        cells.append(own)
    return [list(row) for row in zip(*cells, strict=True)]


def served_names(truth: Truth) -> list[str]:
    """Gene names of the counts file: today's symbols, some replaced by earlier ones, septins turned to dates.

    Genes that matter to the truth keep their symbols.
    """
    table = load_gene_table()
    keep = set(truth.genes.loc[truth.genes["candidate"], "gene"]) | set(truth.perturbations.names)
    symbols, taken = truth.symbols, set(truth.symbols)
    served = list(symbols)
    for row, symbol in enumerate(symbols):
        earlier = [name for name in table.previous[table.row_of[symbol]].split("|") if name]
        unique = [
            name for name in earlier if len(table.rows_of_previous[name]) == 1 and name not in table.row_of
        ]
        if symbol.startswith("SEPTIN") and symbol[6:].isdigit() and symbol not in keep:
            served[row] = f"{symbol[6:]}-Sep"
        elif row % OLD_SYMBOL_EVERY == 0 and unique and unique[0] not in taken and symbol not in keep:
            served[row] = unique[0]
            taken.add(unique[0])
    return served


def _quoted(value: str) -> str:
    return f'"{value}"'
