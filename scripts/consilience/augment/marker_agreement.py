"""Whether the genes that mark a class in synthetic samples are those that mark it in patients.

Ranks and signs come from as many synthetic samples as there were patients; the agreement of the training
patients with the held-out ones is the ceiling.

**P-values of synthetic samples are no evidence.** Samples can be drawn without end, patients cannot: a class
difference in synthetic data is the difference of the n training patients, error included, plus the noise of
drawing. Drawn `fold` times n, its variance is (1 + fold) times what a test of the synthetic rows believes, so
that a level of 5 % is in truth 17 % at fold 1 and 55 % at fold 10 (`false_positive_rate`). `deflated` divides
the statistic by √(1 + fold), which restores the level for a generator that keeps class means and spreads; it
can never be better than testing the patients themselves.

References
----------
Webber W, Moffat A, Zobel J. ACM Trans Inf Syst 28:20, 2010 (rank-biased overlap). Decruyenaere A, et al.
AISTATS 2024 (inference from synthetic data must count the generator's error).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from consilience.augment.judging import REAL_TRAIN
from consilience.augment.makers import by_name, fresh_seed, wanted_labels
from consilience.foundation.errors import DataError
from consilience.learning.splits import donor_splits
from consilience.measures.ranking import average_precision

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

    from consilience.augment.makers import Maker
    from consilience.learning.differential.method import Differential
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]

Test = Literal["moderated_t", "wilcoxon"]
TOP = 50
PERSISTENCE = 0.98
"""Of rank-biased overlap: a reader goes on to the next gene with this chance, 50 genes on average."""
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class MarkerAgreement:
    """Markers of one set of samples beside a reference's, genes ranked by |statistic|.

    `top`: share of the first k genes in common (chance: k / genes). `rbo`: rank-biased overlap. `spearman`:
    of the signed statistics of all genes. `sign`: share of the reference's first k genes with the same sign.
    """

    top: float
    rbo: float
    spearman: float
    sign: float


def marker_agreement(*, reference: Floats, compared: Floats, k: int = TOP) -> MarkerAgreement:
    """Agreement of signed statistics `compared` (G,) with `reference` (G,)."""
    from scipy.stats import spearmanr

    if reference.shape != compared.shape or reference.ndim != 1 or len(reference) < 2:
        raise DataError("sizes do not agree", value=f"{reference.shape} and {compared.shape}")
    ranks = [np.argsort(-np.abs(values), kind="stable") for values in (reference, compared)]
    k = min(k, len(reference))
    first, second = ranks[0][:k], ranks[1][:k]
    flat = min(float(np.ptp(reference)), float(np.ptp(compared))) == 0
    return MarkerAgreement(
        top=len(np.intersect1d(first, second)) / k,
        rbo=rank_biased_overlap(ranks[0], ranks[1]),
        spearman=float("nan") if flat else float(spearmanr(reference, compared).statistic),
        sign=float((np.sign(reference[first]) == np.sign(compared[first])).mean()),
    )


def rank_biased_overlap(
    first: npt.NDArray[np.intp], second: npt.NDArray[np.intp], *, persistence: float = PERSISTENCE
) -> float:
    """Overlap of two orders (G,) of the same items, weight falling by `persistence` per rank; 1: the same."""
    if not 0 < persistence < 1:
        raise DataError("the persistence is out of range", value=persistence, allowed="between 0 and 1")
    n = len(first)
    place = np.empty((2, n), dtype=np.intp)
    for row, order in zip(place, (first, second), strict=True):
        row[order] = np.arange(n)
    # an item is in both lists from the depth on at which the later of the two has it
    common = np.bincount(place.max(axis=0), minlength=n).cumsum()
    depth = np.arange(1, n + 1)
    weight = (1 - persistence) * persistence ** (depth - 1.0)
    # below the last rank all is in common
    return float((weight * common / depth).sum() + persistence**n)


def truth_agreement(statistic: Floats, *, truth: Floats) -> dict[str, float]:
    """Average precision of |statistic| (G,) for genes of planted effect `truth` (G,); signs among them."""
    real = truth != 0
    known = bool(real.any() and not real.all())
    precision = average_precision(np.abs(statistic), real) if known else float("nan")
    signs = float((np.sign(statistic[real]) == np.sign(truth[real])).mean()) if real.any() else float("nan")
    return {"auprc": precision, "truth_sign": signs}


def false_positive_rate(fold: float, *, level: float = LEVEL) -> float:
    """True level of a test at `level` on `fold` synthetic samples per patient: 0.17 at 1, 0.55 at 10.

    The difference has variance v (patients) + v / fold (drawing); the test believes v / fold (many
    patients; with few its level is further off).
    """
    from scipy.stats import norm

    if not fold > 0:
        raise DataError("synthetic samples per real one", value=fold, allowed="more than 0")
    return float(2 * norm.sf(norm.ppf(1 - level / 2) / np.sqrt(1 + fold)))


def deflated(statistic: Floats, *, fold: float, freedom: float | None = None) -> Floats:
    """Two-sided p-values (G,) of statistics of synthetic samples, the patients' own error counted.

    `freedom`: of the patients (their number less that of the classes), for Student's distribution; None for
    the normal one.
    """
    from scipy.stats import norm, t

    if not fold > 0:
        raise DataError("synthetic samples per real one", value=fold, allowed="more than 0")
    shrunk = np.abs(statistic) / np.sqrt(1 + fold)
    return np.asarray(2 * (norm.sf(shrunk) if freedom is None else t.sf(shrunk, freedom)))


def markers(
    samples: Samples,
    generators: Mapping[str, Maker],
    *,
    tests: tuple[Test, ...] = ("moderated_t", "wilcoxon"),
    n_splits: int = 5,
    test_share: float = 0.5,
    folds: tuple[int, ...] = (1, 10),
    k: int = TOP,
    truth: Mapping[str, Floats] | None = None,
    permuted: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Markers of each class against the others, per split, source, number of samples and test.

    Columns: split, generator (REAL_TRAIN: the training patients, the ceiling), fold (0 for patients), class,
    test, n; top, rbo, spearman, sign against the held-out patients and `own_*` against the training patients;
    called: share of genes with p < LEVEL; called_deflated: the same with `deflated`; where `truth` gives
    planted signed effects (genes,) by class also auprc, truth_sign, and false_calls, false_calls_deflated
    among genes without an effect. `permuted`: labels are shuffled among donors first, so that every call is
    false and `called` is the true level.
    """
    import pandas as pd

    rows = by_name(samples)
    if permuted:
        rows = with_shuffled_labels(rows, seed=seed)
    splits = donor_splits(
        rows.donors, labels=rows.labels, n_splits=n_splits, test_share=test_share, seed=seed
    )
    found: list[dict[str, Any]] = []
    for split in splits:
        train, held_out = rows.take(split.train), one_per_donor(rows.take(split.test))
        donors = one_per_donor(train)
        sources = {(REAL_TRAIN, 0): (donors.values, donors.labels)}
        for key, make in generators.items():
            draw = make(train, fresh_seed(seed, "markers fit", split.name, key))
            for fold in folds:
                wanted = wanted_labels(donors.labels, fold=fold)
                drawn = draw(wanted, fresh_seed(seed, "markers draw", split.name, key, fold))
                sources[key, fold] = drawn.values, drawn.labels
        for test in tests:
            found += [
                {"split": split.name} | row
                for row in _compared(train, held_out, sources, test, k, truth or {})
            ]
    return pd.DataFrame(found)


