"""How markers are sought, and what is found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from consilience.foundation.errors import ConfigError
from consilience.foundation.files import write_json, write_parquet
from consilience.rnagan.markers.attribution import AttributionSettings
from consilience.rnagan.markers.registry import DEFAULT, attribution

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MarkerSettings:
    """How markers are sought.

    `attributions` by name, `folds` of donors, `permutations` of labels (0: no error rates), `evidence` the
    way to error rates (auto: see `evidence`), `resamples` pairs of halves for stability, `top` length of the
    lists whose stability is told, `interactions` genes whose pairs are looked at (0: none), `references` most
    of each kind, `per_unit` most samples of one donor, kind and batch, `steps` of the path for permutations,
    `published` adds the published columns.
    """

    attributions: tuple[str, ...] = DEFAULT
    folds: int = 5
    permutations: int = 100
    evidence: Literal["auto", "permute", "splits", "none"] = "auto"
    resamples: int = 10
    top: int = 50
    interactions: int = 10
    references: int = 30
    per_unit: int = 16
    steps: int = 1
    published: bool = False
    seed: int = 0
    attribution: AttributionSettings = field(default_factory=AttributionSettings)

    def __post_init__(self) -> None:
        for name in self.attributions:
            attribution(name)
        if not self.attributions or len(set(self.attributions)) < len(self.attributions):
            raise ConfigError("attributions must be one or more different names", value=self.attributions)
        least = {"folds": 2, "top": 1, "references": 1, "per_unit": 1, "steps": 1,
                 "permutations": 0, "resamples": 0, "interactions": 0}  # fmt: skip
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ConfigError(f"{name} is too small", value=getattr(self, name), allowed=f"{low} or more")
        if self.evidence not in {"auto", "permute", "splits", "none"}:
            raise ConfigError("no such way to error rates", value=self.evidence,
                              allowed="auto, permute, splits, none")  # fmt: skip


@dataclass(frozen=True)
class Markers:
    """What was found.

    `genes` and `pathways` one row a feature (see docs/outputs.md), `interactions` one row a pair of the
    strongest genes, `record` JSON-ready: settings, sizes, way to error rates, agreement, stability, caveats.
    """

    genes: pd.DataFrame
    pathways: pd.DataFrame
    interactions: pd.DataFrame
    record: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write markers_{genes,pathways,interactions}.parquet and markers.json."""
        write_parquet(folder / "markers_genes.parquet", self.genes)
        write_parquet(folder / "markers_pathways.parquet", self.pathways)
        write_parquet(folder / "markers_interactions.parquet", self.interactions)
        write_json(folder / "markers.json", self.record)
