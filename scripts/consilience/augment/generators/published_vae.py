"""The published variational autoencoder: trained, stopped and sampled as its code does it.

Differences, all said in the docs: the ranges that scale the genes see the training patients only (published:
all samples), the validation split parts donors (published: samples), and a last batch of one row joins its
neighbours (published: ends with an error).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import asked
from consilience.augment.generators.generator import Drawn, Generator
from consilience.augment.generators.published_vae_training import RECIPES, train
from consilience.augment.generators.unlabelled import (
    KEEPS_PATIENTS,
    Cohort,
    GeneRange,
    array_of,
    checked_temperature,
    epochs_for,
    fill_from_arrays,
    first_weights,
    named,
    prepare,
    weights_to_arrays,
    with_defaults,
)
from consilience.foundation.errors import ModelError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.networks.published_vae_network import PublishedVae
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float32]

KEY = "published_vae"
OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"variant": "main", "weights": None, "sampling": "prior", "temperature": 2.0}
)
"""`weights` None: those that the variant's published code used."""
CHOICES = {
    "variant": ("main", "external"),
    "weights": (None, "last", "best"),
    "sampling": ("prior", "posterior"),
}


@dataclass(frozen=True)
class Posterior:
    """Means and log variances (n, latent) of the training patients, and their labels (n,)."""

    mean: Floats
    log_variance: Floats
    labels: npt.NDArray[np.str_]


