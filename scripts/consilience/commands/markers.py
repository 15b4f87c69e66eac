"""`consilience markers`: the genes and pathways that speak for or against a kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consilience.commands.options import (
    AsJson,
    Label,
    LabelTable,
    Model,
    Negative,
    Overlap,
    Positive,
    References,
    Seed,
    Table,
    Units,
)
from consilience.commands.outputs import file_lines, model_line, refuse_suffix, say, write_table

if TYPE_CHECKING:
    import pandas as pd

    from consilience.commands.inputs import Groups
    from consilience.rnagan.alignment import Aligned
    from consilience.rnagan.markers.settings import Markers
    from consilience.rnagan.model import Rnagan


FIRST = ("feature", "kind", "effect", "fdr", "stability")


def markers(
    model: Model,
    references: References,
    label: Label,
    positive: Positive,
    out: Table,
    negative: Negative = None,
    permutations: Annotated[
        int, typer.Option(help="Permutations of labels behind the error rates; 0 for none.", min=0)
    ] = 100,
    resamples: Annotated[int, typer.Option(help="Pairs of halves behind the stability.", min=0)] = 10,
    seen_donors: Annotated[
        Path | None,
        typer.Option(help="Text file, a donor a line: those whose labels the model was trained with."),
    ] = None,
    labels: LabelTable = None,
    units: Units = "",
    min_overlap: Overlap = 0.5,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write genes and pathways with a signed effect, its false discovery rate and its stability."""
    refuse_suffix(out)
    from consilience.commands.inputs import read_references
    from consilience.rnagan.model import load_model

    loaded = load_model(model)
    groups = read_references(
        loaded, references, label=label, positive=positive, negative=negative or (), labels=labels,
        units=units, min_overlap=min_overlap,
    )  # fmt: skip
    seen = _donors(seen_donors) if seen_donors else ()
    found = _found(loaded, groups, seen=seen, permutations=permutations, resamples=resamples, seed=seed)
    table = _table(found, groups.aligned)
    write_table(out, table)
    chosen = {
        kind: int(((table["kind"] == kind) & (table["fdr"] <= 0.05)).sum()) for kind in ("gene", "pathway")
    }
    lines = [
        model_line(loaded), *file_lines("references", references, groups.aligned),
        *(f"note: {note}" for note in [*groups.notes, *found.record["caveats"]]),
        f"FDR of 5% or less: {chosen['gene']} genes, {chosen['pathway']} pathways", f"written: {out}",
    ]  # fmt: skip
    summary = {"references": groups.aligned.summary(), "notes": list(groups.notes), "at_fdr_0.05": chosen,
               "markers": found.record, "out": str(out)}  # fmt: skip
    say(lines, summary, as_json=as_json)


def _donors(path: Path) -> tuple[str, ...]:
    from consilience.sources.text import read_lines

    return tuple(line.strip() for line in read_lines(path) if line.strip())


def _found(
    model: Rnagan, groups: Groups, *, seen: tuple[str, ...], permutations: int, resamples: int, seed: int
) -> Markers:
    """Markers of the positive levels together against the negative ones together."""
    from dataclasses import replace

    import numpy as np

    from consilience.commands.scoring import MaskedScorer
    from consilience.rnagan.markers.find import find_markers
    from consilience.rnagan.markers.settings import MarkerSettings

    samples = groups.aligned.samples
    positive = " or ".join(groups.positive)
    names = np.where(groups.is_positive, positive, samples.labels.astype(object)).astype(str)
    return find_markers(
        replace(samples, labels=names), positive=positive,
        scorer=MaskedScorer(model, groups.aligned.observed), seen_donors=seen, pathways=model.wiring,
        settings=MarkerSettings(permutations=permutations, resamples=resamples, seed=seed),
    )  # fmt: skip


def _table(found: Markers, aligned: Aligned) -> pd.DataFrame:
    """Genes that were measured, then pathways; the columns that everybody needs come first."""
    import pandas as pd

    measured = {gene for gene, there in zip(aligned.samples.genes, aligned.observed, strict=True) if there}
    genes = found.genes[found.genes["feature"].isin(measured)]
    table = pd.concat([genes, found.pathways], ignore_index=True)
    return table[[*FIRST, *(name for name in table.columns if name not in FIRST)]]
