"""The training loop: the same end after any interruption, and no silent failure."""

from __future__ import annotations

import copy
import errno
import json
import logging
import os
import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn

from consilience.foundation.errors import ConfigError, DataError, ModelError
from consilience.foundation.seeds import stream
from consilience.learning import checkpoints, progress, turns
from consilience.learning.fit import fit
from consilience.learning.players import Loss, Player, Rows
from consilience.learning.schedule import Schedule
from consilience.learning.stopping import TrainingStopped
from training_game import digest, draw, network, two_players, without_seconds


def play(*, epochs=4, steps=5, folder=None, players=None, batches=draw, seed=3, schedule=None, **options):
    players = players or two_players()
    options.setdefault("checkpoint_seconds", 0.0)
    schedule = Schedule(epochs=epochs, steps_per_epoch=steps, **(schedule or {}))
    result = fit(players=players, batches=batches, schedule=schedule, seed=seed, folder=folder, **options)
    return players, result


def lines_of(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def one_player(module, loss, *, lr=0.1, **options):
    return [Player("fitter", module, torch.optim.SGD(module.parameters(), lr), loss, **options)]


def squares(module):
    """Mean squared distance of a linear layer's output from the first column."""
    return lambda batch, generator: Loss(((module(batch["x"])[:, 0] - batch["x"][:, 0]) ** 2).mean())


class TestTheSameEnd:
    @pytest.mark.parametrize("cut", [1, 10, 19])
    def test_twenty_epochs_are_some_and_the_rest(self, tmp_path, cut):
        whole, straight = play(epochs=20)
        play(epochs=cut, folder=tmp_path)
        parts, resumed = play(epochs=20, folder=tmp_path)
        assert digest(parts) == digest(whole)
        assert without_seconds(resumed.history) == without_seconds(straight.history)
        assert resumed.resumed_after == cut
        assert [line["epoch"] for line in lines_of(tmp_path)] == list(range(1, 21))

    def test_averages_plateaus_and_the_best_weights_survive_too(self, tmp_path):
        def go(folder, epochs):
            players = two_players(average=0.9, every=2)
            d = players[0].module
            x = draw(0, 0, stream(9, "validation"))["x"]
            return play(epochs=epochs, folder=folder, players=players,
                        validate=lambda epoch: {"score": float(d(x).mean())},
                        schedule={"rate": "plateau", "plateau_patience": 1, "monitor": "validation.score"})  # fmt: skip

        whole, straight = go(None, 9)
        go(tmp_path, 4)
        parts, resumed = go(tmp_path, 9)
        assert digest(parts) == digest(whole)
        assert without_seconds(resumed.history) == without_seconds(straight.history)
        assert straight.history[-1]["generator.rate"] < straight.history[0]["generator.rate"]

    def test_a_finished_training_is_not_done_again(self, tmp_path):
        first, _ = play(folder=tmp_path)

        def never(epoch, step, rng):
            raise AssertionError("nothing is left to do")

        again, result = play(folder=tmp_path, batches=never)
        assert digest(again) == digest(first)
        assert result.resumed_after == 4

    def test_the_seed_decides_and_the_world_around_does_not(self):
        torch.manual_seed(1)
        first, _ = play()
        torch.manual_seed(2)
        np.random.seed(3)  # noqa: NPY002 - that it does not matter is the point
        players = two_players()
        before = torch.random.get_rng_state()
        second, _ = play(players=players)
        assert torch.equal(before, torch.random.get_rng_state())
        assert digest(first) == digest(second)
        assert digest(play(seed=4)[0]) != digest(first)

    def test_noise_and_dropout_are_not_the_same_numbers(self):
        seen = []

        def loss(batch, generator):
            seen.append((torch.rand(5, generator=generator), torch.rand(5)))
            return squares(module)(batch, generator)

        module = network(5, 1)
        play(epochs=1, steps=2, players=one_player(module, loss))
        flat = torch.stack([numbers for pair in seen for numbers in pair])
        assert len(torch.unique(flat)) == flat.numel()

    @pytest.mark.parametrize("place", [(0, 3), (1, 0), (2, 4), (3, 4)])
    def test_ended_without_a_word_it_starts_after_the_last_whole_epoch(self, tmp_path, place):
        whole, straight = play()

        def ended(epoch, step, rng):
            if (epoch, step) == place:
                raise KeyboardInterrupt
            return draw(epoch, step, rng)

        with pytest.raises(KeyboardInterrupt):
            play(folder=tmp_path, batches=ended)
        with (tmp_path / "history.jsonl").open("a") as handle:
            handle.write('{"epoch": 9, "half a li')
        parts, resumed = play(folder=tmp_path)
        assert resumed.resumed_after == place[0]
        assert digest(parts) == digest(whole)
        assert without_seconds(resumed.history) == without_seconds(straight.history)
        assert without_seconds(lines_of(tmp_path)) == without_seconds(straight.history)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
    def test_told_to_stop_it_ends_the_step_and_goes_on_from_there(self, tmp_path, number):
        whole, straight = play()

        def told(epoch, step, rng):
            if (epoch, step) == (1, 2):
                os.kill(os.getpid(), number)
                os.kill(os.getpid(), number)
            return draw(epoch, step, rng)

        before = signal.getsignal(number)
        with pytest.raises(TrainingStopped, match=rf"{number.name}.*after epoch 1 and 3 steps.*same command"):
            play(folder=tmp_path, batches=told, checkpoint_seconds=1e9)
        assert signal.getsignal(number) is before
        seen = []
        parts, resumed = play(
            folder=tmp_path, batches=lambda e, s, rng: seen.append((e, s)) or draw(e, s, rng)
        )
        assert seen[0] == (1, 3)
        assert digest(parts) == digest(whole)
        assert without_seconds(resumed.history) == without_seconds(straight.history)

    def test_threads_other_than_the_main_one_leave_signals_alone(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(digest(play(epochs=1)[0])))
        thread.start()
        thread.join()
        assert found == [digest(play(epochs=1)[0])]


class TestNotResumed:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"key": {"data": "b"}}, "key.data was 'a' and is 'b'"),
            ({"key": {"data": "a", "genes": 3}}, "key.genes was not there before"),
            ({"seed": 8}, "seed was '3' and is '8'"),
            ({"players": two_players(lr=0.5)}, "players.discriminator.settings was"),
            ({"players": two_players(average=0.9)}, "players.generator.average was 'None' and is '0.9'"),
            ({"schedule": {"clip_norm": 1.0}}, "schedule.clip_norm was 'None' and is '1.0'"),
        ],
    )
    def test_the_reason_is_told(self, tmp_path, caplog, change, reason):
        play(folder=tmp_path, key={"data": "a"})
        with caplog.at_level(logging.WARNING, "consilience"):
            _, result = play(**{"folder": tmp_path, "key": {"data": "a"}, **change})
        assert reason in result.why_not_resumed
        assert reason in caplog.text
        assert result.resumed_after == 0
        assert [line["epoch"] for line in lines_of(tmp_path)] == [1, 2, 3, 4]

    def test_other_first_weights_are_another_training(self, tmp_path):
        play(folder=tmp_path)
        players = two_players()
        with torch.no_grad():
            players[0].module[0].bias.add_(1)
        assert "first weights" in play(folder=tmp_path, players=players)[1].why_not_resumed

    def test_a_damaged_checkpoint_is_told_and_replaced(self, tmp_path):
        whole, _ = play(epochs=2, folder=tmp_path)
        path = next(tmp_path.glob("tensors-*.safetensors"))
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)
        again, result = play(epochs=2, folder=tmp_path)
        assert "damaged" in result.why_not_resumed
        assert "sha256" in result.why_not_resumed
        assert digest(again) == digest(whole)
        assert play(epochs=2, folder=tmp_path)[1].resumed_after == 2