@dataclass(frozen=True)
class FittedPublishedVae:
    """A trained autoencoder; `posterior` of the training patients only where it is sampled from.

    `temperature`: T where none is asked for. `told`: plain facts of the training. See `Fitted`.
    """

    genes: tuple[str, ...]
    classes: tuple[str, ...]
    network: PublishedVae
    ranges: GeneRange
    means: Floats
    variant: str
    temperature: float
    posterior: Posterior | None
    told: dict[str, Any]

    def sample(self, labels: npt.NDArray[np.str_], *, seed: int, temperature: float | None = None) -> Drawn:
        """Prior: z = T·ε decoded, labelled by the nearest class mean, whatever `labels` ask for.

        Posterior: z = μ + T·σ·ε of a random training patient of each label.
        """
        asked(labels, classes=self.classes)
        chosen = checked_temperature(temperature, fitted=self.temperature)
        deviations = stream(seed, KEY, "noise").standard_normal((len(labels), self.network.sizes.latent))
        if self.posterior is None:
            return named(self.decoded(chosen * deviations), means=self.means, classes=self.classes)
        rows = _patients(self.posterior.labels, labels, stream(seed, KEY, "patients"))
        spread = np.exp(0.5 * self.posterior.log_variance[rows])
        return Drawn(self.decoded(self.posterior.mean[rows] + chosen * spread * deviations), labels)

    def decoded(self, z: npt.NDArray[np.floating]) -> Floats:
        """Latent numbers (n, latent) as values (n, G), in evaluation mode."""
        import torch

        with torch.no_grad():
            shares = self.network.decode(torch.from_numpy(z.astype(np.float32)))
        return self.ranges.restored(shares.numpy())

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Weights, ranges and class means; sampling from the posterior keeps each patient's latent numbers.

        `keeps_patients` of the description says so.
        """
        arrays = weights_to_arrays(self.network)
        arrays |= {"low": self.ranges.low, "width": self.ranges.width, "means": self.means}
        description: dict[str, Any] = {
            "genes": list(self.genes), "classes": list(self.classes), "variant": self.variant,
            "temperature": self.temperature, "training": self.told,
            KEEPS_PATIENTS: self.posterior is not None,
        }  # fmt: skip
        if self.posterior is not None:
            arrays |= {"posterior_mean": self.posterior.mean}
            arrays |= {"posterior_log_variance": self.posterior.log_variance}
            description["posterior_labels"] = self.posterior.labels.tolist()
        return arrays, description


def fit_published_vae(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> FittedPublishedVae:
    """Train it on these samples (see `Fit`); options `variant`, `weights`, `sampling`, `temperature`.

    `weights`: "last" or "best" by the watched loss. `effort` scales the most epochs there can be.
    """
    chosen = with_defaults(options, defaults=OPTIONS, choices=CHOICES, where=KEY)
    temperature = checked_temperature(chosen["temperature"], fitted=2.0)
    recipe = RECIPES[chosen["variant"]]
    epochs = epochs_for(recipe.epochs, effort=effort)
    cohort = prepare(samples)
    network = _network(len(cohort.genes), chosen["variant"], seed=seed)
    told = train(network, cohort, recipe, epochs=epochs, keep=chosen["weights"] or recipe.weights, seed=seed,
                 device="cpu" if device is None else device.name)  # fmt: skip
    return FittedPublishedVae(
        genes=cohort.genes, classes=cohort.classes, network=network, ranges=cohort.ranges, means=cohort.means,
        variant=chosen["variant"], temperature=temperature, told=told,
        posterior=_posterior(network, cohort) if chosen["sampling"] == "posterior" else None,
    )  # fmt: skip


def restore_published_vae(
    arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]
) -> FittedPublishedVae:
    """`FittedPublishedVae.to_arrays` turned around."""
    try:
        genes, classes = tuple(description["genes"]), tuple(description["classes"])
        variant, temperature = description["variant"], float(description["temperature"])
        told, keeps = dict(description["training"]), description[KEEPS_PATIENTS]
        labels = np.array(list(description["posterior_labels"]) if keeps else [], dtype=str)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError("its description is incomplete", where=KEY, mend="fit it again") from error
    if variant not in RECIPES:
        raise ModelError("no such variant", where=KEY, value=variant, allowed=", ".join(RECIPES))
    n_genes = len(genes)
    network = _network(n_genes, variant, seed=0)
    fill_from_arrays(network, arrays, where=KEY)
    low, width = (array_of(arrays, name, shape=(n_genes,), where=KEY) for name in ("low", "width"))
    posterior = None
    if keeps:
        shape = (len(labels), network.sizes.latent)
        mean, log_variance = (
            array_of(arrays, name, shape=shape, where=KEY)
            for name in ("posterior_mean", "posterior_log_variance")
        )
        posterior = Posterior(mean, log_variance, labels)
    return FittedPublishedVae(
        genes=genes, classes=classes, network=network, ranges=GeneRange(low, width),
        means=array_of(arrays, "means", shape=(len(classes), n_genes), where=KEY), variant=variant,
        temperature=temperature, posterior=posterior, told=told,
    )  # fmt: skip


def _network(n_genes: int, variant: str, *, seed: int) -> PublishedVae:
    from consilience.augment.networks.published_vae_network import EXTERNAL, MAIN, PublishedVae

    sizes = {"main": MAIN, "external": EXTERNAL}[variant]
    return first_weights(lambda: PublishedVae(n_genes, sizes), seed=seed, key=KEY)


def _posterior(network: PublishedVae, cohort: Cohort) -> Posterior:
    import torch

    with torch.no_grad():
        mean, log_variance = network.encode(torch.from_numpy(cohort.shares))
    return Posterior(mean.numpy(), log_variance.numpy(), cohort.labels)


def _patients(
    known: npt.NDArray[np.str_], wanted: npt.NDArray[np.str_], rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """A random row with each of the labels asked for."""
    rows_of = {label: np.flatnonzero(known == label) for label in np.unique(known).tolist()}
    lot = rng.random(len(wanted))
    chosen = [rows_of[label][int(one * len(rows_of[label]))] for label, one in zip(wanted, lot, strict=True)]
    return np.array(chosen, dtype=np.intp)


GENERATOR = Generator(
    key=KEY,
    title="Variational autoencoder, as published",
    kind="published",
    reference="Song, RareDisease-Transcriptome-VAE, 2026",
    doi="10.5281/zenodo.18431155",
    assumes="Samples lie near a surface of 64 dimensions that a decoder can draw; genes vary independently"
    " around it and by nothing (what is decoded is a mean).",
    limits="Knows no classes: labels are those of the nearest class mean, and a small class may be missing."
    " Decodes means, so that spread within classes is lost. Values cannot leave the range of the training"
    " patients, and these ranges (each gene's smallest and largest patient) are kept in the model.",
    fit=fit_published_vae,
    restore=restore_published_vae,
    classes=False,
    temperature="z = T·ε from the prior N(0, I) (published, T = 2); with sampling `posterior`: μ + T·σ·ε of a"
    " training patient",
    neural=True,
    options=OPTIONS,
)
