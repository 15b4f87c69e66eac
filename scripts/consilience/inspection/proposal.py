"""A complete row of the cohort sheet from what was seen, with reasons, and what is left for a person."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from consilience.inspection import columns as look
from consilience.inspection.columns import Choice, ColumnSeen
from consilience.inspection.findings import Proposal
from consilience.study.cohorts import Cohort
from consilience.study.design import design_problems

ROLES = ("condition", "donor", "cell_type", "batch", "perturbation")


def propose(
    *,
    kind: str,
    source: str,
    location: str,
    columns: Sequence[ColumnSeen],
    units: str = "",
    why_units: str = "",
    texts: Mapping[str, Sequence[str]] | None = None,
    label: str = "",
) -> Proposal:
    """Propose a row for a cohort of some kind.

    Parameters
    ----------
    columns
        Its phenotype columns.
    units, why_units
        What a bulk matrix was found to hold; "" where the sheet need not say it.
    texts
        The columns as text, one value for each sample (or distinct kind of cell), to try the design on.
    """
    cells = {
        "cohort": cohort_name(location), "kind": kind, "source": source, "location": location,
        "units": units, "role": "study", "label": label,
    }  # fmt: skip
    reasons = [f"units {units}: {why_units}"] if units else []
    decide = [] if label else ["cohort and label: names of your own"]
    usable = [column for column in columns if _can_stand_in_a_sheet(column.name)]
    if kind == "perturbation":
        _perturbation(cells, reasons, decide, usable)
    elif kind in {"bulk", "single_cell"}:
        _case_control(cells, reasons, decide, usable)
    if kind in {"single_cell", "perturbation"}:
        choice = look.choose_cell_line(usable) if kind == "perturbation" else look.choose_cell_type(usable)
        _take(cells, reasons, "cell_type", choice)
    if kind != "summary_statistics":
        _take(cells, reasons, "donor", look.choose_donor(usable))
        _take(cells, reasons, "batch", look.choose_batch(usable))
        if kind == "single_cell" and not cells.get("donor"):
            decide.append("donor: cells need the column that names patients; none was recognised")
    if texts:
        _try_design(cells, decide, texts)
    return Proposal(cells, tuple(reasons), tuple(decide))


def cohort_name(location: str) -> str:
    """A usable name from the last part of a location."""
    last = location.split("|")[0].rstrip("/").rpartition("/")[2] or "cohort"
    for _ in range(3):
        last = re.sub(r"\.(gz|tsv|csv|txt|parquet|h5ad|h5|counts|tar|tgz|zip)$", "", last)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", last).strip("_.-")[:64].rstrip(".")
    return name or "cohort"


def _can_stand_in_a_sheet(text: str) -> bool:
    return bool(text) and text.isprintable() and text == text.strip()


def _take(cells: dict[str, str], reasons: list[str], role: str, choice: Choice) -> None:
    if choice.name and choice.name not in {cells.get(used) for used in ROLES}:
        cells[role] = choice.name
        others = f"; also possible: {', '.join(choice.others)}" if choice.others else ""
        reasons.append(f"{role} {choice.name!a}: {choice.why}{others}")


def _case_control(
    cells: dict[str, str], reasons: list[str], decide: list[str], columns: Sequence[ColumnSeen]
) -> None:
    choice = look.choose_condition(columns)
    if not choice.name:
        cells["role"] = "pretrain"
        few = [
            column.name
            for column in columns
            if column.shape == "levels" and len(column.levels) <= look.MAX_ARMS
        ]
        seen = f" (with few levels: {', '.join(few[:8])})" if few else ""
        why = f"no column looks like a condition{seen}" if columns else "the columns were not seen"
        decide.append(
            f"condition, case and control: {why}, so the row says role pretrain; name them if there is one"
        )
        return
    _take(cells, reasons, "condition", choice)
    column = next(one for one in columns if one.name == choice.name)
    sayable = [name for name in column.names if _can_stand_in_a_sheet(name) and "|" not in name]
    controls = [name for name in look.control_levels(column) if name in sayable]
    control = controls[:1] or sayable[1:2]
    case = [name for name in sayable if name not in controls and name not in control][:1]
    if not case:  # every level sounds like a control
        case = [name for name in sayable if name not in control][:1]
    if not (case and control):
        decide.append("case and control: the levels cannot be written into a sheet")
        return
    cells["case"], cells["control"] = case[0], control[0]
    if not controls:
        taken = f"{case[0]!a} was taken for the cases and {control[0]!a} for the controls"
        decide.append(f"case and control: no level sounds like a control; {taken}, being frequent")
    rest = [name for name in column.names if name not in {case[0], control[0]}]
    if rest:
        listed = ", ".join(f"{name!a}" for name in rest[:8])
        decide.append(f"case and control: {listed} are in neither; join levels by |")


def _perturbation(
    cells: dict[str, str], reasons: list[str], decide: list[str], columns: Sequence[ColumnSeen]
) -> None:
    choice = look.choose_perturbation(columns)
    if not choice.name:
        decide.append("perturbation and control: the column of perturbed genes was not recognised")
        return
    _take(cells, reasons, "perturbation", choice)
    column = next(one for one in columns if one.name == choice.name)
    cells["control"] = "|".join(look.unperturbed_levels(column))
    guides = sum(re.fullmatch(r".+(g|_|-|\.)\d+", name) is not None for name in column.names)
    if guides > 0.5 * len(column.levels):
        decide.append("perturbation: its levels look like guides, not genes; is there a column of genes?")


def _try_design(cells: dict[str, str], decide: list[str], texts: Mapping[str, Sequence[str]]) -> None:
    """Drop a batch that says the same as the condition; say what else the check will refuse."""
    for _ in range(2):
        cohort = Cohort(
            name=cells["cohort"], kind=cells["kind"], source="local",  # type: ignore[arg-type]
            condition=cells.get("condition", ""), case=_levels(cells, "case"),
            control=_levels(cells, "control"), donor=cells.get("donor", ""), batch=cells.get("batch", ""),
            perturbation=cells.get("perturbation", ""),
        )  # fmt: skip
        problems = design_problems(cohort=cohort, columns=texts, min_samples_per_arm=3)
        if not any(problem.where.endswith(": batch") for problem in problems):
            break
        decide.append(f"batch: {cells.pop('batch')!a} was left out, because every batch holds one arm only")
    for problem in problems:
        small = "in the " in problem.what and problem.what.startswith("only ")
        mend = "; set study.min_samples_per_arm lower to use it all the same" if small else ""
        decide.append(f"{problem.what}{mend}")


def _levels(cells: Mapping[str, str], column: str) -> tuple[str, ...]:
    return tuple(cells[column].split("|")) if cells.get(column) else ()
