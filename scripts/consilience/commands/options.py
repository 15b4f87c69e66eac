"""Options that several commands share, described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Option(help="Model folder (model.safetensors, model.json, card.md).")]
References = Annotated[
    Path, typer.Option(help="Samples whose kind is known: .h5ad, .parquet, .tsv or .csv (also .gz).")
]
SamplesFile = Annotated[
    Path, typer.Option("--samples", help="New samples: .h5ad, .parquet, .tsv or .csv (also .gz).")
]
Label = Annotated[str, typer.Option(help="Column of the references that says what they are.")]
LabelTable = Annotated[
    Path | None,
    typer.Option("--labels", help="Table (column sample) with the label column, where the file has none."),
]
Positive = Annotated[list[str], typer.Option(help="Level of the kind in question (can be repeated).")]
Negative = Annotated[
    list[str] | None,
    typer.Option(help="Level to tell it from (can be repeated); all other levels without it."),
]
Units = Annotated[
    str, typer.Option(help="Units of the values where they are not told rightly: counts, tpm, log2, …")
]
ReferenceUnits = Annotated[
    str, typer.Option(help="The same for the references, where they are in other units than the samples.")
]
Overlap = Annotated[
    float, typer.Option(help="Least share of the model's genes that must be there.", min=0.0, max=1.0)
]
Seed = Annotated[int, typer.Option(help="Seed of all random draws.", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Table = Annotated[Path, typer.Option("--out", help="Table to write: .parquet or .tsv.")]
