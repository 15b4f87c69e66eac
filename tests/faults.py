"""Ways in which the server of tests/replay.py can misbehave."""

from __future__ import annotations

from dataclasses import dataclass

PAGE = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>Gone.</body></html>\n"


@dataclass(frozen=True)
class Fault:
    """One way to misbehave; made by the functions below."""

    kind: str
    number: float = 0
    text: str = ""
    content: bytes | None = None
    length: bool = True

    @classmethod
    def page_with_200(cls, page: bytes = PAGE) -> Fault:
        """A web page that says 404, with status 200."""
        return cls("page", content=page)

    @classmethod
    def cut_at(cls, n: int, *, length: bool = True) -> Fault:
        """The connection ends after n bytes of the answer; `length=False`: and no length was promised."""
        return cls("cut", n, length=length)

    @classmethod
    def wrong_content(cls) -> Fault:
        """As many bytes as there should be, of which one is wrong."""
        return cls("wrong")

    @classmethod
    def stall(cls, seconds: float, *, after: int = 0) -> Fault:
        """Nothing comes for a while, after so many bytes; then the rest does."""
        return cls("stall", after, text=str(seconds))

    @classmethod
    def status(cls, status: int, *, retry_after: str | int = "") -> Fault:
        """Another status: 429, 500, 503, 404, 403 …"""
        return cls("status", status, text=str(retry_after))

    @classmethod
    def no_range(cls) -> Fault:
        """Range is ignored: the whole file with status 200."""
        return cls("no_range")

    @classmethod
    def wrong_range(cls) -> Fault:
        """206, but from the first byte on, whatever was asked."""
        return cls("wrong_range")

    @classmethod
    def not_satisfiable(cls) -> Fault:
        """416."""
        return cls("not_satisfiable")

    @classmethod
    def changed_between_parts(cls, content: bytes | None = None, *, deaf: bool = False) -> Fault:
        """Another version (default: the bytes in reverse) with its own ETag; ranges are of that version.

        `deaf`: the server does not know If-Range and sends a range of the new version all the same.
        """
        return cls("changed", content=content, text="deaf" if deaf else "")

    @classmethod
    def no_length(cls) -> Fault:
        """No Content-Length; the end of the connection is the end of the file."""
        return cls("no_length")

    @classmethod
    def redirect(cls, url: str, status: int = 302) -> Fault:
        """Another address."""
        return cls("redirect", status, text=url)

    @classmethod
    def encoded(cls) -> Fault:
        """Content-Encoding: gzip, although nobody asked for it."""
        return cls("encoded")

    @classmethod
    def drop(cls) -> Fault:
        """The connection is reset before any answer."""
        return cls("drop")
