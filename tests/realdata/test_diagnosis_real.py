"""Diagnosis on the kit: unseen patients of real cohorts, calibrated; other tissues and broken samples flagged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.learning.baselines import baseline
from consilience.learning.samples import Samples
from consilience.rnagan.comparison import compare
from consilience.rnagan.evaluation import Plan, evaluate
from consilience.rnagan.novelty import novelty
from rnagan.simple_scorers import FastCentroid, of_kind

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
BULK = ("tcga_kich", "tcga_lihc_kirc_thca_normals", "tcga_chol", "gtex_kidney_bladder")


def log_counts(kit: Path, name: str, genes: list[str]) -> tuple[np.ndarray, pd.DataFrame]:
    table = pd.read_parquet(kit / f"bulk/{name}.counts.parquet").drop_duplicates("Hugo_Symbol")
    counts = table.set_index("Hugo_Symbol").loc[genes].iloc[:, 1:].T
    sheet = pd.read_csv(kit / f"bulk/{name}.samples.tsv", sep="\t", index_col="sample").loc[counts.index]
    values = counts.to_numpy(dtype=np.float64)
    return np.log1p(1e4 * values / values.sum(axis=1, keepdims=True)).astype(np.float32), sheet


def as_samples(values: np.ndarray, sheet: pd.DataFrame, genes: list[str]) -> Samples:
    names = sheet.index.to_numpy(dtype=str)
    return Samples(values, tuple(genes), names, sheet["group"].to_numpy(dtype=str), names.astype("<U12"),
                   sheet["project"].to_numpy(dtype=str), "log")  # fmt: skip


@pytest.fixture(scope="module")
def cohorts(kit: Path) -> dict[str, Samples]:
    shared: set[str] | None = None
    for name in BULK:
        here = set(
            pd.read_parquet(kit / f"bulk/{name}.counts.parquet", columns=["Hugo_Symbol"])["Hugo_Symbol"]
        )
        shared = here if shared is None else shared & here
    genes = sorted(shared or ())
    return {name: as_samples(*log_counts(kit, name, genes), genes) for name in BULK}


@pytest.fixture(scope="module")
def synovium(kit: Path) -> Samples:
    table = pd.read_csv(kit / "bulk/peac_ra_synovium_500genes.rlog.tsv.gz", sep="\t", index_col=0)
    sheet = pd.read_csv(kit / "bulk/peac_ra_synovium_500genes.samples.tsv", sep="\t", index_col=0)
    names = table.columns.to_numpy(dtype=str)
    kind = np.where(sheet.loc[table.columns].iloc[:, 0] == "Lymphoid", "lymphoid", "other")
    return Samples(table.to_numpy(dtype=np.float32).T.copy(), tuple(table.index), names, kind, names,
                   np.full(len(names), "peac"), "rlog")  # fmt: skip


def test_unseen_patients_of_a_real_cohort(synovium):
    """As near to calibrated as so few patients can show; no worse than the nearest centroid."""
    found = evaluate(synovium, positive="lymphoid", methods={"ours": lambda train, positive, seed: (FastCentroid(), None)},
                     baselines={"nearest_centroid": baseline("nearest_centroid")}, plan=Plan(sizes=(5, 20), seed=1),
                     n_splits=10)  # fmt: skip
    for size in ("5", "20"):
        part = found.summary["by_references"][size]
        ours = part["methods"]["ours"]
        assert ours["ece"] < 1.5 * ours["ece_expected"]
        assert part["differences"]["ours"]["nearest_centroid"]["auc"] > -0.03
        assert ours["ood_share"] < 0.1
    assert found.leakage == ()


@pytest.mark.parametrize("n", [5, 15])
def test_strangers_to_a_real_cohort_are_flagged(cohorts, n):
    shares: dict[str, list[float]] = {}
    kich = cohorts["tcga_kich"]
    normals = cohorts["tcga_lihc_kirc_thca_normals"]
    tumour, normal = of_kind(kich, "tumor"), of_kind(kich, "normal")
    for trial in range(5):
        rng = np.random.default_rng(trial)
        one, other = (rng.permutation(len(x)) for x in (tumour, normal))
        positive, negative = tumour.take(one[:n]), normal.take(other[:n])
        used = [*positive.donors, *negative.donors]
        queries = {
            "patients": kich.take(~np.isin(kich.donors, used)),
            "liver": normals.take(normals.batches == "LIHC"),
            "thyroid": normals.take(normals.batches == "THCA"),
            "kidney": normals.take(normals.batches == "KIRC"),
            "bile duct": cohorts["tcga_chol"],
        }
        scrambled = queries["patients"].values.copy()
        rng.permuted(scrambled, axis=1, out=scrambled)
        queries["scrambled"] = replace(queries["patients"], values=scrambled)
        queries["linear"] = replace(queries["patients"], values=np.expm1(queries["patients"].values))
        queries["empty"] = replace(queries["patients"], values=np.zeros_like(scrambled))
        for what, samples in queries.items():
            flag = novelty(compare(samples, positive, negative), level=0.05).flag
            shares.setdefault(what, []).append(float(flag.mean()))
    found = {what: float(np.mean(values)) for what, values in shares.items()}
    assert found["patients"] < 0.08
    least = 0.7 if n == 5 else 0.9
    # normal kidney of another cohort is much nearer to these references than any other tissue
    assert found["kidney"] < 0.3 < least < min(found["liver"], found["thyroid"], found["bile duct"])
    assert min(found["scrambled"], found["linear"], found["empty"]) == 1.0
