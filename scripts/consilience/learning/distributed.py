"""Several processes, one training: each takes its share of every batch, and gradients are added up.

Launched by `torchrun`, the processes find each other through its environment variables; launched alone, a
process is a team of one and nothing here costs anything. Gradients are summed once per turn in one message,
rather than by torch's DistributedDataParallel wrapper, because players use each other's modules, processes
may part their share differently when memory is short, and the sum is then exactly the gradient of one
process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Team:
    """The place of this process among all: `rank` of `size`, computing on `device`. Rank 0 writes."""

    device: str
    rank: int = 0
    size: int = 1

    def share(self, rows: int) -> tuple[int, int]:
        """First and last-plus-one row of a batch that are this process's; may be empty."""
        return rows * self.rank // self.size, rows * (self.rank + 1) // self.size

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Sums over the processes, the same bits in each."""
        if self.size == 1:
            return list(numbers)
        import torch
        import torch.distributed as dist

        together = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(together)
        return [float(number) for number in together.tolist()]

    def any(self, condition: bool) -> bool:
        """True in every process when it is true in one."""
        return self.total([float(condition)])[0] > 0

    def agree(self, numbers: Sequence[float]) -> bool:
        """True when all processes hold the same finite numbers."""
        if self.size == 1:
            return True
        first = self.total([number if self.rank == 0 else 0.0 for number in numbers])
        return not self.any(list(numbers) != first)

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over the processes; one message for all of them.

        A parameter that has a gradient in no process keeps none (an optimizer passes over it).
        """
        if self.size == 1:
            return
        import torch
        import torch.distributed as dist

        there = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        message = torch.cat([there, *(gradient.reshape(-1) for gradient in gradients)])
        dist.all_reduce(message)
        anywhere, *sums = torch.split(message, [len(parameters), *(p.numel() for p in parameters)])
        for parameter, used, added in zip(parameters, anywhere.tolist(), sums, strict=True):
            parameter.grad = added.view_as(parameter).to(parameter.dtype) if used else None

    def same_everywhere(self, tensors: Sequence[torch.Tensor]) -> None:
        """Overwrite the tensors by those of rank 0."""
        if self.size == 1:
            return
        import torch.distributed as dist

        for tensor in tensors:
            dist.broadcast(tensor.detach(), src=0)


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """The team of this process for the length of the block; joins the others of a torchrun."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(device)
        return
    import torch
    import torch.distributed as dist

    if device.startswith("cuda"):
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    ours = not dist.is_initialized()
    if ours:
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Team(device, rank=dist.get_rank(), size=dist.get_world_size())
    finally:
        if ours:
            dist.destroy_process_group()
