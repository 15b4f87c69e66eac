"""What is asked of a server: one file, or one answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Download:
    """One file to bring here.

    `name` is its relative POSIX path in the raw folder; `url` its canonical address (mirrors are applied when
    it is asked for, so the cache and the provenance do not depend on them); `bytes`, `md5`, `sha256` what is
    known of it beforehand; `body` JSON text that is sent by POST ("" for GET); `authorised` says that the GDC
    token may be sent; `optional` that the server may not have it (404), which then is no error.
    """

    name: str
    url: str
    bytes: int | None = None
    md5: str = ""
    sha256: str = ""
    body: str = ""
    authorised: bool = False
    optional: bool = False
