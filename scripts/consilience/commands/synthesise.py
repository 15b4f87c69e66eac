"""`consilience synthesise`: synthetic samples of the kinds in a file of references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from consilience.commands.options import (
    AsJson,
    Label,
    LabelTable,
    Model,
    Overlap,
    References,
    Seed,
    Units,
)
from consilience.commands.outputs import file_lines, model_line, refuse_suffix, say, short

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from consilience.learning.samples import Samples
    from consilience.rnagan.model import Rnagan


def synthesise(
    model: Model,
    references: References,
    label: Label,
    out: Annotated[Path, typer.Option(help="File to write: .h5ad.")],
    level: Annotated[
        list[str] | None, typer.Option(help="Only this level (can be repeated); all without it.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Synthetic samples of each level; 0 for --fold.", min=0)] = 0,
    fold: Annotated[float, typer.Option(help="Synthetic samples for each real one.", min=0.0)] = 1.0,
    labels: LabelTable = None,
    units: Units = "",
    min_overlap: Overlap = 0.5,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write synthetic samples, with how faithful and how private they are."""
    refuse_suffix(out, (".h5ad",))
    from consilience.commands.inputs import labelled_references
    from consilience.rnagan.model import load_model

    loaded = load_model(model)
    groups = labelled_references(loaded, references, label=label, levels=level or (), labels=labels,
                                 units=units, min_overlap=min_overlap)  # fmt: skip
    aligned = groups.aligned
    parts, facts = _made(loaded, aligned.samples, levels=groups.positive, n=n, fold=fold, seed=seed)
    write_synthetic(out, parts, label=label, observed=aligned.observed)
    lines = [
        model_line(loaded), *file_lines("references", references, aligned),
        *(f"  note: {note}" for note in groups.notes),
    ]  # fmt: skip
    for name, fact in facts.items():
        lines.append(f"{name}: {fact['synthetic']} synthetic samples from {fact['real']} real ones")
        lines += [
            f"  {key}: {short(value)}"
            for part in ("fidelity", "privacy")
            for key, value in fact[part].items()
        ]
    summary = {"references": aligned.summary(), "notes": list(groups.notes), "levels": facts, "out": str(out)}
    say([*lines, f"written: {out}"], summary, as_json=as_json)


def _made(
    model: Rnagan, samples: Samples, *, levels: tuple[str, ...], n: int, fold: float, seed: int
) -> tuple[list[Samples], dict[str, Any]]:
    """Synthetic samples of each level, and how many, how faithful, how private."""
    from consilience.rnagan.synthesis import synthesise as make

    parts, facts = [], {}
    for level in levels:
        real = int((samples.labels == level).sum())
        wanted = n or max(1, round(fold * real))
        made = make(model, samples, level, wanted, seed)
        parts.append(made.samples)
        facts[level] = {"real": real, "synthetic": len(made.samples), "fidelity": made.fidelity,
                        "privacy": made.privacy}  # fmt: skip
    return parts, facts


def write_synthetic(path: Path, parts: list[Samples], *, label: str, observed: npt.NDArray[np.bool_]) -> None:
    """An h5ad file: X on the model's scale, for the genes that the references had."""
    import anndata
    import numpy as np
    import pandas as pd

    from consilience.expression.h5ad import write_h5ad

    values = np.concatenate([part.values[:, observed] for part in parts])
    names = [str(name) for part in parts for name in part.names]
    obs = pd.DataFrame({label: np.concatenate([part.labels for part in parts]).astype(object)})
    obs["synthetic"] = True
    obs.index = pd.Index(names, dtype=object)
    genes = [gene for gene, there in zip(parts[0].genes, observed.tolist(), strict=True) if there]
    data = anndata.AnnData(obs=obs, var=pd.DataFrame(index=pd.Index(genes, dtype=object)))
    data.uns["consilience"] = {"units": parts[0].units, "synthetic": True, "kind": "rnagan"}
    write_h5ad(path, data, x=np.ascontiguousarray(values), layers={})
