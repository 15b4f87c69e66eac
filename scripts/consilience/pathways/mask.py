"""The pathway mask: which measured gene belongs to which pathway, and how well each pathway is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.pathways.gene_sets import GeneSet, load_gene_sets

if TYPE_CHECKING:
    from consilience.study.sections import PathwaysSection

_LISTED = 200


@dataclass(frozen=True, slots=True)
class PathwayCoverage:
    """How much of one pathway is measured; `why` is empty when it is kept, `same_as` names a twin."""

    pathway: str
    collection: str
    source: str
    n_genes: int
    n_measured: int
    coverage: float
    kept: bool
    why: str
    same_as: str
    by_cohort: dict[str, int]


@dataclass(frozen=True, slots=True)
class Mask:
    """The edges of the kept pathways, sorted by collection, pathway, gene; and the coverage report.

    `gene`, `pathway`, `collection`: one entry per edge. `coverage`: JSON-ready (see docs/outputs.md).
    """

    gene: tuple[str, ...]
    pathway: tuple[str, ...]
    collection: tuple[str, ...]
    coverage: dict[str, Any]


def build_mask(
    *,
    gene_sets: Sequence[GeneSet],
    measured: Mapping[str, Sequence[str]],
    min_genes: int,
    max_genes: int,
    min_coverage: float,
) -> Mask:
    """Keep pathways of a fitting size that are measured well enough; the same for any order of the input.

    A gene counts as measured when any cohort measures it: `measured` maps cohorts to current symbols.
    Coverage is the share of a pathway's genes (known human genes) that are measured.
    """
    union = frozenset().union(*measured.values())
    cohorts = {cohort: frozenset(genes) for cohort, genes in sorted(measured.items())}
    members = {
        (entry.collection, entry.name): tuple(sorted(union.intersection(entry.genes))) for entry in gene_sets
    }
    first_with: dict[tuple[str, ...], str] = {}
    pathways: list[PathwayCoverage] = []
    for entry in sorted(gene_sets, key=lambda entry: (entry.collection, entry.name)):
        found = members[entry.collection, entry.name]
        share = len(found) / len(entry.genes) if entry.genes else 0.0
        why = _why_dropped(len(entry.genes), len(found), share, min_genes, max_genes, min_coverage)
        twin = first_with.setdefault(found, entry.name) if not why else ""
        pathways.append(
            PathwayCoverage(
                pathway=entry.name, collection=entry.collection, source=entry.source,
                n_genes=len(entry.genes), n_measured=len(found), coverage=round(share, 4),
                kept=not why, why=why, same_as=twin if twin != entry.name else "",
                by_cohort={name: len(genes.intersection(entry.genes)) for name, genes in cohorts.items()},
            )
        )  # fmt: skip
    kept = [(entry, members[entry.collection, entry.pathway]) for entry in pathways if entry.kept]
    edges = [(gene, entry.pathway, entry.collection) for entry, found in kept for gene in found]
    if not edges:
        _refuse_empty(pathways, n_measured=len(union), min_coverage=min_coverage)
    gene, pathway, collection = (tuple(column) for column in zip(*edges, strict=True))
    limits = {"min_genes": min_genes, "max_genes": max_genes, "min_coverage": min_coverage}
    return Mask(gene, pathway, collection, _report(gene_sets, pathways, cohorts, frozenset(gene), limits))


def _why_dropped(
    n_genes: int, n_measured: int, share: float, min_genes: int, max_genes: int, min_coverage: float
) -> str:
    """Reason in words, empty when the pathway is kept."""
    if n_genes == 0:
        return "no member is a known human gene"
    if n_measured < min_genes:
        return f"fewer than {min_genes} measured genes"
    if n_measured > max_genes:
        return f"more than {max_genes} measured genes"
    return f"less than {min_coverage:.0%} of its genes measured" if share < min_coverage else ""


def _refuse_empty(pathways: Sequence[PathwayCoverage], *, n_measured: int, min_coverage: float) -> None:
    reasons = Counter(entry.why for entry in pathways)
    told = "; ".join(f"{count} have {why}" for why, count in reasons.most_common())
    raise DataError(
        f"no pathway is left of {len(pathways)} for {n_measured} measured genes ({told})",
        allowed="see pathways.min_genes, max_genes, min_coverage",
        mend="lower the limits, choose larger gene sets, or check that the cohorts' genes are human symbols",
    )


def _report(
    gene_sets: Sequence[GeneSet],
    pathways: Sequence[PathwayCoverage],
    cohorts: Mapping[str, frozenset[str]],
    in_mask: frozenset[str],
    limits: Mapping[str, float],
) -> dict[str, Any]:
    """What coverage.json holds."""
    in_sets = frozenset(gene for entry in gene_sets for gene in entry.genes)
    unknown = Counter(member for entry in gene_sets for member in entry.unknown)
    listed = sorted(unknown.items(), key=lambda pair: (-pair[1], pair[0]))[:_LISTED]
    collections = sorted({entry.collection for entry in pathways})
    return {
        "limits": dict(limits),
        "n_pathways": len(pathways),
        "n_kept": sum(entry.kept for entry in pathways),
        "n_genes_in_mask": len(in_mask),
        "dropped_by_reason": dict(sorted(Counter(entry.why for entry in pathways if entry.why).items())),
        "collections": [
            {
                "collection": name,
                "n_pathways": sum(entry.collection == name for entry in pathways),
                "n_kept": sum(entry.kept for entry in pathways if entry.collection == name),
            }
            for name in collections
        ],
        "cohorts": [
            {
                "cohort": name,
                "n_genes": len(genes),
                "n_in_pathways": len(genes & in_sets),
                "n_in_mask": len(genes & in_mask),
                "share_of_mask": round(len(genes & in_mask) / len(in_mask), 4),
            }
            for name, genes in cohorts.items()
        ],
        "n_unknown_members": len(unknown),
        "unknown_members": [{"member": member, "n_pathways": count} for member, count in listed],
        "pathways": [asdict(entry) for entry in pathways],
    }


def read_var_names(path: str | Path) -> list[str]:
    """Gene names of an h5ad file, without reading its matrix."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            var = file["var"]
            index = var[var.attrs["_index"]]
            if isinstance(index, h5py.Group):  # nullable strings, as newer anndata writes them
                index = index["values"]
            return [str(name) for name in index.asstr()[:]]
    except (OSError, KeyError, AttributeError, TypeError) as error:
        raise DataError(
            f"the gene names cannot be read ({error})", where=str(path), mend="delete the file and run again"
        ) from error


def write_mask(
    *,
    names: Sequence[str],
    expression_paths: Mapping[str, str | Path],
    settings: PathwaysSection,
    mask_path: str | Path,
    coverage_path: str | Path,
) -> None:
    """Build the mask of a study from its gene set collections and prepared cohorts, and write both files."""
    import pandas as pd

    measured = {cohort: read_var_names(path) for cohort, path in expression_paths.items()}
    if not measured:
        raise DataError("no cohort has an expression matrix", mend="add a bulk or single-cell cohort")
    mask = build_mask(
        gene_sets=load_gene_sets(names),
        measured=measured,
        min_genes=settings.min_genes,
        max_genes=settings.max_genes,
        min_coverage=settings.min_coverage,
    )
    report = mask.coverage
    kept = (report["n_kept"], report["n_pathways"], report["n_genes_in_mask"], len(mask.gene))
    log.info("%d of %d pathways kept, %d genes, %d edges", *kept)
    write_json(coverage_path, mask.coverage)
    table = {"gene": mask.gene, "pathway": mask.pathway, "collection": mask.collection}
    write_parquet(mask_path, pd.DataFrame(table, dtype="str"))
