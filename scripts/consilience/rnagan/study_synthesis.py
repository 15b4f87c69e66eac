"""Synthetic samples of a study cohort: judged by patients they were not made from, then made from all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.devices import Device
from consilience.foundation.errors import DataError
from consilience.foundation.files import atomic_path, write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.foundation.seeds import stream
from consilience.measures.release import LEVELS
from consilience.rnagan.model import Rnagan, load_model
from consilience.rnagan.study_models import Run, adapted
from consilience.rnagan.study_samples import CASE, CONTROL, StudyCohort, read_cohort
from consilience.rnagan.synthesis import LEAST_PATIENTS, Synthetic, synthesise

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.learning.samples import Samples
    from consilience.study.sections import RnaganSection

HELD_OUT = 0.3
"""Share of the donors that the judged samples are not made from."""
KIND = " of "
COLUMNS = ("sample", "condition", "cell_type", "synthetic")


@dataclass(frozen=True)
class Made:
    """`samples` that may leave the house (none where the verdict is no), and the record for JSON."""

    samples: Samples
    record: dict[str, Any]


def synthesise_cohort(
    path: Path, base_folder: Path, model_folder: Path, *, name: str, settings: RnaganSection, seed: int
) -> Made:
    """Judge, then make; the verdict on the first decides whether the second are given out."""
    started, base, model = time.monotonic(), load_model(base_folder), load_model(model_folder)
    cohort = read_cohort(path, name=name).of_genes(base.genes)
    of_kinds = _of_kinds(cohort)
    kinds = _kinds_of(of_kinds)
    told: dict[str, Any] = {
        "kinds": [], "skipped": None, "held_out_share": HELD_OUT, "fold": settings.fold, "fidelity": {},
        "privacy": {}, "metrics": {}, "release": {"passed": False, "reasons": [], "notes": []},
        "generator": type(model.generator).__name__, "preset": model.preset.name, "level": settings.privacy,
    }  # fmt: skip
    none = of_kinds.take(np.zeros(len(of_kinds), dtype=bool))
    if settings.fold == 0 or not kinds:
        told["skipped"] = "rnagan.fold is 0" if settings.fold == 0 else "no kind has two patients"
        return Made(none, told | {"seconds": 0.0})
    try:
        judged = judge(base, cohort, privacy=settings.privacy, seed=seed)
        made = _all_patients(model, of_kinds, kinds, settings.fold, seed)
    except DataError as error:
        log.warning("no synthetic samples: %s", error)
        return Made(none, told | {"skipped": str(error), "seconds": round(time.monotonic() - started, 1)})
    record = told | {name: getattr(judged, name) for name in ("fidelity", "privacy", "metrics", "release")}
    record |= {"kinds": _counted(of_kinds, made.samples, kinds), "provenance": made.provenance,
               "judged": judged.provenance, "seconds": round(time.monotonic() - started, 1)}  # fmt: skip
    return Made(made.samples if judged.release["passed"] else none, record)


def judge(base: Rnagan, cohort: StudyCohort, *, privacy: str, seed: int) -> Synthetic:
    """Samples made by a model adapted to 70 % of the donors, held against these and the other donors."""
    aside = held_out(cohort.samples, seed=seed)
    train, rest = cohort.take(~aside), cohort.take(aside)
    model = adapted(base, train, run=Run(Device("cpu", "evaluation"), None, seed)).model
    of_train, of_rest = _of_kinds(train), _of_kinds(rest)
    kinds = [kind for kind in _kinds_of(of_train) if kind in of_rest.labels]
    return synthesise(
        model, of_train, kinds, None, seed, fold=1.0, held_out=of_rest, thresholds=LEVELS[privacy]
    )


def held_out(samples: Samples, *, seed: int) -> npt.NDArray[np.bool_]:
    """Rows (n,) of the donors that are held out: at least one of each arm, by their names alone."""
    chosen: set[str] = set()
    for arm in (CASE, CONTROL):
        donors = np.unique(samples.donors[samples.labels == arm])
        wanted = max(1, round(HELD_OUT * len(donors))) - len(chosen & set(donors.tolist()))
        fresh = [donor for donor in donors.tolist() if donor not in chosen]
        order = stream(seed, "held out", arm).permutation(len(fresh))
        chosen.update(fresh[place] for place in order[: max(0, wanted)])
    return np.isin(samples.donors, sorted(chosen))


def write_synthetic(made: Made, *, h5ad: Path, table: Path, record: Path) -> None:
    """All three files; without a release the first two hold no sample."""
    import anndata
    import pandas as pd

    from consilience.expression.h5ad import write_h5ad

    samples = made.samples
    obs = _columns(samples)
    frame = obs.set_index(pd.Index(samples.names.astype(object)))
    data = anndata.AnnData(obs=frame, var=pd.DataFrame(index=pd.Index(list(samples.genes), dtype=object)))
    data.uns["consilience"] = {"units": samples.units, "synthetic": True, "kind": "rnagan"}
    if len(samples):
        write_h5ad(h5ad, data, x=np.ascontiguousarray(samples.values), layers={})
    else:  # HDF5 has no chunks for a matrix without rows
        data.X = samples.values
        with atomic_path(h5ad) as temporary:
            data.write_h5ad(temporary)
    values = pd.DataFrame(samples.values, columns=[f"gene:{g}" if g in COLUMNS else g for g in samples.genes])
    write_parquet(table, pd.concat([obs, values], axis=1))
    write_json(record, made.record)


def _columns(samples: Samples) -> pd.DataFrame:
    import pandas as pd

    parts = [str(label).partition(KIND) for label in samples.labels]
    return pd.DataFrame({
        "sample": samples.names.astype(object),
        "condition": np.array([part[0] for part in parts], dtype=object),
        "cell_type": np.array([part[2] for part in parts], dtype=object),
        "synthetic": np.ones(len(samples), dtype=bool),
    })  # fmt: skip


def _of_kinds(cohort: StudyCohort) -> Samples:
    """The samples labelled by arm, and by cell type where there are any ("case of NK")."""
    types = np.where(cohort.cell_types == "", "", np.char.add(KIND, cohort.cell_types))
    return replace(cohort.samples, labels=np.char.add(cohort.samples.labels, types))


def _kinds_of(samples: Samples) -> list[str]:
    """Kinds of at least two patients."""
    kinds = np.unique(samples.labels).tolist()
    return [
        kind for kind in kinds if np.unique(samples.donors[samples.labels == kind]).size >= LEAST_PATIENTS
    ]


def _all_patients(model: Rnagan, samples: Samples, kinds: list[str], fold: float, seed: int) -> Synthetic:
    # its own verdict is not used: the model has seen the patients whom it would hold out
    return synthesise(model, samples, kinds, None, seed, fold=fold)


def _counted(real: Samples, made: Samples, kinds: list[str]) -> list[Mapping[str, Any]]:
    return [
        {"condition": kind.partition(KIND)[0], "cell_type": kind.partition(KIND)[2],
         "real": int((real.labels == kind).sum()), "synthetic": int((made.labels == kind).sum())}
        for kind in kinds
    ]  # fmt: skip
