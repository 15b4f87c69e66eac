"""An inspection as text: tables on a terminal, else plain lines; nothing in a file can steer a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consilience.inspection.columns import ColumnSeen
from consilience.inspection.findings import Inspection

MAX_FILES = 30
MAX_COLUMNS = 60
MAX_LEVELS = 6
MAX_TEXT = 60
Line = tuple[str, ...]
Table = tuple[str, Line, list[Line]]


def safe(text: str, *, limit: int = MAX_TEXT) -> str:
    """Text that prints as it is: control characters and what turns the direction of text are spelled out."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def size_text(n: int | None) -> str:
    """A size for people."""
    if n is None:
        return "unknown"
    scaled = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if scaled < 1000 or unit == "GB":
            return f"{scaled:.0f} {unit}" if unit == "B" or scaled >= 100 else f"{scaled:.1f} {unit}"
        scaled /= 1000
    return ""


def tables(found: Inspection) -> Iterator[Table]:
    """Title, header and rows of everything that is shown as a table."""
    rows: list[Line] = [
        (safe(one.name, limit=90), size_text(one.bytes), one.what) for one in found.files[:MAX_FILES]
    ]
    if len(found.files) > MAX_FILES:
        rows.append((f"… and {len(found.files) - MAX_FILES} more", "", ""))
    yield f"Files ({len(found.files)})", ("file", "size", "what it is"), rows
    if found.columns:
        shown: list[Line] = [(safe(one.name), one.shape, _levels(one)) for one in found.columns[:MAX_COLUMNS]]
        if len(found.columns) > MAX_COLUMNS:
            shown.append((f"… and {len(found.columns) - MAX_COLUMNS} more", "", ""))
        yield f"Columns of the {found.unit}", ("column", "shape", "levels (how many)"), shown


def _levels(column: ColumnSeen) -> str:
    if column.shape == "empty":
        return ""
    n_shown = 2 if column.shape in {"distinct", "many", "numbers"} else MAX_LEVELS
    shown = ", ".join(f"{safe(level)} ({n:,})" for level, n in column.levels[:n_shown])
    more = len(column.levels) - n_shown
    empty = f"; empty ({column.n_empty:,})" if column.n_empty else ""
    return shown + (f" … {len(column.levels):,} levels" if more > 0 else "") + empty


def plain(found: Inspection) -> Iterator[str]:
    """Lines of text without any markup."""
    yield f"{safe(found.target, limit=200)}: {found.kind}"
    for name, value in found.facts.items():
        yield f"  {name}: {safe(value, limit=1000)}"
    for title, header, rows in tables(found):
        yield ""
        yield title
        yield from _aligned([header, *rows])
    yield from _ending(found)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        yield "  " + "  ".join([*cells, row[-1]]).rstrip()


def _ending(found: Inspection) -> Iterator[str]:
    for note in found.notes:
        yield f"Note: {safe(note, limit=2000)}"
    row = found.proposal
    if not row:
        return
    yield ""
    yield "Proposed row of the cohort sheet (cells separated by tabs)"
    yield from row.lines()
    for title, texts in (("Because", row.reasons), ("To decide", row.decide)):
        if texts:
            yield ""
            yield title
            yield from (f"  - {safe(text, limit=2000)}" for text in texts)


def show(found: Inspection) -> None:
    """Print: with tables on a terminal, as plain lines into a pipe or file."""
    import sys

    if not sys.stdout.isatty():
        sys.stdout.write("\n".join([*plain(found), ""]))
        return
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    console = Console(markup=False, highlight=False, emoji=False)
    console.print(Text(f"{safe(found.target, limit=200)}: {found.kind}", style="bold"))
    for name, value in found.facts.items():
        console.print(Text(f"  {name}: {safe(value, limit=1000)}"))
    for title, header, rows in tables(found):
        grid = Grid(title=Text(title), title_justify="left")
        for name in header:
            grid.add_column(name, overflow="fold")
        for row in rows:
            grid.add_row(*map(Text, row))
        console.print(grid)
    for line in _ending(found):
        sys.stdout.write(line + "\n")  # not wrapped: the row must be copied as one line
