"""Learners of nuisances, one file each: a file with a LEARNER is found, nothing else need change."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from consilience.causal.dml.learners.learner import Learner
from consilience.foundation.errors import ConfigError, did_you_mean


@cache
def learners() -> Mapping[str, Learner]:
    """All learners by key, sorted."""
    names = (entry.name for entry in pkgutil.iter_modules(__path__))
    light = (name for name in names if name.rsplit("_", 1)[-1] not in ("network", "kernels"))
    modules = (importlib.import_module(f"{__name__}.{name}") for name in light)
    found = [module.LEARNER for module in modules if hasattr(module, "LEARNER")]
    return MappingProxyType({one.key: one for one in sorted(found, key=lambda one: one.key)})


def learner(key: str) -> Learner:
    """The learner of this name."""
    known = learners()
    if key not in known:
        raise ConfigError("no such learner of nuisances", value=key, allowed=", ".join(known),
                          mend=did_you_mean(key, known))  # fmt: skip
    return known[key]
