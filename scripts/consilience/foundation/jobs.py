"""One job of the workflow: its log, its threads, its progress lines, and how it ends when it fails."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from consilience.foundation.devices import set_threads
from consilience.foundation.errors import ConsilienceError, DataError
from consilience.foundation.files import is_disk_full

log = logging.getLogger("consilience")
Item = TypeVar("Item")


@contextmanager
def job(*, log_path: str | Path | None, threads: int = 1) -> Iterator[logging.Logger]:
    """Run the block as a job: log lines, warnings and errors go to `log_path` and errors also to stderr.

    A `ConsilienceError` ends the process with its message and no traceback; any other error keeps its
    traceback in the log, because then it is ours to mend.
    """
    set_threads(threads)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setLevel(logging.ERROR)
    if log_path:
        Path(log_path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(log_path, mode="w", encoding="utf-8"))
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=handlers,
        force=True,
    )
    logging.captureWarnings(capture=True)
    started = time.monotonic()
    try:
        yield log
    except (Exception, KeyboardInterrupt) as error:
        log.error("%s", explain(error))
        raise SystemExit(1) from None
    log.info("done in %.1f s", time.monotonic() - started)


def explain(error: BaseException) -> str:
    """The text a person needs: the message of our own errors, the cause and traceback of all others."""
    if isinstance(error, ConsilienceError):
        return f"{type(error).__name__}: {error}"
    if is_disk_full(error):
        return f"{DataError.__name__}: the disk is full; free some space and run the same command again"
    if isinstance(error, MemoryError):
        return (
            "out of memory; give the rule more (set-resources in profiles/default/config.yaml) "
            f"and run again\n{_trace(error)}"
        )
    return f"unexpected {type(error).__name__}: {error}\n{_trace(error)}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def progress(
    items: Iterable[Item], *, label: str, total: int | None = None, every: float = 5.0
) -> Iterator[Item]:
    """Yield the items, logging count, rate and time left at most once in `every` seconds."""
    if total is None and isinstance(items, Sequence):
        total = len(items)
    started = last = time.monotonic()
    for count, item in enumerate(items):
        now = time.monotonic()
        if now - last >= every and count:
            rate = count / (now - started)
            left = f", {(total - count) / rate:.0f} s left" if total else ""
            log.info("%s: %d%s, %.1f/s%s", label, count, f" of {total}" if total else "", rate, left)
            last = now
        yield item
