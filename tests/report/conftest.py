"""The made-up study that the report is tested on."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load_fixture_study() -> ModuleType:
    """Load the generator from its file (tests are not packages)."""
    path = Path(__file__).with_name("fixture_study.py")
    spec = importlib.util.spec_from_file_location("consilience_fixture_study", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Any]:
    """Writes a results folder and returns the arguments of write_report."""
    return load_fixture_study().make_study


@pytest.fixture
def study(make_study: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fresh study with a fixed date."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1763700000")
    return make_study(tmp_path)
