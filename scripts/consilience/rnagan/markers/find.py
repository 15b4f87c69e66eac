"""Find markers: signed effects of genes and pathways on a model's score, with error rates and stability."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.rnagan.markers.agreement import Consensus, consensus, strongest
from consilience.rnagan.markers.cohort import LEAST_DONORS, Cohort, build_cohort
from consilience.rnagan.markers.effects import all_effects, effects_of
from consilience.rnagan.markers.evidence import (
    Evidence,
    Way,
    combined,
    no_evidence,
    permuted_evidence,
    split_evidence,
)
from consilience.rnagan.markers.features import Pathways, pathways_of, unit_slopes
from consilience.rnagan.markers.interactions import Interactions, interactions
from consilience.rnagan.markers.questions import Model, plain_slopes
from consilience.rnagan.markers.scorer import Refit, Scorer
from consilience.rnagan.markers.settings import Markers, MarkerSettings
from consilience.rnagan.markers.splits import Split, folds, halves, has_both_kinds
from consilience.rnagan.markers.stability import stability
from consilience.rnagan.markers.tables import Found, marker_tables

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples


def find_markers(
    samples: Samples,
    *,
    positive: str,
    negative: str | Collection[str] | None = None,
    scorer: Scorer | None = None,
    refit: Refit | None = None,
    seen_donors: Collection[str] = (),
    pathways: Any = None,
    counts: npt.NDArray[np.floating] | None = None,
    settings: MarkerSettings | None = None,
) -> Markers:
    """Markers of the kind `positive` against `negative` labels (all others unless given).

    Give a `scorer`, and the donors of this cohort whose labels it was trained with (`seen_donors`); or
    `refit`, which trains one on given samples and labels. `pathways`: a mapping, a table (gene, pathway) or a
    `Wiring`. `counts` (n, G) in the order of `samples` adds the negative binomial comparison.

    Raises
    ------
    DataError
        With one kind only, fewer than two donors of a kind, NaN, or names that are there twice.
    """
    settings = settings or MarkerSettings()
    cohort = build_cohort(samples, positive=positive, negative=negative, per_unit=settings.per_unit)
    sets = pathways_of(pathways, samples.genes)
    model = Model(scorer, refit, settings.references, settings.seed)
    seen = set(seen_donors) & set(cohort.samples.donors.tolist()) if refit is None else set()
    way, why = choose_way(cohort, settings=settings, refitted=refit is not None, seen=seen)
    splits = _held_out(cohort, seen) if way == "held_out" else folds(
        cohort, cohort.positive, count=settings.folds, seed=settings.seed
    )  # fmt: skip
    effects = effects_of(model, cohort, splits, sets, settings)
    one = _by_kind(effects.effect, len(samples.genes))
    evidence, resampled = _evidence(model, cohort, sets, splits, seen, way, why, settings)
    effect = np.concatenate([part.effect for part in one])
    parts = [
        stability(resampled[:, kind], effect[kind], top=settings.top)
        for kind in (slice(0, len(samples.genes)), slice(len(samples.genes), None))
    ]
    pairs = _pairs(model, cohort, splits, one[0].effect, settings)
    if counts is not None:
        counts = _counts_of(counts, samples, cohort)
    found = Found(cohort, sets, splits, effects, one, evidence, parts, pairs, counts, model, seen)
    return marker_tables(found, positive=positive, settings=settings)


def choose_way(
    cohort: Cohort, *, settings: MarkerSettings, refitted: bool, seen: Collection[str]
) -> tuple[Way, str]:
    """Which way to error rates is valid here (see `evidence`), and why there is none."""
    if settings.evidence == "none" or settings.permutations == 0:
        return "none", "not asked for"
    if refitted:
        return ("permute" if settings.evidence == "permute" else "splits"), ""
    if not seen:
        return ("splits" if settings.evidence == "splits" else "permute"), ""
    split = _held_out(cohort, seen)[0]
    rows, labels = split.query, cohort.positive[split.query]
    donors = [len(set(cohort.samples.donors[rows[labels == kind]].tolist())) for kind in (True, False)]
    if has_both_kinds(cohort.positive[split.reference]) and min(donors) >= LEAST_DONORS:
        return "held_out", ""
    return "none", (
        "the scorer was trained with the labels of these donors, and too few others are there "
        f"({donors[0]} positive, {donors[1]} other; {LEAST_DONORS} of each are needed, and seen donors of "
        "both kinds as references): keep donors back from training, or give refit="
    )


def _held_out(cohort: Cohort, seen: Collection[str]) -> list[Split]:
    known = np.isin(cohort.samples.donors, sorted(seen))
    return [Split(np.flatnonzero(known), np.flatnonzero(~known))]


def _by_kind(effects: npt.NDArray[np.float64], n_genes: int) -> list[Consensus]:
    return [consensus(effects[:, kind]) for kind in (slice(0, n_genes), slice(n_genes, None))]


def _evidence(
    model: Model, cohort: Cohort, sets: Pathways, splits: Sequence[Split], seen: Collection[str],
    way: Way, why: str, settings: MarkerSettings,
) -> tuple[Evidence, npt.NDArray[np.float64]]:  # fmt: skip
    """Error rates, and effects of resamples (M, F); where both need the same fits, these are made once."""
    n = len(cohort.samples.genes) + len(sets.names)
    count = max(settings.resamples, 1) if way == "splits" else settings.resamples
    # when nobody is unseen, everybody was seen: resamples then tell of references and patients only
    apart = seen if way == "held_out" else ()
    again = halves(cohort, count=count, seed=settings.seed, seen=apart) if count else []
    resampled, evidences = [], []
    for asked, slope, effect in _asked(model, cohort, again, sets, settings):
        resampled.append(effect)
        if way == "splits":
            evidences.append(
                split_evidence(slope, asked, sets, count=settings.permutations, seed=settings.seed)
            )
    again_effects = np.array(resampled).reshape(len(resampled), n)
    if way == "permute":
        evidence = permuted_evidence(
            model, cohort, sets, n_folds=settings.folds, count=settings.permutations, steps=settings.steps,
            seed=settings.seed,
        )  # fmt: skip
        return evidence, again_effects
    if way == "held_out":
        evidences = [
            split_evidence(slope, asked, sets, count=settings.permutations, seed=settings.seed)
            for asked, slope, _ in _asked(model, cohort, splits, sets, settings)
        ]
    if way == "none":
        return no_evidence(n, why), again_effects
    return combined(evidences, way=way, permutations=settings.permutations, seed=settings.seed), again_effects


def _asked(
    model: Model, cohort: Cohort, splits: Sequence[Split], sets: Pathways, settings: MarkerSettings
) -> Any:
    """Yield for each split the donors asked about, their slopes, and the effects (F,) in them."""
    for split, question in model.questions(cohort, cohort.positive, splits):
        if not has_both_kinds(cohort.positive[split.query]):
            continue
        asked = cohort.take(split.query)
        slope = plain_slopes(question, steps=settings.steps)
        yield asked, slope, all_effects(unit_slopes(asked, slope), asked, sets).effect


def _pairs(
    model: Model, cohort: Cohort, splits: Sequence[Split], effect: npt.NDArray[np.float64],
    settings: MarkerSettings,
) -> Interactions | None:  # fmt: skip
    genes = strongest(effect, settings.interactions)
    if len(genes) < 2:
        return None
    asked = list(model.questions(cohort, cohort.positive, splits))
    donors = [cohort.samples.donors[split.query] for split, _ in asked]
    return interactions([question for _, question in asked], genes, donors=donors)


def _counts_of(
    counts: npt.NDArray[np.floating], samples: Samples, cohort: Cohort
) -> npt.NDArray[np.floating]:
    """Rows of the counts that belong to the cohort's samples."""
    if counts.shape != samples.values.shape:
        raise DataError(
            "counts and samples differ in size", value=counts.shape, allowed=str(samples.values.shape)
        )
    place = {name: row for row, name in enumerate(samples.names.tolist())}
    return counts[[place[name] for name in cohort.samples.names.tolist()]]
