"""Summary statistics of loci with a known truth, many genes of one size at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilience.causal.inputs_file import Bucket
from consilience.foundation.seeds import stream

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scenario:
    """`strength`: mean F of each gene; `focal`: effect of the focal gene; `neighbours`: sd of the others'.

    `shared`: share of neighbours whose eQTL effects correlate with the focal gene's (0.6). `direct`: sd of
    direct effects of the share `direct_share` of variants. `panel`: people of the LD panel (0: exact LD).
    `missing_below`: |z| below which effects on neighbours are not in the table and count as 0.
    """

    n: int = 10
    k: int = 2
    strength: float = 60.0
    focal: float = 0.0
    neighbours: float = 0.06
    shared: float = 0.5
    direct: float = 0.0
    direct_share: float = 1.0
    panel: int = 5_000
    missing_below: float = 0.0
    n_eqtl: float = 32_000.0
    n_gwas: float = 240_000.0


def draw_ld(G: int, n: int, rng: np.random.Generator) -> Floats:
    """Signed correlations with r² mostly below 0.1, as pruning leaves them."""
    load = rng.uniform(0, 0.5, (G, n)) * rng.choice([-1.0, 1.0], (G, n))
    ld = load[:, :, None] * load[:, None, :]
    ld[:, np.arange(n), np.arange(n)] = 1.0
    return ld


def draw_panel(root: Floats, people: int, rng: np.random.Generator) -> Floats:
    """What a panel of this size says of the LD `root root'` (Bartlett's decomposition)."""
    G, n, _ = root.shape
    factor = np.tril(rng.normal(size=(G, n, n)), -1)
    factor[:, np.arange(n), np.arange(n)] = np.sqrt(rng.chisquare(people - 1 - np.arange(n), size=(G, n)))
    half = root @ factor
    cross = half @ np.swapaxes(half, 1, 2)
    scale = 1 / np.sqrt(cross[:, np.arange(n), np.arange(n)])
    ld = cross * scale[:, :, None] * scale[:, None, :]
    ld = (ld + np.swapaxes(ld, 1, 2)) / 2
    ld[:, np.arange(n), np.arange(n)] = 1.0
    return ld


def draw_effects(G: int, n: int, one: Scenario, root: Floats, rng: np.random.Generator) -> Floats:
    """True effects (G, n, k) on expression, of the asked strength."""
    acts = rng.random((G, n, one.k)) < 0.6
    acts[:, 0] |= ~acts.any(axis=1)
    effects = rng.normal(size=(G, n, one.k)) * acts
    alike = rng.random((G, 1, one.k - 1)) < one.shared
    effects[..., 1:] = np.where(alike, 0.6 * effects[..., :1] + 0.8 * effects[..., 1:], effects[..., 1:])
    length = np.sum(np.linalg.solve(root, effects) ** 2, axis=1, keepdims=True)
    return effects * np.sqrt((one.strength - 1.0) * n / one.n_eqtl / length)


def simulate(one: Scenario, *, genes: int, seed: int) -> Bucket:
    """`genes` focal genes of this scenario; the truth of the focal effect is `one.focal`."""
    rng = stream(seed, repr(one))
    G, n, k = genes, one.n, one.k
    root = np.linalg.cholesky(draw_ld(G, n, rng))
    effects = draw_effects(G, n, one, root, rng)
    alpha = rng.normal(0.0, one.neighbours, (G, k))
    alpha[:, 0] = one.focal
    direct = rng.normal(0.0, one.direct, (G, n)) * (rng.random((G, n)) < one.direct_share)
    eqtl = effects + root @ rng.normal(size=(G, n, k)) / np.sqrt(one.n_eqtl)
    noise = (root @ rng.normal(size=(G, n, 1)))[..., 0] / np.sqrt(one.n_gwas)
    gwas = np.einsum("gnk,gk->gn", effects, alpha) + direct + noise
    known = np.abs(eqtl) * np.sqrt(one.n_eqtl) >= one.missing_below
    known[..., 0] = True
    ld = draw_panel(root, one.panel, rng) if one.panel else root @ np.swapaxes(root, 1, 2)
    return Bucket(
        index=np.arange(G), eqtl=np.where(known, eqtl, 0.0), gwas=gwas, ld=ld, known=known,
        n_eqtl=np.full((G, k), one.n_eqtl), n_gwas=np.full(G, one.n_gwas),
    )  # fmt: skip
