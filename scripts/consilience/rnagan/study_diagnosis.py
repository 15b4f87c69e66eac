"""Diagnosis of a study cohort, judged on patients that its models have never seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.devices import Device
from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.learning.baselines import baseline
from consilience.rnagan.draw_scores import Scorer
from consilience.rnagan.evaluation import Adapt, Evaluation, Plan, evaluate, evaluate_transfer
from consilience.rnagan.model import Rnagan, load_model
from consilience.rnagan.study_models import Run, adapted, untrained
from consilience.rnagan.study_samples import CASE, CONTROL, StudyCohort, read_cohort
from consilience.rnagan.subset import OnGenes

if TYPE_CHECKING:
    import pandas as pd

    from consilience.learning.samples import Samples
    from consilience.study.sections import RnaganSection

ADAPTED, AS_PRETRAINED, UNPRETRAINED = "rnagan", "rnagan, not adapted", "rnagan, no pretraining"
COLUMNS = ("cell_type", "sample", "donor", "split", "n_references", "n_positive", "n_negative", "label",
           "method", "score", "probability", "low", "high", "ood")  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """`table`: predictions of all cell types (see `Evaluation`); `record` for JSON."""

    table: pd.DataFrame
    record: dict[str, Any]

    def write(self, table: Path, record: Path) -> None:
        """Both files."""
        write_parquet(table, self.table)
        write_json(record, self.record)


def diagnose_cohort(
    path: Path, base_folder: Path, *, name: str, settings: RnaganSection, seed: int
) -> Judged:
    """Repeated splits by donor, in each cell type; whatever learns sees the training patients only."""
    base = load_model(base_folder)
    cohort = read_cohort(path, name=name).of_genes(base.genes)
    plan = _plan(settings, seed)

    def judge(samples: Samples, cell_type: str) -> Evaluation:
        return evaluate(
            samples, positive=CASE, methods=_methods(base, cohort, seed), plan=plan,
            baselines={key: baseline(key) for key in settings.baselines}, n_splits=settings.splits,
        )  # fmt: skip

    return _judged(cohort.tasks(), judge, base)


def diagnose_across(
    train_path: Path, test_path: Path, base_folder: Path, *, names: tuple[str, str], settings: RnaganSection,
    seed: int,
) -> Judged:  # fmt: skip
    """Learn in one cohort, diagnose another; `base_folder` is the base of the one that is diagnosed.

    Cell types that both have, or all samples of two bulk cohorts; genes that both measured.
    """
    base = load_model(base_folder)
    train, test = read_cohort(train_path, name=names[0]), read_cohort(test_path, name=names[1])
    if train.scale != test.scale:
        raise DataError("the cohorts are not on one scale (one holds array intensities, the other reads)",
                        where="rnagan.transfer", value=f"{names[0]} to {names[1]}",
                        mend="take this pair out of rnagan.transfer")  # fmt: skip
    known = set(train.samples.genes)
    genes = tuple(gene for gene in base.genes if gene in known)
    train, test = train.of_genes(genes), test.of_genes(genes)
    of_train = dict(train.tasks())
    shared = [(cell_type, samples) for cell_type, samples in test.tasks() if cell_type in of_train]

    def judge(samples: Samples, cell_type: str) -> Evaluation:
        learned = of_train[cell_type]
        # the same name in two cohorts is not the same patient; copies are found by their profiles
        learned = replace(
            learned, names=np.char.add(f"{names[0]}: ", learned.names),
            donors=np.char.add(f"{names[0]}: ", learned.donors),
        )  # fmt: skip
        return evaluate_transfer(
            learned, samples, positive=CASE, methods=_methods(base, train, seed), plan=_plan(settings, seed),
            baselines={key: baseline(key) for key in settings.baselines}, n_repeats=settings.splits,
        )  # fmt: skip

    return _judged(shared, judge, base)


def _plan(settings: RnaganSection, seed: int) -> Plan:
    return Plan(sizes=tuple(sorted(set(settings.references))), n_draws=settings.draws, seed=seed)


def _judged(tasks: Any, judge: Callable[[Samples, str], Evaluation], base: Rnagan) -> Judged:
    """Every task that can be judged; of the others the reason stands in the record."""
    import pandas as pd

    started, tables, records = time.monotonic(), [], []
    for cell_type, samples in tasks:
        told: dict[str, Any] = {"cell_type": cell_type, "skipped": None, "n_samples": len(samples),
                                "n_donors": donors_of(samples), "summary": None}  # fmt: skip
        try:
            found = judge(samples, cell_type)
        except DataError as error:
            told["skipped"] = str(error)
            log.warning("%s: not judged: %s", cell_type or "diagnosis", error)
        else:
            tables.append(found.predictions.assign(cell_type=cell_type))
            told["summary"] = found.summary
        records.append(told)
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    return Judged(table[list(COLUMNS)], {
        "tasks": records, "base_cohorts": [entry["name"] for entry in base.record["cohorts"]],
        "preset": base.preset.name, "n_genes": len(base.genes),
        "seconds": round(time.monotonic() - started, 1),
    })  # fmt: skip


def donors_of(samples: Samples) -> dict[str, int]:
    """Number of donors of each arm."""
    return {arm: int(np.unique(samples.donors[samples.labels == arm]).size) for arm in (CASE, CONTROL)}


def _methods(base: Rnagan, cohort: StudyCohort, seed: int) -> Mapping[str, Adapt]:
    """Ours: the base adapted to the training patients, as it is, and without its pretraining."""
    pretrained = bool(base.record["cohorts"])
    fresh = untrained(base.preset, base.wiring, seed=seed)
    methods: dict[str, Adapt] = {ADAPTED: adapting(base if pretrained else fresh, cohort)}
    if pretrained:
        methods[AS_PRETRAINED] = lambda samples, positive, seed: (_scorer(base, samples.genes), None)
        methods[UNPRETRAINED] = adapting(fresh, cohort)
    return methods


def adapting(base: Rnagan, cohort: StudyCohort) -> Adapt:
    """A base adapted to given samples of a cohort: a scorer, without a calibration of its own."""

    def adapt(samples: Samples, positive: str, seed: int) -> tuple[Scorer, None]:
        own = replace(cohort, samples=spread(samples, base.genes), cell_types=np.full(len(samples), ""))
        own = replace(
            own, samples=replace(own.samples, labels=np.where(samples.labels == positive, CASE, CONTROL))
        )
        model = adapted(base, own, run=Run(Device("cpu", "evaluation"), None, seed)).model
        return _scorer(model, samples.genes), None

    return adapt


def spread(samples: Samples, genes: Sequence[str]) -> Samples:
    """The samples under these genes; those that they lack are 0."""
    if samples.genes == tuple(genes):
        return samples
    place = {gene: number for number, gene in enumerate(samples.genes)}
    values = np.zeros((len(samples), len(genes)), dtype=np.float32)
    for number, gene in enumerate(genes):
        if gene in place:
            values[:, number] = samples.values[:, place[gene]]
    return replace(samples, values=values, genes=tuple(genes))


def _scorer(model: Rnagan, genes: tuple[str, ...]) -> Scorer:
    if genes == model.genes:
        found: Scorer = model.discriminator.train(mode=False)
        return found
    return OnGenes(model, genes)
