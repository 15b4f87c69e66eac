"""The default discriminator on the hard tasks, with and without pretraining on the rest of the kit; the published one.

`none`: no pretraining; the references are all it sees. `rest`: pretrained on the kit's cohorts that the task
does not come from. `rest+siblings`: also on other samples of the task's own cohort that its test donors have
no part in: for a task of one cell type across donors, the other cell types of the reference donors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hard_tasks.kit_cohorts import RawCohort, cells, gse55235, gse97165, kit_folder, peac, rnaseqdb
from hard_tasks.tasks import PER_BULK, PER_SHALLOW, HardTask

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.baseline import FitPredict
    from consilience.rnagan.corpus import CohortTasks, Corpus

MEMORIES = ("none", "rest", "rest+siblings")


@cache
def kit_samples(kit: Path) -> dict[str, tuple[Any, dict[str, npt.NDArray[np.str_]]]]:
    """Every cohort of the kit as samples, and its label columns (n,)."""
    normals = rnaseqdb(kit, "tcga_lihc_kirc_thca_normals")
    found: dict[str, tuple[Any, dict[str, npt.NDArray[np.str_]]]] = {}
    bulk = {"tcga_kich": rnaseqdb(kit, "tcga_kich"), "tcga_chol": rnaseqdb(kit, "tcga_chol"),
            "tcga_lihc_kirc_thca_normals": normals.labelled(normals.batches),
            "gtex_kidney_bladder": _tissues(rnaseqdb(kit, "gtex_kidney_bladder")), "gse97165": gse97165(kit)}  # fmt: skip
    for name, raw in bulk.items():
        found[name] = (raw.log_counts(per=PER_BULK), {"condition": raw.labels})
    for name, raw in {"peac": peac(kit), "gse55235": gse55235(kit)}.items():
        found[name] = (raw.as_samples(raw.values, units="log2"), {"condition": raw.labels})
    kang = cells(
        kit / "singlecell" / "kang2018_ifnb_muscat.h5ad", label="condition", donor="donor", batch="cell_type"
    )
    found["kang"] = (kang.log_counts(per=PER_SHALLOW), {"condition": kang.labels, "cell_type": kang.batches})
    zhao = cells(kit / "perturb" / "zhao2021_glioblastoma_panobinostat.h5ad", label="condition", donor="patient_id",
                 batch="sample_id")  # fmt: skip
    found["zhao2021"] = (zhao.log_counts(per=PER_SHALLOW), {"condition": zhao.labels})
    return found


def _tissues(raw: RawCohort) -> RawCohort:
    return raw.labelled(raw.batches)


def cohort_tasks(
    name: str, samples: Any, labels: dict[str, npt.NDArray[np.str_]], genes: tuple[str, ...]
) -> CohortTasks | None:
    """A cohort as tasks over these genes; None where it shares too few or tells nothing apart."""
    from consilience.rnagan.corpus import CohortTasks, donor_codes
    from consilience.rnagan.corpus_rows import rows_of_matrix
    from consilience.rnagan.corpus_tasks import families_of
    from consilience.sources.cells.matrix import Labels

    place = {gene: number for number, gene in enumerate(samples.genes)}
    at = np.array([place.get(gene, -1) for gene in genes])
    observed = at >= 0
    if observed.sum() < 50:
        return None
    values = np.zeros((len(samples), len(genes)), dtype=np.float32)
    values[:, observed] = samples.values[:, at[observed]]
    donors, known = donor_codes(Labels.from_text(samples.donors.tolist()).compact())
    columns = {key: Labels.from_text(column.tolist()).compact() for key, column in labels.items()}
    families = tuple(families_of(columns, donors))
    if not families:
        return None
    return CohortTasks(
        name,
        samples.units.endswith("1e+04") or "cell_type" in labels,
        rows_of_matrix(values),
        observed,
        families,
        known,
    )


def _siblings(task: HardTask, kit: Path) -> Iterator[tuple[str, Any, dict[str, npt.NDArray[np.str_]]]]:
    """Other cell types of the donors that give references."""
    if task.how != "donor" or "kang" not in task.cohorts:
        return
    samples, labels = kit_samples(kit)["kang"]
    own_type = task.samples.batches[0]
    donors = np.unique(task.samples.donors[task.train_rows])
    rows = np.isin(samples.donors, donors) & (labels["cell_type"] != own_type)
    # one donor has to do: each cell counts as a donor, because the test has other donors altogether
    kept = replace(samples.take(rows), donors=samples.names[rows])
    yield "siblings", kept, {key: column[rows] for key, column in labels.items()}


def corpus_for(task: HardTask, *, memory: str, kit: Path, seed: int = 0) -> Corpus | None:
    """What a model for this task may be pretrained on, over the task's genes."""
    from consilience.rnagan.corpus import Corpus

    if memory == "none":
        return None
    genes = task.samples.genes
    cohorts = [cohort for name, (samples, labels) in kit_samples(kit).items()
               if name not in task.cohorts and (cohort := cohort_tasks(name, samples, labels, genes))]  # fmt: skip
    if memory == "rest+siblings":
        cohorts += [cohort for name, samples, labels in _siblings(task, kit)
                    if (cohort := cohort_tasks(name, samples, labels, genes))]  # fmt: skip
    return Corpus(genes, load=lambda turn: tuple(cohorts), seed=seed)


