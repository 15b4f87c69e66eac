"""Phenotype columns in short, and which of them could be the condition, the donor or the batch.

Names and words of levels are hints, not facts: what is proposed from them comes with the reason, and with
what else it could have been.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Shape = Literal["levels", "constant", "distinct", "numbers", "many", "empty"]
MANY_LEVELS = 60
MAX_ARMS = 12
LEAST_FILLED = 0.5
_CONTROL = re.compile(
    r"\b(control|controls|healthy|normal|normals|ctrl|ctl|non[- ]?disease[d]?|unaffected|baseline|vehicle|"
    r"untreated|mock|wild[- ]?type|placebo|none|dmso|unstimulated|resting|neg)\b|^(hc|nc|wt|no|0|-)$",
    re.IGNORECASE,
)
_UNPERTURBED = re.compile(
    r"^(non[-_ ]?targeting|control|ctrl|nt|neg[-_ ]?ctrl|negative[-_ ]control|unperturbed|scrambled?|"
    r"safe[-_ ]targeting|aavs1)$",
    re.IGNORECASE,
)
_CONDITION_NAMES = (
    (r"^(disease|condition|diagnosis)$", 4),
    (r"disease[ _]?(state|status)|clinical[ _]?status|case[ _]?control|^sample[_ ]type$", 4),
    (r"disease|condition|diagnos|phenotype|status|^arm$|^group$|^state$", 3),
    (r"treatment|stimul|group|time[ _]?point|timepoint|\bdrug\b", 2),
)
_NO_CONDITION = re.compile(
    r"sex|gender|\bage\b|race|ethnic|organism|taxid|platform|molecule|title|accession|description|tissue|"
    r"source_name|batch|plate|lane|centre|center|cell[ _]?type|donor|patient|subject|library|instrument|"
    r"ontology|barcode|^type$|smok|vital|_id$|^id$|stage|state_code|acl|access|workflow|^data_",
    re.IGNORECASE,
)
_DONOR = (
    r"^(donor|patient|subject|individual|participant|case)([ _.]?(id|number|no|name|identifier|code))?$",
    r"(donor|patient|subject|individual|participant|person)",
)
_CELL_TYPE = (r"^cell[ _.]?type$", r"cell[ _.]?type|celltype", r"^(cell_annotation|annotation|cluster)s?$")
_CELL_LINE = (r"^cell[ _.]?line$", r"cell[ _.]?line")
_BATCH = (r"^batch$", r"^(gem[ _]?group|gemgroup|plate)$", r"batch")
_PERTURBATION = (
    r"^perturbation$", r"^(target_gene|gene_target|perturbed_gene|target)$", r"^gene$",
    r"^(guide_identity|guide|grna|sgrna|condition)$",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnSeen:
    """One phenotype column: `levels` with how often each occurs, most frequent first (all of them).

    `n` is the number of samples or cells, `n_empty` of those without a value; `shape` says what kind of
    column it is: few levels, one, all different, numbers, or many.
    """

    name: str
    n: int
    n_empty: int
    shape: Shape
    levels: tuple[tuple[str, int], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The levels alone."""
        return tuple(level for level, _ in self.levels)


@dataclass(frozen=True, slots=True)
class Choice:
    """A column chosen for a purpose, why, and the others that would also do; `name` is "" for none."""

    name: str
    why: str = ""
    others: tuple[str, ...] = ()


def see_column(name: str, counted: Mapping[str, int], *, n: int, numeric: bool = False) -> ColumnSeen:
    """Describe a column from how often each of its values occurs ("" and NA count as empty)."""
    empty = sum(often for level, often in counted.items() if level.strip().casefold() in {"", "na", "nan"})
    known = [(level, often) for level, often in counted.items() if level.strip().casefold() not in
             {"", "na", "nan"}]  # fmt: skip
    levels = tuple(sorted(known, key=lambda pair: (-pair[1], pair[0])))
    shape: Shape = "levels"
    if not levels:
        shape = "empty"
    elif len(levels) == 1:
        shape = "constant"
    elif (numeric or all(_is_number(level) for level, _ in levels)) and len(levels) > 8:
        shape = "numbers"
    elif len(levels) == n - empty:
        shape = "distinct"
    elif len(levels) > MANY_LEVELS:
        shape = "many"
    return ColumnSeen(name, n, empty, shape, levels)


