"""What is said of a gene beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "no_instruments": "No variant could serve as an instrument; not estimated.",
        "not_a_number": "An effect, a correlation or a number of people is missing; not estimated.",
        "ld_singular": "The LD matrix of the variants is singular or no correlation matrix; not estimated.",
        "no_focal_effect": "All effects on the focal gene are 0; not estimated.",
        "fewer_variants_than_genes": "Fewer variants than genes; not estimated.",
        "not_separable": "The focal gene's effects are a mixture of its neighbours'; not estimated.",
        "shared_effect": "A gene that the same variants regulate much alike is not in the model "
        "(column left_out_genes): what is found is the effect of either of them and stands in alpha_shared; "
        "nothing is claimed of this gene alone.",
        "collinear": "Effects on the focal gene and on neighbours are nearly proportional: what they do to "
        "the trait can hardly be told apart; hence the wide interval (column collinear_with).",
        "neighbours_dropped": "Neighbours whose effects repeat another neighbour's were left out "
        "(column dropped_genes); the focal gene's effect keeps its meaning.",
        "weak_instruments": "The conditional F statistic is below 10: the estimate is imprecise.",
        "ld_near_singular": "Two variants or more are in almost complete LD; results hang on its exactness.",
        "no_heterogeneity_test": "As many variants as genes: direct effects of variants cannot be seen.",
        "heterogeneous": "Variants disagree (p of Q < 0.05): some act on the trait in another way; the "
        "interval allows for it as far as direct effects are unrelated to effects on expression.",
        "disturbed": "One or two variants probably act on the trait in another way (column disturbed: the "
        "chance, above one half); they count little in the estimate.",
        "outliers": "Some variants fit badly; the estimate without them is in the columns alpha_cleaned and "
        "following, whose p-values do not account for the choice.",
        "not_standardised": "An effect is beyond ±1, which a standardised effect cannot be.",
        "unknown_pairs": "Some pairs of variant and gene were not in the eQTL table and count as 0.",
    }
)
"""Flag -> what it says; rows list theirs in this order."""
UNESTIMATED = (
    "no_instruments", "not_a_number", "ld_singular", "no_focal_effect", "fewer_variants_than_genes",
    "not_separable", "shared_effect",
)  # fmt: skip
"""Flags of rows without an estimate."""


def joined(raised: Mapping[str, npt.NDArray[np.bool_]], n: int) -> list[str]:
    """The flags of each of n rows, as the table has them."""
    words: list[list[str]] = [[] for _ in range(n)]
    for flag in FLAGS:
        for row in np.flatnonzero(raised.get(flag, np.zeros(n, dtype=bool))):
            words[row].append(flag)
    return [";".join(one) for one in words]
