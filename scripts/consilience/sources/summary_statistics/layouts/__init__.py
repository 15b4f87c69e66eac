"""One file per layout of association tables: a file with LAYOUTS is recognised, nothing else need change."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache

from consilience.sources.summary_statistics.layout import Layout
from consilience.study.sections import AssociationColumn


@cache
def layouts() -> tuple[Layout, ...]:
    """All layouts, those first that ask for most column names."""
    modules = (
        importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__)
    )
    found = [one for module in modules for one in module.LAYOUTS]
    return tuple(sorted(found, key=lambda one: (one.last_resort, -len(one.signature), one.key)))


def layout_of(names: Sequence[str]) -> Layout | None:
    """The layout to which a header belongs, None where it is no table of associations."""
    present = {name.casefold() for name in names}
    return next((one for one in layouts() if one.fits(present)), None)


def layout_from_config(columns: Mapping[AssociationColumn, str], *, pattern: str) -> Layout:
    """The layout that `summary_statistics.columns` describes, ours: theirs."""
    return Layout(
        key="config",
        title=f"columns named in the configuration for {pattern}",
        what="eqtl" if "ensembl_id" in columns else "gwas",
        reference="",
        signature=(),
        columns={ours: (theirs,) for ours, theirs in columns.items()},
        effect_allele="the column named in the configuration",
    )
