"""Bulk samples: each a mixture of cell types, with donor, batch, programs and planted outliers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import ConfigError
from consilience.foundation.seeds import stream
from consilience.simulate.counts import dispersion_trend, draw_counts, with_mitochondrial_share
from consilience.simulate.plan import PlannedSample, bulk_sizes, planned_samples
from consilience.simulate.truth import Truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
OUTLIER_KINDS = ("failed_library", "swapped_tissue", "sex_mismatch")
COUNTS_PER_GENE = 800.0
LIBRARY_SD, BATCH_SD, DONOR_SD = 0.25, 0.20, 0.15
DISPERSION_FLOOR, DISPERSION_EXTRA = 0.04, 2.0
MITOCHONDRIAL_SHARE = 0.08
SILENT = np.log(1e-3)


@dataclass(frozen=True)
class BulkCohort:
    """`planned` samples with `ages`; `counts` (samples, genes); `facts` planted, one row a sample."""

    planned: list[PlannedSample]
    ages: list[int]
    counts: npt.NDArray[np.int64]
    facts: pd.DataFrame


def simulate_bulk(*, cohort: Cohort, settings: SimulationSection, truth: Truth) -> BulkCohort:
    """Draw a bulk cohort from the truth; each sample has its own stream."""
    import pandas as pd

    planned = planned_samples(cohort, settings)
    kinds = plant_outliers(
        planned, n_outliers=bulk_sizes(cohort, settings).n_outliers, cohort=cohort, truth=truth
    )
    counts = np.empty((len(planned), len(truth.genes)), dtype=np.int64)
    facts, ages, labelled = [], [], []
    for row, (one, kind) in enumerate(zip(planned, kinds, strict=True)):
        rng = stream(truth.seed, cohort.name, "sample", one.sample)
        age = int(stream(truth.seed, cohort.name, "age", one.donor).integers(24, 80))
        library = COUNTS_PER_GENE * len(truth.genes) * float(np.exp(rng.normal(0.0, LIBRARY_SD)))
        mean = sample_profile(sample=one, kind=kind, cohort=cohort, truth=truth, rng=rng)
        if kind == "failed_library":
            library *= 0.02
            mean = mean * (rng.random(mean.size) < 0.5)
        counts[row] = draw_counts(
            mean=(library * mean / mean.sum())[None, :].astype(np.float32),
            dispersion=bulk_dispersion(truth), rng=rng,
        ).dense(len(mean))[0]  # fmt: skip
        shown = (
            replace(one, sex={"male": "female", "female": "male"}[one.sex]) if kind == "sex_mismatch" else one
        )
        labelled.append(shown)
        ages.append(age)
        facts.append(
            {
                "id": one.sample,
                "sample": one.sample,
                "donor": one.donor,
                "arm": one.arm,
                "batch": one.batch,
                "sex": one.sex,
                "outlier": bool(kind),
                "outlier_kind": kind,
                "depth_factor": library / COUNTS_PER_GENE / len(truth.genes),
            }
        )
    return BulkCohort(labelled, ages, counts, pd.DataFrame(facts))


def plant_outliers(
    planned: list[PlannedSample], *, n_outliers: int, cohort: Cohort, truth: Truth
) -> list[str]:
    """The kind of outlier of each sample ("" for none), drawn without regard to the arm."""
    if n_outliers > len(planned) // 2:
        raise ConfigError(
            "more than half of the samples would be outliers", where=f"cohort {cohort.name}: n_outliers",
            value=n_outliers, allowed=f"0 to {len(planned) // 2}",
        )  # fmt: skip
    kinds = [""] * len(planned)
    for rank, row in enumerate(
        stream(truth.seed, cohort.name, "outliers").permutation(len(planned))[:n_outliers]
    ):
        kinds[row] = OUTLIER_KINDS[rank % len(OUTLIER_KINDS)]
    return kinds


def sample_profile(
    *, sample: PlannedSample, kind: str, cohort: Cohort, truth: Truth, rng: np.random.Generator
) -> Floats:
    """Expected share of each gene (genes,) in one sample."""
    model, disease = truth.expression, truth.disease
    log_types = model.base + model.by_type
    if sample.arm == "case":
        log_types = log_types + np.outer(model.active, disease.effect * np.log(2.0))
    donor = stream(truth.seed, cohort.name, "donor", sample.donor)
    shares = donor.dirichlet(model.tissue_shares * 80.0)
    log_mean = np.log(shares @ np.exp(log_types))
    log_mean += donor.normal(0.0, DONOR_SD, log_mean.size)
    log_mean += stream(truth.seed, cohort.name, "batch", sample.batch).normal(0.0, BATCH_SD, log_mean.size)
    for rows, loading in zip(truth.programs.rows, truth.programs.loadings, strict=True):
        log_mean[rows] += (0.8 * donor.normal() + 0.6 * rng.normal()) * loading
    if kind == "swapped_tissue":
        log_mean += stream(truth.seed, "other tissue").normal(0.0, 1.5, log_mean.size)
    silence_sex_genes(log_mean, sex=sample.sex, truth=truth)
    profile = with_mitochondrial_share(
        profile=np.exp(log_mean)[None, :],
        mitochondrial=truth.rows_of_chromosome("MT"),
        share=MITOCHONDRIAL_SHARE,
    )
    return np.asarray(profile[0])


def silence_sex_genes(log_mean: Floats, *, sex: str, truth: Truth) -> None:
    """Switch off the Y genes of women and XIST of men in place (log scale, genes last)."""
    off = truth.rows_of_chromosome("Y") if sex == "female" else np.flatnonzero(truth.genes["gene"] == "XIST")
    log_mean[..., off] += SILENT - 3.0


def bulk_dispersion(truth: Truth) -> Floats:
    """Dispersion of each gene (genes,): the trend at its abundance times its own factor."""
    share = np.exp(truth.expression.base)
    trend: Any = dispersion_trend(
        abundance=1e6 * share / share.sum(), floor=DISPERSION_FLOOR, extra=DISPERSION_EXTRA
    )
    return np.asarray(trend * truth.expression.dispersion)