class TestTheBestWeights:
    def test_they_are_kept_when_training_stops_early(self):
        module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(module.weight)
        seen = {}

        def loss(batch, generator):
            return Loss(-module.weight.mean())  # the weight grows by 0.1 a step, past its best value

        def validate(epoch):
            seen[epoch] = float(module.weight)
            return {"distance": abs(float(module.weight) - 0.6)}

        schedule = {"monitor": "validation.distance", "patience": 3}
        _, result = play(
            epochs=50, steps=2, players=one_player(module, loss), validate=validate, schedule=schedule
        )
        assert (result.best_epoch, result.stopped_early, len(result.history)) == (3, True, 6)
        assert module.weight.item() == seen[3] == pytest.approx(0.6)
        assert seen[6] == pytest.approx(1.2)
        assert not module.training

    def test_larger_can_be_better_and_equal_is_not(self):
        module = network(5, 1)
        values = iter([0.5, 0.7, 0.7, float("nan"), 0.6, 0.9])
        schedule = {"monitor": "validation.auc", "patience": 3, "larger_is_better": True}
        _, result = play(epochs=50, steps=1, players=one_player(module, squares(module)),
                         validate=lambda epoch: {"auc": next(values)}, schedule=schedule)  # fmt: skip
        assert (result.best_epoch, len(result.history)) == (2, 5)
        assert result.history[3]["validation.auc"] is None

    def test_an_unknown_number_to_watch_is_refused(self):
        with pytest.raises(ModelError, match=r"validation\.acu.*validation\.auc"):
            play(validate=lambda epoch: {"auc": 0.5}, schedule={"monitor": "validation.acu"})
        with pytest.raises(ModelError, match=r"validation\.auc.*generator\.loss"):
            play(schedule={"monitor": "validation.auc"})
        with pytest.raises(ConfigError, match="number to watch"):
            Schedule(epochs=1, steps_per_epoch=1, patience=3)

    def test_averaged_weights_are_validated_and_kept(self):
        module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(module.weight)
        seen = []
        players = one_player(module, lambda batch, generator: Loss(-module.weight.mean()), average=0.5)
        play(
            epochs=3, steps=1, players=players, validate=lambda epoch: seen.append(float(module.weight)) or {}
        )
        weight = average = 0.0
        for turn in range(3):
            weight += 0.1
            decay = min(0.5, (1 + turn) / (10 + turn))
            average = decay * average + (1 - decay) * weight
            assert seen[turn] == pytest.approx(average)
        assert module.weight.item() == pytest.approx(average)


