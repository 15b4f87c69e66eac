"""Lists of genes as files of cells give them: only human genes, and only those that all samples have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError, printable
from consilience.foundation.places import RESOURCES
from consilience.sources.text import read_lines

if TYPE_CHECKING:
    import numpy.typing as npt

GENE_TYPE = "gene expression"
_HUMAN = re.compile(r"(GRCh3[78]|hg19|hg38)([.-][A-Za-z0-9.-]*)?", re.IGNORECASE)
_GENOME = re.compile(r"(?P<genome>GRC[a-z]\d+|hg\d\d|mm\d\d?|rn\d|dm\d|sacCer\d)_+")
_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?(_PAR_Y)?")


@dataclass(frozen=True, slots=True)
class GeneList:
    """Genes of one file: `ids`, a second name of each ("" where there is none).

    `rows` (genes,) where each lies among all features of the file, `n_features` of which it has.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    n_features: int
    notes: tuple[str, ...] = ()

    @classmethod
    def whole(cls, ids: Sequence[str], names: Sequence[str]) -> GeneList:
        """All features of a file are its genes."""
        return cls(tuple(ids), tuple(names), np.arange(len(ids), dtype=np.int64), len(ids))


def human_genes(
    *, ids: Sequence[str], names: Sequence[str], types: Sequence[str] = (), genomes: Sequence[str] = ()
) -> GeneList:
    """The human genes among the features of a file; antibodies, guides and other species are left out.

    `types` and `genomes` of each feature, () where the file does not say. The genome before an id
    (GRCh38_ENSG…, as in mixed references) is taken off.
    """
    genomes = list(genomes) or [_genome_of(name) for name in ids]
    several = len({genome for genome in genomes if genome}) > 1
    wanted, other_types, other_genomes = [], 0, Counter[str]()
    for k, genome in enumerate(genomes):
        if types and types[k].strip().lower() != GENE_TYPE:
            other_types += 1
        elif several and not _HUMAN.fullmatch(genome):
            other_genomes[genome or "no genome"] += 1
        else:
            wanted.append(k)
    known = set(genomes) - {""}
    notes = []
    if other_types:
        notes.append(f"{other_types} features that are no genes (antibodies, guides …) were left out")
    if other_genomes:
        listed = ", ".join(f"{genome} ({n})" for genome, n in sorted(other_genomes.items()))
        notes.append(f"genes of other genomes were left out: {listed}")
    return GeneList(
        tuple(_without_genome(ids[k], known) for k in wanted),
        tuple(_without_genome(names[k], known) for k in wanted),
        np.array(wanted, dtype=np.int64), len(ids), tuple(notes),
    )  # fmt: skip


def _genome_of(name: str) -> str:
    """The genome written before a feature's id, "" where there is none."""
    found = _GENOME.match(name)
    return found["genome"] if found else ""


def _without_genome(name: str, genomes: set[str]) -> str:
    for genome in genomes:
        if name.startswith(f"{genome}_"):
            return name[len(genome) :].lstrip("_")
    return name


def common_genes(
    listed: Sequence[GeneList], *, samples: Sequence[str], where: str
) -> tuple[tuple[str, ...], tuple[str, ...], list[npt.NDArray[np.int64]], list[str]]:
    """Genes that every sample has, their names, and where each feature of each sample goes (-1: nowhere)."""
    first = listed[0]
    genes, notes = first.ids, list(dict.fromkeys(note for one in listed for note in one.notes))
    if any(one.ids != genes for one in listed):
        for one, sample in zip(listed, samples, strict=True):
            if len(set(one.ids)) != len(one.ids):
                raise DataError("samples list different genes, and this one lists a gene twice",
                                where=f"{where}: {sample}")  # fmt: skip
        common = set(genes).intersection(*(one.ids for one in listed))
        genes = tuple(gene for gene in genes if gene in common)
        lost = len(set().union(*(one.ids for one in listed))) - len(genes)
        notes.append(f"{lost} genes are not listed in every sample and were left out")
    if not genes:
        starts = [f"{sample}: {', '.join(one.ids[:2])}" for one, sample in zip(listed, samples, strict=True)]
        shown = "; ".join(printable(text, limit=90)[1:-1] for text in starts[:3])
        raise DataError(
            f"the samples have no gene in common ({shown})", where=where,
            mend="the files of a cohort need the same kind of human gene ids; if they are different studies, "
            "choose one with 'files' and give the others rows of their own",
        )  # fmt: skip
    column_of = {gene: column for column, gene in enumerate(genes)}
    maps = []
    for one in listed:
        columns = np.full(one.n_features, -1, dtype=np.int64)
        same = one.ids == genes
        columns[one.rows] = np.arange(len(genes)) if same else [column_of.get(gene, -1) for gene in one.ids]
        maps.append(columns)
    name_of = dict(zip(first.ids, first.names, strict=True))
    names = first.names if first.ids == genes else tuple(name_of[gene] for gene in genes)
    return genes, names, maps, notes


@cache
def _known_names() -> frozenset[str]:
    """Current and previous symbols of all human genes, from the shipped gene table."""
    header, *rows = read_lines(RESOURCES / "genes" / "human_genes.tsv.gz")
    columns = header.split("\t")
    places = [columns.index(name) for name in ("symbol", "previous")]
    found: set[str] = set()
    for row in rows:
        cells = row.split("\t")
        for place in places:
            found |= set(cells[place].split("|") if len(cells) > place else ())
    return frozenset(found - {""})


def share_of_genes(names: Sequence[str]) -> float:
    """Share of names that are Ensembl ids of genes (of any species) or human symbols."""
    known = _known_names()
    bare = [name.partition("|")[0].partition(":")[0] for name in names]
    return sum(name in known or _ENSEMBL.fullmatch(name) is not None for name in bare) / max(1, len(bare))
