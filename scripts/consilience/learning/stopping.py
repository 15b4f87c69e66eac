"""Told to stop (SIGTERM, SIGUSR1): finish the step, write a checkpoint, end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from consilience.foundation.errors import ModelError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class TrainingStopped(ModelError):  # noqa: N818 - what happened, not a fault
    """The training was asked to stop and can be resumed."""


class Request:
    """Whether somebody asked the training to stop: `name` is the signal's."""

    name = ""

    @property
    def made(self) -> bool:
        """True once a signal came."""
        return bool(self.name)


@contextmanager
def stop_requests() -> Iterator[Request]:
    """Take note of the signals instead of dying of them, however often they come (some send twice).

    Only the main thread may do so; in other threads nothing is changed.
    """
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}

    def take_note(number: int, frame: FrameType | None) -> None:
        request.name = signal.Signals(number).name

    for number in SIGNALS:
        signal.signal(number, take_note)
    try:
        yield request
    finally:
        for number in SIGNALS:
            signal.signal(number, before[number])
