"""Gene names that a spreadsheet turned into dates (doi:10.1186/s13059-016-1044-7): which genes they were."""

from __future__ import annotations

import re
from datetime import date, timedelta

from consilience.expression.gene_table import GeneTable

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "mrz": 3, "mär": 3, "apr": 4, "may": 5, "mai": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "okt": 10, "nov": 11, "dec": 12, "dez": 12,
}  # fmt: skip
_STEMS = {
    1: ("JAN",), 2: ("FEB",), 3: ("MARCH", "MARC", "MAR"), 4: ("APR",), 5: ("MAY",), 6: ("JUN",), 7: ("JUL",),
    8: ("AUG",), 9: ("SEPT", "SEP"), 10: ("OCT",), 11: ("NOV",), 12: ("DEC",),
}  # fmt: skip
_DAY_MONTH = re.compile(r"(\d{1,2})[-. /]+([A-Za-zä]{3,9})\.?(?:[-. /]+(\d{2}|\d{4}))?")
_MONTH_NUMBER = re.compile(r"([A-Za-zä]{3,9})\.?[-. /]+(\d{1,4})")
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[ T]00:00(?::00(?:\.0+)?)?)?")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{2}|\d{4})")
_FLOAT = re.compile(r"\d+(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)
_SERIAL = re.compile(r"(\d{5})(?:\.0+)?")
_FIRST_SERIAL, _LAST_SERIAL = 36526, 49673  # 2000-01-01 and 2035-12-31 as spreadsheets count days


def looks_mangled(text: str) -> bool:
    """True for a date, or for a clone name that became a number (2310009E13 -> 2.31E+13)."""
    return bool(_FLOAT.fullmatch(text) or month_and_number(text))


def month_and_number(text: str) -> set[tuple[int, int]]:
    """Every (month, gene number) a date can stand for: "2003-03-01" is MARCH1 typed in 2003, or "Mar-03"."""
    if not text or not (text[0].isdigit() or text[-1].isdigit()):
        return set()
    if found := _SERIAL.fullmatch(text):
        serial = int(found[1])
        if not _FIRST_SERIAL <= serial <= _LAST_SERIAL:
            return set()
        return _of_date(date(1899, 12, 30) + timedelta(days=serial))
    if found := _YEAR_FIRST.fullmatch(text):
        return _of_numbers(int(found[1]), int(found[2]), int(found[3]))
    if found := _YEAR_LAST.fullmatch(text):
        year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
        first, second = int(found[1]), int(found[2])
        return _of_numbers(year, first, second) | _of_numbers(year, second, first)
    if (found := _DAY_MONTH.fullmatch(text)) and (month := _month(found[2])):
        return {(month, int(found[1]))}
    if (found := _MONTH_NUMBER.fullmatch(text)) and (month := _month(found[1])):
        return {(month, int(found[2]) % 100)}
    return set()


def _month(word: str) -> int:
    return _MONTHS.get(word[:3].casefold(), 0)


def _of_numbers(year: int, month: int, day: int) -> set[tuple[int, int]]:
    try:
        return _of_date(date(year, month, day))
    except ValueError:
        return set()


def _of_date(day: date) -> set[tuple[int, int]]:
    pairs = {(day.month, day.day)}
    if day.day == 1 and 2001 <= day.year <= 2031:
        pairs.add((day.month, day.year - 2000))
    return pairs


def date_candidates(text: str, *, table: GeneTable) -> tuple[int, ...]:
    """Rows of all genes whose current or previous symbol becomes this date in a sheet; else synonyms."""
    names = [f"{stem}{number}" for month, number in month_and_number(text) for stem in _STEMS[month]]
    rows = {row for name in names for row in table.rows_of_previous.get(name, ())}
    rows |= {table.row_of[name] for name in names if name in table.row_of}
    if not rows:
        rows = {row for name in names for row in table.rows_of_synonym.get(name, ())}
    return tuple(sorted(rows))
