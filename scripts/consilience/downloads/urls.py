"""Addresses: which are allowed, which server they name, and where the cache keeps what they give."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

from consilience.foundation.errors import DownloadError

MAX_NAME = 120
"""Characters of a name in the cache; file systems allow 255 bytes, and suffixes are added."""
OURS = (".part", ".part.json", ".meta.json", ".tmp", ".decoded")
PAGE_SUFFIXES = (".html", ".htm", ".xhtml")


def check_url(url: str) -> SplitResult:
    """The parts of an address that may be asked: http or https, a host, no password, printable ASCII."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DownloadError(f"not an address ({error})", value=url) from error
    if parts.username is not None or parts.password is not None:
        host = f"{parts.scheme}://{parts.hostname or ''}/…"
        raise DownloadError(
            "an address must not hold a user name or password",
            where=host,
            mend="take 'user:password@' out of it; it would end in logs and reports",
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise DownloadError("not an address that can be asked", value=url, allowed="https://… or http://…")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise DownloadError(
            "an address must be printable ASCII without spaces",
            value=url,
            mend="write other characters as %XX",
        )
    return parts


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what browsers call the origin."""
    parts = check_url(url)
    return parts.scheme, str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)


def is_loopback(url: str) -> bool:
    """True when an address names this machine itself."""
    host = check_url(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def mirrored(url: str, mirrors: Mapping[str, str]) -> str:
    """The address to ask: the longest beginning that has a mirror is replaced by it."""
    beginnings = [beginning for beginning in mirrors if url.startswith(beginning)]
    if not beginnings:
        return url
    longest = max(beginnings, key=len)
    return mirrors[longest] + url[len(longest) :]


def check_mirrors(mirrors: Mapping[str, str]) -> None:
    """Refuse mirrors that would glue host names together or cannot be asked."""
    for beginning, instead in mirrors.items():
        for side in (beginning, instead):
            check_url(side)
            if not side.endswith("/"):
                raise DownloadError(
                    "a mirror's two addresses must end in '/'",
                    where="fetch.mirrors",
                    value=side,
                    mend="add '/', so that whole folders are replaced",
                )


def cache_name(url: str, body: str = "") -> PurePosixPath:
    """Where the cache keeps the answer of an address: <host>/<path>, readable and safe on any file system.

    What a name cannot show (a query, a body, characters that were replaced) becomes a short digest behind
    '~', so that two addresses never share a file.
    """
    parts = check_url(url)
    host = (parts.hostname or "") + (f"_{parts.port}" if parts.port else "")
    names = [_safe_name(one) for one in parts.path.split("/")[1:]] or ["_index"]
    if not parts.path.rpartition("/")[2]:
        names[-1] = "_index"
    beyond = "\0".join([parts.query, body]) if parts.query or body else ""
    if beyond:
        names[-1] += f"~{_short(beyond)}"
    return PurePosixPath(_safe_name(host), *names)


def _safe_name(raw: str) -> str:
    """One step of a path; changed names carry a digest of what they were."""
    name = unquote(raw)
    safe = re.sub(r"[^A-Za-z0-9._+=@,-]", "_", name)[:MAX_NAME]
    if safe.startswith(".") or not safe:
        safe = "_" + safe
    if safe != name or safe.endswith(OURS) or safe == "_index":
        return f"{safe}~{_short(raw)}"
    return safe


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def may_be_page(url: str) -> bool:
    """True for addresses that give web pages by their nature: indexes of folders and pages."""
    path = check_url(url).path.casefold()
    return path.endswith(("/", ".cgi", ".php", *PAGE_SUFFIXES)) or not path


def check_names(names: list[str]) -> None:
    """Refuse names that would leave the raw folder, cannot be written everywhere, or meet in one file."""
    seen: dict[str, str] = {}
    for name in names:
        steps = name.split("/")
        if any(
            step in {"", ".", ".."} or len(step) > 2 * MAX_NAME or not step.isprintable() for step in steps
        ) or ("\\" in name):
            raise DownloadError(
                "not a name for a file in the raw folder",
                value=name,
                allowed="relative paths of printable characters without '.' and '..'",
            )
        fold = name.casefold()
        if fold in seen:
            raise DownloadError(
                "two downloads would be one file in the raw folder",
                value=f"{seen[fold]}, {name}",
                mend="choose one of them by 'files' in the cohort sheet",
            )
        seen[fold] = name
    for fold, name in seen.items():
        above = next((one for one in PurePosixPath(fold).parents if str(one) in seen), None)
        if above is not None:
            raise DownloadError(
                "one download's file is another one's folder", value=f"{seen[str(above)]}, {name}"
            )
