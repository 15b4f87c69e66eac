"""Gene identity: whatever a file calls its genes, the current symbol, or a reason why there is none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from consilience.expression.gene_dates import date_candidates, looks_mangled
from consilience.expression.gene_table import SEX_GENES, GeneTable, load_gene_table

__all__ = ["HOWS", "SEX_GENES", "GeneMatch", "GeneTable", "How", "load_gene_table", "resolve"]

How = Literal[
    "exact", "ensembl", "entrez", "previous", "synonym", "case", "punctuation", "date",
    "ambiguous", "unmatched", "blank",
]  # fmt: skip
HOWS: tuple[str, ...] = get_args(How)
_ENSEMBL = re.compile(r"ENSG(R?)(\d{10,11})(?:\.\d+)?(?:_PAR_Y)?", re.IGNORECASE)
_ENTREZ = re.compile(r"(\d{1,9})(?:\.0)?")
_MANY = re.compile(r"\s*(?:///?|;|,|\|\|)\s*")
_BLANK = {"", "-", "--", "---", "?", ".", "na", "n/a", "nan", "none", "null", "<na>"}
_SHOWN_CANDIDATES = 4
_STRONG = {"exact", "ensembl", "entrez", "previous"}
_REFUSED = {"ambiguous", "unmatched", "blank"}


@dataclass(frozen=True, slots=True)
class GeneMatch:
    """What became of each id.

    `symbol`, `how`: one entry per input, in order; symbol is "" where it was refused or not found.
    The lists name each id once, in order of first appearance: `renamed` (id, current symbol) for previous
    symbols and synonyms; `ambiguous` (id, why) for ids that name several genes; `unmatched` ids; `dates`
    (id, gene it was resolved to, or the candidates when it was refused).
    """

    symbol: tuple[str, ...]
    how: tuple[How, ...]
    renamed: tuple[tuple[str, str], ...]
    ambiguous: tuple[tuple[str, str], ...]
    unmatched: tuple[str, ...]
    dates: tuple[tuple[str, str], ...]

    @property
    def n_matched(self) -> int:
        """How many inputs have a symbol."""
        return sum(map(bool, self.symbol))

    @property
    def unique(self) -> tuple[str, ...]:
        """Symbols found, each once, in order of first appearance: the rows after merging duplicates."""
        return tuple(dict.fromkeys(filter(None, self.symbol)))

    @property
    def n_duplicates(self) -> int:
        """Inputs beyond the first that have the same symbol as another input."""
        return self.n_matched - len(self.unique)

    @property
    def row_of_input(self) -> list[int]:
        """For each input the index of its gene in `unique`, -1 where it has none (see `duplicates`)."""
        rows = {symbol: row for row, symbol in enumerate(self.unique)}
        return [rows.get(symbol, -1) for symbol in self.symbol]

    def counts(self) -> dict[str, int]:
        """How many inputs were resolved in each way; ways that did not occur are left out."""
        found = Counter(self.how)
        return {way: found[way] for way in get_args(How) if found[way]}

    def to_report(self, *, limit: int = 50) -> dict[str, Any]:
        """The "genes" part of qc.json; lists cut to `limit`, numbers not."""
        return {
            "matched": self.n_matched,
            "total": len(self.symbol),
            "how": self.counts(),
            "renamed": [list(pair) for pair in self.renamed[:limit]],
            "n_renamed": len(self.renamed),
            "ambiguous": [f"{given}: {why}" for given, why in self.ambiguous[:limit]],
            "n_ambiguous": len(self.ambiguous),
            "unmatched": list(self.unmatched[:limit]),
            "n_unmatched": len(self.unmatched),
            "dates": [list(pair) for pair in self.dates[:limit]],
            "duplicates": self.n_duplicates,
        }


@dataclass(frozen=True, slots=True)
class _Answer:
    """One id: rows of its candidate genes (one when resolved), how, and why it was refused."""

    how: How
    rows: tuple[int, ...] = ()
    why: str = ""
    is_date: bool = False


def resolve(ids: Sequence[Any], *, table: GeneTable) -> GeneMatch:
    """Find the current symbol of each id.

    Order of belief: current symbol, Ensembl id (any version, _PAR_Y, retired ids), Entrez id, previous
    symbol, synonym of exactly one gene, other case, "." for "-". In a mixed id (symbol:ENSG…, symbol|Entrez)
    the number is believed before the symbol. Refused and listed: names of several genes, `A /// B`, and
    spreadsheet dates that more than one gene can have become. A synonym is also refused when its gene is in
    the same list under a stronger name: then it was another gene for the authors of the file. Apart from
    that the answer for one id depends on no other id and never on order. Several ids may find one symbol:
    `duplicates.merge_duplicates` says what happens to their values.
    """
    given = [_clean(entry) for entry in ids]
    answers = {name: _answer(name, table) for name in dict.fromkeys(given)}
    strong = {answer.rows[0] for answer in answers.values() if answer.how in _STRONG}
    for name, answer in answers.items():
        if answer.how == "synonym" and answer.rows[0] in strong:
            symbol = table.symbols[answer.rows[0]]
            why = f"a synonym of {symbol}, which is listed as well"
            answers[name] = _Answer("ambiguous", answer.rows, why)
    return _summary(given, answers, table)


def _summary(given: list[str], answers: dict[str, _Answer], table: GeneTable) -> GeneMatch:
    """Put the answers in the order of the input, and each kind of trouble in its list."""
    symbol_of = {
        name: table.symbols[answer.rows[0]] if answer.how not in _REFUSED else ""
        for name, answer in answers.items()
    }
    return GeneMatch(
        symbol=tuple(symbol_of[name] for name in given),
        how=tuple(answers[name].how for name in given),
        renamed=tuple(
            (name, symbol_of[name])
            for name, answer in answers.items()
            if answer.how in {"previous", "synonym"}
        ),
        ambiguous=tuple(
            (name, answer.why or _names(answer.rows, table))
            for name, answer in answers.items()
            if answer.how == "ambiguous"
        ),
        unmatched=tuple(name for name, answer in answers.items() if answer.how == "unmatched"),
        dates=tuple(
            (name, symbol_of[name] or _names(answer.rows, table) or "no known gene")
            for name, answer in answers.items()
            if answer.is_date
        ),
    )


def _names(rows: Iterable[int], table: GeneTable) -> str:
    """Candidates in words, cut when there are many."""
    names = sorted(table.symbols[row] for row in rows)
    more = f" and {len(names) - _SHOWN_CANDIDATES} more" if len(names) > _SHOWN_CANDIDATES else ""
    return " or ".join(names[:_SHOWN_CANDIDATES]) + more


def _clean(entry: Any) -> str:
    """Text without blanks, quotes and the no-break spaces that tables carry along."""
    return str(entry).strip().strip("\"'").strip("\ufeff\u200b \t")


def _answer(name: str, table: GeneTable) -> _Answer:
    """Resolve one cleaned id on its own."""
    row = table.row_of.get(name)
    if row is not None:
        return _Answer("ensembl" if table.ensembl_ids[row] == name else "exact", (row,))
    if found := _ENSEMBL.fullmatch(name):
        return _ensembl(found, table)
    if name.casefold() in _BLANK:
        return _Answer("blank")
    if found := _ENTREZ.fullmatch(name):
        row = table.row_of_entrez.get(found[1].lstrip("0"))
        if row is not None:
            return _Answer("entrez", (row,))
    for look in (_by_other_symbol, _mangled, _compound):
        if answer := look(name, table):
            return answer
    return _Answer("unmatched")


def _ensembl(found: re.Match[str], table: GeneTable) -> _Answer:
    """An Ensembl id with or without version; ENSGR… is how old releases wrote the Y copy."""
    row = table.row_of_ensembl.get(f"ENSG{found[2].zfill(11)}")
    return _Answer("unmatched") if row is None else _Answer("ensembl", (row,))


def _by_other_symbol(name: str, table: GeneTable) -> _Answer | None:
    """Previous symbols, synonyms, other case, R's dots; names of several genes are refused."""
    ways: tuple[tuple[How, tuple[int, ...]], ...] = (
        ("previous", table.rows_of_previous.get(name, ())),
        ("synonym", table.rows_of_synonym.get(name, ())),
        ("case", table.rows_of_folded.get(name.casefold(), ())),
        ("punctuation", _by_dashes(name, table)),
    )
    for how, rows in ways:
        if len(rows) == 1:
            return _Answer(how, rows)
        if rows:
            return _Answer("ambiguous", rows)
    return None


