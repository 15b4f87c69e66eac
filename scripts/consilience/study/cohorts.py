"""A cohort: one row of the cohort sheet, as every later room sees it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Kind = Literal["bulk", "single_cell", "perturbation", "summary_statistics"]
Source = Literal["simulated", "local", "url", "geo", "gdc"]
Role = Literal["pretrain", "study", "both"]
Units = Literal["", "counts", "estimated_counts", "tpm", "fpkm", "cpm", "intensity", "log2"]
KINDS: tuple[str, ...] = get_args(Kind)
SOURCES: tuple[str, ...] = get_args(Source)
ROLES: tuple[str, ...] = get_args(Role)
UNITS: tuple[str, ...] = get_args(Units)
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


@dataclass(frozen=True, slots=True)
class Cohort:
    """One cohort.

    `condition`, `donor`, `cell_type`, `batch`, `perturbation` are the names that these columns have in the
    cohort's own phenotype table ("" where it has none). `case` and `control` are levels of the condition
    column (for a perturbation cohort, `control` are the unperturbed levels of the perturbation column).
    `files` are patterns (as in a shell) of the files wanted from the source, () for its own choice; `select`
    says which samples are wanted, as "column=level|level; column=level" (see `selection.selected_rows`);
    `units` is what the sheet claims of a bulk matrix, "" to let its values tell.
    """

    name: str
    kind: Kind
    source: Source
    location: str = ""
    condition: str = ""
    case: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    donor: str = ""
    cell_type: str = ""
    batch: str = ""
    perturbation: str = ""
    files: tuple[str, ...] = ()
    select: str = ""
    units: Units = ""
    role: Role = "study"
    label: str = ""

    def to_params(self) -> dict[str, Any]:
        """Plain strings and lists, safe for Snakemake's params and for JSON."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Cohort:
        """Inverse of `to_params`."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in params.items()
        }
        return cls(**values)

    def arm(self, level: str) -> str:
        """'case', 'control' or '' for a level of the condition (or perturbation) column."""
        return "case" if level in self.case else "control" if level in self.control else ""
