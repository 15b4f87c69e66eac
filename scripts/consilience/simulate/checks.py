"""One comparison with the truth, and what all comparisons share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

FDR = 0.05
"""False discovery rate at which a finding is claimed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison, in words and as a number.

    What was `planted` and `found` in words, a `value` with its `ideal` and what `chance` would give, and
    whether it is `ok`; `text` says it in one sentence.
    """

    name: str
    planted: str
    found: str
    value: float | None
    ideal: float | None
    chance: float | None
    ok: bool
    text: str

    def record(self) -> dict[str, Any]:
        """Plain values; what is not a number becomes null."""
        plain = asdict(self)
        for key in ("value", "ideal", "chance"):
            number = plain[key]
            plain[key] = round(float(number), 4) if number is not None and np.isfinite(number) else None
        return plain


def removed_table(path: Path) -> Any:
    """The table of removed samples or cells that lies beside an expression file."""
    import pandas as pd

    beside = path.with_name(path.name.removesuffix(".h5ad") + ".removed.parquet")
    return (
        pd.read_parquet(beside) if beside.is_file() else pd.DataFrame({"id": [], "sample": [], "reason": []})
    )
