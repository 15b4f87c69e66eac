"""Gene sets: GMT files of every dialect, and the collections that ship with the workflow."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from consilience.expression.genes import GeneMatch, GeneTable, load_gene_table, resolve
from consilience.foundation.errors import ConfigError, DataError, did_you_mean
from consilience.foundation.places import RESOURCES

SHIPPED = {name: RESOURCES / "gene_sets" / f"{name}.gmt.gz" for name in ("hallmark", "reactome")}
_WEIGHT = re.compile(r",[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?$")
_LINE = re.compile(r"\r\n|\n|\r")
_MEND = "download the file again, or give a GMT file: name, description, then genes, separated by tabs"
# A member that matches a human gene only by case or by synonym is as often viral (HIV tat, influenza NS).
_ORF = re.compile(r"C(\d+|X|Y)ORF\d+")  # C1ORF112 is written for C1orf112; no virus is called so
_BELIEVED = {"exact", "ensembl", "entrez", "previous"}


@dataclass(frozen=True, slots=True)
class GeneSet:
    """A named set of genes.

    `genes` are as written in the file after `read_gmt`, current symbols after `load_gene_sets`; `unknown`
    are members that are no known human gene (viral genes, RNA species, families). `source`: id or address.
    """

    name: str
    collection: str
    source: str
    genes: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def read_gmt(path: str | Path) -> list[GeneSet]:
    """Read a GMT file (MSigDB, Reactome, Enrichr and relatives; plain or gzip), sets in file order.

    Trailing tabs, CRLF, a byte-order mark, blank descriptions, comment lines, gene weights ("GENE,1.0") and
    members listed twice are taken as what they mean. Anything that is not a GMT file is a `DataError`.
    """
    place = Path(path)
    collection = re.sub(r"\.(gmt|txt|tsv)$", "", place.name.removesuffix(".gz"), flags=re.IGNORECASE)
    first_line: dict[str, int] = {}
    sets: list[GeneSet] = []
    for number, line in enumerate(_LINE.split(_read_text(place)), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _parse_line(line, collection=collection, where=f"{place}:{number}")
        if found.name in first_line:
            raise DataError(
                "two gene sets have the same name",
                where=f"{place}:{number}",
                value=found.name,
                mend=f"rename one of them (the first is in line {first_line[found.name]})",
            )
        first_line[found.name] = number
        sets.append(found)
    if not sets:
        raise DataError("no gene set in this file", where=str(place), mend=_MEND)
    return sets


def _parse_line(line: str, *, collection: str, where: str) -> GeneSet:
    """One line: name, description, members."""
    cells = [cell.strip().strip('"').strip() for cell in line.split("\t")]
    if len(cells) < 2:
        raise DataError("not a line of a GMT file (no tab in it)", where=where, value=line, mend=_MEND)
    name, source, *members = cells
    if not name:
        raise DataError("a gene set without a name", where=where, value=line, mend="write its name first")
    if members and members[0] == "Reactome Pathway":
        members = members[1:]
    genes = dict.fromkeys(_WEIGHT.sub("", member).strip() for member in members)
    genes.pop("", None)
    return GeneSet(name, collection, "" if source in {"na", "NA", "-"} else source, tuple(genes))


def _read_text(path: Path) -> str:
    """The file as text; everything that is no text table is refused by name."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except FileNotFoundError:
        raise DataError("there is no such gene set file", where=str(path), mend="check the path") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"the file cannot be read to its end ({error})", where=str(path), mend="download it again"
        ) from error
    start = data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for mark, what in {
        b"<": "a web page (HTML or XML)",
        b"{": "JSON",
        b"pk\x03\x04": "a zip archive",
    }.items():
        if start.startswith(mark):
            raise DataError(f"this is {what}, not gene sets", where=f"{path}:1", mend=_MEND)
    if not start:
        raise DataError("the file is empty", where=str(path), mend=_MEND)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError("the text is not UTF-8", where=f"{path}:{line}", mend="save it as UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError("binary data in a gene set file", where=f"{path}:{line}", mend=_MEND)
    return text


def load_gene_sets(names_or_paths: Iterable[str | Path], *, table: GeneTable | None = None) -> list[GeneSet]:
    """Load shipped collections by name ("hallmark", "reactome") and GMT files by path, in current symbols.

    Sets come in the order of the collections, then of the files. A name that two collections share gets the
    collection behind it in brackets, in both.
    """
    sets: list[GeneSet] = []
    seen: dict[str, str] = {}
    for entry in names_or_paths:
        shipped = SHIPPED.get(str(entry))
        if shipped is None and not Path(entry).is_file():
            raise ConfigError(
                "neither a shipped collection nor a GMT file",
                where="pathways.gene_sets",
                value=entry,
                allowed=", ".join(SHIPPED) + ", or the path of a file",
                mend=did_you_mean(str(entry), SHIPPED) or "check the path",
            )
        loaded = read_gmt(shipped or entry)
        if (collection := loaded[0].collection) in seen:
            raise ConfigError(
                "two collections have the same name",
                where="pathways.gene_sets",
                value=entry,
                mend=f"list {seen[collection]} only once, or rename one of the files",
            )
        seen[collection] = str(entry)
        sets.extend(loaded)
    return _tell_apart(to_current_symbols(sets, table=table or load_gene_table()))


def to_current_symbols(sets: Sequence[GeneSet], *, table: GeneTable) -> list[GeneSet]:
    """Bring members to current symbols; members that are no known gene move to `unknown`."""
    members = list(dict.fromkeys(gene for entry in sets for gene in entry.genes))
    match: GeneMatch = resolve(members, table=table)
    current = {
        member: symbol if how in _BELIEVED or (how == "case" and _ORF.fullmatch(member)) else ""
        for member, symbol, how in zip(members, match.symbol, match.how, strict=True)
    }
    return [
        replace(
            entry,
            genes=tuple(dict.fromkeys(filter(None, (current[gene] for gene in entry.genes)))),
            unknown=tuple(gene for gene in entry.genes if not current[gene]),
        )
        for entry in sets
    ]


def _tell_apart(sets: list[GeneSet]) -> list[GeneSet]:
    """Add the collection to names that occur in several."""
    times = Counter(entry.name for entry in sets)
    return [
        replace(entry, name=f"{entry.name} ({entry.collection})") if times[entry.name] > 1 else entry
        for entry in sets
    ]
