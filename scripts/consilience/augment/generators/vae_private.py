"""The VAE under differential privacy: what is learned would hardly change if one patient were left out.

Everything that touches the patients' values goes through Gaussian noise: the mean profile (one release) and
each step of training (the gradient of each donor's rows, summed, is cut to a fixed length, and noise is
added to the sum over donors). No closed-form start, chosen warp, early stopping, calibration or aggregate
posterior is used, since all of these look at the values. Every step takes all donors, so that the loss of
privacy is that of one Gaussian mechanism, exactly, with no bound in between (Gaussian differential privacy).

Taken as public: genes, units, classes, the number of donors, and who belongs to which class. The seed makes
the noise, so whoever knows the seed can take it away: keep it secret.

References
----------
Abadi M et al. Deep learning with differential privacy. CCS 2016. Balle B, Wang YX. Improving the Gaussian
mechanism for differential privacy. ICML 2018. Dong J, Roth A, Su WJ. Gaussian differential privacy. J R Stat
Soc B 84:3, 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.checks import HAVE_FLOOR
from consilience.augment.generators.vae_scale import NO_FLOOR, Scale
from consilience.foundation.errors import ConfigError, ModelError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.augment.networks.vae_network import VaeNetwork
    from consilience.learning.players import Rows
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]

MIDDLE, REACH = 4.0, 3.0
"""Public guesses: a log expression value, and a patient's distance from it (root mean square of genes)."""
STEPS = 20
RATE = 0.05
SHARE_OF_MEAN = 0.8
"""Share of the squared budget that the mean profile gets; the steps get the rest."""
LATENT = 2


@dataclass(frozen=True)
class Budget:
    """`epsilon`, `delta` asked for, and `mu` (sensitivity / noise) of the Gaussian mechanism of that loss."""

    epsilon: float
    delta: float
    mu: float

    @property
    def of_mean(self) -> float:
        """The mu of the mean profile's release."""
        return self.mu * math.sqrt(SHARE_OF_MEAN)

    def noise_multiplier(self, steps: int) -> float:
        """Noise of a step in lengths of a donor's gradient, so that all steps take the rest of the budget."""
        return math.sqrt(steps / (1 - SHARE_OF_MEAN)) / self.mu


def gaussian_delta(epsilon: float, mu: float) -> float:
    """δ of a Gaussian mechanism of sensitivity / noise `mu` at ε, exactly (Balle & Wang, theorem 8)."""
    from scipy.special import log_ndtr

    first, second = log_ndtr(mu / 2 - epsilon / mu), epsilon + log_ndtr(-mu / 2 - epsilon / mu)
    return float(math.exp(first) * -math.expm1(min(0.0, second - first)))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The ε at which a Gaussian mechanism of `mu` has this δ."""
    low, high = 0.0, 1.0
    if gaussian_delta(0.0, mu) <= delta:
        return 0.0
    while gaussian_delta(high, mu) > delta:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(middle, mu) > delta else (low, middle)
    return high


def budget(epsilon: float, delta: float) -> Budget:
    """The largest mu within (ε, δ)."""
    if not (epsilon > 0 and 0 < delta < 1):
        raise ConfigError("this is no privacy budget", value=f"epsilon {epsilon:g}, delta {delta:g}",
                          allowed="epsilon above 0, delta between 0 and 1")  # fmt: skip
    low, high = 0.0, 1.0
    while gaussian_delta(epsilon, high) <= delta:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(epsilon, middle) <= delta else (low, middle)
    if low <= 0:
        raise ConfigError("the privacy budget is too small to learn anything", value=epsilon)
    return Budget(epsilon, delta, low)


def shortened(rows: Floats, length: float) -> Floats:
    """Rows (n, G), those longer than `length` cut to it."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Floats = rows * np.minimum(1.0, length / np.maximum(norms, 1e-12))
    return found


def private_mean(
    values: Floats, donors: npt.NDArray[np.intp], *, mu: float, rng: np.random.Generator
) -> Floats:
    """Mean profile (G,) over donors of values (n, G): donors' means cut to a public length, noise added."""
    n_donors, n_genes = int(donors.max()) + 1, values.shape[1]
    length = REACH * math.sqrt(n_genes)
    own = np.stack([values[donors == one].mean(axis=0) for one in range(n_donors)])
    total = shortened(own - MIDDLE, length).sum(axis=0)
    found: Floats = MIDDLE + (total + rng.standard_normal(n_genes) * length / mu) / n_donors
    return found


