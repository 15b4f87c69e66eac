"""Training of the default VAE: sizes and length are chosen on donors held out within the training donors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.vae_scale import Scale, scale_of
from consilience.augment.generators.vae_start import Axes, Moments, axes, shrunk_means, start
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.augment.networks.vae_network import VaeNetwork
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.intp]

LATENT = (2, 4, 8, 12, 16, 24)
"""Numbers of latent dimensions that are tried."""
HIDDEN = 16
MOST_EPOCHS = 150
PATIENCE = 25
BATCH = 128
N_FOLDS = 3
CALIBRATION, CALIBRATION_STEPS = 200, 3
LEAST_IN_CLASS = 2


@dataclass(frozen=True)
class Rates:
    """Learning rates of Adam: `small` for parameters without a gene axis, `gene` for the others."""

    small: float = 3e-3
    gene: float = 1e-3


RATES = Rates()


@dataclass(frozen=True)
class Ground:
    """Rows on their scale (n, G) and all that a start is made of, from these rows alone."""

    inner: Floats
    codes: Codes
    scale: Scale
    found: Moments
    means: Floats
    along: Axes

    @classmethod
    def of(
        cls,
        values: Floats,
        codes: Codes,
        *,
        bounded: bool,
        offset: float | None = None,
        most: int = LATENT[-1],
    ) -> Ground:
        """Of values (n, G) in classes `codes`; at most `most` axes."""
        scale, found = scale_of(values, codes, bounded=bounded, offset=offset)
        return cls(scale.forward(values), codes, scale, found, shrunk_means(found, codes),
                   axes(found, codes, most=most))  # fmt: skip


def begun(ground: Ground, *, latent: int, hidden: int, seed: int) -> VaeNetwork:
    """A network at its closed-form start."""
    import torch

    from consilience.augment.networks.vae_network import VaeNetwork

    at = start(ground.found, ground.means, ground.along, latent=latent)
    n_classes, n_genes = at.means.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "vae start").integers(2**31)))
        network = VaeNetwork(n_genes=n_genes, n_classes=n_classes, latent=at.loadings.shape[1], hidden=hidden)
    values = {
        "class_mean": at.means, "log_noise": np.log(at.noise), "loadings": at.loadings,
        "log_wobble": np.log(at.wobble), "noisy_slope": at.wobble / (at.wobble**2 + 0.5 / n_genes),
        "noisy_offset": at.wobble**2, "noisy_log_variance": -np.log(1 + 2 * n_genes * at.wobble**2),
        "floor": ground.scale.inner_floor,
    }  # fmt: skip
    with torch.no_grad():
        for name, value in values.items():
            getattr(network, name).copy_(torch.as_tensor(np.asarray(value), dtype=torch.float32))
    return network


@dataclass(frozen=True)
class Learned:
    """A trained network; of its training rows `latents`, `latent_sds` (n, d + 1) and classes `codes` (n,)."""

    network: VaeNetwork
    scale: Scale
    latents: Floats
    latent_sds: Floats
    codes: Codes
    story: dict[str, Any]

    def aggregate(self) -> tuple[Floats, Floats]:
        """Mean (C, d + 1) and Cholesky root (C, d + 1, d + 1) of the latents of each class.

        Covariances of classes with few patients are drawn towards the common one.
        """
        size = self.latents.shape[1]
        n_classes = int(self.codes.max()) + 1
        groups = [np.flatnonzero(self.codes == one) for one in range(n_classes)]
        centres = np.stack([self.latents[rows].mean(axis=0) for rows in groups])
        away = self.latents - centres[self.codes]
        spread = np.diag((self.latent_sds**2).mean(axis=0))
        common = away.T @ away / max(1, len(away) - n_classes) + spread
        roots = []
        for rows in groups:
            own = away[rows].T @ away[rows] / max(1, len(rows) - 1)
            own += np.diag((self.latent_sds[rows] ** 2).mean(axis=0))
            share = len(rows) / (len(rows) + 2 * size)
            roots.append(np.linalg.cholesky(share * own + (1 - share) * common + 1e-9 * np.eye(size)))
        return centres, np.stack(roots)


Allowed = Callable[[int, Scale], tuple[int, dict[str, Any]]]
"""(latent size of the best evidence, scale) → the size to be taken, and what to tell of it."""


def learned(
    samples: Samples, *, bounded: bool, latent: int, effort: float, seed: int, device: str,
    hidden: int = HIDDEN, allowed: Allowed | None = None,
) -> Learned:  # fmt: skip
    """Choose the latent size and the number of epochs within these donors, then train on all of them."""
    codes = np.unique(samples.labels, return_inverse=True)[1].astype(np.intp)
    values = samples.values.astype(np.float64)
    most = max(1, round(MOST_EPOCHS * effort))
    ground = Ground.of(values, codes, bounded=bounded, most=latent or LATENT[-1])
    folds = inner_folds(samples, codes, ground.scale, seed=seed, most=latent or LATENT[-1])
    bounds = {} if latent else bounds_of_sizes(folds, seed=seed, hidden=hidden)
    size = latent or (max(bounds, key=lambda one: bounds[one]) if bounds else LATENT[0])
    why: dict[str, Any] = {}
    if allowed is not None and not latent:
        size, why = allowed(size, ground.scale)
    epochs, told = 0, list[dict[str, Any]]()
    if folds:
        fold = folds[0]
        tried = begun(fold.ground, latent=size, hidden=hidden, seed=seed)
        epochs, told = train(tried, fold.ground.inner, fold.ground.codes, epochs=most, seed=seed,
                             device=device, watched=(fold.test, fold.test_codes))  # fmt: skip
    network = begun(ground, latent=size, hidden=hidden, seed=seed)
    if epochs:
        train(network, ground.inner, codes, epochs=epochs, seed=seed, device=device)
    network.to("cpu").eval()
    calibrate(network, ground.scale, values, codes, seed=seed)
    story = {
        "latent": network.latent, "epochs": epochs, "warp": ground.scale.offset, "n_samples": len(samples),
        "bounds_of_sizes": {str(one): round(value, 6) for one, value in bounds.items()},
        "bounds": [round(float(line["validation.bound"]), 6) for line in told],
    }  # fmt: skip
    return _encoded(network, ground, story | why)


def started(ground: Ground, *, latent: int, seed: int, hidden: int = HIDDEN) -> Learned:
    """The closed-form start as if it were trained, neither trained nor calibrated."""
    network = begun(ground, latent=latent, hidden=hidden, seed=seed).eval()
    story = {"latent": network.latent, "epochs": 0, "warp": ground.scale.offset,
             "n_samples": len(ground.codes)}  # fmt: skip
    return _encoded(network, ground, story)


def _encoded(network: VaeNetwork, ground: Ground, story: dict[str, Any]) -> Learned:
    import torch

    with torch.no_grad():
        posterior = network.encode(
            torch.as_tensor(ground.inner, dtype=torch.float32), torch.as_tensor(ground.codes)
        )
    return Learned(
        network, ground.scale, posterior.mean.numpy().astype(np.float64),
        torch.exp(0.5 * posterior.log_variance).numpy().astype(np.float64), ground.codes, story,
    )  # fmt: skip


def calibrate(network: VaeNetwork, scale: Scale, values: Floats, codes: Codes, *, seed: int) -> None:
    """Widen or narrow each class so that the variance of its samples, summed over genes, is that of `values`.

    The warp magnifies what the fit of a normal distribution leaves over; one number for each class mends it.
    """
    import torch

    for code in range(int(codes.max()) + 1):
        mine = values[codes == code]
        target = float(mine.var(axis=0, ddof=1).sum()) if len(mine) > 1 else 0.0
        rng = stream(seed, "vae calibration", code)
        latents = torch.as_tensor(rng.standard_normal((CALIBRATION, network.latent + 1)), dtype=torch.float32)
        deviations = rng.standard_normal((CALIBRATION, values.shape[1]))
        for _ in range(CALIBRATION_STEPS if target > 0 else 0):
            with torch.no_grad():
                mean, log_sd = network.decode(latents, torch.full((CALIBRATION,), code, dtype=torch.long))
                inner = mean.numpy().astype(np.float64) + np.exp(log_sd.numpy()) * deviations
                made = float(scale.back(inner).var(axis=0, ddof=1).sum())
                factor = float(np.clip(np.sqrt(target / max(made, 1e-12)), 0.8, 1.25))
                network.log_noise[code] += np.log(factor)


@dataclass(frozen=True)
class Fold:
    """An inner split: `ground` is of its training donors alone; `test` (m, G) on the scale of that ground."""

    ground: Ground
    test: Floats
    test_codes: Codes


def inner_folds(samples: Samples, codes: Codes, scale: Scale, *, seed: int, most: int) -> tuple[Fold, ...]:
    """Splits of the training donors in which every class is in training; none with too few donors."""
    from consilience.learning.splits import donor_folds

    n_folds = min(N_FOLDS, len(np.unique(samples.donors)))
    if n_folds < 2:
        return ()
    values, found = samples.values.astype(np.float64), []
    for split in donor_folds(samples.donors, labels=samples.labels, n_folds=n_folds, seed=seed):
        inside = codes[split.train]
        if np.bincount(inside, minlength=codes.max() + 1).min() < LEAST_IN_CLASS:
            continue
        ground = Ground.of(values[split.train], inside, bounded=scale.bounded, offset=scale.offset, most=most)
        found.append(Fold(ground, ground.scale.forward(values[split.test]), codes[split.test]))
    return tuple(found)


def bounds_of_sizes(folds: tuple[Fold, ...], *, seed: int, hidden: int) -> dict[int, float]:
    """Mean evidence bound of held-out donors at the start, for each latent size that can be had."""
    least = min((fold.ground.along.freedom for fold in folds), default=0)
    sizes = [size for size in LATENT if size <= least // 2] or LATENT[:1]
    return {
        size: float(np.mean([
            held_out_bound(begun(fold.ground, latent=size, hidden=hidden, seed=seed),
                           fold.test, fold.test_codes, seed=seed, draws=1)
            for fold in folds
        ]))
        for size in sizes
    } if folds else {}  # fmt: skip


def held_out_bound(
    network: VaeNetwork, inner: Floats, codes: Codes, *, seed: int, draws: int = 4, device: str = "cpu"
) -> float:
    """Evidence bound of rows (n, G), per row and gene, always with the same noise."""
    import torch

    noise = torch.Generator(device=device).manual_seed(int(stream(seed, "vae bound").integers(2**31)))
    with torch.no_grad():
        values = torch.as_tensor(inner, dtype=torch.float32, device=device)
        told, cost = network.evidence(values, torch.as_tensor(codes, device=device), noise=noise, draws=draws)
        found = (told - cost).mean().item()
    return float(found / inner.shape[1])


def train(
    network: VaeNetwork,
    inner: Floats,
    codes: Codes,
    *,
    epochs: int,
    seed: int,
    device: str,
    rates: Rates = RATES,
    watched: tuple[Floats, Codes] | None = None,
    names: npt.NDArray[np.str_] | None = None,
) -> tuple[int, list[dict[str, Any]]]:
    """Train in place; with `watched` rows, to their best bound. Returns epochs (0: the start) and history."""
    import torch

    from consilience.learning.fit import fit
    from consilience.learning.players import Loss, Player, Rows
    from consilience.learning.schedule import Schedule

    table = {"values": torch.as_tensor(inner, dtype=torch.float32), "codes": torch.as_tensor(codes)}
    known = [str(one) for one in names] if names is not None else []

    def batches(epoch: int, step: int, rng: np.random.Generator) -> Rows:
        rows = np.arange(len(codes)) if len(codes) <= BATCH else rng.choice(len(codes), BATCH, replace=False)
        return Rows(
            {name: tensor[rows] for name, tensor in table.items()}, [known[row] for row in rows if known]
        )

    def loss(batch: Rows, noise: torch.Generator) -> Loss:
        told, cost = network.evidence(batch["values"], batch["codes"], noise=noise)
        size = batch["values"].shape[1]
        return Loss((cost - told).mean() / size, {"kl": cost.mean()})

    def validate(_epoch: int) -> Mapping[str, float]:
        assert watched is not None  # noqa: S101
        where = next(network.parameters()).device
        return {"bound": held_out_bound(network, *watched, seed=seed, device=str(where))}

    first = -np.inf if watched is None else held_out_bound(network, *watched, seed=seed)
    kept = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    genes = {"class_mean", "log_noise", "loadings", "bend"}
    groups = [
        {
            "params": [
                p for name, p in network.named_parameters() if (name in genes) == whether and p.numel()
            ],
            "lr": rate,
        }
        for whether, rate in ((True, rates.gene), (False, rates.small))
    ]
    result = fit(
        players=[Player("vae", network, torch.optim.Adam([g for g in groups if g["params"]]), loss)],
        batches=batches, seed=seed, device=device, precision="float32", label="VAE",
        schedule=Schedule(epochs, max(1, round(len(codes) / BATCH)), clip_norm=10.0,
                          monitor="validation.bound" if watched else "", larger_is_better=True,
                          patience=PATIENCE if watched else None),
        validate=validate if watched else None,
    )  # fmt: skip
    history = [dict(line) for line in result.history]
    if watched is not None:
        best = result.best_epoch or 0
        if not best or float(history[best - 1]["validation.bound"]) <= first:
            network.load_state_dict(kept)
            best = 0
        return best, [{"epoch": 0, "validation.bound": first}, *history]
    return epochs, history
