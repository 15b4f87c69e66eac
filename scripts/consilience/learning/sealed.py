"""Sealed records: JSON that carries a digest of itself, so that no changed number is taken for true."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from consilience.foundation.errors import ModelError
from consilience.foundation.files import write_json

LARGEST_RECORD = 256 << 20
"""Bytes of JSON (or of a card) that are read at all."""


def digest_of(value: Any) -> str:
    """Sha256 of a JSON value, whatever the order of its keys; refuses NaN and infinity."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def write_sealed(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record with its seal, atomically."""
    write_json(path, {**record, "seal": digest_of(record)})


def read_sealed(path: Path) -> dict[str, Any]:
    """The record without its seal; a `ModelError` when it is not whole or was changed."""
    with open_plain(path) as (handle, size):
        if size > LARGEST_RECORD:
            raise ModelError("this record is too large to be true", where=str(path), value=f"{size} bytes",
                             allowed=f"{LARGEST_RECORD} bytes")  # fmt: skip
        text = handle.read()
    try:
        record = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"not valid JSON ({error})", where=str(path), mend=AGAIN) from error
    if not isinstance(record, dict) or not isinstance(record.get("seal"), str):
        raise ModelError("this record has no seal", where=str(path), mend=AGAIN)
    sealed = record.pop("seal")
    if digest_of(record) != sealed:
        raise ModelError("this record was changed after it was written (its seal does not fit)",
                         where=str(path), mend=AGAIN)  # fmt: skip
    return record


AGAIN = "copy the whole folder again from its source, or train again"


@contextmanager
def open_plain(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a plain file (no link, pipe or folder) and tell its size in bytes.

    Links are refused because a model folder from elsewhere must not make us read other files.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            _refuse_kind(path, "a link to another place")
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise ModelError(f"cannot be read: {reason}", where=str(path), mend=AGAIN) from error
    with os.fdopen(number, "rb") as handle:
        facts = os.fstat(handle.fileno())
        if not stat.S_ISREG(facts.st_mode):
            _refuse_kind(path, "a special file")
        yield handle, facts.st_size


def _refuse_kind(path: Path, kind: str) -> NoReturn:
    raise ModelError("model folders hold plain files only", where=str(path), value=kind,
                     mend="replace it by the file itself, if you trust it")  # fmt: skip


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
