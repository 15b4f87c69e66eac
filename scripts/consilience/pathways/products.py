"""The three sums of a pathway layer, on the CPU (compiled or plain torch) and on the GPU (dense).

With W the pathways × genes matrix that has the weights w at its edges and nothing elsewhere:
`sums` = x Wᵀ, `spread` = g W, `edge_products` = (gᵀ x) at the edges. Each is the derivative of the others
(see `gradients`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import torch

from consilience.pathways.wiring import Wiring

Implementation = Literal["compiled", "embedding_bag", "dense"]
_PARTS = 16  # partial sums over the batch: a fixed number, so that results do not depend on threads
_EDGES_AT_ONCE = 8192
_WORTH_THREADS = 4_000_000  # multiplications; below, waking a thread costs more than it saves


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A samples × genes matrix in CSR form: `row_start` (samples + 1), `gene` and `value` (non-zeros)."""

    row_start: torch.Tensor
    gene: torch.Tensor
    value: torch.Tensor
    n_genes: int

    def to_dense(self) -> torch.Tensor:
        """The same as a strided tensor."""
        n_samples = self.row_start.numel() - 1
        every = torch.arange(n_samples, device=self.value.device)
        sample = torch.repeat_interleave(every, self.row_start.long().diff())
        dense = self.value.new_zeros((n_samples, self.n_genes))
        return dense.index_put_((sample, self.gene.long()), self.value, accumulate=True)


Values = torch.Tensor | SparseRows


@cache
def has_numba() -> bool:
    """True when the compiled kernels can be used."""
    try:
        import consilience.pathways.kernels  # noqa: F401
    except ImportError:
        return False
    return True


def choose(*, device: torch.device, dtype: torch.dtype) -> Implementation:
    """Dense on a GPU; on a CPU compiled sums where numba is there and knows the type."""
    if device.type != "cpu":
        return "dense"
    return "compiled" if dtype in {torch.float32, torch.float64} and has_numba() else "embedding_bag"


def sums(x: Values, weight: torch.Tensor, wiring: Wiring, how: Implementation) -> torch.Tensor:
    """Samples × pathways: weighted sums over each pathway's genes."""
    if how == "dense":
        return _strided(x) @ wiring.folded(weight).t()
    if isinstance(x, SparseRows):
        return (_sparse_sums_compiled if how == "compiled" else _sparse_sums_torch)(x, weight, wiring)
    if how == "compiled":
        return _sums_compiled(x, weight, wiring.start, wiring.member)
    return _sums_torch(x, weight, wiring.start, wiring.member)


def spread(g: torch.Tensor, weight: torch.Tensor, wiring: Wiring, how: Implementation) -> torch.Tensor:
    """Samples × genes: pathway values handed back to the genes."""
    if how == "dense":
        return g @ wiring.folded(weight)
    function = _sums_compiled if how == "compiled" else _sums_torch
    return function(g, _by_gene(weight, wiring), wiring.gene_start, wiring.gene_member)


def edge_products(g: torch.Tensor, x: Values, wiring: Wiring, how: Implementation) -> torch.Tensor:
    """One number per weight: Σ over samples of pathway value × gene value."""
    if how == "dense":
        return (g.t() @ _strided(x)).reshape(-1)[wiring.flat_index(g.device)]
    if isinstance(x, SparseRows):
        return (_sparse_products_compiled if how == "compiled" else _sparse_products_torch)(g, x, wiring)
    return (_products_compiled if how == "compiled" else _products_torch)(g, x, wiring)


def _strided(x: Values) -> torch.Tensor:
    return x.to_dense() if isinstance(x, SparseRows) else x


def _torch(index: Any) -> torch.Tensor:
    return torch.from_numpy(index)


