"""Which supplementary files of a series are wanted: by the sheet's patterns, else by what names say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape

from consilience.foundation.errors import DownloadError, Problem, did_you_mean
from consilience.sources.geo.listings import Supplement

MAX_LISTED = 20
_TABLE = re.compile(r".*\.(txt|tsv|csv|tab|results|sf|counts?|htseq|parquet)(\.b?gz)?", re.IGNORECASE)
_CELLS = re.compile(
    r".*(\.(mtx|h5|h5ad|loom)|(barcodes|features|genes)\.tsv)(\.gz)?", re.IGNORECASE | re.DOTALL
)
_WHOLE = re.compile(r".*\.(h5ad|loom)(\.gz)?", re.IGNORECASE)
_ABOUT_CELLS = re.compile(r"meta|annot|cell.?type|cluster|ident|barcode|cells", re.IGNORECASE)
_NOT_VALUES = re.compile(
    r"meta.?data|annot|pheno|clinic|sample.?(info|sheet|table)|diff|deg[s_.]|results\.(txt|csv)|readme|isoform"
    r"|transcript|peak|fragments|filelist|_de_|cuffdiff",
    re.IGNORECASE,
)
_COUNTS = re.compile(r"count|htseq|readspergene|expected", re.IGNORECASE)
_RAW = re.compile(r"raw", re.IGNORECASE)
_NORMALISED = re.compile(
    r"fpkm|rpkm|tpm|cpm|norm|rlog|vst|log2|(^|[^a-z])log([^a-z]|$)|tmm|scaled|z.?score", re.IGNORECASE
)
_CLAIMED = {"tpm": "tpm", "fpkm": "fpkm|rpkm", "cpm": "cpm", "log2": "log|vst"}
RAW_COUNTS, COUNTS, UNNAMED, NORMALISED, NO_VALUES = range(5)


@dataclass(frozen=True, slots=True)
class Choice:
    """Names of the `files` wanted from suppl/, patterns of the `members` wanted from its archive, `notes`.

    `rank` says how good the choice is: RAW_COUNTS … NO_VALUES.
    """

    files: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rank: int = NO_VALUES


def rank_of(name: str, *, units: str = "") -> int:
    """What a table's name promises: raw counts before counts, before what says nothing, before normalised.

    A name that says the `units` that the cohort sheet claims (tpm, fpkm, cpm, log2) goes before counts.
    """
    if not _TABLE.fullmatch(name) or _NOT_VALUES.search(name):
        return NO_VALUES
    if units in _CLAIMED:
        return RAW_COUNTS if re.search(_CLAIMED[units], name, re.IGNORECASE) else max(COUNTS, rank_of(name))
    if _NORMALISED.search(name):
        return NORMALISED
    if _COUNTS.search(name):
        return RAW_COUNTS if _RAW.search(name) else COUNTS
    return UNNAMED


def choose_by_patterns(
    patterns: Sequence[str], *, known: Sequence[str], supplement: Supplement, where: str
) -> tuple[set[str], Choice]:
    """Names that fit the sheet's `files`: among `known` ones (outside suppl/), and of suppl/ as a choice.

    Members of the archive that fit bring the archive along. A pattern that fits nothing is an error that
    lists what there is.
    """
    names = [*known, *supplement.files, *supplement.members]
    problems, wanted = [], set()
    for pattern in patterns:
        fitting = {name for name in names if fnmatchcase(name, pattern)}
        wanted |= fitting
        if not fitting:
            shown = ", ".join(names[:MAX_LISTED])
            more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
            what = "no file of the series fits this pattern of 'files'"
            problems.append(Problem(what, where, pattern, shown + more, did_you_mean(pattern, names)))
    if problems:
        raise DownloadError.from_problems(problems)
    members = tuple(escape(name) for name in supplement.members if name in wanted)
    files = [name for name in supplement.files if name in wanted]
    if members and supplement.archive and supplement.archive not in files:
        files.append(supplement.archive)
    return wanted, Choice(tuple(files), members)


def choose_counts(supplement: Supplement, *, units: str) -> Choice:
    """The best tables of a bulk series, from suppl/ or (one for each sample) from its archive.

    When several of suppl/ are equally good all are returned: see `refuse_several`.
    """
    ranked = [(rank_of(name, units=units), name) for name in supplement.files]
    rank = min((rank for rank, _ in ranked), default=NO_VALUES)
    best = [name for one, name in ranked if one == rank] if rank < NO_VALUES else []
    inside = _members_of_best(supplement, units=units)
    return inside if inside.rank < rank else Choice(tuple(best), rank=rank)


def refuse_several(choice: Choice, *, where: str) -> Choice:
    """The choice, if it is one: of several tables that are equally good none is taken by chance."""
    if len(choice.files) > 1:
        raise DownloadError(
            f"several tables of the series are equally likely to hold the values: {', '.join(choice.files)}",
            where=where,
            mend="name the one you want in 'files' of the cohort sheet",
        )
    return choice


def _members_of_best(supplement: Supplement, *, units: str) -> Choice:
    """Tables in the archive, one for each sample, of the best kind that there is."""
    ranked = [(rank_of(name, units=units), name) for name in supplement.members if name.startswith("GSM")]
    rank = min((rank for rank, _ in ranked), default=NO_VALUES)
    if rank == NO_VALUES or not supplement.archive:
        return Choice()
    members = tuple(escape(name) for one, name in ranked if one == rank)
    note = f"{len(members)} tables of {supplement.archive}, one for each sample, are taken"
    return Choice((supplement.archive,), members, (note,), rank)


def choose_cells(supplement: Supplement, *, where: str) -> Choice:
    """Matrices of cells: those in the archive of the samples, else those of the whole series, else tables.

    Tables that tell of the cells (their types) come along.
    """
    about = tuple(name for name in supplement.files if _TABLE.fullmatch(name) and _ABOUT_CELLS.search(name))
    members = [name for name in supplement.members if _CELLS.fullmatch(name)]
    whole = tuple(name for name in supplement.files if _CELLS.fullmatch(name))
    if members and supplement.archive:
        kept, notes = _without_empty_droplets(members)
        if whole:
            others = ", ".join(whole)
            notes.append(f"{supplement.archive} is taken; left, to be named in 'files' if wanted: {others}")
        files = (supplement.archive, *(name for name in about if name not in whole))
        return Choice(files, tuple(map(escape, kept)), tuple(notes), RAW_COUNTS)
    objects = [name for name in whole if _WHOLE.fullmatch(name)]
    if len(objects) > 1:
        raise DownloadError(
            f"several files hold whole data sets: {', '.join(objects)}", where=where,
            mend="name the one you want in 'files' of the cohort sheet",
        )  # fmt: skip
    if whole:
        kept, notes = _without_empty_droplets(whole)
        return Choice((*kept, *(name for name in about if name not in kept)), (), tuple(notes), RAW_COUNTS)
    tables = refuse_several(choose_counts(supplement, units=""), where=where)
    extra = tuple(name for name in about if name not in tables.files) if tables.files else ()
    return Choice((*tables.files, *extra), tables.members, tables.notes, tables.rank)


def _without_empty_droplets(names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Without Cell Ranger's raw matrices (all droplets) where the filtered ones (cells) are there too."""
    raw = [name for name in names if "raw_" in name.casefold()]
    filtered = [name for name in names if "filtered_" in name.casefold()]
    if not raw or len(filtered) < len(raw):
        return tuple(names), []
    note = f"{len(raw)} files of all droplets are left, because the filtered ones are there"
    return tuple(name for name in names if name not in raw), [note]
