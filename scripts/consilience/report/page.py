"""The report: sections to one self-contained HTML page, their tables to TSV, the run to provenance files."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from consilience import __version__
from consilience.foundation import provenance
from consilience.foundation.errors import DataError
from consilience.foundation.files import write_text
from consilience.foundation.jobs import log
from consilience.foundation.places import REPORT_TEMPLATES
from consilience.report.cells import cell_text, table_json, tsv_text
from consilience.report.elements import Section, Table, tables_of, walk
from consilience.report.front import front_page
from consilience.report.record import revision, write_record
from consilience.report.results import StudyResults
from consilience.report.sections import section_makers
from consilience.study.cohorts import Cohort
from consilience.study.sections import Config

SCRIPTS = ("page.js", "tables.js", "charts.js", "interact.js")


def write_report(
    *, config: Config, cohorts: list[Cohort], results: Path, benchmarks: Path, out: Path
) -> None:
    """Write the page `out`, `tables/*.tsv` beside it, and the files of `results`/provenance.

    The same results give the same bytes, apart from the date (SOURCE_DATE_EPOCH fixes it).
    """
    study = StudyResults(config=config, cohorts=cohorts, root=results, benchmark_dir=benchmarks)
    date = provenance.now()
    sections = build_sections(study)
    html = render_page(study=study, sections=sections, date=date)
    _check_size(html, sections, limit=config.report.max_megabytes, page=out)
    tables = out.parent / "tables"
    wanted = {f"{table.key}.tsv" for section in sections for table in tables_of(section)}
    for stale in tables.glob("*.tsv") if tables.is_dir() else ():
        if stale.name not in wanted:
            stale.unlink()
    for section in sections:
        for table in tables_of(section):
            write_text(tables / f"{table.key}.tsv", tsv_text(table))
    write_record(results=study, folder=results / "provenance", date=date)
    write_text(out, html)
    log.info("report: %d sections, %.2f MB, %s", len(sections), len(html.encode()) / 1e6, out)


def build_sections(results: StudyResults) -> list[Section]:
    """The sections of all stages that ran; table and figure names must be unique in the page."""
    built = (maker.build(results) for maker in section_makers())
    sections = [section for section in built if section is not None]
    names = [table.key for section in sections for table in tables_of(section)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"table keys used twice: {', '.join(twice)}")
    return sections


def render_page(*, study: StudyResults, sections: Sequence[Section], date: str) -> str:
    """The whole page as text. Everything that a person or a file can name is escaped by the template."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(REPORT_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell_text
    environment.filters["block_json"] = block_json
    environment.filters["table_json"] = table_json
    style = _asset("style.css")
    script = "\n".join(_asset(name) for name in SCRIPTS)
    return environment.get_template("page.html.j2").render(
        front=front_page(study=study, sections=sections, date=date),
        sections=sections,
        version=__version__,
        revision=revision(),
        style=_trusted(style),
        script=_trusted(script),
        policy=_content_policy(style=style, script=script),
    )


def block_json(value: Any) -> Any:
    """JSON for a data block of the page: no character in it can end the block or open markup."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return _trusted(text)


def _asset(name: str) -> str:
    path = REPORT_TEMPLATES / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            "a part of the page template is missing", where=str(path), mend="restore it from the repository"
        ) from error


def _trusted(text: str) -> Any:
    """Mark our own text (style, script, escaped JSON) as safe for the template."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - never called with text that came from a user


def _content_policy(*, style: str, script: str) -> str:
    """Nothing may be loaded, and only the page's own style and script (by digest) may act."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; style-src 'sha256-{digest(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _check_size(html: str, sections: Sequence[Section], *, limit: float, page: Path) -> None:
    size = len(html.encode()) / 1e6
    if size <= limit:
        return
    largest = sorted(((_weight(section), section.title) for section in sections), reverse=True)[:3]
    raise DataError(
        "the report is larger than a browser should be asked to open",
        where=str(page),
        value=f"{size:.2f} MB",
        allowed=f"at most {limit:g} MB (report.max_megabytes)",
        mend="raise report.max_megabytes or report fewer cohorts in one study; the largest sections are "
        + ", ".join(f"{title} ({weight / 1e6:.2f} MB)" for weight, title in largest),
    )


def _weight(section: Section) -> int:
    """Roughly how many bytes a section adds to the page: its data blocks."""
    return sum(len(part) for part in _data_of(section))


def _data_of(section: Section) -> Iterator[str]:
    for block in walk(section.blocks):
        if isinstance(block, Table):
            yield json.dumps(block.rows[: block.embedded], default=str)
        elif block.block == "figures":
            yield from (json.dumps(figure.to_json()) for figure in block.items)  # type: ignore[union-attr]
        elif block.block == "listing":
            yield block.text  # type: ignore[union-attr]