def one_per_donor(samples: Samples) -> Samples:
    """One row per donor and class: the mean of its samples, which are no independent evidence."""
    from dataclasses import replace

    from consilience.learning.differential.donors import donor_units

    if len(np.unique(samples.donors)) == len(samples):
        return samples
    # classes in the place of batches: a unit is a donor and a class
    alike = np.zeros(len(samples), dtype=bool)
    units = donor_units(positive=alike, donors=samples.donors, batches=samples.labels)
    first = np.unique(units.unit, return_index=True)[1]
    return replace(samples.take(first), values=units.means(samples.values).astype(np.float32))


def with_shuffled_labels(samples: Samples, *, seed: int) -> Samples:
    """Labels dealt out anew among donors, so that no class differs; of one donor all samples get one label.

    Where donors have several labels (before and after), each donor's own labels are shuffled instead.
    """
    from dataclasses import replace

    from consilience.foundation.seeds import stream

    donors, place = np.unique(samples.donors, return_inverse=True)
    rng = stream(seed, "shuffled labels")
    own = [np.unique(samples.labels[place == number]) for number in range(len(donors))]
    if all(len(one) == 1 for one in own):
        kinds = np.array([one[0] for one in own])
        return replace(samples, labels=kinds[rng.permutation(len(donors))][place])
    labels = samples.labels.copy()
    for number in range(len(donors)):
        rows = np.flatnonzero(place == number)
        labels[rows] = samples.labels[rows[rng.permutation(len(rows))]]
    return replace(samples, labels=labels)


def _compared(
    train: Samples, held_out: Samples, sources: Mapping[tuple[str, int], Any], test: Test, k: int,
    truth: Mapping[str, Floats],
) -> list[dict[str, Any]]:  # fmt: skip
    found = []
    classes = np.unique(train.labels).tolist()
    freedom = max(1, len(train) - len(classes))
    # of two classes one says all: the other is its mirror
    for label in classes[1:] if len(classes) == 2 else classes:
        outer = _differential(held_out.values, held_out.labels == label, test)
        inner = _differential(train.values, train.labels == label, test)
        for (key, fold), (values, labels) in sources.items():
            row = {"generator": key, "fold": fold, "class": label, "test": test, "n": len(values)}
            mine = _differential(values, labels == label, test)
            if mine is None or outer is None or inner is None:
                continue
            agreement = marker_agreement(reference=outer.statistic, compared=mine.statistic, k=k)
            own = marker_agreement(reference=inner.statistic, compared=mine.statistic, k=k)
            row |= {name: getattr(agreement, name) for name in MarkerAgreement.__slots__}
            row |= {f"own_{name}": getattr(own, name) for name in MarkerAgreement.__slots__}
            honest = deflated(mine.statistic, fold=fold, freedom=freedom) if fold else mine.p
            row |= {
                "called": float((mine.p < LEVEL).mean()),
                "called_deflated": float((honest < LEVEL).mean()),
            }
            if label in truth:
                row |= truth_agreement(mine.statistic, truth=truth[label])
                none = truth[label] == 0
                row["false_calls"] = float((mine.p[none] < LEVEL).mean()) if none.any() else float("nan")
                row["false_calls_deflated"] = (
                    float((honest[none] < LEVEL).mean()) if none.any() else float("nan")
                )
            found.append(row)
    return found


def _differential(
    values: npt.NDArray[np.float32], positive: npt.NDArray[np.bool_], test: Test
) -> Differential | None:
    """None where a class is too small (or lost by the generator)."""
    from consilience.learning.differential.method import LEAST_DONORS
    from consilience.learning.differential.moderated_t import moderated_t
    from consilience.learning.differential.wilcoxon import wilcoxon

    if min(int(positive.sum()), int((~positive).sum())) < LEAST_DONORS:
        return None
    run = moderated_t if test == "moderated_t" else wilcoxon
    return run(values=values, positive=positive, batches=np.zeros(len(values), dtype=np.intp))
