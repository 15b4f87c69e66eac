"""What the flags and reasons of the causal tables mean, from the modules that set them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal

Room = Literal["instruments", "twmr", "mr", "dml", "denoising", "concordance"]
HEAVY = frozenset({"kernels", "layer", "network", "losses", "gradients", "products"})
"""Modules whose name ends so import compilers or torch, and set no flags."""


@cache
def flags_of(*rooms: Room) -> Mapping[str, str]:
    """Flag → sentence, of all modules of these rooms that have FLAGS or REASONS."""
    found: dict[str, str] = {}
    for room in rooms:
        package = importlib.import_module(f"consilience.causal.{room}")
        for entry in sorted(pkgutil.iter_modules(package.__path__), key=lambda one: one.name):
            if entry.ispkg or entry.name.rsplit("_", 1)[-1] in HEAVY:
                continue
            module = importlib.import_module(f"{package.__name__}.{entry.name}")
            for name in ("FLAGS", "GENE_FLAGS", "REASONS"):
                known = getattr(module, name, None)
                if isinstance(known, Mapping):
                    found = {str(key): str(words) for key, words in known.items()} | found
    return MappingProxyType(found)
