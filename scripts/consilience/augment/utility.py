"""Whether synthetic samples help: classifiers with and without them, tested on patients nobody has seen.

Four ways to train, one test. `trtr`: real training samples; `tstr`: synthetic samples only; `augmented`:
both; `twice`: the real training samples repeated until they are as many rows as `augmented` has (given twice
where `fold` is 1). The last is the control without which no gain means anything: a forest gains from seeing
its own rows again.

Donors are split repeatedly. In every fold the generator is fitted anew to the training donors alone,
synthetic samples carry the class they were drawn for, and the held-out donors serve the test only. Learning
curves take the first n donors of each class of one order, so that a smaller training set is a part of every
larger one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.augment.classifying import class_scores, judged_scores
from consilience.augment.judging import REAL_TRAIN
from consilience.augment.makers import Maker, by_name, fresh_seed, wanted_labels
from consilience.foundation.errors import DataError, ModelError
from consilience.foundation.seeds import stream
from consilience.learning.baselines import baseline
from consilience.learning.splits import Split, donor_splits

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.learning.samples import Samples

Protocol = Literal["trtr", "tstr", "augmented", "twice"]
CLASSIFIERS = ("logistic_ridge", "random_forest")
SIZES = (10, 20, 40, 80)
"""Donors per class of the learning curve, beside all."""
ALL = 0
"""As a size: all training donors."""
MEASURES = ("accuracy", "balanced_accuracy", "auc", "brier")
Figures = tuple[float, float, float, float]
SYNTHETIC: tuple[Protocol, ...] = ("tstr", "augmented")
NOTHING: Figures = (float("nan"), float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class UtilityRow:
    """One classifier trained one way in one fold.

    `n_per_class`: donors per class asked for, 0 for all (a class with fewer gives what it has); `n_train`:
    real rows the generator and the classifier had; `n_rows`: rows the classifier was trained on; `n_test`;
    `test_ratio`: held-out over training donors of the whole split, for intervals; `seconds`: of fitting
    the generator and drawing (nothing for real rows). `error`: why there are no figures (NaN then).
    """

    split: str
    generator: str
    protocol: Protocol
    classifier: str
    n_per_class: int
    n_train: int
    n_rows: int
    n_test: int
    test_ratio: float
    fold: int
    accuracy: float
    balanced_accuracy: float
    auc: float
    brier: float
    seconds: float
    error: str


@dataclass(frozen=True)
class _Question:
    """What all rows of one fold share: training samples, test samples, classes and who is asked."""

    split: str
    size: int
    train: Samples
    test: Samples
    classes: tuple[str, ...]
    classifiers: tuple[str, ...]
    fold: int
    seed: int
    test_ratio: float


def utility(
    samples: Samples,
    generators: Mapping[str, Maker],
    *,
    classifiers: Sequence[str] = CLASSIFIERS,
    sizes: Sequence[int] = SIZES,
    n_splits: int = 10,
    test_share: float = 0.3,
    fold: int = 1,
    seed: int = 0,
    n_genes: int | None = None,
) -> pd.DataFrame:
    """Rows of UtilityRow for every split, size, generator, protocol and classifier.

    `sizes`: donors per class beside all of them (sizes no class exceeds are left out). `fold`: synthetic
    samples per real one. `n_genes`: only so many genes, those of most variance among the training samples
    of the fold. Summaries: `utility_summary.summarised`.
    """
    import pandas as pd

    rows = by_name(samples)
    splits = utility_splits(rows, n_splits=n_splits, test_share=test_share, seed=seed)
    kept = curve_sizes(rows, splits=splits, asked=sizes)
    found: list[UtilityRow] = []
    for split in splits:
        found += utility_of_split(
            rows,
            split,
            generators,
            classifiers=classifiers,
            sizes=kept,
            fold=fold,
            seed=seed,
            n_genes=n_genes,
        )
    names = [field.name for field in fields(UtilityRow)]
    return pd.DataFrame([[getattr(row, name) for name in names] for row in found], columns=names)


def utility_splits(samples: Samples, *, n_splits: int, test_share: float, seed: int) -> tuple[Split, ...]:
    """The splits by donor that `utility` uses, of samples sorted by name."""
    if len(np.unique(samples.labels)) < 2:
        raise DataError(
            "usefulness is judged by telling classes apart, and there is one class only",
            value=", ".join(np.unique(samples.labels)),
            mend="give a label column with two classes or more",
        )
    if n_splits < 1:
        raise DataError("at least one split is needed", value=n_splits)
    return tuple(
        donor_splits(
            samples.donors, labels=samples.labels, n_splits=n_splits, test_share=test_share, seed=seed
        )
    )


def curve_sizes(samples: Samples, *, splits: Sequence[Split], asked: Sequence[int]) -> tuple[int, ...]:
    """The sizes asked that leave out somebody in every split, ascending, and ALL."""
    if any(size < 1 for size in asked):
        raise DataError("donors per class must be positive", value=min(asked))
    most = min(max(_donors_of_classes(samples.take(split.train)).values()) for split in splits)
    return (*sorted({size for size in asked if size < most}), ALL)


def utility_of_split(
    samples: Samples,
    split: Split,
    generators: Mapping[str, Maker],
    *,
    classifiers: Sequence[str],
    sizes: Sequence[int],
    fold: int,
    seed: int,
    n_genes: int | None = None,
) -> list[UtilityRow]:
    """All rows of one split of samples sorted by name."""
    train, test = samples.take(split.train), samples.take(split.test)
    ratio = len(np.unique(test.donors)) / len(np.unique(train.donors))
    classes = tuple(np.unique(samples.labels).tolist())
    found: list[UtilityRow] = []
    for size in sizes:
        some = first_donors(train, n_per_class=size, seed=seed, split=split.name)
        genes = _variable_genes(some, n_genes)
        question = _Question(
            split.name, size, some.of_genes(genes), test.of_genes(genes), classes, tuple(classifiers), fold,
            seed, ratio,
        )  # fmt: skip
        found += _real_rows(question)
        for key, make in generators.items():
            found += _synthetic_rows(question, key, make)
    return found


def first_donors(train: Samples, *, n_per_class: int, seed: int, split: str) -> Samples:
    """The samples of the first `n_per_class` donors of each class (ALL: of all) in the order of this split.

    Donors stand in one order whatever their class, so that donors with samples of two classes bring both as
    far as that goes, and of two sizes the smaller is a part of the larger.
    """
    if n_per_class == ALL:
        return train
    donors = np.unique(train.donors)
    order = donors[stream(seed, "learning curve", split).permutation(len(donors))]
    keep = np.zeros(len(train), dtype=bool)
    for label in np.unique(train.labels):
        here = train.labels == label
        having = order[np.isin(order, train.donors[here])]
        keep |= here & np.isin(train.donors, having[:n_per_class])
    return train.take(keep)


def _real_rows(asked: _Question) -> list[UtilityRow]:
    train = asked.train
    # as many rows as real and synthetic ones together: with `fold` 1 twice
    again = np.concatenate([np.arange(len(train))] * (1 + asked.fold))
    found = _rows(asked, REAL_TRAIN, "trtr", train.values, train.labels, seconds=0.0)
    return found + _rows(asked, REAL_TRAIN, "twice", train.values[again], train.labels[again], seconds=0.0)


def _synthetic_rows(asked: _Question, key: str, make: Maker) -> list[UtilityRow]:
    """Fit once, draw once, train on it alone and beside the real rows."""
    train = asked.train
    keys = (asked.split, asked.size, key)
    start = time.perf_counter()
    wanted = wanted_labels(train.labels, fold=asked.fold)
    try:
        draw = make(train, fresh_seed(asked.seed, "utility fit", *keys))
        drawn = draw(wanted, fresh_seed(asked.seed, "utility draw", *keys))
        if not np.isfinite(drawn.values).all():
            raise ModelError("the generator drew values that are not finite", where=key)
    except (DataError, ModelError) as error:
        # too few patients for this generator at this size: said in the table, the others go on
        return [
            _row(asked, key, protocol, name, 0, NOTHING, 0.0, str(error))
            for protocol in SYNTHETIC
            for name in asked.classifiers
        ]
    seconds = time.perf_counter() - start
    both = np.concatenate([train.values, drawn.values]), np.concatenate([train.labels, drawn.labels])
    found = _rows(asked, key, "tstr", drawn.values, drawn.labels, seconds=seconds)
    return found + _rows(asked, key, "augmented", *both, seconds=seconds)


def _rows(
    asked: _Question, key: str, protocol: Protocol, values: npt.NDArray[np.float32],
    labels: npt.NDArray[np.str_], *, seconds: float,
) -> list[UtilityRow]:  # fmt: skip
    found = []
    for name in asked.classifiers:
        classifier = baseline(name)
        # the same seed for all ways of training: differences are of the rows, not of the trees
        seed = fresh_seed(asked.seed, "utility classifier", asked.split, asked.size)
        scores = class_scores(
            classifier, train=values, labels=labels, test=asked.test.values, classes=asked.classes, seed=seed
        )
        right = judged_scores(
            scores, truth=asked.test.labels, classes=asked.classes, probability=classifier.probability
        )
        figures = (right.accuracy, right.balanced, right.auc, right.brier)
        found.append(_row(asked, key, protocol, name, len(values), figures, seconds, ""))
    return found


def _row(
    asked: _Question, key: str, protocol: Protocol, classifier: str, n_rows: int, figures: Figures,
    seconds: float, error: str,
) -> UtilityRow:  # fmt: skip
    return UtilityRow(
        asked.split, key, protocol, classifier, asked.size, len(asked.train), n_rows, len(asked.test),
        asked.test_ratio, asked.fold, *figures, seconds, error,
    )  # fmt: skip


def _variable_genes(train: Samples, n_genes: int | None) -> tuple[str, ...]:
    if n_genes is None or n_genes >= len(train.genes):
        return train.genes
    order = np.argsort(-train.values.var(axis=0, dtype=np.float64), kind="stable")[:n_genes]
    return tuple(train.genes[place] for place in np.sort(order).tolist())


def _donors_of_classes(train: Samples) -> dict[str, int]:
    return {str(one): len(np.unique(train.donors[train.labels == one])) for one in np.unique(train.labels)}
