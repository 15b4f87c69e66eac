"""Genome builds: what metadata, names of files and of variants, the layout and the configuration say."""

from __future__ import annotations

import re
from collections.abc import Iterable

BUILDS = ("GRCh37", "GRCh38")
_SPELLINGS = {
    "GRCh37": r"grch37|hg19|b37|build ?37",
    "GRCh38": r"grch38|hg38|b38|build ?38",
}


def build_in(texts: Iterable[str]) -> str:
    """The build that these words (names of files, columns, variants) state; "" if none or both."""
    joined = " ".join(texts)
    found = [
        build
        for build, spelling in _SPELLINGS.items()
        if re.search(rf"(?<![a-z0-9])(build)?({spelling})(?![0-9])", joined, flags=re.IGNORECASE)
    ]
    return found[0] if len(found) == 1 else ""
