"""A folder of ready TWMR inputs as the same three tables that GWAS, eQTL and LD files give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.columns import Associations, gathered, in_order, table_of
from consilience.sources.summary_statistics.effects import neg_log10_p
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.ld import LdMatrix
from consilience.sources.summary_statistics.twmr import TwmrInputs

_SAME_EFFECT = 1e-6


def twmr_tables(
    inputs: Sequence[TwmrInputs], *, n_gwas: float, n_eqtl: float, where: str, findings: Findings
) -> tuple[Associations, Associations, list[LdMatrix]]:
    """GWAS, eQTL and LD of ready inputs; the locus of a matrix is its focal gene.

    Places and alleles are unknown (null): effects and LD refer to one allele throughout, whichever it is.
    Standard errors are 1 / sqrt(people). The tables do not say the people, so the configuration must.
    """
    unknown = [key for key, value in (("n_gwas", n_gwas), ("n_eqtl", n_eqtl)) if not value]
    if unknown:
        raise DataError(
            "TWMR tables do not say how many people their effects come from",
            where=where,
            mend=f"set summary_statistics: {' and '.join(unknown)} in the configuration",
        )
    gwas = _gwas(inputs, n=n_gwas, findings=findings)
    eqtl = _eqtl(inputs, n=n_eqtl, findings=findings)
    blank = [("",) * len(one.rsid) for one in inputs]
    matrices = [
        LdMatrix(one.gene, one.rsid, none, none, one.ld, float(np.linalg.eigvalsh(one.ld)[0]))
        for one, none in zip(inputs, blank, strict=True)
    ]
    findings.note(
        f"ready TWMR inputs of {len(inputs):,} focal genes: effects are standardised, places and alleles are "
        f"not given (people: GWAS {n_gwas:,.0f}, eQTL {n_eqtl:,.0f}, from the configuration)"
    )
    return gwas, eqtl, matrices


def _gwas(inputs: Sequence[TwmrInputs], *, n: float, findings: Findings) -> Associations:
    effects: dict[str, list[float]] = {}
    for one in inputs:
        for name, value in zip(one.rsid, one.gwas, strict=True):
            effects.setdefault(name, []).append(float(value))
    differ = [name for name, values in effects.items() if max(values) - min(values) > _SAME_EFFECT]
    if differ:
        turned = [name for name in differ if np.ptp(np.abs(effects[name])) <= _SAME_EFFECT]
        findings.alarm(
            f"{len(differ)} variants have different GWAS effects in the tables of different genes"
            + (f" ({len(turned)} of them with the other sign: another effect allele)" if turned else "")
            + f": {', '.join(differ[:5])}; left out of the GWAS table, whole in their own TWMR table"
        )
    names = [name for name in effects if name not in set(differ)]
    beta = np.array([effects[name][0] for name in names], dtype=np.float64)
    table = table_of("gwas", _columns(names, beta, n=n))
    found, _ = in_order(gathered("gwas", [table], "standardised"), (np.zeros(len(names), dtype=np.int64),))
    return found


def _eqtl(inputs: Sequence[TwmrInputs], *, n: float, findings: Findings) -> Associations:
    import pyarrow as pa

    effects: dict[tuple[str, str], list[float]] = {}
    zeros = 0
    for one in inputs:
        for column, gene in enumerate(one.genes):
            for name, value in zip(one.rsid, one.effects[:, column], strict=True):
                if value:
                    effects.setdefault((gene, name), []).append(float(value))
                else:
                    zeros += 1
    differ = [pair for pair, values in effects.items() if max(values) - min(values) > _SAME_EFFECT]
    if differ:
        findings.alarm(
            f"{len(differ)} pairs of variant and gene have different effects in different TWMR tables; "
            "left out"
        )
    findings.note(f"{zeros:,} effects of exactly 0 (no eQTL of that gene) are no rows of the eQTL table")
    pairs = [pair for pair in effects if pair not in set(differ)]
    beta = np.array([effects[pair][0] for pair in pairs], dtype=np.float64)
    none = np.full(len(pairs), -1, dtype=np.int64)
    table = table_of(
        "eqtl",
        _columns([name for _, name in pairs], beta, n=n)
        | {
            "ensembl_id": pa.array([gene for gene, _ in pairs], pa.string()).dictionary_encode(),
            "gene": pa.nulls(len(pairs), pa.string()).dictionary_encode(),
            "gene_chromosome": none,
            "gene_position": none,
        },
    )
    rank = {gene: k for k, gene in enumerate(sorted({gene for gene, _ in pairs}))}
    by_gene = np.array([rank[gene] for gene, _ in pairs], dtype=np.int64)
    found, _ = in_order(gathered("eqtl", [table], "standardised"), (by_gene,))
    return found


def _columns(
    names: Sequence[str], beta: np.ndarray[Any, np.dtype[np.float64]], *, n: float
) -> dict[str, Any]:
    import pyarrow as pa

    size = len(names)
    none, people = np.full(size, -1, dtype=np.int64), np.full(size, float(n))
    z = beta * np.sqrt(n)
    return {
        "rsid": pa.array(names, pa.string()),
        "chromosome": none,
        "position": none,
        "effect_allele": none,
        "other_allele": none,
        "beta": beta,
        "standard_error": 1.0 / np.sqrt(people),
        "z": z,
        "p_value": 10.0 ** -neg_log10_p(z),
        "effect_allele_frequency": np.full(size, np.nan),
        "n": people,
        "n_effective": people,
    }
