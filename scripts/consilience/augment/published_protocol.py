"""The published evaluation of synthetic transcriptomes, as it was done, and what its short cuts are worth.

Published: StandardScaler and PCA(50) fitted on *all* real samples; labels are the two clusters KMeans finds
there, not the disease; synthetic samples get theirs from the same KMeans; a forest of 100 trees is trained on
the synthetic samples and tested on a stratified 30 % of the real ones, all of which the generator had seen.
A forest needs only find again a boundary that was drawn in the very space it is given, so nearly any sampler
that reaches both clusters scores near 1, whether or not its classes mean anything.

`protocol_ladder` changes one thing at a time: `published`; `unseen_rows` (scaling, clusters and generator
know the training patients only); `true_labels` (the disease instead of clusters, rows still seen); `honest`
(both).

References
----------
Song: RareDisease-Transcriptome-VAE, Zenodo 10.5281/zenodo.18431155 (accuracy .9931, F1 .9932, AUC .9899, mean
R² .9988, sd R² .9378 on GSE134900).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.makers import Maker, by_name, fresh_seed, wanted_labels
from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.learning.splits import donor_splits
from consilience.measures.correlation import published_similarity
from consilience.measures.distances import mean_pairwise
from consilience.measures.gene_agreement import line, mean_of, ratio, sd_of
from consilience.measures.ranking import auc

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.learning.samples import Samples

    Rows = npt.NDArray[np.floating]

COMPONENTS = 50
TREES = 100
TEST_SHARE = 0.3
MOST_SYNTHETIC, MOST_REAL = 500, 100
"""Rows that the published diversity looks at."""
LEAST_ROWS = 8
N_PUBLISHED = 1000
"""Synthetic samples drawn in the published evaluation."""
RUNGS = ("published", "unseen_rows", "true_labels", "honest")


@dataclass(frozen=True, slots=True)
class PublishedFigures:
    """The published figures.

    `accuracy`, `f1` (of cluster 1), `auc`: of the forest on the pseudo-labels of `n_test` real rows.
    `mean_r2`, `sd_r2`: squared Pearson correlation, across genes, of gene-wise means and standard deviations;
    `sd_slope` (not published) shows what the latter hides. `correlation`: Pearson of the 50 × 50 correlation
    matrices, diagonal included. `diversity`: ratio of mean pairwise distances. `purity`: how far the clusters
    are the disease: adjusted Rand index of pseudo-labels and classes (0: not at all, 1: the same).
    `synthetic_share`: synthetic samples in cluster 1 (0 or 1: a cluster was not reached).
    """

    accuracy: float
    f1: float
    auc: float
    mean_r2: float
    sd_r2: float
    sd_slope: float
    correlation: float
    diversity: float
    purity: float
    synthetic_share: float
    n_test: int
    n_components: int


@dataclass(frozen=True)
class _Space:
    """Scaling, components and clusters as fitted to real rows."""

    scaler: Any
    pca: Any
    clusters: Any

    @classmethod
    def of(cls, values: Rows, *, seed: int) -> _Space:
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA
        from sklearn.preprocessing import StandardScaler

        rows = values.astype(np.float64)
        scaler = StandardScaler().fit(rows)
        scaled = scaler.transform(rows)
        # PCA cannot have more components than rows less one that say anything
        n = min(COMPONENTS, len(values) - 1, values.shape[1])
        pca = PCA(n, svd_solver="full").fit(scaled)
        start = fresh_seed(seed, "published clusters")
        clusters = KMeans(2, n_init=10, random_state=start).fit(pca.transform(scaled))
        return cls(scaler, pca, clusters)

    def place(self, values: Rows) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = self.pca.transform(self.scaler.transform(values.astype(np.float64)))
        return found

    def cluster(self, values: Rows) -> npt.NDArray[np.str_]:
        found: npt.NDArray[np.str_] = self.clusters.predict(self.place(values)).astype(str)
        return found


def published_protocol(
    *, real: Rows, labels: npt.NDArray[np.str_], synthetic: Rows, seed: int = 0
) -> PublishedFigures:
    """The published evaluation of `synthetic` (k, G), made from all of `real` (n, G) with classes (n,).

    Circular and leaky by design: see this module. Real rows in a fixed order (by name) give fixed figures.
    """
    from sklearn.metrics import adjusted_rand_score

    _check(real, synthetic)
    space = _Space.of(real, seed=seed)
    pseudo, made = space.cluster(real), space.cluster(synthetic)
    test = _stratified_test(pseudo, seed=seed)
    found = _forest(
        space.place(synthetic), made, space.place(real[test]), pseudo[test], classes=("0", "1"), seed=seed
    )
    spread = line(x=sd_of(real), y=sd_of(synthetic))
    return PublishedFigures(
        accuracy=found["accuracy"],
        f1=found["f1"],
        auc=found["auc"],
        mean_r2=line(x=mean_of(real), y=mean_of(synthetic)).r2,
        sd_r2=spread.r2,
        sd_slope=spread.slope,
        correlation=published_similarity(reference=real, compared=synthetic),
        diversity=_published_diversity(real, synthetic, seed=seed),
        purity=float(adjusted_rand_score(labels, pseudo)),
        synthetic_share=float((made == "1").mean()),
        n_test=int(test.sum()),
        n_components=int(space.pca.n_components_),
    )


def protocol_ladder(
    samples: Samples, generators: Mapping[str, Maker], *, n_splits: int = 5, seed: int = 0,
    n_synthetic: int = N_PUBLISHED,
) -> pd.DataFrame:  # fmt: skip
    """One row per split, generator and rung of RUNGS: accuracy, f1, auc of the same forest.

    Two fits per generator and split: on all patients (the rungs that test on seen rows) and on the training
    patients. The rungs with unseen rows test on the split's held-out donors, the others on the published
    30 %.
    """
    import pandas as pd

    rows = by_name(samples)
    _check(rows.values, rows.values)
    splits = donor_splits(
        rows.donors, labels=rows.labels, n_splits=n_splits, test_share=TEST_SHARE, seed=seed
    )
    found: list[dict[str, Any]] = []
    for split in splits:
        train, held_out = rows.take(split.train), rows.take(split.test)
        own = fresh_seed(seed, "ladder", split.name)
        for key, make in generators.items():
            named = {"split": split.name, "generator": key}
            seen = _drawn(make, rows, n_synthetic=n_synthetic, seed=own)
            unseen = _drawn(make, train, n_synthetic=n_synthetic, seed=own)
            for rung, figures in zip(RUNGS, _rungs(rows, train, held_out, seen, unseen, own), strict=True):
                found.append(named | {"protocol": rung} | figures)
    return pd.DataFrame(found)


def _rungs(
    everyone: Samples, train: Samples, held_out: Samples, seen: Any, unseen: Any, seed: int
) -> list[dict[str, float]]:
    whole, inside = _Space.of(everyone.values, seed=seed), _Space.of(train.values, seed=seed)
    pseudo = whole.cluster(everyone.values)
    by_cluster, by_class = (_stratified_test(kind, seed=seed) for kind in (pseudo, everyone.labels))
    classes = tuple(np.unique(everyone.labels).tolist())
    two = ("0", "1")
    rows, made = everyone.values, unseen.values
    return [
        _forest(whole.place(seen.values), whole.cluster(seen.values),
                whole.place(rows[by_cluster]), pseudo[by_cluster], classes=two, seed=seed),
        _forest(inside.place(made), inside.cluster(made),
                inside.place(held_out.values), inside.cluster(held_out.values), classes=two, seed=seed),
        _forest(whole.place(seen.values), seen.labels,
                whole.place(rows[by_class]), everyone.labels[by_class], classes=classes, seed=seed),
        _forest(inside.place(made), unseen.labels,
                inside.place(held_out.values), held_out.labels, classes=classes, seed=seed),
    ]  # fmt: skip


def _drawn(make: Maker, samples: Samples, *, n_synthetic: int, seed: int) -> Any:
    """About `n_synthetic` samples in the class shares of `samples`, from a generator that saw all of them."""
    fold = max(1, round(n_synthetic / len(samples)))
    draw = make(samples, fresh_seed(seed, "ladder fit"))
    return draw(wanted_labels(samples.labels, fold=fold), fresh_seed(seed, "ladder draw"))


def _forest(
    train: Rows, labels: npt.NDArray[np.str_], test: Rows, truth: npt.NDArray[np.str_], *,
    classes: tuple[str, ...], seed: int,
) -> dict[str, float]:  # fmt: skip
    """Accuracy, F1 (of the last class; of all, averaged, where there are more than two) and AUC."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import f1_score

    start = fresh_seed(seed, "published forest")
    forest = RandomForestClassifier(n_estimators=TREES, n_jobs=1, random_state=start).fit(train, labels)
    votes = np.zeros((len(test), len(classes)))
    places = [classes.index(str(name)) for name in forest.classes_]
    votes[:, places] = forest.predict_proba(test)
    said = np.array(classes)[votes.argmax(axis=1)]
    areas = [
        auc(votes[:, place], truth == name)
        for place, name in enumerate(classes)
        if (truth == name).any() and (truth != name).any()
    ]
    f1 = f1_score(truth == classes[-1], said == classes[-1], zero_division=0.0)
    if len(classes) > 2:
        f1 = f1_score(truth, said, average="macro", zero_division=0.0)
    area = float(np.mean(areas)) if areas else float("nan")
    return {"accuracy": float((said == truth).mean()), "f1": float(f1), "auc": area}


