"""The strongest genes once more: other learners, other scores, donors' pseudobulks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.dml.crossfit import Score, cross_predicted
from consilience.causal.dml.estimate import estimate
from consilience.causal.dml.folds import donor_folds
from consilience.causal.dml.learners import learner
from consilience.causal.dml.testing import mean_columns
from consilience.causal.dml.treatments import treatment_blocks

if TYPE_CHECKING:
    import pandas as pd

    from consilience.causal.dml.cells import CellsOfType
    from consilience.causal.dml.estimate import Estimates
    from consilience.study.causal import DmlSection

OTHERS = ("cell_type", "gene", "ensembl_id", "variant", "theta", "se", "statistic", "df", "p", "r2_outcome",
          "r2_treatment", "flags")  # fmt: skip
SCORES: tuple[Score, ...] = ("partialling_out", "iv_type", "irm")


def other_rows(
    cells: CellsOfType, main: pd.DataFrame, *, settings: DmlSection, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows (OTHERS) of the `settings.top` genes of least p, and what is told of them.

    The main learner with the other scores, the other learners with the main score; one division into folds
    each.
    """
    import pandas as pd

    chosen = strongest(main, cells=cells, top=settings.top)
    if not len(chosen.genes):
        return pd.DataFrame(columns=list(OTHERS)), {}
    asked = [(score, settings.learner) for score in SCORES if score != settings.score]
    asked += [(settings.score, name) for name in settings.others if name != settings.learner]
    parts: list[pd.DataFrame] = []
    told: dict[str, Any] = {}
    for score, name in asked:
        found = estimate(chosen, learner=name, score=score, folds=settings.folds, repeats=1, seed=seed,
                         inference=settings.inference)  # fmt: skip
        rows = _rows(chosen, found, f"{score}:{name}")
        if score == "irm":
            flags, told["overlap"] = _overlaps(chosen, settings, name, seed)
            rows["flags"] = [";".join(filter(None, both)) for both in zip(rows["flags"], flags, strict=True)]
        parts.append(rows)
    parts.append(_pseudobulk_rows(cells, chosen))
    return pd.concat(parts, ignore_index=True), told


def _pseudobulk_rows(cells: CellsOfType, chosen: CellsOfType) -> pd.DataFrame:
    """Donors' means of the chosen genes; the variances of all genes are drawn together."""
    import pandas as pd

    from consilience.causal.dml.pseudobulk import donor_means, pseudobulk

    outcome, covariates = cells.unit_outcome, mean_columns(cells)
    means = donor_means(cells.expression, cells.unit, outcome.size)
    if cells.arm is not None:  # donors' own levels: differences within donors, m - 1 degrees of freedom
        covariates = np.column_stack([np.repeat(np.eye(len(cells.donors)), 2, axis=0), covariates])
    theta, test = pseudobulk(means=means, disease=outcome, covariates=covariates)
    place = {gene: number for number, gene in enumerate(cells.genes)}
    those = np.array([place[gene] for gene in chosen.genes], dtype=np.intp)
    return pd.DataFrame({
        "cell_type": cells.cell_type, "gene": list(chosen.genes), "ensembl_id": list(chosen.ensembl_ids),
        "variant": "pseudobulk", "theta": theta[those], "se": test.se[those],
        "statistic": test.statistic[those], "df": test.df[those], "p": test.p[those], "r2_outcome": np.nan,
        "r2_treatment": np.nan, "flags": test.trouble[those],
    })[list(OTHERS)]  # fmt: skip


def _overlaps(
    cells: CellsOfType, settings: DmlSection, name: str, seed: int
) -> tuple[list[str], dict[str, Any]]:
    """Flags of the genes' propensities, and their summary: the median gene of each figure."""
    from consilience.causal.dml.overlap import overlap

    folds = donor_folds(cells.donors, disease=cells.disease, folds=settings.folds, repeat=0, seed=seed)
    flags: list[str] = []
    records = []
    for treatment in treatment_blocks(cells, binary=True):
        propensity = cross_predicted(
            confounders=cells.confounders, targets=treatment, donor=cells.donor, folds=folds,
            fit_predict=learner(name).fit_predict, kind="probability", seed=seed,
        )  # fmt: skip
        for one, treated in zip(propensity.T, treatment.T > 0, strict=True):
            found = overlap(propensity=one, treated=treated)
            flags.append(found.flag)
            records.append(found.record())
    middle = {key: float(np.nanmedian([one[key] for one in records])) for key in records[0]}
    return flags, middle | {"genes": len(flags), "poor": sum(flag != "" for flag in flags)}


def strongest(main: pd.DataFrame, *, cells: CellsOfType, top: int) -> CellsOfType:
    """The cells with the `top` genes of least p alone; ties by name."""
    known = main[main["p"].notna()].sort_values(["p", "gene"], kind="stable").head(top)
    place = {gene: number for number, gene in enumerate(cells.genes)}
    columns = np.array([place[gene] for gene in known["gene"]], dtype=np.intp)
    return replace(
        cells, expression=cells.expression[:, columns], genes=tuple(cells.genes[one] for one in columns),
        ensembl_ids=tuple(cells.ensembl_ids[one] for one in columns),
    )  # fmt: skip


def _rows(cells: CellsOfType, found: Estimates, variant: str) -> pd.DataFrame:
    import pandas as pd

    test, sound = found.test, ~found.collinear & np.isfinite(found.theta)

    def of(values: Any) -> Any:
        return np.where(sound, values, np.nan)

    flags = np.where(
        found.collinear, "collinear", np.where(np.isfinite(found.theta), test.trouble, "few_levels")
    )
    return pd.DataFrame({
        "cell_type": cells.cell_type, "gene": list(cells.genes), "ensembl_id": list(cells.ensembl_ids),
        "variant": variant, "theta": of(found.theta), "se": of(test.se), "statistic": of(test.statistic),
        "df": of(test.df), "p": of(test.p), "r2_outcome": of(found.r2_outcome),
        "r2_treatment": of(found.r2_treatment), "flags": flags,
    })[list(OTHERS)]  # fmt: skip
