"""The JSON files of the stage `rnagan` as typed shapes; docs/outputs.md describes every key."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from consilience.report.shapes import Shape


class LearnedFrom(Shape):
    """A cohort that a model has learned from."""

    name: str
    measured: str = ""
    samples: int = 0
    donors: int = 0


class Training(Shape):
    """How one model came about; `tasks` are the questions that each remembered contrast merges."""

    preset: str = ""
    scale: str = ""
    n_genes: int = 0
    n_pathways: int = 0
    cohorts: tuple[LearnedFrom, ...] = ()
    notes: tuple[str, ...] = ()
    tasks: tuple[tuple[str, ...], ...] = ()
    steps: int = 0
    seconds: float = 0.0
    device: str = ""
    device_reason: str = ""
    pretrained: bool = False


class CohortTraining(Shape):
    """rnagan/<cohort>/training.json."""

    base: Training
    model: Training


class Bin(Shape):
    """Predictions of similar probability."""

    n: int
    mean_probability: float
    share_positive: float


class MethodFigures(Shape):
    """One method with one number of references."""

    auc: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    auc_by_split: dict[str, float | None] = Field(default_factory=dict)
    brier: float | None = None
    ece: float | None = None
    ece_expected: float | None = None
    ece_p: float | None = None
    reliability: tuple[Bin, ...] | None = None
    ood_share: float | None = None
    interval_width: float | None = None


class Difference(Shape):
    """AUC of ours minus AUC of a baseline on the same splits and patients."""

    auc: float
    low: float
    high: float


class SizeFigures(Shape):
    """All methods with one number of references per kind."""

    methods: dict[str, MethodFigures]
    best_baseline: str | None = None
    differences: dict[str, dict[str, Difference]] = Field(default_factory=dict)
    references: dict[str, tuple[int, int] | None] = Field(default_factory=dict)
    test_patients: int = 0
    splits: int = 0


class DiagnosisSummary(Shape):
    """What the predictions of one task are worth."""

    by_references: dict[int, SizeFigures]
    auc_interval_level: float = 0.95
    interval_level: float = 0.9
    splits_skipped: tuple[str, ...] = ()
    leakage: tuple[str, ...] = ()


class Donors(Shape):
    """Patients of each arm."""

    case: int = 0
    control: int = 0


class DiagnosisTask(Shape):
    """One cell type of a cohort ("" for bulk)."""

    cell_type: str = ""
    skipped: str | None = None
    n_samples: int = 0
    n_donors: Donors = Donors()
    summary: DiagnosisSummary | None = None


class Diagnosis(Shape):
    """rnagan/<cohort>/diagnosis.json and transfer_from_<other>.json."""

    tasks: tuple[DiagnosisTask, ...]
    base_cohorts: tuple[str, ...] = ()


class Pair(Shape):
    """Two attributions compared."""

    first: str
    second: str
    rank_correlation: float | None = None
    sign_agreement: float | None = None
    overlap: float | None = None


class StabilityIndex(Shape):
    """Nogueira's index of the top lists."""

    genes: float | None = None
    pathways: float | None = None
    top: int = 0


class Significant(Shape):
    """Numbers below the level of false discoveries."""

    genes: int = 0
    pathways: int = 0
    enrichment: int = 0


class MarkersTask(Shape):
    """One cell type: what must be known to read its tables."""

    cell_type: str = ""
    skipped: str | None = None
    n_donors: Donors = Donors()
    n_genes: int = 0
    n_genes_tested: int = 0
    n_pathways: int = 0
    evidence: str = ""
    permutations: int = 0
    labellings_possible: int | float = 0
    attributions: tuple[str, ...] = ()
    agreement: tuple[Pair, ...] = ()
    completeness_error: Any = None
    stability_index: StabilityIndex = StabilityIndex()
    resamples: int = 0
    caveats: tuple[str, ...] = ()
    n_significant: Significant = Significant()
    fdr_level: float = 0.05


class MarkersRecord(Shape):
    """rnagan/<cohort>/markers.json."""

    tasks: tuple[MarkersTask, ...]
    base_cohorts: tuple[str, ...] = ()


class Mean(Shape):
    """Mean and standard deviation over repeats."""

    mean: float | None = None
    sd: float | None = None


class Space(Shape):
    """What one kind of vectors is worth."""

    accuracy: Mean = Mean()
    balanced: Mean = Mean()
    mixing: Mean = Mean()
    lisi: Mean = Mean()
    lisi_mixed: Mean = Mean()
    overlap_genes: Mean = Mean()
    distances_genes: Mean = Mean()
    overlap_references: Mean = Mean()
    distances_references: Mean = Mean()


class VectorsFigures(Shape):
    """The model's vectors beside principal components."""

    k: int = 0
    hidden_genes: float = 0.0
    chance: float | None = None
    overlap_chance: float | None = None
    rnagan: Space
    pca: Space


class VectorsTask(Shape):
    """One cell type."""

    cell_type: str = ""
    skipped: str | None = None
    n_samples: int = 0
    n_donors: Any = None
    figures: VectorsFigures | None = None


class VectorsRecord(Shape):
    """rnagan/<cohort>/vectors.json."""

    tasks: tuple[VectorsTask, ...]


class Kind(Shape):
    """Samples of one arm (of one cell type)."""

    condition: str
    cell_type: str = ""
    real: int = 0
    synthetic: int = 0


class Verdict(Shape):
    """Whether synthetic samples may be given out, by whom it was judged, and why not."""

    passed: bool = False
    judged_by: str = ""
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Made(Shape):
    """How synthetic samples were made."""

    near_copies_removed: int = 0
    not_replaced: int = 0


class SyntheticRecord(Shape):
    """rnagan/<cohort>/synthetic.json; `published`: figures of the published generator, where it was run."""

    kinds: tuple[Kind, ...] = ()
    skipped: str | None = None
    held_out_share: float | None = None
    fold: float | None = None
    fidelity: dict[str, float | None] = Field(default_factory=dict)
    privacy: dict[str, float | None] = Field(default_factory=dict)
    release: Verdict = Verdict()
    generator: str = ""
    preset: str = ""
    provenance: Made = Made()
    published: dict[str, dict[str, float | None]] = Field(default_factory=dict)


class Recovered(Shape):
    """One way to rank the genes of a cell type against what was planted."""

    cell_type: str = ""
    method: str = ""
    auprc: float | None = None
    chance: float | None = None
    sign_accuracy: float | None = None
    sign_accuracy_top: float | None = None
    n_planted: int = 0
    n_called: int | None = None
    false_share: float | None = None
    power: float | None = None


class CohortRecovery(Shape):
    """What truth/found.json says of the markers of a cohort."""

    markers: tuple[Recovered, ...] = ()


class MarkersFound(Shape):
    """truth/found.json, as far as markers go."""

    cohorts: dict[str, CohortRecovery] = Field(default_factory=dict)