def see_columns(columns: Mapping[str, Sequence[str]]) -> list[ColumnSeen]:
    """Describe the columns of a table of samples."""
    return [see_column(name, Counter(values), n=len(values)) for name, values in columns.items()]


def choose_condition(columns: Sequence[ColumnSeen]) -> Choice:
    """The column that separates cases from controls: by its name, and by a level that sounds like control."""
    scores = [(_condition_score(column), column) for column in columns]
    scored = sorted((pair for pair in scores if pair[0] >= 3), key=lambda pair: -pair[0])
    if not scored:
        return Choice("")
    best = scored[0][1]
    controls = control_levels(best)
    why = f"its name and {len(best.levels)} levels" + (
        f", of which {controls[0]!a} sounds like a control" if controls else ""
    )
    return Choice(best.name, why, tuple(column.name for _, column in scored[1:4]))


def _condition_score(column: ColumnSeen) -> int:
    few = 2 <= len(column.levels) <= MAX_ARMS and column.shape == "levels"
    other = _NO_CONDITION.search(column.name) and not re.fullmatch("sample[ _]type", column.name, re.I)
    if not few or other or column.n_empty > LEAST_FILLED * column.n:
        return 0
    name = next((s for p, s in _CONDITION_NAMES if re.search(p, column.name, re.IGNORECASE)), 0)
    controls = control_levels(column)
    return name + (3 if controls and len(controls) < len(column.levels) else 0)


def control_levels(column: ColumnSeen) -> list[str]:
    """Levels that sound like controls."""
    return [level for level in column.names if _CONTROL.search(level.replace("_", " "))]


def choose_perturbation(columns: Sequence[ColumnSeen]) -> Choice:
    """The column of perturbed genes: by its name, with five levels or more of which one is unperturbed."""
    for pattern in _PERTURBATION:
        for column in columns:
            named = re.search(pattern, column.name, re.IGNORECASE) and len(column.levels) >= 5
            if named and (controls := unperturbed_levels(column)):
                why = f"its name and {len(column.levels)} levels, of which {controls[0]!a} is unperturbed"
                return Choice(column.name, why)
    return Choice("")


def unperturbed_levels(column: ColumnSeen) -> list[str]:
    """Levels that name unperturbed cells."""
    return [level for level in column.names if _UNPERTURBED.fullmatch(level.strip())]


def choose_donor(columns: Sequence[ColumnSeen]) -> Choice:
    """The column that names patients."""
    return _by_name(columns, _DONOR, least=2)


def choose_cell_type(columns: Sequence[ColumnSeen]) -> Choice:
    """The column that names cell types."""
    return _by_name(columns, _CELL_TYPE, least=2, most=300)


def choose_cell_line(columns: Sequence[ColumnSeen]) -> Choice:
    """The column that names cell lines."""
    return _by_name(columns, _CELL_LINE, least=1, most=300)


def choose_batch(columns: Sequence[ColumnSeen]) -> Choice:
    """The column that names batches."""
    return _by_name(columns, _BATCH, least=2)


def _by_name(
    columns: Sequence[ColumnSeen], patterns: Iterable[str], *, least: int, most: int = 10**9
) -> Choice:
    found = []
    for pattern in patterns:
        for column in columns:
            fits = least <= len(column.levels) <= most and column.n_empty <= LEAST_FILLED * column.n
            if fits and column.name not in found and re.search(pattern, column.name, re.IGNORECASE):
                found.append(column.name)
    return Choice(found[0], "its name", tuple(found[1:4])) if found else Choice("")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
