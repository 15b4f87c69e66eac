"""The gene table: every human gene of GENCODE 48, its ids, and what it was called before."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from consilience.foundation.errors import DataError
from consilience.foundation.places import RESOURCES

GENE_TABLE = RESOURCES / "genes" / "human_genes.tsv.gz"
COLUMNS = (
    "symbol", "ensembl_id", "entrez", "gene_type", "chromosome", "position",
    "previous", "synonyms", "other_ensembl",
)  # fmt: skip
SEX_GENES = {
    "female": ("XIST", "TSIX"),
    "male": ("RPS4Y1", "DDX3Y", "KDM5D", "EIF1AY", "UTY", "USP9Y", "ZFY"),
}


@dataclass(frozen=True, repr=False, eq=False)
class GeneTable:
    """All genes in genome order (chromosomes 1-22, X, Y, MT, then scaffolds; GRCh38).

    All tuples have one entry per gene: `symbols` (unique; the Ensembl id for a gene without a name),
    `ensembl_ids` (no version), `entrez` ("" where unknown), `gene_types` (GENCODE), `chromosomes`,
    `positions` (start, base pairs), and the names in `previous`, `synonyms`, `other_ensembl` joined by "|".
    """

    symbols: tuple[str, ...]
    ensembl_ids: tuple[str, ...]
    entrez: tuple[str, ...]
    gene_types: tuple[str, ...]
    chromosomes: tuple[str, ...]
    positions: tuple[int, ...]
    previous: tuple[str, ...]
    synonyms: tuple[str, ...]
    other_ensembl: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    def symbols_of(self, *, gene_type: str = "", chromosome: str = "") -> list[str]:
        """Symbols of one GENCODE type and/or chromosome, in genome order."""
        return [
            symbol
            for symbol, kind, place in zip(self.symbols, self.gene_types, self.chromosomes, strict=True)
            if gene_type in {"", kind} and chromosome in {"", place}
        ]

    @property
    def mitochondrial(self) -> list[str]:
        """Symbols of the genes on the mitochondrial chromosome."""
        return self.symbols_of(chromosome="MT")

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of a current symbol."""
        return {symbol: row for row, symbol in enumerate(self.symbols)}

    @cached_property
    def row_of_ensembl(self) -> dict[str, int]:
        """Row of an Ensembl id without version; retired and second ids of a symbol included."""
        rows = {
            name: row for row, names in enumerate(self.other_ensembl) if names for name in names.split("|")
        }
        rows.update((name, row) for row, name in enumerate(self.ensembl_ids))
        return rows

    @cached_property
    def row_of_entrez(self) -> dict[str, int]:
        """Row of an Entrez gene id."""
        return {name: row for row, name in enumerate(self.entrez) if name}

    @cached_property
    def rows_of_previous(self) -> dict[str, tuple[int, ...]]:
        """Rows of a symbol that was in use before; more than one when it was used twice."""
        return rows_by_name(self.previous)

    @cached_property
    def rows_of_synonym(self) -> dict[str, tuple[int, ...]]:
        """Rows of a synonym; more than one when several genes share it."""
        return rows_by_name(self.synonyms)

    @cached_property
    def rows_of_folded(self) -> dict[str, tuple[int, ...]]:
        """Rows of a current symbol without regard to case, then of previous symbols."""
        folded: dict[str, tuple[int, ...]] = {}
        for name, rows in self.rows_of_previous.items():
            key = name.casefold()
            folded[key] = tuple({*folded.get(key, ()), *rows})
        current: dict[str, tuple[int, ...]] = {}
        for row, symbol in enumerate(self.symbols):
            key = symbol.casefold()
            current[key] = (*current.get(key, ()), row)
        return folded | current


def rows_by_name(cells: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Turn one "A|B" cell per gene round: rows for each name."""
    rows: dict[str, tuple[int, ...]] = {}
    for row, names in enumerate(cells):
        if names:
            for name in names.split("|"):
                rows[name] = (*rows[name], row) if name in rows else (row,)
    return rows


@cache
def load_gene_table(path: Path = GENE_TABLE) -> GeneTable:
    """Read the shipped gene table once per process."""
    try:
        lines = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"the gene table cannot be read ({error})", where=str(path), mend="restore it from the repository"
        ) from error
    width = len(COLUMNS)
    if not lines or lines[0].split("\t") != list(COLUMNS):
        raise DataError("not the gene table", where=f"{path}:1", allowed="a header " + " ".join(COLUMNS))
    padding = "\t" * (width - 1)
    rows = [(line + padding).split("\t", width)[:width] for line in lines[1:]]
    columns = list(zip(*rows, strict=True))
    ids = columns[1]
    symbols = tuple(symbol or ids[row] for row, symbol in enumerate(columns[0]))
    _, ensembl_ids, entrez, gene_types, chromosomes, positions, previous, synonyms, other_ensembl = columns
    return GeneTable(
        symbols=symbols,
        ensembl_ids=ensembl_ids,
        entrez=entrez,
        gene_types=gene_types,
        chromosomes=chromosomes,
        positions=tuple(map(int, positions)),
        previous=previous,
        synonyms=synonyms,
        other_ensembl=other_ensembl,
    )
