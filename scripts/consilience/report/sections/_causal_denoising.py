"""What the denoising network can do, and that it does not know who is ill."""

from __future__ import annotations

import math
from typing import Any

from consilience.report.elements import Block, Fact, Facts, Figures, Group, Text
from consilience.report.figures import Axis, Figure, points, segments
from consilience.report.results import StudyResults
from consilience.report.sections._causal_reading import hidden, notes_of, percents, told
from consilience.report.sections._causal_shapes import DenoisingRecord, Reconstruction
from consilience.report.words import count
from consilience.study.cohorts import Cohort

METHOD_WORDS = {
    "network": "network", "gene_mean": "mean of the gene", "cell_type_mean": "mean of the cell type",
    "pca": "PCA",
    "neighbours": "nearest cells",
}  # fmt: skip


def denoising_blocks(results: StudyResults, cohort: Cohort) -> list[Block]:
    """Figures of the network; a sentence where it was not trained."""
    record = told(results, f"causal/cells/{cohort.name}/denoising.json", DenoisingRecord)
    if record is None:
        why = ("its figures are not there" if results.config.causal.denoising.enabled
               else "it was switched off (causal.denoising.enabled)")  # fmt: skip
        return [Text(f"The network that denoises: {why}.", tone="small")]
    blocks: list[Block] = []
    if record.skipped:
        blocks.append(Text(f"Not denoised: {hidden(results, record.skipped)}."))
    if facts := _facts(record):
        blocks.append(Facts(facts))
    figure = _reconstruction(f"denoising-{cohort.name}", record.reconstruction)
    blocks += [Figures((figure,))] if figure is not None else []
    blocks += notes_of(results, (*record.notes, *record.messages))
    if not blocks:
        return []
    return [Group(key=f"denoising-{cohort.name}", title="The network behind the latent confounders",
                  blocks=(Text("It learns counts, pathways, batches and donors, and is never shown who is "
                               "ill."), *blocks))]  # fmt: skip


def _facts(record: DenoisingRecord) -> tuple[Fact, ...]:
    facts = []
    if record.n_genes is not None:
        facts.append(Fact("genes", f"{record.n_genes:,}",
                          f"in {record.n_pathways:,} pathways" if record.n_pathways
                          else ""))  # fmt: skip
    if len(record.folds) > 1:
        facts.append(Fact("networks", f"{len(record.folds)}", "each donor by one that has not seen it"))
    for name, words in (("donors", "donors tell apart"), ("batches", "batches tell apart")):
        ours, pca = (record.mixing.get(one, {}).get(name) for one in ("network", "pca"))
        if ours is not None:
            beside = f"of the variance within cell types; PCA {percents(pca)}" if pca is not None else ""
            facts.append(Fact(words, percents(ours), beside))
    labels = record.permuted_labels
    if labels.rejected is not None:
        facts.append(
            Fact("labels by chance", percents(labels.rejected), "of tests at 5 % call them different")
        )
    return tuple(facts)


def _reconstruction(key: str, found: Reconstruction) -> Figure | None:
    """Cost of each method in nats per count, less than that of the best; shorter is better."""
    known = {
        name: cost for name, cost in found.nll_per_count.items() if cost is not None and math.isfinite(cost)
    }
    if len(known) < 2:
        return None
    order = sorted(known, key=lambda name: known[name])
    names = tuple(METHOD_WORDS.get(name, name.replace("_", " ")) for name in order)
    costs = [known[name] for name in order]
    places = list(range(len(order)))
    least = costs[0]
    ours = [place for place, name in enumerate(order) if name == "network"]
    others = [place for place in places if place not in ours]
    marks: list[dict[str, Any]] = [segments(x0=[least] * len(order), x1=costs, y0=places, y1=places)]
    for own, words, colour in ((others, "simple methods", "c1"), (ours, "network", "accent")):
        if own:
            marks.append(points(x=[costs[one] for one in own], y=own, name=words,
                                colour=colour,  # type: ignore[arg-type]
                                labels=[names[one] for one in own]))  # fmt: skip
    who = "donors left out" if found.left_out else "donors that were learned from"
    return Figure(
        key=key, title="How well counts are foretold", height=90 + 26 * len(order), marks=tuple(marks),
        x=Axis(label="cost, nats per count (less is better)"), y=Axis(scale="category", categories=names),
        caption=f"One half of the counts of {count(found.n_cells, 'cell') if found.n_cells else 'cells'} "
                f"of {who}, "
                "foretold from the other half.",
        alt=f"Best: {names[0]} with {least:.3f} nats per count"
            + ("" if not ours or names[0] == "network" else f"; the network has {costs[ours[0]]:.3f}") + ".",
    )  # fmt: skip
