"""`consilience diagnose`: how likely new samples are of the kind of some references."""

from __future__ import annotations

from collections.abc import Sequence
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
    ReferenceUnits,
    SamplesFile,
    Seed,
    Table,
    Units,
)
from consilience.commands.outputs import file_lines, model_line, refuse_suffix, say, write_table

if TYPE_CHECKING:
    from consilience.rnagan.comparison import Reference


def diagnose(
    model: Model,
    references: References,
    label: Label,
    positive: Positive,
    samples: SamplesFile,
    out: Table,
    negative: Negative = None,
    only_positive: Annotated[
        bool, typer.Option("--only-positive", help="Compare with the positive references alone.")
    ] = False,
    n_references: Annotated[int, typer.Option(help="References of each kind in a draw.", min=1)] = 20,
    draws: Annotated[int, typer.Option(help="Draws of references behind an interval.", min=1)] = 100,
    prevalence: Annotated[
        float, typer.Option(help="Share of positives among such samples before the test.", min=0, max=1)
    ] = 0.5,
    level: Annotated[float, typer.Option(help="Level of the intervals.", min=0, max=1)] = 0.9,
    labels: LabelTable = None,
    units: Units = "",
    reference_units: ReferenceUnits = "",
    min_overlap: Overlap = 0.5,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write how likely each sample is of the positive kind, with an interval and a flag for strange ones."""
    refuse_suffix(out)
    from consilience.commands.inputs import read_references, read_samples, shared_genes
    from consilience.rnagan.diagnosis import diagnose as answer
    from consilience.rnagan.model import load_model

    loaded = load_model(model)
    groups = read_references(
        loaded, references, label=label, positive=positive, negative=negative or (), labels=labels,
        units=reference_units or units, min_overlap=min_overlap, only_positive=only_positive,
    )  # fmt: skip
    new = read_samples(loaded, samples, units=units, min_overlap=min_overlap)
    found = answer(
        loaded.discriminator, new.samples, groups.side(True), groups.side(False) if groups.negative else None,
        seed=seed, n_references=n_references, n_draws=draws, calibration=loaded.calibration,
        prevalence=prevalence, level=level, observed=shared_genes(groups.aligned, new),
    )  # fmt: skip
    table = found.table()
    table.insert(list(table.columns).index("ood") + 1, "n_genes_matched", new.n_matched)
    write_table(out, table)
    notes = [*groups.notes, *found.notes, *_left_out(found.left_out)]
    share = float(found.ood.mean()) if len(found.ood) else 0.0
    lines = [
        model_line(loaded), *file_lines("references", references, groups.aligned),
        f"  {found.n_positive} positive ({', '.join(groups.positive)}), {found.n_negative} negative"
        + (f" ({', '.join(groups.negative)})" if groups.negative else ": how typical of the positive kind"),
        *file_lines("samples", samples, new), *(f"note: {note}" for note in notes),
        f"out of distribution: {int(found.ood.sum())} of {len(new.samples)} samples ({share:.1%})",
        f"written: {out}",
    ]  # fmt: skip
    summary = found.summary() | {
        "references": groups.aligned.summary(), "new": new.summary(), "notes": notes, "ood_share": share,
        "out": str(out),
    }  # fmt: skip
    say(lines, summary, as_json=as_json)


def _left_out(pairs: Sequence[Reference]) -> list[str]:
    """Queries that are references too, in a sentence."""
    if not pairs:
        return []
    queries = list(dict.fromkeys(pair.query for pair in pairs))
    shown = ", ".join(f"{pair.query} ({pair.why} as {pair.reference})" for pair in pairs[:3])
    more = " …" if len(pairs) > 3 else ""
    return [
        f"{len(queries)} samples are of patients who are references too; these references were left out for"
        f" them: {shown}{more}"
    ]
