"""From the probes of an array to gene symbols: the platform's annotation, in the forms that GEO serves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from consilience.foundation.errors import DataError
from consilience.sources.geo.addresses import annotation_folder
from consilience.sources.geo.lines import text_lines
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import FETCH_AGAIN, separator_of, shown, split_line

SYMBOL_COLUMNS = (
    "genesymbol", "symbol", "ilmngene", "genesymbols", "hgncsymbol", "hugosymbol", "genesym",
    "associatedgenename", "genename(symbol)",
)  # fmt: skip
"""Names of a symbol column, without blanks and underscores, in the order of belief."""
ENTREZ_COLUMNS = ("entrezgeneid", "entrezid", "geneid", "entrezgene", "locuslinkid", "gene")
ENSEMBL_COLUMNS = ("ensemblgeneid", "ensemblid", "ensemblgene", "ensembl", "geneensembl")
ASSIGNMENT = "geneassignment"
ID_COLUMNS = ("id", "idref", "probeid", "probesetid", "probe")
MANY = re.compile(r"\s*(?://+|;|\|)\s*")
BLANK = frozenset({"", "-", "--", "---", "na", "n/a", "null", "none", "nan", "."})
MIN_PROBES_FOUND = 0.5
ACCESSION = re.compile(r"GPL\d+")


@dataclass(frozen=True, slots=True)
class Platform:
    """Gene of each probe, by probe id: `names` ("" for none, several joined by " /// ") as in `column`.

    `accession` of the platform, "" where the file does not tell; `where` is the file.
    """

    accession: str
    names: dict[str, str]
    column: str
    where: str


@dataclass(frozen=True, slots=True)
class Symbols:
    """`genes`, one for each probe ("" for probes of no gene or of several), and what to tell of it."""

    genes: tuple[str, ...]
    notes: tuple[str, ...]


def symbols_of_probes(probes: Sequence[str], *, platform: Platform) -> Symbols:
    """The gene of each probe; a probe that names several genes measures none of them alone and gets ""."""
    found = [platform.names.get(probe) for probe in probes]
    n_known = sum(one is not None for one in found)
    if n_known < MIN_PROBES_FOUND * len(probes):
        absent = next(probe for probe, one in zip(probes, found, strict=True) if one is None)
        raise DataError(
            f"only {n_known} of {len(probes)} probes are in the platform's table: it is of another platform",
            where=platform.where, value=absent, allowed=", ".join(list(platform.names)[:3]) + " …",
            mend="give the annotation of the platform that the samples name in platform_id",
        )  # fmt: skip
    genes = tuple(only_gene(one or "") for one in found)
    n_several = sum(len(genes_in(one or "")) > 1 for one in found)
    n_genes = len(set(genes) - {""})
    notes = [
        f"{len(probes)} probes of {platform.accession or 'the array'} name {n_genes} genes by the column"
        f" {platform.column!r} of {platform.where.rpartition('/')[2]}: {n_several} probes of several"
        f" genes and {genes.count('') - n_several} of none are left out"
    ]
    return Symbols(genes, tuple(notes))


def genes_in(text: str) -> tuple[str, ...]:
    """The genes that a platform's cell names, each once."""
    parts = MANY.split(text.strip())
    return tuple(dict.fromkeys(part for part in parts if part.casefold() not in BLANK))


def only_gene(text: str) -> str:
    """The gene that a platform's cell names, "" where it names several."""
    genes = genes_in(text)
    return genes[0] if len(genes) == 1 else ""


def find_platform(folder: RawFolder, *, accession: str) -> Platform:
    """The annotation of one platform among the files of a raw folder.

    Looked for in this order: a file named after the platform, a SOFT file that holds its table, a table of
    probes and symbols that names no platform (when it is the only one).
    """
    candidates = folder.of_kind("platform")
    named = [path for path in candidates if accession and accession in ACCESSION.findall(path.name)]
    plain = [path for path in candidates if not ACCESSION.search(path.name)]
    paths = [*named, *folder.of_kind("soft"), *(plain if len(plain) == 1 else ())]
    if not accession:
        paths = [*candidates, *folder.of_kind("soft")]
    read = (read_platform(path, accession=accession) for path in paths)
    if platform := next((one for one in read if one and one.names), None):
        return platform
    name = accession or "GPL…"
    at = f", from {annotation_folder(accession)}" if accession.startswith("GPL") else ""
    raise DataError(
        f"no table tells the genes of the probes of platform {name}",
        where=shown(folder.path),
        allowed=f"{name}.annot.gz{at}; a SOFT file of the platform or of the whole series (…_family.soft.gz);"
        " or a table of two columns, probe and gene symbol, whose name holds the platform's",
        mend="put one of these beside the series matrix, and give their folder as the location",
    )


