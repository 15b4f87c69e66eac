"""What an estimator of TWMR tells its reader about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """An estimator of a focal gene's effect; `columns` are those of `twmr.parquet` that it fills."""

    key: str
    title: str
    reference: str
    doi: str
    assumes: str
    limits: str
    columns: tuple[str, ...]
