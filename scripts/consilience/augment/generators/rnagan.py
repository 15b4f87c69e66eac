"""RNAGAN's generator on a cohort: the training samples of each class are its references; nothing is trained.

The generator turns references into new samples and holds no patient itself; what it is fitted to *are* the
patients, all of them. So a fitted one is for use here and now: it is written down only where
`keeps_patients` asks for it, with the patients in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.checks import refuse
from consilience.augment.generators.classes import asked, floor_of
from consilience.augment.generators.generator import Drawn, Generator
from consilience.augment.generators.unlabelled import (
    KEEPS_PATIENTS,
    array_of,
    epochs_for,
    with_defaults,
)
from consilience.foundation.errors import ConfigError, DataError, ModelError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples
    from consilience.rnagan.model import Rnagan

    Floats = npt.NDArray[np.float32]

KEY = "rnagan"
OPTIONS: Mapping[str, Any] = MappingProxyType({"model": None, KEEPS_PATIENTS: False})
"""`model`: folder of a model. `keeps_patients`: whether `to_arrays` may write the references down."""
LEAST_KNOWN = 0.5


@dataclass(frozen=True)
class FittedRnagan:
    """A model's generator on the samples' own genes, and its references: `values` (n, G), `labels` (n,).

    `places` (G,): column of each gene among the generator's inputs, which are `inputs` (columns,) wide and
    stand at these values where the samples have no such gene.
    """

    genes: tuple[str, ...]
    classes: tuple[str, ...]
    network: torch.nn.Module
    values: Floats
    labels: npt.NDArray[np.str_]
    places: npt.NDArray[np.intp]
    inputs: Floats
    floor: float
    model: str
    digest: str
    may_be_written: bool

    def sample(self, labels: npt.NDArray[np.str_], *, seed: int, temperature: float | None = None) -> Drawn:
        """From the references of each label; RNAGAN has no temperature, and 1 or None is the same."""
        import torch

        if temperature is not None and temperature != 1:
            raise ConfigError("RNAGAN's generator has no temperature", where=KEY, value=temperature,
                              allowed="1 or none")  # fmt: skip
        made = np.empty((len(labels), len(self.genes)), dtype=np.float32)
        for label, rows in asked(labels, classes=self.classes).items():
            references = self._spread(self.values[self.labels == label])
            own = int(stream(seed, KEY, label).integers(2**31))
            with torch.no_grad():
                drawn = self.network(torch.from_numpy(references), len(rows), own).numpy()
            made[rows] = np.maximum(drawn[:, self.places], self.floor)
        return Drawn(made, np.asarray(labels, dtype=str))

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The references themselves, where `keeps_patients` was asked for.

        Raises
        ------
        ModelError
            Where it was not.
        """
        if not self.may_be_written:
            raise ModelError(
                "RNAGAN's generator works from the patients themselves: written down, it would hold them",
                where=KEY,
                mend="release its synthetic samples and not this; to keep it among yourselves, fit it with"
                f" the option {KEEPS_PATIENTS}",
            )
        description = {
            "genes": list(self.genes), "labels": self.labels.tolist(), "model": self.model,
            "sha256": self.digest, "floor": self.floor if np.isfinite(self.floor) else None,
            KEEPS_PATIENTS: True,
        }  # fmt: skip
        return {"references": self.values}, description

    def _spread(self, values: Floats) -> Floats:
        """References (n, G) under the generator's inputs."""
        whole = np.tile(self.inputs, (len(values), 1))
        whole[:, self.places] = values
        return whole


