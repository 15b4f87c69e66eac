"""`consilience info`: what a model folder is, from its record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from consilience.commands.options import AsJson
from consilience.commands.outputs import say, short


def info(
    folder: Annotated[Path, typer.Argument(help="Model folder.")],
    as_json: AsJson = False,
    card: Annotated[bool, typer.Option("--card", help="Print the whole card instead.")] = False,
) -> None:
    """Say what a model folder is: its kind, preset, genes, training data and figures; read no weights."""
    from consilience.learning.bundles import describe_bundle

    record = describe_bundle(folder)
    if card:
        for line in (folder / "card.md").read_text(encoding="utf-8").splitlines():
            say([line], {}, as_json=False)
        return
    facts = _facts(record)
    lines = [f"{folder}: {facts.pop('kind')}"]
    for name, value in facts.items():
        if isinstance(value, dict):
            lines += [f"  {name}:", *(f"    {key}: {short(one)}" for key, one in value.items())]
        elif isinstance(value, list):
            lines += [f"  {name}:", *(f"    {short(one)}" for one in value)]
        else:
            lines.append(f"  {name}: {short(value)}")
    say(lines, _facts(record), as_json=as_json)


def _facts(record: dict[str, Any]) -> dict[str, Any]:
    """The facts of any model folder, and those of a kind where the record has them."""
    description, kept = record["description"], record["description"].get("record", {})
    kept = kept if isinstance(kept, dict) else {}
    tensors = record.get("tensors", {})
    shapes = tensors.get("shapes", {}) if isinstance(tensors, dict) else {}
    facts: dict[str, Any] = {
        "kind": record["kind"], "format version": record.get("format_version"),
        "written by": record.get("written_by"), "tensors": len(shapes),
        "weights": sum(_size(shape) for shape in shapes.values()),
    }  # fmt: skip
    preset = description.get("preset")
    if isinstance(preset, dict):
        facts |= {"preset": preset.get("name"), "scale": preset.get("scale")}
    for name in ("generator", "title", "classes", "temperature"):
        if description.get(name) is not None:
            facts[name] = description[name]
    if isinstance(units := description.get("units"), dict):
        facts["units"] = units.get("units")
    if isinstance(genes := description.get("genes"), list):
        facts["genes"] = len(genes)
    if isinstance(wiring := description.get("wiring"), dict):
        facts["pathways"] = len(wiring.get("pathways", []))
    if "calibration" in description:
        facts["calibration (slope, intercept)"] = description["calibration"]
    for name in ("cohorts", "training data", "figures", "privacy", "limits", "software"):
        if kept.get(name):
            facts[name] = kept[name]
    return facts


def _size(shape: list[Any]) -> int:
    """Numbers of a tensor, from [type, *shape]."""
    size = 1
    for length in shape[1:]:
        size *= int(length)
    return size
