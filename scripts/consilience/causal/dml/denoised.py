"""Denoised expression as the treatment: what the network makes of each cell's counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.cells_file import TypePlan
    from consilience.causal.dml.gene_choice import SeenGenes


def denoised_values(
    *, model: Path | None, expression: Path | None, plan: TypePlan, seen: SeenGenes, genes: Sequence[str]
) -> tuple[SeenGenes, npt.NDArray[np.float32]]:
    """What became of the genes, and the values (cells of the plan, genes kept) on the scale of log1p."""
    if model is None or expression is None:
        raise DataError(
            "denoised expression needs the network that denoises",
            where="causal.dml.expression",
            value="denoised",
            mend="set causal.denoising.enabled, or expression to observed",
        )
    from consilience.causal.denoising.denoiser import denoised, denoised_genes, load_denoiser

    denoiser = load_denoiser(model)
    place = {name: number for number, name in enumerate(denoised_genes(denoiser))}
    column = np.array([place.get(name, -1) for name in genes])
    reason = np.where((column < 0) & seen.kept, "not_denoised", seen.reason)
    told = replace(seen, reason=reason)
    columns = column[told.kept]
    values = np.empty((plan.rows.size, columns.size), dtype=np.float32)
    for places, block in denoised(denoiser, expression, rows=plan.rows):
        values[places] = block[:, columns]
    return told, values
