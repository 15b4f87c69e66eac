"""Number types of the forward pass: float32 on CPUs, bfloat16 on GPUs, on older ones float16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from consilience.foundation.errors import ConfigError

if TYPE_CHECKING:
    import torch

Asked = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Precision:
    """`name` of the number type that autocast uses on `device`, and the reason in words."""

    name: str
    device: str
    reason: str

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which losses are computed; weights and optimizers stay float32."""
        import torch

        if self.name == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=getattr(torch, self.name))

    def scaler(self) -> torch.amp.GradScaler:
        """Scales losses so that small gradients survive float16; does nothing for the other types."""
        import torch

        return torch.amp.GradScaler(torch.device(self.device).type, enabled=self.name == "float16")


def pick_precision(device: str, *, asked: Asked = "auto") -> Precision:
    """The number type for a device ("cpu", "cuda:0"); "auto" is the fastest that is safe there."""
    if asked not in {"auto", "float32", "bfloat16", "float16"}:
        raise ConfigError("no such precision", value=asked, allowed="auto, float32, bfloat16, float16")
    if asked != "auto":
        return Precision(asked, device, "asked for")
    if not device.startswith("cuda"):
        return Precision("float32", device, "a CPU gains nothing from shorter numbers here")
    import torch

    if torch.cuda.get_device_capability(device) >= (8, 0):
        return Precision("bfloat16", device, "the GPU computes with bfloat16")
    return Precision("float16", device, "the GPU is older than bfloat16; losses are scaled")
