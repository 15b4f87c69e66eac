"""Methods that a study used: a sentence for the methods text, and what to cite for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Citation:
    """One BibTeX entry: `key`, `kind` (article, misc, …) and its fields."""

    key: str
    kind: str
    author: str
    title: str
    year: int
    venue: str
    doi: str = ""
    url: str = ""

    @property
    def short(self) -> str:
        """As cited in the text: "Wolf et al. 2018"."""
        authors = self.author.split(" and ")
        families = [name.strip("{}") if name.startswith("{") else name.split(",")[0] for name in authors]
        first = families[0] + (
            " et al." if len(families) > 2 else f" and {families[1]}" if len(families) == 2 else ""
        )
        return f"{first} {self.year}"

    @property
    def link(self) -> str:
        """Where to find it."""
        return f"https://doi.org/{self.doi}" if self.doi else self.url

    def bibtex(self) -> str:
        """The BibTeX entry."""
        venue = {"article": "journal", "inproceedings": "booktitle"}.get(self.kind, "howpublished")
        fields = {
            "author": self.author,
            "title": "{" + self.title + "}",
            "year": str(self.year),
            venue: self.venue,
            "doi": self.doi,
            "url": self.url,
        }
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
        return f"@{self.kind}{{{self.key},\n{body}\n}}\n"


@dataclass(frozen=True, slots=True)
class MethodNote:
    """One method as used in this study.

    `sentence` is finished text, in which `[key]` stands for a citation and `{package}` for the installed
    version of a package named in `packages`.
    """

    key: str
    name: str
    sentence: str
    citations: tuple[Citation, ...] = ()
    packages: tuple[str, ...] = ()

    def text(self, versions: Mapping[str, str]) -> str:
        """The sentence with versions and short citations filled in."""
        text = self.sentence
        for package in self.packages:
            text = text.replace("{" + package + "}", versions.get(package, "absent"))
        by_key = {citation.key: citation for citation in self.citations}
        return re.sub(r"\[(\w+)\]", lambda m: f"({by_key[m[1]].short})" if m[1] in by_key else m[0], text)


def cited(notes: Iterable[MethodNote]) -> list[Citation]:
    """All citations of the notes, each once, sorted by first author and year."""
    unique = {citation.key: citation for note in notes for citation in note.citations}
    return sorted(unique.values(), key=lambda citation: (citation.short.casefold(), citation.key))
