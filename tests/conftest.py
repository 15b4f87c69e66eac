"""Fixtures shared by all rooms, and what happens when a test's surroundings are missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from replay import ReplayServer

# a busy machine is slow, not wrong; and a failure must be found again by whoever looks for it
settings.register_profile("consilience", deadline=None, print_blob=True)
settings.load_profile("consilience")

ROOT = Path(__file__).resolve().parents[1]


def absent(need: str, reason: str) -> NoReturn:
    """Skip with the reason; fail where CONSILIENCE_REQUIRE says that this need must be met (as CI does)."""
    if need in os.environ.get("CONSILIENCE_REQUIRE", "").split(","):
        pytest.fail(f"{need} is required here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def kit() -> Path:
    """The kit of real public data (not part of the repository); tests that need it skip without it."""
    folder = Path(os.environ.get("CONSILIENCE_KIT", ROOT.parent / "shared" / "data"))
    if not (folder / "MANIFEST.json").is_file():
        absent("real_data", f"no kit of real data at {folder}; set CONSILIENCE_KIT to its folder")
    return folder


@pytest.fixture(scope="session")
def require_or_skip():
    """The function `absent`, for tests that look for their own surroundings."""
    return absent


@pytest.fixture
def replay() -> Iterator[ReplayServer]:
    """A server on 127.0.0.1 that plays back answers, with faults on demand (see tests/replay.py)."""
    with ReplayServer() as server:
        yield server
