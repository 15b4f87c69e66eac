"""A checkout in which nothing was run, and one in which a small study was run to the end."""

import shutil

import pytest

from checkouts import BLOOD, GWAS, TISSUE, Checkout, copy_checkout


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Checkout:
    """A small study that was run to the end; tests must leave it as they found it (or copy it)."""
    checkout = copy_checkout(tmp_path_factory.mktemp("finished"))
    checkout.study(TISSUE, BLOOD, GWAS)
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    return checkout


@pytest.fixture
def finished_copy(finished, tmp_path) -> Checkout:
    """A finished study that a test may change."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    """A fresh copy in which nothing was run."""
    return copy_checkout(tmp_path)
