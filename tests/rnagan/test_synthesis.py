"""Synthetic samples: what is made, what is taken out, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import anndata
import numpy as np
import pandas as pd
import pytest
import torch

from consilience.foundation.errors import ConsilienceError
from consilience.foundation.files import read_json
from consilience.learning.samples import Samples
from consilience.measures.release import PrivacyThresholds
from consilience.rnagan.networks.default_generator_network import DefaultGenerator
from consilience.rnagan.synthesis import synthesise, write_release
from rnagan.small_models import GENES, make_model, make_samples


@dataclass(frozen=True)
class Fixed:
    genes: tuple[str, ...]
    generator: torch.nn.Module


class Copying(torch.nn.Module):
    """Gives the references themselves for the first `rounds` calls, then the default generator's samples."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.left, self.honest = rounds, DefaultGenerator(GENES)

    def forward(self, references: torch.Tensor, n: int, seed: int) -> torch.Tensor:
        self.left -= 1
        if self.left >= 0:
            return references[torch.arange(n) % len(references)] + 1e-4
        return self.honest(references, n, seed)


LENIENT = PrivacyThresholds(closest_share=1, membership_auc=1, small_membership_auc=1)


@pytest.fixture(scope="module")
def references() -> Samples:
    return make_samples(40)


@pytest.fixture(scope="module")
def model() -> Fixed:
    return Fixed(GENES, DefaultGenerator(GENES))


def test_numbers_labels_and_names(model, references) -> None:
    made = synthesise(model, references, fold=2.0, seed=4, held_out=make_samples(16, seed=2))
    assert made.provenance["real"] == {"sick": 20, "well": 20}
    assert made.provenance["synthetic"] == {"sick": 40, "well": 40}
    assert made.samples.genes == references.genes
    assert made.samples.units == references.units
    assert len(set(made.samples.names)) == 80
    assert not set(made.samples.names) & set(references.names)
    assert not set(made.samples.donors) & set(references.donors)
    assert made.release["judged_by"] == "held-out patients"
    assert made.fidelity["mean R2"] > 0.9
    assert made.privacy["near copies"] == 0


def test_the_order_of_references_and_other_labels_change_nothing(model, references) -> None:
    one = synthesise(model, references, "sick", 30, seed=4)
    order = np.random.default_rng(0).permutation(len(references))
    two = synthesise(model, references.take(order), "sick", 30, seed=4)
    both = synthesise(model, references, ["well", "sick"], 30, seed=4)
    np.testing.assert_array_equal(one.samples.values, two.samples.values)
    assert one.privacy == two.privacy
    np.testing.assert_array_equal(one.samples.values, both.samples.values[both.samples.labels == "sick"])
    other = synthesise(model, references, "sick", 30, seed=5)
    assert not np.array_equal(one.samples.values, other.samples.values)


def test_near_copies_are_drawn_anew(references) -> None:
    made = synthesise(Fixed(GENES, Copying(1)), references, "sick", 10, held_out=make_samples(16, seed=2))
    assert made.provenance["near_copies_removed"] == 10
    assert made.provenance["not_replaced"] == 0
    assert len(made.samples) == 10
    assert made.privacy["near copies"] == 0


def test_a_generator_that_only_copies_gives_nothing(references) -> None:
    with pytest.raises(ConsilienceError, match="near copy"):
        synthesise(Fixed(GENES, Copying(999)), references, "sick", 10)


def test_the_published_generator_has_the_same_call_and_too_little_variety(model, references) -> None:
    held_out = make_samples(20, seed=2)
    default = synthesise(model, references, held_out=held_out, fold=1.0, thresholds=LENIENT)
    plain = make_model()
    with torch.no_grad():  # a factor of 1 for each gene: random weights would add variety of no meaning
        plain.generator.out.weight.zero_()
        plain.generator.out.bias.fill_(1.0)
    published = synthesise(plain, references, held_out=held_out, fold=1.0, thresholds=LENIENT)
    assert published.provenance["generator"] == "PublishedGenerator"
    assert published.fidelity["spread within classes"] < 0.6
    assert default.fidelity["spread within classes"] == pytest.approx(1, abs=0.2)


def test_refused_samples_are_not_written_and_old_ones_go(tmp_path, model, references) -> None:
    granted = synthesise(model, references, fold=1.0, seed=1, thresholds=LENIENT)
    assert granted.release["passed"]
    paths = write_release(tmp_path, granted, label="kind")
    assert [path.name for path in paths] == ["metrics.json", "synthetic.h5ad", "synthetic.parquet"]
    data = anndata.read_h5ad(paths[1])
    np.testing.assert_array_equal(data.X, granted.samples.values)
    assert list(data.var_names) == list(references.genes)
    assert set(data.obs.columns) == {"kind", "synthetic"}
    assert bool(data.obs["synthetic"].all())
    table = pd.read_parquet(paths[2])
    np.testing.assert_array_equal(table[list(GENES)].to_numpy(), granted.samples.values)
    text = (tmp_path / "metrics.json").read_text()
    assert not any(name in text for name in references.names)
    strict = PrivacyThresholds(closest_share=-1, alpha=1.0)
    refused = synthesise(model, references, fold=1.0, seed=1, thresholds=strict)
    assert not refused.release["passed"]
    assert [path.name for path in write_release(tmp_path, refused)] == ["metrics.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json"]
    assert read_json(tmp_path / "metrics.json")["release"]["reasons"]


def test_too_few_patients_are_not_judged_and_not_released(model, references) -> None:
    few = references.take(np.flatnonzero(references.labels == "sick")[:5])
    made = synthesise(model, few, fold=3.0)
    assert len(made.samples) > 0
    assert not made.release["passed"]
    assert "too few patients" in made.release["reasons"][0]


def test_the_trial_parts_no_donor(model, references) -> None:
    # every donor has two samples, one of each label
    donors = np.array([f"donor {k // 2}" for k in range(len(references))])
    made = synthesise(model, replace(references, donors=donors), fold=1.0)
    assert made.release["judged_by"].startswith("a trial")
    assert made.metrics["privacy"]["n_train"] + made.metrics["privacy"]["n_held_out"] == 40
    assert made.metrics["privacy"]["n_held_out"] == pytest.approx(12, abs=2)


BAD = {
    "unknown label": (lambda s: (s, "sik", 5), "no references of this label"),
    "one patient": (lambda s: (s.take(np.array([0, 1, 3, 5])), "sick", 5), "one patient only"),
    "none asked": (lambda s: (s, "sick", 0), "no samples were asked for"),
    "nan": (lambda s: (replace(s, values=np.where(s.values > 3, np.nan, s.values)), "sick", 5), "no numbers"),
    "genes": (lambda s: (s.of_genes(GENES[:50]), "sick", 5), "genes are missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_refused(model, references, case) -> None:
    make, message = BAD[case]
    with pytest.raises(ConsilienceError, match=message):
        synthesise(model, *make(references))


def test_held_out_donors_must_be_others(model, references) -> None:
    with pytest.raises(ConsilienceError, match="held out"):
        synthesise(model, references, "sick", 5, held_out=references)
    other = make_samples(8, seed=2)
    sick = other.take(other.labels == "sick")
    with pytest.raises(ConsilienceError, match="no held-out patients"):
        synthesise(model, references, held_out=sick)
