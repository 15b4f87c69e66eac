"""The default generator: rotated references, learned factors, noise of each gene, its own margins.

References become normal scores, gene by gene. R new samples are then R random combinations of the centred
scores, whose weights are the rows of a random orthogonal matrix: so many samples together have exactly the
references' means and covariances, as a second draw of R patients would have (for normal scores of a normal
population they are distributed as such a draw), and no patient has more weight than another. What of the
variance a learned filter takes out of this is put back as fresh variation: learned factors common to all
cohorts, and noise of each gene. Scores are turned back by the references' smoothed quantiles, so that zeros
and skewness stay.

References
----------
Langsrud O. Rotation tests. Stat Comput 15:53, 2005. Ting D, Fienberg SE, Trottini M. Random orthogonal matrix
masking methodology for microdata release. Int J Information and Computer Security 2:86, 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from consilience.foundation.errors import ModelError
from consilience.foundation.seeds import stream
from consilience.measures.distances import canonical_order
from consilience.pathways.wiring import Wiring
from consilience.rnagan.networks.margins_layer import normal_scores, prepare_margins, turn_back

LEAST_REFERENCES = 2
N_STATISTICS = 4


@dataclass(frozen=True)
class GeneratorSizes:
    """Sizes and first settings of the default generator.

    `noise` learned factors; `hidden` units of the network that sets the shares from the references.
    `kept` share of the variance that stays in the references' span along directions of average variance;
    `strong` how many times the average variance a direction must have for half of the rest to stay as well;
    `tail` how far quantiles go on beyond the outermost references, in steps of the last two; `prior`
    degrees of freedom of the trend of sd over the mean; `uneven` power of the differences between patients
    in how far they lie from the others. All five are learned from there.
    """

    noise: int = 64
    hidden: int = 8
    kept: float = 0.9
    strong: float = 3.0
    tail: float = 0.2
    prior: float = 0.1
    uneven: float = 1.0


class DefaultGenerator(nn.Module):
    """References (R, G) → synthetic samples (n, G), on the references' log scale."""

    def __init__(
        self,
        genes: Sequence[str],
        *,
        wiring: Wiring | None = None,
        sizes: GeneratorSizes | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = sizes or GeneratorSizes()
        if wiring is not None and tuple(wiring.genes) != tuple(genes):
            raise ModelError("the pathways were wired for other genes, or another order of them")
        self.genes, self.wiring, self.sizes = tuple(genes), wiring, sizes
        rng = stream(seed, "default generator")
        self.loadings = nn.Parameter(_normal(rng, (len(self.genes), sizes.noise), 0.02))
        n_pathways, n_weights = (0, 0) if wiring is None else (len(wiring.pathways), wiring.n_weights)
        self.pathway_loadings = nn.Parameter(_normal(rng, (n_pathways, sizes.noise), 0.02))
        self.member_weights = nn.Parameter(torch.full((n_weights,), 0.1))
        self.first = nn.Parameter(_normal(rng, (sizes.hidden, N_STATISTICS), 0.5))
        self.second = nn.Parameter(torch.zeros(5, sizes.hidden))
        self.settings = nn.Parameter(torch.tensor(_raw(sizes), dtype=torch.float32))

    def forward(self, references: torch.Tensor, n: int, seed: int) -> torch.Tensor:
        """`n` samples from references (R, G), R ≥ 2: (n, G).

        They depend on seed and content, not on the order of references; the first do not depend on `n`.

        Raises
        ------
        ModelError
            For fewer than two references, another number of genes, or values that are no numbers.
        """
        _check(references, n, len(self.genes))
        order = torch.from_numpy(canonical_order(references.detach().cpu().numpy()))
        ordered = references[order.to(references.device)]
        rounds = []
        for number in range(-(-n // len(ordered))):
            noise = torch.Generator().manual_seed(int(stream(seed, "round", number).integers(2**62)))
            rounds.append(self.draw_round(ordered, noise))
        return torch.cat(rounds)[:n]

    def draw_round(self, references: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        """As many samples as references, which belong together: (R, G) → (R, G); differentiable.

        `noise` is a generator on the CPU, whatever the device: results do not depend on the device's own.
        """
        spectrum = _Spectrum(normal_scores(references, noise))
        kept, strong, tail, prior, uneven = self.shares(references, spectrum.shares)
        margins = prepare_margins(references, tail=tail, prior=prior)
        of_strong = _strong(spectrum.shares, strong)
        keep = of_strong + kept * (1 - of_strong)
        left = (1 - spectrum.variances(keep)).clamp(min=0).sqrt()
        n = len(references)
        span = spectrum.rotated(keep, _orthogonal(n, noise))
        # patients differ in how far they lie from the others, in all genes at once
        own = left * self.fresh(n, noise, like=references) * spectrum.amplitudes(of_strong, uneven, noise)
        mixed = span + own - own.mean(dim=0)
        return turn_back(mixed, margins).to(references.dtype)

    def fresh(self, n: int, noise: torch.Generator, *, like: torch.Tensor) -> torch.Tensor:
        """Variation outside the references' span, (n, G): mean 0 over the n, expected variance 1 per gene."""
        loadings = self.factor_loadings()
        factors, own = (
            torch.randn(n, width, generator=noise).to(like.device) for width in loadings.shape[::-1]
        )
        size = 1 + loadings.square().sum(dim=1)
        drawn = (factors @ loadings.T + own) / size.sqrt()
        return (drawn - drawn.mean(dim=0)) * float(np.sqrt(n / (n - 1)))

    def factor_loadings(self) -> torch.Tensor:
        """Loadings of the genes on the learned factors, relative to a gene's own noise of 1: (G, noise).

        Own loadings of the gene, and those of its pathways with one weight for each membership.
        """
        if self.wiring is None or not self.wiring.n_weights:
            return self.loadings
        device = self.loadings.device
        member = torch.as_tensor(np.ascontiguousarray(self.wiring.member), dtype=torch.long, device=device)
        pathway = torch.as_tensor(
            np.ascontiguousarray(self.wiring.pathway_of_weight), dtype=torch.long, device=device
        )
        through = self.member_weights[:, None] * self.pathway_loadings[pathway]
        return self.loadings.index_add(0, member, through)

    def shares(self, references: torch.Tensor, spectrum: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The five settings (see `GeneratorSizes`) for these references, from four numbers about them."""
        n = len(references)
        effective = 1 / spectrum.square().sum().clamp(min=1e-12)
        told = torch.stack([
            torch.tensor(float(np.log(n / 20)), device=references.device, dtype=torch.float32),
            (effective / max(1, n - 1)).float(), spectrum.max().float(),
            (references == 0).float().mean(),
        ])  # fmt: skip
        raw = self.settings + self.second @ torch.tanh(self.first @ told)
        return torch.sigmoid(raw[0]), *torch.exp(raw[1:]).unbind()

    def start_from(self, groups: Sequence[torch.Tensor], *, ridge: float = 0.05) -> None:
        """First loadings from groups of samples of one kind each, (n_k, G): principal axes of their scores.

        Groups of fewer than four samples are passed over. Training goes on from there.
        """
        noise = torch.Generator().manual_seed(0)
        scores = [
            normal_scores(group[torch.from_numpy(canonical_order(group.numpy()))], noise)
            for group in groups
            if len(group) >= 4
        ]
        if not scores:
            raise ModelError("no kind with four samples or more, so there are no factors to be found")
        rows = torch.cat(scores).double()
        rows = rows / float(np.sqrt(max(1, len(rows) - len(scores))))
        values, vectors = torch.linalg.eigh(rows @ rows.T)
        k = min(self.sizes.noise, len(rows) - len(scores))
        top = vectors[:, -k:].flip(1)
        # as in probabilistic principal components: what the bulk of directions has is noise, not factor
        bulk = values[:-k].clamp(min=0).mean() if len(values) > k else torch.zeros(())
        keep = ((values[-k:].flip(0) - bulk).clamp(min=0) / values[-k:].flip(0).clamp(min=1e-9)).sqrt()
        axes = (rows.T @ top) * keep
        own = (1 - axes.square().sum(dim=1)).clamp(min=ridge)
        with torch.no_grad():
            self.loadings.zero_()
            self.loadings[:, :k] = (axes / own.sqrt()[:, None]).float()
            self.pathway_loadings.zero_()


class _Spectrum:
    """Centred normal scores (R, G) by their principal directions; `shares` (R − 1,) of variance, sum 1."""

    def __init__(self, scores: torch.Tensor) -> None:
        wide = scores.double()
        values, vectors = torch.linalg.eigh(wide @ wide.T)
        # centred rows have rank R − 1 at most: the smallest direction is the mean's
        self.values, self.vectors, self.scores = values[1:].clamp(min=0), vectors[:, 1:], wide
        self.shares = self.values / self.values.sum().clamp(min=1e-12)

    def rotated(self, keep: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
        """Scores of R new samples, (R, G), with the share `keep` (R − 1,) of each direction's variance."""
        weights = rotation.to(self.scores.device) @ (self.vectors * keep.double().sqrt()) @ self.vectors.T
        turned: torch.Tensor = (weights @ self.scores).float()
        return turned

    def amplitudes(
        self, of_strong: torch.Tensor, uneven: torch.Tensor, noise: torch.Generator
    ) -> torch.Tensor:
        """Lengths of the references outside the strong directions, by lot, of mean square 1: (R, 1)."""
        weights = (self.vectors * (1 - of_strong.double())) @ self.vectors.T
        length = (weights @ (self.scores @ self.scores.T) * weights).sum(dim=1).clamp(min=1e-12).float()
        n = len(length)
        lot = torch.randperm(n, generator=noise).to(length.device)
        jitter = torch.exp(0.1 * torch.randn(n, generator=noise)).to(length.device)
        size = (length[lot].sqrt() * jitter) ** uneven
        even: torch.Tensor = size / size.square().mean().sqrt()
        return even[:, None]

    def variances(self, keep: torch.Tensor) -> torch.Tensor:
        """Variance of each gene that is kept: (G,)."""
        axes = self.vectors.T @ self.scores
        kept: torch.Tensor = (keep.double() @ axes.square() / len(keep)).float()
        return kept


def _strong(shares: torch.Tensor, strong: torch.Tensor) -> torch.Tensor:
    """How far each principal direction counts as strong, 0 to 1: (R − 1,); ½ at `strong` averages."""
    relative = (shares.float() * len(shares) / strong).square()
    return relative / (1 + relative)


def _orthogonal(n: int, noise: torch.Generator) -> torch.Tensor:
    """A random orthogonal (n, n) matrix that leaves the vector of ones as it is, uniform among these."""
    ones = torch.full((n, 1), 1.0, dtype=torch.float64)
    basis, _ = torch.linalg.qr(torch.cat([ones, torch.eye(n, dtype=torch.float64)[:, 1:]], dim=1))
    inner, upper = torch.linalg.qr(torch.randn(n - 1, n - 1, generator=noise, dtype=torch.float64))
    inner = inner * torch.where(torch.diagonal(upper) < 0, -1.0, 1.0)
    turned: torch.Tensor = basis[:, 1:] @ inner @ basis[:, 1:].T
    return turned + 1 / n


def _normal(rng: np.random.Generator, shape: tuple[int, ...], sd: float) -> torch.Tensor:
    return torch.from_numpy(rng.normal(0, sd, shape).astype(np.float32))


def _raw(sizes: GeneratorSizes) -> list[float]:
    """The first settings before sigmoid and exponential."""
    odds = sizes.kept / (1 - sizes.kept)
    return [float(np.log(value)) for value in (odds, sizes.strong, sizes.tail, sizes.prior, sizes.uneven)]


def _check(references: torch.Tensor, n: int, n_genes: int) -> None:
    if references.ndim != 2 or references.shape[1] != n_genes or n < 1:
        raise ModelError(
            "samples are made from one group of references, on the generator's genes",
            value=f"references {tuple(references.shape)}, n {n}",
            allowed=f"references (R, {n_genes}), n of 1 or more",
        )
    if len(references) < LEAST_REFERENCES:
        raise ModelError(
            "one reference tells nothing of how patients differ, and all samples would be copies of it",
            value=len(references), allowed=f"{LEAST_REFERENCES} or more",
            mend="give more references of this kind",
        )  # fmt: skip
    if not bool(torch.isfinite(references).all()):
        raise ModelError("references with values that are no numbers")
