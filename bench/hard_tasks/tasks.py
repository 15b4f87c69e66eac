"""Hard two-class questions on real data: signal genes removed, counts thinned, donors and cohorts held out.

`hard_tasks(kit)` builds them, `draws(task, …)` gives references and test samples. Everything follows from names
and seeds. Which genes are the strongest is found on all samples of a task: that makes the question, not the
answer, and takes signal away (see `without_strongest` for how it may take too much).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.foundation.errors import ConfigError, did_you_mean
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples
from consilience.learning.splits import ReferenceDraw, reference_draws, reference_sizes
from hard_tasks.kit_cohorts import (
    RawCohort,
    cells,
    gse55235,
    gse97165,
    joined,
    kit_folder,
    peac,
    rnaseqdb,
    thinned,
)

if TYPE_CHECKING:
    import numpy.typing as npt

READS, FEWER_READS, FEWEST_READS = 2_000, 500, 300
NOISE = 4.0
"""Standard deviation of the noise added to log2 intensities."""
PER_BULK = 1e6
PER_SHALLOW = 1e4
"""Reads to which a sample is scaled before the logarithm: whole libraries; cells and thinned libraries."""
SEED = 20_261_121
"""Of thinning and noise: part of what a task is."""

Role = Literal["hard", "saturated", "extra"]
How = Literal["random", "donor", "cohort"]


@dataclass(frozen=True)
class HardTask:
    """One question: which samples are of the positive kind.

    `train_rows`, `test_rows` (n,) bool: where references and test samples may come from (the same in `random`
    tasks: all samples of a reference's donor are then kept out of the test). `cohorts`: the kit files behind
    it, to be left out of any pretraining. `role`: `hard` tasks are judged; `saturated` ones are only shown;
    `extra` ones are further questions of the same make.
    """

    name: str
    title: str
    samples: Samples
    positive_label: str
    how: How
    role: Role
    cohorts: tuple[str, ...]
    train_rows: npt.NDArray[np.bool_]
    test_rows: npt.NDArray[np.bool_]

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        """(n,) which samples are of the positive kind."""
        flags: npt.NDArray[np.bool_] = self.samples.labels == self.positive_label
        return flags


def draws(task: HardTask, n_references: int, n_draws: int, seed: int) -> Iterator[ReferenceDraw]:
    """References per kind and test rows, `n_draws` times; the same for every method."""
    return reference_draws(
        task.positive,
        names=task.samples.names,
        donors=task.samples.donors,
        n_references=n_references,
        n_draws=n_draws,
        seed=seed,
        key=task.name,
        references=task.train_rows,
        test=task.test_rows,
    )


def sizes(task: HardTask, asked: Sequence[int]) -> list[int]:
    """The numbers of references worth running: those that give more than the one before them.

    A kind with fewer samples than asked gives as many as leave four for the test.
    """
    most = reference_sizes(task.positive, references=task.train_rows, test=task.test_rows)
    kept: list[int] = []
    before = (0, 0)
    for n in sorted(asked):
        now = (min(n, most[True]), min(n, most[False]))
        if now != before:
            kept.append(n)
        before = now
    return kept


def strength(samples: Samples, positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """|Welch's t| of each gene (genes,); zero where a gene never varies."""
    values = samples.values.astype(np.float64)
    one, other = values[positive], values[~positive]
    error = one.var(axis=0, ddof=1) / len(one) + other.var(axis=0, ddof=1) / len(other)
    gap = np.abs(one.mean(axis=0) - other.mean(axis=0))
    return np.where(error > 0, gap / np.sqrt(np.where(error > 0, error, 1.0)), 0.0)


def without_strongest(raw: RawCohort, *, positive_label: str, n_genes: int, per: float) -> RawCohort:
    """The cohort without the `n_genes` genes that tell its labels apart best; genes never read go too.

    Only for cohorts that are large beside the share of genes removed, or whose test samples are many. Where
    all samples together are few, what is left differs in the references one way and in the rest, by the
    selection, the other way: GSE55235 without its 5,000 strongest genes gives every method an AUC of 0.2.
    """
    t = strength(raw.log_counts(per=per), raw.labels == positive_label)
    gone = np.zeros(len(raw.genes), dtype=bool)
    gone[np.argsort(-t, kind="stable")[:n_genes]] = True
    return raw.without_genes(gone | (raw.values.sum(axis=0) == 0))


def _random(
    name: str, title: str, samples: Samples, positive: str, role: Role, cohorts: tuple[str, ...]
) -> HardTask:
    everyone = np.ones(len(samples), dtype=bool)
    return HardTask(name, title, samples, positive, "random", role, cohorts, everyone, everyone)


def _tumours(kit: Path) -> Iterator[HardTask]:
    for stem in ("kich", "chol"):
        raw, source = rnaseqdb(kit, f"tcga_{stem}"), (f"tcga_{stem}",)
        title = f"{stem.upper()} tumour vs normal"
        whole = raw.log_counts(per=PER_BULK)
        yield _random(f"{stem}_whole", f"{title}, all genes and reads", whole, "tumor", "saturated", source)
        weak = without_strongest(raw, positive_label="tumor", n_genes=5_000, per=PER_BULK)
        for reads in (READS, FEWER_READS):
            few = thinned(weak, reads=reads, seed=SEED).log_counts(per=PER_SHALLOW)
            # normal bile duct samples are mostly liver: CHOL stays saturated whatever is taken away
            role: Role = "saturated" if stem == "chol" else "hard" if reads == READS else "extra"
            name = f"{stem}_thinned" + ("" if reads == READS else f"_{reads}")
            what = f"{title}, 5,000 strongest genes removed, {reads:,} reads"
            yield _random(name, what, few, "tumor", role, source)


def _peac(kit: Path) -> Iterator[HardTask]:
    raw = peac(kit)
    rest = np.where(raw.labels == "Lymphoid", "Lymphoid", "rest")
    units = "regularised log2"
    yield _random(
        "peac_lymphoid",
        "PEAC lymphoid vs rest",
        raw.labelled(rest).as_samples(raw.values, units=units),
        "Lymphoid",
        "hard",
        ("peac",),
    )
    two = raw.take(raw.labels != "Lymphoid")
    yield _random(
        "peac_myeloid",
        "PEAC myeloid vs fibroid",
        two.as_samples(two.values, units=units),
        "Myeloid",
        "hard",
        ("peac",),
    )


def _therapy(kit: Path) -> Iterator[HardTask]:
    samples = gse97165(kit).log_counts(per=PER_BULK)
    yield _random(
        "gse97165_therapy", "GSE97165 before vs after therapy", samples, "pre", "hard", ("gse97165",)
    )


def _arrays(kit: Path) -> Iterator[HardTask]:
    """As measured these are saturated (AUC 1.000 with 5 references); noise on each value makes them hard.

    Removing the strongest genes would not do here: see `without_strongest`.
    """
    raw = gse55235(kit)
    noise = np.stack(
        [stream(SEED, "array noise", str(name)).normal(0, NOISE, len(raw.genes)) for name in raw.names]
    )
    for one, other in (("RA", "OA"), ("RA", "healthy"), ("OA", "healthy")):
        rows = np.isin(raw.labels, (one, other))
        two, title = raw.take(rows), f"GSE55235 {one} vs {other}"
        name = f"gse55235_{one}_{other}".lower()
        units = "log2 of intensity + 16"
        source = ("gse55235",)
        yield _random(name, title, two.as_samples(two.values, units=units), one, "saturated", source)
        noisy = two.as_samples(two.values + noise[rows], units=units)
        role: Role = "hard" if other == "OA" else "extra"
        yield _random(f"{name}_noisy", f"{title}, noise of sd {NOISE:g} log2 added", noisy, one, role, source)


KANG_JUDGED = ("B cells", "CD4 T cells")


def _kang(kit: Path) -> Iterator[HardTask]:
    """Cells of one donor tell cells of the other; genes strong over all cells are gone, or those of the type too."""
    path = kit / "singlecell" / "kang2018_ifnb_muscat.h5ad"
    every = cells(path, label="condition", donor="donor", batch="cell_type")
    weak = without_strongest(every, positive_label="stim", n_genes=200, per=PER_SHALLOW)
    for kind in sorted(set(every.batches.tolist())):
        role: Role = "hard" if kind in KANG_JUDGED else "extra"
        yield from _kang_type(
            weak.take(weak.batches == kind), kind=kind, role=role, gone="200 strongest genes"
        )
        if kind in KANG_JUDGED:
            own = without_strongest(
                every.take(every.batches == kind), positive_label="stim", n_genes=200, per=PER_SHALLOW
            )
            yield from _kang_type(own, kind=kind, role="extra", gone="200 strongest genes of the type")


def _kang_type(raw: RawCohort, *, kind: str, role: Role, gone: str) -> Iterator[HardTask]:
    samples = raw.log_counts(per=PER_SHALLOW)
    short = kind.lower().replace("+", "").replace(" ", "_") + ("_own" if gone.endswith("type") else "")
    for train in ("101", "107"):
        here = samples.donors == train
        yield HardTask(
            f"kang_{short}_from_{train}",
            f"Kang IFN-β vs control, {kind}, donor {train} → other, {gone} removed",
            samples,
            "stim",
            "donor",
            role,
            ("kang",),
            here,
            ~here,
        )


def _glioblastoma(kit: Path) -> Iterator[HardTask]:
    path = kit / "perturb" / "zhao2021_glioblastoma_panobinostat.h5ad"
    raw = cells(path, label="condition", donor="patient_id", batch="sample_id")
    hard = without_strongest(raw, positive_label="panobinostat", n_genes=60, per=PER_SHALLOW)
    samples = hard.log_counts(per=PER_SHALLOW)
    for patient in sorted(set(samples.donors.tolist())):
        test = samples.donors == patient
        yield HardTask(
            f"glioblastoma_to_{patient}".lower(),
            f"Glioblastoma panobinostat vs vehicle, three patients → {patient}, 60 strongest of 300 genes removed",
            samples,
            "panobinostat",
            "donor",
            "extra",
            ("zhao2021",),
            ~test,
            test,
        )


def _cohorts(kit: Path) -> Iterator[HardTask]:
    """References from one project, test samples from another, whose batch differs."""
    kich = rnaseqdb(kit, "tcga_kich")
    normals = joined(
        kich.take(kich.labels == "normal"),
        rnaseqdb(kit, "tcga_lihc_kirc_thca_normals"),
        rnaseqdb(kit, "gtex_kidney_bladder"),
    )
    kidney = np.isin(normals.batches, ("KICH", "KIRC", "GTEx_kidney"))
    organ = normals.labelled(np.where(kidney, "kidney", "other"))
    for reads in (FEWEST_READS, READS):
        samples = thinned(organ, reads=reads, seed=SEED).log_counts(per=PER_SHALLOW)
        gtex = np.char.startswith(samples.batches, "GTEx")
        yield HardTask(
            "kidney_tcga_to_gtex" + ("" if reads == FEWEST_READS else f"_{reads}"),
            f"Kidney vs other organ, TCGA → GTEx, {reads:,} reads",
            samples,
            "kidney",
            "cohort",
            "hard" if reads == FEWEST_READS else "extra",
            ("tcga_kich", "tcga_lihc_kirc_thca_normals", "gtex_kidney_bladder"),
            ~gtex,
            gtex,
        )


FAMILIES: dict[str, Callable[[Path], Iterator[HardTask]]] = {
    "tumours": _tumours,
    "peac": _peac,
    "therapy": _therapy,
    "arrays": _arrays,
    "kang": _kang,
    "glioblastoma": _glioblastoma,
    "cohorts": _cohorts,
}


@cache
def _family(name: str, kit: Path) -> tuple[HardTask, ...]:
    return tuple(FAMILIES[name](kit))


def hard_tasks(
    kit: str | os.PathLike[str] | None = None,
    *,
    names: Sequence[str] = (),
    roles: Sequence[Role] = ("hard", "saturated", "extra"),
) -> dict[str, HardTask]:
    """All tasks of these roles, or the named ones (a name or a family), by name."""
    folder = kit_folder(kit)
    every = {task.name: (family, task) for family in FAMILIES for task in _family(family, folder)}
    unknown = [name for name in names if name not in every and name not in FAMILIES]
    if unknown:
        raise ConfigError(
            "no such task",
            value=unknown[0],
            allowed=", ".join(every),
            mend=did_you_mean(unknown[0], every),
        )
    return {
        name: task
        for name, (family, task) in every.items()
        if (name in names or family in names or not names) and task.role in roles
    }
