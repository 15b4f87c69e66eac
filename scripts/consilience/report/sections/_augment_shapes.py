"""The JSON files of the stage `augment` as typed shapes; docs/outputs.md describes every key."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from consilience.report.shapes import Shape


class Forgiving(Shape):
    """Null is as good as missing: what could not be computed is left out either way."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, found: Any) -> Any:
        return (
            {key: one for key, one in found.items() if one is not None} if isinstance(found, dict) else found
        )


class Compared(Forgiving):
    """A generator as it was compared; `errors`: why it could not be fitted, where it could not."""

    generator: str
    title: str = ""
    kind: str = ""
    reference: str = ""
    doi: str = ""
    temperature_means: str = ""
    assumes: str = ""
    limits: str = ""
    errors: tuple[str, ...] = ()


class Choice(Forgiving):
    """augment/<cohort>/generators.json."""

    generator: str = ""
    title: str = ""
    temperature: float | None = None
    temperature_low: float | None = None
    temperature_high: float | None = None
    level: str = ""
    why: str = ""
    asked: str = "auto"
    within: bool | None = None
    refused: tuple[str, ...] = ()
    skipped: str | None = None
    n_train: int | None = None
    n_held_out: int | None = None
    n_splits: int | None = None
    n_samples: int | None = None
    n_donors: int | None = None
    genes: int | None = None
    classes: dict[str, int] = Field(default_factory=dict)
    compared: tuple[Compared, ...] = ()
    limits: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class ChosenOnce(Forgiving):
    """A temperature chosen in one split; `ratios` by name, one for each of `temperatures`."""

    temperature: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    edge: str = ""
    temperatures: tuple[float, ...] = ()
    ratios: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)
    mismatch_one: float | None = None
    mismatch_estimate: float | None = None
    n_folds: int | None = None
    why: str = ""


class Chosen(ChosenOnce):
    """A generator's part of augment/<cohort>/temperature.json: means over `splits`."""

    mode: str = ""
    means: str = ""
    splits: tuple[ChosenOnce, ...] = ()


class Kind(Forgiving):
    """Samples of one class."""

    label: str
    real: int = 0
    synthetic: int = 0


class Made(Forgiving):
    """augment/<cohort>/metrics.json: what was made for release."""

    kinds: tuple[Kind, ...] = ()
    generator: str = ""
    title: str = ""
    temperature: float | None = None
    fold: float | None = None
    level: str = ""
    units: str = ""
    released: bool = False
    skipped: str | None = None
    seconds: float | None = None
    epsilon: float | None = None
    near_copies_removed: int | None = None
    not_replaced: int | None = None
    notes: tuple[str, ...] = ()


class Attack(Forgiving):
    """One attack that guesses who was in the training set."""

    name: str
    auc: float | None = None
    low: float | None = None
    high: float | None = None
    null_high: float | None = None
    p: float | None = None


class Closest(Forgiving):
    """Nearest real patients of synthetic samples."""

    share: float | None = None
    low: float | None = None
    high: float | None = None
    null_high: float | None = None
    p: float | None = None
    to_train: float | None = None
    to_held_out: float | None = None
    ratio_train: float | None = None
    ratio_held_out: float | None = None


class Reason(Forgiving):
    """One figure of the release gate beside its limit."""

    name: str = ""
    passed: bool = False
    value: float | None = None
    limit: float | None = None
    sentence: str = ""


class Attribute(Forgiving):
    """Guessing what is not known of a patient: accuracy on training and on other patients."""

    name: str = ""
    train: float | None = None
    held_out: float | None = None
    advantage: float | None = None
    low: float | None = None
    high: float | None = None
    null_high: float | None = None
    p: float | None = None


class Shadow(Forgiving):
    """The attack by generators refitted on halves of the patients."""

    auc: float | None = None
    error: float | None = None
    plain: float | None = None
    n_shadows: int = 0


class PrivacyRecord(Forgiving):
    """augment/<cohort>/privacy.json."""

    passed: bool = False
    level: str = ""
    judged_by: str = ""
    skipped: str | None = None
    reasons: tuple[str, ...] = ()
    checks: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    n_train: int | None = None
    n_held_out: int | None = None
    n_synthetic: int | None = None
    exact_copies: int | None = None
    near_copies: int | None = None
    near_share: float | None = None
    near_held_out: float | None = None
    removed: int | None = None
    closest: Closest | None = None
    attacks: tuple[Attack, ...] = ()
    attribute: tuple[Attribute, ...] = ()
    shadow: Shadow | None = None
    limits: dict[str, float | None] = Field(default_factory=dict)
    epsilon: float | None = None

    @field_validator("attribute", mode="before")
    @classmethod
    def _several(cls, found: Any) -> Any:
        """One attack, several, or several by name."""
        if not isinstance(found, dict):
            return found
        parts = [one | {"name": key} for key, one in found.items() if isinstance(one, dict)]
        return parts or [found]


class UtilityRecord(Forgiving):
    """augment/<cohort>/utility.json."""

    skipped: str | None = None
    published: tuple[dict[str, Any], ...] = ()
    errors: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Overlap(Forgiving):
    """Markers of synthetic samples (`ceiling`: of training patients) beside those of patients left out.

    `fold`: synthetic samples per patient. `called`, `called_deflated`: genes below p = 0.05 as tested, and
    with the patients' own error counted.
    """

    generator: str = ""
    fold: float | None = None
    top: int | None = None
    overlap: float | None = None
    rank_correlation: float | None = None
    sign_agreement: float | None = None
    chance: float | None = None
    called: float | None = None
    called_deflated: float | None = None
    ceiling: bool = False


class RobustnessRecord(Forgiving):
    """augment/<cohort>/robustness.json."""

    skipped: str | None = None
    runs: int | None = None
    n_runs: int | None = None
    overlap: tuple[Overlap, ...] = ()
    notes: tuple[str, ...] = ()
