"""Gzip files whose bytes depend on their content only (no time, no name), written in independent members."""

from __future__ import annotations

import gzip
from pathlib import Path

LEVEL = 4


def member(content: bytes | str) -> bytes:
    """One gzip member; members laid one after the other are a gzip file (RFC 1952)."""
    return gzip.compress(
        content.encode() if isinstance(content, str) else content, compresslevel=LEVEL, mtime=0
    )


def write_gzip(path: Path, content: bytes | str) -> None:
    """Write a gzip file of one member."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(member(content))
