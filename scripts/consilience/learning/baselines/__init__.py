"""Simple classifiers, one file each: a file with a BASELINE is found, nothing else need change."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from consilience.foundation.errors import ConfigError, did_you_mean
from consilience.learning.baselines.baseline import Baseline


@cache
def baselines() -> Mapping[str, Baseline]:
    """All simple classifiers by key, sorted."""
    modules = (
        importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__)
    )
    found = [module.BASELINE for module in modules if hasattr(module, "BASELINE")]
    return MappingProxyType({one.key: one for one in sorted(found, key=lambda one: one.key)})


def baseline(key: str) -> Baseline:
    """The simple classifier of this name."""
    known = baselines()
    if key not in known:
        raise ConfigError(
            "no such classifier", value=key, allowed=", ".join(known), mend=did_you_mean(key, known)
        )
    return known[key]
