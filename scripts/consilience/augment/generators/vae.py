"""The default VAE for few patients and many genes: by class, with a proper likelihood and real noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.checks import refuse
from consilience.augment.generators.classes import asked, checked_temperature, floor_of
from consilience.augment.generators.factor_count import LARGEST_SPAN, LEVELS
from consilience.augment.generators.generator import Drawn, Generator
from consilience.augment.generators.unlabelled import KEEPS_PATIENTS
from consilience.augment.generators.vae_margins import Seen, restored_seen, seen_of
from consilience.augment.generators.vae_scale import Scale
from consilience.foundation.errors import ConfigError, did_you_mean
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.vae_training import Allowed, Learned
    from consilience.augment.networks.vae_network import VaeNetwork
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]

KEY = "vae"
SAMPLING = ("prior", "aggregate", "posterior")
CHOICES = {"sampling": SAMPLING, "privacy": LEVELS}
OPTIONS: Mapping[str, Any] = {
    "latent": 0,
    "privacy": "none",
    "sampling": "prior",
    "noise": True,
    "balanced": True,
    "temperature": 1.0,
    "epsilon": 0.0,
    "delta": 0.0,
}
"""`latent`: dimensions, 0: those of the best bound on held-out donors, fewer where `privacy` (none, balanced
or strict: what attacks in inner trials may find) does not allow as many. `balanced`: deviations of the
samples of a class that are drawn together add up to 0. `epsilon`: differential privacy, 0: none; trials would
not be covered by it, so `privacy` changes nothing there."""


@dataclass(frozen=True)
class FittedVae:
    """A trained network with what is needed to draw from it.

    `seen`: margins of the classes, where a scale with a floor is warped; never with `epsilon`.
    `centres` (C, d + 1), `roots` (C, d + 1, d + 1): mean and Cholesky root of the latents of each class;
    `codes`: those of single patients, (n, d + 1) twice and classes (n,), kept for `sampling` posterior only.
    """

    genes: tuple[str, ...]
    classes: tuple[str, ...]
    network: VaeNetwork
    scale: Scale
    centres: Floats
    roots: Floats
    settings: Mapping[str, Any]
    story: Mapping[str, Any]
    codes: tuple[Floats, Floats, npt.NDArray[np.intp]] | None = None
    seen: Seen | None = None

    def sample(self, labels: npt.NDArray[np.str_], *, seed: int, temperature: float | None = None) -> Drawn:
        """One sample for each of `labels` (k,); T multiplies deviations of the latents from their centre."""
        import torch

        heat = checked_temperature(self.settings["temperature"] if temperature is None else temperature)
        values = np.empty((len(labels), len(self.genes)), dtype=np.float32)
        for label, rows in asked(labels, classes=self.classes).items():
            code = self.classes.index(label)
            rng = stream(seed, "vae", label)
            latents = self._latents(code, len(rows), rng, heat)
            with torch.no_grad():
                mean, log_sd = self.network.decode(
                    torch.as_tensor(latents, dtype=torch.float32),
                    torch.full((len(rows),), code, dtype=torch.long),
                )
            inner = mean.numpy().astype(np.float64)
            if self.settings["noise"]:
                deviations = rng.standard_normal(inner.shape)
                if self.settings["balanced"]:
                    deviations = balanced(deviations)
                inner += np.exp(log_sd.numpy()) * deviations
            values[rows] = self.scale.back(inner) if self.seen is None else self.seen.back(inner, code)
        return Drawn(values, labels.astype(str))

    def _latents(self, code: int, n: int, rng: np.random.Generator, heat: float) -> Floats:
        size = self.centres.shape[1]
        deviations = rng.standard_normal((n, size))
        if self.settings["balanced"]:
            deviations = balanced(deviations)
        if self.settings["sampling"] == "prior":
            scaled: Floats = heat * deviations
            return scaled
        if self.settings["sampling"] == "posterior" and self.codes is not None:
            mean, sd, classes = self.codes
            chosen = rng.choice(np.flatnonzero(classes == code), size=n)
            near: Floats = mean[chosen] + heat * sd[chosen] * deviations
            return near
        found: Floats = self.centres[code] + heat * deviations @ self.roots[code].T
        return found

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Weights, scale, and a normal distribution of latents for each class."""
        arrays: dict[str, npt.NDArray[Any]] = {
            f"network.{name}": tensor.cpu().numpy() for name, tensor in self.network.state_dict().items()
        }
        arrays |= {"scale.centre": self.scale.centre, "scale.width": self.scale.width,
                   "centres": self.centres, "roots": self.roots}  # fmt: skip
        if self.seen is not None:
            arrays |= {f"seen.{name}": value for name, value in self.seen.to_arrays().items()}
        if self.codes is not None:
            arrays |= dict(zip(("codes.mean", "codes.sd", "codes.class"), self.codes, strict=True))
        description = {
            "genes": list(self.genes), "classes": list(self.classes), "settings": dict(self.settings),
            "offset": self.scale.offset, "floor": self.scale.floor, "bounded": self.scale.bounded,
            "story": dict(self.story), KEEPS_PATIENTS: self.keeps,
        }  # fmt: skip
        return arrays, description

    @property
    def keeps(self) -> bool:
        """Codes of patients are kept, or so many factors that they count as patients."""
        if self.settings["epsilon"]:
            return False
        return self.codes is not None or self.network.latent > LARGEST_SPAN * int(self.story["n_samples"])


