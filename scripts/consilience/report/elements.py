"""What a section of the report is made of; the template and the TSV writer know only these nouns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from consilience.report.figures import Figure

if TYPE_CHECKING:
    from consilience.report.citations import MethodNote
    from consilience.report.results import StudyResults

Cell: TypeAlias = str | int | float | bool | None
Level = Literal["alarm", "note", "good"]
CellKind = Literal["text", "words", "id", "integer", "number", "share", "bytes", "seconds", "link"]


@dataclass(frozen=True, slots=True)
class Text:
    """One paragraph of plain text (never markup)."""

    block: ClassVar[str] = "text"
    text: str
    tone: Literal["body", "lead", "small"] = "body"


@dataclass(frozen=True, slots=True)
class Fact:
    """A number with its name: "removed: 7 samples"."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A row of facts."""

    block: ClassVar[str] = "facts"
    items: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader must see. Alarms are repeated on the first screen with a link to `anchor`."""

    level: Level
    text: str
    anchor: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Notices:
    """A list of notices, shown where they arose."""

    block: ClassVar[str] = "notices"
    items: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A table column: `name` in the TSV, `label` on the page, `kind` decides alignment and digits."""

    name: str
    label: str
    kind: CellKind = "text"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `key` names its TSV file and must be unique in the report.

    The first `visible` rows are in the page for everybody; all rows up to `embedded` can be sorted,
    filtered and downloaded from the page alone; the TSV beside the page always holds all of them.
    """

    block: ClassVar[str] = "table"
    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    when_empty: str = "nothing to list"
    visible: int = 12
    embedded: int = 3000


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures side by side where the screen is wide enough."""

    block: ClassVar[str] = "figures"
    items: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Preformatted text, such as a configuration; `filename` makes it downloadable."""

    block: ClassVar[str] = "listing"
    title: str
    text: str
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A titled part of a section. `folded` parts open on a click and are printed open."""

    block: ClassVar[str] = "group"
    key: str
    title: str
    blocks: tuple[Block, ...]
    subtitle: str = ""
    folded: bool = False


Block: TypeAlias = Text | Facts | Notices | Table | Figures | Listing | Group


@dataclass(frozen=True, slots=True)
class Section:
    """One stage's part of the report.

    `headline` is the stage in one sentence; `first_screen` are the facts that it wants on the first screen.
    """

    key: str
    title: str
    headline: str
    blocks: tuple[Block, ...]
    notices: tuple[Notice, ...] = ()
    first_screen: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class SectionMaker:
    """How a stage adds itself to the report: one of these, named SECTION, in its own file of `sections/`.

    `build` returns None when the stage did not run; `methods` lists what it used, for the methods text.
    """

    order: int
    key: str
    title: str
    build: Callable[[StudyResults], Section | None]
    methods: Callable[[StudyResults], Sequence[MethodNote]] | None = None


def walk(blocks: Iterable[Block]) -> Iterable[Block]:
    """All blocks, depth first, groups before their content."""
    for block in blocks:
        yield block
        if isinstance(block, Group):
            yield from walk(block.blocks)


def tables_of(section: Section) -> list[Table]:
    """All tables of a section in reading order."""
    return [block for block in walk(section.blocks) if isinstance(block, Table)]
