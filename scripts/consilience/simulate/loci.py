"""Numbers of simulated summary statistics: LD, eQTL effects, GWAS effects; standardised units throughout.

With joint eQTL effects B (variants, genes) per standard deviation of genotype and expression, effects alpha
of expression on the trait and direct effects d of variants on it, the marginal effects in the population are
``E = R B`` and ``g = R (B alpha + d)``; estimates add noise with covariance R/N (R: LD correlation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
REFERENCE_PANEL = 5_000
PLEIOTROPY_SHARE = 0.35
WEAK_SHARE = 0.25
DIRECT_SHARE = 0.15


@dataclass(frozen=True)
class Locus:
    """Arrays of one locus of m variants.

    `ld` (m, m) of the population, `ld_panel` (m, m) as a reference panel estimates it, `joint` (m, genes)
    eQTL effects, `direct` (m,) effects on the trait, `z_eqtl` (m, genes), `z_gwas` (m,).
    """

    ld: Floats
    ld_panel: Floats
    joint: Floats
    direct: Floats
    z_eqtl: Floats
    z_gwas: Floats


def simulate_locus(
    *, n_snps: int, alpha: Floats, n_gwas: int, n_eqtl: int, direct_scale: float, rng: np.random.Generator
) -> Locus:
    """Draw one locus whose genes act on the trait by `alpha` (genes,)."""
    ld = draw_ld(n_snps=n_snps, rng=rng)
    root: Floats = np.asarray(np.linalg.cholesky(ld + 1e-9 * np.eye(n_snps)), dtype=np.float64)
    joint = draw_eqtl_effects(ld=ld, n_genes=alpha.size, rng=rng)
    direct = np.zeros(n_snps)
    has_direct, place, size = rng.random() < DIRECT_SHARE, rng.integers(n_snps), rng.normal(0.0, 0.01)
    if has_direct:
        direct[place] = direct_scale * size
    noise_eqtl = root @ rng.standard_normal((n_snps, alpha.size))
    noise_gwas = root @ rng.standard_normal(n_snps)
    return Locus(
        ld=ld,
        ld_panel=panel_ld(root=root, rng=rng),
        joint=joint,
        direct=direct,
        z_eqtl=np.sqrt(n_eqtl) * (ld @ joint) + noise_eqtl,
        z_gwas=np.sqrt(n_gwas) * (ld @ (joint @ alpha + direct)) + noise_gwas,
    )


def draw_ld(*, n_snps: int, rng: np.random.Generator) -> Floats:
    """Markov correlation along the genome: strong within blocks, weak across hot spots, random signs."""
    hot = rng.random(n_snps - 1) < 0.2
    steps = np.where(hot, rng.uniform(0.0, 0.25, n_snps - 1), rng.uniform(0.6, 0.97, n_snps - 1))
    log_path = np.concatenate([[0.0], np.cumsum(np.log(np.maximum(steps, 1e-6)))])
    signs = rng.choice([-1.0, 1.0], n_snps)
    return np.asarray(np.exp(-np.abs(log_path[:, None] - log_path[None, :])) * np.outer(signs, signs))


def panel_ld(*, root: Floats, rng: np.random.Generator) -> Floats:
    """Sample correlation in a reference panel of `REFERENCE_PANEL` people (Bartlett's decomposition)."""
    m = root.shape[0]
    factor = np.tril(rng.standard_normal((m, m)), -1)
    factor[np.diag_indices(m)] = np.sqrt(rng.chisquare(REFERENCE_PANEL - 1 - np.arange(m)))
    half = root @ factor
    cross = half @ half.T
    scale = 1.0 / np.sqrt(np.diag(cross))
    correlation = cross * np.outer(scale, scale)
    correlation = np.clip((correlation + correlation.T) / 2, -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation)


def draw_eqtl_effects(*, ld: Floats, n_genes: int, rng: np.random.Generator) -> Floats:
    """Joint effects (variants, genes): one to four per gene, some shared with the gene before, some weak.

    Effects are scaled so that the variants explain a cis heritability h² of expression: log-normal around
    3 %, or 0.04 % for weakly regulated genes.
    """
    m = ld.shape[0]
    joint = np.zeros((m, n_genes))
    for gene in range(n_genes):
        own = rng.choice(m, size=min(m, int(rng.integers(1, 5))), replace=False)
        if gene and rng.random() < PLEIOTROPY_SHARE:
            own[0] = rng.choice(np.flatnonzero(joint[:, gene - 1]))
            own = np.unique(own)
        effects = rng.normal(0.0, 1.0, own.size)
        effects += np.sign(effects) * 0.3
        heritability = (
            0.0004 if rng.random() < WEAK_SHARE else min(0.4, 0.03 * float(np.exp(rng.normal(0.0, 0.7))))
        )
        explained = float(effects @ ld[np.ix_(own, own)] @ effects)
        joint[own, gene] = effects * np.sqrt(heritability / max(explained, 1e-12))
    return joint
