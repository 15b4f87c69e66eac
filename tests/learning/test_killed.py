"""Killed or stopped at any moment: the same training again ends in the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

import training_game


@pytest.mark.slow
def test_the_same_command_again_ends_in_the_same_bits(tmp_path):
    """Eight trainings get SIGKILL and four SIGTERM, at random moments."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, training_game.__file__, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["trials"]) == 12
    for trial, (number, status, digest, history, resumed_after) in enumerate(found["trials"]):
        assert status == (1 if number == signal.SIGTERM else -number)
        assert [digest, history] == found["undisturbed"][:2]
        assert 0 < resumed_after < 12, "it did not go on from a checkpoint"
        folder = tmp_path / f"trial{trial}"
        lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == list(range(1, 13))
        assert sorted(path.name.split("-")[0] for path in folder.iterdir()) == [
            "checkpoint.json", "history.jsonl", "tensors",
        ]  # fmt: skip
    assert done.stderr.count("was asked to stop (SIGTERM)") >= 4
