"""Rows of the tables of double machine learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.few_donors import FLAGS as DONOR_FLAGS
from consilience.causal.dml.gene_choice import MIN_DONORS_SEEN
from consilience.causal.dml.inference import FLAGS as SCORE_FLAGS
from consilience.causal.dml.overlap import FLAGS as OVERLAP_FLAGS
from consilience.causal.dml.pseudobulk import FLAGS as PSEUDOBULK_FLAGS
from consilience.causal.dml.sensitivity import robustness_value
from consilience.learning.differential.method import benjamini_hochberg

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.causal.dml.cells import CellsOfType
    from consilience.causal.dml.confounders import Confounders
    from consilience.causal.dml.estimate import Estimates
    from consilience.causal.dml.gene_choice import SeenGenes

    Floats = npt.NDArray[np.float64]

MAIN = (
    "cell_type",
    "gene",
    "ensembl_id",
    "theta",
    "se",
    "low",
    "high",
    "statistic",
    "df",
    "p",
    "fdr",
    "theta_sd",
    "r2_outcome",
    "r2_treatment",
    "n_cells",
    "n_donors",
    "n_cases",
    "mean_expression",
    "share_expressed",
    "repeats_spread",
    "robustness_value",
    "p_naive",
    "flags",
    "theta_dml",
)
LEFT_OUT = ("cell_type", "gene", "left_out", "statistic", "pull")
OUTCOME_TOLD = 0.9
"""Share of the outcome's variance out of fold above which little of it is left to be explained by a gene."""
UNSTEADY = 1.0
"""Standard deviation of the effect over divisions into folds, in standard errors."""
FLAGS: Mapping[str, str] = MappingProxyType({
    "not_expressed": "The gene is seen in no cell of this type: not estimated.",
    "rarely_expressed": "The gene is seen in too small a share of the cells (min_expressed): not estimated.",
    "few_donors_express": f"Fewer than {MIN_DONORS_SEEN} donors show the gene: not estimated.",
    "not_denoised": "The network that denoises does not know the gene: not estimated.",
    "collinear": "Confounders explain the gene's expression wholly: nothing is left to estimate from.",
    "aliased_covariate": "Each level of a covariate (such as batch) has donors of one arm alone; it was left "
                         "out, and the effect may be its effect.",
    "outcome_explained": f"Confounders nearly tell cases from controls (R² above {OUTCOME_TOLD}): "
                         "effects rest on little.",
    "unsteady": "The effect depends on how donors fell into folds: it spreads more over repeats than its "
                "standard error.",
    "few_levels": "Too few cells express the gene, or do not, in some fold: no effect of expressing it.",
    **PSEUDOBULK_FLAGS, **SCORE_FLAGS, **DONOR_FLAGS, **OVERLAP_FLAGS,
})  # fmt: skip


def main_rows(
    cells: CellsOfType, found: Estimates, *, seen: SeenGenes, confounders: Confounders, genes: Sequence[str],
    ensembl_ids: Sequence[str], seed: int,
) -> pd.DataFrame:  # fmt: skip
    """One row for each gene of the file (MAIN), also of those that were not estimated."""
    import pandas as pd

    kept = seen.kept
    n = len(genes)

    def spread(values: Floats) -> Floats:
        made = np.full(n, np.nan)
        made[kept] = np.where(found.collinear, np.nan, values)
        return made

    # the tested effect, the middle of the interval: what penalties leave of linear confounders is out of it
    test = found.test
    tested = test.statistic * test.se
    theta = np.where(np.isfinite(tested), tested, found.theta)
    r2_outcome, steadiness = found.r2_outcome, found.repeats_spread
    with np.errstate(invalid="ignore", divide="ignore"):
        unsteady = steadiness > UNSTEADY * test.se
    flags = np.array(seen.reason, dtype=object)
    flags[kept] = _joined(
        [np.where(found.collinear, "collinear", test.trouble),
         np.where(unsteady, "unsteady", ""), np.where(r2_outcome > OUTCOME_TOLD, "outcome_explained", ""),
         np.full(theta.size, "aliased_covariate" if confounders.aliased_with_disease else "")]
    )  # fmt: skip
    p = spread(test.p)
    return pd.DataFrame(
        {
            "cell_type": cells.cell_type,
            "gene": list(genes),
            "ensembl_id": list(ensembl_ids),
            "theta": spread(theta),
            "se": spread(test.se),
            "low": spread(test.low),
            "high": spread(test.high),
            "statistic": spread(test.statistic),
            "df": spread(test.df),
            "p": p,
            "fdr": benjamini_hochberg(p),
            "theta_sd": spread(theta * found.treatment_sd),
            "r2_outcome": spread(r2_outcome),
            "r2_treatment": spread(found.r2_treatment),
            "n_cells": len(cells.donor),
            "n_donors": len(cells.donors),
            "n_cases": int(cells.disease.sum()),
            "mean_expression": seen.mean,
            "share_expressed": seen.share,
            "repeats_spread": spread(steadiness),
            "robustness_value": spread(robustness_value(statistic=test.statistic, df=test.df)),
            "p_naive": spread(naive_p(found.naive)),
            "flags": flags,
            "theta_dml": spread(found.theta),
        }
    )[list(MAIN)]


def naive_p(naive: Floats) -> Floats:
    """Two-sided normal p-values (G,) of (2, G) effects and errors that take cells for independent."""
    from scipy.stats import norm

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(2 * norm.sf(np.abs(naive[0] / naive[1])))


def _joined(words: Sequence[npt.NDArray[np.str_]]) -> list[str]:
    return [";".join(word for word in row if word) for row in zip(*words, strict=True)]


def left_out_rows(cells: CellsOfType, found: Estimates) -> pd.DataFrame:
    """Rows (LEFT_OUT): each gene's effect without each donor, in the standard errors of all donors.

    With the errors kept, a jackknife over these rows is linear in the donors. `pull`: what the donor adds to
    the effect's variance, as the signed root of its share (see `pulls`).
    """
    import pandas as pd

    n, m = len(cells.genes), len(found.left_out)
    names = np.repeat(np.array(cells.donors[:m], dtype=object), n)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = [
            np.where(
                found.collinear, np.nan, found.test.statistic + (one.theta - found.theta) / found.test.se
            )
            for one in found.left_out
        ]
    statistic = np.concatenate(ratios) if m else np.empty(0)
    pull = np.where(found.collinear, np.nan, found.pulls)[:m].ravel()
    return pd.DataFrame({
        "cell_type": np.full(n * m, cells.cell_type, dtype=object), "gene": list(cells.genes) * m,
        "left_out": names, "statistic": statistic.astype(np.float32),
        "pull": pull.astype(np.float32),
    })[list(LEFT_OUT)]  # fmt: skip


def genomic_inflation(p: Floats) -> float:
    """Median χ² of the p-values over its expectation; 1 where nothing is inflated, NaN without genes."""
    from scipy.stats import chi2

    return float(chi2.isf(np.median(p), 1) / chi2.ppf(0.5, 1)) if p.size else float("nan")
