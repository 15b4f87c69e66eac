"""Files are whole or absent."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from consilience.foundation.errors import DataError
from consilience.foundation.files import (
    atomic_path,
    digest_of_files,
    is_disk_full,
    read_json,
    require_space,
    sha256_of,
    write_json,
    write_text,
)


def test_success_replaces_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "deep" / "a.txt"
    write_text(target, "old")
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt()])
def test_failure_keeps_the_old_file(tmp_path, error):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_full_disk_is_said_in_words(tmp_path):
    def fill():
        with atomic_path(tmp_path / "a.h5ad"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DataError, match=r"a\.h5ad: the disk is full.*run the same command again"):
        fill()


def test_full_disk_is_recognised_behind_other_errors():
    hidden = OSError(
        "Can't write data (file write failed: errno = 28, error message = 'No space left on device')"
    )
    wrapped = RuntimeError("while writing key 'X'")
    wrapped.__cause__ = hidden
    assert is_disk_full(wrapped)
    assert not is_disk_full(ValueError("something else"))


def test_json_refuses_nan_and_names_broken_files(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()
    (tmp_path / "b.json").write_text('{"x": ')
    with pytest.raises(DataError, match=r"b\.json: not valid JSON"):
        read_json(tmp_path / "b.json")


def test_digests(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"x" * 3_000_000)
    second.write_bytes(b"y")
    assert sha256_of(first) == hashlib.sha256(first.read_bytes()).hexdigest()
    both = digest_of_files([first, second], root=tmp_path)
    assert both == digest_of_files([second, first], root=tmp_path)
    second.rename(tmp_path / "c")
    assert both != digest_of_files([first, tmp_path / "c"], root=tmp_path)


def test_relative_paths_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text("a.txt", "x")
    assert Path("a.txt").read_text() == "x"


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / ".tmp-12345-a[1].txt").write_text("half")
    (tmp_path / ".tmp-12345-a.txt").mkdir()
    (tmp_path / ".tmp-12345-a.txt" / "deep").write_text("half")
    others = [".tmp-12345-b.txt", ".tmp-12345-my-a.txt", ".tmp-x-a.txt"]
    for name in others:
        (tmp_path / name).write_text("being written by another job")
    write_text(tmp_path / "a[1].txt", "whole")
    write_text(tmp_path / "a.txt", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [*others, "a.txt", "a[1].txt"]


def test_space_is_asked_for_before_it_is_needed(tmp_path):
    require_space(tmp_path / "a.h5ad", 1)
    with pytest.raises(DataError, match=r"the disk is full.*MB are free, the next step may need"):
        require_space(tmp_path / "a.h5ad", 10**18)
