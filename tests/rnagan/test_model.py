"""Model folders: everything comes back, nothing of a patient is in them, and what is poisoned is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from consilience.foundation.errors import ModelError
from consilience.learning.bundles import load_bundle, save_bundle
from consilience.pathways.wiring import wire
from consilience.rnagan.model import KIND, load_model, moments_entry
from consilience.rnagan.presets import build_networks
from rnagan.small_models import GENES, SMALL, make_model, make_samples


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def tensors(samples, rows):
    return torch.from_numpy(samples.values[rows])


def test_everything_comes_back(model, folder) -> None:
    found, samples = load_model(folder), make_samples()
    assert (found.preset, found.genes, found.calibration) == (model.preset, model.genes, model.calibration)
    assert found.record == json.loads(json.dumps(model.record))
    assert found.wiring.digest == model.wiring.digest
    assert found.wiring.pathways == model.wiring.pathways
    parts = [tensors(samples, rows) for rows in (np.arange(20, 24), np.arange(0, 20, 2), np.arange(1, 20, 2))]
    with torch.no_grad():
        torch.testing.assert_close(found.discriminator(*parts), model.discriminator(*parts), rtol=0, atol=0)
        torch.testing.assert_close(
            found.generator(parts[1], 3, 5), model.generator(parts[1], 3, 5), rtol=0, atol=0
        )
    assert not found.discriminator.training
    np.testing.assert_allclose(found.moments.mean, make_samples(seed=11).values.mean(axis=0), atol=1e-4)


def test_a_model_without_pathways_or_calibration_comes_back(tmp_path) -> None:
    wiring = wire({"gene": [], "pathway": []}, genes=GENES)
    preset = replace(SMALL, pathways="none")
    networks = build_networks(preset, GENES, wiring, 1)
    made = replace(make_model(), preset=preset, wiring=wiring, discriminator=networks[0], generator=networks[1],
                   calibration=None)  # fmt: skip
    made.save(tmp_path / "model")
    found = load_model(tmp_path / "model")
    assert found.wiring.pathways == ()
    assert found.calibration is None


def test_nothing_of_a_patient_is_in_the_folder(model, folder) -> None:
    samples = make_samples(seed=11)
    assert sorted(path.name for path in folder.iterdir()) == ["card.md", "model.json", "model.safetensors"]
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, data in content.items():
        assert not [one for one in [*samples.names, *samples.donors] if str(one).encode() in data], name
    numbers = {round(float(text), 4) for text in re.findall(rb"-?\d+\.\d+", content["model.json"])}
    weights = [
        t.numpy().ravel() for t in load_bundle(folder, kind=KIND).tensors.values() if t.is_floating_point()
    ]
    known = np.unique(np.round(np.concatenate(weights), 5))
    for row in samples.values:
        mine = {round(float(value), 4) for value in row}
        assert len(mine & numbers) < 0.1 * len(mine)
        assert np.isin(np.round(row, 5), known).mean() < 0.1


def test_moments_of_a_handful_of_donors_are_not_kept() -> None:
    samples = make_samples(24)
    assert moments_entry(samples) is not None
    few = replace(samples, donors=np.array([f"d{k % 9}" for k in range(24)]))
    assert moments_entry(few) is None


def test_the_card_says_what_it_is_and_stays_a_table(model) -> None:
    from consilience.rnagan.card import card_text

    entry = dict(model.record["cohorts"][0], name="a|b\n# x <script>", labels={"sick": 12, "well": 12})
    text = card_text(replace(model, record={**model.record, "cohorts": [entry]}))
    assert "100 genes, 9 pathways" in text
    assert "| a\\|b # x &lt;script> | counts | 24 | 24 | sick (12), well (12) |" in text
    assert "| AUC, 20 references | 0.91 |" in text
    assert "no clinical decision" in text
    assert "holds no expression values" in text
    assert "-0.1 + 0.8 x answer" in text


def rewritten(folder, target, change) -> None:
    """A folder that is sealed properly, as somebody could make one, but holds something else."""
    bundle = load_bundle(folder, kind=KIND)
    weights, description = dict(bundle.tensors), json.loads(json.dumps(bundle.description))
    change(weights, description)
    save_bundle(target, kind=KIND, tensors=weights, description=description, card="")


def drop(weights, _):
    del weights["generator.out.weight"]


def add(weights, _):
    weights["discriminator.extra"] = torch.zeros(2)


def narrow(weights, _):
    weights["discriminator.out.weight"] = torch.zeros(1, 3)


def set_at(*path, to):
    def change(_, description):
        for key in path[:-1]:
            description = description[key]
        description[path[-1]] = to

    return change


CHANGES = {
    "a tensor is missing": (drop, r"generator\.out\.weight is missing"),
    "a tensor too many": (add, r"discriminator\.extra is unknown"),
    "a tensor of another shape": (narrow, r"out\.weight has the wrong shape; found '\(1, 3\)'"),
    "genes twice": (set_at("genes", 1, to=GENES[0]), "no proper list of genes"),
    "no genes": (set_at("genes", to=[]), "no proper list of genes"),
    "a gene more": (set_at("genes", to=[*GENES, "XIST"]), "wrong shape|other genes|structure"),
    "wiring outside the genes": (
        set_at("wiring", "genes", 0, 0, to=100),
        "wiring of its pathways is damaged",
    ),
    "wiring of text": (set_at("wiring", "genes", 0, to="x"), "wiring of its pathways is damaged"),
    "no wiring": (set_at("wiring", to=None), "wiring of its pathways is damaged"),
    "other wiring": (set_at("wiring", "genes", 0, to=[1]), "wrong shape|structure|wired"),
    "no preset": (set_at("preset", to=None), "preset"),
    "an unknown choice": (set_at("preset", "surprise", to=1), "surprise"),
    "a layer of a million units": (set_at("preset", "hidden", to=[1 << 30, 64, 16]), "too large to be true"),
    "a calibration of three": (set_at("calibration", to=[1, 2, 3]), "calibration is damaged"),
    "a calibration without a number": (
        set_at("calibration", "log_slope", to="steep"),
        "calibration is damaged",
    ),
    "no record": (set_at("record", to=[]), "no record"),
    "moments of other genes": (
        set_at("record", "moments", "mean", to=[1.0]),
        "moments of its genes do not fit",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_fit_together_is_refused(folder, tmp_path, name) -> None:
    change, message = CHANGES[name]
    rewritten(folder, tmp_path / "other", change)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "other")


def test_weights_that_are_no_numbers_cannot_be_saved(tmp_path) -> None:
    model = make_model()
    with torch.no_grad():
        next(model.generator.parameters()).view(-1)[0] = torch.nan
    with pytest.raises(ModelError, match="NaN"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_another_kind_of_model_is_refused(tmp_path) -> None:
    save_bundle(tmp_path / "m", kind="vae", tensors={"w": torch.zeros(1)}, description={}, card="")
    with pytest.raises(ModelError, match="another kind of model; found 'vae'"):
        load_model(tmp_path / "m")
