"""Genes that people ask for by name: what both sides say of them."""

from __future__ import annotations

from consilience.report.elements import Block, Cell, Column, Group, Table, Text
from consilience.report.results import StudyResults
from consilience.report.sections._causal_population_parts import method_words
from consilience.report.sections._causal_reading import Pair, hidden
from consilience.report.sections._causal_shapes import AgreementRecord, Estimate, Example
from consilience.report.words import listed


def example_blocks(results: StudyResults, pair: Pair, record: AgreementRecord) -> list[Block]:
    """The worked example; [] where no gene was asked for."""
    if not record.examples:
        return []
    genes = listed(dict.fromkeys(one.gene for one in record.examples))
    said = [hidden(results, text) for text in dict.fromkeys(one.text for one in record.examples) if text]
    blocks: list[Block] = [Text(text) for text in said]
    rows = tuple(row for one in record.examples for row in _rows(one))
    if rows:
        blocks.append(Table(
            key=f"concordance_example.{pair.name}", title=f"Both sides on {genes}", rows=rows, visible=24,
            columns=(Column("gene", "Gene", "id"), Column("side", "Evidence"),
                     Column("where", "Method or cell type"),
                     Column("effect", "Effect", "number"), Column("se", "SE", "number"),
                     Column("z", "z", "number"),
                     Column("p", "p", "number")),
        ))  # fmt: skip
    return [Group(key=f"concordance-example-{pair.name}", title=f"Worked example: {genes}",
                  blocks=tuple(blocks))] if blocks else []  # fmt: skip


def _rows(one: Example) -> list[tuple[Cell, ...]]:
    sides = (("population genetics", one.population, "TWMR"), ("population genetics", one.mr, ""),
             ("single cells", one.cells, ""))  # fmt: skip
    return [(one.gene, side, _where(found) or words, *_numbers(found))
            for side, several, words in sides for found in several]  # fmt: skip


def _where(found: Estimate) -> str:
    return method_words(found.method) if found.method else found.cell_type


def _numbers(found: Estimate) -> tuple[Cell, ...]:
    effect = found.effect if found.effect is not None else found.estimate
    z = found.z if found.z is not None or not found.se or effect is None else effect / found.se
    return effect, found.se, z, found.p
