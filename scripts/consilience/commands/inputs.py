"""Model, references and samples as commands take them: opened, labelled, brought to the model's genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.rnagan.alignment import Aligned, align
from consilience.rnagan.reading import Given, column_of, read_given, rows_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples
    from consilience.rnagan.model import Rnagan

SHOWN = 5
DONOR_COLUMNS = ("donor", "patient", "donor_id", "patient_id", "individual")
BATCH_COLUMNS = ("batch",)


@dataclass(frozen=True)
class Groups:
    """References: `aligned` rows of those in use, and the levels that are `positive` and `negative`."""

    aligned: Aligned
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        """(n,) of the references."""
        return np.isin(self.aligned.samples.labels, list(self.positive))

    def side(self, positive: bool) -> Samples:
        """The references of one kind."""
        return self.aligned.samples.take(self.is_positive == positive)


def read_references(
    model: Rnagan,
    path: Path,
    *,
    label: str,
    positive: Sequence[str],
    negative: Sequence[str] = (),
    labels: Path | None = None,
    units: str = "",
    min_overlap: float = 0.5,
    only_positive: bool = False,
) -> Groups:
    """The references of two kinds; without `negative` all other levels are the second kind.

    `only_positive` leaves the second kind out. Rows without a label are left out and counted.
    """
    given = read_given(path, labels=labels)
    values = column_of(given, label)
    rows_of(values, positive, column=label, where=given.where)
    if both := sorted(set(positive) & set(negative)):
        raise DataError("a level cannot be both positive and negative", where="--negative", value=both[0])
    if negative:
        rows_of(values, negative, column=label, where=given.where, option="--negative")
    others = sorted({str(one) for one in values if one} - set(positive))
    second = [] if only_positive else list(negative) or others
    rows = np.flatnonzero(np.isin(values, [*positive, *second]))
    aligned = labelled(
        align(given, genes=model.genes, scale=model.scale, moments=model.moments, rows=rows, units=units,
              arrays=model.knows_arrays, min_overlap=min_overlap),
        given, label=label,
    )  # fmt: skip
    notes = _label_notes(model, values, rows=rows, levels=(*positive, *second), label=label)
    return Groups(aligned, tuple(positive), tuple(second), tuple(notes))


def labelled_references(
    model: Rnagan,
    path: Path,
    *,
    label: str,
    levels: Sequence[str] = (),
    labels: Path | None = None,
    units: str = "",
    min_overlap: float = 0.5,
) -> Groups:
    """References of some levels, each a kind of its own; of all levels without `levels`."""
    given = read_given(path, labels=labels)
    values = column_of(given, label)
    wanted = tuple(levels) or tuple(sorted({str(one) for one in values if one}))
    if not wanted:
        raise DataError("the column is empty", where=f"{given.where} (--label)", value=label)
    return read_references(model, path, label=label, positive=wanted, labels=labels, units=units,
                           min_overlap=min_overlap, only_positive=True)  # fmt: skip


def read_samples(
    model: Rnagan, path: Path, *, label: str = "", units: str = "", min_overlap: float = 0.5,
    labels: Path | None = None,
) -> Aligned:  # fmt: skip
    """New samples; labels only where a column is named."""
    given = read_given(path, labels=labels)
    if label:
        column_of(given, label)
    aligned = align(given, genes=model.genes, scale=model.scale, moments=model.moments, units=units,
                    arrays=model.knows_arrays, min_overlap=min_overlap)  # fmt: skip
    return labelled(aligned, given, label=label)


def labelled(aligned: Aligned, given: Given, *, label: str) -> Aligned:
    """With labels, and donors and batches where the file has a column of that name."""
    columns = {"labels": (label,), "donors": DONOR_COLUMNS, "batches": BATCH_COLUMNS}
    found: dict[str, Any] = {}
    for part, names in columns.items():
        name = next((name for name in names if name and name in given.columns), "")
        if name:
            values = given.columns[name][aligned.rows]
            found[part] = values if part != "donors" else np.where(
                values == "", aligned.samples.names, values)  # fmt: skip
    return replace(aligned, samples=replace(aligned.samples, **found))


def shared_genes(*parts: Aligned) -> npt.NDArray[np.bool_]:
    """Genes that all files have (genes,)."""
    observed = np.logical_and.reduce([part.observed for part in parts])
    if not observed.any():
        raise DataError("references and samples share none of the model's genes",
                        mend="give files with the same genes")  # fmt: skip
    return np.asarray(observed)


def _label_notes(
    model: Rnagan, values: npt.NDArray[np.str_], *, rows: npt.NDArray[np.intp], levels: Sequence[str],
    label: str,
) -> list[str]:  # fmt: skip
    notes = []
    if left := len(values) - len(rows):
        notes.append(
            f"{left} of {len(values)} rows of the references are of other levels of {label!r} or of none"
        )
    known = {one for cohort in model.record.get("cohorts", []) for one in cohort.get("labels", {})}
    unseen = [level for level in levels if level not in known]
    if unseen:
        notes.append(
            f"labels that the model was not trained on: {', '.join(unseen[:SHOWN])}"
            + (" …" if len(unseen) > SHOWN else "")
        )
    return notes
