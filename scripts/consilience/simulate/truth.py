"""The planted truth: one set of causal genes, pathways, cell types and programs drives all data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.files import read_json, write_json, write_parquet
from consilience.foundation.seeds import stream
from consilience.simulate.catalogue import Catalogue, build_catalogue
from consilience.simulate.plant import (
    plant_disease,
    plant_expression,
    plant_loci,
    plant_perturbations,
    plant_programs,
)
from consilience.simulate.planted import Disease, Expression, Perturbations, Programs
from consilience.study.sections import SimulationSection

if TYPE_CHECKING:
    import pandas as pd

TRUTH_FORMAT = 1
TRUTH_KEYS = ("n_genes", "n_causal_genes", "n_causal_pathways", "effect")


@dataclass(frozen=True)
class Truth:
    """All that is planted.

    `genes` one row a gene (genes.parquet), `expression`, `disease`, `programs`, `perturbations` as planted,
    `seed` and `settings` (the truth's own keys) as given.
    """

    seed: int
    settings: dict[str, Any]
    genes: pd.DataFrame
    expression: Expression
    disease: Disease
    programs: Programs
    perturbations: Perturbations

    @property
    def symbols(self) -> list[str]:
        """Gene symbols in the order of all arrays."""
        return list(self.genes["gene"])

    def rows_of_chromosome(self, chromosome: str) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Rows of the genes of one chromosome."""
        return np.flatnonzero((self.genes["chromosome"] == chromosome).to_numpy())


def write_truth(*, settings: SimulationSection, seed: int, out_dir: Path) -> None:
    """Plant the truth of a study and write it; the sizes of single cohorts do not change it."""
    import pandas as pd

    catalogue = build_catalogue(n_genes=settings.n_genes)
    expression = plant_expression(catalogue, seed=seed)
    disease = plant_disease(catalogue, expression, settings=settings, seed=seed)
    programs = plant_programs(catalogue, disease, seed=seed)
    perturbations = plant_perturbations(catalogue, expression, disease, seed=seed)
    loci = plant_loci(catalogue, disease, seed=seed)
    genes = gene_table(catalogue, expression=expression, disease=disease, loci=loci)
    write_parquet(out_dir / "genes.parquet", genes)
    write_parquet(out_dir / "pathways.parquet", pathway_table(catalogue, disease=disease))
    write_parquet(out_dir / "cell_types.parquet", expression.cell_type_table())
    write_parquet(out_dir / "expression_model.parquet", expression.gene_table(catalogue.symbols))
    write_parquet(out_dir / "programs.parquet", programs.table(catalogue.symbols))
    write_parquet(out_dir / "perturbations.parquet", perturbations.table(catalogue.symbols))
    write_parquet(out_dir / "perturbation_groups.parquet", pd.DataFrame(
        {"perturbation": perturbations.names, "pathway": perturbations.pathways}
    ))  # fmt: skip
    write_json(out_dir / "truth.json", {
        "format_version": TRUTH_FORMAT,
        "seed": seed,
        "settings": {key: getattr(settings, key) for key in TRUTH_KEYS},
        "summary": summary(genes, disease=disease, expression=expression, perturbations=perturbations),
    })  # fmt: skip


def gene_table(
    catalogue: Catalogue, *, expression: Expression, disease: Disease, loci: list[str]
) -> pd.DataFrame:
    """One row a gene: identity, place, what disease does to it and what it does to disease."""
    import pandas as pd

    home = [""] * len(catalogue.symbols)
    for name, rows in catalogue.sets.items():
        for row in rows:
            home[row] = home[row] or name
    for row, name in zip(disease.candidates, disease.pathway_of_candidate, strict=True):
        home[row] = name
    return pd.DataFrame({
        "gene": catalogue.symbols,
        "ensembl_id": catalogue.ensembl_ids,
        "causal": disease.effect != 0,
        "candidate": np.isin(np.arange(len(home)), disease.candidates),
        "effect": disease.effect,
        "alpha": disease.alpha,
        "pathway": home,
        "chromosome": catalogue.chromosomes,
        "position": np.asarray(catalogue.positions, dtype=np.int64),
        "locus": loci,
    })  # fmt: skip


def pathway_table(catalogue: Catalogue, *, disease: Disease) -> pd.DataFrame:
    """One row a pathway: whether it was planted and the mean effect of its causal genes."""
    import pandas as pd

    names = list(catalogue.sets)
    planted = set(disease.pathways) if np.any(disease.effect) else set()
    own = {
        name: [
            row
            for row, home in zip(disease.candidates, disease.pathway_of_candidate, strict=True)
            if home == name
        ]
        for name in disease.pathways
    }
    return pd.DataFrame({
        "pathway": names,
        "collection": [catalogue.collections[name] for name in names],
        "planted": [name in planted for name in names],
        "candidate": [name in disease.pathways for name in names],
        "effect": [float(disease.effect[own[name]].mean()) if own.get(name) else 0.0 for name in names],
        "n_genes": [len(catalogue.sets[name]) for name in names],
    })  # fmt: skip


def summary(
    genes: pd.DataFrame, *, disease: Disease, expression: Expression, perturbations: Perturbations
) -> dict[str, Any]:
    """What was planted, in a few numbers and names."""
    causal = bool(genes["causal"].any())
    return {
        "n_genes": len(genes),
        "n_causal_genes": int(genes["causal"].sum()),
        "causal_pathways": list(disease.pathways) if causal else [],
        "active_cell_types": [
            n for n, on in zip(expression.types, expression.active, strict=True) if on and causal
        ],
        "n_cell_types": len(expression.types),
        "n_perturbations": len(perturbations.names),
        "n_loci": int(genes.loc[genes["locus"] != "", "locus"].nunique()),
    }


def read_truth(
    truth_dir: Path, *, settings: SimulationSection | None = None, seed: int | None = None
) -> Truth:
    """Read the truth back; with `settings` and `seed`, refuse one that was planted otherwise."""
    import pandas as pd

    record = read_json(truth_dir / "truth.json")
    asked = {} if settings is None else {key: getattr(settings, key) for key in TRUTH_KEYS}
    differing = [key for key, value in asked.items() if record["settings"].get(key) != value]
    if differing or (seed is not None and record["seed"] != seed):
        raise DataError(
            "this truth was planted with other settings", where=str(truth_dir / "truth.json"),
            value=", ".join(differing) or f"seed {record['seed']}", mend="delete the folder and run again",
        )  # fmt: skip
    genes = pd.read_parquet(truth_dir / "genes.parquet")
    row_of = {gene: row for row, gene in enumerate(genes["gene"])}
    return Truth(
        seed=record["seed"],
        settings=record["settings"],
        genes=genes,
        expression=Expression.from_tables(
            pd.read_parquet(truth_dir / "expression_model.parquet"),
            pd.read_parquet(truth_dir / "cell_types.parquet"),
        ),
        disease=Disease.from_genes(genes, pd.read_parquet(truth_dir / "pathways.parquet")),
        programs=Programs.from_table(pd.read_parquet(truth_dir / "programs.parquet"), row_of=row_of),
        perturbations=Perturbations.from_tables(
            pd.read_parquet(truth_dir / "perturbations.parquet"),
            pd.read_parquet(truth_dir / "perturbation_groups.parquet"),
            row_of=row_of,
        ),
    )


def line_gains(*, seed: int, line: str, pathways: list[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How strongly each pathway's program answers in one cell line (one log-normal factor per pathway)."""
    names = sorted(set(pathways))
    gain = {name: float(np.exp(stream(seed, "line", line, name).normal(-0.05, 0.35))) for name in names}
    return np.array([gain[name] for name in pathways])
