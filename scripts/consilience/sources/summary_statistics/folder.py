"""What each file of a cohort's raw folder is, told from its header; nothing is read whole here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from consilience.foundation.errors import DataError
from consilience.sources.formats import first_bytes
from consilience.sources.raw_folder import RawFolder
from consilience.sources.summary_statistics.layout import Layout
from consilience.sources.summary_statistics.layouts import layout_from_config, layout_of
from consilience.sources.summary_statistics.ld import LONG_COLUMNS
from consilience.sources.summary_statistics.tables import Header, read_header
from consilience.sources.text import shown
from consilience.study.sections import AssociationColumn

SQLITE_MAGIC = b"SQLite format 3\0"
BED_MAGIC = b"\x6c\x1b"
UNREAD = {"archive", "h5ad", "hdf5", "tenx_h5", "loom", "spreadsheet", "r_object"}
Table = tuple[Header, Layout]


@dataclass
class Contents:
    """The files of a folder by what they are; `others` are (name, what is known of it)."""

    gwas: list[Table] = field(default_factory=list)
    eqtl: list[Table] = field(default_factory=list)
    people: list[Header] = field(default_factory=list)
    twmr: list[Path] = field(default_factory=list)
    listed_ld: list[tuple[Path, Path]] = field(default_factory=list)
    named_ld: list[Path] = field(default_factory=list)
    long_ld: list[Path] = field(default_factory=list)
    panels: list[Path] = field(default_factory=list)
    metadata: list[Path] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)

    @property
    def has_ld(self) -> bool:
        """True when there is LD of any form."""
        return bool(self.listed_ld or self.named_ld or self.long_ld or self.panels)


def contents_of(folder: RawFolder, *, columns: Mapping[str, Mapping[AssociationColumn, str]]) -> Contents:
    """Sort the files of a folder by what they hold; `columns` is the configuration's map for single files."""
    contents, paths = Contents(), dict(folder.files)
    for (name, path), kind in zip(folder.files, folder.kinds, strict=True):
        start = first_bytes(path)
        if kind == "metadata":
            contents.metadata.append(path)
        elif name.endswith((".bim", ".fam", ".snps.tsv")):
            continue
        elif start.startswith(BED_MAGIC):
            contents.panels.append(path)
        elif start.startswith(SQLITE_MAGIC):
            contents.others.append(
                (name, "a SQLite database, such as PredictDB's expression weights: not associations")
            )
        elif kind in UNREAD:
            contents.others.append((name, kind))
        elif kind == "twmr_matrix":
            contents.twmr.append(path)
        elif kind == "ld_matrix":
            _place_ld(contents, name, path, paths)
        else:
            _place_table(contents, name, path, columns)
    return contents


def locus_of(path: Path) -> str:
    """The locus that an LD file is named after."""
    name = path.name
    for ending in (".gz", ".bgz", ".tsv", ".txt", ".ld"):
        name = name.removesuffix(ending)
    return name


def _place_ld(contents: Contents, name: str, path: Path, paths: Mapping[str, Path]) -> None:
    """A file named as LD: pairs, a named square, or a bare square that needs a list of its variants."""
    folder = PurePosixPath(name).parent
    if str(folder / PurePosixPath(name).with_suffix(".matrix").name) in paths:
        return  # read with its TWMR table
    header = read_header(path)
    locus = locus_of(path)
    if header is not None and set(LONG_COLUMNS) <= set(header.names):
        contents.long_ld.append(path)
    elif (listed := paths.get(str(folder / f"{locus}.snps.tsv"))) is not None:
        contents.listed_ld.append((path, listed))
    elif header is not None and not _is_number(header.names[-1]):
        contents.named_ld.append(path)
    else:
        raise DataError(
            f"no {locus}.snps.tsv beside this matrix",
            where=shown(path),
            mend="add the list of its variants (rsid, chromosome, position, effect_allele, other_allele)",
        )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _place_table(
    contents: Contents, name: str, path: Path, columns: Mapping[str, Mapping[AssociationColumn, str]]
) -> None:
    header = read_header(path)
    if header is None:
        contents.others.append((name, "neither a table of text nor parquet"))
        return
    pattern = next((one for one in columns if PurePosixPath(name).match(one)), None)
    layout = layout_from_config(columns[pattern], pattern=pattern) if pattern else layout_of(header.names)
    if layout is not None:
        (contents.gwas if layout.what == "gwas" else contents.eqtl).append((header, layout))
    elif {name.casefold() for name in header.names} == {"gene", "n"}:
        contents.people.append(header)
    elif set(LONG_COLUMNS) <= set(header.names):
        contents.long_ld.append(path)
    else:
        shown_names = " ".join(header.names)
        contents.others.append((name, f"columns {shown_names[:120]}{'…' if len(shown_names) > 120 else ''}"))


def the_one(tables: list[Table], what: Literal["GWAS", "eQTL"], *, where: str) -> Table | None:
    """The one table of its sort, None where there is none; harmonised GWAS (.h.tsv) go before others."""
    harmonised = [one for one in tables if one[0].path.name.endswith((".h.tsv", ".h.tsv.gz"))]
    tables = harmonised if len(harmonised) == 1 else tables
    if len(tables) > 1:
        listed = ", ".join(f"{header.path.name} ({layout.title})" for header, layout in tables)
        article = "a" if what == "GWAS" else "an"
        raise DataError(
            f"{len(tables)} files could be the {what}, one is needed",
            where=where,
            value=listed,
            mend="name the one that is meant in column 'files' of the cohort sheet, with all other files of "
            f"the cohort; {article} {what} in several files (by chromosome) must be joined into one",
        )
    return tables[0] if tables else None
