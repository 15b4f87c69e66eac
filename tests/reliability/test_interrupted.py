"""Killed at random moments, or out of disk: the same command again ends in the same result."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from checkouts import BLOOD, GWAS, TISSUE, Checkout, copy_checkout, environment

pytestmark = pytest.mark.slow
UNSTABLE = {"provenance.json", "run.json", "index.html", "versions.tsv"}
"""Files that hold dates or times; the numbers in them come from files that are compared."""


def digests(folder):
    """Digest of every result but those that carry the time of day."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in UNSTABLE and "tables" not in path.parts
    }


def start(checkout):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "study.yaml"]
    return subprocess.Popen(
        command,
        cwd=checkout.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    checkout = copy_checkout(folder)
    checkout.study(TISSUE, BLOOD, GWAS)
    started = time.monotonic()
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    return digests(folder / "results"), time.monotonic() - started


@pytest.mark.parametrize("trial", range(6))
def test_killed_and_run_again(tmp_path, undisturbed, trial):
    wanted, seconds = undisturbed
    checkout = copy_checkout(tmp_path)
    checkout.study(TISSUE, BLOOD, GWAS)
    moments = random.Random(trial)
    for _ in range(2):
        process = start(checkout)
        time.sleep(moments.uniform(0.1, 0.9) * seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    checkout.snakemake("--unlock")
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    assert digests(tmp_path / "results") == wanted
    assert not list((tmp_path / "results").rglob(".tmp-*")), "temporary files are left"


@pytest.mark.parametrize("megabytes", [0.5, 1, 2, 3])
def test_a_full_disk_is_said_and_can_be_mended(tmp_path, undisturbed, megabytes, require_or_skip):
    wanted, _ = undisturbed
    checkout = copy_checkout(tmp_path)
    checkout.study(TISSUE, BLOOD, GWAS)
    small_disk = tmp_path / "results"
    small_disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={int(megabytes * 1024)}k", "tmpfs", str(small_disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        require_or_skip("small_disk", "mounting a small disk needs root on Linux")
    try:
        done = checkout.snakemake()
        assert done.returncode != 0
        assert "the disk is full" in done.stdout
        subprocess.run(["mount", "-o", "remount,size=512m", str(small_disk)], check=True)
        done = checkout.snakemake()
        assert done.returncode == 0, done.stdout
        assert digests(small_disk) == wanted
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)


def test_two_runs_at_once_are_refused(tmp_path):
    checkout: Checkout = copy_checkout(tmp_path)
    checkout.study(TISSUE, BLOOD, GWAS)
    process = start(checkout)
    try:
        locks = tmp_path / ".snakemake" / "locks"
        for _ in range(100):
            if locks.exists() and any(locks.iterdir()):
                break
            time.sleep(0.1)
        done = checkout.snakemake()
        assert done.returncode != 0
        assert "lock" in done.stdout.lower()
    finally:
        process.wait(timeout=1200)
    assert process.returncode == 0
    shutil.rmtree(tmp_path / "results")
