"""The step of the study: learn the networks of a cohort, write latents, figures and the model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.denoising.alignment import Sums, align
from consilience.causal.denoising.cohort import CellsFile, open_cells
from consilience.causal.denoising.denoiser import Denoiser, decoded, encoded, save_denoiser, wiring_of
from consilience.causal.denoising.folds import donor_groups
from consilience.causal.denoising.offsets import LARGEST_TABLE, Tallies, offsets_of
from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.denoising.training import Learned
    from consilience.study.causal import DenoisingSection
    from consilience.study.sections import PathwaysSection

    Codes = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]


def write_denoised(
    expression: Path,
    *,
    out_dir: Path,
    settings: DenoisingSection,
    pathways: PathwaysSection | None,
    seed: int,
    gpus: int = 0,
) -> None:
    """Write latent.parquet, denoising.json and model/ of one prepared cohort of cells."""
    import pandas as pd

    from consilience.causal.denoising.figures import figures_of

    started = time.perf_counter()
    cells = open_cells(expression, genes=settings.genes)
    one, trained, latents = fitted(cells, settings=settings, pathways=pathways, seed=seed, gpus=gpus)
    record = figures_of(cells, one, trained, latents, seed=seed)
    table = pd.DataFrame(latents.astype(np.float32), columns=[f"l{axis}" for axis in range(latents.shape[1])])
    table.insert(0, "cell", [name.decode() for name in cells.expression.names])
    table.insert(1, "fold", one.fold_of[cells.donor].astype(np.int32))
    write_parquet(out_dir / "latent.parquet", table)
    save_denoiser(out_dir / "model", one, figures=record)
    write_json(out_dir / "denoising.json", record | {"seconds": round(time.perf_counter() - started, 1)})


def fitted(
    cells: CellsFile, *, settings: DenoisingSection, pathways: PathwaysSection | None, seed: int,
    gpus: int = 0,
) -> tuple[Denoiser, tuple[Learned, ...], Floats]:  # fmt: skip
    """Networks of all folds, how they were learned, and latents (n, L) on common axes in the file's order."""
    from consilience.causal.denoising.training import Recipe, learned
    from consilience.foundation.devices import pick_device

    edges = () if settings.pathways == "none" or pathways is None else pathway_edges(cells.genes, pathways)
    wiring = wiring_of(edges, cells.genes)
    recipe = Recipe(
        latent=settings.latent, zeros=settings.likelihood == "zinb", learned=settings.pathways == "learned",
        effort=settings.effort, device=pick_device(gpus=gpus).name,
    )  # fmt: skip
    fold_of = donor_groups(cells.donors, folds=settings.folds, seed=seed)
    trained = []
    for fold in range(int(fold_of.max()) + 1):
        allowed = fold_of[cells.donor] != fold if fold_of.max() else np.ones(len(cells), dtype=bool)
        log.info("denoising: network %d of %d, %d cells", fold + 1, fold_of.max() + 1, allowed.sum())
        trained.append(learned(cells, allowed, wiring=wiring, recipe=recipe, seed=seed))
    return _gathered(cells, trained, fold_of, edges, settings.model_dump())


def _gathered(
    cells: CellsFile, trained: list[Learned], fold_of: Codes, edges: tuple[tuple[str, str], ...],
    settings: dict[str, Any],
) -> tuple[Denoiser, tuple[Learned, ...], Floats]:  # fmt: skip
    """One pass over all cells: latents of all networks, and what is expected of each donor."""
    networks = tuple(one.network for one in trained)
    size, k, n_types = networks[0].latent, len(networks), len(cells.cell_types)
    if len(cells.donors) * (n_types + 1) * len(cells.genes) > LARGEST_TABLE:
        n_types = 0
    sums, own = Sums(k, size), np.zeros((len(cells), size))
    tallies = Tallies.empty(len(cells.donors) * (n_types + 1), len(cells.genes))
    for rows, counts in cells.blocks():
        factor, fold = cells.size_factor[rows], fold_of[cells.donor[rows]]
        every = np.stack([encoded(network, counts, factor) for network in networks])
        sums.add(every.transpose(1, 0, 2).reshape(len(rows), k * size))
        own[rows] = every[fold, np.arange(len(rows))]
        for number, network in enumerate(networks):
            mine = np.flatnonzero(fold == number)
            if not mine.size:
                continue
            at = rows[mine]
            expected = np.exp(decoded(network, own[at], cells.batch[at])) * cells.size_factor[at, None]
            kind = cells.cell_type[at] if n_types else np.zeros(mine.size, dtype=np.intp)
            group = cells.donor[at] * (n_types + 1) + np.where(kind < 0, n_types, kind)
            theta = np.exp(network.log_size.detach().numpy().astype(np.float64))
            tallies.add(group, counts[mine].toarray(), expected, theta)
    alignment = align(sums)
    latents = np.zeros_like(own)
    for number in range(k):
        mine = fold_of[cells.donor] == number
        latents[mine] = alignment.onto(own[mine], number)
    offsets = offsets_of(tallies, n_donors=len(cells.donors), n_types=n_types)
    one = Denoiser(networks, cells.genes, cells.donors, cells.batches, cells.cell_types, fold_of, alignment,
                   offsets, edges, settings)  # fmt: skip
    return one, tuple(trained), latents


def pathway_edges(genes: tuple[str, ...], pathways: PathwaysSection) -> tuple[tuple[str, str], ...]:
    """Rows (gene, pathway) of the pathways these genes measure well enough; none where there are none."""
    from consilience.pathways.gene_sets import load_gene_sets
    from consilience.pathways.mask import build_mask

    try:
        mask = build_mask(
            gene_sets=load_gene_sets(pathways.gene_sets), measured={"": genes}, max_genes=pathways.max_genes,
            min_genes=pathways.min_genes, min_coverage=pathways.min_coverage,
        )  # fmt: skip
    except DataError as error:
        log.warning("denoising goes without pathways: %s", error)
        return ()
    return tuple(zip(mask.gene, mask.pathway, strict=True))
