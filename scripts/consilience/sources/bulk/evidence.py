"""What the values of a matrix show: how many are whole, negative or missing, what they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

PER_MILLION = 1e6
SUM_TOLERANCE = 0.02
MANY_NEGATIVE = 0.2
BLOCK_GENES = 4096


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the values of a matrix show.

    Numbers of values, of missing, infinite, negative, zero and fractional ones; the `lowest` and `highest`
    finite value; `sums` (samples,) of the finite values; `centred` how they are centred about zero, or "".
    """

    n_values: int
    n_missing: int
    n_infinite: int
    n_negative: int
    n_zero: int
    n_fractions: int
    lowest: float
    highest: float
    sums: npt.NDArray[np.float64]
    centred: str

    @property
    def whole_of_positive(self) -> float:
        """Share of whole numbers among the values above zero."""
        n_positive = self.n_values - self.n_missing - self.n_infinite - self.n_negative - self.n_zero
        return max(0.0, 1 - self.n_fractions / n_positive) if n_positive else 1.0

    @property
    def per_million(self) -> bool:
        """Every sample adds up to a million."""
        return bool((np.abs(self.sums - PER_MILLION) <= SUM_TOLERANCE * PER_MILLION).all())

    def words(self) -> str:
        """The evidence in a sentence."""
        share = percent(self.n_fractions / max(1, self.n_values))
        whole = (
            f"{share} of {self.n_values:,} values are not whole numbers"
            if self.n_fractions
            else f"all {self.n_values:,} values are whole numbers"
        )
        negative = percent(self.n_negative / max(1, self.n_values))
        return "; ".join([whole, *([f"{negative} are negative"] if self.n_negative else []), self.extent()])

    def extent(self) -> str:
        """Between what the values lie and what they add up to."""
        return f"they lie between {self.lowest:.6g} and {self.highest:.6g}; column sums {span(self.sums)}"


def look_at(values: npt.NDArray[Any]) -> Evidence:
    """Measure a matrix (genes, samples) block by block."""
    n_genes, n_samples = values.shape
    tally = dict.fromkeys(("missing", "infinite", "negative", "zero", "fractions"), 0)
    lowest, highest, sums = np.inf, -np.inf, np.zeros(n_samples)
    for start in range(0, n_genes, BLOCK_GENES):
        block = np.asarray(values[start : start + BLOCK_GENES], dtype=np.float64)
        missing, infinite = np.isnan(block), np.isinf(block)
        if missing.any() or infinite.any():
            tally["missing"] += int(missing.sum())
            tally["infinite"] += int(infinite.sum())
            block = np.where(missing | infinite, 0.0, block)
            tally["zero"] -= int((missing | infinite).sum())
        tally["negative"] += int((block < 0).sum())
        tally["zero"] += int((block == 0).sum())
        tally["fractions"] += int((block != np.floor(block)).sum())
        lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
        sums += block.sum(axis=0)
    centred = centring(values) if tally["negative"] > MANY_NEGATIVE * values.size else ""
    return Evidence(
        n_values=values.size, n_missing=tally["missing"], n_infinite=tally["infinite"],
        n_negative=tally["negative"], n_zero=tally["zero"], n_fractions=tally["fractions"],
        lowest=lowest, highest=highest, sums=sums, centred=centred,
    )  # fmt: skip


def centring(values: npt.NDArray[Any]) -> str:
    """How values (genes, samples) are centred about zero, in words; "" when they are not.

    Centred by gene (z-scores, the shift of each gene to its median): the means of genes differ less than half
    as much as the samples of a gene do, where levels of expression differ many times more. Symmetric (ratios
    to a reference): lower and upper deciles and quartiles are each other's mirror.
    """
    numbers = np.asarray(values, dtype=np.float64)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    known = numbers[(~np.isnan(numbers)).any(axis=1)]
    if known.shape[1] >= 3 and known.shape[0] >= 3:
        between = float(np.nanmean(known, axis=1).std())
        within = float(np.median(np.nanstd(known, axis=1)))
        if between < 0.5 * within:
            return (
                f"the means of genes differ by {between:.2g} (sd) but the samples of a gene by {within:.2g}"
            )
    low, lower, middle, upper, high = np.nanquantile(known, (0.1, 0.25, 0.5, 0.75, 0.9))
    mirror = abs(low + high) < 0.1 * (high - low) and abs(lower + upper) < 0.1 * (upper - lower)
    if mirror and abs(middle) < 0.1 * (upper - lower):
        return f"they lie evenly on both sides of 0 (quartiles {lower:.3g} and {upper:.3g})"
    return ""


def percent(share: float) -> str:
    """A share with three figures, as "11.8 %"."""
    return f"{100 * share:.3g} %"


def span(sums: npt.NDArray[np.float64]) -> str:
    """Lowest and highest sum, in millions where they are that large."""
    scale, unit = (PER_MILLION, " million") if sums.max() >= PER_MILLION / 10 else (1.0, "")
    low, high = (f"{float(one) / scale:.3g}" for one in (sums.min(), sums.max()))
    return f"{low}{unit} each" if low == high else f"{low} to {high}{unit}"
