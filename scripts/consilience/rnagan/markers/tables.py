"""The tables of markers and the record that goes with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.learning.differential.method import benjamini_hochberg
from consilience.rnagan.markers.agreement import Consensus, pairwise_agreement
from consilience.rnagan.markers.cohort import Cohort
from consilience.rnagan.markers.comparators import compared, log2_difference
from consilience.rnagan.markers.contrast import contrast, difference
from consilience.rnagan.markers.effects import Effects
from consilience.rnagan.markers.evidence import Evidence
from consilience.rnagan.markers.features import Pathways
from consilience.rnagan.markers.interactions import Interactions
from consilience.rnagan.markers.published import published_markers
from consilience.rnagan.markers.questions import Model
from consilience.rnagan.markers.settings import Markers, MarkerSettings
from consilience.rnagan.markers.splits import Split
from consilience.rnagan.markers.stability import Stability

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd


@dataclass(frozen=True)
class Found:
    """Everything that the tables are made of; genes come before pathways in all arrays of both.

    `one` and `again` hold consensus and stability of genes and of pathways.
    """

    cohort: Cohort
    pathways: Pathways
    splits: Sequence[Split]
    effects: Effects
    one: Sequence[Consensus]
    evidence: Evidence
    again: Sequence[Stability]
    pairs: Interactions | None
    counts: npt.NDArray[np.floating] | None
    model: Model
    seen: Collection[str]


def marker_tables(found: Found, *, positive: str, settings: MarkerSettings) -> Markers:
    """Build the result."""
    import pandas as pd

    genes = found.cohort.samples.genes
    columns, notes = compared(found.cohort, counts=found.counts)
    gene_table = _features(found, 0, settings, {"exact": found.effects.exact, **_levels(found), **columns,
                                                **_published(found, settings)})  # fmt: skip
    own = {} if found.effects.own is None else {"own_input": found.effects.own}
    pathway_table = _features(
        found,
        1,
        settings,
        {"n_genes": found.pathways.size.astype(np.int64), "coherence": found.effects.coherence, **own},
    )
    pairs = pd.DataFrame(columns=["first", "second", "effect", "se", "low", "high"])
    if found.pairs is not None:
        pairs = pd.DataFrame({
            "first": [genes[place] for place in found.pairs.first],
            "second": [genes[place] for place in found.pairs.second],
            **{name: getattr(found.pairs, name) for name in ("effect", "se", "low", "high")},
        })  # fmt: skip
    return Markers(gene_table, pathway_table, pairs, _record(found, positive, notes, settings))


def _features(
    found: Found, kind: int, settings: MarkerSettings, more: dict[str, npt.NDArray[Any]]
) -> pd.DataFrame:
    """One row a feature: genes (kind 0) or pathways (1)."""
    import pandas as pd

    n_genes = len(found.cohort.samples.genes)
    part = slice(n_genes, None) if kind else slice(0, n_genes)
    one, again, evidence = found.one[kind], found.again[kind], found.evidence
    p, tested = evidence.p[part], evidence.tested[part]
    names = found.pathways.names if kind else found.cohort.samples.genes
    return pd.DataFrame({
        "feature": list(names),
        "kind": "pathway" if kind else "gene",
        "effect": one.effect,
        "direction": np.select([one.effect > 0, one.effect < 0], ["pedal", "brake"], default=""),
        "contribution": found.effects.contribution[part],
        **{name: found.effects.effect[row, part] for row, name in enumerate(settings.attributions)},
        "agreement": one.agreement,
        "rank": one.rank,
        "statistic": evidence.statistic[part] if evidence.way != "none" else np.nan,
        "p": p,
        "fdr": benjamini_hochberg(p, tested=tested),
        "tested": tested,
        "stability": again.sign,
        "frequency": again.frequency,
        **more,
    })  # fmt: skip


def _levels(found: Found) -> dict[str, npt.NDArray[np.float64]]:
    """Means of both kinds, and the log2 fold change within batches (genes,)."""
    units = found.cohort.units
    values = units.means(found.cohort.samples.values)
    labels = contrast(units, units.positive)
    return {
        "mean_positive": values[units.positive].mean(axis=0),
        "mean_negative": values[~units.positive].mean(axis=0),
        "log2fc": log2_difference(difference(labels, values), units=found.cohort.samples.units),
    }


def _published(found: Found, settings: MarkerSettings) -> dict[str, npt.NDArray[np.float64]]:
    """The published columns for the strongest genes (NaN for others); not for a refitted scorer."""
    if not settings.published or found.model.scorer is None:
        return {}
    cohort, n_genes = found.cohort, len(found.cohort.samples.genes)
    most = settings.attribution.exact_genes
    order = np.argsort(-np.abs(found.one[0].effect), kind="stable")
    genes = np.sort(order if most is None else order[:most])
    everything = Split(np.arange(len(cohort.samples)), np.zeros(0, dtype=np.intp))
    question = found.model.question(cohort, cohort.positive, everything, found.model.scorer)
    paper = published_markers(
        found.model.scorer, positive=question.positive, negative=question.negative, genes=genes
    )
    columns = {"published_occlusion": paper.occlusion, "published_elasticity": paper.elasticity}
    spread = {name: np.full(n_genes, np.nan) for name in columns}
    for name, values in columns.items():
        spread[name][genes] = values
    return spread


def _record(found: Found, positive: str, notes: list[str], settings: MarkerSettings) -> dict[str, Any]:
    """What must be known to read the tables; JSON-ready."""
    cohort, evidence, names = found.cohort, found.evidence, settings.attributions
    n_genes = len(cohort.samples.genes)
    donors = [set(cohort.units.donors[cohort.units.positive == kind].tolist()) for kind in (True, False)]
    index = [again.index if np.isfinite(again.index) else None for again in found.again]
    asked = {row for split in found.splits for row in split.query.tolist()}
    return {
        "positive": positive,
        "negative": sorted(set(cohort.samples.labels[~cohort.positive].tolist())),
        "n_samples": len(cohort.samples),
        "n_donors_positive": len(donors[0]),
        "n_donors_negative": len(donors[1]),
        "n_donors_paired": len(donors[0] & donors[1]),
        "n_samples_asked": len(asked),
        "n_genes": n_genes,
        "n_genes_tested": int(evidence.tested[:n_genes].sum()),
        "n_pathways": len(found.pathways.names),
        "evidence": evidence.way,
        "permutations": evidence.permutations,
        "labellings_possible": min(evidence.possible, 2**53),
        "attributions": list(names),
        "agreement": pairwise_agreement(found.effects.effect[:, :n_genes], names, top=settings.top),
        "completeness_error": found.effects.error,
        "stability_index": {"genes": index[0], "pathways": index[1], "top": settings.top},
        "resamples": 2 * settings.resamples,
        "seed": settings.seed,
        "settings": {name: value for name, value in asdict(settings).items() if name != "attribution"}
        | {"attribution": asdict(settings.attribution), "attributions": list(names)},
        "caveats": [*cohort.notes, *([evidence.why] if evidence.why else []), *notes, *_caveats(found)],
    }  # fmt: skip


def _caveats(found: Found) -> list[str]:
    says = []
    if found.seen and found.evidence.way != "held_out":
        says.append("the scorer knows these donors' labels: effects, stability and contributions look "
                    "better than they would in new patients")  # fmt: skip
    fewest = min(int(found.cohort.units.positive.sum()), int((~found.cohort.units.positive).sum()))
    if fewest < 4:
        says.append(f"only {fewest} donors of one kind: effects and error rates are coarse")
    return says