class TestMemory:
    class Small(nn.Linear):
        """A layer that has room for so many rows."""

        room = 5
        tried: list[int]

        def forward(self, x):
            self.tried.append(len(x))
            if len(x) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB")
            return super().forward(x)

    def small(self, room):
        module = self.Small(5, 1)
        module.room, module.tried = room, []
        with torch.no_grad():
            module.weight.copy_(torch.arange(5.0))
            module.bias.zero_()
        return module

    def test_rows_are_halved_and_the_result_is_the_same(self, caplog):
        large, small = self.small(12), self.small(5)
        with caplog.at_level(logging.WARNING, "consilience"):
            _, parted = play(players=one_player(small, squares(small), lr=0.01))
        _, whole = play(players=one_player(large, squares(large), lr=0.01))
        assert small.tried[:6] == [12, 6, 3, 3, 3, 3]
        assert max(small.tried[2:]) == 3
        assert parted.rows == {"fitter": 3}
        assert whole.rows == {}
        assert "too little memory for 12 rows" in caplog.text
        assert torch.allclose(small.weight, large.weight, rtol=0, atol=1e-6)
        for one, other in zip(parted.history, whole.history, strict=True):
            assert one["fitter.loss"] == pytest.approx(other["fitter.loss"], rel=1e-6)

    def test_unequal_parts_are_weighted_by_their_rows(self):
        large, small = self.small(12), self.small(5)
        player = one_player(small, squares(small), lr=0.01)
        # 7 rows: parts of 4 and 3
        play(players=player, batches=lambda e, s, rng: draw(e, s, rng).part(0, 7))
        play(
            players=one_player(large, squares(large), lr=0.01),
            batches=lambda e, s, rng: draw(e, s, rng).part(0, 7),
        )
        assert 4 in small.tried
        assert torch.allclose(small.weight, large.weight, rtol=0, atol=1e-6)

    def test_when_one_row_is_too_much_the_numbers_are_told(self):
        module = self.small(0)
        with pytest.raises(
            ModelError, match=r"'fitter' even with one row.*6 weights.*Tried to allocate 3.00 GiB.*To mend"
        ):
            play(players=one_player(module, squares(module)))
        assert module.tried == [12, 6, 3, 2, 1]

    def test_what_did_fit_is_remembered(self, tmp_path):
        module = self.small(5)
        play(epochs=1, players=one_player(module, squares(module)), folder=tmp_path)
        module = self.small(5)
        play(epochs=2, players=one_player(module, squares(module)), folder=tmp_path)
        assert set(module.tried) == {3}

    @pytest.mark.parametrize(
        ("error", "short"),
        [
            (MemoryError(), True),
            (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
            (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
            (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
            (ValueError("CUDA out of memory"), False),
        ],
    )
    def test_ways_of_being_short(self, error, short):
        assert turns.is_out_of_memory(error) is short

    def test_other_errors_pass_as_they_are(self):
        module = network(4, 1)
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            play(players=one_player(module, squares(module)))


class TestNotFinite:
    def poisoned(self, *, times, where=(2, 1)):
        """A loss that is NaN at one step, so many times."""
        module, left, at = network(5, 1), [times], [None]

        def batches(epoch, step, rng):
            at[0] = (epoch, step)
            return draw(epoch, step, rng)

        def loss(batch, generator):
            value = squares(module)(batch, generator).value
            if at[0] == where and left[0]:
                left[0] -= 1
                value = value * float("nan")
            return Loss(value)

        return one_player(module, loss), batches

    def test_once_it_goes_back_and_on_with_a_lower_rate(self, tmp_path, caplog):
        players, batches = self.poisoned(times=1)
        with caplog.at_level(logging.WARNING, "consilience"):
            _, result = play(players=players, batches=batches, folder=tmp_path)
        assert result.troubles == 1
        rates = [line["fitter.rate"] for line in result.history]
        assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01])
        assert [line["epoch"] for line in lines_of(tmp_path)] == [1, 2, 3, 4]
        told = json.loads((tmp_path / "not_finite_1.json").read_text())
        assert (told["player"], told["epoch"], told["step"]) == ("fitter", 3, 2)
        assert told["numbers"]["loss"] == "nan"
        assert told["gradients_not_finite"] == ["0.weight", "0.bias"]
        assert told["weights_not_finite"] == []
        assert "s2.1.0, s2.1.1" in told["batch"]
        assert "back to the end of epoch 2" in caplog.text

    def test_it_goes_back_to_exactly_the_last_good_epoch(self):
        """The same as training two epochs, then two with a tenth of the rate."""
        players, batches = self.poisoned(times=1)
        play(players=players, batches=batches)
        by_hand = network(5, 1)
        for epoch in range(4):
            for step in range(5):
                batch = draw(epoch, step, stream(3, "epoch", epoch, "step", step, "batch"))
                by_hand.zero_grad()
                squares(by_hand)(batch, None).value.backward()
                with torch.no_grad():
                    for p in by_hand.parameters():
                        p -= (0.1 if epoch < 2 else 0.01) * p.grad
        for one, other in zip(players[0].module.parameters(), by_hand.parameters(), strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-6)

    def test_twice_is_an_error_that_names_the_samples(self, tmp_path):
        players, batches = self.poisoned(times=2)
        with pytest.raises(
            ModelError, match=r"epoch 3, step 2: the loss of 'fitter' is not finite.*second time.*s2\.1\.0"
        ) as caught:
            play(players=players, batches=batches, folder=tmp_path)
        assert "not_finite_2.json" in str(caught.value)
        assert (tmp_path / "not_finite_2.json").is_file()

    def test_infinite_gradients_count_too(self):
        module = nn.Linear(5, 1)

        def loss(batch, generator):  # finite, but the slope of a square root at 0 is not
            return Loss((module(batch["x"] * 0) * 0).abs().sqrt().mean())

        with pytest.raises(ModelError, match="the gradient of 'fitter' is not finite"):
            play(players=one_player(module, loss))

    def test_a_step_that_is_too_long_is_found_before_it_counts_as_good(self):
        module = nn.Linear(5, 1)

        def loss(batch, generator):
            return Loss(1e30 * module(batch["x"]).mean())

        with pytest.raises(ModelError, match="is not finite"):
            play(players=one_player(module, loss, lr=1e30), steps=1)

    def test_a_metric_that_is_not_finite_stops_nothing(self):
        module = network(5, 1)
        values = iter([1.0, float("nan"), 3.0, float("inf"), 5.0])

        def loss(batch, generator):
            return Loss(squares(module)(batch, generator).value, {"odd": next(values)})

        _, result = play(epochs=1, players=one_player(module, loss))
        assert result.history[0]["fitter.odd"] == pytest.approx(3.0)


class TestTheLoop:
    def test_numbers_are_those_of_a_loop_by_hand(self):
        players, result = play(epochs=2, players=two_players(dropout=0.0, noise=False))
        by_hand = two_players(dropout=0.0, noise=False)
        seen = []
        for epoch in range(2):
            for step in range(5):
                batch = draw(epoch, step, stream(3, "epoch", epoch, "step", step, "batch"))
                for player in by_hand:
                    for each in by_hand:
                        each.optimizer.zero_grad()
                    loss = player.loss(batch, torch.Generator())
                    loss.value.backward()
                    player.optimizer.step()
                    seen.append((epoch, player.name, float(loss.value.detach())))
        assert digest(players) == digest(by_hand)
        for epoch in range(2):
            mean = np.mean([value for e, name, value in seen if (e, name) == (epoch, "generator")])
            assert result.history[epoch]["generator.loss"] == pytest.approx(mean)

    def test_players_take_turns_as_often_as_they_should(self):
        turns_taken = []
        module = network(5, 1)

        def counted(name):
            return lambda batch, generator: turns_taken.append(name) or squares(module)(batch, generator)

        players = [
            Player("a", module, torch.optim.SGD(module.parameters(), 0.1), counted("a")),
            Player("b", module, torch.optim.SGD(module.parameters(), 0.1), counted("b"), every=3),
        ]
        play(epochs=2, steps=4, players=players)
        assert "".join(turns_taken) == "abaaabaaaba"

    def test_a_turn_leaves_the_other_players_alone(self):
        players = two_players()
        frozen = next(iter(players[0].module.parameters()))
        frozen.requires_grad_(False)
        before = copy.deepcopy(players[0].module.state_dict())
        seen = []
        watched = players[1].loss

        def loss(batch, generator):
            seen.append([p.requires_grad for p in players[0].module.parameters()])
            return watched(batch, generator)

        play(epochs=1, players=[Player("generator", players[1].module, players[1].optimizer, loss),
                                Player("discriminator", players[0].module, players[0].optimizer, players[0].loss)])  # fmt: skip
        assert not any(any(flags) for flags in seen)
        assert [p.requires_grad for p in players[0].module.parameters()] == [False, True, True, True]
        assert torch.equal(before["0.weight"], players[0].module.state_dict()["0.weight"])

    def test_long_gradients_are_shortened(self):
        module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(module.weight)
        players = one_player(module, lambda batch, generator: Loss(-1000 * module.weight.mean()))
        _, result = play(epochs=1, steps=1, players=players, schedule={"clip_norm": 2.0})
        assert module.weight.item() == pytest.approx(0.2, rel=1e-4)
        assert result.history[0]["fitter.gradient_norm"] == pytest.approx(1000)

    def test_progress_is_told(self, caplog, monkeypatch):
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
        with caplog.at_level(logging.INFO, "consilience"):
            play(epochs=2, label="rnagan")
        assert "rnagan: step 3 of 10, " in caplog.text
        assert "steps/s, at most" in caplog.text
        assert "generator.loss" in caplog.text

    def test_a_training_of_a_moment_says_nothing(self, caplog):
        with caplog.at_level(logging.INFO, "consilience"):
            play(epochs=2, label="rnagan")
        assert not caplog.text

    def test_a_full_disk_is_said(self, tmp_path, monkeypatch):
        def full(*_arguments, **_named):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        play(epochs=1, folder=tmp_path)
        old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        monkeypatch.setattr("pathlib.Path.write_bytes", full)
        with pytest.raises(DataError, match="the disk is full"):
            play(epochs=2, folder=tmp_path)
        monkeypatch.undo()
        assert (tmp_path / "checkpoint.json").read_bytes() == old["checkpoint.json"]
        parts, result = play(epochs=2, folder=tmp_path)
        assert result.resumed_after == 1
        assert digest(parts) == digest(play(epochs=2)[0])

    def test_losses_must_be_one_number_and_names_distinct(self):
        module = network(5, 1)
        with pytest.raises(ModelError, match="mean over rows"):
            play(players=one_player(module, lambda batch, generator: Loss(module(batch["x"]))))
        twins = one_player(module, squares(module)) * 2
        with pytest.raises(ModelError, match="different names"):
            play(players=twins)

    def test_batches_of_rows_know_their_parts(self):
        rows = Rows({"x": torch.arange(6.0).reshape(3, 2)}, names=["a", "b", "c"])
        part = rows.part(1, 3).to("cpu")
        assert (len(part), part.describe()) == (2, "b, c")
        assert torch.equal(part["x"], torch.tensor([[2.0, 3.0], [4.0, 5.0]]))
        with pytest.raises(ModelError, match="different numbers of rows"):
            Rows({"x": torch.zeros(3, 2), "y": torch.zeros(4)})

    def test_only_the_last_and_the_best_are_on_disk(self, tmp_path):
        module = network(5, 1)
        play(
            epochs=6,
            players=one_player(module, squares(module)),
            folder=tmp_path,
            schedule={"monitor": "fitter.loss"},
        )
        files = json.loads((tmp_path / checkpoints.RECORD).read_text())["files"]
        assert set(files) == {"last", "best"}
        found = sorted(path.name for path in tmp_path.iterdir())
        assert len([name for name in found if name.endswith(".safetensors")]) == len(
            {f["sha256"] for f in files.values()}
        )
        assert {"checkpoint.json", "history.jsonl"} < set(found)
