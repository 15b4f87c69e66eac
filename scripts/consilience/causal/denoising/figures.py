"""What denoising.json tells: how well counts are foretold, whether batches and donors mix, and no label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.denoising import baselines
from consilience.causal.denoising.cohort import CellsFile, Pool, read_pool
from consilience.causal.denoising.start import log_normalised, principal_axes
from consilience.causal.denoising.training import held_out
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.denoising.denoiser import Denoiser
    from consilience.causal.denoising.training import HeldOut, Learned

    Codes = npt.NDArray[np.intp]
    Floats = npt.NDArray[np.float64]

JUDGED, SEEN, SIZED = 256, 4_000, 256
"""Cells of the donors left out that are judged per fold, training cells behind the simple methods, and cells
their θ are fitted on."""
MIXED = 10_000
PERMUTATIONS = 500
READ = ("counts", "donor", "batch", "cell_type", "size_factor")


def figures_of(
    cells: CellsFile, one: Denoiser, trained: Sequence[Learned], latents: Floats, *, seed: int
) -> dict[str, Any]:
    """All figures of denoising.json."""
    return {
        "n_cells": len(cells), "n_genes": len(cells.genes), "n_donors": len(cells.donors),
        "genes_in_pathways": len({gene for gene, _ in one.pathways}),
        "n_pathways": len({pathway for _, pathway in one.pathways}),
        "columns_read": list(READ), "settings": one.settings, "notes": list(cells.notes),
        "folds": [
            {"donors": int((one.fold_of == fold).sum()),
             "cells": int((one.fold_of[cells.donor] == fold).sum()),
             "epochs": len(found.history), "best_epoch": found.best_epoch,
             "validation": [round(float(line["validation.loss"]), 6) for line in found.history
                            if line.get("validation.loss") is not None]}
            for fold, found in enumerate(trained)
        ],
        "agreement_of_networks": one.alignment.agreement.round(4).tolist(),
        "reconstruction": reconstruction(cells, one, seed=seed),
        "mixing": mixing(cells, latents, seed=seed),
        "permuted_labels": permuted_labels(cells, latents, seed=seed),
    }  # fmt: skip


def reconstruction(cells: CellsFile, one: Denoiser, *, seed: int) -> dict[str, Any]:
    """Nats per count of donors left out, one half of each count foretold from the other, by each method.

    With one network for all donors nobody is left out: `left_out` is False then.
    """
    costs: dict[str, float] = {}
    n_counts, n_cells, left_out = 0.0, 0, one.fold_of.max() > 0
    for fold, network in enumerate(one.networks):
        inside = one.fold_of[cells.donor] == fold
        judged = held_out(cells, inside, seed=seed + 1, most=JUDGED)
        training = ~inside if left_out else inside
        for name, cost in _costs(cells, judged, network, training, latent=network.latent, seed=seed).items():
            costs[name] = costs.get(name, 0.0) + cost
        n_counts, n_cells = n_counts + float(judged.asked.sum()), n_cells + judged.n
    nll = {name: cost / max(n_counts, 1.0) for name, cost in costs.items()}
    return {
        "left_out": bool(left_out), "n_cells": n_cells,
        "nll_per_count": {name: round(value, 5) for name, value in nll.items()},
        "best": min(nll, key=lambda name: nll[name]) if nll else None,
    }  # fmt: skip


def _costs(
    cells: CellsFile,
    judged: HeldOut,
    network: Any,
    training: npt.NDArray[np.bool_],
    *,
    latent: int,
    seed: int,
) -> dict[str, float]:
    if not judged.n:
        return {}
    from scipy import sparse

    known = sampled(cells, training, most=SEEN, seed=seed)
    size, asked_size = cells.size_factor[known.rows], judged.size.astype(np.float64)
    sized = stream(seed, "denoising sizes").permutation(len(known))[:SIZED]
    given = sparse.csr_matrix(judged.given)
    rates = {"gene_mean": (baselines.gene_means(known.counts, size)[None, :],) * 2}
    kind = cells.cell_type[known.rows]
    if len(cells.cell_types) > 1 and (kind >= 0).all() and (cells.cell_type[judged.rows] >= 0).all():
        by_type = baselines.type_means(known.counts, size, kind, len(cells.cell_types))
        rates["cell_type_mean"] = (by_type[kind[sized]], by_type[cells.cell_type[judged.rows]])
    both = sparse.vstack([known.counts, given], format="csr")
    expected, scores = baselines.pca_expected(
        both, np.concatenate([size, asked_size]), known.counts, size, latent=latent, seed=seed
    )
    m = len(known)
    rates["pca"] = (expected[:m][sized], expected[m:])
    rates["neighbours"] = tuple(
        baselines.neighbours_expected(part, scores[:m], known.counts, size)
        for part in (scores[:m][sized], scores[m:])
    )  # type: ignore[assignment]
    counts = known.dense(sized)
    found = {"network": judged.loss(network) * judged.n * judged.given.shape[1]}
    for name, (before, after) in rates.items():
        theta = baselines.fitted_sizes(counts, np.broadcast_to(before * size[sized, None], counts.shape))
        found[name] = baselines.cost_of(judged.asked, after * asked_size[:, None], theta)
    return found


def sampled(cells: CellsFile, allowed: npt.NDArray[np.bool_], *, most: int, seed: int) -> Pool:
    """At most so many of the allowed cells, in the order of their names."""
    rows = np.flatnonzero(allowed)
    rows = rows[np.argsort(cells.rank[rows])]
    chosen = np.sort(stream(seed, "denoising sample").permutation(rows.size)[:most])
    return read_pool(cells, rows[chosen])


def mixing(cells: CellsFile, latents: Floats, *, seed: int) -> dict[str, Any]:
    """Share of the variance within cell types that lies between donors, and between batches.

    Mean over latents, beside principal components of as many axes; less is better mixed.
    """
    pool = sampled(cells, np.ones(len(cells), dtype=bool), most=MIXED, seed=seed)
    logs = log_normalised(pool.counts, cells.size_factor[pool.rows])
    centre = np.asarray(logs.mean(axis=0)).ravel().astype(np.float64)
    axes, _ = principal_axes(logs, centre, most=min(latents.shape[1], *logs.shape), seed=seed)
    found: dict[str, Any] = {}
    for name, values in (("network", latents[pool.rows]), ("pca", logs @ axes - centre @ axes)):
        within = values - _group_means(values, cells.cell_type[pool.rows])
        found[name] = {
            "donors": share_between(within, cells.donor[pool.rows]),
            "batches": share_between(within, cells.batch[pool.rows]) if len(cells.batches) > 1 else None,
        }
    return found


def share_between(values: Floats, group: Codes) -> float:
    """Mean over columns (n, L) of the share of variance between groups (n,), free of chance (ANOVA's ω²)."""
    n, k = len(values), np.unique(group).size
    if n <= k or k < 2:
        return 0.0
    total = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    inside = ((values - _group_means(values, group)) ** 2).sum(axis=0)
    noise = inside / (n - k)
    good = total > 1e-12
    share = (total - inside - (k - 1) * noise)[good] / (total + noise)[good]
    return round(float(np.clip(share, 0, 1).mean()), 5) if good.any() else 0.0


def _group_means(values: Floats, group: Codes) -> Floats:
    found = np.empty_like(values)
    for code in np.unique(group):
        found[group == code] = values[group == code].mean(axis=0)
    return found


def permuted_labels(cells: CellsFile, latents: Floats, *, seed: int) -> dict[str, Any]:
    """Donors get labels by chance: how often t tests of donors' mean latents reject at 0.05, and its error.

    Labels take no part in the latents, so that this holds whatever the labels are; too few donors: None.
    """
    from scipy import stats

    m = len(cells.donors)
    if m < 6:
        return {"rejected": None, "why": "fewer than 6 donors"}
    sums = np.zeros((m, latents.shape[1]))
    np.add.at(sums, cells.donor, latents)
    means = sums / np.bincount(cells.donor, minlength=m)[:, None]
    means = means[:, means.std(axis=0) > 1e-9]
    rng, shares = stream(seed, "denoising labels"), []
    for _ in range(PERMUTATIONS):
        case = rng.permutation(m) < m // 2
        shares.append(float((stats.ttest_ind(means[case], means[~case]).pvalue < 0.05).mean()))
    return {"rejected": round(float(np.mean(shares)), 4), "permutations": PERMUTATIONS,
            "sd": round(float(np.std(shares) / np.sqrt(PERMUTATIONS)), 4)}  # fmt: skip
