"""One file per stage. A file that defines SECTION is in the report; nothing else needs to change."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from consilience.report.citations import MethodNote
from consilience.report.elements import SectionMaker
from consilience.report.results import StudyResults


def section_makers() -> list[SectionMaker]:
    """All section makers of this package, in reading order."""
    modules = (
        importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__)
    )
    makers = [module.SECTION for module in modules if hasattr(module, "SECTION")]
    return sorted(makers, key=lambda maker: (maker.order, maker.key))


def methods_used(results: StudyResults) -> list[MethodNote]:
    """What the stages that ran have used, each method once, in reading order."""
    notes: dict[str, MethodNote] = {}
    for maker in section_makers():
        for note in _notes_of(maker, results):
            notes.setdefault(note.key, note)
    return list(notes.values())


def _notes_of(maker: SectionMaker, results: StudyResults) -> Iterable[MethodNote]:
    return maker.methods(results) if maker.methods else ()
