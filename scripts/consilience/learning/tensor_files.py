"""Safetensors files that are checked before a byte of them is believed.

The order matters: length of the file, header, declared shapes, digest; only then is memory asked for. So a
header that declares ten gigabytes, a pickle with another suffix, a cut or a flipped byte all end in one clear
error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience.foundation.errors import ModelError
from consilience.foundation.files import atomic_path, sha256_of
from consilience.learning.sealed import AGAIN, open_plain

if TYPE_CHECKING:
    import numpy as np
    import torch

LARGEST_HEADER = 100 << 20
BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4,
    "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of one number of each kind that we write and read."""


@dataclass(frozen=True)
class TensorFile:
    """What a record says of a tensor file: bytes, sha256, and [kind, *shape] of every tensor by name."""

    bytes: int
    sha256: str
    shapes: dict[str, list[Any]]

    @classmethod
    def from_record(cls, record: Any, *, where: str) -> TensorFile:
        """Read back what `dataclasses.asdict` wrote."""
        try:
            made = cls(**record)
            right = isinstance(made.bytes, int) and isinstance(made.sha256, str)
            whole = right and all(isinstance(shape, list) for shape in made.shapes.values())
        except (TypeError, AttributeError):
            whole = False
        if not whole:
            raise ModelError("the record of the tensors is not what it should be", where=where, mend=AGAIN)
        return made


def packed(
    tensors: Mapping[str, torch.Tensor | np.ndarray[Any, Any]], *, where: str
) -> tuple[bytes, TensorFile]:
    """The bytes of a safetensors file, and what a record must say of them; same tensors, same bytes."""
    import torch
    from safetensors.torch import save

    plain = {}
    for name in sorted(tensors):
        value = tensors[name]
        try:
            tensor = value if isinstance(value, torch.Tensor) else torch.as_tensor(value)
        except TypeError as error:
            raise ModelError(
                "this array holds no numbers", where=f"{where}: {name}", value=str(error)
            ) from error
        # a clone, because tensors that share memory (tied weights) cannot be stored as such
        plain[name] = tensor.detach().to("cpu").contiguous().clone()
    data: bytes = save(plain)
    shapes = shapes_in(data[8 : 8 + _header_length(data[:8])], len(data), where=where)
    return data, TensorFile(len(data), hashlib.sha256(data).hexdigest(), shapes)


def write_packed(path: Path, data: bytes, declared: TensorFile) -> None:
    """Write packed tensors atomically, unless exactly they are there already."""
    if not (path.is_file() and path.stat().st_size == len(data) and sha256_of(path) == declared.sha256):
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)


def read_tensors(path: Path, declared: TensorFile) -> dict[str, torch.Tensor]:
    """The tensors of a file that is exactly the declared one; else a `ModelError` that says what is wrong."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    with open_plain(path) as (handle, size):
        start = handle.read(8)
        if problem := _not_safetensors(start, size):
            raise ModelError(problem, where=str(path), mend=AGAIN)
        if size != declared.bytes:
            raise ModelError("the file is not as long as its record says: cut short, or another file",
                             where=str(path), value=f"{size} bytes", allowed=f"{declared.bytes} bytes",
                             mend=AGAIN)  # fmt: skip
        header = handle.read(_header_length(start))
        if shapes_in(header, size, where=str(path)) != declared.shapes:
            raise ModelError("the tensors are not those of the record", where=str(path), mend=AGAIN)
        data = start + header + handle.read()
    if hashlib.sha256(data).hexdigest() != declared.sha256:
        raise ModelError("the content was changed after it was written (its sha256 does not fit)",
                         where=str(path), mend=AGAIN)  # fmt: skip
    try:
        tensors: dict[str, torch.Tensor] = load(data)
    except SafetensorError as error:
        raise ModelError(f"not a safetensors file ({error})", where=str(path), mend=AGAIN) from error
    return tensors


def shapes_in(header: bytes, file_bytes: int, *, where: str) -> dict[str, list[Any]]:
    """[kind, *shape] by name from a header, whose tensors must fill the file to its last byte."""
    try:
        entries = json.loads(header.decode("utf-8"))
        entries.pop("__metadata__", None)
        shapes = {name: [entry["dtype"], *entry["shape"]] for name, entry in entries.items()}
        spans = sorted(tuple(entry["data_offsets"]) for entry in entries.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(
            "not a safetensors file (its header cannot be read)", where=where, mend=AGAIN
        ) from error
    for name, (kind, *shape) in shapes.items():
        if kind not in BYTES or not all(type(size) is int and size >= 0 for size in shape):
            raise ModelError("this tensor has a kind or shape that is not ours", where=f"{where}: {name}",
                             value=f"{kind} {shape}", allowed=", ".join(BYTES))  # fmt: skip
        start, stop = entries[name]["data_offsets"]
        if stop - start != BYTES[kind] * prod(shape):
            raise ModelError("this tensor declares a size that it has not", where=f"{where}: {name}",
                             value=[kind, *shape], allowed=f"{stop - start} bytes", mend=AGAIN)  # fmt: skip
    ends = [0, *(stop for _, stop in spans)]
    if [start for start, _ in spans] != ends[:-1] or 8 + len(header) + ends[-1] != file_bytes:
        raise ModelError(
            "the tensors do not fill the file: cut short, or lengthened", where=where, mend=AGAIN
        )
    return shapes


def not_finite(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the tensors that hold NaN or infinity."""
    return [
        name
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not bool(tensor.isfinite().all())
    ]


def _header_length(start: bytes) -> int:
    return int.from_bytes(start, "little")


def _not_safetensors(start: bytes, size: int) -> str:
    """Why a file that starts so cannot be a safetensors file; empty when it can."""
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and 2 <= int.from_bytes(start[1:2], "big") <= 5):
        return "this is a pickle (a torch.save file), which can run code when it is opened; it was not opened"
    if len(start) < 8 or _header_length(start) > min(LARGEST_HEADER, size - 8):
        return "not a safetensors file, or cut short"
    return ""
