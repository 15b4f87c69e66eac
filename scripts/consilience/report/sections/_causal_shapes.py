"""The JSON files of the stage `causal` as typed shapes; docs/outputs.md describes every key."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from consilience.report.sections._augment_shapes import Forgiving


class Told(Forgiving):
    """What every record of the stage has: messages for people, and why nothing was done where nothing was."""

    messages: tuple[str, ...] = ()
    skipped: str | None = None

    @field_validator("messages", mode="before")
    @classmethod
    def _as_text(cls, found: Any) -> Any:
        """Plain sentences, or objects that hold one as `text`."""
        if not isinstance(found, (list, tuple)):
            return found
        return [one.get("text", "") if isinstance(one, dict) else one for one in found]


class InstrumentsRecord(Told):
    """causal/population/<cohort>/instruments.json."""

    n_genes: int | None = None
    n_with_instruments: int | None = None


class CellTypeRecord(Forgiving):
    """One cell type of dml.json."""

    cell_type: str
    n_cells: int | None = None
    n_donors: int | None = None
    n_cases: int | None = None
    n_genes: int | None = None
    skipped: str = ""
    lambda_gc: float | None = None


class DmlRecord(Told):
    """causal/cells/<cohort>/dml.json; `skipped_cell_types`: reasons by cell type."""

    learner: str = ""
    score: str = ""
    inference: str = ""
    expression: str = ""
    folds: int | None = None
    repeats: int | None = None
    cell_types: tuple[CellTypeRecord, ...] = ()
    skipped_cell_types: dict[str, str] = Field(default_factory=dict)
    lambda_gc: dict[str, float | None] = Field(default_factory=dict)
    overlap: dict[str, Any] = Field(default_factory=dict)
    covariates: dict[str, Any] = Field(default_factory=dict)


class Example(Forgiving):
    """What both sides say of a gene that was asked for, in one cell type."""

    gene: str
    cell_type: str = ""
    z_population: float | None = None
    p_population: float | None = None
    z_cells: float | None = None
    p_cells: float | None = None
    same_sign: bool | None = None
    text: str = ""


class AgreementRecord(Told):
    """causal/agreement/<population>/<cells>/metrics.json."""

    verdict: str = ""
    p_global: float | None = None
    examples: tuple[Example, ...] = ()
