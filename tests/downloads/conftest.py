"""Downloads with little patience, and a cache of their own."""

from __future__ import annotations

import gzip
import random

import pytest

from consilience.downloads.downloads import Downloads
from consilience.study.sections import FetchSection

STALL = 0.25


@pytest.fixture
def downloads(tmp_path):
    """A function that makes Downloads with a cache in this test's folder."""

    def make(**settings):
        given = {"cache": "cache", "stall_seconds": STALL, "attempts": 3} | settings
        return Downloads(FetchSection(**given), folder=tmp_path)

    return make


@pytest.fixture(scope="session")
def content():
    """300 kB of a table as it is served: gzip, not compressible further."""
    numbers = random.Random(1)
    text = "\n".join(f"gene{n}\t{numbers.getrandbits(60)}" for n in range(24_000))
    return gzip.compress(text.encode(), mtime=0)
