"""How a text table is laid out: its separator, header lines, id columns; told from its first lines.

Nothing is guessed silently: whatever departs from one header line over one id column becomes a note.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from consilience.foundation.errors import DataError
from consilience.sources.text import FETCH_AGAIN, split_line

POSITIONS = frozenset([
    "chr", "chrom", "chromosome", "start", "end", "strand", "length", "description", "gene_description",
    "gene_type", "gene_biotype", "biotype", "gene_chr", "gene_start", "gene_end", "gene_strand",
    "gene_length", "tf_family", "transcript_id(s)",
])  # fmt: skip
"""Columns that say something of a gene but never which gene it is."""

GENE_COLUMNS = POSITIONS | frozenset([
    "gene", "geneid", "gene_id", "gene_name", "gene_symbol", "genesymbol", "genename", "symbol",
    "hugo_symbol", "entrez", "entrez_gene_id", "entrezid", "entrez_id", "entrezgene", "ensembl",
    "ensembl_id", "ensembl_gene_id", "ensemblid", "id", "id_ref", "probe", "probe_id", "probeset",
    "probeset_id", "name", "external_gene_name", "hgnc_symbol",
])  # fmt: skip
MISSING = frozenset({"", "NA", "N/A", "null"})
MAX_HEADER_LINES = 6
HEAD_LINES = 50
GCT_VERSIONS = ("#1.2", "#1.3")
_BAM = re.compile(
    r"[._]?(Aligned)?([._]?(sortedByCoord|toTranscriptome))?([._]?out)?([._]?(sorted|sort|dedup|markdup|final))*"
    r"\.(bam|sam|cram)$"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the cells of a text table are.

    `first` number of the first line of values (1 is the file's first); `n_cells` of each such line; `ids` and
    `values` positions of the id and value columns; `id_names`, `samples` their names; `notes`;
    `announced` how many genes and samples the table says it has (GCT).
    """

    separator: str
    first: int
    n_cells: int
    ids: tuple[int, ...]
    values: tuple[int, ...]
    id_names: tuple[str, ...]
    samples: tuple[str, ...]
    notes: tuple[str, ...]
    announced: tuple[int, int] | None = None


def find_layout(lines: Sequence[str], *, samples: Collection[str], where: str, name: str = "") -> Layout:
    """Find the layout from the first lines of a table (some 50 are enough); `samples` names known elsewhere.

    A leading column is an id column when it is not one of the known samples and it is the first, bears the
    name of an id column, or holds something other than numbers; a later one when its name says so and it
    holds text.
    """
    header_at, announced = _header_line(lines)
    notes: list[str] = []
    if header_at + 1 >= len(lines) or not lines[header_at + 1].strip():
        raise DataError("the table has a header but no genes", where=where, mend=FETCH_AGAIN)
    header_line = lines[header_at].lstrip("#") if lines[header_at].startswith("#") else lines[header_at]
    separator = find_separator(header_line, lines[header_at + 1])
    notes += _extension_note(name, separator)
    body = [
        (k, split_line(lines[k], separator=separator)) for k in range(header_at + 1, len(lines)) if lines[k]
    ]
    first, start = next(((k, cells) for k, cells in body[:MAX_HEADER_LINES] if _has_number(cells)), body[0])
    rows = [cells for k, cells in body if k >= first]
    headers = [[cell.strip() for cell in split_line(header_line, separator=separator)]]
    headers += [[cell.strip() for cell in cells] for k, cells in body if k < first]
    headers = [_fitted(one, rows=rows) for one in headers]
    header = max(headers, key=lambda one: sum(cell in samples for cell in one))
    notes += _other_headers(headers, header, first_line=header_at + 1)
    trailing = header[-1] == "" and all(not cells[-1] for cells in rows if len(cells) == len(header))
    if trailing:
        notes.append("an empty last column was left out: every line ends with a separator")
    ids = _id_columns(header[: len(header) - trailing], start=start, samples=samples)
    values = tuple(k for k in range(len(header) - trailing) if k not in ids)
    names, renamed = clean_names([header[k] for k in values], known=samples)
    return Layout(
        separator=separator, first=first + 1, n_cells=len(header), ids=ids, values=values,
        id_names=_unique([header[k] or f"id{k + 1}" for k in ids]), samples=names,
        notes=tuple(notes + renamed), announced=announced,
    )  # fmt: skip