def read_platform(path: Path, *, accession: str = "") -> Platform | None:
    """Read one platform's table from an annotation, a SOFT file or a plain table; None where it has none.

    `accession`: which platform is wanted, where the file may hold several.
    """
    where = shown(path)
    lines = _table_lines(path, accession=accession)
    number, header = next(lines, (0, []))
    if not header:
        return None
    keys = [re.sub(r"[\s_]", "", name).casefold() for name in header]
    id_column = next((keys.index(name) for name in ID_COLUMNS if name in keys), 0)
    column = _gene_column(keys, id_column)
    if column is None:
        raise DataError(
            "no column of the platform's table names genes", where=f"{where}:{number}",
            value=", ".join(header),
            allowed="a column Gene Symbol, Symbol, gene_assignment, Entrez or Ensembl id",
            mend="give a table of two columns, probe and gene symbol",
        )  # fmt: skip
    assigned = keys[column] == ASSIGNMENT
    names: dict[str, str] = {}
    for line, cells in lines:
        if len(cells) > len(header) or len(cells) <= id_column:
            raise DataError(
                f"{len(cells)} cells under {len(header)} column names",
                where=f"{where}:{line}",
                mend=FETCH_AGAIN,
            )
        cell = cells[column] if column < len(cells) else ""  # trailing empty cells may be missing
        names[cells[id_column].strip()] = assigned_symbols(cell) if assigned else cell.strip()
    in_name = ACCESSION.search(path.name)
    return Platform(accession or (in_name.group() if in_name else ""), names, header[column], where)


def assigned_symbols(cell: str) -> str:
    """Symbols of Affymetrix' gene_assignment: "transcript // symbol // name // place // id /// …"."""
    parts = [[field.strip() for field in one.split(" // ")] for one in cell.split("///")]
    return " /// ".join(dict.fromkeys(fields[1] for fields in parts if len(fields) > 1))


def _gene_column(keys: Sequence[str], id_column: int) -> int | None:
    """The column of gene names: symbols before assignments, before Entrez and Ensembl ids."""
    for names in (SYMBOL_COLUMNS, (ASSIGNMENT,), ENTREZ_COLUMNS, ENSEMBL_COLUMNS):
        for name in names:
            if name in keys and keys.index(name) != id_column:
                return keys.index(name)
    return None


def _table_lines(path: Path, *, accession: str) -> Iterator[tuple[int, list[str]]]:
    """Header and rows of the platform's table: between its marks, or the whole of a plain table."""
    inside, plain, begun, current, separator = False, True, 0, "", ""
    for number, line in text_lines(path):
        if line.startswith("^"):
            plain, current = False, line.partition("=")[2].strip()
            if inside:
                raise _cut(path, begun)
            continue
        if line.startswith("!"):
            mark = line.strip().casefold()
            if mark == "!platform_table_begin":
                named = ACCESSION.fullmatch(current)
                inside = not (accession and named and current != accession)
                begun = number
            elif inside and mark == "!platform_table_end":
                return
            elif inside and mark.endswith("_table_end"):
                raise _cut(path, begun)
            plain = False
        elif (inside or plain) and line.strip() and not line.startswith("#"):
            if inside:  # quotes are inches and 5" ends here, not quotation
                yield number, line.split("\t")
            else:
                separator = separator or separator_of(path, line)
                yield number, split_line(line, separator=separator)
    if inside:
        raise _cut(path, begun)


def _cut(path: Path, begun: int) -> DataError:
    return DataError(
        "the platform's table is cut: it has no !platform_table_end",
        where=f"{shown(path)}:{begun}",
        mend=FETCH_AGAIN,
    )
