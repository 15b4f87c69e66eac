"""Genes that people ask for by name: what both sides say of them."""

from __future__ import annotations

from consilience.report.elements import Block, Column, Group, Table, Text
from consilience.report.results import StudyResults
from consilience.report.sections._causal_reading import Pair, hidden
from consilience.report.sections._causal_shapes import AgreementRecord
from consilience.report.words import listed


def example_blocks(results: StudyResults, pair: Pair, record: AgreementRecord) -> list[Block]:
    """The worked example; [] where no gene was asked for."""
    if not record.examples:
        return []
    genes = list(dict.fromkeys(one.gene for one in record.examples))
    blocks: list[Block] = [Text(hidden(results, text)) for text in dict.fromkeys(
        one.text for one in record.examples) if text]  # fmt: skip
    rows = tuple(
        (one.gene, one.cell_type, one.z_population, one.p_population, one.z_cells, one.p_cells,
         "" if one.same_sign is None else "yes" if one.same_sign else "no")
        for one in record.examples if one.z_population is not None or one.z_cells is not None
    )  # fmt: skip
    if rows:
        blocks.append(Table(
            key=f"concordance_example.{pair.name}", title=f"Both sides on {listed(genes)}", rows=rows,
            visible=20,
            columns=(Column("gene", "Gene", "id"), Column("cell_type", "Cell type"),
                     Column("z_population", "z, population", "number"), Column("p_population", "p", "number"),
                     Column("z_cells", "z, cells", "number"), Column("p_cells", "p", "number"),
                     Column("same_sign", "Same sign")),
        ))  # fmt: skip
    return [Group(key=f"concordance-example-{pair.name}", title=f"Worked example: {listed(genes)}",
                  blocks=tuple(blocks))] if blocks else []  # fmt: skip
