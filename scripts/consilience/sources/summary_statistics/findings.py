"""What reading summary statistics brought to light: rows set aside by reason, and messages for the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Findings:
    """What was set aside, by reason, and what a reader should know.

    By source: the rows `read`, and those of them whose p was `too_large` to be kept.
    """

    removed: Counter[str] = field(default_factory=Counter)
    messages: list[dict[str, str]] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)
    too_large: Counter[str] = field(default_factory=Counter)

    def note(self, text: str) -> None:
        """Something to know."""
        self.messages.append({"level": "note", "text": text})

    def alarm(self, text: str) -> None:
        """Something that may make results wrong, or that stops a later stage."""
        self.messages.append({"level": "alarm", "text": text})

    def remove(self, reason: str, number: int) -> None:
        """Count rows that are set aside; a reason without rows is not listed."""
        if number:
            self.removed[reason] += number
