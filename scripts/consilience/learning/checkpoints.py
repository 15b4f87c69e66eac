"""Where a training stands, on disk: two tensor files and one record that commits them.

`checkpoint.json` names the tensor files by their digest and is written last, so a run that is killed at any
moment leaves the old checkpoint or the new one, never a mixture. A checkpoint belongs to its key
(configuration and data, given by the caller); when it is not resumed, the reason says which part of the key
differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience.foundation.errors import ModelError, printable
from consilience.learning.sealed import read_sealed, write_sealed
from consilience.learning.tensor_files import TensorFile, packed, read_tensors, write_packed

if TYPE_CHECKING:
    import torch

FORMAT_VERSION = 1
RECORD = "checkpoint.json"
NOTHING_THERE = "there is no checkpoint yet"


@dataclass(frozen=True)
class Snapshot:
    """A moment of a training, in memory.

    `tensors`: weights and optimizer moments by name; `best`: the weights of the best epoch, where one is
    looked for; `facts`: everything else, as plain JSON.
    """

    tensors: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor] | None
    facts: dict[str, Any]


def write_checkpoint(folder: Path, snapshot: Snapshot, *, key: Mapping[str, Any]) -> None:
    """Replace the folder's checkpoint by this one, in one step."""
    files = {}
    for part, tensors in (("last", snapshot.tensors), ("best", snapshot.best)):
        if tensors is not None:
            data, declared = packed(tensors, where=str(folder))
            write_packed(_tensor_path(folder, declared.sha256), data, declared)
            files[part] = asdict(declared)
    record = {"format_version": FORMAT_VERSION, "key": dict(key), "files": files, "facts": snapshot.facts}
    write_sealed(folder / RECORD, record)
    kept = {_tensor_path(folder, file["sha256"]) for file in files.values()}
    for path in folder.glob("tensors-*.safetensors"):
        if path not in kept and re.fullmatch(r"tensors-[0-9a-f]{16}\.safetensors", path.name):
            path.unlink(missing_ok=True)


def read_checkpoint(folder: Path, *, key: Mapping[str, Any]) -> tuple[Snapshot | None, str]:
    """The folder's snapshot, or None and the reason why it cannot be used."""
    if not (folder / RECORD).exists():
        return None, NOTHING_THERE
    try:
        record = read_sealed(folder / RECORD)
        if record.get("format_version") != FORMAT_VERSION:
            return None, f"it has format version {record.get('format_version')}, not {FORMAT_VERSION}"
        if changes := list(differences(record["key"], key)):
            return None, f"it belongs to other settings or data: {'; '.join(changes[:5])}"
        tensors = {part: _read_part(folder, declared) for part, declared in record["files"].items()}
    except ModelError as error:
        return None, f"it is damaged ({error})"
    return Snapshot(tensors["last"], tensors.get("best"), record["facts"]), ""


def differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """What differs between two JSON values, one sentence per entry: 'optimizer.lr was 0.1 and is 0.2'."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for entry in sorted({*before, *now}):
            place = f"{name}.{entry}" if name else entry
            if entry not in before or entry not in now:
                yield f"{place} was {'not there' if entry not in before else 'there'} before"
            else:
                yield from differences(before[entry], now[entry], place)
    elif before != now:
        yield f"{name} was {printable(str(before))} and is {printable(str(now))}"


def _read_part(folder: Path, record: Any) -> dict[str, torch.Tensor]:
    declared = TensorFile.from_record(record, where=str(folder / RECORD))
    return read_tensors(_tensor_path(folder, declared.sha256), declared)


def _tensor_path(folder: Path, sha256: str) -> Path:
    return folder / f"tensors-{sha256[:16]}.safetensors"
