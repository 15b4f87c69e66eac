"""Presets: their values, their way through JSON, and networks that depend on nothing but the arguments."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from consilience.foundation.errors import ConfigError, ModelError
from consilience.pathways.wiring import wire
from consilience.rnagan.presets import (
    DEFAULT,
    PUBLISHED,
    EpisodeSettings,
    Preset,
    build_networks,
    preset_named,
)

GENES = ("A", "B", "C", "D")
WIRING = wire({"gene": ["A", "B", "C"], "pathway": ["p", "p", "q"]}, genes=GENES)


def test_published_is_as_the_authors_had_it():
    assert PUBLISHED.hidden == (256, 64, 16)
    assert (PUBLISHED.dropout, PUBLISHED.noise) == (0.5, 0)
    assert (PUBLISHED.rate, PUBLISHED.clip_norm, PUBLISHED.weight_decay) == ("constant", None, 0.0)
    assert [(stage.rate_discriminator, stage.epochs * stage.steps) for stage in PUBLISHED.stages] == [
        (0.04, 500), (0.02, 500), (0.02, 1000)]  # fmt: skip
    discriminator, generator = build_networks(PUBLISHED, GENES, WIRING, 1)
    n = len(GENES) + 2
    sizes = (3 * n * 256 + 256, 256 * 64 + 64, 64 * 16 + 16, 16 + 1)
    norms = 2 * (n + 256 + 64 + 16)
    assert sum(one.numel() for one in discriminator.parameters()) == 3 + sum(sizes) + norms
    decoder = (16 * 64 + 64) + (128 * 256 + 256) + (512 * len(GENES) + len(GENES)) + 2 * (64 + 256)
    encoder = (2 * n * 256 + 256) + (256 * 64 + 64) + (64 * 16 + 16) + norms
    assert sum(one.numel() for one in generator.parameters()) == 3 + encoder + decoder


def test_presets_survive_json():
    odd = replace(PUBLISHED, hidden=(5, 4, 3), episodes=EpisodeSettings(reference_sizes=(1, 2), rest=0.5))
    for preset in (PUBLISHED, DEFAULT, odd):
        assert Preset.from_params(json.loads(json.dumps(preset.to_params()))) == preset


@pytest.mark.parametrize("params", [{"name": "x", "colour": 1}, {"hidden": [1, 2, 3]}])
def test_a_strange_description_is_refused(params):
    with pytest.raises(ModelError, match="not a description of a preset"):
        Preset.from_params(params)


@pytest.mark.parametrize("options", [
    {"pathways": "learnt"}, {"rate": "fast"}, {"scale": "cpm"}, {"hidden": (1, 2)},
    {"dropout": 1.0}, {"noise": -1},
])  # fmt: skip
def test_impossible_presets_are_refused(options):
    with pytest.raises(ConfigError, match="preset published"):
        replace(PUBLISHED, **options)


@pytest.mark.parametrize("options", [
    {"queries": 1}, {"episodes": 0}, {"reference_sizes": ()}, {"reference_sizes": (0,)}, {"rest": 1.5},
    {"hidden_genes": -0.1}, {"cells_per_sample": (0,)},
])  # fmt: skip
def test_impossible_episodes_are_refused(options):
    with pytest.raises(ConfigError, match="episodes"):
        EpisodeSettings(**options)


def test_a_misspelt_preset_is_suggested():
    assert preset_named("published") is PUBLISHED
    with pytest.raises(ConfigError, match="did you mean 'published'"):
        preset_named("publshed")


@pytest.mark.parametrize("pathways", ["none", "fixed", "learned", "free"])
def test_first_weights_depend_on_the_seed_alone(pathways):
    preset = replace(PUBLISHED, pathways=pathways)
    torch.manual_seed(1)
    first = build_networks(preset, GENES, WIRING, 7)
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    second, other = build_networks(preset, GENES, WIRING, 7), build_networks(preset, GENES, WIRING, 8)
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state())
    for a, b, c in zip(first, second, other, strict=True):
        for name, values in a.state_dict().items():
            assert torch.equal(values, b.state_dict()[name]), name
        assert not torch.equal(a.out.weight, c.out.weight)


def test_the_wiring_must_be_of_these_genes():
    with pytest.raises(ModelError, match="wired for other genes"):
        build_networks(PUBLISHED, GENES[::-1], WIRING, 1)
    with pytest.raises(ModelError, match="no networks belong"):
        build_networks(replace(PUBLISHED, name="mine"), GENES, WIRING, 1)
