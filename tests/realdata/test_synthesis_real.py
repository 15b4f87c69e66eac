"""Synthetic samples of real patients, held against patients that the generator never saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples
from consilience.measures.release import PrivacyThresholds
from consilience.rnagan.networks.default_generator_network import DefaultGenerator
from consilience.rnagan.synthesis import Synthetic, synthesise

pytestmark = pytest.mark.real_data
LENIENT = PrivacyThresholds(closest_share=1, membership_auc=1, small_membership_auc=1)


@dataclass(frozen=True)
class Fixed:
    genes: tuple[str, ...]
    generator: torch.nn.Module


class MeanOfResampled(torch.nn.Module):
    """The published generator with a factor of 1 for each gene: means of resampled references."""

    def forward(self, references: torch.Tensor, n: int, seed: int) -> torch.Tensor:
        rows = stream(seed, "resample").integers(len(references), size=(n, len(references)))
        return torch.log1p(torch.expm1(references)[torch.from_numpy(rows)].mean(dim=1))


@pytest.fixture(scope="module")
def kidney(kit: Path) -> Samples:
    """TCGA-KICH, log(1 + counts per 10,000), the 2,000 most variable genes."""
    table = pd.read_parquet(kit / "bulk" / "tcga_kich.counts.parquet").drop_duplicates("Hugo_Symbol")
    sheet = pd.read_csv(kit / "bulk" / "tcga_kich.samples.tsv", sep="\t", dtype=str)
    names = sheet["sample"].to_numpy(dtype=str)
    counts = table[list(names)].to_numpy(dtype=np.float64).T
    values = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    top = np.sort(np.argsort(-values.var(axis=0), kind="stable")[:2000])
    donors = np.array(["-".join(name.split("-")[:3]) for name in names])
    genes = tuple(table["Hugo_Symbol"].astype(str).to_numpy()[top].tolist())
    labels = sheet["group"].to_numpy(dtype=str)
    return Samples(values[:, top], genes, names, labels, donors, np.full(len(names), ""), "log1p_cp10k")


def judged(samples: Samples, generator: torch.nn.Module, seed: int) -> Synthetic:
    donors = np.unique(samples.donors)
    out = stream(seed, "out").permutation(donors)[: round(0.3 * len(donors))]
    aside = np.isin(samples.donors, out)
    return synthesise(
        Fixed(samples.genes, generator), samples.take(~aside), seed=seed, fold=1.0,
        held_out=samples.take(aside), thresholds=LENIENT,
    )  # fmt: skip


def mean_figures(samples: Samples, generator: torch.nn.Module) -> dict[str, float]:
    found = [judged(samples, generator, seed) for seed in range(3)]
    assert all(one.privacy["near copies"] == 0 for one in found)
    return {name: float(np.mean([one.fidelity[name] for one in found])) for name in found[0].fidelity}


def test_fidelity_is_at_the_ceiling_and_the_published_generator_is_not(kidney) -> None:
    ours = mean_figures(kidney, DefaultGenerator(kidney.genes))
    for name in ("mean R2", "sd R2", "sd slope", "spread within classes"):
        assert ours[name] == pytest.approx(ours[f"{name}, ceiling"], abs=0.06), name
    for kind in ("linear", "spread", "joint"):
        # the ceiling's own standard error over three splits is about 0.06
        assert ours[f"two-sample AUC, {kind}"] < ours[f"two-sample AUC, {kind}, ceiling"] + 0.2, kind
    published = mean_figures(kidney, MeanOfResampled())
    assert published["spread within classes"] < 0.5
    assert published["two-sample AUC, joint"] > 0.9


def test_the_gate_sees_what_few_patients_cannot_hide(kidney) -> None:
    generator = DefaultGenerator(kidney.genes)
    few = kidney.take(np.flatnonzero(kidney.labels == "tumor")[:6])
    made = synthesise(Fixed(kidney.genes, generator), few, fold=2.0)
    assert not made.release["passed"]
    assert made.release["reasons"]
