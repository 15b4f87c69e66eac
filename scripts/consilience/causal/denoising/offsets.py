"""What a donor's cells have in common beyond the latents: shrunken log ratios per gene, without any label.

A decoder that never saw a donor knows nothing of that donor's own levels, and disease is a matter of donors:
denoised values without them would hide what is looked for. So each donor (and each of the donor's cell types)
gets a factor per gene: observed over expected counts, drawn towards 1 by how surely it is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LARGEST_TABLE = 25_000_000
"""Most numbers of a table of donors × cell types × genes; a larger one is left to donors alone."""
PRIOR_GROUPS = 5
"""Groups that what is known of all genes counts for, beside a gene's own."""
SMALLEST = 0.02
"""No factor is smaller than this."""


@dataclass
class Tallies:
    """Sums over the cells of each group (groups, G): `seen` counts, `expected` ones, their `variance`."""

    seen: Floats
    expected: Floats
    variance: Floats

    @classmethod
    def empty(cls, n_groups: int, n_genes: int) -> Tallies:
        """All zero."""
        return cls(*(np.zeros((n_groups, n_genes)) for _ in range(3)))

    def add(self, group: npt.NDArray[np.intp], seen: Floats, expected: Floats, size: Floats) -> None:
        """Add cells (b, G) of groups (b,); `size` (G,) θ of the negative binomial."""
        for code in np.unique(group):
            mine = group == code
            mean = expected[mine]
            self.seen[code] += seen[mine].sum(axis=0)
            self.expected[code] += mean.sum(axis=0)
            self.variance[code] += mean.sum(axis=0) + (mean**2).sum(axis=0) / size


def log_factors(tallies: Tallies) -> Floats:
    """Shrunken log of observed over expected (groups, G); 0 where nothing is known."""
    known = tallies.expected > 0
    safe = np.where(known, tallies.expected, 1.0)
    away = np.where(known, tallies.seen / safe - 1, 0.0)
    noise = np.where(known, tallies.variance / safe**2, np.inf)
    weight = np.where(known, 1 / np.maximum(noise, 1e-12), 0.0)
    # spread of the true factors: what the ratios vary beyond their noise, precise ones counting more;
    # a gene's own, drawn towards that of all: few genes differ much, and they are those looked for
    beyond = np.where(known, away**2 * weight - 1, 0.0).sum(axis=0)
    total = weight.sum(axis=0)
    common = max(0.0, float(beyond.sum() / max(total.sum(), 1e-12)))
    more = PRIOR_GROUPS * total / np.maximum(known.sum(axis=0), 1)
    spread = np.maximum(0.0, (beyond + more * common) / np.maximum(total + more, 1e-12))
    shrunk = np.where(known, spread / np.maximum(spread + np.where(known, noise, 1.0), 1e-12), 0.0)
    return np.asarray(np.log(np.maximum(1 + shrunk * away, SMALLEST)))


@dataclass(frozen=True)
class Offsets:
    """`of_donor` (m, G) and `of_type` (m × types, G; or no rows) log factors that add up."""

    of_donor: npt.NDArray[np.float32]
    of_type: npt.NDArray[np.float32]
    n_types: int

    def of(self, donor: npt.NDArray[np.intp], cell_type: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Log factors (b, G) of cells of donors (b,) and types (b,; -1 unknown)."""
        found = self.of_donor[donor]
        if not len(self.of_type):
            return found
        known = cell_type >= 0
        more = self.of_type[donor * self.n_types + np.maximum(cell_type, 0)]
        return np.asarray(found + more * known[:, None])


def offsets_of(by_group: Tallies, *, n_donors: int, n_types: int) -> Offsets:
    """Of tallies by donor × (type or, last, no type): (m × (types + 1), G); with no types by donor."""
    n_genes = by_group.seen.shape[1]
    parts = [
        getattr(by_group, name).reshape(n_donors, n_types + 1, n_genes)
        for name in ("seen", "expected", "variance")
    ]
    of_donor = log_factors(Tallies(*(part.sum(axis=1) for part in parts)))
    if not n_types:
        return Offsets(of_donor.astype(np.float32), np.zeros((0, n_genes), np.float32), 0)
    factor = np.exp(of_donor)[:, None]
    seen, expected, variance = (part[:, :n_types] for part in parts)
    own = Tallies(*(
        part.reshape(-1, n_genes) for part in (seen, expected * factor, variance * factor**2)
    ))  # fmt: skip
    return Offsets(of_donor.astype(np.float32), log_factors(own).astype(np.float32), n_types)
