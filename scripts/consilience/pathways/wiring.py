"""Which gene feeds which pathway: the fixed structure of a `PathwayLinear` layer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import ModelError

if TYPE_CHECKING:
    import torch

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Wiring:
    """Edges between `genes` (input order) and `pathways` (output order).

    Weights are ordered by pathway, within a pathway by gene *name*, so that neither their order nor a
    checkpoint depends on the order of the input genes. `start` (pathways + 1), `member` (weights): the edges
    of pathway i are start[i] … start[i + 1], member is a gene index. `gene_start` (genes + 1), `gene_member`
    (weights; pathway index) and `gene_order` (weights; position in the weights) are the same edges by gene.
    """

    genes: tuple[str, ...]
    pathways: tuple[str, ...]
    start: Integers
    member: Integers
    gene_start: Integers
    gene_member: Integers
    gene_order: Integers

    @property
    def n_weights(self) -> int:
        """Number of gene-pathway edges."""
        return int(self.member.size)

    @cached_property
    def pathway_of_weight(self) -> Integers:
        """Pathway index of each weight."""
        return np.repeat(np.arange(len(self.pathways), dtype=np.int32), np.diff(self.start))

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that two layers share when their weights mean the same (whatever their gene order)."""
        digest = hashlib.sha256()
        for index, pathway in enumerate(self.pathways):
            members = self.member[self.start[index] : self.start[index + 1]]
            digest.update("\t".join((pathway, *(self.genes[gene] for gene in members))).encode() + b"\n")
        return digest.digest()

    @cached_property
    def _on_device(self) -> dict[Any, Any]:
        return {}

    def flat_index(self, device: torch.device) -> torch.Tensor:
        """Position of each weight in the flattened pathways × genes matrix."""
        import torch

        if device not in self._on_device:
            flat = self.pathway_of_weight.astype(np.int64) * len(self.genes) + self.member
            self._on_device[device] = torch.from_numpy(flat).to(device)
        found: torch.Tensor = self._on_device[device]
        return found

    def folded(self, weight: torch.Tensor) -> torch.Tensor:
        """Pathways × genes matrix with the weights written in; one buffer, rewritten at each call.

        The zeros of the buffer never change, so a call costs one small write and cannot be out of date.
        """
        import torch

        key = (weight.device, weight.dtype)
        if key not in self._on_device:
            shape = (len(self.pathways), len(self.genes))
            self._on_device[key] = torch.zeros(shape, device=weight.device, dtype=weight.dtype)
        dense: torch.Tensor = self._on_device[key]
        dense.view(-1)[self.flat_index(weight.device)] = weight.detach()
        return dense

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_on_device"}


def wire(
    mask: Mapping[str, Iterable[str]] | Any,
    *,
    genes: Sequence[str],
    pathways: Sequence[str] | None = None,
    allow_missing: bool = False,
) -> Wiring:
    """Build the wiring from a table with columns gene and pathway (a data frame, or a dict of lists).

    `genes` is the input order. `pathways` is the output order (default: sorted names of the mask; one that is
    not in the mask is an empty pathway). Mask genes that are not among `genes` are an error unless
    `allow_missing`; then their edges do not exist.
    """
    gene_of, pathway_of = list(mask["gene"]), list(mask["pathway"])
    outputs = tuple(sorted(set(pathway_of)) if pathways is None else pathways)
    _refuse_twins(genes, "gene")
    _refuse_twins(outputs, "pathway")
    place_of = {gene: place for place, gene in enumerate(genes)}
    missing = sorted(set(gene_of) - set(place_of))
    if missing and not allow_missing:
        raise ModelError(
            f"{len(missing)} of {len(set(gene_of))} genes of the mask are not among the layer's genes",
            value=", ".join(missing[:5]),
            mend="give the layer all genes of the mask, or say allow_missing=True to leave their weights out",
        )
    edges = _edges(gene_of, pathway_of, place_of, outputs)
    member = np.fromiter((place_of[gene] for _, gene in edges), dtype=np.int32, count=len(edges))
    pathway = np.fromiter((index for index, _ in edges), dtype=np.int32, count=len(edges))
    order = np.argsort(member, kind="stable")
    return Wiring(
        genes=tuple(genes),
        pathways=outputs,
        start=_starts(pathway, len(outputs)),
        member=member,
        gene_start=_starts(member, len(genes)),
        gene_member=pathway[order],
        gene_order=order.astype(np.int32),
    )


def _edges(
    gene_of: Sequence[str], pathway_of: Sequence[str], place_of: Mapping[str, int], outputs: Sequence[str]
) -> list[tuple[int, str]]:
    """(pathway index, gene) of every weight, sorted; the same edge twice is an error."""
    output_of = {name: index for index, name in enumerate(outputs)}
    edges = sorted(
        (output_of[pathway], gene)
        for gene, pathway in zip(gene_of, pathway_of, strict=True)
        if gene in place_of and pathway in output_of
    )
    if len(set(edges)) < len(edges):
        twin = next(edge for edge, after in pairwise(edges) if edge == after)
        raise ModelError(f"the pathway mask names gene {twin[1]} twice in pathway {outputs[twin[0]]}")
    return edges


def _starts(group: Integers, n_groups: int) -> Integers:
    """Where each group begins in a list sorted by group."""
    return np.concatenate([[0], np.cumsum(np.bincount(group, minlength=n_groups))]).astype(np.int64)


def _refuse_twins(names: Sequence[str], kind: str) -> None:
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twin = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ModelError(f"a {kind} is listed twice among the layer's {kind}s", value=twin)
