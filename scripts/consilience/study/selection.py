"""Which samples of a source belong to a cohort: the sheet's column `select`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consilience.foundation.errors import DataError, Problem, did_you_mean


def parse_selection(text: str) -> dict[str, tuple[str, ...]]:
    """Column -> wanted levels, from "column=level|level; column=level"."""
    wanted: dict[str, tuple[str, ...]] = {}
    for part in filter(None, (one.strip() for one in text.split(";"))):
        column, _, levels = part.partition("=")
        wanted[column.strip()] = tuple(level.strip() for level in levels.split("|"))
    return wanted


def selection_problems(text: str) -> list[str]:
    """What is wrong with the text of a selection."""
    problems = []
    parts = [one.strip() for one in text.split(";")] if text else []
    for part in parts:
        column, equals, levels = part.partition("=")
        if not (column.strip() and equals and all(level.strip() for level in levels.split("|"))):
            problems.append(f"{part!r} is not a column, '=' and its levels")
    columns = [part.partition("=")[0].strip() for part in parts]
    twice = {column for column in columns if columns.count(column) > 1}
    return problems + [f"column {column!r} is named twice" for column in sorted(twice)]


def selected_rows(text: str, columns: Mapping[str, Sequence[str]], *, where: str) -> list[int]:
    """Rows that have a wanted level in every column of the selection, in their order (all without one).

    A column that does not exist and a level that no row has are refused: both are misspelt.
    """
    n_rows = len(next(iter(columns.values()), ()))
    rows, problems = list(range(n_rows)), []
    for column, levels in parse_selection(text).items():
        if column not in columns:
            known = ", ".join(columns)
            problems.append(Problem("no such phenotype column to select by", where, column, known,
                                    did_you_mean(column, columns)))  # fmt: skip
            continue
        present = set(columns[column])
        for level in levels:
            if level not in present:
                allowed = ", ".join(sorted(present)[:20])
                problems.append(Problem(f"no sample has this level of {column!r}", where, level, allowed,
                                        did_you_mean(level, present)))  # fmt: skip
        rows = [row for row in rows if columns[column][row] in levels]
    if not problems and not rows:
        problems = [Problem("no sample is left by 'select'", where, text)]
    if problems:
        raise DataError.from_problems(problems)
    return rows
