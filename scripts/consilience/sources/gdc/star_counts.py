"""GDC: the answer of its files service and one STAR-counts table per file, joined into one matrix."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from consilience.foundation.errors import DataError, Problem
from consilience.foundation.jobs import progress
from consilience.sources.bulk.matrix import BulkMatrix, refuse_duplicates
from consilience.sources.raw_folder import RawFolder, read_record
from consilience.sources.text import FETCH_AGAIN, read_lines, shown

COUNTS_NAME = "augmented_star_gene_counts"
REQUIRED = ("gene_id", "unstranded")
PAR_Y = "_PAR_Y"
ALIQUOT_PATHS = (
    "associated_entities.entity_submitter_id",
    "cases.samples.portions.analytes.aliquots.submitter_id",
)


@dataclass(frozen=True, slots=True)
class StarCounts:
    """`genes` ids with versions, `counts` (genes,) unstranded, `unassigned` reads by kind, of one file."""

    genes: tuple[str, ...]
    counts: np.ndarray[Any, np.dtype[np.int64]]
    unassigned: dict[str, int]


def read_gdc(folder: RawFolder) -> BulkMatrix:
    """Read files.json and every STAR-counts file it lists; size and md5 of each are checked against it."""
    index = next((path for name, path in folder.files if Path(name).name == "files.json"), None)
    if index is None:
        raise DataError(
            "no files.json (the answer of the GDC files service)",
            where=shown(folder.path),
            mend="delete the cohort's raw folder and run again",
        )
    hits, notes = read_hits(index)
    paths = [_path_of(hit, folder=folder, where=shown(index)) for hit in hits]
    _refuse_damaged(hits, paths=paths)
    tables = [read_star_counts(path) for path in progress(paths, label="GDC files")]
    genes = tables[0].genes
    for path, table in zip(paths[1:], tables[1:], strict=True):
        _refuse_other_genes(table.genes, expected=genes, path=path, first=paths[0])
    columns = phenotype([flatten(hit) for hit in hits])
    refuse_duplicates(columns["sample"], what="sample", where=shown(index))
    counts = np.stack([table.counts for table in tables])
    par_y = sum(gene.endswith(PAR_Y) for gene in genes)
    if par_y:
        notes.append(f"{par_y} genes of the pseudoautosomal regions (…{PAR_Y}) were added to their X copy")
    return BulkMatrix(
        values=counts,
        samples=columns["sample"],
        genes=tuple(gene.removesuffix(PAR_Y) for gene in genes),
        columns=columns,
        metrics=read_shares(tables),
        notes=tuple(notes),
    )


def read_shares(tables: Sequence[StarCounts]) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Shares of all reads: those in genes, unmapped ones, and those of many places; each (samples,)."""
    in_genes = np.array([table.counts.sum() for table in tables], dtype=float)
    total = in_genes + np.array([sum(table.unassigned.values()) for table in tables])
    kinds = {"unmapped_share": "N_unmapped", "multimapping_share": "N_multimapping"}
    safe = np.where(total > 0, total, 1.0)
    shares = {"assigned_share": in_genes / safe}
    for name, kind in kinds.items():
        shares[name] = np.array([table.unassigned.get(kind, 0) for table in tables]) / safe
    return shares


