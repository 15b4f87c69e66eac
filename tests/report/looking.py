"""Ways to look into sections of the report, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consilience.foundation.files import read_json, write_json
from consilience.report.elements import Section, tables_of, walk
from consilience.report.results import StudyResults
from consilience.report.sections import section_makers

KEYS = ("augmentation", "temperature", "utility", "privacy", "robustness")


def read(study: Any) -> StudyResults:
    return StudyResults(study.config, study.cohorts, study.results, study.benchmarks)


def built(study: Any) -> dict[str, Section]:
    results = read(study)
    makers = [maker for maker in section_makers() if maker.key in KEYS]
    sections = [section for maker in makers if (section := maker.build(results)) is not None]
    for maker in makers:
        assert maker.methods is not None
        maker.methods(results)
    return {section.key: section for section in sections}


def folder(study: Any, cohort: str = "tissue_geo") -> Path:
    found: Path = study.results / "augment" / cohort
    return found


def changed(path: Path, **values: Any) -> None:
    write_json(path, read_json(path) | values)


def figures_of(section: Section) -> dict[str, Any]:
    return {
        figure.key: figure
        for block in walk(section.blocks)
        if block.block == "figures"
        for figure in block.items
    }  # type: ignore[union-attr]


def said(section: Section) -> str:
    texts = [block.text for block in walk(section.blocks) if block.block == "text"]  # type: ignore[union-attr]
    return " ".join([section.headline, *texts, *(notice.text for notice in section.notices)])


def facts(section: Section, group: str) -> dict[str, str]:
    (found,) = [block for block in walk(section.blocks) if block.block == "group" and block.key == group]
    rows = [block for block in walk(found.blocks) if block.block == "facts"]  # type: ignore[union-attr]
    return {fact.label: fact.value for row in rows for fact in row.items}  # type: ignore[union-attr]


def table(section: Section, key: str) -> list[dict[str, Any]]:
    (found,) = [one for one in tables_of(section) if one.key == key]
    return [dict(zip([column.name for column in found.columns], row, strict=True)) for row in found.rows]


def series(figure: Any, name: str) -> dict[str, Any]:
    (mark,) = [mark for mark in figure.marks if mark.get("name") == name and mark["type"] == "points"]
    return dict(mark)
