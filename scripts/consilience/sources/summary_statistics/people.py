"""People by gene: the table that says in how many people each gene's eQTLs were estimated."""

from __future__ import annotations

from collections.abc import Sequence

from consilience.sources.summary_statistics.tables import Header, read_batches


def people_by_gene(headers: Sequence[Header]) -> dict[str, float]:
    """People (not always whole numbers: averages over variants) by Ensembl id without version."""
    found: dict[str, float] = {}
    for header in headers:
        names = {name.casefold(): name for name in header.names}
        for rows in read_batches(header, words=(names["gene"],), numbers=(names["n"],)):
            people = rows.numbers(names["n"], fits=lambda v: v > 0, allowed="a number above 0")
            genes = [gene.partition(".")[0] for gene in rows.words(names["gene"])]
            found.update(zip(genes, people.tolist(), strict=True))
    return found
