"""Classical samplers on kidney tumours and normals (KICH): what they keep, and what they give away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from consilience.augment.checks import checked
from consilience.augment.generators import generator
from consilience.augment.judging import judge
from consilience.learning.samples import Samples
from consilience.learning.splits import donor_splits
from consilience.measures.attribute import attribute_attacks

pytestmark = pytest.mark.real_data
N_GENES = 2_000
JOINT = ("copula", "pca_gaussian", "pca_mixture", "shrunk_gaussian")


@pytest.fixture(scope="module")
def kich(kit):
    table = pd.read_parquet(kit / "bulk/tcga_kich.counts.parquet").drop_duplicates("Hugo_Symbol")
    sheet = pd.read_csv(kit / "bulk/tcga_kich.samples.tsv", sep="\t", dtype=str)
    names = sheet["sample"].to_numpy(dtype=str)
    counts = table[list(names)].to_numpy(dtype=float).T
    values = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e6)
    best = np.sort(np.argsort(-values.var(axis=0), kind="stable")[:N_GENES])
    donors = np.array(["-".join(name.split("-")[:3]) for name in names])
    return Samples(
        values[:, best].astype(np.float32), tuple(table["Hugo_Symbol"].astype(str).to_numpy()[best]), names,
        sheet["group"].to_numpy(dtype=str), donors, np.full(len(names), "KICH"), "log1p_cpm",
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged(kich):
    """Each classical sampler on one split: figures, ceiling, and the attribute attacks."""
    split = next(donor_splits(kich.donors, labels=kich.labels, n_splits=1, test_share=0.3, seed=0))
    train, held_out = kich.take(split.train), kich.take(split.test)
    found = {}
    for key in (*JOINT, "smote", "bootstrap_noise"):
        drawn = generator(key).fit(train, seed=0).sample(np.repeat(train.labels, 3), seed=0)
        attacks = attribute_attacks(
            train=train.values, held_out=held_out.values, synthetic=drawn.values,
            labels=(train.labels, held_out.labels, drawn.labels), donors=(train.donors, held_out.donors),
        )  # fmt: skip
        one = judge(train=train, held_out=held_out, drawn=drawn, seed=0)
        found[key] = one.figures, one.ceiling, {attack.name: attack for attack in attacks}
    return found


def test_the_cohort_can_be_augmented_and_its_pairs_are_noted(kich):
    found = checked(kich)
    assert found.samples is kich
    assert any("samples of" in note for note in found.notes)
    assert not any("two names" in note for note in found.notes)


@pytest.mark.parametrize("key", JOINT)
def test_means_zeros_spread_and_variety_are_those_of_the_training_patients(judged, key):
    figures, ceiling, _ = judged[key]
    assert figures["lost_classes"] == 0
    assert figures["near_copies"] == 0
    # three samples for each patient: leading scores move whole class means
    assert figures["class_mean_r2"] > ceiling["class_mean_r2"] - 0.06
    assert figures["zero_error"] < ceiling["zero_error"] + 0.01
    for name in ("spread", "diversity"):
        assert figures[name] == pytest.approx(ceiling[name], rel=0.08)


@pytest.mark.parametrize("key", JOINT)
def test_they_give_away_who_was_there_and_genes_by_regression(judged, key):
    figures, _, attacks = judged[key]
    assert figures["membership"] > 0.7
    assert attacks["ridge"].p < 0.01


@pytest.mark.parametrize("key", ["smote", "bootstrap_noise"])
def test_what_is_made_of_patients_is_near_copies_that_give_everything_away(judged, key):
    figures, _, attacks = judged[key]
    assert figures["near_copies"] > 100
    assert figures["membership"] > 0.9
    assert attacks["nearest"].advantage > 0.15
    assert attacks["nearest"].p < 0.01
