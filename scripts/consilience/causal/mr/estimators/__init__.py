"""Estimators of Mendelian randomisation, one file each: a file with an ESTIMATOR is found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from consilience.causal.mr.estimators.estimator import Estimator
from consilience.foundation.errors import ConfigError, did_you_mean


@cache
def estimators() -> Mapping[str, Estimator]:
    """All estimators by key, sorted."""
    modules = (
        importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__)
    )
    found = [module.ESTIMATOR for module in modules if hasattr(module, "ESTIMATOR")]
    return MappingProxyType({one.key: one for one in sorted(found, key=lambda one: one.key)})


def estimator(key: str) -> Estimator:
    """The estimator of this name."""
    known = estimators()
    if key not in known:
        raise ConfigError(
            "no such estimator of Mendelian randomisation", where="causal.mr.methods", value=key,
            allowed=", ".join(known), mend=did_you_mean(key, known),
        )  # fmt: skip
    return known[key]
