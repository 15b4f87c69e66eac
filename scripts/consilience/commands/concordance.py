"""`consilience concordance`: whether gene effects from single cells and from population genetics agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from consilience.commands.options import AsJson, Seed, Table
from consilience.commands.outputs import refuse_suffix, say, write_table

FIRST = ("cell_type", "r", "r_corrected", "p_permutation", "fdr", "sign_agreement", "n_genes")


def concordance(
    population: Annotated[
        Path, typer.Option(help="Gene effects from population genetics: gene, alpha, se (.parquet, .tsv).")
    ],
    cells: Annotated[
        Path, typer.Option(help="Gene effects from cells: cell_type, gene, theta, se; statistic, df or p.")
    ],
    out: Table,
    left_out: Annotated[
        Path | None,
        typer.Option(help="Effects without each donor: cell_type, gene, left_out, statistic."),
    ] = None,
    method: Annotated[
        str, typer.Option(help="Which rows, where the population table has several methods.")
    ] = "ivw_ld",
    cell_type: Annotated[list[str] | None, typer.Option(help="Only this one (can be repeated).")] = None,
    permutations: Annotated[int, typer.Option(help="Permutations behind the p-values.", min=99)] = 2000,
    block_kb: Annotated[float, typer.Option(help="Genes nearer than this are one block.", min=1)] = 1000.0,
    strata: Annotated[int, typer.Option(help="Strata of expression.", min=1, max=50)] = 5,
    min_genes: Annotated[int, typer.Option(help="Fewest shared genes of a cell type.", min=5)] = 20,
    correction: Annotated[
        Literal["bh", "by"], typer.Option(help="False discovery rate over cell types.")
    ] = "bh",
    gene: Annotated[
        list[str] | None, typer.Option(help="Say what both sides find for this gene (can be repeated).")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write, for each cell type, how well the two tables agree and whether that is more than chance."""
    refuse_suffix(out)
    from consilience.causal.concordance.examples import worked_examples
    from consilience.causal.concordance.join import join
    from consilience.causal.concordance.judge import judge
    from consilience.causal.concordance.left_out import left_out_of
    from consilience.causal.concordance.study import concordance_table, counts, messages
    from consilience.causal.concordance.tables import cells_side, population_side, read_table
    from consilience.causal.concordance.verdict import verdict
    from consilience.study.causal import ConcordanceSection

    settings = ConcordanceSection(
        permutations=permutations, block_kb=block_kb, strata=strata, min_genes=min_genes,
        correction=correction,
    )  # fmt: skip
    left = population_side(read_table(population), where=str(population), method=method)
    right = cells_side(read_table(cells), where=str(cells), cell_types=cell_type or ())
    shared = join(left, right, block_kb=block_kb, n_strata=strata)
    without = left_out_of(read_table(left_out), shared, where=str(left_out)) if left_out else {}
    judged = judge(shared, settings=settings, seed=seed, left_out=without)
    table = concordance_table(judged, settings)
    write_table(out, table[[*FIRST, *(name for name in table.columns if name not in FIRST)]])
    notes = messages(left, right, shared)
    said = verdict(judged.rows, p_global=judged.p_global, control=False)
    examples = worked_examples(left, right, asked=gene or ())
    lines = [f"genes that both sides have: {len(shared.x):,}; cell types: {len(shared.cell_types)}",
             *(f"note: {note}" for note in notes), said, *(one["text"] for one in examples),
             f"written: {out}"]  # fmt: skip
    summary = counts(left, right, shared) | {
        "verdict": said, "p_global": judged.p_global, "notes": notes, "examples": examples, "out": str(out),
    }  # fmt: skip
    from consilience.measures.plain import plain

    say(lines, plain(summary), as_json=as_json)
