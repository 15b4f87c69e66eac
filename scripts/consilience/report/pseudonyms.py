"""Pseudonyms: S001, S002 … for samples and D001, D002 … for donors, everywhere in the report."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Replaces names; `off()` leaves them as they are.

    `samples` and `donors` map a real name to its pseudonym. A name that is both is a sample.
    """

    samples: dict[str, str] = field(default_factory=dict)
    donors: dict[str, str] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None

    @classmethod
    def off(cls) -> Pseudonyms:
        """Show real names."""
        return cls()

    @classmethod
    def of(cls, *, samples: Iterable[str], donors: Iterable[str]) -> Pseudonyms:
        """Number the names by sorted order, so that neither sheet order nor a rerun changes them."""
        sample_names = sorted({name for name in samples if name})
        donor_names = sorted({name for name in donors if name})
        known = sorted({*sample_names, *donor_names}, key=lambda name: (-len(name), name))
        pattern = "|".join(re.escape(name) for name in known)
        return cls(
            samples={name: f"S{number:03d}" for number, name in enumerate(sample_names, 1)},
            donors={name: f"D{number:03d}" for number, name in enumerate(donor_names, 1)},
            pattern=re.compile(rf"(?<![^\W_])(?:{pattern})(?![^\W_])") if known else None,
        )

    @property
    def active(self) -> bool:
        """True when names are replaced."""
        return self.pattern is not None

    def sample(self, name: str) -> str:
        """Pseudonym of a sample."""
        return self.samples.get(name, self.text(name)) if self.active else name

    def donor(self, name: str) -> str:
        """Pseudonym of a donor."""
        return self.donors.get(name, self.text(name)) if self.active else name

    def text(self, text: str) -> str:
        """Replace every known name inside free text: messages, file names, addresses."""
        if self.pattern is None:
            return text
        return self.pattern.sub(
            lambda found: self.samples.get(found.group()) or self.donors.get(found.group(), ""), text
        )
