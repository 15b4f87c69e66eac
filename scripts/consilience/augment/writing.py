"""The files of a release: samples as h5ad and parquet, what is known of them, and the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience import __version__
from consilience.augment.card import card_text
from consilience.foundation.files import atomic_path, write_json, write_parquet, write_text

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.augment.release import Released

BESIDE = ("card.md", "metrics.json", "privacy.json")


def provenance(made: Released, **more: str) -> dict[str, Any]:
    """What `uns["consilience"]` says of synthetic samples."""
    told = {name: made.metrics[name] for name in ("generator", "units", "seed", "fold")}
    temperature = made.metrics["temperature"]
    return told | {
        "synthetic": True, "kind": "augment", "privacy": made.privacy["level"], "version": __version__,
        "temperature": "none" if temperature is None else float(temperature),
        "real_samples": int(sum(one["real"] for one in made.metrics["kinds"])),
    } | more  # fmt: skip


def write_told(made: Released, folder: Path) -> tuple[Path, ...]:
    """card.md, metrics.json and privacy.json."""
    paths = tuple(folder / name for name in BESIDE)
    write_text(paths[0], card_text(made.metrics, made.privacy))
    write_json(paths[1], made.metrics)
    write_json(paths[2], made.privacy)
    return paths


def write_samples(
    path: Path, values: npt.NDArray[np.floating], *, obs: pd.DataFrame, genes: Sequence[str],
    told: Mapping[str, Any], counts: npt.NDArray[np.floating] | None = None,
) -> None:  # fmt: skip
    """An h5ad file: `values` (k, G) as X, `counts` (k, G) as a layer; `told` in uns."""
    import anndata
    import pandas as pd

    from consilience.expression.h5ad import write_h5ad

    data = anndata.AnnData(obs=obs, var=pd.DataFrame(index=pd.Index(list(genes), dtype=object)))
    data.uns["consilience"] = dict(told)
    layers = {} if counts is None else {"counts": np.ascontiguousarray(whole(counts))}
    if len(values):
        write_h5ad(path, data, x=np.ascontiguousarray(values), layers=layers)
        return
    data.X = np.asarray(values)  # HDF5 has no chunks for a matrix without rows
    data.layers.update(layers)
    with atomic_path(path) as temporary:
        data.write_h5ad(temporary)


def write_table(
    path: Path, values: npt.NDArray[np.floating], *, obs: pd.DataFrame, genes: Sequence[str]
) -> None:
    """A parquet table: sample, the columns of `obs`, then one column for each gene."""
    import pandas as pd

    taken = {"sample", *map(str, obs.columns)}
    names = [f"gene:{gene}" if gene in taken else gene for gene in genes]
    told = obs.reset_index(drop=True)
    told.insert(0, "sample", obs.index.to_numpy(dtype=object))
    write_parquet(path, pd.concat([told, pd.DataFrame(np.asarray(values), columns=names)], axis=1))


def obs_of(names: npt.NDArray[np.str_], **columns: npt.NDArray[np.str_]) -> pd.DataFrame:
    """Columns of text by sample, and that all are synthetic."""
    import pandas as pd

    told: dict[str, Any] = {name: values.astype(object) for name, values in columns.items()}
    told["synthetic"] = np.ones(len(names), dtype=bool)
    return pd.DataFrame(told, index=pd.Index(names.astype(object), dtype=object))


def whole(values: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
    """Counts as whole numbers."""
    return np.asarray(np.rint(values), dtype=np.int32)
