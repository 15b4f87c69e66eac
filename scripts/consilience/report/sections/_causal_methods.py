"""The methods text of the causal stage."""

from __future__ import annotations

from collections.abc import Sequence

from consilience.report.citations import MethodNote
from consilience.study.causal import CausalSection


def population(settings: CausalSection, methods: Sequence[str]) -> list[MethodNote]:
    return []


def single_cells(settings: CausalSection, variants: Sequence[str], *, denoised: bool) -> list[MethodNote]:
    return []
