"""A judged task, and the table of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from consilience.report.elements import Cell, Column, Table
from consilience.report.sections._rnagan_diagnosis_parts import saturated, sizes_of
from consilience.report.sections._rnagan_reading import OURS, is_ours, method_words, task_words
from consilience.report.sections._rnagan_shapes import DiagnosisSummary, DiagnosisTask, SizeFigures
from consilience.study.cohorts import Cohort


@dataclass(frozen=True)
class Part:
    """One judged task: `origin` is the cohort that was learned from ("" for the cohort itself)."""

    key: str
    cohort: Cohort
    origin: str
    task: DiagnosisTask
    summary: DiagnosisSummary

    @property
    def words(self) -> str:
        """For tables and figures."""
        origin = f" (learned from {self.origin})" if self.origin else ""
        return task_words(self.cohort, self.task.cell_type) + origin

    @property
    def last(self) -> SizeFigures:
        """The figures with the most references."""
        return self.summary.by_references[sizes_of(self.summary)[-1]]


def diagnosis_table(parts: list[Part]) -> Table:
    """One row for each task, number of references and method."""
    rows: list[tuple[Cell, ...]] = []
    for part in parts:
        for size in sizes_of(part.summary):
            one = part.summary.by_references[size]
            order = sorted(one.methods, key=lambda name: (not is_ours(name), -(one.methods[name].auc or 0.0)))
            for name in order:
                entry = one.methods[name]
                found = one.differences.get(OURS, {}).get(name)
                rows.append((
                    part.cohort.name, part.origin or part.cohort.name, part.task.cell_type, size,
                    _used(one), method_words(name),
                    entry.auc, entry.auc_low, entry.auc_high, found.auc if found else None,
                    found.low if found else None, found.high if found else None, entry.brier, entry.ece,
                    entry.ece_expected, entry.ood_share, "yes" if saturated(one) else "no",
                ))  # fmt: skip
    return Table(
        key="diagnosis", title="All methods, tasks and numbers of references", rows=tuple(rows), visible=10,
        columns=(
            Column("cohort", "Cohort", "id"), Column("learned_from", "Learned from", "id"),
            Column("cell_type", "Cell type"), Column("references", "References", "integer"),
            Column("used", "Cases + controls", "id", "used; fewer where training patients do not suffice"),
            Column("method", "Method", "words"), Column("auc", "AUC", "number"),
            Column("auc_low", "from", "number"),
            Column("auc_high", "to", "number"),
            Column("rnagan_minus", "RNAGAN minus it", "number", "difference in AUC on the same patients"),
            Column("minus_low", "from", "number"), Column("minus_high", "to", "number"),
            Column("brier", "Brier", "number"), Column("ece", "ECE", "number"),
            Column("ece_chance", "ECE by chance", "number"), Column("ood_share", "Like neither", "share"),
            Column("saturated", "Too easy"),
        ),
    )  # fmt: skip


def _used(size: SizeFigures) -> str:
    """References that could be drawn of either kind, from the fewest to the most over splits."""
    ends = [size.references.get(kind) for kind in ("positive", "negative")]
    return " + ".join(str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}–{pair[1]}" for pair in ends if pair)
