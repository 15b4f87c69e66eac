"""The comparison of one cohort of summary statistics with one of single cells: its tables and its record."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.concordance.cell_type import FIGURES
from consilience.causal.concordance.examples import ASKED, worked_examples
from consilience.causal.concordance.join import Shared, join
from consilience.causal.concordance.judge import Judged, judge
from consilience.causal.concordance.left_out import LeftOut, left_out_of
from consilience.causal.concordance.pathway_agreement import AGREEMENT, Pathways, pathway_agreement
from consilience.causal.concordance.tables import (
    CAUTIONS,
    NAMED,
    Side,
    cells_side,
    population_side,
    read_table,
)
from consilience.causal.concordance.verdict import verdict
from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.measures.plain import plain

if TYPE_CHECKING:
    import pandas as pd

    from consilience.study.causal import ConcordanceSection
    from consilience.study.sections import PathwaysSection

ROW = (
    "cell_type", "n_genes", "r", "low", "high", "r_corrected", "r_corrected_low", "r_corrected_high",
    "spearman", "p_permutation", "p_donors", "p", "fdr", "p_global", "p_naive", "sign_agreement", "sign_p",
    "deming_slope", "deming_low", "deming_high",
)  # fmt: skip
"""First columns of concordance.parquet; the rest follows."""
GENES = (
    "cell_type", "gene", "ensembl_id", "symbol", "chromosome", "position", "block", "z_population",
    "p_population", "alpha", "alpha_se", "z_cells", "p_cells", "theta", "theta_se", "theta_sd", "theta_sd_se",
    "mean_expression", "stratum", "same_sign",
)  # fmt: skip
STABILITY = ("cell_type", "left_out", "kind", "r")
PATHWAYS = ("side", "pathway", "nes", "p", "fdr", "leading_edge")


def write_concordance(
    *, twmr: Path, mr: Path, dml: Path, left_out: Path | None, out_dir: Path, settings: ConcordanceSection,
    pathways: PathwaysSection | None, seed: int, control: bool = False, asked: Sequence[str] = ASKED,
) -> None:  # fmt: skip
    """Write concordance, genes, stability, pathways, pathway_agreement (.parquet) and metrics.json.

    `left_out`: dml_left_out.parquet, where it is; `pathways`: gene sets of the study (None: no enrichment);
    `control`: the trait is a negative control; `asked`: genes of the worked example. Sides that cannot be
    compared leave empty tables and a record that says why.
    """
    started = time.perf_counter()
    population = population_side(
        read_table(mr if settings.population == "ivw_ld" else twmr),
        where=str(mr if settings.population == "ivw_ld" else twmr), method=settings.population,
    )  # fmt: skip
    record: dict[str, Any] = {"control": control, "population": settings.population}
    try:
        cells = cells_side(read_table(dml), where=str(dml), cell_types=settings.cell_types)
        shared = join(population, cells, block_kb=settings.block_kb, n_strata=settings.strata)
    except DataError as error:
        log.warning("%s", error)
        record |= {"verdict": f"Nothing could be compared: {error}", "messages": [str(error)], "examples": []}
        _write(out_dir, _empty(settings), record | {"settings": settings.model_dump()})
        return
    left = _left_out(left_out, shared)
    judged = judge(shared, settings=settings, seed=seed, left_out=left, control=control)
    found = _pathways(shared, left, settings, pathways, seed)
    examples = worked_examples(population, cells, asked=asked, mr=read_table(mr) if mr.is_file() else None)
    record |= counts(population, cells, shared) | {
        "verdict": verdict(judged.rows, p_global=judged.p_global, control=control),
        "p_global": judged.p_global, "p_global_permutation": judged.p_global_permutation,
        "p_global_donors": judged.p_global_donors, "donors_left_out": bool(left), "examples": examples,
        "messages": messages(population, cells, shared), "settings": settings.model_dump(),
        "seconds": round(time.perf_counter() - started, 2),
    }  # fmt: skip
    tables = {
        "concordance": concordance_table(judged, settings), "genes": gene_table(shared),
        "stability": _frame(judged.stability, STABILITY), "pathways": found.table,
        "pathway_agreement": found.agreement,
    }  # fmt: skip
    _write(out_dir, tables, record)


def concordance_table(judged: Judged, settings: ConcordanceSection) -> pd.DataFrame:
    """Rows of `judged` with the columns that people look for first in front."""
    return _frame(judged.rows, _columns(settings))


def gene_table(shared: Shared) -> pd.DataFrame:
    """GENES: a row for each cell type and gene that both sides have."""
    import pandas as pd
    from scipy import stats

    parts = []
    for t, name in enumerate(shared.cell_types):
        rows = sorted(shared.rows[name].items(), key=lambda one: one[1])
        written, used = [one[0] for one in rows], np.array([one[1] for one in rows], dtype=np.intp)
        y = shared.y[t][used]
        x = shared.x[used]
        parts.append(pd.DataFrame({
            "cell_type": name, "gene": written, "ensembl_id": _at(shared.ensembl_id, used),
            "symbol": _at(shared.symbol, used), "chromosome": _at(shared.chromosome, used),
            "position": shared.position[used], "block": shared.block[used], "z_population": x,
            "p_population": 2 * stats.norm.sf(np.abs(x)), "alpha": shared.alpha[used],
            "alpha_se": shared.alpha_se[used], "z_cells": y, "p_cells": 2 * stats.norm.sf(np.abs(y)),
            "theta": shared.theta[t][used], "theta_se": shared.theta_se[t][used],
            "theta_sd": shared.scaled[t][used], "theta_sd_se": shared.scaled_se[t][used],
            "mean_expression": shared.mean_expression[t][used], "stratum": shared.stratum[used],
            "same_sign": np.sign(x) * np.sign(y) > 0,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)[list(GENES)]


def counts(population: Side, cells: Side, shared: Shared) -> dict[str, Any]:
    """How many genes there are, are shared and were left out."""
    return {
        "n_genes_population": len(population.table), "n_rows_cells": len(cells.table),
        "n_genes_cells": int(cells.table["gene"].nunique()), "n_shared": len(shared.x),
        "n_blocks": int(shared.block.max()) + 1, "n_cell_types": len(shared.cell_types),
        "n_without_place": int((~np.isfinite(shared.position)).sum()),
        "left_out": {
            side: {why: len(genes) for why, genes in one.left_out.items()}
            for side, one in (("population", population), ("cells", cells))
        },
        "unmatched": {side: len(genes) for side, genes in shared.unmatched.items()},
    }  # fmt: skip


def messages(population: Side, cells: Side, shared: Shared) -> list[str]:
    """What was left out, named as far as names help."""
    found = []
    for side, one in (("population side", population), ("cells", cells)):
        for why, genes in one.left_out.items():
            found.append(f"{side}: {len(genes)} genes left out ({why}): {_listed(genes)}")
        for word, count in one.cautions.items():
            found.append(f"{side}: {CAUTIONS[word]} ({count} rows)")
    words = {"population": "of the population side are in no cell type",
             "cells": "of the cells have no partner",
             "cells_twice": "of the cells fit the same gene as another row and were left out"}  # fmt: skip
    for side, names in shared.unmatched.items():
        if names:
            found.append(f"{len(names)} genes {words[side]}: {_listed(names)}")
    if not np.isfinite(shared.position).any():
        found.append("the population side gives no positions: every gene is taken as a block of its own")
    return found


def _pathways(
    shared: Shared, left: Mapping[str, LeftOut], settings: ConcordanceSection,
    pathways: PathwaysSection | None, seed: int,
) -> Pathways:  # fmt: skip
    if pathways is None or not settings.pathway_permutations:
        return Pathways(_frame([], PATHWAYS), _frame([], AGREEMENT))
    from consilience.pathways.gene_sets import load_gene_sets

    sets = {entry.name: entry.genes for entry in load_gene_sets(pathways.gene_sets)}
    return pathway_agreement(
        shared, gene_sets=sets, smallest=pathways.min_genes, largest=pathways.max_genes,
        permutations=settings.pathway_permutations, correction=settings.correction, seed=seed, left_out=left,
    )  # fmt: skip


def _left_out(path: Path | None, shared: Shared) -> dict[str, LeftOut]:
    if path is None or not path.is_file():
        return {}
    return left_out_of(read_table(path), shared, where=str(path))


def _columns(settings: ConcordanceSection) -> list[str]:
    tops = [f"overlap_{k}{end}" for k in settings.top for end in ("", "_expected", "_p")]
    return [*ROW, *tops, *(name for name in FIGURES if name not in ROW), "control", "flags"]


def _empty(settings: ConcordanceSection) -> dict[str, pd.DataFrame]:
    columns = {"concordance": _columns(settings), "genes": GENES, "stability": STABILITY,
               "pathways": PATHWAYS, "pathway_agreement": AGREEMENT}  # fmt: skip
    return {name: _frame([], one) for name, one in columns.items()}


def _frame(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns))


def _write(out_dir: Path, tables: Mapping[str, pd.DataFrame], record: dict[str, Any]) -> None:
    for name, table in tables.items():
        write_parquet(out_dir / f"{name}.parquet", table)
    write_json(out_dir / "metrics.json", plain(record))


def _at(names: Sequence[str], rows: Any) -> list[str]:
    return [names[row] for row in rows]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
