"""Summary statistics of a GWAS, an eQTL study and LD: checked row by row, written as parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json
from consilience.sources.raw_folder import RawFolder, open_raw_folder, unreadable
from consilience.sources.summary_statistics.agreement import compare_sources, share_names
from consilience.sources.summary_statistics.associations import Source
from consilience.sources.summary_statistics.builds import build_in
from consilience.sources.summary_statistics.choices import settings_of
from consilience.sources.summary_statistics.columns import Associations, gathered, write_associations
from consilience.sources.summary_statistics.eqtl import read_eqtl
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.folder import Contents, Table, contents_of, locus_of, the_one
from consilience.sources.summary_statistics.gwas import read_gwas
from consilience.sources.summary_statistics.harmonised import exposure_note
from consilience.sources.summary_statistics.ld import LdMatrix, read_ld, read_long_ld, read_named_ld
from consilience.sources.summary_statistics.ld_table import LdSummary, write_ld
from consilience.sources.summary_statistics.panel import panel_ld
from consilience.sources.summary_statistics.people import people_by_gene
from consilience.sources.summary_statistics.plink import open_panel
from consilience.sources.summary_statistics.tables import sample_words
from consilience.sources.summary_statistics.twmr import read_twmr
from consilience.sources.summary_statistics.twmr_tables import twmr_tables
from consilience.sources.text import shown
from consilience.study.cohorts import Cohort
from consilience.study.sections import SummaryStatisticsSection

WANTED = "a GWAS, an eQTL table, LD (matrices or a PLINK panel) or ready TWMR inputs"
_WITHOUT = {
    "GWAS": "no GWAS in this cohort: instruments, TWMR and Mendelian randomisation will not run on it",
    "eQTL": "no eQTL table in this cohort: instruments, TWMR and Mendelian randomisation of genes "
    "will not run on it",
    "LD": "no LD in this cohort: TWMR, which needs it, will not run on it",
}


@dataclass
class Prepared:
    """What was read: either table may be absent; `builds` by source, `layouts` for the report.

    `models`: of ready TWMR inputs the genes of each focal gene's table.
    """

    gwas: Associations | None = None
    eqtl: Associations | None = None
    builds: dict[str, str] = field(default_factory=dict)
    layouts: list[dict[str, str]] = field(default_factory=list)
    models: dict[str, list[str]] = field(default_factory=dict)


def prepare_summary_statistics(
    *,
    cohort: Cohort,
    raw_dir: Path,
    out_dir: Path,
    qc_path: Path,
    settings: SummaryStatisticsSection | None = None,
) -> None:
    """Read and check the raw files of a cohort; write gwas, eqtl and ld as parquet and qc.json.

    What a cohort does not have is an empty table, and an alarm says which later stage will not run.
    """
    settings = settings_of(cohort.name, settings or SummaryStatisticsSection())
    folder, findings = open_raw_folder(raw_dir), Findings()
    contents = contents_of(folder, columns=settings.columns)
    if not (contents.gwas or contents.eqtl or contents.twmr):
        raise _nothing(folder, contents)
    if contents.twmr:
        prepared, ready = _ready_inputs(folder, contents, settings, findings)
        matrices: Iterable[LdMatrix] = ready
    else:
        prepared = _read_tables(folder, contents, settings, findings)
        matrices = _all_ld(contents, prepared, settings, findings)
    for name, what in contents.others:
        findings.note(f"{name} was not read: {what}")
    ld = write_ld(out_dir / "ld.parquet", matrices, findings, one_coding=bool(contents.twmr))
    for source, absent in (
        ("GWAS", prepared.gwas is None),
        ("eQTL", prepared.eqtl is None),
        ("LD", not ld.n_loci),
    ):
        if absent:
            findings.alarm(_WITHOUT[source])
    compare_sources(prepared.gwas, prepared.eqtl, ld.variants, builds=prepared.builds, findings=findings)
    write_associations(out_dir / "gwas.parquet", prepared.gwas or gathered("gwas", [], ""))
    write_associations(out_dir / "eqtl.parquet", prepared.eqtl or gathered("eqtl", [], ""))
    write_json(qc_path, _record(cohort, prepared, ld, findings))


def _nothing(folder: RawFolder, contents: Contents) -> DataError:
    known = [f"{name}: {what}" for name, what in contents.others]
    known += [
        f"{header.path.name}: people by gene, which belong to an eQTL table" for header in contents.people
    ]
    if not known:
        return unreadable(folder, wanted=WANTED)
    return DataError(
        "no GWAS and no eQTL table among the files",
        where=shown(folder.path),
        value="; ".join(known[:6]),
        allowed=WANTED,
        mend="name the columns in summary_statistics: columns, or give other files",
    )


def _ready_inputs(
    folder: RawFolder, contents: Contents, settings: SummaryStatisticsSection, findings: Findings
) -> tuple[Prepared, list[LdMatrix]]:
    where = shown(folder.path)
    if contents.gwas or contents.eqtl:
        beside = ", ".join(header.path.name for header, _ in contents.gwas + contents.eqtl)
        raise DataError(
            "ready TWMR inputs and other tables in one cohort",
            where=where,
            value=beside,
            mend="make two cohorts of them, or choose with column 'files'",
        )
    inputs = sorted(map(read_twmr, contents.twmr), key=lambda one: one.gene)
    gwas, eqtl, matrices = twmr_tables(
        inputs, n_gwas=settings.n_gwas, n_eqtl=settings.n_eqtl, where=where, findings=findings
    )
    said = {
        "title": "ready TWMR inputs",
        "reference": "doi:10.1038/s41467-019-10936-0",
        "effect_allele": "not given",
    }
    models = {one.gene: list(one.genes) for one in inputs}
    return Prepared(gwas, eqtl, {}, [{"file": f"{len(inputs)} tables", **said}], models), matrices


def _read_tables(
    folder: RawFolder, contents: Contents, settings: SummaryStatisticsSection, findings: Findings
) -> Prepared:
    where, meta = shown(folder.path), read_meta(contents.metadata)
    gwas = the_one(contents.gwas, "GWAS", where=where)
    eqtl = the_one(contents.eqtl, "eQTL", where=where)
    prepared = Prepared()
    if gwas is not None:
        n_people = meta.get("sample_size") or settings.n_gwas or None
        prepared.gwas = read_gwas(Source(*gwas, n_people=n_people), findings=findings)
        prepared.builds["GWAS"] = build_in([str(meta.get("genome_assembly", ""))]) or _build(gwas, settings)
        prepared.layouts.append(_said(gwas))
        if not prepared.builds["GWAS"]:
            findings.note("the GWAS has no metadata file that states its genome assembly")
        if gwas[1].key == "two_sample":
            findings.note(exposure_note(gwas[0].path))
    if eqtl is not None:
        by_gene = people_by_gene(contents.people)
        source = Source(*eqtl, n_people=settings.n_eqtl or None, n_of_gene=by_gene)
        prepared.eqtl = read_eqtl(source, findings=findings, largest_p=settings.eqtl_p)
        prepared.builds["eQTL"] = _build(eqtl, settings)
        prepared.layouts.append(_said(eqtl))
    if prepared.gwas and prepared.eqtl:
        prepared.gwas, prepared.eqtl = share_names(
            prepared.gwas, prepared.eqtl, builds=prepared.builds, where=where, findings=findings
        )
    return prepared


def _said(table: Table) -> dict[str, str]:
    header, layout = table
    return {
        "file": header.path.name,
        "title": layout.title,
        "reference": layout.reference,
        "effect_allele": layout.effect_allele,
    }


def _build(table: Table, settings: SummaryStatisticsSection) -> str:
    header, layout = table
    return (
        layout.build or build_in([header.path.name, *header.names, *sample_words(header)]) or settings.build
    )


def read_meta(paths: list[Path]) -> dict[str, Any]:
    """Genome assembly and sample size from the metadata file beside a GWAS-SSF file."""
    import yaml

    if not paths:
        return {}
    try:
        meta = yaml.safe_load(paths[0].read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"not valid YAML ({error})", where=shown(paths[0])) from None
    if not isinstance(meta, dict):
        raise DataError("holds no keys", where=shown(paths[0]), allowed="the metadata of a GWAS-SSF file")
    sizes = [one.get("sample_size") for one in meta.get("samples") or [] if isinstance(one, dict)]
    known = [int(size) for size in sizes if isinstance(size, int | float)]
    return {"genome_assembly": meta.get("genome_assembly", ""), "sample_size": sum(known) or None}


def _all_ld(
    contents: Contents, prepared: Prepared, settings: SummaryStatisticsSection, findings: Findings
) -> Iterable[LdMatrix]:
    """All matrices of the folder in order of their names, then those computed from a panel."""
    if contents.panels and not (prepared.gwas and prepared.eqtl):
        findings.note(
            "the PLINK panel was not used: LD is computed for variants with rows in a GWAS and an eQTL table"
        )
        contents.panels.clear()
    yield from _served_ld(contents)
    if contents.panels and prepared.gwas and prepared.eqtl:
        panels = [open_panel(bed) for bed in contents.panels]
        yield from panel_ld(panels, prepared.gwas, prepared.eqtl, settings=settings, findings=findings)


def _served_ld(contents: Contents) -> Iterator[LdMatrix]:
    for path, snps in contents.listed_ld:
        yield read_ld(path, snps, locus=locus_of(path))
    for path in contents.named_ld:
        yield read_named_ld(path, locus=locus_of(path))
    for path in contents.long_ld:
        yield read_long_ld(path, locus=locus_of(path))


def _record(cohort: Cohort, prepared: Prepared, ld: LdSummary, findings: Findings) -> dict[str, Any]:
    gwas, eqtl = prepared.gwas, prepared.eqtl
    return {
        "cohort": cohort.name,
        "kind": cohort.kind,
        "label": cohort.label,
        "source": cohort.source,
        "n_variants": len(gwas) if gwas else 0,
        "n_genes": eqtl.genes if eqtl else 0,
        "n_loci": ld.n_loci,
        "build": prepared.builds.get("GWAS") or prepared.builds.get("eQTL") or "",
        "builds": prepared.builds,
        "layouts": prepared.layouts,
        "n_eqtl_pairs": len(eqtl) if eqtl else 0,
        "n_rows_read": dict(findings.read),
        "n_ld_pairs": ld.n_pairs,
        "smallest_eigenvalue": ld.smallest_eigenvalue,
        "n_people_gwas": _median(gwas),
        "n_people_eqtl": _median(eqtl),
        "scale_gwas": gwas.scale if gwas else "",
        "scale_eqtl": eqtl.scale if eqtl else "",
        **(_kinds_of_variants(gwas) if gwas else {}),
        **({"models": prepared.models} if prepared.models else {}),
        "messages": findings.messages,
        "removed_by_reason": dict(findings.removed),
    }


def _median(found: Associations | None) -> float | None:
    return float(np.median(found.numbers("n"))) if found else None


def _kinds_of_variants(gwas: Associations) -> dict[str, int]:
    """How many variants are palindromic, and at how many places there are several (other alleles)."""
    effect, other = gwas.codes("effect_allele"), gwas.codes("other_allele")
    placed = gwas.position > 0
    here = (gwas.codes("chromosome")[placed].astype(np.int64) << 32) | gwas.position[placed]
    _, times = np.unique(here, return_counts=True)
    return {
        "n_palindromic": int(((effect + other == 3) & (effect >= 0)).sum()),
        "n_multiallelic_positions": int((times > 1).sum()),
    }
