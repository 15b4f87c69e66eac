"""What the method is, for the report's methods text and the citations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """Where a method comes from, what it assumes and where it fails."""

    key: str
    title: str
    reference: str
    doi: str
    assumes: str
    limits: str


METHOD = Method(
    key="denoising",
    title="Variational autoencoder of counts, aware of pathways, batches and donors",
    reference="Lopez R et al. Nat Methods 15:1053, 2018",
    doi="10.1038/s41592-018-0229-2",
    assumes="Counts are negative binomial around size factor × level × exp(latents + batch + donor).",
    limits="A confounder that differs between donors and does not vary among the cells of one is not in the"
    " latents. Denoised effects are drawn towards zero where a donor has few cells.",
)
