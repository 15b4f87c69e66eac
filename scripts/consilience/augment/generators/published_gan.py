"""The plain adversarial network that the published autoencoder was compared with: no stop, no selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import asked
from consilience.augment.generators.generator import Drawn, Generator
from consilience.augment.generators.unlabelled import (
    KEEPS_PATIENTS,
    GeneRange,
    array_of,
    checked_temperature,
    epochs_for,
    fill_from_arrays,
    first_weights,
    named,
    prepare,
    row_batches,
    weights_to_arrays,
    with_defaults,
)
from consilience.foundation.errors import ModelError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.augment.networks.published_gan_network import (
        PublishedGanDiscriminator,
        PublishedGanGenerator,
    )
    from consilience.foundation.devices import Device
    from consilience.learning.players import Player, Rows
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float32]

KEY = "published_gan"
EPOCHS, BATCH, RATE, BETAS = 3000, 32, 2e-4, (0.5, 0.999)
MOST_TOGETHER = 50
"""Published epochs that the loop takes as one: nothing happens between them, and its records stay short."""


@dataclass(frozen=True)
class FittedPublishedGan:
    """A trained generator; the discriminator, which knows best who was in the training, is not kept."""

    genes: tuple[str, ...]
    classes: tuple[str, ...]
    network: PublishedGanGenerator
    ranges: GeneRange
    means: Floats
    told: dict[str, Any]

    def sample(self, labels: npt.NDArray[np.str_], *, seed: int, temperature: float | None = None) -> Drawn:
        """Z = T·ε (T = 1 where none is given) decoded, labelled by the nearest class mean."""
        import torch

        from consilience.augment.networks.published_gan_network import LATENT

        asked(labels, classes=self.classes)
        chosen = checked_temperature(temperature, fitted=1.0)
        z = chosen * stream(seed, KEY, "noise").standard_normal((len(labels), LATENT))
        with torch.no_grad():
            shares = self.network(torch.from_numpy(z.astype(np.float32))).numpy()
        return named(self.ranges.restored(shares), means=self.means, classes=self.classes)

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The generator's weights, ranges and class means; nothing of one patient but extremes of genes."""
        arrays = weights_to_arrays(self.network)
        arrays |= {"low": self.ranges.low, "width": self.ranges.width, "means": self.means}
        description = {
            "genes": list(self.genes), "classes": list(self.classes), "training": self.told,
            KEEPS_PATIENTS: False,
        }  # fmt: skip
        return arrays, description


def fit_published_gan(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = {},
) -> FittedPublishedGan:
    """Train it on these samples (see `Fit`); it has no options."""
    with_defaults(options, defaults={}, where=KEY)
    epochs = epochs_for(EPOCHS, effort=effort)
    cohort = prepare(samples)
    generator, discriminator = _networks(len(cohort.genes), seed=seed)
    told = _train(generator, discriminator, cohort.shares, epochs=epochs, seed=seed,
                  device="cpu" if device is None else device.name)  # fmt: skip
    return FittedPublishedGan(cohort.genes, cohort.classes, generator, cohort.ranges, cohort.means, told)


