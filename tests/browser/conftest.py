"""A headless browser, and the made-up study of the report tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


def load(name: str, path: Path) -> ModuleType:
    """Load a helper from its file (tests are not packages)."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def browser(require_or_skip: Callable[..., Any]) -> Iterator[Any]:
    """One headless Chromium for all tests; skips where there is none."""
    devtools = load("consilience_devtools", HERE / "devtools.py")
    program = devtools.find_chromium()
    if program is None:
        require_or_skip(
            "browser", "no Chromium on this machine; install it or set CONSILIENCE_CHROMIUM to its program"
        )
    with devtools.Browser(program) as driver:
        yield driver


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Any]:
    """Writes a results folder and returns the arguments of write_report."""
    return load("consilience_fixture_study", HERE.parent / "report" / "fixture_study.py").make_study
