"""Can a cohort answer the question asked of it? Checked on phenotypes alone, before any number is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from consilience.foundation.errors import Problem, did_you_mean
from consilience.study.cohorts import Cohort

STRONG_ASSOCIATION = 0.9
MAX_LISTED = 12
_ROLES_OF = {
    "bulk": ("condition", "donor", "batch", "cell_type"),
    "single_cell": ("condition", "donor", "batch", "cell_type"),
    "perturbation": ("perturbation", "donor", "batch", "cell_type"),
}
_PER_CELL = ("cell_type", "perturbation")


def design_problems(
    *, cohort: Cohort, columns: Mapping[str, Sequence[str]], min_samples_per_arm: int
) -> list[Problem]:
    """Why this cohort cannot be used as the sheet says; empty when it can.

    Parameters
    ----------
    cohort
        Its row of the sheet, which names columns and levels.
    columns
        Phenotype columns by name, one text value for each sample (or cell; or distinct kind of cell).
    min_samples_per_arm
        Least number of donors (samples where the cohort names no donor column) in each arm.

    Notes
    -----
    A batch that holds samples of one arm only tells nothing about the condition. When every batch is such,
    condition and batch are aliased and no method can tell them apart: an error. A strong association that
    still leaves a batch with both arms is a note (`design_notes`).
    """
    if cohort.kind not in _ROLES_OF:
        return []
    problems = _missing_columns(cohort, columns)
    level_column = cohort.perturbation if cohort.kind == "perturbation" else cohort.condition
    if problems or not level_column or level_column not in columns:
        return problems
    problems = _missing_levels(cohort, level_column, columns[level_column])
    if problems or cohort.kind == "perturbation":
        return problems
    arms = [cohort.arm(level) for level in columns[cohort.condition]]
    return _small_arms(cohort, columns, arms, min_samples_per_arm) + _aliased_batch(cohort, columns, arms)


def design_notes(*, cohort: Cohort, columns: Mapping[str, Sequence[str]]) -> list[str]:
    """What a reader should know of a design that passed `design_problems`."""
    if cohort.kind == "perturbation" or not cohort.condition or cohort.condition not in columns:
        return []
    levels = columns[cohort.condition]
    arms = [cohort.arm(level) for level in levels]
    notes = []
    neither = Counter(level for level, arm in zip(levels, arms, strict=True) if not arm)
    if neither:
        counted = ", ".join(
            f"{level or '(empty)'} ({n})" for level, n in sorted(neither.items())[:MAX_LISTED]
        )
        notes.append(
            f"{neither.total()} samples are neither case nor control and belong to no arm: {counted}"
        )
    if cohort.donor:
        donors = columns[cohort.donor]
        both = _members(donors, arms, "case") & _members(donors, arms, "control")
        if both:
            notes.append(f"{len(both)} donors are in both arms (paired design); arms are counted in donors")
        if empty := sum(not donor for donor in donors):
            notes.append(f"{empty} samples name no donor; each counts as a donor of its own")
    if cohort.batch:
        association = cramers_v(*_armed(columns[cohort.batch], arms))
        if association > STRONG_ASSOCIATION:
            notes.append(
                f"batch ({cohort.batch}) and condition ({cohort.condition}) go together almost fully "
                f"(Cramér's V {association:.2f}): a difference between the arms may be one between batches"
            )
    return notes


def donors_of_arms(*, cohort: Cohort, columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Donors (samples where the cohort names no donor column) of cases and of controls."""
    if cohort.condition not in columns:
        return {}
    arms = [cohort.arm(level) for level in columns[cohort.condition]]
    donors = columns.get(cohort.donor) or [""] * len(arms)
    return {arm: len(_members(donors, arms, arm)) for arm in ("case", "control")}


def cramers_v(first: Sequence[str], second: Sequence[str]) -> float:
    """Cramér's V of two nominal columns: 0 independent, 1 one determines the other (0 for a constant column).

    References
    ----------
    Cramér H. Mathematical Methods of Statistics. Princeton, 1946, section 21.9.
    """
    n, rows, cols = len(first), Counter(first), Counter(second)
    smaller = min(len(rows), len(cols)) - 1
    if smaller < 1:
        return 0.0
    observed = Counter(zip(first, second, strict=True))
    chi2 = sum(
        (observed[row, col] - rows[row] * cols[col] / n) ** 2 / (rows[row] * cols[col] / n)
        for row in rows
        for col in cols
    )
    return float((chi2 / (n * smaller)) ** 0.5)


