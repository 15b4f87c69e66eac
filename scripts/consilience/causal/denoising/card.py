"""The card of a model of denoising."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consilience.causal.denoising.denoiser import Denoiser


def card_text(one: Denoiser, figures: dict[str, Any]) -> str:
    """What it is, what it learned from, what it may be used for, what it cannot do."""
    k = len(one.networks)
    scores = figures.get("reconstruction", {}).get("nll_per_count", {})
    lines = [
        "# Denoising of a cohort of cells", "",
        f"{k} network{'s' if k > 1 else ''} on {len(one.genes):,} genes, {one.networks[0].latent} latent"
        f" numbers, {len(one.donors)} donors. Likelihood: {one.settings.get('likelihood', 'nb')};"
        f" first layer: {len({p for _, p in one.pathways}):,} pathways"
        f" ({one.settings.get('pathways', 'none')}).", "",
        "## Use", "",
        "- Latent numbers of cells as confounders, and denoised log expression, of the cells of this cohort.",
        "- A cell is encoded by the network that never saw its donor." if k > 1
        else "- One network saw all donors.",
        "- No label of disease was read: donor, batch, cell type, size factor and counts were.", "",
        "## Limits", "",
        "- Latents may carry effects of disease on expression; conditioning on them can hide those.",
        "- Donors unknown to this model cannot be denoised, only encoded.",
        "- Denoised values are smooth: tests of cells as if they were independent are wrong more than ever.",
        "", "## Figures", "",
        *(f"- {name}: {value:.4f} nats per count on donors left out (each count split in two halves)"
          for name, value in scores.items()),
        "", "## Privacy", "",
        "The folder holds mean levels of each donor per cell type and gene, and names of donors. It holds no"
        " cell.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
