"""What the model's vectors are worth, beside principal components fitted on the same references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples
from consilience.measures.neighbours import batch_mixing, fit_pca, label_accuracy, stability
from consilience.measures.plain import plain
from consilience.rnagan.vectors import WithEncoder, sample_vectors

if TYPE_CHECKING:
    import numpy.typing as npt

N_COMPONENTS = 64


@dataclass(frozen=True)
class Figure:
    """Mean and standard deviation over seeds."""

    mean: float
    sd: float


@dataclass(frozen=True)
class SpaceFigures:
    """What one kind of vectors is worth.

    `accuracy`, `balanced`: labels of the queries guessed from neighbours among references of other donors.
    `mixing`: normalised entropy of batches among neighbours within labels; `lisi` beside `lisi_mixed`;
    `rejection`: share of neighbourhoods unlike the whole. `overlap_genes`, `distances_genes`: common
    neighbours and correlation of distances when genes are hidden; `overlap_references`,
    `distances_references`: when the references are resampled (1 where vectors do not depend on them).
    """

    accuracy: Figure
    balanced: Figure
    mixing: Figure
    lisi: Figure
    lisi_mixed: Figure
    rejection: Figure
    overlap_genes: Figure
    distances_genes: Figure
    overlap_references: Figure
    distances_references: Figure


@dataclass(frozen=True)
class VectorsEvaluation:
    """The model's vectors beside principal components fitted on the same references.

    `chance`: accuracy of the commonest label; `overlap_chance`: common neighbours by chance.
    """

    n_references: int
    n_queries: int
    k: int
    n_seeds: int
    hidden_genes: float
    chance: float
    overlap_chance: float
    rnagan: SpaceFigures
    pca: SpaceFigures

    def to_plain(self) -> dict[str, Any]:
        """For JSON: numbers, and None for what could not be computed."""
        found: dict[str, Any] = plain(self)
        return found


def evaluate_vectors(
    model: WithEncoder,
    *,
    references: Samples,
    queries: Samples,
    observed: npt.NDArray[np.bool_] | None = None,
    k: int = 15,
    n_seeds: int = 5,
    share: float = 0.8,
    hidden_genes: float = 0.2,
    seed: int = 0,
) -> VectorsEvaluation:
    """Judge vectors with `references` (donors the model may have seen) and `queries` (donors it never saw).

    In each of `n_seeds` rounds a `share` of the reference donors is drawn, the components are fitted on it,
    and a share `hidden_genes` of the genes is hidden (marked as not observed, at the mean of the
    references).
    """
    shared = np.intersect1d(references.donors, queries.donors)
    if shared.size:
        raise DataError("donors are both references and queries", value=", ".join(shared[:5]),
                        mend="split by donor")  # fmt: skip
    seen = np.ones(len(model.genes), dtype=bool) if observed is None else observed
    mean = references.values.mean(axis=0)
    whole = _whole(model, references, queries, seen)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in whole}
    for number in range(n_seeds):
        rows = _draw(references, share, seed, number)
        hidden = stream(seed, "hidden-genes", number).random(len(seen)) < hidden_genes
        masked = np.where(hidden, mean, queries.values).astype(np.float32)
        less = replace(queries, values=masked)
        own = whole["rnagan"]
        pca = fit_pca(references.values[rows], N_COMPONENTS)
        parts: dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]] = {
            "rnagan": (own[0][rows], own[1], sample_vectors(model, less, observed=seen & ~hidden)),
            "pca": (
                pca.transform(references.values[rows]),
                pca.transform(queries.values),
                pca.transform(masked),
            ),
        }
        for name, (there, here, thinned) in parts.items():
            rounds[name].append(
                _round(references.take(rows), queries, there, here, thinned, whole[name][1], k)
            )
    return VectorsEvaluation(
        n_references=len(references), n_queries=len(queries), k=k, n_seeds=n_seeds, hidden_genes=hidden_genes,
        chance=rounds["pca"][0]["chance"], overlap_chance=rounds["pca"][0]["overlap_chance"],
        rnagan=_figures(rounds["rnagan"]), pca=_figures(rounds["pca"]),
    )  # fmt: skip


def _whole(
    model: WithEncoder, references: Samples, queries: Samples, seen: npt.NDArray[np.bool_]
) -> Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Vectors of references and queries with all references and all genes."""
    pca = fit_pca(references.values, N_COMPONENTS)
    return {
        "rnagan": (
            sample_vectors(model, references, observed=seen),
            sample_vectors(model, queries, observed=seen),
        ),
        "pca": (pca.transform(references.values), pca.transform(queries.values)),
    }


def _draw(references: Samples, share: float, seed: int, number: int) -> npt.NDArray[np.intp]:
    """Rows of a share of the donors, at least two, drawn by name and not by place."""
    donors = np.unique(references.donors)
    chosen = stream(seed, "reference-donors", number).permutation(donors)[
        : max(2, round(share * len(donors)))
    ]
    return np.flatnonzero(np.isin(references.donors, chosen))


def _round(
    references: Samples, queries: Samples, there: npt.NDArray[Any], here: npt.NDArray[Any],
    thinned: npt.NDArray[Any], before: npt.NDArray[Any], k: int,
) -> dict[str, float]:  # fmt: skip
    found = label_accuracy(
        queries=here, query_labels=queries.labels, query_donors=queries.donors, references=there,
        reference_labels=references.labels, reference_donors=references.donors, k=k,
    )  # fmt: skip
    mixed = batch_mixing(
        vectors=np.concatenate([there, here]),
        batches=np.concatenate([references.batches, queries.batches]),
        donors=np.concatenate([references.donors, queries.donors]),
        labels=np.concatenate([references.labels, queries.labels]),
        k=k,
    )
    hidden, resampled = stability(first=here, second=thinned, k=k), stability(first=before, second=here, k=k)
    return {
        "accuracy": found.accuracy, "balanced": found.balanced, "chance": found.chance,
        "mixing": mixed.entropy, "lisi": mixed.lisi, "lisi_mixed": mixed.lisi_mixed,
        "rejection": mixed.rejection,
        "overlap_genes": hidden.overlap, "distances_genes": hidden.distances, "overlap_chance": hidden.chance,
        "overlap_references": resampled.overlap, "distances_references": resampled.distances,
    }  # fmt: skip


def _figures(rounds: list[dict[str, float]]) -> SpaceFigures:
    names = [name for name in rounds[0] if name not in {"chance", "overlap_chance"}]
    columns = {name: np.array([one[name] for one in rounds]) for name in names}
    return SpaceFigures(**{
        name: Figure(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0)
        for name, values in columns.items()
    })  # fmt: skip
