"""One request and its answer over HTTP(S): redirects, statuses, errors sorted by what to do about them."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from consilience import __version__
from consilience.downloads.token import GDC, Token
from consilience.downloads.urls import check_url, is_loopback, mirrored, origin
from consilience.foundation.errors import DownloadError, printable

if TYPE_CHECKING:
    import requests

CHUNK = 64 << 10
"""Bytes taken at once. Small, because what is in hand when a connection breaks must be kept."""
MAX_REDIRECTS = 10
CONNECT_SECONDS = 30.0
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 421, 425, 429)
"""Statuses beside 5xx that mend themselves."""


class Interrupted(Exception):  # noqa: N818 - not an error of the user's: it is tried again
    """Try again: the connection or the server failed in a way that passes."""

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


class Absent(DownloadError):  # noqa: N818
    """The server does not have it (404, 410)."""


class Temporary(DownloadError):  # noqa: N818
    """It did not come, for reasons that may pass: a later run may succeed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is still to be read; `url` is where it came from, after mirrors and redirects."""

    status: int
    headers: Mapping[str, str]
    url: str
    authorised: bool
    _response: requests.Response

    @property
    def encoding(self) -> str:
        """Content-Encoding in lower case; "" for none."""
        encoding = self.headers.get("Content-Encoding", "").strip().casefold()
        return "" if encoding == "identity" else encoding

    @property
    def length(self) -> int | None:
        """Content-Length, where there is one that makes sense (none counts when the body is chunked)."""
        text = self.headers.get("Content-Length", "").strip()
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").casefold()
        return int(text) if text.isascii() and text.isdigit() and not chunked else None

    def chunks(self, *, decoded: bool = False) -> Iterator[bytes]:
        """The body as it comes: whatever one read of the connection brings is handed on at once.

        That nothing is lost when the connection breaks rests on this: a reader that waits for full chunks
        (requests' iter_content) throws away what it had.
        """
        raw = self._response.raw
        with calm(self.url):
            while block := raw.read1(CHUNK, decode_content=decoded):
                yield block


class Client:
    """Asks servers: one session per thread, canonical addresses outside, mirrors inside."""

    def __init__(self, *, mirrors: Mapping[str, str], token: Token, stall_seconds: float) -> None:
        self.mirrors = dict(mirrors)
        self.token = token
        self.stall_seconds = stall_seconds
        self._local = threading.local()

    @contextmanager
    def ask(
        self, url: str, *, body: str = "", authorised: bool = False, headers: Mapping[str, str] | None = None
    ) -> Iterator[Answer]:
        """The answer to GET (or, with a body, POST) with status 200, 206 or 416; everything else is raised.

        Raises
        ------
        Interrupted
            For what passes: 5xx, 408, 429, broken and stalled connections.
        Absent
            404 and 410.
        DownloadError
            For what will not pass: 401, 403, addresses that cannot be asked.
        """
        response, sent_token = self._follow(url, body, authorised, dict(headers or {}))
        try:
            sent = self.token if sent_token else None
            _raise_for_status(response, url, authorised=authorised, sent=sent)
            yield Answer(
                response.status_code, response.headers, str(response.url), sent_token, response
            )  # fmt: skip
        finally:
            response.close()

    def _follow(
        self, url: str, body: str, authorised: bool, headers: dict[str, str]
    ) -> tuple[requests.Response, bool]:
        """Follow redirects by hand: each address is judged, and none gets headers that are not for it."""
        first = here = mirrored(url, self.mirrors)
        method = "POST" if body else "GET"
        for _ in range(MAX_REDIRECTS + 1):
            check_url(here)
            secret = self.token.headers_for(here, first=first) if authorised else {}
            response = self._send(method, here, body if method == "POST" else "", headers | secret)
            location = response.headers.get("Location", "")
            if response.status_code not in REDIRECTS or not location:
                return response, bool(secret)
            response.close()
            there = urljoin(here, location)
            if origin(here)[0] == "https" and origin(there)[0] == "http" and not is_loopback(there):
                raise DownloadError(
                    "the server redirects from https to http, where anyone could change the file",
                    where=self.token.scrub(url),
                    value=self.token.scrub(there),
                )
            here, method = there, "GET" if response.status_code == 303 else method
        raise DownloadError(f"more than {MAX_REDIRECTS} redirects", where=url, value=self.token.scrub(here))

    def _send(self, method: str, url: str, body: str, headers: dict[str, str]) -> requests.Response:
        session = self._session()
        if body:
            headers = {"Content-Type": "application/json"} | headers
        with calm(url):
            return session.request(
                method,
                url,
                data=body.encode() if body else None,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(min(CONNECT_SECONDS, self.stall_seconds), self.stall_seconds),
            )

    def _session(self) -> requests.Session:
        """Give this thread's session.

        Proxies and certificates come from the environment, passwords (~/.netrc) do not; and bodies are wanted
        as they are, not compressed.
        """
        import requests

        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.auth = _no_password
            session.headers["User-Agent"] = f"consilience/{__version__}"
            session.headers["Accept-Encoding"] = "identity"
        return session


def _no_password(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _raise_for_status(response: requests.Response, url: str, *, authorised: bool, sent: Token | None) -> None:
    """Raise for every status but 200, 206 and 416."""
    status = response.status_code
    if status in (200, 206, 416):
        return
    said = f"the server answers {status} {_phrase(status)}".strip()
    if status in PASSING or status >= 500:
        raise Interrupted(said, wait=retry_after(response.headers))
    if status in (404, 410):
        raise Absent(
            f"{said}: it has no such file",
            where=url,
            mend="check the accession or address; the file may have been moved or withdrawn",
        )
    if status in (401, 403) and (authorised or origin(url) == GDC):
        raise DownloadError(
            f"{said}: this is controlled data" + (", and it does not accept the token" if sent else ""),
            where=url,
            mend=_token_mend(bool(sent)),
        )
    if status in (401, 403):
        raise DownloadError(
            f"{said}: this file is not for everybody, or the server has shut out this address",
            where=url,
            mend="fetch it by hand with your account and put it into the cache",
        )
    raise DownloadError(
        said + _message_of(response, sent),
        where=url,
        mend="open the address in a browser to see what the server means",
    )


def _message_of(response: requests.Response, token: Token | None) -> str:
    """What a service that speaks JSON says of its refusal ({"message": …} or {"error": …})."""
    with contextlib.suppress(Exception):
        answer = json.loads(response.raw.read(1 << 16, decode_content=True))
        said = str(answer.get("message") or answer.get("error") or "")
        said = token.scrub(said) if token else said
        return f": {printable(said, limit=300)}" if said else ""
    return ""


def _phrase(status: int) -> str:
    """The standard's words for a status; the server's own may be anything."""
    return next((one.phrase for one in HTTPStatus if one == status), "")


def _token_mend(sent: bool) -> str:
    if sent:
        return "tokens end after 30 days: get a new one, and check your access to this project (dbGaP)"
    return (
        "with access to the project (dbGaP), download a token from the GDC portal, save it with mode 0600 "
        "and name the file in fetch.gdc_token_file (or set GDC_TOKEN); open data need no token"
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, given as a number or as a date (by the server's own clock)."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        then = parsedate_to_datetime(text)
        return max(0.0, (then - parsedate_to_datetime(headers.get("Date", ""))).total_seconds())
    except (ValueError, TypeError):
        return None


@contextmanager
def calm(url: str) -> Iterator[None]:
    """Sort the many exceptions of the layers below into `Interrupted` and `DownloadError`."""
    import requests
    import urllib3

    try:
        yield
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidHeader,
        requests.exceptions.MissingSchema,
        urllib3.exceptions.LocationParseError,
        UnicodeError,
    ) as error:
        raise DownloadError(
            "not an address that can be asked", where=url, value=type(error).__name__
        ) from None
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise DownloadError(
                "the server's certificate is not trusted here", where=url,
                mend="where an institute inspects connections: name its certificates in REQUESTS_CA_BUNDLE",
            ) from None  # fmt: skip
        raise Interrupted("the encrypted connection broke") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise Interrupted("nothing came for too long") from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise Interrupted(_cause(error)) from error


def _cause(error: BaseException) -> str:
    """Few words for a broken connection; libraries' own texts repeat addresses and object names."""
    text = str(error)
    if "Name or service not known" in text or "NameResolution" in text or "getaddrinfo" in text:
        return "the server's name is not known here (no network?)"
    if "Connection refused" in text:
        return "the server refuses the connection"
    if "ProxyError" in text or "proxy" in text.casefold():
        return "the proxy does not let it through"
    return "the connection broke"
