"""What the flags and reasons of the causal tables mean, from the modules that set them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Room = Literal["instruments", "twmr", "mr", "dml", "concordance"]


def flags_of(room: Room) -> Mapping[str, str]:
    """Flag (of instruments also reason) → sentence."""
    if room == "instruments":
        from consilience.causal.instruments import reasons

        return {**reasons.REASONS, **reasons.FLAGS}
    if room == "twmr":
        from consilience.causal.twmr.flags import FLAGS as OF_TWMR

        return {**flags_of("instruments"), **OF_TWMR}
    if room == "mr":
        from consilience.causal.mr.flags import FLAGS as OF_MR

        return OF_MR
    if room == "dml":
        from consilience.causal.dml.rows import FLAGS as OF_DML

        return OF_DML
    from consilience.causal.concordance.cell_type import FLAGS as OF_CELL_TYPES

    return OF_CELL_TYPES
