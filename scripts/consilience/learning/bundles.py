"""Model folders: `model.safetensors` + `model.json` + `card.md`, whole or absent, and read only when intact.

    save_bundle(folder, kind="rnagan", tensors=weights, description={"genes": genes}, card=text)
    bundle = load_bundle(folder, kind="rnagan")
    bundle.tensors["discriminator.pathways.weight"], bundle.description["genes"]

Nothing in a model folder can run code, point outside the folder, or differ from what was written without an
error. (The seal guards against damage and mistakes, not against somebody who writes a new one.)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience import __version__
from consilience.foundation.errors import DataError, ModelError
from consilience.foundation.files import explain_disk_full, scratch_folder, temporary_beside, write_text
from consilience.learning.sealed import AGAIN, LARGEST_RECORD, open_plain, read_sealed, write_sealed
from consilience.learning.tensor_files import TensorFile, not_finite, packed, read_tensors, write_packed

if TYPE_CHECKING:
    import numpy as np
    import torch

FORMAT = "consilience model folder"
FORMAT_VERSION = 1
FILES = ("model.safetensors", "model.json", "card.md")


@dataclass(frozen=True)
class Bundle:
    """An intact model folder: tensors by name (on the CPU), the description, the card's text."""

    kind: str
    tensors: dict[str, torch.Tensor]
    description: dict[str, Any]
    card: str
    sha256: str
    """Digest of the tensors: the model's identity in reports."""


def save_bundle(
    folder: str | os.PathLike[str],
    *,
    kind: str,
    tensors: Mapping[str, torch.Tensor | np.ndarray[Any, Any]],
    description: Mapping[str, Any],
    card: str,
) -> None:
    """Write a model folder; an older model folder of that name is replaced only when the new one is whole.

    `description` is plain JSON (numbers finite); `kind` is what `load_bundle` will ask for.
    """
    target = Path(folder)
    _refuse_to_replace(target)
    data, declared = packed(tensors, where=str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    with explain_disk_full(target), scratch_folder(temporary_beside(target)) as scratch:
        write_packed(scratch / "model.safetensors", data, declared)
        _refuse_poison(read_tensors(scratch / "model.safetensors", declared), where=str(target))
        write_text(scratch / "card.md", card)
        record = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": kind,
            "written_by": __version__,
            "description": dict(description),
            "card_sha256": hashlib.sha256((scratch / "card.md").read_bytes()).hexdigest(),
            "tensors": asdict(declared),
        }
        try:
            write_sealed(scratch / "model.json", record)
        except ValueError as error:
            raise ModelError(
                "the description holds a number that is not finite", where=str(target)
            ) from error
        _put_in_place(scratch, target)


def load_bundle(folder: str | os.PathLike[str], *, kind: str | None = None) -> Bundle:
    """Read a model folder of this kind (any kind when None) or tell why it cannot be used."""
    place = Path(folder)
    record = describe_bundle(place, kind=kind)
    declared = TensorFile.from_record(record.get("tensors"), where=str(place / "model.json"))
    with open_plain(place / "card.md") as (handle, size):
        card = handle.read(min(size, LARGEST_RECORD))
    if hashlib.sha256(card).hexdigest() != record.get("card_sha256"):
        raise ModelError("the card was changed after it was written", where=str(place / "card.md"),
                         mend=f"keep your own notes in another file; {AGAIN}")  # fmt: skip
    tensors = read_tensors(place / "model.safetensors", declared)
    _refuse_poison(tensors, where=str(place / "model.safetensors"))
    return Bundle(record["kind"], tensors, record["description"], card.decode("utf-8"), declared.sha256)


def describe_bundle(folder: str | os.PathLike[str], *, kind: str | None = None) -> dict[str, Any]:
    """The record of a model folder (its `model.json`) without its tensors; quick."""
    place = Path(folder)
    if not place.is_dir():
        raise ModelError("there is no model folder", where=str(place), allowed=" + ".join(FILES))
    if missing := [name for name in FILES if not os.path.lexists(place / name)]:
        raise ModelError("this is not a whole model folder: files are missing", where=str(place),
                         value=", ".join(missing), allowed=" + ".join(FILES), mend=AGAIN)  # fmt: skip
    where = str(place / "model.json")
    record = read_sealed(place / "model.json")
    if record.get("format") != FORMAT:
        raise ModelError("this is not the record of a model", where=where, value=record.get("format"),
                         allowed=FORMAT)  # fmt: skip
    if record.get("format_version") != FORMAT_VERSION:
        raise ModelError("this program does not read model folders of this version", where=where,
                         value=record.get("format_version"), allowed=str(FORMAT_VERSION),
                         mend=f"use version {record.get('written_by')}, or train again")  # fmt: skip
    if kind is not None and record.get("kind") != kind:
        raise ModelError("this folder holds another kind of model", where=where, value=record.get("kind"),
                         allowed=kind)  # fmt: skip
    if not isinstance(record.get("kind"), str) or not isinstance(record.get("description"), dict):
        raise ModelError("the record lacks its kind or description", where=where, mend=AGAIN)
    return record


def _refuse_poison(tensors: Mapping[str, torch.Tensor], *, where: str) -> None:
    if names := not_finite(tensors):
        raise ModelError("these tensors hold NaN or infinity: a failed training, or a poisoned file",
                         where=where, value=", ".join(names[:5]), mend="train again")  # fmt: skip


def _refuse_to_replace(target: Path) -> None:
    """Only a model folder, or an empty one, may be replaced: never somebody's files."""
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise DataError(
            "a model folder cannot be written here: something else has this name", where=str(target)
        )
    others = sorted(entry.name for entry in target.iterdir() if entry.name not in FILES)
    if others:
        raise DataError("this folder holds other files, which writing a model here would remove",
                        where=str(target), value=others[:5], mend="choose another folder")  # fmt: skip


def _put_in_place(scratch: Path, target: Path) -> None:
    """Rename the whole new folder into place; the old one goes when the new one is there."""
    if not target.exists():
        scratch.rename(target)
        return
    with scratch_folder(temporary_beside(target.with_name(f"{target.name}.old"))) as old:
        target.rename(old / "model")
        scratch.rename(target)