def _missing_columns(cohort: Cohort, columns: Mapping[str, Sequence[str]]) -> list[Problem]:
    problems = []
    for role in _ROLES_OF[cohort.kind]:
        name: str = getattr(cohort, role)
        later = role in _PER_CELL and cohort.kind == "single_cell"  # known only once the cells are read
        if name and name not in columns and not later:
            problems.append(
                Problem(f"there is no such {role} column", _where(cohort, role), name, _listed(columns),
                        did_you_mean(name, columns) or f"mend '{role}' in the cohort sheet")
            )  # fmt: skip
    return problems


def _missing_levels(cohort: Cohort, column: str, values: Sequence[str]) -> list[Problem]:
    counted = Counter(values)
    problems = []
    for arm in ("case", "control"):
        wanted: tuple[str, ...] = getattr(cohort, arm)
        for level in wanted:
            if level not in counted:
                problems.append(
                    Problem(f"column {column!r} has no such level", _where(cohort, arm), level,
                            _listed(f"{name} ({n})" for name, n in sorted(counted.items())),
                            did_you_mean(level, counted) or f"mend '{arm}' in the cohort sheet")
                )  # fmt: skip
    return problems


def _small_arms(
    cohort: Cohort, columns: Mapping[str, Sequence[str]], arms: Sequence[str], least: int
) -> list[Problem]:
    donors = columns[cohort.donor] if cohort.donor else [""] * len(arms)
    unit = "donors" if cohort.donor else "samples"
    problems = []
    for arm in ("case", "control"):
        n = len(_members(donors, arms, arm))
        if n < least and (cohort.case or cohort.control):
            problems.append(
                Problem(f"only {n} {unit} in the {arm} arm", _where(cohort, arm),
                        " | ".join(getattr(cohort, arm)), f"at least {least} (study: min_samples_per_arm)",
                        "add samples or levels, or leave this cohort out of the study")
            )  # fmt: skip
    return problems


def _aliased_batch(
    cohort: Cohort, columns: Mapping[str, Sequence[str]], arms: Sequence[str]
) -> list[Problem]:
    if not cohort.batch:
        return []
    batches, armed = _armed(columns[cohort.batch], arms)
    of_batch: dict[str, set[str]] = {}
    for batch, arm in zip(batches, armed, strict=True):
        of_batch.setdefault(batch, set()).add(arm)
    if len(set(armed)) < 2 or any(len(held) > 1 for held in of_batch.values()):
        return []
    counted = Counter(zip(batches, armed, strict=True))
    cells = ", ".join(
        f"{batch or '(empty)'}: {n} {arm}" for (batch, arm), n in sorted(counted.items())[:MAX_LISTED]
    )
    return [
        Problem(f"every batch holds one arm only, so batch and condition cannot be told apart ({cells})",
                _where(cohort, "batch"), cohort.batch, "at least one batch with cases and controls",
                "name another batch column, or leave it empty if these are no batches")
    ]  # fmt: skip


def _armed(values: Sequence[str], arms: Sequence[str]) -> tuple[list[str], list[str]]:
    """The values and arms of those samples that are in an arm."""
    pairs = [(value, arm) for value, arm in zip(values, arms, strict=True) if arm]
    return [value for value, _ in pairs], [arm for _, arm in pairs]


def _members(donors: Sequence[str], arms: Sequence[str], arm: str) -> set[str]:
    """Donors of one arm; a sample without a donor is its own."""
    rows = enumerate(zip(donors, arms, strict=True))
    return {donor or f"\0{row}" for row, (donor, of_row) in rows if of_row == arm}


def _listed(names: object) -> str:
    found = [str(name) for name in names]  # type: ignore[attr-defined]
    return ", ".join(found[:MAX_LISTED]) + (
        f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
    )


def _where(cohort: Cohort, role: str) -> str:
    return f"cohort {cohort.name}: {role}"
