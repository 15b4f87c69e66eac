"""The error tree. A message says what is wrong, where, the value, what is allowed and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in words a user can act on."""

    what: str
    where: str = ""
    value: str | None = None
    allowed: str = ""
    mend: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.value is not None:
            text += f"; found {printable(self.value)}"
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        if self.mend:
            text += f". To mend: {self.mend}"
        return text


class ConsilienceError(Exception):
    """Base of all errors a user can cause and mend; never shown as a traceback."""

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        value: object = None,
        allowed: str = "",
        mend: str = "",
    ) -> None:
        shown = None if value is None else str(value)
        self.problems: tuple[Problem, ...] = (Problem(what, where, shown, allowed, mend),)
        super().__init__(str(self.problems[0]))

    @classmethod
    def from_problems(cls, problems: Sequence[Problem]) -> ConsilienceError:
        """Report many problems at once, one line each."""
        error = cls.__new__(cls)
        error.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(problems, 1))
        Exception.__init__(error, f"{count}:\n{lines}")
        return error

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.problems, self.args))


def _rebuild(
    kind: type[ConsilienceError], problems: tuple[Problem, ...], args: tuple[object, ...]
) -> ConsilienceError:
    """Let errors cross process borders (the default pickling forgets keyword arguments)."""
    error = kind.__new__(kind)
    error.problems = problems
    Exception.__init__(error, *args)
    return error


class ConfigError(ConsilienceError):
    """The configuration file asks for something that does not exist or cannot be."""


class SheetError(ConsilienceError):
    """The cohort sheet has cells that cannot be used."""


class DownloadError(ConsilienceError):
    """A raw file could not be brought here whole."""


class DataError(ConsilienceError):
    """A data file is not what it claims to be, or cannot answer the question asked of it."""


class ModelError(ConsilienceError):
    """A trained model cannot be loaded or used for this input."""


def printable(value: str, *, limit: int = 80) -> str:
    """Quote a user's value so that control characters and look-alikes show, cut to `limit`."""
    cut = value if len(value) <= limit else value[:limit] + f"… ({len(value)} characters)"
    return ascii(cut) if not cut.isascii() or not cut.isprintable() else repr(cut)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion sentence for a misspelt word, or an empty string."""
    by_fold = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), list(by_fold), n=1, cutoff=0.6)
    return f"did you mean {by_fold[close[0]]!r}?" if close else ""
