"""The strongest genes once more: other learners, other scores, donors' pseudobulks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.dml.cells import CellsOfType
from consilience.causal.dml.estimate import estimate
from consilience.causal.dml.learners import learner

if TYPE_CHECKING:
    import pandas as pd

    from consilience.causal.dml.estimate import Estimates
    from consilience.study.causal import DmlSection

OTHERS = ("cell_type", "gene", "ensembl_id", "variant", "theta", "se", "statistic", "df", "p", "r2_outcome",
          "r2_treatment", "flags")  # fmt: skip
SCORES = ("partialling_out", "iv_type", "irm")


def other_rows(
    cells: CellsOfType, main: pd.DataFrame, *, settings: DmlSection, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows (OTHERS) of the `settings.top` genes of least p, and what is told of them.

    The main learner with the other scores, the other learners with the main score; one division into folds each.
    """
    import pandas as pd

    chosen = strongest(main, cells=cells, top=settings.top)
    if not len(chosen.genes):
        return pd.DataFrame(columns=list(OTHERS)), {}
    asked = [(score, settings.learner) for score in SCORES if score != settings.score]
    asked += [(settings.score, name) for name in settings.others if name != settings.learner]
    parts = []
    for score, name in asked:
        learner(name)
        found = estimate(chosen, learner=name, score=score, folds=settings.folds, repeats=1, seed=seed)  # type: ignore[arg-type]
        parts.append(_rows(chosen, found, f"{score}:{name}"))
    return pd.concat(parts, ignore_index=True), {}


def strongest(main: pd.DataFrame, *, cells: CellsOfType, top: int) -> CellsOfType:
    """The cells with the `top` genes of least p alone; ties by name."""
    known = main[main["p"].notna()].sort_values(["p", "gene"], kind="stable").head(top)
    place = {gene: number for number, gene in enumerate(cells.genes)}
    columns = np.array([place[gene] for gene in known["gene"]], dtype=np.intp)
    return CellsOfType(
        cells.cell_type, cells.donors, cells.donor, cells.disease, cells.confounders, cells.columns,
        cells.expression[:, columns], tuple(cells.genes[one] for one in columns),
        tuple(cells.ensembl_ids[one] for one in columns),
    )  # fmt: skip


def _rows(cells: CellsOfType, found: Estimates, variant: str) -> pd.DataFrame:
    import pandas as pd

    test, sound = found.test, ~found.collinear & np.isfinite(found.theta)

    def of(values: Any) -> Any:
        return np.where(sound, values, np.nan)

    flags = np.where(
        found.collinear, "collinear", np.where(np.isfinite(found.theta), test.trouble, "no_variation")
    )
    return pd.DataFrame({
        "cell_type": cells.cell_type, "gene": list(cells.genes), "ensembl_id": list(cells.ensembl_ids),
        "variant": variant, "theta": of(found.theta), "se": of(test.se), "statistic": of(test.statistic),
        "df": of(test.df), "p": of(test.p), "r2_outcome": of(found.r2_outcome),
        "r2_treatment": of(found.r2_treatment), "flags": flags,
    })[list(OTHERS)]  # fmt: skip
