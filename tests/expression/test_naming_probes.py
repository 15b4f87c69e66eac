"""Probes of arrays are named by the genes of their platform, never by their own numbers."""

from __future__ import annotations

import numpy as np

from consilience.expression.gene_table import load_gene_table
from consilience.expression.naming import name_genes
from consilience.sources.bulk.matrix import BulkMatrix


def test_numbers_of_probes_are_no_entrez_ids() -> None:
    """672 and 7157 are BRCA1 and TP53 to Entrez, and feature numbers on an Agilent array."""
    matrix = BulkMatrix(
        values=np.array([[8.0, 9.5, 1.25, 4.0], [7.5, 9.0, 1.5, 4.5]]), samples=("a", "b"),
        genes=("KIT", "KIT", "", ""), columns={"sample": ("a", "b")}, units="log2",
        gene_columns={"probe": ("672", "7157", "1956", "207")},
    )  # fmt: skip
    named = name_genes(matrix, table=load_gene_table(), where="x")
    assert named.symbols == ("KIT",)
    assert named.source_ids == ("7157",)
    np.testing.assert_allclose(named.values[:, 0], [9.5, 9.0])
    assert any("2 rows without a gene were left out" in note for note in named.notes)
