"""Fixtures shared by all rooms."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def kit() -> Path:
    """The kit of real public data (not part of the repository); tests that need it skip without it."""
    folder = Path(os.environ.get("CONSILIENCE_KIT", ROOT.parent / "shared" / "data"))
    if not (folder / "MANIFEST.json").is_file():
        pytest.skip(f"no kit of real data at {folder}; set CONSILIENCE_KIT to its folder")
    return folder
