"""The tables that people read: instruments.parquet, genes.parquet, and the record beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.instruments.alleles import letters
from consilience.causal.instruments.choose import Chosen
from consilience.causal.instruments.ld_check import contradicted
from consilience.causal.instruments.reasons import CODES, FLAGS
from consilience.causal.instruments.strength import joint_f, variant_f
from consilience.causal.instruments.study import Found

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.study.causal import InstrumentsSection

    Integers = npt.NDArray[np.int64]

SINGULAR = 1e-3
"""Smallest eigenvalue of the instruments' LD below which it counts as singular."""
FEW = 3


def instrument_table(found: Found) -> pd.DataFrame:
    """One row per gene and variant: its eQTLs below the limit, kept or not, and kept ones of neighbours."""
    import pandas as pd

    tables = found.tables
    genes, variants, pairs = tables.genes, tables.variants, tables.pairs
    rows = np.flatnonzero(found.reason != CODES["weak"])
    gene, variant, row, kept = _added(found, rows)
    place = np.lexsort((variants.name[variant].astype(str), variants.position[variant], gene))
    gene, variant, row, kept = gene[place], variant[place], row[place], kept[place]
    there = row >= 0
    effect = np.where(there, found.harmonised.eqtl[row], np.nan)
    people = np.where(there, pairs.n[row], np.nan)
    log_p = np.where(there, pairs.log_p[row], np.nan)
    words = np.array(list(CODES), dtype=object)
    return pd.DataFrame({
        "gene": genes.gene[gene], "symbol": genes.symbol[gene], "variant": variants.name[variant],
        "chromosome": variants.chromosome[variant], "position": _whole(variants.position[variant]),
        "effect_allele": letters(variants.alleles.effect[variant]),
        "other_allele": letters(variants.alleles.other[variant]),
        "eqtl_beta": effect, "eqtl_p": 10.0**-log_p, "gwas_beta": found.harmonised.gwas[variant],
        "gwas_p": 10.0 ** -variants.log_p[variant], "f": variant_f(effect, people), "n_eqtl": people,
        "n_gwas": variants.n[variant], "palindromic": there & found.harmonised.palindromic[row],
        "flipped": there & found.harmonised.flipped[row], "kept": kept,
        "reason": words[np.where(kept | ~there, 0, found.reason[row])],
    })  # fmt: skip


def gene_table(found: Found, *, settings: InstrumentsSection) -> pd.DataFrame:
    """One row a gene of the eQTL table: what it has, what was dropped and why, and what to beware of."""
    import pandas as pd

    genes = found.tables.genes
    counts = np.zeros((len(genes.gene), len(CODES)), dtype=np.int64)
    np.add.at(counts, (found.tables.pairs.gene, found.reason), 1)
    table = pd.DataFrame({
        "gene": genes.gene, "symbol": genes.symbol, "chromosome": genes.chromosome,
        "position": _whole(genes.position),
        "n_candidates": counts.sum(1) - counts[:, CODES["weak"]],
    })  # fmt: skip
    figures = [_figures(found, number) for number in range(len(genes.gene))]
    for name in ("n_kept", "n_genes"):
        table[name] = np.array([one[name] for one in figures], dtype=np.int64)
    table["dropped"] = [_dropped(row) for row in counts]
    for name in ("mean_f", "min_f"):
        table[name] = np.array([one[name] for one in figures], dtype=np.float64)
    table["unknown_pairs"] = np.array([one["unknown_pairs"] for one in figures], dtype=np.int64)
    table["left_out_genes"] = [one["left_out_genes"] for one in figures]
    bad = contradicted(found.agreements) if found.agreements else np.zeros(len(figures), dtype=bool)
    table["flags"] = [
        ";".join(_flags(found, number, one | {"contradicted": bad[number]}, settings=settings))
        for number, one in enumerate(figures)
    ]
    table["n_own"] = np.array([one["n_own"] for one in figures], dtype=np.int64)
    for name in ("joint_f", "smallest_eigenvalue", "n_eqtl", "n_gwas"):
        table[name] = np.array([one[name] for one in figures], dtype=np.float64)
    agreements = found.agreements
    table["ld_pairs"] = np.array([one.n for one in agreements] or [0] * len(table), dtype=np.int64)
    table["ld_agreement"] = np.array(
        [one.share for one in agreements] or [np.nan] * len(table), dtype=np.float64
    )
    return table


def record_of(
    found: Found, genes: pd.DataFrame, *, settings: InstrumentsSection, qc: Mapping[str, Any]
) -> dict[str, Any]:
    """Counts, settings and messages for instruments.json."""
    counts = np.bincount(found.reason, minlength=len(CODES))
    kept = genes["n_kept"] > 0
    limit = 10.0**-found.limit if np.isfinite(found.limit) and not found.record["ready_inputs"] else None
    flags = [flag for words in genes["flags"] for flag in words.split(";") if flag]
    return {
        "n_genes": len(genes),
        "n_with_instruments": int(kept.sum()),
        "n_variants": len(found.tables.variants.name),
        "n_pairs": len(found.reason),
        "n_candidates": int(genes["n_candidates"].sum()),
        "dropped": {name: int(counts[code]) for name, code in CODES.items() if name and counts[code]},
        "median_n_kept": float(genes.loc[kept, "n_kept"].median()) if kept.any() else None,
        "median_n_genes": float(genes.loc[kept, "n_genes"].median()) if kept.any() else None,
        "median_f": float(genes.loc[kept, "mean_f"].median()) if kept.any() else None,
        "unknown_pairs": int(genes["unknown_pairs"].sum()),
        "flags": {flag: flags.count(flag) for flag in FLAGS if flag in flags},
        "largest_p": limit,
        "builds": qc.get("builds") or {},
        **found.record,
        "settings": settings.model_dump(mode="json"),
        "messages": [*found.messages, *_said_of_unknown(genes, qc)],
    }