def _header_line(lines: Sequence[str]) -> tuple[int, tuple[int, int] | None]:
    """Index of the header: after comments, GCT's two lines, or a commented line that is itself the header."""
    k = 0
    while k < len(lines) and (not lines[k].strip() or lines[k].startswith("#")):
        k += 1
    if lines and lines[0].strip() in GCT_VERSIONS and k + 1 < len(lines):
        sizes = [int(one) for one in lines[k].split()[:2] if one.isdecimal()]
        return k + 1, (sizes[0], sizes[1]) if len(sizes) == 2 else None
    if 0 < k < len(lines) and lines[k - 1].startswith("#"):
        separator = find_separator(lines[k - 1], lines[k])
        above, below = (split_line(one, separator=separator) for one in lines[k - 1 : k + 1])
        if len(above) == len(below) > 1 and _has_number(below) and not _has_number(above):
            return k - 1, None
    return k, None


def find_separator(header: str, below: str) -> str:
    """Tab, semicolon, comma or blank: the first that both lines hold, about equally often."""
    for separator in "\t;, ":
        n_header, n_below = (len(split_line(line, separator=separator)) for line in (header, below))
        if n_below > 1 and abs(n_header - n_below) <= 1:
            return separator
    return next((one for one in "\t;," if one in header), "\t")


def _extension_note(name: str, separator: str) -> list[str]:
    said = {".csv": ",;", ".tsv": "\t"}.get(PurePosixPath(name.removesuffix(".gz")).suffix.casefold(), "")
    word = {"\t": "tabs", ",": "commas", ";": "semicolons", " ": "blanks"}[separator]
    return [f"{name} is separated by {word}"] if said and separator not in said else []


def _has_number(cells: Sequence[str]) -> bool:
    return any(cell.strip() not in MISSING and is_number(cell, comma=True) for cell in cells[1:])


def _fitted(header: list[str], *, rows: Sequence[Sequence[str]]) -> list[str]:
    """A header one cell shorter than its rows: R's row names have no column name; or the rows end empty."""
    if Counter(map(len, rows)).most_common(1)[0][0] != len(header) + 1:
        return header
    if all(cells[-1] == "" for cells in rows if len(cells) == len(header) + 1):
        return [*header, ""]
    return header if header[0].casefold() in GENE_COLUMNS else ["", *header]


def _other_headers(headers: list[list[str]], header: list[str], *, first_line: int) -> list[str]:
    return [
        f"line {first_line + k} of the table ({' '.join(one[:4])} …) holds no numbers; it was left out"
        for k, one in enumerate(headers)
        if one is not header
    ]


def _id_columns(header: Sequence[str], *, start: Sequence[str], samples: Collection[str]) -> tuple[int, ...]:
    leading, ids = True, []
    for position, (name, value) in enumerate(zip(header, start, strict=False)):
        named, number = name.casefold() in GENE_COLUMNS, is_number(value, comma=True)
        if name in samples:
            leading = False
        elif leading and (position == 0 or named or not number):
            ids.append(position)
        else:
            leading = False
            if named and not number:
                ids.append(position)
    return tuple(ids)


def is_number(text: str, *, comma: bool = False) -> bool:
    """Whether a cell is a number as anybody writes it, or missing; with `comma` also one like 1,5."""
    text = text.strip().replace(",", "") if comma else text
    try:
        float(text)
    except ValueError:
        return text.strip() in MISSING
    return "_" not in text and text.isascii()


def clean_names(names: Sequence[str], *, known: Collection[str]) -> tuple[tuple[str, ...], list[str]]:
    """Sample names without folders and endings where all are names of alignments (featureCounts); a note.

    Names that are known elsewhere stay as they are.
    """
    if not names or any(name in known for name in names) or not all(_BAM.search(name) for name in names):
        return tuple(names), []
    bases = [_BAM.sub("", name.replace("\\", "/").rsplit("/", 1)[-1]) for name in names]
    if len({base.casefold() for base in bases}) < len(bases) or not all(bases):
        bases = [_BAM.sub("", name) for name in names]
    return tuple(bases), [
        f"sample names are those of alignment files without folder and ending ({names[0]!r} is {bases[0]!r})"
    ]


def _unique(names: list[str]) -> tuple[str, ...]:
    seen = Counter(names)
    return tuple(name if seen[name] == 1 else f"{name}_{k}" for k, name in enumerate(names, 1))
