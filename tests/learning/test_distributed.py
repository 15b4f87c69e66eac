"""Two processes train as one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.learning.distributed import Team

PROGRAM = """
import importlib, json, os, socket, sys
from pathlib import Path
import torch
from consilience.learning.fit import fit
from consilience.learning.schedule import Schedule
from training_game import draw, in_child, two_players


def train(rank, folder, rows):
    torch.manual_seed(rank)
    players = two_players(dropout=0.0, noise=False, average=0.9)
    with torch.no_grad():
        for player in players:
            for p in player.module.parameters():
                p.add_(0.5 * rank)  # rank 0's weights are to win
    result = fit(
        players=players, batches=lambda e, s, rng: draw(e, s, rng).part(0, rows), seed=3, folder=folder / "training",
        schedule=Schedule(epochs=3, steps_per_epoch=4, clip_norm=0.5, monitor="validation.score", rate="cosine"),
        validate=lambda epoch: {"score": float(players[0].module(torch.ones(1, 5)))}, checkpoint_seconds=0.0,
    )
    weights = [w.tolist() for p in players for w in p.module.state_dict().values()]
    told = [{k: v for k, v in line.items() if k != "seconds"} for line in result.history]
    (folder / f"rank{rank}.json").write_text(json.dumps([weights, told, result.resumed_after]))


def team(folder, processes, rows):
    # as torchrun would start them
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(probe.getsockname()[1]),
                          WORLD_SIZE=str(processes), GLOO_SOCKET_IFNAME="lo")
    children = []
    for rank in range(processes):
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
        children.append(in_child(lambda: train(rank, folder, rows)))
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(processes)]


importlib.import_module("torch._dynamo")
importlib.import_module("torch.distributed")
here, found = Path(sys.argv[1]), {}
for rows in (12, 7, 1):
    together = here / f"together{rows}"
    found[rows] = [team(here / f"alone{rows}", 1, rows), team(together, 2, rows), team(together, 2, rows)]
print(json.dumps(found))
"""


def assert_close(one, other):
    for first, second in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-5)
    for first, second in zip(one[1], other[1], strict=True):
        assert second == pytest.approx(first, abs=1e-5)


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """With batches of 12, of 7 (unequal shares) and of 1 (one process has no row), and resumed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    for rows, ([single], (first, second), again) in json.loads(done.stdout).items():
        assert first == second
        assert_close(single, first)
        assert (
            len((tmp_path / f"together{rows}" / "training" / "history.jsonl").read_text().splitlines()) == 3
        )
        # both find the finished training, and give the same weights again
        assert [resumed_after for _, _, resumed_after in again] == [3, 3]
        assert again[0][0] == again[1][0] == first[0]


@given(rows=st.integers(0, 50), size=st.integers(1, 9))
def test_shares_are_all_rows_once(rows, size):
    shares = [Team("cpu", rank=rank, size=size).share(rows) for rank in range(size)]
    assert [row for start, stop in shares for row in range(start, stop)] == list(range(rows))
    assert max(stop - start for start, stop in shares) - min(stop - start for start, stop in shares) <= 1


def test_alone_nothing_changes():
    team = Team("cpu")
    assert team.total([1.0, 2.0]) == [1.0, 2.0]
    assert (team.any(True), team.any(False), team.agree([3.0])) == (True, False, True)
