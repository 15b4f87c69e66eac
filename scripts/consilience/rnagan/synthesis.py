"""Synthetic samples of a model: made, cleaned of near copies, judged, and released or refused.

Fidelity and privacy are judged by patients the samples were not made from. Where none are given, a trial
holds out some donors of the references, makes samples from the others, and judges those: the released
samples come from all references by the same procedure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from consilience.foundation.errors import ConfigError, DataError, did_you_mean
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.learning.samples import Samples
    from consilience.measures.fidelity import Agreement, Fidelity
    from consilience.measures.privacy import Privacy
    from consilience.measures.release import PrivacyThresholds

    Sets = tuple[Samples, Samples, Samples]
    """Training, held-out and synthetic samples."""

LEAST_PATIENTS = 2
LEAST_JUDGED = 4
TRIAL_HELD_OUT = 0.3


class Maker(Protocol):
    """What is needed of a model (`model.Rnagan` has it): `generator(references, n, seed)` on `genes`."""

    @property
    def genes(self) -> tuple[str, ...]:
        """In the order of the generator's inputs."""
        ...

    @property
    def generator(self) -> torch.nn.Module:
        """References (R, G), n, seed → (n, G)."""
        ...


@dataclass(frozen=True)
class Synthetic:
    """Synthetic samples and what is known of them.

    `samples`: labels as asked, names and donors of their own, no name of a patient. `provenance`: how they
    were made. `fidelity`, `privacy`: main figures by name; `metrics`: all of both. `release`: `passed`,
    `judged_by`, `reasons` (sentences of what failed), `notes`.
    """

    samples: Samples
    provenance: dict[str, Any]
    fidelity: dict[str, Any]
    privacy: dict[str, Any]
    metrics: dict[str, Any]
    release: dict[str, Any]


@dataclass(frozen=True)
class _Made:
    samples: Samples
    removed: int
    lost: int


def synthesise(
    model: Maker,
    references: Samples,
    label: str | Sequence[str] | None = None,
    n: int | None = None,
    seed: int = 0,
    *,
    fold: float = 10.0,
    held_out: Samples | None = None,
    thresholds: PrivacyThresholds | None = None,
) -> Synthetic:
    """`n` samples (or `fold` for each reference) of each label, or of all labels, made from `references`.

    `references` on the model's genes and scale; `held_out`: other patients of the same labels.

    Raises
    ------
    DataError
        For a label without references or of one patient only, other genes, or donors on both sides.
    """
    references = _prepared(model, references)
    labels = _labels(references, label)
    sizes = {one: _size(n, fold, int((references.labels == one).sum())) for one in labels}
    made = _make(model, references, sizes, seed)
    sets: Sets | None
    if held_out is not None:
        others = _prepared(model, held_out)
        _check_held_out(references, others, labels)
        judged_by, sets = "held-out patients", (references, others, made.samples)
    else:
        judged_by, sets = "a trial on part of the donors", _trial(model, references, labels, seed)
    figures = _judged(sets, labels, judged_by, thresholds, seed)
    return Synthetic(
        samples=made.samples,
        provenance={
            "generator": type(model.generator).__name__, "seed": seed, "units": references.units,
            "real": {one: int((references.labels == one).sum()) for one in labels},
            "synthetic": {one: int((made.samples.labels == one).sum()) for one in labels},
            "near_copies_removed": made.removed, "not_replaced": made.lost, "genes": len(references.genes),
        },
        **figures,
    )  # fmt: skip


def write_release(folder: Path, made: Synthetic, *, label: str = "label") -> tuple[Path, ...]:
    """Write metrics.json, and synthetic.h5ad and synthetic.parquet where release was granted.

    Refused samples are not written, and those of an earlier run are removed: the files present always belong
    to the verdict beside them. Returns what was written.
    """
    import anndata
    import pandas as pd

    from consilience.expression.h5ad import write_h5ad
    from consilience.foundation.files import write_json, write_parquet

    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / name for name in ("metrics.json", "synthetic.h5ad", "synthetic.parquet"))
    for path in paths:
        path.unlink(missing_ok=True)
    told = {name: getattr(made, name) for name in ("provenance", "release", "fidelity", "privacy", "metrics")}
    write_json(paths[0], told)
    if not made.release["passed"]:
        return paths[:1]
    samples = made.samples
    obs = pd.DataFrame(
        {label: samples.labels.astype(object), "synthetic": True}, index=pd.Index(samples.names, dtype=object)
    )
    data = anndata.AnnData(obs=obs, var=pd.DataFrame(index=pd.Index(samples.genes, dtype=object)))
    data.uns["consilience"] = {"units": samples.units, "synthetic": True, "kind": "rnagan"}
    write_h5ad(paths[1], data, x=np.ascontiguousarray(samples.values), layers={})
    table = pd.DataFrame(samples.values, columns=list(samples.genes))
    table.insert(0, "sample", samples.names)
    table.insert(1, f"{label}_of_sample" if label in samples.genes else label, samples.labels)
    write_parquet(paths[2], table)
    return paths