def _numpy(tensor: torch.Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


def _by_gene(weight: torch.Tensor, wiring: Wiring) -> torch.Tensor:
    """Weights in the order of the genes (numpy: waking torch's threads costs more than the copy)."""
    return torch.from_numpy(_numpy(weight)[wiring.gene_order])


# compiled --------------------------------------------------------------------------------------------------


def _sums_compiled(x: torch.Tensor, weight: torch.Tensor, start: Any, member: Any) -> torch.Tensor:
    from consilience.pathways import kernels

    result = torch.empty((x.shape[0], len(start) - 1), dtype=x.dtype)
    fixed = (start, member, _numpy(weight), _numpy(x), _numpy(result))
    cost = x.shape[0] * len(member)
    _in_threads(lambda first, last: kernels.weighted_sums(*fixed, first, last), _tiles(x.shape[0]), cost=cost)
    return result


def _products_compiled(g: torch.Tensor, x: torch.Tensor, wiring: Wiring) -> torch.Tensor:
    from consilience.pathways import kernels

    fixed = (wiring.start, wiring.member, _numpy(g), _numpy(x))
    return _in_parts(
        lambda part, first, last: kernels.sampled_products(*fixed, part, first, last),
        n=_tiles(x.shape[0]), like=x, n_weights=wiring.n_weights, cost=x.shape[0] * wiring.n_weights,
    )  # fmt: skip


def _sparse_sums_compiled(x: SparseRows, weight: torch.Tensor, wiring: Wiring) -> torch.Tensor:
    from consilience.pathways import kernels

    n_rows = x.row_start.numel() - 1
    result = torch.empty((n_rows, len(wiring.pathways)), dtype=weight.dtype)
    edges = (wiring.gene_start, wiring.gene_member, _numpy(_by_gene(weight, wiring)))
    fixed = (*map(_numpy, (x.row_start, x.gene, x.value)), *edges, _numpy(result))
    _in_threads(lambda first, last: kernels.sparse_sums(*fixed, first, last), n_rows, cost=_cost(x, wiring))
    return result


def _sparse_products_compiled(g: torch.Tensor, x: SparseRows, wiring: Wiring) -> torch.Tensor:
    from consilience.pathways import kernels

    fixed = (*map(_numpy, (x.row_start, x.gene, x.value)), wiring.gene_start, wiring.gene_member, _numpy(g))
    by_gene = _in_parts(
        lambda part, first, last: kernels.sparse_products(*fixed, part, first, last),
        n=g.shape[0], like=g, n_weights=wiring.n_weights, cost=_cost(x, wiring),
    )  # fmt: skip
    result = torch.empty_like(by_gene)
    _numpy(result)[wiring.gene_order] = _numpy(by_gene)
    return result


def _cost(x: SparseRows, wiring: Wiring) -> int:
    """About how many multiplications a sparse sum takes."""
    return x.value.numel() * wiring.n_weights // max(1, len(wiring.genes))


def _tiles(n_samples: int) -> int:
    from consilience.pathways.kernels import WIDTH

    return -(-n_samples // WIDTH)


def _in_parts(
    work: Callable[[Any, int, int], None], *, n: int, like: torch.Tensor, n_weights: int, cost: int
) -> torch.Tensor:
    """Add up a fixed number of partial results in a fixed order, whatever the number of threads."""
    n_parts = max(1, min(_PARTS, n))
    edges = [n * part // n_parts for part in range(n_parts + 1)]
    rows = np.zeros((n_parts, n_weights), dtype=_numpy(like).dtype)

    def some(first_part: int, last_part: int) -> None:
        for part in range(first_part, last_part):
            work(rows[part], edges[part], edges[part + 1])

    _in_threads(some, n_parts, cost=cost)
    total = rows[0].copy()
    for row in rows[1:]:
        np.add(total, row, out=total)
    return torch.from_numpy(total)


def _in_threads(work: Callable[[int, int], None], n: int, *, cost: int) -> None:
    """Give contiguous shares of 0 … n to torch's number of threads; the kernels hold no lock."""
    threads = min(torch.get_num_threads(), n) if cost >= _WORTH_THREADS else 1
    if threads <= 1:
        if n:
            work(0, n)
        return
    edges = [n * share // threads for share in range(threads + 1)]
    pool = _pool(os.getpid(), torch.get_num_threads())
    waiting = [pool.submit(work, edges[share], edges[share + 1]) for share in range(1, threads)]
    work(0, edges[1])
    for task in waiting:
        task.result()


@cache
def _pool(_pid: int, threads: int) -> ThreadPoolExecutor:
    """One pool per process (a forked child must not use its parent's)."""
    return ThreadPoolExecutor(max_workers=max(1, threads - 1), thread_name_prefix="pathways")


# plain torch -----------------------------------------------------------------------------------------------


def _sums_torch(x: torch.Tensor, weight: torch.Tensor, start: Any, member: Any) -> torch.Tensor:
    if member.size == 0 or x.shape[0] == 0:
        return x.new_zeros((x.shape[0], len(start) - 1))
    bags = torch.nn.functional.embedding_bag(
        _torch(member).long(), x.t().contiguous(), _torch(start)[:-1], mode="sum", per_sample_weights=weight
    )
    return bags.t().contiguous()


def _products_torch(g: torch.Tensor, x: torch.Tensor, wiring: Wiring) -> torch.Tensor:
    left, right = g.t().contiguous(), x.t().contiguous()
    result = g.new_empty(wiring.n_weights)
    rows, columns = _torch(wiring.pathway_of_weight), _torch(wiring.member)
    for begin in range(0, wiring.n_weights, _EDGES_AT_ONCE):
        part = slice(begin, begin + _EDGES_AT_ONCE)
        result[part] = (left[rows[part]] * right[columns[part]]).sum(1)
    return result


def _pairs(x: SparseRows, wiring: Wiring) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sample, value and edge (in gene order) of every non-zero × edge of its gene."""
    start = _torch(wiring.gene_start)
    gene = x.gene.long()
    times = (start[1:] - start[:-1])[gene]
    sample = torch.repeat_interleave(torch.arange(x.row_start.numel() - 1), x.row_start.long().diff())
    first = torch.repeat_interleave(start[gene] - (times.cumsum(0) - times), times)
    edge = first + torch.arange(first.numel())
    return torch.repeat_interleave(sample, times), torch.repeat_interleave(x.value, times), edge


def _sparse_sums_torch(x: SparseRows, weight: torch.Tensor, wiring: Wiring) -> torch.Tensor:
    sample, value, edge = _pairs(x, wiring)
    by_gene = _by_gene(weight, wiring)
    shape = (x.row_start.numel() - 1, len(wiring.pathways))
    flat = weight.new_zeros(shape[0] * shape[1])
    where = sample * shape[1] + _torch(wiring.gene_member).long()[edge]
    return flat.index_add_(0, where, value * by_gene[edge]).reshape(shape)


def _sparse_products_torch(g: torch.Tensor, x: SparseRows, wiring: Wiring) -> torch.Tensor:
    sample, value, edge = _pairs(x, wiring)
    amounts = value * g[sample, _torch(wiring.gene_member).long()[edge]]
    result = g.new_zeros(wiring.n_weights)
    return result.index_add_(0, _torch(wiring.gene_order).long()[edge], amounts)
