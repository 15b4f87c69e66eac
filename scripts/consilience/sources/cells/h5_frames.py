"""Tables inside h5ad files, read column by column: every layout that anndata has written since 2018.

Text is decoded into codes and levels at once, so that a million cells need a few bytes each. The layouts:
a compound dataset (before 0.7), a group with `__categories` beside it (0.7), and groups whose members say
their own encoding: categorical, string-array, nullable (0.8 and later).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import ConsilienceError, DataError
from consilience.sources.cells.matrix import Labels
from consilience.sources.text import FETCH_AGAIN

if TYPE_CHECKING:
    import numpy.typing as npt

_HARMLESS = (KeyError, OSError, ValueError, RuntimeError, TypeError, IndexError, OverflowError, UnicodeError)
_ROWS = 1 << 18


@contextmanager
def explain_hdf5(where: str, *, kind: str = "an h5ad file") -> Iterator[None]:
    """Whatever HDF5 says of a damaged file becomes one sentence that names the file."""
    try:
        yield
    except ConsilienceError:
        raise
    except (*_HARMLESS, AttributeError, MemoryError, SystemError) as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(
            f"cannot be read as {kind} ({type(error).__name__}: {text})", where=where, mend=FETCH_AGAIN
        ) from error


def frame_columns(frame: Any) -> list[str]:
    """Names of the columns of a table (a group, or a compound dataset), without its index."""
    index = index_name(frame)
    if frame.dtype.names if hasattr(frame, "dtype") else ():
        return [name for name in frame.dtype.names if name != index]
    order = frame.attrs.get("column-order")
    names = list(frame) if order is None else [_text(name) for name in order]
    return [name for name in names if name not in {index, "__categories"} and name in frame]


def index_name(frame: Any) -> str:
    """Name under which a table keeps its row names."""
    names = frame.dtype.names if hasattr(frame, "dtype") else None
    if names:
        return "index" if "index" in names else str(names[0])
    return _text(frame.attrs.get("_index", "index" if "index" in frame else "_index"))


def read_index(frame: Any) -> npt.NDArray[np.bytes_]:
    """Row names as fixed-width bytes (n,)."""
    values = _column(frame, index_name(frame))
    if hasattr(values, "keys"):
        labels = _labels(frame, index_name(frame), {})
        return np.array([name.encode() for name in labels.levels])[labels.codes]
    return read_text(values)


def read_text(values: Any) -> npt.NDArray[np.bytes_]:
    """A dataset of text as fixed-width bytes (n,), whatever its storage."""
    parts = [_bytes(values[start : start + _ROWS]) for start in range(0, values.shape[0], _ROWS)]
    return np.concatenate(parts) if parts else np.empty(0, dtype="S1")


def encoded(values: npt.NDArray[Any]) -> Labels:
    """A plain array of text or numbers as a column."""
    return _encode(values)


def read_column(frame: Any, name: str, *, old_categories: dict[str, tuple[str, ...]]) -> Labels:
    """One column as text; numbers are written as Python writes them, whole ones without a point."""
    return _labels(frame, name, old_categories)


def old_categories_of(file: Any, axis: str) -> dict[str, tuple[str, ...]]:
    """Levels of the columns of a table that was written before 0.7: kept under uns as <column>_categories."""
    if "uns" not in file or hasattr(file[axis], "keys"):
        return {}
    ending = "_categories"
    return {
        key.removesuffix(ending): tuple(_strings(file["uns"][key][()]))
        for key in file["uns"]
        if key.endswith(ending) and hasattr(file["uns"][key], "shape")
    }


def n_rows(frame: Any) -> int:
    """Rows of a table."""
    values = _column(frame, index_name(frame))
    if hasattr(values, "keys"):
        values = values["codes" if "codes" in values else "values"]
    return int(values.shape[0])


def _column(frame: Any, name: str) -> Any:
    """A member of a group, or a field of a compound dataset (read whole: old files are small)."""
    return frame[name]


def _labels(frame: Any, name: str, old_categories: dict[str, tuple[str, ...]]) -> Labels:
    values = _column(frame, name)
    if hasattr(values, "keys"):
        if "codes" in values:
            return _from_codes(values["codes"][()], _strings(values["categories"][()]))
        missing = np.asarray(values["mask"][()], dtype=bool)
        labels = _encode(values["values"][()])
        return Labels(np.where(missing, np.int32(-1), labels.codes), labels.levels, labels.numeric)
    attrs = getattr(values, "attrs", {})
    if "categories" in attrs:
        reference = attrs["categories"]
        levels = frame["__categories"][name] if isinstance(reference, str) else values.file[reference]
        return _from_codes(values[()], _strings(levels[()]))
    if name in old_categories and values.dtype.kind in "iu":
        return _from_codes(values[...], list(old_categories[name]))
    return _encode(values[...])


def _from_codes(codes: npt.NDArray[Any], levels: list[str]) -> Labels:
    if codes.dtype.kind not in "iu" or (codes.size and (codes.min() < -1 or codes.max() >= len(levels))):
        raise ValueError("codes of a column lie outside its levels")
    return Labels(codes.astype(np.int32), tuple(levels))


def _encode(values: npt.NDArray[Any]) -> Labels:
    """Codes and sorted levels of any array."""
    if values.dtype.kind in "fiu":
        unique, codes = np.unique(values, return_inverse=True)
        missing = np.isnan(unique) if unique.dtype.kind == "f" else np.zeros(unique.size, dtype=bool)
        levels = tuple("" if gap else number_text(value) for value, gap in zip(unique, missing, strict=True))
        codes = codes.astype(np.int32)
        return Labels(np.where(missing[codes], np.int32(-1), codes), levels, numeric=True)
    if values.dtype.kind == "b":
        return Labels(values.astype(np.int32), ("False", "True"))
    unique, codes = np.unique(_bytes(values), return_inverse=True)
    return Labels(codes.astype(np.int32), tuple(name.decode() for name in unique))


def number_text(value: Any) -> str:
    """A number as a person writes it: 65, not 65.0."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value.item())


def _bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.bytes_]:
    """Text of any storage as fixed-width UTF-8 bytes."""
    if values.dtype.kind == "S":
        return values
    encoded = [value if isinstance(value, bytes) else str(value).encode() for value in values.tolist()]
    return np.array(encoded) if encoded else np.empty(0, dtype="S1")


def _strings(values: npt.NDArray[Any]) -> list[str]:
    if values.dtype.kind in "fiu":
        return [number_text(value) for value in values]
    return [_text(value) for value in values.tolist()]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
