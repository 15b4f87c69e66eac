"""Which device does the work, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """`name` as torch takes it, `reason` in words for logs and the report."""

    name: str
    reason: str


def pick_device(*, gpus: int) -> Device:
    """Use a GPU only when the rule was given one and torch sees it; fall back to the CPU by itself."""
    if gpus < 1:
        return Device("cpu", "the rule was given no GPU (resource gpu=0)")
    import torch

    if not torch.cuda.is_available():
        return Device("cpu", "a GPU was granted but torch sees none on this machine")
    major, minor = torch.cuda.get_device_capability(0)
    return Device("cuda", f"{torch.cuda.get_device_name(0)}, compute capability {major}.{minor}")


def set_threads(threads: int) -> None:
    """Keep every numerical library to the threads the rule declared (call before heavy imports)."""
    import os

    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = str(max(1, threads))