def balanced(deviations: Floats) -> Floats:
    """Rows (k, d) less their mean, as patients lie about the mean of patients; a single row stays as it is.

    So the mean of the samples is the class's own, without the error of drawing k of them; their variance
    (k − 1 in the denominator) is what it was.
    """
    found: Floats = deviations - deviations.mean(axis=0) if len(deviations) > 1 else deviations
    return found


def fit(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> FittedVae:
    """Choose sizes and length on held-out donors, then train on all; `effort` scales the longest training."""
    from consilience.augment.generators.vae_training import learned

    settings = checked_settings(options)
    refuse(samples)
    ordered = samples.take(np.argsort(samples.names, kind="stable"))
    classes = tuple(str(one) for one in np.unique(ordered.labels))
    name = device.name if device else "cpu"
    if settings["epsilon"]:
        return _private(ordered, classes, settings, seed=seed, effort=effort, device=name)
    level = settings["privacy"]
    found = learned(
        ordered, bounded=bool(np.isfinite(floor_of(ordered))), latent=int(settings["latent"]), effort=effort,
        seed=seed, device=name, allowed=None if level == "none" else _within(ordered, settings, seed=seed),
    )  # fmt: skip
    return _dressed(found, ordered, settings, seed=seed)


def _dressed(found: Learned, samples: Samples, settings: Mapping[str, Any], *, seed: int) -> FittedVae:
    centres, roots = found.aggregate()
    seen, scale = None, found.scale
    if scale.bounded and scale.offset:  # without a warp, a censored normal fits as it is
        values = samples.values.astype(np.float64)
        seen = seen_of(found.network, values, found.codes, floor=scale.floor, seed=seed)
    return FittedVae(
        genes=samples.genes, classes=tuple(str(one) for one in np.unique(samples.labels)),
        network=found.network, scale=scale, centres=centres, roots=roots, settings=settings,
        story=found.story, seen=seen,
        codes=(found.latents, found.latent_sds, found.codes) if settings["sampling"] == "posterior" else None,
    )  # fmt: skip


def _within(samples: Samples, settings: Mapping[str, Any], *, seed: int) -> Allowed:
    """Latent sizes are cut to what the level of `settings` allows on these samples' donors."""
    from consilience.augment.generators.vae_privacy import allowed_latent

    def allowed(most: int, scale: Scale) -> tuple[int, dict[str, Any]]:
        return allowed_latent(
            samples, level=settings["privacy"], most=most, scale=scale, seed=seed,
            dressed=lambda found, inside: _dressed(found, inside, settings, seed=seed),
        )  # fmt: skip

    return allowed


def _private(
    samples: Samples, classes: tuple[str, ...], settings: Mapping[str, Any], *, seed: int, effort: float,
    device: str,
) -> FittedVae:  # fmt: skip
    from consilience.augment.generators.vae_private import learned_privately

    if settings["sampling"] != "prior":
        raise ConfigError("only the prior can be drawn from under differential privacy", where=KEY,
                          value=settings["sampling"], allowed="prior")  # fmt: skip
    network, scale, story = learned_privately(
        samples, epsilon=float(settings["epsilon"]), delta=float(settings["delta"]),
        latent=int(settings["latent"]), effort=effort, seed=seed, device=device,
    )  # fmt: skip
    size = network.latent + 1
    return FittedVae(
        genes=samples.genes, classes=classes, network=network, scale=scale,
        centres=np.zeros((len(classes), size)), roots=np.stack([np.eye(size)] * len(classes)),
        settings=settings, story=story,
    )  # fmt: skip


def checked_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options with defaults filled in; what is unknown or out of range is refused."""
    for name, value in given.items():
        if name not in OPTIONS:
            raise ConfigError("the generator has no such option", where=KEY, value=name,
                              allowed=", ".join(OPTIONS), mend=did_you_mean(name, OPTIONS))  # fmt: skip
        default = OPTIONS[name]
        if isinstance(default, bool | str):
            if type(value) is not type(default):
                allowed = "true, false" if isinstance(default, bool) else ", ".join(CHOICES[name])
                raise ConfigError("the option is of another kind", where=f"{KEY}: {name}", value=value,
                                  allowed=allowed)  # fmt: skip
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < np.inf:
            raise ConfigError("the option is not a number from 0 on", where=f"{KEY}: {name}", value=value)
    chosen = {**OPTIONS, **given}
    for name, choices in CHOICES.items():
        if chosen[name] not in choices:
            raise ConfigError(f"no such {name}", where=KEY, value=chosen[name], allowed=", ".join(choices),
                              mend=did_you_mean(chosen[name], choices))  # fmt: skip
    if chosen["sampling"] == "posterior" and chosen["privacy"] != "none":
        raise ConfigError("sampling posterior keeps patients' latent codes, which no level of privacy allows",
                          where=f"{KEY}: privacy", value=chosen["privacy"], allowed="none",
                          mend="sample from prior or aggregate")  # fmt: skip
    if chosen["latent"] != int(chosen["latent"]):
        raise ConfigError("not a whole number", where=f"{KEY}: latent", value=chosen["latent"])
    return chosen


def restore(arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> FittedVae:
    """The fitted VAE as it was."""
    import torch

    from consilience.augment.networks.vae_network import VaeNetwork

    weights = {
        name.removeprefix("network."): torch.as_tensor(np.array(value))
        for name, value in arrays.items() if name.startswith("network.")
    }  # fmt: skip
    n_classes, n_genes = weights["class_mean"].shape
    network = VaeNetwork(n_genes=n_genes, n_classes=n_classes, latent=weights["loadings"].shape[1],
                         hidden=weights["bend"].shape[1])  # fmt: skip
    network.load_state_dict(weights)
    network.eval()
    scale = Scale(
        float(description["offset"]), float(description["floor"]), bool(description["bounded"]),
        np.asarray(arrays["scale.centre"]), np.asarray(arrays["scale.width"]),
    )  # fmt: skip
    codes, seen = None, None
    if "seen.centre" in arrays:
        kept = {name.removeprefix("seen."): one for name, one in arrays.items() if name.startswith("seen.")}
        seen = restored_seen(kept, floor=scale.floor)
    if "codes.mean" in arrays:
        codes = tuple(np.asarray(arrays[f"codes.{name}"]) for name in ("mean", "sd", "class"))
    return FittedVae(
        genes=tuple(description["genes"]), classes=tuple(description["classes"]), network=network,
        scale=scale, centres=np.asarray(arrays["centres"]), roots=np.asarray(arrays["roots"]),
        settings=dict(description["settings"]), story=dict(description["story"]), codes=codes,  # type: ignore[arg-type]
        seen=seen,
    )  # fmt: skip


GENERATOR = Generator(
    key=KEY,
    title="VAE by class, with noise of each gene",
    kind="ours",
    reference="Kingma DP, Welling M. Auto-encoding variational Bayes. ICLR 2014; Sohn K, Lee H, Yan X."
    " NeurIPS 2015",
    doi="10.48550/arXiv.1312.6114",
    assumes="Within a class genes follow a few common factors and normal noise of their own, after a warp of"
    " the scale and cut at its floor; near a floor, with the class's zeros, mean and spread.",
    limits="With few patients most of it is its linear start; class means and factors are learned from the"
    " patients, so that who was among them can be told to a degree. sampling 'posterior' keeps patients'"
    " latent codes.",
    fit=fit,
    restore=restore,
    temperature="multiplies the deviation of the latents from their class's centre; noise stays",
    neural=True,
    options=OPTIONS,
)
