"""Markers of a study cohort: genes and pathways in each cell type, with error rates and enrichment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.rnagan.markers.enrichment import ranked_enrichment
from consilience.rnagan.markers.find import find_markers
from consilience.rnagan.markers.settings import Markers, MarkerSettings
from consilience.rnagan.model import Rnagan, load_model
from consilience.rnagan.study_diagnosis import donors_of
from consilience.rnagan.study_samples import CASE, CONTROL, read_cohort

if TYPE_CHECKING:
    import pandas as pd

    from consilience.learning.samples import Samples
    from consilience.study.sections import RnaganSection

FDR = 0.05
LEAST_DRAWS = 100
"""Permutations of genes behind an enrichment, at least; five times those of labels otherwise."""
PARTS = ("genes", "pathways", "interactions", "enrichment")


@dataclass
class StudyMarkers:
    """Tables of all cell types by name (see PARTS), each with the cell type first; `tasks` for JSON."""

    tables: dict[str, list[pd.DataFrame]] = field(default_factory=lambda: {name: [] for name in PARTS})
    tasks: list[dict[str, Any]] = field(default_factory=list)

    def write(self, tables: Mapping[str, Path], record: Path, *, more: Mapping[str, Any]) -> None:
        """Every table to its path (empty where no task could be done) and the record."""
        import pandas as pd

        for name, path in tables.items():
            parts = self.tables[name]
            write_parquet(
                path, pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"cell_type": []})
            )
        write_json(record, {"tasks": self.tasks, **more})


def find_cohort_markers(
    path: Path, base_folder: Path, *, name: str, settings: RnaganSection, seed: int,
    tables: Mapping[str, Path], record: Path,
) -> None:  # fmt: skip
    """Ask the base, which never saw this cohort, with the cohort's own patients as references.

    Since no label of the cohort has trained it, permuting labels gives exact error rates without training
    anything again.
    """
    started, base = time.monotonic(), load_model(base_folder)
    cohort = read_cohort(path, name=name).of_genes(base.genes)
    found = StudyMarkers()
    for cell_type, samples in cohort.tasks():
        _one_task(found, samples, cell_type, base=base, settings=settings, seed=seed)
    more = {"base_cohorts": [entry["name"] for entry in base.record["cohorts"]], "preset": base.preset.name,
            "seconds": round(time.monotonic() - started, 1)}  # fmt: skip
    found.write(tables, record, more=more)


def _one_task(
    found: StudyMarkers, samples: Samples, cell_type: str, *, base: Rnagan, settings: RnaganSection, seed: int
) -> None:
    told: dict[str, Any] = {"cell_type": cell_type, "skipped": None, "n_donors": donors_of(samples)}
    try:
        markers = find_markers(
            samples, positive=CASE, negative=CONTROL, scorer=base.discriminator.train(mode=False),
            pathways=base.wiring if base.wiring.pathways else None,
            settings=MarkerSettings(permutations=settings.permutations, resamples=settings.resamples,
                                    seed=seed),
        )  # fmt: skip
    except DataError as error:
        found.tasks.append(told | {"skipped": str(error)})
        log.warning("%s: no markers: %s", cell_type or "markers", error)
        return
    enriched = _enriched(markers, base, count=max(LEAST_DRAWS, 5 * settings.permutations), seed=seed)
    own = {"genes": markers.genes, "pathways": markers.pathways, "interactions": markers.interactions,
           "enrichment": enriched}  # fmt: skip
    for part, table in own.items():
        table.insert(0, "cell_type", cell_type)
        found.tables[part].append(table)
    significant = {part: int((own[part]["fdr"] <= FDR).sum()) for part in ("genes", "pathways", "enrichment")}
    found.tasks.append(told | markers.record | {"n_significant": significant, "fdr_level": FDR})


def _enriched(markers: Markers, base: Rnagan, *, count: int, seed: int) -> pd.DataFrame:
    """Gene sets of the model among the signed effects of all genes."""
    wiring = base.wiring
    bounds = zip(wiring.pathways, wiring.start[:-1].tolist(), wiring.start[1:].tolist(), strict=True)
    sets = {
        name: [wiring.genes[gene] for gene in wiring.member[first:last].tolist()]
        for name, first, last in bounds
    }
    return ranked_enrichment(
        genes=markers.genes["feature"].tolist(), effect=markers.genes["effect"].to_numpy(dtype=np.float64),
        gene_sets=sets, permutations=count, seed=seed,
    )  # fmt: skip