def _make(model: Maker, references: Samples, sizes: dict[str, int], seed: int) -> _Made:
    """Samples of each label, near copies of any reference replaced or left out."""
    from consilience.measures.release import remove_near_copies

    values, labels, removed, lost = [], [], 0, 0
    for label, n in sizes.items():
        mine = references.take(references.labels == label)
        draw = _drawer(model, mine.values, label, seed)
        cleaned = remove_near_copies(
            synthetic=draw(n, 0), train=mine.values, donors=mine.donors,
            redraw=lambda rows, number, draw=draw: draw(len(rows), number),  # type: ignore[misc]
        )  # fmt: skip
        values.append(cleaned.values)
        labels += [label] * len(cleaned.values)
        removed, lost = removed + cleaned.n_removed, lost + n - len(cleaned.values)
    if not labels:
        raise DataError("every sample was a near copy of a patient, so none is left",
                        mend="use the default generator, or give more references")  # fmt: skip
    number = np.arange(1, len(labels) + 1)
    names = np.array([f"synthetic-{one:05d}" for one in number.tolist()])
    samples = replace(
        references, values=np.concatenate(values), names=names, donors=names, labels=np.array(labels),
        batches=np.full(len(labels), "synthetic"),
    )  # fmt: skip
    return _Made(samples, removed, lost)


def _drawer(
    model: Maker, values: npt.NDArray[np.float32], label: str, seed: int
) -> Callable[[int, int], npt.NDArray[np.float32]]:
    """The generator on these references, (n, round) → (n, G), in evaluation mode."""
    import torch

    references = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    device = next((one.device for one in model.generator.parameters()), torch.device("cpu"))

    def draw(n: int, number: int) -> npt.NDArray[np.float32]:
        own = int(stream(seed, "synthesise", label, number).integers(2**31))
        was = model.generator.training
        model.generator.eval()
        try:
            with torch.no_grad():
                made = model.generator(references.to(device), n, own)
        finally:
            model.generator.train(was)
        found: npt.NDArray[np.float32] = made.cpu().numpy().astype(np.float32)
        return found

    return draw


def _trial(model: Maker, references: Samples, labels: tuple[str, ...], seed: int) -> Sets | None:
    """Some donors of every label held out, samples made from the others; None with too few patients."""
    kept = references.take(np.isin(references.labels, labels))
    out: set[str] = set()
    for label in labels:
        donors = np.unique(kept.donors[kept.labels == label])
        taken = [donor for donor in donors.tolist() if donor in out]
        others = [donor for donor in donors.tolist() if donor not in out]
        wanted = round(TRIAL_HELD_OUT * len(donors)) - len(taken)
        order = stream(seed, "trial", label).permutation(len(others))
        out.update(others[place] for place in order[: max(0, wanted)])
    aside = np.isin(kept.donors, sorted(out))
    train, rest = kept.take(~aside), kept.take(aside)
    if min(len(train), len(rest)) < LEAST_JUDGED:
        return None
    for label in labels:
        if np.unique(train.donors[train.labels == label]).size < LEAST_PATIENTS or label not in rest.labels:
            return None
    sizes = {one: int((train.labels == one).sum()) for one in labels}
    return train, rest, _make(model, train, sizes, seed).samples


