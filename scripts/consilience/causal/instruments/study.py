"""The step of a study: a prepared cohort to its instruments, and why each variant and gene was dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.inputs import GeneInputs
from consilience.causal.inputs_file import write_inputs
from consilience.causal.instruments.choose import Candidates, Chosen, candidates, choose_instruments
from consilience.causal.instruments.filters import filtered, log_p_limit
from consilience.causal.instruments.harmonise import Harmonised, harmonise, unharmonised
from consilience.causal.instruments.ld import gather
from consilience.causal.instruments.ld_check import Agreement, gene_agreements, judge_ld
from consilience.causal.instruments.ready import is_ready, ready_instruments
from consilience.causal.instruments.reasons import CODES
from consilience.causal.instruments.tables import Tables, read_tables
from consilience.foundation.errors import DataError
from consilience.foundation.files import read_json, write_json, write_parquet

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.study.causal import InstrumentsSection


@dataclass(frozen=True)
class Found:
    """Instruments of a cohort: `chosen` one entry a gene of the eQTL table (None: it has none).

    `reason` (p,) why a row of the eQTL table is no instrument (number of CODES); `agreements` of effects and
    LD, one a gene (none without LD); `doubtful`: effects and LD contradict each other over all genes; `limit`
    -log10 of the largest p-value; `record` and `messages` go into instruments.json.
    """

    tables: Tables
    harmonised: Harmonised
    chosen: list[Chosen | None]
    reason: npt.NDArray[np.int8]
    agreements: list[Agreement]
    doubtful: bool
    limit: float
    record: dict[str, Any]
    messages: list[dict[str, str]]


def write_instruments(tables: Path, out_dir: Path, *, settings: InstrumentsSection) -> None:
    """From gwas, eqtl, ld.parquet and qc.json in `tables`: instruments, inputs, genes and a record.

    Raises
    ------
    DataError
        Where a table cannot be read, does not say its people, or has its alleles swapped.
    """
    from consilience.causal.instruments.rows import gene_table, instrument_table, record_of

    qc = read_json(tables / "qc.json") if (tables / "qc.json").is_file() else {}
    read = int((qc.get("n_rows_read") or {}).get("eQTL") or 0)
    models = qc.get("models") or {}
    found = find_instruments(read_tables(tables), settings=settings, n_tests=read, models=models)
    genes = gene_table(found, settings=settings)
    write_parquet(out_dir / "instruments.parquet", instrument_table(found))
    write_inputs(out_dir / "inputs.parquet", gene_inputs(found))
    write_parquet(out_dir / "genes.parquet", genes)
    write_json(out_dir / "instruments.json", record_of(found, genes, settings=settings, qc=qc))


def find_instruments(
    tables: Tables, *, settings: InstrumentsSection, n_tests: int = 0,
    models: Mapping[str, Sequence[str]] | None = None,
) -> Found:  # fmt: skip
    """Instruments of all genes of a cohort; `n_tests` rows of the whole eQTL study (for its FDR).

    `models`: of ready TWMR inputs the genes of each focal gene's table.
    """
    _refuse_without_people(tables)
    ready = is_ready(tables)
    harmonised = unharmonised(tables) if ready else harmonise(tables, policy=settings.palindromic)
    limit = 0.0 if ready else log_p_limit(
        tables.pairs.log_p, p=settings.p, fdr=settings.fdr, n_tests=n_tests
    )  # fmt: skip
    reason = harmonised.reason if ready else filtered(tables, harmonised, settings=settings, limit=limit)
    sizes = len(tables.genes.gene), len(tables.variants.name)
    pool = candidates(tables.pairs, harmonised.eqtl, reason == 0, sizes=sizes)
    ld = gather(harmonised.loci, n_variants=sizes[1])
    chosen: list[Chosen | None] = [None] * sizes[0]
    if ready:
        for locus in harmonised.loci:
            one = ready_instruments(locus, tables, pool, models=models or {})
            chosen[int(np.flatnonzero(tables.genes.gene == locus.name)[0])] = one
    else:
        has_ld = ld if tables.loci else None
        chosen = [choose_instruments(gene, pool, has_ld, settings) for gene in range(sizes[0])]
    reason = _with_pruned(reason, chosen, pool, has_ld=bool(tables.loci))
    agreements = gene_agreements(pool, harmonised.ld_reason == 0, ld) if tables.loci else []
    trait = harmonised.gwas * np.sqrt(tables.variants.n)
    record, alarms, doubtful = judge_ld(agreements, trait=trait, loci=harmonised.loci, served=tables.loci)
    messages = [*harmonised.messages, *alarms, *_notes(tables, ready=ready)]
    if settings.fdr and not ready and tables.pairs.z.size and (tables.pairs.log_p >= limit).all():
        messages.append({"level": "note", "text": "every row of the eQTL table passes fdr: it was cut at a "
                         "smaller p-value before (summary_statistics: eqtl_p)"})  # fmt: skip
    record = {"ready_inputs": ready, "harmonised": harmonised.record, "ld_check": record}
    return Found(tables, harmonised, chosen, reason, agreements, doubtful, limit, record, messages)


def gene_inputs(found: Found) -> list[GeneInputs]:
    """What the estimators read, one entry a gene with instruments, in the order of the genes' ids."""
    tables = found.tables
    genes, variants, pairs = tables.genes, tables.variants, tables.pairs
    inputs = []
    for one in found.chosen:
        if one is None:
            continue
        people = np.where(one.known, pairs.n[one.rows], np.nan)
        inputs.append(GeneInputs(
            gene=str(genes.gene[one.genes[0]]), symbol=str(genes.symbol[one.genes[0]]),
            genes=tuple(genes.gene[one.genes]), variants=tuple(variants.name[one.variants]), eqtl=one.eqtl,
            gwas=found.harmonised.gwas[one.variants], ld=one.ld, known=one.known,
            n_eqtl=np.nanmedian(people, axis=0), n_gwas=float(np.median(variants.n[one.variants])),
        ))  # fmt: skip
    return inputs