def _stratified_test(labels: npt.NDArray[np.str_], *, seed: int) -> npt.NDArray[np.bool_]:
    """30 % of the rows (n,), as near as may be of each label; donors are parted, as was published."""
    wanted = int(np.ceil(TEST_SHARE * len(labels)))
    rng = stream(seed, "published split")
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    test = np.zeros(len(labels), dtype=bool)
    test[np.argsort(place, kind="stable")[:wanted]] = True
    return test


def _published_diversity(real: Rows, synthetic: Rows, *, seed: int) -> float:
    some = [
        values[stream(seed, "published diversity", most).permutation(len(values))[:most]]
        for values, most in ((synthetic, MOST_SYNTHETIC), (real, MOST_REAL))
    ]
    return ratio(mean_pairwise(some[0]), mean_pairwise(some[1]))


def _check(real: Rows, synthetic: Rows) -> None:
    if real.ndim != 2 or synthetic.ndim != 2 or real.shape[1] != synthetic.shape[1]:
        raise DataError("sizes do not agree", value=f"real {real.shape}, synthetic {synthetic.shape}")
    if len(real) < LEAST_ROWS or len(synthetic) < 2:
        raise DataError(
            "too few samples for the published protocol",
            value=f"{len(real)} real, {len(synthetic)} synthetic",
            allowed=f"at least {LEAST_ROWS} real and 2 synthetic samples",
        )
    if not (np.isfinite(real).all() and np.isfinite(synthetic).all()):
        raise DataError("values are missing or infinite", mend="impute or drop these genes first")