def fit_rnagan(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> FittedRnagan:
    """Take these samples as references for the model in the folder `model` (see `Fit`).

    Nothing is trained: `seed`, `effort` and `device` do not matter.
    """
    epochs_for(1, effort=effort)
    chosen = with_defaults(options, defaults=OPTIONS, choices={KEEPS_PATIENTS: (True, False)}, where=KEY)
    if not isinstance(chosen["model"], str | Path) or not str(chosen["model"]):
        raise ConfigError("RNAGAN's generator needs a model", where=f"{KEY}: model", value=chosen["model"],
                          allowed="the folder of an RNAGAN model")  # fmt: skip
    refuse(samples)
    ordered = samples.take(np.argsort(samples.names, kind="stable"))
    return _fitted(ordered.values, ordered.labels.astype(str), samples.genes, units=samples.units,
                   floor=floor_of(ordered), model=str(chosen["model"]),
                   may_be_written=chosen[KEEPS_PATIENTS])  # fmt: skip


def restore_rnagan(arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> FittedRnagan:
    """`FittedRnagan.to_arrays` turned around; the model's folder must be there, and be the same."""
    try:
        genes, model, digest = tuple(description["genes"]), description["model"], description["sha256"]
        labels = np.array(list(description["labels"]), dtype=str)
        floor = float("-inf") if description["floor"] is None else float(description["floor"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError("its description is incomplete", where=KEY, mend="fit it again") from error
    values = array_of(arrays, "references", shape=(len(labels), len(genes)), where=KEY)
    found = _fitted(values, labels, genes, units="", floor=floor, model=model, may_be_written=True)
    if found.digest != digest:
        raise ModelError("the model in this folder is another one now", where=str(model), mend="fit it again")
    return found


def _fitted(
    values: Floats, labels: npt.NDArray[np.str_], genes: tuple[str, ...], *, units: str, floor: float,
    model: str, may_be_written: bool,
) -> FittedRnagan:  # fmt: skip
    from consilience.rnagan.model import load_model
    from consilience.rnagan.networks.default_generator_network import DefaultGenerator

    loaded = load_model(Path(model))
    place = {gene: number for number, gene in enumerate(loaded.genes)}
    known = np.array([place.get(gene, -1) for gene in genes])
    _refuse_few(known, genes, where=model)
    if isinstance(loaded.generator, DefaultGenerator):
        network: torch.nn.Module = on_genes(loaded.generator, known, genes)
        places, inputs = np.arange(len(genes)), np.zeros(len(genes), dtype=np.float32)
    else:
        _refuse_other(loaded, known, genes, units=units, where=model)
        moments = loaded.moments
        level = np.zeros(len(loaded.genes)) if moments is None else np.nan_to_num(moments.mean)
        inputs = level.astype(np.float32)
        network, places = loaded.generator, known
    return FittedRnagan(
        genes=genes, classes=tuple(str(one) for one in np.unique(labels)), network=network.eval(),
        values=np.ascontiguousarray(values, dtype=np.float32), labels=labels, places=places,
        inputs=inputs, floor=floor,
        model=model, digest=_digest(loaded.generator), may_be_written=may_be_written,
    )  # fmt: skip


def on_genes(
    generator: torch.nn.Module, known: npt.NDArray[np.intp], genes: tuple[str, ...]
) -> torch.nn.Module:
    """The default generator on other genes: `known` (G,) their numbers among its own, −1 for none.

    What it learned of a gene are its loadings on common factors; a gene that it does not know has none, and
    outside the references' span varies on its own.
    """
    import torch

    from consilience.rnagan.networks.default_generator_network import DefaultGenerator

    if not isinstance(generator, DefaultGenerator):
        raise ModelError("only the default generator can be brought to other genes")
    made = DefaultGenerator(genes, sizes=generator.sizes)
    with torch.no_grad():
        rows = generator.factor_loadings()[torch.from_numpy(np.maximum(known, 0))]
        made.loadings.copy_(rows * torch.from_numpy(known >= 0)[:, None])
        for name in ("first", "second", "settings"):
            getattr(made, name).copy_(getattr(generator, name))
    return made


def _refuse_few(known: npt.NDArray[np.intp], genes: tuple[str, ...], *, where: str) -> None:
    n = int((known >= 0).sum())
    if n < LEAST_KNOWN * len(genes):
        unknown = [gene for gene, at in zip(genes, known, strict=True) if at < 0]
        raise DataError(f"the model knows only {n:,} of these {len(genes):,} genes", where=where,
                        value=", ".join(unknown[:5]), allowed=f"at least {LEAST_KNOWN:.0%}",
                        mend="use a model of the same kind of data, and gene symbols")  # fmt: skip


def _refuse_other(
    model: Rnagan, known: npt.NDArray[np.intp], genes: tuple[str, ...], *, units: str, where: str
) -> None:
    """The published generator has an output for its own genes only, and knows one scale."""
    from consilience.rnagan.scales import SCALES

    unknown = [gene for gene, at in zip(genes, known, strict=True) if at < 0]
    if unknown:
        raise DataError("this model's generator cannot make genes that it does not know", where=where,
                        value=f"{len(unknown)}: {', '.join(unknown[:5])}",
                        mend="leave these genes out, or use a model of the default preset")  # fmt: skip
    if units in SCALES and units != model.scale:
        raise DataError("the samples are on another scale than the model's", where=where, value=units,
                        allowed=model.scale, mend="prepare the samples on the model's scale")  # fmt: skip


def _digest(generator: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(generator.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


GENERATOR = Generator(
    key=KEY,
    title="RNAGAN's generator, from references",
    kind="ours",
    reference="Hou, RNAGAN, 2026 (the idea); Ting, random orthogonal matrix masking, 2008",
    doi="10.64898/2026.03.17.712527",
    assumes="New patients of a class are random combinations of the references of that class, with each"
    " gene's own distribution; what the references cannot say of variation is like in the model's cohorts.",
    limits="Keeps the references' means and covariances exactly, and so tells who was among them the more the"
    " fewer they are. It works from the patients themselves: it cannot be released, only its samples can.",
    fit=fit_rnagan,
    restore=restore_rnagan,
    temperature="",
    neural=False,
    wants="rnagan model",
    options=OPTIONS,
)
