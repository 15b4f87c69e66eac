"""The JSON files of the stage `causal` as typed shapes; docs/outputs.md describes every key."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

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
    lambda_gc: float | None = None
    overlap: Any = None
    covariates_used: tuple[str, ...] = ()
    covariates_dropped: dict[str, str] = Field(default_factory=dict)
    few_cells: tuple[str, ...] = ()


class DmlRecord(Told):
    """causal/cells/<cohort>/dml.json; `skipped_types`: reasons by cell type."""

    learner: str = ""
    score: str = ""
    inference: str = ""
    folds: int | None = None
    repeats: int | None = None
    latents: int | None = None
    cell_types: tuple[CellTypeRecord, ...] = ()
    skipped_types: dict[str, str] = Field(default_factory=dict)
    covariates_missing: tuple[str, ...] = ()
    lambda_gc: dict[str, float | None] = Field(default_factory=dict)
    overlap: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _of_types(cls, found: Any) -> Any:
        """`skipped` may be of cell types, and figures of cell types may stand with them."""
        if not isinstance(found, dict):
            return found
        made = dict(found)
        if isinstance(made.get("skipped"), dict):
            made["skipped_types"] = made.pop("skipped")
        types = [one for one in made.get("cell_types") or () if isinstance(one, dict) and "cell_type" in one]
        for name in ("lambda_gc", "overlap"):
            own = {one["cell_type"]: one[name] for one in types if one.get(name) is not None}
            made[name] = own | dict(made.get(name) or {})
        return made


class Reconstruction(Forgiving):
    """How well counts of donors left out are foretold."""

    left_out: bool = True
    n_cells: int | None = None
    nll_per_count: dict[str, float | None] = Field(default_factory=dict)
    best: str = ""


class PermutedLabels(Forgiving):
    """How often labels by chance reject at 0.05."""

    rejected: float | None = None
    sd: float | None = None
    permutations: int | None = None
    why: str = ""


class DenoisingRecord(Told):
    """causal/cells/<cohort>/denoising.json."""

    n_cells: int | None = None
    n_genes: int | None = None
    n_donors: int | None = None
    n_pathways: int | None = None
    notes: tuple[str, ...] = ()
    folds: tuple[Any, ...] = ()
    agreement_of_networks: tuple[Any, ...] = ()
    reconstruction: Reconstruction = Reconstruction()
    mixing: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    permuted_labels: PermutedLabels = PermutedLabels()
    seconds: float | None = None

    @field_validator("folds", "agreement_of_networks", mode="before")
    @classmethod
    def _several(cls, found: Any) -> Any:
        """One, or a list."""
        return found if isinstance(found, (list, tuple)) else [found]


class Estimate(Forgiving):
    """What one side says of a gene: of population genetics, a one-gene `method`, or a `cell_type`."""

    method: str = ""
    cell_type: str = ""
    effect: float | None = None
    estimate: float | None = None
    se: float | None = None
    z: float | None = None
    p: float | None = None


class Example(Forgiving):
    """What both sides say of a gene that was asked for."""

    gene: str
    population: tuple[Estimate, ...] = ()
    mr: tuple[Estimate, ...] = ()
    cells: tuple[Estimate, ...] = ()
    text: str = ""


class AgreementRecord(Told):
    """causal/agreement/<population>/<cells>/metrics.json."""

    verdict: str = ""
    p_global: float | None = None
    examples: tuple[Example, ...] = ()