def _refuse_without_people(tables: Tables) -> None:
    for name, key, n in (
        ("eqtl.parquet", "n_eqtl", tables.pairs.n),
        ("gwas.parquet", "n_gwas", tables.variants.n[tables.variants.in_gwas]),
    ):
        if n.size and not (np.isfinite(n) & (n > 0)).any():
            raise DataError(
                "no row says how many people its effect comes from", where=f"{name}: n",
                mend=f"set summary_statistics: {key} in the configuration and prepare the cohort again",
            )  # fmt: skip


def _with_pruned(
    reason: npt.NDArray[np.int8], chosen: list[Chosen | None], pool: Candidates, *, has_ld: bool
) -> npt.NDArray[np.int8]:
    reason = reason.copy()
    code = CODES["ld_pruned" if has_ld else "not_in_ld"]
    rows = [one.pruned for one in chosen if one is not None]
    if rows:
        reason[np.concatenate(rows)] = code
    return reason


def _notes(tables: Tables, *, ready: bool) -> list[dict[str, str]]:
    notes = []
    if ready:
        notes.append(("note", "ready TWMR inputs: variants, other genes and LD are taken as they came; no "
                      "place is known, so that the MHC is not left out"))  # fmt: skip
    elif not tables.loci:
        notes.append(("alarm", "no LD for variants of the eQTL table: each gene has its strongest variant "
                      "only"))  # fmt: skip
    if not tables.pairs.z.size:
        notes.append(("alarm", "the eQTL table is empty: there is no gene to look at"))
    elif not tables.variants.in_gwas.any():
        notes.append(("alarm", "no variant of the eQTL table is in the GWAS: do both use the same names?"))
    absent = sum(locus.n_absent for locus in tables.loci)
    if absent:
        notes.append(("note", f"{absent:,} pairs of variants within LD matrices have no row: taken as 0"))
    return [{"level": level, "text": text} for level, text in notes]