def restore_published_gan(
    arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]
) -> FittedPublishedGan:
    """`FittedPublishedGan.to_arrays` turned around."""
    try:
        genes, classes = tuple(description["genes"]), tuple(description["classes"])
        told = dict(description["training"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError("its description is incomplete", where=KEY, mend="fit it again") from error
    network, _ = _networks(len(genes), seed=0)
    fill_from_arrays(network, arrays, where=KEY)
    low, width = (array_of(arrays, name, shape=(len(genes),), where=KEY) for name in ("low", "width"))
    means = array_of(arrays, "means", shape=(len(classes), len(genes)), where=KEY)
    return FittedPublishedGan(genes, classes, network, GeneRange(low, width), means, told)


def _networks(n_genes: int, *, seed: int) -> tuple[PublishedGanGenerator, PublishedGanDiscriminator]:
    from consilience.augment.networks.published_gan_network import (
        PublishedGanDiscriminator,
        PublishedGanGenerator,
    )

    generator = first_weights(lambda: PublishedGanGenerator(n_genes), seed=seed, key="generator")
    discriminator = first_weights(lambda: PublishedGanDiscriminator(n_genes), seed=seed, key="discriminator")
    return generator, discriminator


def _train(
    generator: PublishedGanGenerator, discriminator: PublishedGanDiscriminator, shares: Floats,
    *, epochs: int, seed: int, device: str,
) -> dict[str, Any]:  # fmt: skip
    """Train both in place; the generator is on the CPU afterwards."""
    import torch

    from consilience.learning.fit import fit
    from consilience.learning.schedule import Schedule

    bounds = row_batches(len(shares), size=BATCH)
    together = max(size for size in range(1, min(MOST_TOGETHER, epochs) + 1) if epochs % size == 0)
    result = fit(
        players=_players(generator, discriminator),
        batches=_batches(torch.from_numpy(shares), bounds, together, seed),
        schedule=Schedule(epochs // together, together * len(bounds)), seed=seed, device=device,
        precision="float32", label="published GAN",
    )  # fmt: skip
    generator.cpu()
    last = result.history[-1]
    return {
        "epochs": epochs, "trained_on": len(shares),
        "discriminator_loss": last["discriminator.loss"], "generator_loss": last["generator.loss"],
        "called_real": {"real": last["discriminator.real"], "made": last["discriminator.made"]},
        "seconds": round(sum(line["seconds"] for line in result.history), 2),
    }  # fmt: skip


def _players(generator: PublishedGanGenerator, discriminator: PublishedGanDiscriminator) -> list[Player]:
    """The discriminator first; each has noise of its own at every step."""
    import torch

    from consilience.augment.networks.published_gan_network import LATENT, discriminator_loss, generator_loss
    from consilience.learning.players import Loss, Player

    def noise(batch: Rows, source: torch.Generator) -> torch.Tensor:
        return torch.randn(len(batch), LATENT, generator=source, device=batch["x"].device)

    def telling(batch: Rows, source: torch.Generator) -> Loss:
        with torch.no_grad():
            fake = generator(noise(batch, source))
        real, made = discriminator(batch["x"]), discriminator(fake)
        return Loss(discriminator_loss(real, made), {"real": real.mean(), "made": made.mean()})

    def making(batch: Rows, source: torch.Generator) -> Loss:
        return Loss(generator_loss(discriminator(generator(noise(batch, source)))))

    sides = (("discriminator", discriminator, telling), ("generator", generator, making))
    return [
        Player(name, module, torch.optim.Adam(module.parameters(), lr=RATE, betas=BETAS, fused=True), loss)
        for name, module, loss in sides
    ]


def _batches(
    shares: torch.Tensor, bounds: list[tuple[int, int]], together: int, seed: int
) -> Callable[[int, int, np.random.Generator], Rows]:
    """All rows once in each published epoch, in a new order."""
    import torch

    from consilience.learning.players import Rows

    def batch(epoch: int, step: int, _rng: np.random.Generator) -> Rows:
        published, part = epoch * together + step // len(bounds), step % len(bounds)
        order = stream(seed, KEY, "order", published).permutation(len(shares))
        start, stop = bounds[part]
        return Rows({"x": shares[torch.from_numpy(order[start:stop])]})

    return batch


GENERATOR = Generator(
    key=KEY,
    title="Generative adversarial network, as published",
    kind="published",
    reference="Song, RareDisease-Transcriptome-VAE, 2026 (its baseline)",
    doi="10.5281/zenodo.18431155",
    assumes="What a discriminator of two layers cannot tell from the patients is like patients.",
    limits="Knows no classes: labels are those of the nearest class mean, and whole classes may be missing."
    " Nothing stops its training, and with few patients the discriminator knows them by heart. Values cannot"
    " leave the range of the training patients, and these ranges (each gene's smallest and largest patient)"
    " are kept in the model.",
    fit=fit_published_gan,
    restore=restore_published_gan,
    classes=False,
    temperature="z = T·ε from the prior N(0, I) (published: T = 1)",
    neural=True,
)
