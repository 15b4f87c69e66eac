"""Markers of synthetic samples beside what was planted, in simulated studies."""

from __future__ import annotations

from collections.abc import Mapping

from consilience.report.elements import Cell
from consilience.report.results import StudyResults
from consilience.report.sections._augment_reading import frame, listed_values, rows_of
from consilience.report.sections._rnagan_reading import number
from consilience.study.cohorts import Cohort

FILE = "truth/genes.parquet"
RANKINGS = (("effect_real", "patients"), ("effect_synthetic", "synthetic samples"))


def planted_effects(results: StudyResults, cohort: Cohort) -> Mapping[str, float]:
    """Planted effect by gene, 0 where none was; {} for cohorts that were not simulated."""
    path = results.root / FILE
    if cohort.source != "simulated" or not path.is_file():
        return {}
    table = results.table(path)
    if not {"gene", "effect"} <= set(table.columns):
        return {}
    return dict(zip(table["gene"].astype(str), table["effect"].fillna(0.0).astype(float), strict=True))


def truth_rows(results: StudyResults, cohort: Cohort) -> list[tuple[Cell, ...]]:
    """Planted genes found again, ranked on patients and on synthetic samples, pairwise in this order."""
    from consilience.foundation.errors import DataError
    from consilience.rnagan.markers.against_truth import recovery

    table = frame(results, cohort, "markers.parquet", needs=("gene", "effect_real", "effect_synthetic"))
    planted = planted_effects(results, cohort)
    if table is None or not planted:
        return []
    if "run" in table:
        table = rows_of(table, run=table["run"].iloc[0])
    who = listed_values(table, "generator")
    rows: list[tuple[Cell, ...]] = []
    for column, words in RANKINGS:
        try:
            found = recovery(features=table["gene"].astype(str).tolist(), truth=planted,
                             effect=table[column].fillna(0.0).to_numpy(dtype=float))  # fmt: skip
        except DataError:  # a null study: nothing was planted
            return []
        rows.append((cohort.name, who[0] if who else "", words, number(found.auprc), number(found.chance),
                     number(found.sign_accuracy), found.n_planted))  # fmt: skip
    return rows
