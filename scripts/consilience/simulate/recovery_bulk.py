"""Bulk cohorts: planted outliers against removed samples, planted genes against a plain t-test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from consilience.simulate.checks import FDR, Check, removed_table
from consilience.simulate.statistics import auroc, n_discoveries, rank_sum_z, sign_p, welch
from consilience.simulate.truth import Truth

MAX_FALSE_REMOVED = 0.10
REPORTED_ONLY = "sex_mismatch"


def bulk_checks(path: Path, *, facts: Any, truth: Truth, mask: Any) -> list[Check]:
    """All comparisons of one bulk cohort."""
    import anndata

    data = anndata.read_h5ad(path)
    x = np.asarray(data.X.todense() if hasattr(data.X, "todense") else data.X, dtype=np.float64)
    arm = data.obs["arm"].astype(str).to_numpy()
    genes = truth.genes.set_index("gene").reindex(data.var_names)
    causal, effect = genes["causal"].eq(True).to_numpy(), genes["effect"].fillna(0.0).to_numpy()
    test = welch(case=x[arm == "case"], control=x[arm == "control"])
    checks = outlier_checks(removed_table(path), facts=facts)
    if not causal.any():
        return [*checks, false_findings(test.p, where="a t-test of every gene")]
    checks += gene_checks(np.abs(test.t), test.difference, causal=causal, effect=effect)
    sets = {str(name): part for name, part in mask.groupby("pathway", sort=True)["gene"]}
    row_of = {gene: row for row, gene in enumerate(data.var_names)}
    rows = {
        name: np.array([row_of[g] for g in part if g in row_of], dtype=np.intp) for name, part in sets.items()
    }
    return [*checks, *pathway_checks(np.abs(test.t), rows=rows, planted=truth.disease.pathways)]


def outlier_checks(removed: Any, *, facts: Any) -> list[Check]:
    """Compare removed samples with planted outliers."""
    gone = set(removed["id"].astype(str))
    planted = set(facts.loc[facts["outlier"] & (facts["outlier_kind"] != REPORTED_ONLY), "id"])
    relabelled = set(facts.loc[facts["outlier_kind"] == REPORTED_ONLY, "id"])
    found, false = planted & gone, gone - planted - relabelled
    rate = len(gone) / max(len(facts), 1)
    n_sound = max(len(facts) - len(planted) - len(relabelled), 1)
    checks = [
        Check(
            name="sound samples removed",
            planted="0",
            found=str(len(false)),
            value=len(false) / n_sound,
            ideal=0.0,
            chance=rate,
            ok=len(false) / n_sound <= MAX_FALSE_REMOVED,
            text=f"{len(false)} of {n_sound} sound samples were removed",
        )
    ]
    if planted:
        missed = sorted(planted - found)
        text = f"{len(found)} of {len(planted)} planted outliers were removed"
        checks.insert(
            0,
            Check(
                name="outliers",
                planted=str(len(planted)),
                found=str(len(found)),
                value=len(found) / len(planted),
                ideal=1.0,
                chance=rate,
                ok=not missed,
                text=text + (f"; missed: {', '.join(missed[:5])}" if missed else ""),
            ),
        )
    return checks


def gene_checks(
    score: npt.NDArray[np.float64],
    difference: npt.NDArray[np.float64],
    *,
    causal: Any,
    effect: Any,
    where: str = "",
) -> list[Check]:
    """Compare |t| and sign of the causal genes with all others."""
    area = auroc(score=score, positive=causal)
    known = causal & np.isfinite(difference)
    right = int((np.sign(difference[known]) == np.sign(effect[known])).sum())
    n = int(known.sum())
    return [
        Check(
            name=f"causal genes{where}",
            planted=f"{int(causal.sum())} genes",
            found=f"AUROC {area.value:.2f}",
            value=area.value,
            ideal=1.0,
            chance=0.5,
            ok=area.beats_chance(),
            text=f"|t| ranks a causal gene above another one in {area.value:.0%} of pairs (chance: 50 %)",
        ),
        Check(
            name=f"signs{where}",
            planted=f"{n} signed effects",
            found=f"{right} right",
            value=right / max(n, 1),
            ideal=1.0,
            chance=0.5,
            ok=sign_p(n_right=right, n=n) < 0.05,
            text=f"{right} of {n} causal genes change in the planted direction (chance: half)",
        ),
    ]


def pathway_checks(
    score: npt.NDArray[np.float64], *, rows: dict[str, npt.NDArray[np.intp]], planted: tuple[str, ...]
) -> list[Check]:
    """Rank the planted pathways among all of the mask by a competitive rank-sum test on |t|."""
    names = [name for name, members in rows.items() if members.size]
    z = rank_sum_z(score=score, sets=[rows[name] for name in names])
    place = {name: int((z > value).sum()) + 1 for name, value in zip(names, z, strict=True)}
    here = [name for name in planted if name in place]
    if not here:
        return []
    shares = np.array([(place[name] - 0.5) / len(names) for name in here])
    limit = 0.5 - 1.645 * np.sqrt(1 / 12 / len(here))
    ranks = "; ".join(f"{name}: {place[name]:,} of {len(names):,}" for name in here)
    return [
        Check(
            name="causal pathways",
            planted=f"{len(here)} pathways",
            found=f"mean rank in the top {shares.mean():.0%}",
            value=float(shares.mean()),
            ideal=0.0,
            chance=0.5,
            ok=bool(shares.mean() < limit),
            text=f"rank by a competitive test: {ranks}",
        )
    ]


def false_findings(p: npt.NDArray[np.float64], *, where: str) -> Check:
    """In a null study nothing may be found."""
    n = n_discoveries(p, level=FDR)
    return Check(
        name="false findings",
        planted="no effect",
        found=f"{n} genes at FDR {FDR:.0%}",
        value=float(n),
        ideal=0.0,
        chance=0.0,
        ok=n == 0,
        text=f"{where} finds {n} genes at a false discovery rate of {FDR:.0%}; there is nothing to find",
    )
