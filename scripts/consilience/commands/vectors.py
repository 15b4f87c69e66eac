"""`consilience vectors`: 64 numbers for each sample, and the patients nearest to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from consilience.commands.options import (
    AsJson,
    LabelTable,
    Model,
    Overlap,
    ReferenceUnits,
    SamplesFile,
    Units,
)
from consilience.commands.outputs import TABLES, file_lines, model_line, refuse_suffix, say, write_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from consilience.rnagan.alignment import Aligned


def vectors(
    model: Model,
    samples: SamplesFile,
    out: Annotated[Path, typer.Option(help="Table (.parquet, .tsv), or .h5ad with the vectors in obsm.")],
    nearest: Annotated[
        Path | None, typer.Option(help="References among which the nearest are looked up for each sample.")
    ] = None,
    label: Annotated[str, typer.Option(help="Column of these references to tell with each.")] = "",
    labels: LabelTable = None,
    n_nearest: Annotated[int, typer.Option(help="How many of them.", min=1)] = 5,
    units: Units = "",
    reference_units: ReferenceUnits = "",
    min_overlap: Overlap = 0.5,
    as_json: AsJson = False,
) -> None:
    """Write one vector of 64 numbers for each sample (v0 … v63), comparable between data sets."""
    refuse_suffix(out, (*TABLES, ".h5ad"))
    from consilience.commands.inputs import read_samples, shared_genes
    from consilience.rnagan.model import load_model
    from consilience.rnagan.vectors import sample_vectors

    loaded = load_model(model)
    new = read_samples(loaded, samples, units=units, min_overlap=min_overlap)
    known = None
    if nearest is not None:
        known = read_samples(loaded, nearest, label=label, labels=labels, units=reference_units or units,
                             min_overlap=min_overlap)  # fmt: skip
    observed = shared_genes(new, *([known] if known else []))
    found = sample_vectors(loaded, new.samples, observed=observed)
    _write(out, samples, new, found)
    lines = [model_line(loaded), *file_lines("samples", samples, new)]
    summary: dict[str, Any] = {"samples": new.summary(), "dimensions": found.shape[1], "out": str(out)}
    if known is not None and nearest is not None:
        path = out.with_name(f"{out.name.removesuffix(out.suffix)}.nearest.tsv")
        there = sample_vectors(loaded, known.samples, observed=observed)
        write_table(path, _nearest(new, known, found, there, k=n_nearest))
        lines += [*file_lines("references", nearest, known), f"nearest references: {path}"]
        summary |= {"references": known.summary(), "nearest": str(path)}
    say([*lines, f"written: {out}"], summary, as_json=as_json)


def _write(path: Path, source: Path, aligned: Aligned, found: npt.NDArray[np.float32]) -> None:
    """A table; or an h5ad file, the source itself with the vectors in obsm["X_rnagan"] where it is one."""
    from consilience.rnagan.vectors_export import add_to_h5ad, write_vectors

    names = aligned.samples.names
    if path.suffix != ".h5ad":
        write_vectors(path, names=names, vectors=found)
        return
    if source.suffix == ".h5ad":
        add_to_h5ad(source=source, target=path, names=names, vectors=found)
        return
    import anndata
    import pandas as pd

    from consilience.foundation.files import atomic_path

    obs = pd.DataFrame(index=pd.Index([str(name) for name in names], dtype=object))
    with atomic_path(path) as temporary:
        anndata.AnnData(obs=obs, obsm={"X_rnagan": found}).write_h5ad(temporary)


def _nearest(
    new: Aligned, known: Aligned, found: npt.NDArray[np.float32], there: npt.NDArray[np.float32], *, k: int
) -> pd.DataFrame:
    """The nearest references of each sample; nobody is their own neighbour."""
    from consilience.rnagan.vectors import nearest

    return nearest(
        query_vectors=found, reference_vectors=there, query_names=new.samples.names,
        names=known.samples.names, labels=known.samples.labels, k=k,
        donors=(new.samples.donors, known.samples.donors),
    )  # fmt: skip
