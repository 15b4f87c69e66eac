"""Transcriptome-wide Mendelian randomisation: several genes of a locus at once.

One file an estimator; a file with a METHOD is found and told about in the report.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from consilience.causal.twmr.method import Method


@cache
def methods() -> Mapping[str, Method]:
    """All estimators by key, sorted."""
    modules = (
        importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__)
    )
    found = [module.METHOD for module in modules if hasattr(module, "METHOD")]
    return MappingProxyType({one.key: one for one in sorted(found, key=lambda one: one.key)})
