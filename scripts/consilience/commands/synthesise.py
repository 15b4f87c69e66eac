"""`consilience synthesise`: synthetic samples of the kinds in a file of references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from consilience.foundation.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from consilience.learning.samples import Samples
    from consilience.rnagan.model import Rnagan
    from consilience.rnagan.synthesis import Synthetic


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
    privacy: Annotated[
        str, typer.Option(help="What is refused: none (copies only), balanced or strict.")
    ] = "none",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write synthetic samples, with how faithful and how private they are."""
    from consilience.measures.release import LEVELS

    if privacy not in LEVELS:
        raise ConfigError(
            "no such level of privacy", where="--privacy", value=privacy, allowed=", ".join(LEVELS)
        )
    refuse_suffix(out, (".h5ad",))
    from consilience.commands.inputs import labelled_references
    from consilience.rnagan.model import load_model

    loaded = load_model(model)
    groups = labelled_references(loaded, references, label=label, levels=level or (), labels=labels,
                                 units=units, min_overlap=min_overlap)  # fmt: skip
    aligned = groups.aligned
    made = _made(loaded, aligned.samples, levels=groups.positive, n=n, fold=fold, seed=seed,
                         privacy=privacy)  # fmt: skip
    write_synthetic(out, made.samples, label=label, observed=aligned.observed)
    lines = [
        model_line(loaded), *file_lines("references", references, aligned),
        *(f"  note: {note}" for note in groups.notes),
    ]  # fmt: skip
    facts = {
        name: {"real": made.provenance["real"][name], "synthetic": made.provenance["synthetic"][name]}
        for name in groups.positive
    }
    for name, fact in facts.items():
        lines.append(f"{name}: {fact['synthetic']} synthetic samples from {fact['real']} real ones")
    for title, part in (("fidelity", made.fidelity), ("privacy", made.privacy)):
        lines += [f"{title}, judged by {made.release['judged_by']}:"] if part else []
        lines += [f"  {key}: {short(value)}" for key, value in part.items()]
    summary = {"references": aligned.summary(), "notes": list(groups.notes), "levels": facts,
               "fidelity": made.fidelity, "privacy": made.privacy, "release": made.release,
               "out": str(out)}  # fmt: skip
    say([*lines, f"written: {out}"], summary, as_json=as_json)


def _made(
    model: Rnagan, samples: Samples, *, levels: tuple[str, ...], n: int, fold: float, seed: int, privacy: str
) -> Synthetic:
    """Synthetic samples of the levels; those that may not be released end in an error."""
    from consilience.measures.release import LEVELS
    from consilience.rnagan.synthesis import synthesise as make

    made = make(model, samples, levels, n or None, seed, fold=fold, thresholds=LEVELS[privacy])
    if not made.release["passed"]:
        raise DataError(
            f"the synthetic samples are not released (--privacy {privacy})",
            value="; ".join(made.release["reasons"]),
            mend="give more references, or ask for less privacy if the samples stay in the house",
        )
    return made


def write_synthetic(path: Path, samples: Samples, *, label: str, observed: npt.NDArray[np.bool_]) -> None:
    """An h5ad file: X on the model's scale, for the genes that the references had."""
    import anndata
    import numpy as np
    import pandas as pd

    from consilience.expression.h5ad import write_h5ad

    values = samples.values[:, observed]
    names = [str(name) for name in samples.names]
    obs = pd.DataFrame({label: samples.labels.astype(object)})
    obs["synthetic"] = True
    obs.index = pd.Index(names, dtype=object)
    genes = [gene for gene, there in zip(samples.genes, observed.tolist(), strict=True) if there]
    data = anndata.AnnData(obs=obs, var=pd.DataFrame(index=pd.Index(genes, dtype=object)))
    data.uns["consilience"] = {"units": samples.units, "synthetic": True, "kind": "rnagan"}
    write_h5ad(path, data, x=np.ascontiguousarray(values), layers={})
