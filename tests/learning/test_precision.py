"""Number types: chosen by device, and losses scaled where numbers are short."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from consilience.foundation.errors import ConfigError, ModelError
from consilience.learning.fit import fit
from consilience.learning.players import Loss, Player
from consilience.learning.precision import Precision, pick_precision
from consilience.learning.schedule import Schedule
from training_game import digest, draw, network, two_players


def test_a_cpu_computes_in_float32():
    found = pick_precision("cpu")
    assert (found.name, found.scaler().is_enabled()) == ("float32", False)
    with found.autocast():
        assert not torch.is_autocast_enabled("cpu")
    with pytest.raises(ConfigError, match="allowed: auto, float32"):
        pick_precision("cpu", asked="int8")


@pytest.mark.parametrize(
    ("capability", "name"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_a_gpu_computes_as_short_as_it_safely_can(monkeypatch, capability, name):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert pick_precision("cuda:0").name == name


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_what_is_asked_for_is_used(name):
    seen = []
    module = network(5, 4, 1)

    def loss(batch, generator):
        y = module(batch["x"])
        seen.append(y.dtype)
        return Loss(y.float().square().mean())

    player = Player("p", module, torch.optim.Adam(module.parameters(), 0.01), loss)
    result = fit(
        players=[player], batches=draw, schedule=Schedule(epochs=3, steps_per_epoch=5), seed=1, precision=name
    )
    assert {str(kind) for kind in seen} == {f"torch.{name}"}
    assert result.precision == name
    assert next(module.parameters()).dtype == torch.float32
    assert result.history[-1]["p.loss"] < result.history[0]["p.loss"]


class TestShortNumbers:
    """Float16 with scaled losses, here on the CPU, where torch can do it as well."""

    def go(self, loss_of, *, epochs, folder=None):
        module = nn.Linear(5, 1, bias=False)
        nn.init.ones_(module.weight)
        player = Player("p", module, torch.optim.Adam(module.parameters(), 0.01),
                        lambda batch, generator: loss_of(module, batch))  # fmt: skip
        schedule = Schedule(epochs=epochs, steps_per_epoch=5)
        return [player], fit(players=[player], batches=draw, schedule=schedule, seed=1, precision="float16",
                             folder=folder, checkpoint_seconds=0.0)  # fmt: skip

    @staticmethod
    def steep(module, batch):
        # the gradient overflows float16 at the first loss scales, and fits later: steps are passed over, not failed
        return Loss(module(batch["x"]).mul(20.0).float().mean())

    def test_steps_that_overflow_are_passed_over(self):
        players, result = self.go(self.steep, epochs=2)
        assert result.troubles == 0
        assert torch.isfinite(players[0].module.weight).all()
        assert not torch.equal(players[0].module.weight, torch.ones(1, 5))

    def test_the_scale_is_resumed(self, tmp_path):
        whole, _ = self.go(self.steep, epochs=6)
        self.go(self.steep, epochs=2, folder=tmp_path)
        parts, result = self.go(self.steep, epochs=6, folder=tmp_path)
        assert result.resumed_after == 2
        assert digest(parts) == digest(whole)

    def test_a_gradient_that_is_infinite_at_any_scale_is_an_error(self):
        def loss(module, batch):
            return Loss((module(batch["x"] * 0).float() * 0).abs().sqrt().mean())

        with pytest.raises(ModelError, match="gradient of 'p' is not finite"):
            self.go(loss, epochs=20)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_trains_and_resumes(tmp_path, precision, require_or_skip):
    if not torch.cuda.is_available():
        require_or_skip("gpu", "torch sees no GPU")

    def go(epochs, folder=None, device="cuda"):
        players = two_players()
        return players, fit(players=players, batches=draw, schedule=Schedule(epochs=epochs, steps_per_epoch=10),
                            seed=1, device=device, precision=precision, folder=folder, checkpoint_seconds=0.0)  # fmt: skip

    whole, straight = go(6)
    go(3, tmp_path)
    parts, resumed = go(6, tmp_path)
    assert resumed.resumed_after == 3
    for one, other in zip(whole, parts, strict=True):
        for name, tensor in one.module.state_dict().items():
            torch.testing.assert_close(tensor, other.module.state_dict()[name], rtol=1e-4, atol=1e-4)
    assert straight.history[-1]["generator.loss"] == pytest.approx(
        resumed.history[-1]["generator.loss"], rel=1e-2
    )
    assert Precision(precision, "cuda", "").scaler().is_enabled() == (precision == "float16")


@pytest.mark.gpu
def test_a_full_gpu_trains_in_parts(require_or_skip):
    if not torch.cuda.is_available():
        require_or_skip("gpu", "torch sees no GPU")
    module = network(5, 4, 1)
    room = (
        torch.cuda.get_device_properties(0).total_memory // 4 // 8
    )  # a float per byte of an eighth of the memory

    def loss(batch, generator):
        waste = batch["x"].new_empty(len(batch) * room // 6)
        return Loss(module(batch["x"]).square().mean() + 0 * waste[0])

    player = Player("p", module, torch.optim.Adam(module.parameters(), 0.01), loss)
    result = fit(
        players=[player], batches=draw, schedule=Schedule(epochs=1, steps_per_epoch=2), seed=1, device="cuda"
    )
    assert 1 <= result.rows.get("p", 12) <= 12
