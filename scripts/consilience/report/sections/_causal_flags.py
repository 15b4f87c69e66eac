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
        from consilience.causal.twmr.flags import FLAGS as of_twmr

        return {**flags_of("instruments"), **of_twmr}
    if room == "mr":
        from consilience.causal.mr.flags import FLAGS as of_mr

        return of_mr
    if room == "dml":
        from consilience.causal.dml.rows import FLAGS as of_dml

        return of_dml
    from consilience.causal.concordance.cell_type import FLAGS as of_cell_types

    return of_cell_types
