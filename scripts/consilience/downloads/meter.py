"""How far the downloads are: a line in the log every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from consilience.downloads.request import Download
from consilience.foundation.jobs import log


class Meter:
    """Counts files and bytes of one batch of downloads; thread-safe."""

    def __init__(
        self, wanted: Sequence[Download], *, every: float = 5.0, clock: Callable[[], float] = time.monotonic
    ):
        self.every = every
        self._clock = clock
        self._n_files = len(wanted)
        self._n_done = 0
        self._known = {one.name: one.bytes for one in wanted}
        self._at: dict[str, int] = {}
        self._came = 0
        self._lock = threading.Lock()
        self._started = self._last = clock()

    def begin(self, name: str, position: int) -> None:
        """A file is taken up at this position: what was there before has not come now."""
        with self._lock:
            self._at[name] = position

    def at(self, name: str, position: int) -> None:
        """A file has got to this position (or back to it)."""
        with self._lock:
            self._came += max(0, position - self._at.get(name, 0))
            self._at[name] = position
            now = self._clock()
            if now - self._last < self.every:
                return
            self._last = now
            line = self._line(now)
        log.info("%s", line)

    def done(self, name: str, n_bytes: int) -> None:
        """A file is there (it came, or was in the cache)."""
        with self._lock:
            self._n_done += 1
            self._at[name] = self._known[name] = n_bytes

    def _line(self, now: float) -> str:
        have = sum(self._at.values())
        sizes = [size for size in self._known.values() if size is not None]
        rate = self._came / max(now - self._started, 1e-9)
        text = f"downloads: {self._n_done} of {self._n_files} files, {have / 1e6:,.1f}"
        if len(sizes) < self._n_files:
            return f"{text} MB, {rate / 1e6:.2f} MB/s"
        left = f", {max(0, sum(sizes) - have) / rate:,.0f} s left" if rate else ""
        return f"{text} of {sum(sizes) / 1e6:,.1f} MB, {rate / 1e6:.2f} MB/s{left}"
