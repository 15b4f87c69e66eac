"""A trained model: networks, the genes and pathways they know, their calibration, and where they come from.

A model folder is all that is needed to use a model: no training data, no file of gene sets. It holds no value
that belongs to one sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import ConsilienceError, ModelError
from consilience.rnagan.alignment import GeneMoments

if TYPE_CHECKING:
    import torch

    from consilience.learning.samples import Samples
    from consilience.pathways.wiring import Wiring
    from consilience.rnagan.calibration import Calibration
    from consilience.rnagan.presets import Preset

KIND = "rnagan"
SOFTWARE = ("consilience", "numpy", "torch", "safetensors")
NETWORKS = ("discriminator", "generator")
MIN_DONORS = 10
MOST_UNITS = 1 << 14


@dataclass(frozen=True)
class Rnagan:
    """A model.

    `genes` (G,) in the order of the networks' inputs; `preset` its choices, the scale of its samples among
    them; `wiring` which gene feeds which pathway; `calibration` what the networks' logits have meant,
    None where it was not fitted; `record` plain values for JSON: `cohorts` (see `cohort_entry`), `moments`
    (see `moments_entry`), `history` and `figures` (numbers by name), `limits` (sentences), `software`.
    """

    preset: Preset
    genes: tuple[str, ...]
    wiring: Wiring
    discriminator: torch.nn.Module
    generator: torch.nn.Module
    calibration: Calibration | None
    record: dict[str, Any]

    @property
    def scale(self) -> str:
        """The scale of its training samples, one of `scales.SCALES`."""
        return self.preset.scale

    @property
    def knows_arrays(self) -> bool:
        """Whether arrays were among its training cohorts."""
        cohorts = self.record.get("cohorts", [])
        return any(cohort.get("measured") in {"log2", "intensity"} for cohort in cohorts)

    @property
    def moments(self) -> GeneMoments | None:
        """Mean and sd of each gene over the training samples, where they were kept."""
        kept = self.record.get("moments")
        if not kept:
            return None
        return GeneMoments(*(np.array(kept[name], dtype=np.float64) for name in ("mean", "sd")))

    def save(self, folder: Path) -> None:
        """Write the folder: model.safetensors, model.json and card.md, whole or not at all."""
        from consilience.learning.bundles import save_bundle
        from consilience.rnagan.card import card_text

        tensors = {
            f"{network}.{name}": tensor.detach().cpu().contiguous()
            for network in NETWORKS
            for name, tensor in getattr(self, network).state_dict().items()
        }
        description = {
            "preset": self.preset.to_params(), "genes": list(self.genes), "wiring": _edges(self.wiring),
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "record": self.record,
        }  # fmt: skip
        save_bundle(folder, kind=KIND, tensors=tensors, description=description, card=card_text(self))


def load_model(folder: Path) -> Rnagan:
    """Read a model folder; no code in it is run, and what does not fit is refused.

    Raises
    ------
    ModelError
        When it is no folder of such a model, or its weights are damaged, missing or not finite.
    """
    from consilience.learning.bundles import load_bundle
    from consilience.rnagan.presets import build_networks

    bundle = load_bundle(folder, kind=KIND)
    where, description = str(folder), bundle.description
    genes = tuple(_texts(description.get("genes"), "genes", where))
    wiring = _wired(description.get("wiring"), genes, where)
    record = description.get("record")
    if not isinstance(record, dict):
        raise ModelError("model.json has no record", where=where, mend="get the model again")
    preset = _preset(description.get("preset"), where)
    discriminator, generator = build_networks(preset, genes, wiring, 0)
    for prefix, network in zip(NETWORKS, (discriminator, generator), strict=True):
        _fill(network, bundle.tensors, prefix=prefix, where=where)
    calibration = _calibration(description.get("calibration"), where)
    model = Rnagan(preset, genes, wiring, discriminator, generator, calibration, record)
    _check_moments(model, where)
    return model


def _preset(params: Any, where: str) -> Preset:
    from consilience.rnagan.presets import Preset

    again = "the model was written by another version, or is damaged: get it again"
    try:
        preset = Preset.from_params(params)
    except ConsilienceError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelError("its preset cannot be read", where=where, mend=again) from error
    if max(preset.hidden) > MOST_UNITS:
        raise ModelError("layers too large to be true", where=where, value=str(preset.hidden),
                         allowed=f"{MOST_UNITS} units", mend=again)  # fmt: skip
    return preset


def cohort_entry(name: str, samples: Samples, *, measured: str = "counts") -> dict[str, Any]:
    """What a model may tell of a training cohort: numbers and a digest, of no sample in particular.

    `measured` are the units of its source (`study.cohorts.UNITS`): an array, or reads.
    """
    labels, often = np.unique(samples.labels, return_counts=True)
    digest = hashlib.sha256(np.ascontiguousarray(samples.values).tobytes())
    digest.update("\0".join(samples.genes).encode())
    return {
        "name": name, "measured": measured, "samples": len(samples),
        "donors": int(np.unique(samples.donors).size), "digest": digest.hexdigest()[:16],
        "labels": {str(label): int(n) for label, n in zip(labels, often, strict=True)},
    }  # fmt: skip


def moments_entry(samples: Samples) -> dict[str, list[float]] | None:
    """Mean and sd of each gene for `record["moments"]`; None for fewer than ten donors: they would show."""
    if np.unique(samples.donors).size < MIN_DONORS:
        return None
    values = samples.values
    mean, sd = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    return {"mean": np.round(mean, 5).tolist(), "sd": np.round(sd, 5).tolist()}


def software() -> dict[str, str]:
    """Versions for `record["software"]`."""
    from consilience.foundation.provenance import package_versions

    return package_versions(SOFTWARE)


def _edges(wiring: Wiring) -> dict[str, Any]:
    """The wiring by positions of genes, pathway after pathway."""
    start = wiring.start.tolist()
    members = wiring.member.tolist()
    return {
        "pathways": list(wiring.pathways),
        "genes": [members[first:last] for first, last in pairwise(start)],
    }


def _wired(edges: Any, genes: tuple[str, ...], where: str) -> Wiring:
    from consilience.pathways.wiring import wire

    damaged = ModelError("the wiring of its pathways is damaged", where=where, mend="get the model again")
    if not isinstance(edges, Mapping):
        raise damaged
    pathways = _texts(edges.get("pathways"), "pathways", where) if edges.get("pathways") else []
    members = edges.get("genes")
    if not isinstance(members, list) or len(members) != len(pathways):
        raise damaged
    mask: dict[str, list[str]] = {"gene": [], "pathway": []}
    for pathway, places in zip(pathways, members, strict=True):
        for place in places if isinstance(places, list) else [None]:
            if type(place) is not int or not 0 <= place < len(genes):
                raise damaged
            mask["gene"].append(genes[place])
            mask["pathway"].append(pathway)
    return wire(mask, genes=genes, pathways=pathways)


def _texts(given: Any, what: str, where: str) -> list[str]:
    whole = isinstance(given, list) and given and all(isinstance(one, str) and one for one in given)
    if not whole or len(set(given)) < len(given):
        raise ModelError(f"model.json has no proper list of {what}", where=where, mend="get the model again")
    return list(given)


def _fill(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], *, prefix: str, where: str) -> None:
    """Put the weights into a network of the preset's shape."""
    import torch

    wanted = network.state_dict()
    given = {
        name.removeprefix(f"{prefix}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}.")
    }
    for name in sorted(wanted.keys() | given.keys()):
        if name not in given or name not in wanted:
            raise ModelError(
                f"the weights are not those of its preset: {prefix}.{name} is "
                + ("missing" if name not in given else "unknown"), where=where, mend="get the model again",
            )  # fmt: skip
        if given[name].shape != wanted[name].shape:
            raise ModelError(
                f"{prefix}.{name} has the wrong shape", where=where, value=str(tuple(given[name].shape)),
                allowed=str(tuple(wanted[name].shape)), mend="get the model again",
            )  # fmt: skip
        if given[name].is_floating_point() and not bool(torch.isfinite(given[name]).all()):
            raise ModelError(
                f"{prefix}.{name} holds weights that are no finite numbers", where=where,
                mend="train again, or get the model again",
            )  # fmt: skip
    network.load_state_dict(given)
    network.train(False)


def _calibration(given: Any, where: str) -> Calibration | None:
    from consilience.rnagan.calibration import Calibration

    if given is None:
        return None
    try:
        made = Calibration(**given)
        numbers = np.array(list(asdict(made).values()), dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if (
        not np.isfinite(numbers).all()
        or min(made.log_slope_sd, made.shift_sd) < 0
        or abs(made.log_slope) > 50
    ):
        raise ModelError("the calibration is damaged", where=where, value=str(given),
                         mend="get the model again")  # fmt: skip
    return made


def _check_moments(model: Rnagan, where: str) -> None:
    kept = model.record.get("moments")
    if not kept:
        return
    lists = isinstance(kept, Mapping) and all(isinstance(kept.get(name), list) for name in ("mean", "sd"))
    if not lists or any(len(kept[name]) != len(model.genes) for name in ("mean", "sd")):
        raise ModelError("the moments of its genes do not fit them", where=where, mend="get the model again")
