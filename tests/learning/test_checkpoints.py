"""Checkpoints: committed in one step, and resumed only when they are whole and belong to the training."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from consilience.learning import checkpoints
from consilience.learning.checkpoints import Snapshot, differences, read_checkpoint, write_checkpoint
from consilience.learning.distributed import Team
from consilience.learning.players import Loss, Player
from consilience.learning.precision import pick_precision
from consilience.learning.training import begin, capture, kept_weights, load_weights, restore


def snapshot(number=1.0, *, best=True):
    weights = {"d/module/weight": torch.full((2, 3), number)}
    return Snapshot(
        weights, {"d/weight": torch.full((2, 3), -number)} if best else None, {"history": [{"epoch": 1}]}
    )


def same(one, other):
    assert one.facts == other.facts
    for mine, theirs in ((one.tensors, other.tensors), (one.best or {}, other.best or {})):
        assert set(mine) == set(theirs)
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("best", [True, False])
def test_what_was_written_is_read(tmp_path, best):
    write_checkpoint(tmp_path, snapshot(best=best), key={"a": 1})
    found, why_not = read_checkpoint(tmp_path, key={"a": 1})
    assert why_not == ""
    same(found, snapshot(best=best))


def test_nothing_there(tmp_path):
    assert read_checkpoint(tmp_path / "none", key={}) == (None, checkpoints.NOTHING_THERE)


@pytest.mark.parametrize("call", range(3))
def test_a_crash_between_any_two_files_leaves_the_old_checkpoint(tmp_path, monkeypatch, call):
    """Last, best and record are written in this order; the crash comes before the call-th of them."""
    write_checkpoint(tmp_path, snapshot(1.0), key={})
    calls = []
    names = ["write_packed", "write_packed", "write_sealed"]

    def crashing(name, real):
        def write(*arguments):
            if len(calls) == call:
                raise KeyboardInterrupt
            calls.append(name)
            real(*arguments)

        return write

    for name in set(names):
        monkeypatch.setattr(checkpoints, name, crashing(name, getattr(checkpoints, name)))
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, snapshot(2.0), key={})
    assert calls == names[:call]
    same(read_checkpoint(tmp_path, key={})[0], snapshot(1.0))
    monkeypatch.undo()
    write_checkpoint(tmp_path, snapshot(2.0), key={})
    same(read_checkpoint(tmp_path, key={})[0], snapshot(2.0))
    assert len(list(tmp_path.iterdir())) == 3, "files of other checkpoints are left"


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "tensors-mine.safetensors").write_text("mine")
    write_checkpoint(tmp_path, snapshot(), key={})
    assert (tmp_path / "tensors-mine.safetensors").read_text() == "mine"


def test_differences_are_named():
    before = {"a": 1, "b": {"c": [1, 2], "gone": 1}, "same": {"x": 1}}
    now = {"a": 2, "b": {"c": [1, 3], "new": 1}, "same": {"x": 1}}
    assert list(differences(before, now)) == [
        "a was '1' and is '2'",
        "b.c was '[1, 2]' and is '[1, 3]'",
        "b.gone was there before",
        "b.new was not there before",
    ]
    assert list(differences(now, now)) == []


def test_damage_anywhere_is_told_or_harmless(tmp_path):
    write_checkpoint(tmp_path, snapshot(), key={"data": "x"})
    rng = np.random.default_rng(0)
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for place in rng.choice(len(whole), 50):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << int(rng.integers(8))
            for content in (bytes(damaged), whole[:place]):
                path.write_bytes(content)
                found, why_not = read_checkpoint(tmp_path, key={"data": "x"})
                if found is None:
                    assert "damaged" in why_not
                else:
                    assert path.suffix == ".json"
                    same(found, snapshot())
        path.unlink()
        assert read_checkpoint(tmp_path, key={"data": "x"})[0] is None
        path.write_bytes(whole)


def test_other_version(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FORMAT_VERSION", 0)
    write_checkpoint(tmp_path, snapshot(), key={})
    monkeypatch.undo()
    assert read_checkpoint(tmp_path, key={}) == (None, "it has format version 0, not 1")


class TestSnapshots:
    """A snapshot is a copy: later steps do not reach it, and it can be put back more than once."""

    def training(self):
        module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        optimizer = torch.optim.Adam(module.parameters(), 0.1, amsgrad=True)
        player = Player("p", module, optimizer, lambda batch, generator: Loss(batch), average=0.9)
        return begin([player], team=Team("cpu"), precision=pick_precision("cpu"))

    def step(self, training, seed):
        [player] = training.players
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(seed))
        player.optimizer.zero_grad()
        player.module(x).square().mean().backward()
        player.optimizer.step()
        for name, value in player.module.named_parameters():
            training.averages["p"][name].lerp_(value.detach(), 0.1)

    def state(self, training):
        return {**capture(training).tensors, **kept_weights(training)}

    def test_steps_do_not_reach_it(self):
        training = self.training()
        self.step(training, 1)
        taken = capture(training)
        copy = {name: tensor.clone() for name, tensor in taken.tensors.items()}
        ends = []
        for _ in range(3):
            self.step(training, 2)
            self.step(training, 3)
            ends.append(self.state(training))
            restore(training, taken)
            assert all(torch.equal(taken.tensors[name], copy[name]) for name in copy)
        for end in ends[1:]:
            assert all(torch.equal(end[name], ends[0][name]) for name in ends[0])
        assert not torch.equal(ends[0]["p/module/0.weight"], copy["p/module/0.weight"])

    def test_it_holds_everything(self):
        training = self.training()
        self.step(training, 1)
        taken = capture(training)
        places = {name.split("/", 2)[1] for name in taken.tensors}
        assert places == {"module", "optimizer", "average"}
        assert {name.split("/")[-1] for name in taken.tensors if "/optimizer/" in name} == {
            "step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq",
        }  # fmt: skip
        assert "p/module/1.running_mean" in taken.tensors
        json.dumps(taken.facts, allow_nan=False)

    def test_kept_weights_are_averages_with_the_last_buffers(self):
        training = self.training()
        for seed in range(3):
            self.step(training, seed)
        kept = kept_weights(training)
        [player] = training.players
        assert torch.equal(kept["p/0.weight"], training.averages["p"]["0.weight"])
        assert torch.equal(kept["p/1.running_mean"], player.module[1].running_mean)
        load_weights(training, kept)
        self.step(training, 9)
        assert not torch.equal(kept["p/0.weight"], player.module[0].weight)
