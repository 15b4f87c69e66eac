"""Generators, one file each: a file with a GENERATOR is found, nothing else need change."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from consilience.augment.generators.generator import Generator
from consilience.foundation.errors import ConfigError, did_you_mean


@cache
def generators() -> Mapping[str, Generator]:
    """All generators by key, sorted."""
    modules = (
        importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__)
    )
    found = [module.GENERATOR for module in modules if hasattr(module, "GENERATOR")]
    return MappingProxyType({one.key: one for one in sorted(found, key=lambda one: one.key)})


def generator(key: str) -> Generator:
    """The generator of this name."""
    known = generators()
    if key not in known:
        raise ConfigError(
            "no such generator", value=key, allowed=", ".join(known), mend=did_you_mean(key, known)
        )
    return known[key]
