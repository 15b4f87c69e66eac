"""Methods: a text that can be pasted into a paper, written from what ran."""

from __future__ import annotations

from consilience.report.elements import Column, Listing, Section, SectionMaker, Table, Text
from consilience.report.record import bibliography, methods_text, software_versions
from consilience.report.results import StudyResults
from consilience.report.words import count


def build(results: StudyResults) -> Section:
    """The text, the references, and BibTeX."""
    from consilience.report.citations import cited
    from consilience.report.sections import methods_used

    notes = methods_used(results)
    versions = software_versions()
    references = cited(notes)
    return Section(
        key="methods",
        title="Methods",
        headline=f"{count(len(notes), 'method')}, {count(len(references), 'reference')}, from what ran.",
        blocks=(
            Text(
                "Copy this text into your paper; it states what ran in this study, with these settings "
                "and these versions.",
                tone="lead",
            ),
            *(Text(paragraph) for paragraph in methods_text(notes, versions)),
            Table(
                key="references",
                title="References",
                visible=30,
                columns=(
                    Column("key", "Key", "id"),
                    Column("authors", "Authors", "words"),
                    Column("year", "Year", "id"),
                    Column("title", "Title", "words"),
                    Column("venue", "In"),
                    Column("link", "Link", "link"),
                ),
                rows=tuple(
                    (entry.key, entry.author, str(entry.year), entry.title, entry.venue, entry.link)
                    for entry in references
                ),
            ),
            Listing("BibTeX", bibliography(notes), "citations.bib"),
        ),
    )


SECTION = SectionMaker(order=900, key="methods", title="Methods", build=build)