def _by_dashes(name: str, table: GeneTable) -> tuple[int, ...]:
    row = table.row_of.get(name.replace(".", "-"))
    return () if row is None else (row,)


def _mangled(name: str, table: GeneTable) -> _Answer | None:
    """Dates and numbers that a spreadsheet made of gene names; resolved only when one gene can be meant."""
    if not looks_mangled(name):
        return None
    rows = date_candidates(name, table=table)
    how: How = "date" if len(rows) == 1 else "ambiguous" if rows else "unmatched"
    return _Answer(how, rows, is_date=True)


def _compound(name: str, table: GeneTable) -> _Answer | None:
    """`symbol:ENSG…`, `symbol|Entrez`, and lists of genes."""
    if len(parts := [part for part in _MANY.split(name) if part]) > 1:
        return _one_to_many([_answer(part, table) for part in parts], table)
    numbers = list(_ENSEMBL.finditer(name))
    if len(numbers) > 1:
        return _one_to_many([_ensembl(number, table) for number in numbers], table)
    if numbers:
        rest = (name[: numbers[0].start()] + name[numbers[0].end() :]).strip(":|_ \t,()[]")
        return _believe_first(_ensembl(numbers[0], table), _answer(rest, table) if rest else None)
    if name.count("|") == 1:
        parts = [part.strip() for part in name.split("|")]
        answers = sorted((_answer(part, table) for part in parts), key=lambda answer: answer.how != "entrez")
        return _believe_first(*answers)
    return None


def _believe_first(first: _Answer, second: _Answer | None) -> _Answer | None:
    """The number when it is known; else the symbol, but no synonym: the number means one special gene."""
    if first.how in {"ensembl", "entrez"}:
        return first
    return second if second and second.how in {"exact", "previous"} else None


def _one_to_many(answers: list[_Answer], table: GeneTable) -> _Answer:
    """Several ids in one row: one gene only when all of them are names of that gene."""
    rows = tuple(sorted({row for answer in answers for row in answer.rows}))
    known = all(answer.how not in _REFUSED for answer in answers)
    if len(rows) == 1 and known:
        return answers[0]
    if not rows:
        return _Answer("unmatched")
    return _Answer("ambiguous", rows, f"one row for several genes ({_names(rows, table)})")
