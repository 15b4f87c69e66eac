"""What a training says while it runs: lines in the log, and `history.jsonl` for whoever draws the curves."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from consilience.foundation.files import explain_disk_full, write_text

log = logging.getLogger("consilience")
SECONDS_BETWEEN_LINES = 5.0


class Pace:
    """Log lines with rate and time left, not too many of them."""

    def __init__(self, *, label: str, total: int, done: int) -> None:
        self.label, self.total = label, total
        self.first, self.started = done, time.monotonic()
        self.last = self.started

    def tell(self, done: int, numbers: Mapping[str, Any]) -> None:
        """Say that `done` steps are done, with the numbers of this moment."""
        now = time.monotonic()
        if now - self.last < SECONDS_BETWEEN_LINES:
            return
        self.last = now
        rate = (done - self.first) / max(now - self.started, 1e-9)
        log.info("%s: step %d of %d, %.3g steps/s, at most %s left; %s", self.label, done, self.total,
                 rate, duration((self.total - done) / max(rate, 1e-9)), worded(numbers))  # fmt: skip

    def close(self, history: Sequence[Mapping[str, Any]], remark: str) -> None:
        """Say how it ended; of a training of a few seconds only those who ask for details hear."""
        short = time.monotonic() - self.started < SECONDS_BETWEEN_LINES
        last = worded(history[-1]) if history else ""
        told = "; ".join(text for text in (f"{len(history)} epochs are done", remark, last) if text)
        log.log(logging.DEBUG if short else logging.INFO, "%s: %s", self.label, told)


def worded(numbers: Mapping[str, Any]) -> str:
    """'discriminator.loss 0.41, validation.auc 0.8' for a log line."""
    return ", ".join(
        f"{name} {value:.4g}" for name, value in numbers.items() if "." in name and value is not None
    )


def duration(seconds: float) -> str:
    """'45 s', '12 min', '3.4 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def rewrite_history(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Make the file hold exactly these lines (after a resume, or a return to an earlier epoch)."""
    write_text(path, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))


def append_history(path: Path, line: Mapping[str, Any]) -> None:
    """Add one epoch, in one write, so that a reader never sees half a line."""
    with explain_disk_full(path), path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(line, allow_nan=False) + "\n")
