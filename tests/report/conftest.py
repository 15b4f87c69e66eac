"""The made-up study that the report is tested on."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load_fixture_study(name: str = "fixture_study") -> ModuleType:
    """Load the generator from its file (tests are not packages)."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"consilience_{name}", path)
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


@pytest.fixture(scope="session")
def add_augment() -> Callable[..., None]:
    """Writes what the stage `augment` leaves."""
    added: Callable[..., None] = load_fixture_study("fixture_augment").add_augment
    return added


@pytest.fixture(scope="session")
def augmented_once(
    make_study: Callable[..., Any], add_augment: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """Written once; tests are given copies of it."""
    study = make_study(tmp_path_factory.mktemp("augment"))
    add_augment(study)
    return study


@pytest.fixture
def augmented(augmented_once: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A study with augmentation that a test may change."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1763700000")
    shutil.copytree(augmented_once.results, tmp_path / "augmented")
    return replace(augmented_once, results=tmp_path / "augmented")


@pytest.fixture(scope="session")
def look() -> ModuleType:
    """Ways to look into sections."""
    return load_fixture_study("looking")