def network_for(task: HardTask, *, memory: str, kit: Path | None = None) -> Any:
    """The default discriminator over the task's genes, pretrained as `memory` (one of MEMORIES) says."""
    import torch

    from consilience.rnagan.networks.default_network import DefaultDiscriminator
    from consilience.rnagan.training import begin_from

    corpus = corpus_for(task, memory=memory, kit=kit or kit_folder())
    network = DefaultDiscriminator(
        wiring_of(task.samples.genes), soften=task.samples.units.startswith("log1p")
    )
    with torch.no_grad():
        network.gene_contrasts.zero_()
    if corpus is not None:
        begin_from(network, corpus)
    return network.train(mode=False)


def published_network_for(task: HardTask, *, effort: float, kit: Path | None = None, seed: int = 0) -> Any:
    """The published discriminator, trained by its stages on the rest of the kit over the task's genes.

    `effort`: share of the steps of each stage.
    """
    from consilience.rnagan.presets import PUBLISHED, build_networks
    from consilience.rnagan.training import train

    scale = "log1p_cp10k" if task.samples.units.startswith("log1p") else "log2"
    stages = tuple(replace(stage, steps=max(1, round(stage.steps * effort))) for stage in PUBLISHED.stages)
    preset = replace(PUBLISHED, scale=scale, stages=stages)
    corpus = corpus_for(task, memory="rest", kit=kit or kit_folder(), seed=seed)
    assert corpus is not None
    discriminator, generator = build_networks(preset, task.samples.genes, wiring_of(task.samples.genes), seed)
    train(discriminator, generator, preset=preset, corpus=corpus, stages=preset.stages, seed=seed)
    return discriminator


def ours(task: HardTask, *, memory: str, kit: Path | None = None) -> FitPredict:
    """Our network as a method of the benchmark."""
    return asked(network_for(task, memory=memory, kit=kit))


def published(task: HardTask, *, effort: float, kit: Path | None = None) -> FitPredict:
    """The published network as a method of the benchmark."""
    return asked(published_network_for(task, effort=effort, kit=kit))


def asked(network: Any) -> FitPredict:
    """A trained discriminator as a method of the benchmark."""
    import torch

    def fit_predict(
        train: npt.NDArray[np.float32],
        labels: npt.NDArray[np.bool_],
        test: npt.NDArray[np.float32],
        seed: int,
    ) -> npt.NDArray[np.float64]:
        x, y = torch.from_numpy(train), torch.from_numpy(labels)
        with torch.no_grad():
            logits = network(torch.from_numpy(test), x[y], x[~y])
        return np.asarray(torch.sigmoid(logits.double()).numpy())

    return fit_predict


@cache
def wiring_of(genes: tuple[str, ...]) -> Any:
    """Shipped pathways over these genes, 5 to 500 measured genes each."""
    import gzip

    import pandas as pd

    from consilience.pathways.wiring import wire

    root = Path(__file__).resolve().parents[2] / "resources" / "gene_sets"
    known = set(genes)
    rows = []
    for name in ("hallmark", "reactome"):
        with gzip.open(root / f"{name}.gmt.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                pathway, _, *members = line.rstrip("\n").split("\t")
                own = sorted(known.intersection(members))
                if 5 <= len(own) <= 500:
                    rows += [(gene, pathway) for gene in own]
    return wire(pd.DataFrame(rows, columns=["gene", "pathway"]), genes=genes)