def clipped_sum(
    network: VaeNetwork,
    batch: Rows,
    parameters: list[torch.nn.Parameter],
    *,
    length: float,
    noise: torch.Generator,
) -> list[torch.Tensor]:
    """Sum over donors of the gradient of minus the evidence bound of their rows, each cut to `length`."""
    import torch

    total = [torch.zeros_like(parameter) for parameter in parameters]
    for donor in torch.unique(batch["donors"]):
        mine = batch["donors"] == donor
        told, cost = network.evidence(batch["values"][mine], batch["codes"][mine], noise=noise)
        own = torch.autograd.grad((cost - told).sum(), parameters)
        norm = torch.sqrt(sum((part**2).sum() for part in own))  # type: ignore[arg-type]
        factor = torch.clamp(length / norm.clamp_min(1e-12), max=1.0)
        if bool(torch.isfinite(norm)):  # what is not finite cannot be cut, so it counts nothing
            total = [one + factor * part for one, part in zip(total, own, strict=True)]
    return total


def learned_privately(
    samples: Samples, *, epsilon: float, delta: float, latent: int, effort: float, seed: int, device: str
) -> tuple[VaeNetwork, Scale, dict[str, Any]]:
    """Network and scale within (ε, δ) per donor; δ 0: 1 / donors^1.1."""
    import torch

    from consilience.augment.networks.vae_network import VaeNetwork

    codes = np.unique(samples.labels, return_inverse=True)[1].astype(np.intp)
    donors = np.unique(samples.donors, return_inverse=True)[1].astype(np.intp)
    n_donors, n_genes = int(donors.max()) + 1, len(samples.genes)
    allowed = budget(epsilon, delta or n_donors**-1.1)
    steps = max(1, round(STEPS * effort))
    values = samples.values.astype(np.float64)
    centre = private_mean(values, donors, mu=allowed.of_mean, rng=stream(seed, "vae private mean"))
    scale = Scale(0.0, 0.0, samples.units.startswith(HAVE_FLOOR), centre, np.ones(n_genes))
    network = VaeNetwork(n_genes=n_genes, n_classes=int(codes.max()) + 1, latent=latent or LATENT, hidden=1)
    rng = stream(seed, "vae private start")
    with torch.no_grad():
        network.loadings.copy_(torch.as_tensor(0.1 * rng.standard_normal((n_genes, network.latent))))
        network.floor.copy_(torch.as_tensor(-centre if scale.bounded else np.full(n_genes, NO_FLOOR)))
        for weight in (network.bend_in.weight, network.bend_in.bias, network.correct_in.weight,
                       network.correct_in.bias):  # fmt: skip
            weight.zero_()  # the bend is off, and so is the correction
    _take_steps(network, scale.forward(values), codes, donors, steps=steps,
                multiplier=allowed.noise_multiplier(steps), seed=seed, device=device)  # fmt: skip
    network.to("cpu").eval()
    story = {
        "latent": network.latent, "epochs": steps, "warp": 0.0, "epsilon": epsilon, "delta": allowed.delta,
        "mu": allowed.mu, "noise_multiplier": allowed.noise_multiplier(steps), "unit": "donor",
    }  # fmt: skip
    return network, scale, story


def _take_steps(
    network: VaeNetwork, inner: Floats, codes: npt.NDArray[np.intp], donors: npt.NDArray[np.intp], *,
    steps: int, multiplier: float, seed: int, device: str,
) -> None:  # fmt: skip
    import torch

    from consilience.learning.fit import fit
    from consilience.learning.players import Loss, Player, Rows
    from consilience.learning.schedule import Schedule

    batch = Rows({
        "values": torch.as_tensor(inner, dtype=torch.float32), "codes": torch.as_tensor(codes),
        "donors": torch.as_tensor(donors),
    })  # fmt: skip
    n_donors, length = int(donors.max()) + 1, math.sqrt(inner.shape[1])
    parameters = [network.class_mean, network.log_noise, network.loadings]

    def loss(rows: Rows, noise: torch.Generator) -> Loss:
        total = clipped_sum(network, rows, parameters, length=length, noise=noise)
        value = torch.zeros((), device=rows["values"].device)
        for parameter, part in zip(parameters, total, strict=True):
            spread = torch.randn(part.shape, generator=noise, device=part.device) * multiplier * length
            value = value + (parameter * ((part + spread) / n_donors)).sum()  # its gradient is the noisy one
        return Loss(value)

    result = fit(
        players=[Player("vae", network, torch.optim.Adam(parameters, RATE), loss)],
        batches=lambda _epoch, _step, _rng: batch, schedule=Schedule(steps, 1), seed=seed, device=device,
        precision="float32", label="VAE, private",
    )  # fmt: skip
    if result.rows or result.troubles:  # rows of a donor may have been parted, or steps taken twice
        raise ModelError("the private training did not go as it is accounted for",
                         value=f"parted {result.rows}, repeated {result.troubles}",
                         mend="give it more memory, or fewer genes")  # fmt: skip
