"""Inspect summary statistics: which file is the GWAS, which the eQTLs, which the LD, by their headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from consilience.foundation.errors import ConsilienceError
from consilience.inspection.findings import FileSeen, Inspection
from consilience.inspection.proposal import propose
from consilience.sources.raw_folder import RawFolder

if TYPE_CHECKING:
    from consilience.sources.summary_statistics.folder import Contents, Table

_PEOPLE = {"n", "n_cases", "alleles_counted"}
N_META = 20_000


def is_statistics(path: Path) -> bool:
    """Whether a table holds associations of variants, in a layout that is known."""
    from consilience.sources.summary_statistics.layouts import layout_of
    from consilience.sources.summary_statistics.tables import read_header

    try:
        header = read_header(path)
    except (ConsilienceError, OSError):
        return False
    if header is None or (layout := layout_of(header.names)) is None:
        return False
    return bool({"rsid", "variant", "position"} & set(layout.find(header.names)))


def inspect_statistics(
    folder: RawFolder,
    files: tuple[FileSeen, ...],
    *,
    location: str,
    notes: Sequence[str] = (),
    source: str = "local",
) -> Inspection:
    """Say what each file is, how its columns are read, people and build; and propose the row."""
    from consilience.sources.summary_statistics.builds import build_in
    from consilience.sources.summary_statistics.folder import Contents, contents_of

    said = list(notes)
    try:
        contents = contents_of(folder, columns={})
    except ConsilienceError as error:
        said.append(str(error))
        contents = Contents()
    facts, decide = _tables(contents)
    texts = [path.read_text(encoding="utf-8", errors="replace")[:N_META] for path in contents.metadata]
    layouts = [layout.build for _, layout in contents.gwas + contents.eqtl if layout.build]
    build = build_in([name for name, _ in folder.files] + texts + layouts)
    if not contents.twmr:
        facts["build"] = build or "stated by no name and no metadata"
        if not build:
            decide.append("the genome build: say it in summary_statistics.build of the configuration")
        if contents.gwas and not contents.metadata and not _has_people(contents.gwas[0]):
            decide.append("people in the GWAS: say them in summary_statistics.n_gwas of the configuration")
    if contents.twmr:
        decide.append("people: say them in summary_statistics.n_gwas and n_eqtl of the configuration")
    said += [f"{name} is not used: {why}" for name, why in contents.others]
    row = propose(kind="summary_statistics", source=source, location=location, columns=[])
    row = replace(row, decide=(*row.decide, *decide))
    return Inspection(location, "summary_statistics", files, facts, (), "samples", row, tuple(said[:20]))


def _tables(contents: Contents) -> tuple[dict[str, str], list[str]]:
    """What the tables are, and what is missing or there twice."""
    facts, decide = {}, []
    for what, tables in (("GWAS", contents.gwas), ("eQTL", contents.eqtl)):
        for header, layout in tables:
            read = ", ".join(f"{ours} = {theirs}" for ours, theirs in layout.find(header.names).items())
            facts[f"{what} {header.path.name}"] = (
                f"{layout.title}; {read}; effects belong to {layout.effect_allele}"
            )
        if len(tables) > 1:
            decide.append(f"{what}: {len(tables)} files could be it; choose with 'files'")
        if not (tables or contents.twmr):
            decide.append(f"no {what} file was recognised; name its columns in summary_statistics.columns")
    if contents.twmr:
        facts["TWMR matrices of effects"] = f"{len(contents.twmr)}"
    if contents.people:
        facts["people by gene"] = ", ".join(header.path.name for header in contents.people)
    n_matrices = len(contents.listed_ld + contents.named_ld + contents.long_ld)
    facts["LD"] = f"{n_matrices} matrices, {len(contents.panels)} PLINK panels"
    if not (contents.has_ld or contents.twmr):
        decide.append("no LD: neither matrices nor a PLINK panel")
    return facts, decide


def _has_people(table: Table) -> bool:
    header, layout = table
    return bool(_PEOPLE & set(layout.find(header.names)))
