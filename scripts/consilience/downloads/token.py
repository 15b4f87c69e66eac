"""The GDC token: read here, sent to one server only, shown to nobody."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from consilience.downloads.urls import is_loopback, origin
from consilience.foundation.errors import ConfigError
from consilience.foundation.jobs import log
from consilience.study.sections import FetchSection

GDC = ("https", "api.gdc.cancer.gov", 443)
HEADER = "X-Auth-Token"
VARIABLE = "GDC_TOKEN"
MAX_LENGTH = 16_384
HIDDEN = "<token>"


@dataclass(frozen=True, slots=True)
class Token:
    """A secret: no repr and no str shows it."""

    _secret: str = field(repr=False)

    def __bool__(self) -> bool:
        return bool(self._secret)

    def headers_for(self, url: str, *, first: str) -> dict[str, str]:
        """The header for a request, or nothing.

        Only the GDC (or this machine, which may stand for it) may see the token, and along a redirect only
        the origin that was asked first.
        """
        here = origin(url)
        trusted = here == GDC or is_loopback(url)
        return {HEADER: self._secret} if self._secret and trusted and here == origin(first) else {}

    def scrub(self, text: str) -> str:
        """The text without the token, should a server or a library have put it there."""
        return text.replace(self._secret, HIDDEN) if self._secret else text


def read_token(settings: FetchSection, *, folder: Path = Path()) -> Token:
    """The token of `fetch.gdc_token_file`, else of the variable GDC_TOKEN, else an empty one.

    Raises
    ------
    ConfigError
        When the file is not a private regular file with one line of printable ASCII.
    """
    if settings.gdc_token_file:
        where = "fetch.gdc_token_file"
        return Token(
            _checked(_read_private(folder / Path(settings.gdc_token_file).expanduser()), where=where)
        )
    return Token(_checked(os.environ.get(VARIABLE, ""), where=f"the variable {VARIABLE}"))


def _read_private(path: Path) -> str:
    """The text of a file that nobody else may read; links and pipes are refused."""
    try:
        # O_NOFOLLOW and fstat: what is checked is what is read
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(f"the token file cannot be read ({error.strerror})", where=str(path),
                          mend="give the path of a regular file, or an empty text") from error  # fmt: skip
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise ConfigError("the token file is not a regular file", where=str(path))
    with os.fdopen(handle, "rb") as file:
        if facts.st_mode & 0o077:
            raise ConfigError(
                "others can read the token file",
                where=str(path),
                value=f"mode {stat.S_IMODE(facts.st_mode):04o}",
                allowed="mode 0600",
                mend=f"chmod 600 {path.name}, and get a new token if others have accounts here",
            )
        return file.read(MAX_LENGTH + 1).decode("latin-1")


def _checked(text: str, *, where: str) -> str:
    """One line of printable ASCII; the message must not show what it is."""
    token = text.strip()
    if len(token) > MAX_LENGTH:
        raise ConfigError(f"longer than a token ({MAX_LENGTH} characters)", where=where)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            "not a token: it must be one line of printable ASCII without spaces",
            where=where,
            mend="download a fresh token from the GDC portal and save it unchanged",
        )
    return token


class Redact(logging.Filter):
    """Takes the token out of every log line."""

    def __init__(self, token: Token) -> None:
        super().__init__()
        self.token = token

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the line; let all lines pass."""
        text = record.getMessage()
        clean = self.token.scrub(text)
        if clean != text:
            record.msg, record.args = clean, ()
        return True


def guard_logs(token: Token) -> None:
    """From here on, no line of ours and none that reaches the root's handlers shows the token."""
    if not token:
        return
    for place in (log, *logging.getLogger().handlers):
        if not any(isinstance(one, Redact) and one.token == token for one in place.filters):
            place.addFilter(Redact(token))