def _said_of_unknown(genes: pd.DataFrame, qc: Mapping[str, Any]) -> list[dict[str, str]]:
    unknown = int(genes["unknown_pairs"].sum())
    if not unknown:
        return []
    if "models" in qc:
        return [{"level": "note", "text": f"{unknown:,} effects are 0 in the ready TWMR inputs: no eQTL of "
                 "that gene, by their authors' choice (counted in unknown_pairs)"}]  # fmt: skip
    left_out = [one["text"] for one in qc.get("messages") or [] if "eqtl_p" in one.get("text", "")]
    why = f" ({left_out[0]})" if left_out else ""
    text = (
        f"{unknown:,} effects of an instrument on another gene are not in the eQTL table and count as "
        f"0{why}: column unknown_pairs says how many a gene has"
    )
    return [{"level": "note", "text": text}]


def _added(found: Found, rows: Integers) -> tuple[Integers, Integers, Integers, npt.NDArray[np.bool_]]:
    """Genes, variants, rows of the eQTL table (-1: none) and whether kept, with the neighbours' variants."""
    pairs = found.tables.pairs
    chosen = [one for one in found.chosen if one is not None]
    own = np.concatenate([np.empty(0, dtype=np.int64), *(one.own for one in chosen)])
    more = [~np.isin(one.rows[:, 0], one.own) | (one.rows[:, 0] < 0) for one in chosen]
    gene = [np.full(int(new.sum()), one.genes[0]) for one, new in zip(chosen, more, strict=True)]
    variant = [one.variants[new] for one, new in zip(chosen, more, strict=True)]
    row = [one.rows[new, 0] for one, new in zip(chosen, more, strict=True)]
    rows = np.setdiff1d(rows, np.concatenate([np.empty(0, dtype=np.int64), *row]))
    kept = np.zeros(len(pairs.z), dtype=bool)
    kept[own] = True
    added = sum(map(len, gene))
    return (
        np.concatenate([pairs.gene[rows], *gene]).astype(np.int64),
        np.concatenate([pairs.variant[rows], *variant]).astype(np.int64),
        np.concatenate([rows, *row]).astype(np.int64),
        np.concatenate([kept[rows], np.ones(added, dtype=bool)]),
    )


def _figures(found: Found, number: int) -> dict[str, Any]:
    one = found.chosen[number]
    if one is None:
        none = dict.fromkeys(
            ("mean_f", "min_f", "joint_f", "smallest_eigenvalue", "n_eqtl", "n_gwas"), np.nan
        )
        return none | {"n_kept": 0, "n_genes": 0, "unknown_pairs": 0, "n_own": 0, "left_out_genes": ""}
    pairs = found.tables.pairs
    f = variant_f(found.harmonised.eqtl[one.own], pairs.n[one.own])
    people = float(np.median(pairs.n[one.own]))
    mine = np.isin(one.rows[:, 0], one.own)
    return {
        "n_kept": len(one.variants),
        "n_genes": len(one.genes),
        "mean_f": float(f.mean()),
        "min_f": float(f.min()),
        "unknown_pairs": int((~one.known).sum()),
        "left_out_genes": ";".join(found.tables.genes.gene[one.left_out]),
        "n_own": len(one.own),
        "joint_f": joint_f(effect=one.eqtl[mine, 0], ld=one.ld[np.ix_(mine, mine)], people=people),
        "smallest_eigenvalue": float(np.linalg.eigvalsh(one.ld)[0]),
        "n_eqtl": people,
        "n_gwas": float(np.median(found.tables.variants.n[one.variants])),
    }


def _flags(
    found: Found, number: int, figures: Mapping[str, Any], *, settings: InstrumentsSection
) -> list[str]:
    one: Chosen | None = found.chosen[number]
    holds = {
        "no_instruments": one is None,
        "weak_instruments": figures["mean_f"] < settings.min_f,
        "one_variant": figures["n_kept"] == 1,
        "few_variants": 0 < figures["n_kept"] < FEW,
        "ld_across_loci": one is not None and one.n_absent > 0,
        "singular_ld": figures["smallest_eigenvalue"] < SINGULAR,
        "ld_contradicts": bool(figures["contradicted"]),
        "ld_doubtful": found.doubtful,
        "no_place": found.tables.genes.position[number] < 0 and not found.record["ready_inputs"],
        "ready_inputs": bool(found.record["ready_inputs"]),
    }
    given = set(one.flags) if one is not None else set()
    return [flag for flag in FLAGS if flag in given or holds.get(flag, False)]


def _dropped(counts: npt.NDArray[np.int64]) -> str:
    return "; ".join(f"{name} {counts[code]}" for name, code in CODES.items() if name and counts[code])


def _whole(places: Integers) -> pd.Series[Any]:
    """Positions as whole numbers that may be missing."""
    import pandas as pd

    return pd.Series(np.maximum(places, 0), dtype="Int64").mask(pd.Series(places < 0))
