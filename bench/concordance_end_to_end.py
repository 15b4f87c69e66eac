"""Concordance from raw simulated data to its verdict: what it finds, and what it claims where nothing is.

Every study has a truth, single cells and summary statistics of its own, drawn by the simulator; instruments, TWMR,
double machine learning (ridge) and the comparison run as in a study. Studies take turns: the trait is the disease
(planted cell types agree, others must not), another trait (`unrelated`: nothing agrees, though the disease acts in
the cells), or nothing was planted at all (`nothing`).

    python bench/concordance_end_to_end.py [--studies 52] [--only "6+6, hard"]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from consilience.causal.concordance.join import Shared, join
from consilience.causal.concordance.judge import judge
from consilience.causal.concordance.left_out import LeftOut, left_out_of
from consilience.causal.concordance.tables import cells_side, population_side
from consilience.causal.dml.cells_file import CellSource
from consilience.causal.dml.study import estimate_cohort
from consilience.foundation.files import write_json
from consilience.simulate.truth import Truth, read_truth, write_truth
from consilience.sources.cells.matrix import Labels
from consilience.study.causal import ConcordanceSection, DmlSection, InstrumentsSection
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

SCENARIOS: dict[str, dict[str, Any]] = {
    "6+6, as simulated": {"donors": 6},
    "6+6, hard": {"donors": 6, "effect": 0.5, "programs": 2.5},
    "8+8, hard": {"donors": 8, "effect": 0.5, "programs": 2.5},
}
"""Donors in each arm; hard: effects on cells and trait halved, donors differ more in their gene programs."""
KINDS = ("disease", "unrelated", "disease", "nothing")
"""What the trait of study 1, 2, 3 and 4 is, and so on."""
TARGET = 1e4
CELLS = Cohort("cells", "single_cell", "simulated", "h5ad", "condition", ("diseased",), ("healthy",), "donor",
               "cell_type", "batch")  # fmt: skip
TRAIT = Cohort("trait", "summary_statistics", "simulated", "gwas_ssf")
OTHER = replace(TRAIT, name="other")
JUDGING = ConcordanceSection(permutations=499, top=[20])
DML = DmlSection(latents=False, others=[], top=0, repeats=3)
TESTS = {"naive": "p_naive", "blocks dealt": "p_permutation", "donors": "p_donors", "both": "p"}


@dataclass(frozen=True)
class Study:
    """Both sides of a study, joined; `planted` cell types in which agreement is true."""

    kind: str
    shared: Shared
    left_out: dict[str, LeftOut]
    planted: frozenset[str]


def simulated(
    seed: int, *, kind: str, donors: int, genes: int = 1_000, cells: int = 250, loci: int = 100,
    effect: float = 1.0, programs: float = 1.0,
) -> Study:  # fmt: skip
    """Draw one study and estimate both of its sides.

    `effect` of all that is planted; `programs` by how much donors differ more in their gene programs.
    """
    settings = SimulationSection(
        n_genes=genes, effect=0.0 if kind == "nothing" else effect,
        single_cell={"n_case": donors, "n_control": donors, "cells_per_donor": cells},
        summary_statistics={"n_loci": loci}, cohorts={"other": {"unrelated": True}},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write_truth(settings=settings, seed=seed, out_dir=Path(folder) / "truth")
        truth = read_truth(Path(folder) / "truth")
        cohort = OTHER if kind == "unrelated" else TRAIT
        twmr = population_table(Path(folder), cohort=cohort, settings=settings, truth=truth)
    found = estimate_cohort(cell_source(settings, truth, programs=programs), settings=DML, seed=seed)
    shared = join(population_side(twmr, where="twmr"), cells_side(found.main, where="dml"),
                  block_kb=JUDGING.block_kb, n_strata=JUDGING.strata)  # fmt: skip
    active = zip(truth.expression.types, truth.expression.active, strict=True)
    planted = frozenset(name for name, on in active if on and kind == "disease")
    return Study(kind, shared, left_out_of(found.left_out, shared, where="left out"), planted)


def population_table(folder: Path, *, cohort: Cohort, settings: SimulationSection, truth: Truth) -> Any:
    """TWMR of simulated summary statistics, through their files."""
    import pandas as pd

    from consilience.causal.instruments.study import write_instruments
    from consilience.causal.twmr.study import write_twmr
    from consilience.simulate.gwas import write_gwas
    from consilience.sources.summary_statistics.prepare import prepare_summary_statistics

    raw, tables, made = folder / "raw", folder / "tables", folder / "population"
    for one in (raw, raw / "ld", tables, made):
        one.mkdir()
    write_gwas(raw, cohort=cohort, settings=settings, truth=truth)
    files = [path for path in sorted(raw.rglob("*")) if path.is_file()]
    write_json(raw / "provenance.json", {"files": [
        {"name": path.relative_to(raw).as_posix(), "bytes": path.stat().st_size,
         "sha256": sha256(path.read_bytes()).hexdigest()} for path in files
    ]})  # fmt: skip
    prepare_summary_statistics(cohort=cohort, raw_dir=raw, out_dir=tables, qc_path=tables / "qc.json")
    write_instruments(tables, made, settings=InstrumentsSection())
    write_twmr(made / "inputs.parquet", made / "genes.parquet", made / "twmr.parquet",
               settings=InstrumentsSection())  # fmt: skip
    return pd.read_parquet(made / "twmr.parquet")


def cell_source(settings: SimulationSection, truth: Truth, *, programs: float = 1.0) -> CellSource:
    """The simulated cells, log-normalised, without those that quality control would remove."""
    from scipy import sparse

    from consilience.simulate.cohort import cell_source as simulator

    source: Any = simulator(CELLS, settings, truth)
    columns: dict[str, list[str]] = {}
    arms, kept, counts = [], [], []
    for task in source.tasks():
        context = replace(task.context, scores=task.context.scores * programs)
        block = source.draw(replace(task, context=context))
        one = block.counts
        counts.append(sparse.csr_matrix((one.values.astype(np.float32), one.genes, one.indptr),
                                        shape=(one.indptr.size - 1, len(truth.symbols))))  # fmt: skip
        arms += block.facts["arm"]
        kept += [not odd for odd in block.facts["outlier"]]
        for name, values in block.columns.items():
            columns.setdefault(name, []).extend(values)
    rows = np.flatnonzero(kept)
    matrix = sparse.vstack(counts).tocsr()[rows]
    totals = np.asarray(matrix.sum(1)).ravel()
    mitochondrial = np.asarray(matrix[:, source.model.mitochondrial].sum(1)).ravel() / totals
    matrix.data = np.log1p(matrix.data / np.repeat(totals / TARGET, np.diff(matrix.indptr))).astype(
        np.float32
    )

    def label(name: str) -> Labels:
        return Labels.from_text(columns[name]).take(rows)

    def number(values: Any) -> Labels:
        return replace(Labels.from_text(f"{value:.6g}" for value in values), numeric=True)

    return CellSource(
        where="simulated cells", names=np.arange(rows.size).astype("S"), donor=label("donor").compact(),
        arm=np.array([arm == "case" for arm in arms], dtype=np.int8)[rows],
        cell_type=label("cell_type").compact(),
        covariates={
            "library_size": number(totals), "mitochondrial_share": number(mitochondrial),
            "batch": label("batch"), "sex": label("sex"), "age": replace(label("age"), numeric=True),
        },
        missing=(), latents=None, genes=tuple(truth.symbols),
        ensembl_ids=tuple(truth.genes["ensembl_id"]), entries=np.diff(matrix.indptr).astype(np.int64),
        blocks=lambda wanted: iter([(0, matrix)]),
    )  # fmt: skip


def rows_of(study: Study, *, number: int) -> list[dict[str, Any]]:
    """What the comparison says of each cell type, and what was planted."""
    found = judge(study.shared, settings=JUDGING, seed=number, left_out=study.left_out)
    return [row | {"study": number, "kind": study.kind, "planted": row["cell_type"] in study.planted}
            for row in found.rows]  # fmt: skip


def summary(rows: Any) -> dict[str, str]:
    """Rates in words; the standard error of a rate of studies is at most 0.5/√studies."""
    known = rows[rows["p"].notna()]
    planted, null = known[known["planted"]], known[~known["planted"]]
    claimed = known[(known["fdr"] <= 0.05) & (known["r"] > 0)]
    found = {"studies": f"{rows['study'].nunique()}", "null types": f"{len(null)}"}
    for name, column in TESTS.items():
        found[f"null: {name}"] = f"{(null[column] < 0.05).mean():.3f}"
    for name in sorted(set(planted["cell_type"])):
        own = planted[planted["cell_type"] == name]
        found[f"power, {name}: naive"] = f"{(own['p_naive'] < 0.05).mean():.2f}"
        found[f"{name}: blocks"] = f"{(own['p_permutation'] < 0.05).mean():.2f}"
        found[f"{name}: both"] = f"{(own['p'] < 0.05).mean():.2f}"
        found[f"{name}: FDR 5 %"] = f"{((own['fdr'] <= 0.05) & (own['r'] > 0)).mean():.2f}"
        found[f"{name}: r"] = f"{own['r'].mean():.2f}"
        found[f"{name}: sign right"] = f"{(own['r'] > 0).mean():.2f}"
    studies = known.groupby("study")
    false = claimed.groupby("study")["planted"].apply(lambda one: float((~one).mean()))
    found["FDR"] = f"{false.reindex(known['study'].unique(), fill_value=0.0).mean():.3f}"
    naive_null = null.groupby("study")["p_naive"].min() * null.groupby("study").size()
    found["null studies with a naive claim"] = f"{(naive_null < 0.05).mean():.2f}"
    for kind in ("disease", "unrelated", "nothing"):
        own = known[known["kind"] == kind]
        if len(own):
            found[f"global p < .05, {kind}"] = (
                f"{(own.groupby('study')['p_global'].first() < 0.05).mean():.2f}"
            )
            wrong = ((own["fdr"] <= 0.05) & ~own["planted"]).groupby(own["study"]).any()
            found[f"any false claim, {kind}"] = f"{wrong.mean():.2f}"
    found["cell types a study"] = f"{studies.size().mean():.1f}"
    found["genes shared"] = f"{known['n_genes'].mean():.0f}"
    return found


def main() -> None:
    """Print the table."""
    import pandas as pd

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=52)
    parser.add_argument("--only", nargs="*", default=list(SCENARIOS), choices=list(SCENARIOS))
    asked = parser.parse_args()
    columns: dict[str, dict[str, str]] = {}
    for name in asked.only:
        started = time.process_time()
        rows = []
        for number in range(1, asked.studies + 1):
            kind = KINDS[(number - 1) % len(KINDS)]
            rows += rows_of(simulated(1000 + number, kind=kind, **SCENARIOS[name]), number=number)
        columns[name] = summary(pd.DataFrame(rows)) | {
            "CPU seconds a study": f"{(time.process_time() - started) / asked.studies:.1f}"
        }
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    print(f"| | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for name in names:
        print(f"| {name} | {' | '.join(column.get(name, '') for column in columns.values())} |")


if __name__ == "__main__":
    main()
