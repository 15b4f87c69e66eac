"""What all sections of augmentation need: which cohorts it ran on, their files, how things are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from consilience.report.elements import Block, Text
from consilience.report.figures import Colour
from consilience.report.results import StudyResults
from consilience.report.sections._rnagan_reading import number
from consilience.report.shapes import Shape
from consilience.report.words import NARROW
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

ShapeType = TypeVar("ShapeType", bound=Shape)
FOLDER = "augment"
REAL_TRAIN = "real_train"
FOLD_ABOVE = 3
MOST_SHOWN = 24
PLUS_MINUS = f"{NARROW}\N{PLUS-MINUS SIGN}{NARROW}"
FIGURE_WORDS = {
    "mean_r2": "means of genes, R²",
    "sd_r2": "spreads of genes, R²",
    "sd_slope": "spreads of genes, slope",
    "class_mean_r2": "means within classes, R²",
    "fold_change_r2": "fold changes between classes, R²",
    "spread": "spread within classes, ratio",
    "diversity": "diversity within classes, ratio",
    "correlation": "gene-gene correlation within classes",
    "correlation_published": "gene-gene correlation, as published",
    "zero_error": "share of zeros, error",
    "pathways": "pathway scores, distance",
    "mmd": "maximum mean discrepancy",
    "energy": "energy distance",
    "density": "density",
    "coverage": "coverage",
    "unique_share": "share of unique samples",
    "two_sample_linear": "told apart by means, AUC",
    "two_sample_spread": "told apart by spread, AUC",
    "two_sample_joint": "told apart by pairs of genes, AUC",
    "lost_classes": "classes lost",
    "share_error": "shares of classes, error",
    "exact_copies": "exact copies",
    "near_copies": "near copies",
    "closest_share": "closer to training patients, share",
    "membership": "membership, AUC",
    "membership_distance": "membership by distance, AUC",
    "membership_correlation": "membership by correlation, AUC",
    "membership_profile": "membership by profile, AUC",
    "membership_span": "membership by span, AUC",
}
CAPITALS = {
    "vae": "VAE", "gan": "GAN", "pca": "PCA", "smote": "SMOTE", "rnagan": "RNAGAN", "gaussian": "Gaussian",
}  # fmt: skip
KIND_WORDS = {"ours": "ours", "published": "published", "classical": "classical"}
SERIES: tuple[Colour, ...] = ("c1", "c2", "c3", "c4", "c5", "c6", "c0")


def augmented_cohorts(results: StudyResults) -> list[Cohort]:
    """Cohorts in which the stage left something, in the order of the sheet."""
    if not results.config.augment.enabled:
        return []
    return [cohort for cohort in results.expression_cohorts if (results.root / FOLDER / cohort.name).is_dir()]


def told(results: StudyResults, cohort: Cohort, name: str, shape: type[ShapeType]) -> ShapeType | None:
    """A JSON file of a cohort; None where it is not there."""
    relative = f"{FOLDER}/{cohort.name}/{name}"
    return results.shape(relative, shape) if (results.root / relative).is_file() else None


def told_of_all(results: StudyResults, name: str, shape: type[ShapeType]) -> dict[Cohort, ShapeType]:
    """The same file of all cohorts that have it."""
    found = ((cohort, told(results, cohort, name, shape)) for cohort in augmented_cohorts(results))
    return {cohort: one for cohort, one in found if one is not None}


def told_each(
    results: StudyResults, cohort: Cohort, name: str, shape: type[ShapeType]
) -> dict[str, ShapeType]:
    """The objects of a JSON file by their keys; {} where it is not there. Other values are passed over."""
    relative = f"{FOLDER}/{cohort.name}/{name}"
    path = results.root / relative
    found = results.json(relative) if path.is_file() else {}
    return {key: shape_of(value, shape, where=f"{path}: {key}")
            for key, value in found.items() if isinstance(value, dict)}  # fmt: skip


def shape_of(value: object, shape: type[ShapeType], *, where: str) -> ShapeType:
    """A part of a JSON file as its shape; a mistyped one is a `DataError` naming it."""
    from pydantic import ValidationError

    from consilience.foundation.errors import DataError

    try:
        return shape.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(first["msg"], where=f"{where}.{place}", value=str(first["input"])[:80],
                        mend="delete this file and run the same command again") from None  # fmt: skip


def frame(
    results: StudyResults, cohort: Cohort, name: str, *, needs: Sequence[str] = ()
) -> pd.DataFrame | None:
    """A parquet table of a cohort; None where it is not there, is empty or lacks a column of `needs`."""
    path = results.root / FOLDER / cohort.name / name
    table = results.table(path) if path.is_file() else None
    usable = table is not None and len(table) and set(needs) <= set(table.columns)
    return table if usable else None


def in_detail(results: StudyResults, cohort: Cohort) -> bool:
    """Whether a cohort has figures of its own: the first ones of the sheet."""
    return cohort in augmented_cohorts(results)[:MOST_SHOWN]


def budget(results: StudyResults, most: int, *, total: int) -> int:
    """How much a cohort may put into the page: less where many cohorts share `total`."""
    return max(1, min(most, total // max(1, min(MOST_SHOWN, len(augmented_cohorts(results))))))


def shown_words(results: StudyResults) -> list[Block]:
    """Said where not all cohorts have figures of their own."""
    n = len(augmented_cohorts(results))
    if n <= MOST_SHOWN:
        return []
    return [Text(f"Figures are of the first {MOST_SHOWN} of {n} cohorts; the tables at the end have all.",
                 tone="small")]  # fmt: skip


def generator_words(key: str) -> str:
    """A generator by a name as short as its key, for figures and sentences."""
    if key == REAL_TRAIN:
        return "real patients"
    return " ".join(CAPITALS.get(word, word) for word in key.split("_"))


def generator_title(key: str) -> str:
    """What a generator is; "" where the registry does not know it."""
    from consilience.augment.generators import generators

    known = generators()
    if key == REAL_TRAIN:
        return "the training patients themselves, as if synthetic"
    return known[key].title if key in known else ""


def temperature_meaning(key: str) -> str:
    """What T does to a generator, as its registry says; "" where it has none."""
    from consilience.augment.generators import generators

    known = generators()
    return known[key].temperature if key in known else ""


def generator_limits(key: str) -> str:
    """What a generator assumes and where it ends, in sentences."""
    from consilience.augment.generators import generators

    known = generators()
    return f"{known[key].title}. {known[key].assumes} {known[key].limits}" if key in known else ""


def generator_kind(key: str) -> str:
    """Ours, published or classical; "" where it is none."""
    from consilience.augment.generators import generators

    known = generators()
    return KIND_WORDS[known[key].kind] if key in known else ""


def figure_words(name: str) -> str:
    """A figure as readers know it."""
    return FIGURE_WORDS.get(name, name.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Over:
    """A figure over splits: mean and standard deviation (None for one split) of `n` finite values."""

    mean: float | None
    sd: float | None
    n: int

    @property
    def low(self) -> float | None:
        """Mean less one standard deviation."""
        return self.mean if self.mean is None or self.sd is None else self.mean - self.sd

    @property
    def high(self) -> float | None:
        """Mean and one standard deviation more."""
        return self.mean if self.mean is None or self.sd is None else self.mean + self.sd

    @property
    def words(self) -> str:
        """As in "0.97 ± 0.01"."""
        if self.mean is None:
            return ""
        body = digits(self.mean)
        return body if self.sd is None else f"{body}{PLUS_MINUS}{digits(self.sd)}"


def over(table: pd.DataFrame | None, column: str) -> Over:
    """Mean and standard deviation of a column's finite values."""
    import numpy as np

    values = [] if table is None or column not in table else [number(value) for value in table[column]]
    finite = np.array([value for value in values if value is not None])
    if not finite.size:
        return Over(None, None, 0)
    spread = float(finite.std(ddof=1)) if finite.size > 1 else None
    return Over(float(finite.mean()), spread, finite.size)


def digits(value: float) -> str:
    """Two digits, none for whole numbers of some size; a true minus."""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return text.replace("-", "\N{MINUS SIGN}")


def rows_of(table: pd.DataFrame, **wanted: str | float) -> pd.DataFrame:
    """The rows with these values in these columns."""
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def listed_values(table: pd.DataFrame, column: str) -> list[str]:
    """Values of a column, each once, in the order in which they come; [] where there is no such column."""
    return [str(value) for value in dict.fromkeys(table[column].fillna(""))] if column in table else []


def coloured(keys: Sequence[str], *, first: str = "") -> dict[str, Colour]:
    """A colour for each key, the accent for `first`; grey where there are more than colours."""
    left = iter(SERIES)
    return {key: "accent" if key == first else next(left, "muted") for key in keys}