def _judged(
    sets: Sets | None, labels: tuple[str, ...], judged_by: str,
    thresholds: PrivacyThresholds | None, seed: int,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Fidelity, privacy, metrics and release of (train, held out, synthetic)."""
    from consilience.measures.fidelity import fidelity
    from consilience.measures.plain import plain
    from consilience.measures.privacy import privacy
    from consilience.measures.release import BALANCED, release_gate

    parts = [one.take(np.isin(one.labels, labels)) for one in sets or ()]
    if min((len(one) for one in parts), default=0) < LEAST_JUDGED:
        why = "not judged: too few patients to hold some out, and what is not judged is not released"
        release = {"passed": False, "judged_by": "nothing", "reasons": [why], "notes": []}
        return {"fidelity": {}, "privacy": {}, "metrics": {}, "release": release}
    train, held_out, made = parts
    of = (train.labels, held_out.labels, made.labels)
    closeness = fidelity(
        real_train=train.values, real_held_out=held_out.values, synthetic=made.values, labels=of, seed=seed
    )
    leak = privacy(
        train=train.values, held_out=held_out.values, synthetic=made.values, labels=of,
        donors=(train.donors, held_out.donors), seed=seed,
    )  # fmt: skip
    verdict = release_gate(leak, thresholds=thresholds or BALANCED)
    return {
        "fidelity": _closeness(closeness), "privacy": _leak(leak),
        "metrics": {"fidelity": plain(closeness), "privacy": plain(leak), "release": plain(verdict)},
        "release": {"passed": verdict.passed, "judged_by": judged_by, "reasons": list(verdict.failures()),
                    "notes": list(verdict.notes)},
    }  # fmt: skip


def _closeness(found: Fidelity) -> dict[str, float]:
    """Main figures, each beside its ceiling (real training patients in place of synthetic ones)."""
    told = {}
    for name, made, best in zip(_FIGURES, _figures(found.synthetic), _figures(found.ceiling), strict=True):
        told[name], told[f"{name}, ceiling"] = round(made, 4), round(best, 4)
    return told


_FIGURES = ("mean R2", "sd R2", "sd slope", "spread within classes", "two-sample AUC, linear",
            "two-sample AUC, spread", "two-sample AUC, joint", "zero fraction error")  # fmt: skip


def _figures(found: Agreement) -> tuple[float, ...]:
    genes, apart = found.genes, found.two_sample
    spread = found.classes.spread_ratio if found.classes else genes.spread_ratio
    return (genes.mean.r2, genes.sd.r2, genes.sd.slope, spread, apart.linear, apart.spread, apart.joint,
            genes.zero_fraction_error)  # fmt: skip


def _leak(found: Privacy) -> dict[str, float]:
    told = {"near copies": float(found.near_copies), "closer to training patients": found.closest.share}
    told |= {f"membership AUC, {attack.name}": attack.auc for attack in found.attacks}
    return {name: round(value, 4) for name, value in told.items()}


def _prepared(model: Maker, samples: Samples) -> Samples:
    if samples.genes != model.genes:
        samples = samples.of_genes(model.genes)
    if not np.isfinite(samples.values).all():
        bad = int((~np.isfinite(samples.values)).sum())
        raise DataError("values that are no numbers", value=f"{bad} of {samples.values.size}")
    return samples


def _labels(references: Samples, label: str | Sequence[str] | None) -> tuple[str, ...]:
    known = [str(one) for one in np.unique(references.labels)]
    asked = known if label is None else [label] if isinstance(label, str) else list(label)
    for one in asked:
        if one not in known:
            raise DataError("no references of this label", value=one, allowed=", ".join(known),
                            mend=did_you_mean(one, known))  # fmt: skip
        if np.unique(references.donors[references.labels == one]).size < LEAST_PATIENTS:
            raise DataError("one patient only: all samples would be copies", where=f"label {one}",
                            value=1, allowed=f"{LEAST_PATIENTS} or more")  # fmt: skip
    return tuple(dict.fromkeys(asked))


def _size(n: int | None, fold: float, real: int) -> int:
    wanted = round(fold * real) if n is None else n
    if wanted < 1:
        raise ConfigError("no samples were asked for", value=wanted, allowed="1 or more")
    return wanted


def _check_held_out(references: Samples, held_out: Samples, labels: tuple[str, ...]) -> None:
    shared = np.intersect1d(references.donors, held_out.donors)
    if shared.size:
        raise DataError("donors are both references and held out, so a leak cannot be judged",
                        value=", ".join(str(one) for one in shared[:5]), mend="split by donor")  # fmt: skip
    missing = sorted(set(labels) - {str(one) for one in held_out.labels})
    if missing:
        raise DataError("no held-out patients of a label", value=", ".join(missing))
