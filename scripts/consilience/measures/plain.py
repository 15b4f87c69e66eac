"""Results as plain values: for JSON, and averaged over repeats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")


def plain(value: Any) -> Any:
    """A result (frozen dataclass, array, number) as dicts, lists, numbers and None (for NaN, infinities)."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def average(results: Sequence[Result]) -> Result:
    """Mean of every number in results of one shape; counts are rounded, NaN where any is NaN.

    Text and tuples are those of the first result.
    """
    found: Result = _average(list(results))
    return found


def _average(results: list[Any]) -> Any:
    first = results[0]
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        return type(first)(**{name: _average([getattr(one, name) for one in results]) for name in names})
    if isinstance(first, bool) or not isinstance(first, int | float):
        return first
    mean = sum(results) / len(results)
    return round(mean) if isinstance(first, int) else float(mean)
