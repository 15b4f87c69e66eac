"""Which files of the library a rule depends on, found by following its imports; and their digest.

Snakemake reruns a rule when its script changes, but not when a module imported by the script does. A rule
therefore carries ``code("expression.prepare")`` in its params: the digest of that module and of every module
of the library that it imports, directly or not, at the top of a file or inside a function.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from consilience.foundation.files import digest_of_files

PACKAGE = Path(__file__).resolve().parents[1]
PLUMBING = frozenset(
    f"foundation.{name}" for name in ("errors", "jobs", "devices", "provenance", "codetrace")
)
"""Modules that carry messages, logs and versions: they cannot change a result, so they rerun nothing."""


def code(*modules: str, follow: bool = True) -> str:
    """Digest of the named modules (such as ``expression.prepare``) and, with `follow`, all they import."""
    names = dependencies(*modules) if follow else frozenset(modules)
    return digest_of_files([_file_of(name) for name in names], root=PACKAGE)


def dependencies(*modules: str) -> frozenset[str]:
    """Every module of the library reached from the named ones, themselves included, without plumbing."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found | PLUMBING:
            found.add(name)
            waiting.extend(_imports_of(name))
    return frozenset(found)


def _file_of(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        raise ValueError(f"the library has no module {name!r}")
    return file


@cache
def _imports_of(name: str) -> frozenset[str]:
    """Modules of the library imported anywhere in one file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_file_of(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE.name}."):
            origin = str(node.module).removeprefix(f"{PACKAGE.name}.")
            found.add(origin)
            found.update(
                f"{origin}.{alias.name}" for alias in node.names if _is_module(f"{origin}.{alias.name}")
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith(f"{PACKAGE.name}.")]
            found.update(entry.removeprefix(f"{PACKAGE.name}.") for entry in names)
    if _file_of(name).name == "__init__.py":
        found.update(_modules_listed(name))
    return frozenset(found)


def _is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _modules_listed(package: str) -> set[str]:
    """A package that is imported as a whole (a registry finds its files by listing) brings all of them."""
    folder = PACKAGE.joinpath(*package.split("."))
    return {f"{package}.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"}