def read_hits(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The hits that are STAR counts, sorted by file id, and notes; an incomplete page is refused."""
    where, answer, notes = shown(path), read_record(path), []
    try:
        hits = answer["data"]["hits"]
        total = int(answer["data"].get("pagination", {}).get("total", len(hits)))
        for hit in hits:
            for key in ("file_id", "file_name", "md5sum"):
                if not (isinstance(hit[key], str) and hit[key]):
                    raise TypeError(f"{key} is empty")
            int(hit["file_size"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"not an answer of the GDC files service ({error!r})", where=where, mend=FETCH_AGAIN
        ) from error
    if total != len(hits):
        raise DataError(
            f"holds {len(hits)} of {total} files: the answer is one page of several",
            where=where,
            mend="ask the service for all of them (size)",
        )
    if warnings := answer.get("warnings"):
        notes.append(f"the GDC answered with warnings: {warnings}")
    chosen = sorted(
        (hit for hit in hits if COUNTS_NAME in hit["file_name"]), key=lambda hit: str(hit["file_id"])
    )
    if not chosen:
        raise DataError(
            "lists no STAR-counts file", where=where, allowed=f"files named *.rna_seq.{COUNTS_NAME}.tsv"
        )
    if len(chosen) < len(hits):
        notes.append(f"{len(hits) - len(chosen)} listed files are no STAR counts and were left out")
    return chosen, notes


def _path_of(hit: Mapping[str, Any], *, folder: RawFolder, where: str) -> Path:
    name = f"{hit['file_id']}/{hit['file_name']}"
    for listed, path in folder.files:
        if listed == name or listed.endswith("/" + name):
            return path
    raise DataError("files.json lists a file that was not fetched", where=where, value=name, mend=FETCH_AGAIN)


def _refuse_damaged(hits: Sequence[Mapping[str, Any]], *, paths: Sequence[Path]) -> None:
    problems = []
    for hit, path in zip(hits, paths, strict=True):
        content = path.read_bytes()
        if len(content) != int(hit["file_size"]):
            problems.append(
                Problem(
                    f"has {len(content)} bytes, the GDC says {hit['file_size']}",
                    shown(path),
                    mend=FETCH_AGAIN,
                )
            )
        elif hashlib.md5(content, usedforsecurity=False).hexdigest() != hit["md5sum"]:
            problems.append(Problem("its md5 is not the one the GDC gives", shown(path), mend=FETCH_AGAIN))
    if problems:
        raise DataError.from_problems(problems)


def read_star_counts(path: Path) -> StarCounts:
    """Parse one table; N_ rows (reads in no gene) are kept apart from the genes."""
    where = shown(path)
    lines = read_lines(path, whole_last_line=True)
    first = next((k for k, line in enumerate(lines) if not line.startswith("#")), len(lines) - 1)
    header = lines[first].split("\t")
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise DataError(
            f"no column {' and '.join(missing)}",
            where=f"{where}:{first + 1}",
            value=lines[first][:80],
            allowed="the columns of a STAR-counts file (gene_id, …, unstranded, …)",
            mend=FETCH_AGAIN,
        )
    gene_at, count_at = header.index("gene_id"), header.index("unstranded")
    genes, counts, unassigned = [], [], {}
    for number, line in enumerate(lines[first + 1 :], first + 2):
        cells = line.split("\t")
        if len(cells) != len(header):
            raise DataError(
                f"{len(cells)} cells under {len(header)} column names",
                where=f"{where}:{number}",
                mend=FETCH_AGAIN,
            )
        gene, text = cells[gene_at], cells[count_at]
        if not (text.isascii() and text.isdigit()):
            raise DataError(
                "not a count",
                where=f"{where}:{number}:unstranded",
                value=text,
                allowed=f"a whole number >= 0 for gene {gene!r}",
                mend=FETCH_AGAIN,
            )
        if gene.startswith("N_"):
            unassigned[gene] = int(text)
        else:
            genes.append(gene)
            counts.append(int(text))
    if not genes:
        raise DataError("the table has no genes", where=where, mend=FETCH_AGAIN)
    return StarCounts(tuple(genes), np.array(counts, dtype=np.int64), unassigned)


def _refuse_other_genes(genes: Sequence[str], *, expected: Sequence[str], path: Path, first: Path) -> None:
    if genes == expected:
        return
    row = next(
        (k for k, (a, b) in enumerate(zip(genes, expected, strict=False)) if a != b),
        min(len(genes), len(expected)),
    )
    found = genes[row] if row < len(genes) else "(end of file)"
    wanted = expected[row] if row < len(expected) else "(end of file)"
    raise DataError(
        f"its genes are not those of {first.name} ({len(genes)} and {len(expected)}); gene {row + 1} differs",
        where=shown(path),
        value=found,
        allowed=wanted,
        mend="all files must come from one release of the GDC; fetch the cohort again",
    )


def flatten(hit: Mapping[str, Any]) -> dict[str, str]:
    """Scalars of a hit by dotted path ("cases.samples.sample_type"); of several entries, the first."""

    def walk(value: object, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from walk(inner, f"{path}.{key}" if path else str(key))
        elif isinstance(value, list):
            if value:
                yield from walk(value[0], path)
        else:
            yield path, "" if value is None else str(value)

    return dict(walk(hit, ""))


def phenotype(rows: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Columns from flattened hits: sample, case_id, plate, centre, then every other field by its last name.

    `sample` is the sample's barcode, or the aliquot's where one sample has several files; `case_id` is the
    patient's barcode; plate and centre are parts 6 and 7 of a TCGA aliquot barcode
    (TCGA-02-0001-01C-01R-0182-07).
    """
    aliquots = [next((row[path] for path in ALIQUOT_PATHS if row.get(path)), "") for row in rows]
    samples = [row.get("cases.samples.submitter_id", "") for row in rows]
    names = samples if all(samples) and len(set(samples)) == len(samples) else aliquots
    parts = [[*aliquot.split("-"), "", ""] if aliquot.count("-") == 6 else [""] * 9 for aliquot in aliquots]
    columns = {
        "sample": tuple(name or row["file_id"] for name, row in zip(names, rows, strict=True)),
        "case_id": tuple(row.get("cases.submitter_id") or row.get("cases.case_id", "") for row in rows),
        "aliquot": tuple(aliquots),
        "plate": tuple(part[5] for part in parts),
        "centre": tuple(part[6] for part in parts),
    }
    paths = {path for row in rows for path in row}
    for path in sorted(paths, key=lambda one: (one.count("."), one)):
        name = path.rpartition(".")[2]
        if name in columns:
            name = path.removeprefix("cases.")
        columns.setdefault(name, tuple(row.get(path, "") for row in rows))
    return columns
