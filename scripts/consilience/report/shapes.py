"""The JSON files that stages leave for the report, as typed shapes; docs/outputs.md describes every key.

Unknown keys are ignored (a newer stage may say more); missing or mistyped ones name the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from consilience.foundation.errors import DataError, Problem
from consilience.foundation.files import read_json

_REMAKE = "delete this file and run the same command again; the workflow makes it anew"


class Shape(BaseModel):
    """Frozen, forgiving about additions."""

    model_config = ConfigDict(extra="ignore", frozen=True)


ShapeType = TypeVar("ShapeType", bound=Shape)


class Message(Shape):
    """What a stage wants people to know."""

    level: Literal["alarm", "note"]
    text: str


class Threshold(Shape):
    """A bound on a QC metric, and what it removed."""

    metric: str
    scope: str = "all"
    low: float | None = None
    high: float | None = None
    median: float | None = None
    mad: float | None = None
    n_mads: float | None = None
    n_removed: int = 0
    explanation: str = ""


class Sample(Shape):
    """One sample: kept or not, why, and its metrics (medians over cells for single-cell data)."""

    sample: str
    donor: str = ""
    condition: str = ""
    arm: str = ""
    batch: str = ""
    kept: bool = True
    reasons: tuple[str, ...] = ()
    n_cells_in: int | None = None
    n_cells_kept: int | None = None
    metrics: dict[str, float | int | str | None] = {}


class Distribution(Shape):
    """A histogram of one metric over all samples or cells that came in."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    log: bool = False


class Point(Shape):
    """One sample in the embedding."""

    sample: str
    x: float
    y: float
    group: str = ""
    kept: bool = True


class Embedding(Shape):
    """Samples in two dimensions."""

    kind: str = "pca"
    explained: tuple[float, ...] = ()
    points: tuple[Point, ...] = ()


class Genes(Shape):
    """How gene identifiers became current symbols."""

    matched: int
    total: int
    renamed: tuple[tuple[str, str], ...] = ()
    n_renamed: int = 0
    ambiguous: tuple[Any, ...] = ()
    n_ambiguous: int | None = None
    unmatched: tuple[str, ...] = ()
    n_unmatched: int = 0
    dates: tuple[Any, ...] = ()
    duplicates: int = 0


class CellType(Shape):
    """One type that cells were labelled with: its cells, and its markers measured and listed."""

    cell_type: str
    n: int
    markers_measured: int
    markers_listed: int


class CellTypes(Shape):
    """How cells without types of their own were labelled."""

    markers: str
    method: str
    types: tuple[CellType, ...]
    left_out: tuple[str, ...] = ()
    n_unassigned: int = 0


class ExpressionQuality(Shape):
    """expression/<cohort>.qc.json."""

    cohort: str
    kind: str
    label: str = ""
    source: str = ""
    units: str = "counts"
    n_in: int
    n_kept: int
    n_genes_in: int = 0
    n_genes_kept: int = 0
    n_donors: int | None = None
    arms: dict[str, int] = {}
    thresholds: tuple[Threshold, ...] = ()
    removed_by_reason: dict[str, int] = {}
    samples: tuple[Sample, ...] = ()
    distributions: dict[str, Distribution] = {}
    embedding: Embedding | None = None
    cell_types: CellTypes | None = None
    genes: Genes | None = None
    normalisation: dict[str, Any] = {}
    messages: tuple[Message, ...] = ()
    seconds: float | None = None


class SummaryLayout(Shape):
    """How one table of summary statistics was read: its layout, and which allele its effects belong to."""

    file: str
    title: str
    reference: str = ""
    effect_allele: str = ""


class SummaryStatisticsQuality(Shape):
    """summary_statistics/<cohort>/qc.json."""

    cohort: str
    kind: str = "summary_statistics"
    label: str = ""
    source: str = ""
    n_variants: int = 0
    n_genes: int = 0
    n_loci: int = 0
    n_eqtl_pairs: int = 0
    build: str = ""
    layouts: tuple[SummaryLayout, ...] = ()
    messages: tuple[Message, ...] = ()
    removed_by_reason: dict[str, int] = {}


class RawFile(Shape):
    """One raw file as fetched."""

    name: str
    bytes: int
    sha256: str
    url: str = ""
    date: str = ""
    archive: str = ""
    archive_sha256: str = ""


class RawProvenance(Shape):
    """raw/<cohort>/provenance.json."""

    cohort: str = ""
    source: str = ""
    location: str = ""
    date: str = ""
    release: str = ""
    notes: tuple[str, ...] = ()
    files: tuple[RawFile, ...] = ()


class PathwayCoverage(Shape):
    """One gene set: how much of it is measured, whether the mask has it, and why not."""

    pathway: str
    collection: str = ""
    n_genes: int
    n_measured: int
    coverage: float
    kept: bool
    why: str = ""
    same_as: str = ""


class CohortCoverage(Shape):
    """How much of the mask one cohort measures."""

    cohort: str
    n_genes: int
    n_in_pathways: int
    n_in_mask: int
    share_of_mask: float


class UnknownMember(Shape):
    """A member of gene sets that is no known human gene."""

    member: str
    n_pathways: int


class Coverage(Shape):
    """pathways/coverage.json."""

    n_pathways: int
    n_kept: int
    n_genes_in_mask: int
    dropped_by_reason: dict[str, int] = {}
    cohorts: tuple[CohortCoverage, ...] = ()
    n_unknown_members: int = 0
    unknown_members: tuple[UnknownMember, ...] = ()
    pathways: tuple[PathwayCoverage, ...]


class Check(Shape):
    """One comparison with the planted truth: `value` beside its `ideal` and what `chance` would give."""

    name: str
    planted: str
    found: str
    value: float | None = None
    ideal: float | None = None
    chance: float | None = None
    ok: bool
    text: str = ""


class CohortChecks(Shape):
    """All comparisons of one cohort."""

    kind: str
    checks: tuple[Check, ...] = ()


class Found(Shape):
    """truth/found.json: what was planted beside what was found."""

    headline: str
    cohorts: dict[str, CohortChecks] = {}


def read_shape(path: Path, shape: type[ShapeType]) -> ShapeType:
    """Read a JSON file into its shape; one `DataError` lists everything that is missing or mistyped."""
    if not path.is_file():
        raise DataError(
            "the report needs this file and it is not there",
            where=str(path),
            mend="run the same command again; if it stays away, read the log of its rule",
        )
    try:
        return shape.model_validate(read_json(path))
    except ValidationError as error:
        problems = [
            Problem(
                what=detail["msg"],
                where=f"{path}: {'.'.join(str(part) for part in detail['loc']) or 'top level'}",
                value=None if detail["type"] == "missing" else str(detail["input"]),
                mend=_REMAKE,
            )
            for detail in error.errors(include_url=False)[:20]
        ]
        raise DataError.from_problems(problems) from None
