"""Pseudonyms: S001, S002 … for samples and D001, D002 … for donors, everywhere in the report."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_TOKENS = re.compile(r"[^\W_]+|[\W_]")
"""Words, and every other character on its own: a name begins and ends at the border of a token."""


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Replaces names; `off()` leaves them as they are.

    `samples` and `donors` map a real name to its pseudonym; a name that is both is a sample in free text.
    `lengths` are the numbers of tokens that names have, longest first.
    """

    samples: dict[str, str] = field(default_factory=dict)
    donors: dict[str, str] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()

    @classmethod
    def off(cls) -> Pseudonyms:
        """Show real names."""
        return cls()

    @classmethod
    def of(cls, *, samples: Iterable[str], donors: Iterable[str]) -> Pseudonyms:
        """Number the names by sorted order, so that neither sheet order nor a rerun changes them."""
        sample_names = sorted({name for name in samples if name})
        donor_names = sorted({name for name in donors if name})
        lengths = {len(_TOKENS.findall(name)) for name in (*sample_names, *donor_names)}
        return cls(
            samples={name: f"S{number:03d}" for number, name in enumerate(sample_names, 1)},
            donors={name: f"D{number:03d}" for number, name in enumerate(donor_names, 1)},
            lengths=tuple(sorted(lengths, reverse=True)),
        )

    @property
    def active(self) -> bool:
        """True when names are replaced."""
        return bool(self.lengths)

    def sample(self, name: str) -> str:
        """Pseudonym of a sample."""
        return self.samples.get(name) or self.text(name)

    def donor(self, name: str) -> str:
        """Pseudonym of a donor."""
        return self.donors.get(name) or self.text(name)

    def text(self, text: str) -> str:
        """Replace every known name inside free text (messages, file names, addresses), longest name first."""
        if not self.active:
            return text
        tokens = _TOKENS.findall(text)
        written, place = [], 0
        while place < len(tokens):
            length, word = self._name_at(tokens, place)
            written.append(word)
            place += length
        return "".join(written)

    def _name_at(self, tokens: list[str], place: int) -> tuple[int, str]:
        """Tokens taken and what to write for them: a pseudonym, or the token itself."""
        for length in self.lengths:
            name = "".join(tokens[place : place + length])
            hidden = self.samples.get(name) or self.donors.get(name)
            if hidden:
                return length, hidden
        return 1, tokens[place]
