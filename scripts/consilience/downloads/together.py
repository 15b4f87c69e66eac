"""Many downloads at once: some per host, all failures collected, silent hosts left alone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import TypeVar
from urllib.parse import urlsplit

from consilience.downloads.answers import Temporary
from consilience.downloads.request import Download
from consilience.foundation.errors import DownloadError

MAX_SILENT = 3
"""A host from which so many files in a row did not come is not asked for more."""
Result = TypeVar("Result")


def fetch_together(
    wanted: Sequence[Download], fetch: Callable[[Download], Result], *, per_host: int, stop: threading.Event
) -> list[Result]:
    """Call `fetch` for each download, with up to `per_host` threads for each host; results in their order.

    Failures of single files are collected and raised together at the end; anything else (a full disk, an
    interrupt) sets `stop` and ends all at once.
    """
    silent: Counter[str] = Counter()

    def one(download: Download) -> Result:
        host = _host(download)
        if silent[host] >= MAX_SILENT:
            raise Temporary(f"not tried: {MAX_SILENT} other files of {host} did not come", where=download.url)
        try:
            result = fetch(download)
        except Temporary:
            silent[host] += 1
            raise
        silent[host] = 0
        return result

    hosts = Counter(_host(download) for download in wanted)
    with ExitStack() as stack:
        pools = {host: stack.enter_context(ThreadPoolExecutor(min(n, per_host))) for host, n in hosts.items()}
        futures = [pools[_host(download)].submit(one, download) for download in wanted]
        try:
            _wait_for(futures)
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise
    errors = (future.exception() for future in futures)
    if failed := [error for error in errors if isinstance(error, DownloadError)]:
        kind = Temporary if all(isinstance(error, Temporary) for error in failed) else DownloadError
        raise kind.from_problems([problem for error in failed for problem in error.problems])
    return [future.result() for future in futures]


def _wait_for(futures: Sequence[Future[Result]]) -> None:
    """Wait for all; an error that is not about one file ends the waiting."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_EXCEPTION)
        for future in done:
            error = future.exception()
            if error is not None and not isinstance(error, DownloadError):
                raise error


def _host(download: Download) -> str:
    return urlsplit(download.url).hostname or ""
