"""Which column of a supplementary table is which sample: authors name them in their own ways."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from consilience.foundation.errors import DataError, did_you_mean
from consilience.sources.bulk.tables import listed

BRACKET = re.compile(r"[(\[]([^()\[\]]+)[)\]]\s*$")
GSM = re.compile(r"GSM\d+", re.IGNORECASE)
_JOINTS = "_-. :"
Change = Callable[[str], str]


def join_samples(
    names: Sequence[str], *, columns: Mapping[str, Sequence[str]], where: str
) -> tuple[list[int], str]:
    """For each counts column the row of its sample, and the rule by which all of them were found.

    A rule is used only when it finds every column, and each sample at most once; nothing is guessed for a
    part of the columns. Rules in order: as written, without regard to case, as R spells names, without what
    all columns begin or end with, by an accession inside the name; each tried against the title, the
    accession, what stands in brackets at the end of the title, and the descriptions. Last, by the numbers
    of groups that bear other words in the titles (`_by_groups`).
    """
    best, best_found = "", -1
    for how, of_name, of_value in _changes(names):
        for key, values in join_fields(columns):
            rows: dict[str, list[int]] = {}
            for row, value in enumerate(values):
                if value and (changed := of_value(value)):
                    rows.setdefault(changed, []).append(row)
            found = [rows.get(of_name(name), []) for name in names]
            n_found = sum(len(one) == 1 for one in found)
            if n_found == len(names) and len({one[0] for one in found}) == len(names):
                return [one[0] for one in found], f"{key}{how}"
            if n_found > best_found:
                best, best_found = key, n_found
    if grouped := _by_groups(names, columns.get("title", ())):
        return grouped
    values = dict(join_fields(columns)).get(best, ())
    lost = [name for name in names if list(values).count(name) != 1]
    raise DataError(
        f"{len(lost)} of {len(names)} columns of the counts table belong to no sample: {listed(lost)}"
        f" (closest field: {best})",
        where=where,
        value=lost[0] if lost else None,
        allowed="columns named by !Sample_title or !Sample_geo_accession",
        mend=" ".join(
            filter(
                None, (did_you_mean(lost[0], values) if lost else "", "check that both files belong together")
            )
        ),
    )


def join_fields(columns: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Sequence[str]]]:
    """What a counts column can be named after, by field: titles, accessions, descriptions of the samples."""
    titles = columns.get("title", ())
    yield "title", titles
    yield "accession", columns.get("geo_accession", ())
    brackets = (BRACKET.search(title) for title in titles)
    yield "the bracket at the end of the title", [found.group(1) if found else "" for found in brackets]
    for name in columns:
        if re.fullmatch(r"description(\.\d+)?", name):
            yield name, columns[name]


def _changes(names: Sequence[str]) -> Iterator[tuple[str, Change, Change]]:
    """Rules: words for the reader, what is done to a column's name, what to the field it is compared with."""
    yield "", _same, _same
    yield ", without regard to case", _folded, _folded
    yield ", as R spells names", as_r_spells, as_r_spells
    start, end = _shared(names)
    for before, after in ((start, ""), ("", end), (start, end)):
        if before or after:
            ends = [f"beginning {before!r}"] * bool(before) + [f"ending {after!r}"] * bool(after)
            yield f", without the columns' common {' and '.join(ends)}", _cutter(before, after), as_r_spells
    yield ", which stands inside the columns' names", accession_in, accession_in


def _cutter(before: str, after: str) -> Change:
    return lambda name: as_r_spells(name[len(before) : len(name) - len(after)])


def _same(name: str) -> str:
    return name


def _folded(name: str) -> str:
    return name.strip().casefold()


def as_r_spells(name: str) -> str:
    """A name as R's tables have it: X before a digit, dots for blanks and signs; then in lower case."""
    dotted = re.sub(r"[^A-Za-z0-9._]", ".", name.strip())
    return (f"X{dotted}" if re.match(r"\.?\d|_", dotted) else dotted).casefold()


def accession_in(name: str) -> str:
    """The one GSM accession inside a name, "" where there is none or more than one."""
    found = {one.upper() for one in GSM.findall(name)}
    return found.pop() if len(found) == 1 else ""


def _shared(names: Sequence[str]) -> tuple[str, str]:
    """What all names begin and end with, cut back to a joint ("counts_", ".bam"): never a part of a word."""
    if len(names) < 2:
        return "", ""
    start = _common_start(names)
    end = _common_start([name[len(start) :][::-1] for name in names])[::-1]
    return start, end


def _common_start(names: Sequence[str]) -> str:
    """The longest common beginning that ends with a joint: that of the first and last in order, cut back."""
    first, last = min(names), max(names)
    n = next(
        (k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )
    while n and first[n - 1] not in _JOINTS:
        n -= 1
    return first[:n]


def _by_groups(names: Sequence[str], titles: Sequence[str]) -> tuple[list[int], str] | None:
    """Numbered groups that bear other words: normal_tissue_1 … 28 are healthy tissue 1 … 28.

    Only where there are several groups, no two of one size, and for each group of columns one of titles with
    just the same numbers; then which group is which cannot be otherwise. None in all other cases.
    """
    ours, theirs = _numbered(names), _numbered(titles)
    of_numbers = {frozenset(rows): stem for stem, rows in theirs.items()}
    sizes = {len(rows) for rows in ours.values()}
    if not 2 <= len(ours) == len(sizes) or len(of_numbers) != len(theirs):
        return None
    pairs = {stem: of_numbers.get(frozenset(rows), "") for stem, rows in ours.items()}
    if not all(pairs.values()):
        return None
    found = {
        place: theirs[pairs[stem]][number] for stem, rows in ours.items() for number, place in rows.items()
    }
    told = ", ".join(f"{stem!r} being {pairs[stem]!r} ({len(rows)})" for stem, rows in ours.items())
    return [found[place] for place in range(len(names))], f"the number in each group of titles, {told}"


def _numbered(names: Sequence[str]) -> dict[str, dict[int, int]]:
    """Position of each name by its words and last number; {} where any has none or two are equal."""
    groups: dict[str, dict[int, int]] = {}
    for place, name in enumerate(names):
        found = re.fullmatch(r"(.*\D)(\d{1,6})", name.strip())
        if found is None:
            return {}
        rows = groups.setdefault(found.group(1).rstrip(_JOINTS), {})
        if rows.setdefault(int(found.group(2)), place) != place:
            return {}
    return groups
