"""Read a configuration file, with the line of every key, and check it against the typed model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from consilience.foundation.errors import ConfigError, Problem, did_you_mean
from consilience.study.section import Section
from consilience.study.sections import Config

Lines = dict[tuple[str, ...], str]
"""Where each key stands: path of keys -> "file:line"."""


def read_config(path: str | Path) -> Config:
    """Read and check one configuration file; raise one `ConfigError` listing every problem."""
    return validate_config(load_yaml(Path(path)), lines=key_lines([path]))


def validate_config(values: Mapping[str, Any], *, lines: Lines | None = None) -> Config:
    """Check configuration values (already merged by Snakemake); `lines` says where keys were written."""
    config, problems = check_config(values, lines=lines)
    if config is None:
        raise ConfigError.from_problems(problems)
    return config


def check_config(
    values: Mapping[str, Any], *, lines: Lines | None = None
) -> tuple[Config | None, list[Problem]]:
    """The typed configuration, or None and every problem."""
    from pydantic import ValidationError

    try:
        return Config.model_validate(_plain(values)), []
    except ValidationError as error:
        found = [_to_problem(dict(detail), lines or {}) for detail in error.errors(include_url=False)]
        return None, found


def key_lines(paths: Iterable[str | Path]) -> Lines:
    """Find the line of every key of the given YAML files (later files win, as in Snakemake)."""
    import yaml

    lines: Lines = {}
    for path in paths:
        node = yaml.compose(Path(path).read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
        _collect_lines(node, (), str(path), lines)
    return lines


def _collect_lines(node: Any, prefix: tuple[str, ...], path: str, lines: Lines) -> None:
    for key, value in getattr(node, "value", []) if node is not None and node.id == "mapping" else []:
        here = (*prefix, str(key.value))
        lines[here] = f"{path}:{key.start_mark.line + 1}"
        _collect_lines(value, here, path, lines)


def load_yaml(path: Path) -> dict[str, Any]:
    """The values of a YAML file; unreadable text and keys that appear twice are a `ConfigError`."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError("there is no such configuration file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as UTF-8 text ({error})", where=str(path)) from None
    try:
        _refuse_duplicates(yaml.compose(text, Loader=yaml.SafeLoader), path)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "unreadable"
        raise ConfigError(
            f"not valid YAML ({reason})", where=f"{path}{line}", mend="check indentation, colons and quotes"
        ) from None
    if not isinstance(values or {}, dict):
        raise ConfigError(
            "the file must hold 'section:' blocks", where=str(path), value=type(values).__name__
        )
    return values or {}


def _refuse_duplicates(node: Any, path: Path) -> None:
    """YAML lets a key appear twice and keeps the last: a silent loss, so it is an error here."""
    if node is None or node.id != "mapping":
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            first = seen[key.value]
            raise ConfigError(
                f"the key appears twice (first in line {first})", where=f"{path}:{line}", value=key.value
            )
        seen[str(key.value)] = line
        _refuse_duplicates(value, path)


def _plain(values: Any) -> Any:
    """Snakemake may hand over its own dict classes; strict validation wants plain ones."""
    if isinstance(values, Mapping):
        return {str(key): _plain(value) for key, value in values.items()}
    return [_plain(value) for value in values] if isinstance(values, list | tuple) else values


def _to_problem(detail: dict[str, Any], lines: Lines) -> Problem:
    path = tuple(str(part) for part in detail["loc"] if part != "[key]")
    where = f"{_line_of(path, lines)}{'.'.join(path)}"
    if detail["type"] == "extra_forbidden":
        known = _keys_beside(path)
        mend = did_you_mean(path[-1], known) or f"the keys here are {', '.join(known)}"
        return Problem("unknown key", where, path[-1], mend=mend)
    if detail["type"] == "literal_error" and detail["loc"][-1] == "[key]":
        known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        mend = did_you_mean(path[-1], known)
        return Problem("unknown key", where, path[-1], allowed=", ".join(known), mend=mend)
    value = detail.get("input")
    mend = ""
    if isinstance(value, str) and detail["type"] in {"float_type", "int_type", "float_parsing"}:
        mend = "write the number without quotes (YAML wants 1.0e-4, not 1e-4)"
    shown = value if isinstance(value, str | int | float) else type(value).__name__
    return Problem(str(detail["msg"]).replace("Input should be", "should be"), where, str(shown), mend=mend)


def _line_of(path: tuple[str, ...], lines: Lines) -> str:
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return f"{lines[path[:length]]}: "
    return "configuration: "


def _keys_beside(path: tuple[str, ...]) -> list[str]:
    """The keys that are allowed where an unknown one was found."""
    section: type[Section] = Config
    for part in path[:-1]:
        field = section.model_fields.get(part)
        annotation = field.annotation if field else None
        kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
        if not inner:
            return []
        section = inner[0]
    return list(section.model_fields)
