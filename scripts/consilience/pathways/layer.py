"""`PathwayLinear`: genes in, pathways out, and only the weights that exist.

    layer = PathwayLinear.from_mask(mask, genes=adata.var_names)
    scores = layer(x)          # samples × genes (dense, or torch CSR) → samples × pathways

The weights are stored once, in an order that no implementation and no gene order changes, so a checkpoint
written on a GPU loads on a CPU, and one trained on other gene order loads as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from consilience.foundation.errors import ModelError
from consilience.foundation.seeds import stream
from consilience.pathways.gradients import SparseSums, Sums, apply
from consilience.pathways.products import Implementation, SparseRows, choose
from consilience.pathways.wiring import Wiring, wire


class PathwayLinear(nn.Module):
    """A linear layer whose only weights are those of `wiring`.

    `learned=False` fixes the weights to 1 / pathway size (a pathway's value is then the mean of its genes).
    `implementation` is chosen by device and type unless given; all give the same values (to rounding). The
    bits of "compiled" results do not depend on the number of threads; those of the others are torch's.
    """

    structure: torch.Tensor

    def __init__(
        self,
        wiring: Wiring,
        *,
        bias: bool = True,
        learned: bool = True,
        seed: int = 0,
        implementation: Implementation | None = None,
    ) -> None:
        super().__init__()
        self.wiring = wiring
        self.implementation = implementation
        self.learned = learned
        self.weight = nn.Parameter(torch.empty(wiring.n_weights), requires_grad=learned)
        self.bias = nn.Parameter(torch.empty(len(wiring.pathways))) if bias else None
        self.register_buffer("structure", torch.frombuffer(bytearray(wiring.digest), dtype=torch.uint8))
        self.register_load_state_dict_pre_hook(_refuse_other_structure)  # type: ignore[no-untyped-call]
        self.reset_parameters(seed)

    @classmethod
    def from_mask(
        cls,
        mask: Mapping[str, Iterable[str]] | Any,
        *,
        genes: Sequence[str],
        pathways: Sequence[str] | None = None,
        allow_missing: bool = False,
        **options: Any,
    ) -> PathwayLinear:
        """Build from a table with columns gene and pathway (see `wiring.wire`, and the class for options)."""
        return cls(wire(mask, genes=genes, pathways=pathways, allow_missing=allow_missing), **options)

    def reset_parameters(self, seed: int = 0) -> None:
        """Draw weights uniformly within ±1/√(pathway size), as `nn.Linear` does; fixed ones are 1/size."""
        size = np.diff(self.wiring.start)[self.wiring.pathway_of_weight].astype(np.float64)
        if self.learned:
            values = stream(seed, "PathwayLinear").uniform(-1, 1, size.size) / np.sqrt(size)
        else:
            values = 1 / size
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(values))
            if self.bias is not None:
                self.bias.zero_()

    @property
    def genes(self) -> tuple[str, ...]:
        """Input order."""
        return self.wiring.genes

    @property
    def pathways(self) -> tuple[str, ...]:
        """Output order."""
        return self.wiring.pathways

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Weighted sums over each pathway's genes: (…, genes) → (…, pathways)."""
        if x.ndim == 0 or x.shape[-1] != len(self.genes):
            raise ModelError("the input has the wrong number of genes", value=tuple(x.shape),
                             allowed=f"(…, {len(self.genes)}), in the order of `layer.genes`")  # fmt: skip
        weight = self.weight
        dtype = asked = _computing_type(x, weight)
        if _transformed(x, weight):
            return nn.functional.linear(x, self.to_dense(), self.bias)
        how = self.implementation or choose(device=weight.device, dtype=dtype)
        if weight.device.type == "cpu" and dtype not in {torch.float32, torch.float64}:
            dtype = torch.float32
        if x.layout != torch.strided:
            y = apply(SparseSums, weight.to(dtype), _sparse_rows(x, dtype), self.wiring, how)
        else:
            flat = x.reshape(-1, x.shape[-1]).to(dtype)
            y = apply(Sums, flat, weight.to(dtype), self.wiring, how).reshape(
                *x.shape[:-1], len(self.pathways)
            )
        result: torch.Tensor = y if self.bias is None else y + self.bias.to(dtype)
        return result.to(asked)

    def to_dense(self) -> torch.Tensor:
        """The pathways × genes matrix with zeros where there is no weight (differentiable, a new tensor)."""
        shape = (len(self.pathways), len(self.genes))
        flat = self.weight.new_zeros(shape[0] * shape[1])
        index = self.wiring.flat_index(self.weight.device)
        return flat.index_put((index,), self.weight).reshape(shape)

    def extra_repr(self) -> str:
        """Sizes, as torch prints them."""
        n_genes, n_pathways = len(self.genes), len(self.pathways)
        share = self.wiring.n_weights / max(1, n_genes * n_pathways)
        kind = "learned" if self.learned else "fixed"
        return (
            f"genes={n_genes}, pathways={n_pathways}, weights={self.wiring.n_weights} ({share:.2%}, {kind})"
        )


def _computing_type(x: torch.Tensor, weight: torch.Tensor) -> torch.dtype:
    """Type to compute in: autocast's on a GPU, else the weights' (which the input must share)."""
    if x.device.type == "cuda" and torch.is_autocast_enabled("cuda"):
        return torch.get_autocast_dtype("cuda")
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ModelError("the input and the layer have different number types", value=x.dtype,
                         allowed=str(weight.dtype), mend="x.to(layer.weight.dtype)")  # fmt: skip
    return weight.dtype


def _transformed(*tensors: torch.Tensor) -> bool:
    """True under torch.func, forward-mode derivatives and torch.compile: there only plain torch runs."""
    if torch.compiler.is_compiling() or torch.autograd.forward_ad._current_level >= 0:
        return True
    return any(torch._C._functorch.is_functorch_wrapped_tensor(tensor) for tensor in tensors)


def _sparse_rows(x: torch.Tensor, dtype: torch.dtype) -> SparseRows:
    """Take a torch CSR (or COO) matrix apart; column indices are checked, because torch does not."""
    if x.requires_grad:
        raise ModelError("a sparse input gets no gradient", mend="detach it, or use x.to_dense()")
    x = x if x.layout == torch.sparse_csr else x.to_sparse_csr()
    gene, row_start = x.col_indices(), x.crow_indices()
    places = gene.numpy() if gene.device.type == "cpu" else gene
    if x.ndim != 2 or (len(gene) and not 0 <= int(places.min()) <= int(places.max()) < x.shape[1]):
        raise ModelError("not a valid samples × genes CSR matrix: a column index is outside the genes")
    return SparseRows(row_start, gene, x.values().to(dtype), x.shape[1])


def _refuse_other_structure(module: nn.Module, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """Weights of another mask must not be taken for ours, even when there are equally many."""
    found = state.get(f"{prefix}structure")
    assert isinstance(module, PathwayLinear)  # noqa: S101 - for the type checker
    if found is not None and not torch.equal(found.cpu(), module.structure.cpu()):
        raise ModelError(
            "the checkpoint belongs to another pathway mask (other pathways, their order, or their genes)",
            mend="build the layer from the mask that the checkpoint was trained with",
        )
