"""How a job ends: logs, exit codes, no traceback for what a user can mend."""

import subprocess
import sys

import pytest

from consilience.foundation.errors import DataError
from consilience.foundation.jobs import explain, job, progress

SCRIPT = """
import sys; sys.path.insert(0, {scripts!r})
from consilience.foundation.jobs import job
from consilience.foundation.errors import DataError
with job(log_path={log!r}, threads=1):
    {body}
"""


def run(root, tmp_path, body):
    log = tmp_path / "logs" / "x.log"
    script = SCRIPT.format(scripts=str(root / "scripts"), log=str(log), body=body)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return done, log.read_text()


def test_our_errors_have_no_traceback(root, tmp_path):
    done, log = run(root, tmp_path, "raise DataError('bad', where='a.tsv:3')")
    assert done.returncode == 1
    assert "DataError: a.tsv:3: bad" in done.stderr
    assert "DataError: a.tsv:3: bad" in log
    assert "Traceback" not in done.stderr + log


def test_unexpected_errors_keep_their_traceback_in_the_log(root, tmp_path):
    done, log = run(root, tmp_path, "1 / 0")
    assert done.returncode == 1
    assert "unexpected ZeroDivisionError" in log
    assert "Traceback" in log


def test_success_logs_the_time_and_keeps_stderr_quiet(root, tmp_path):
    done, log = run(root, tmp_path, "import warnings; warnings.warn('careful')")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "careful" in log
    assert "done in" in log


def test_threads_are_limited_before_libraries_load(root, tmp_path):
    _, log = run(root, tmp_path, "import os; raise DataError(os.environ['OMP_NUM_THREADS'])")
    assert "DataError: 1" in log


def test_memory_errors_say_how_to_go_on():
    assert "give the rule more" in explain(MemoryError())
    assert explain(DataError("x")) == "DataError: x"


def test_progress_passes_everything_on(caplog):
    with caplog.at_level("INFO", logger="consilience"):
        assert list(progress(range(5), label="cells", every=0.0)) == [0, 1, 2, 3, 4]
    assert "cells: 4 of 5" in caplog.text


def test_keyboard_interrupt_is_not_swallowed(tmp_path):
    def stop():
        with job(log_path=tmp_path / "l.log"):
            raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        stop()
