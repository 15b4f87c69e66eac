"""Filling the download cache beforehand: what is brought, what is only listed, what is wrong."""

import pytest
import yaml
from typer.testing import CliRunner

from consilience.cli import app
from consilience.foundation.errors import ConsilienceError
from consilience.prefetch import prefetch

AT = "https://data.example.org/"
SHEET = f"""cohort\tkind\tsource\tlocation\trole
one\tbulk\turl\t{AT}one.tsv|{AT}one.samples.tsv\tpretrain
two\tbulk\turl\t{AT}two.tsv\tpretrain
here\tbulk\tsimulated\tgeo\tpretrain
"""


@pytest.fixture
def study(tmp_path, replay, monkeypatch):
    """A study of two cohorts that are downloaded; two.tsv is not on the server yet."""
    monkeypatch.chdir(tmp_path)
    replay.serve("/one.tsv", b"gene\ts1\nTP53\t1\n")
    replay.serve("/one.samples.tsv", b"sample\tc\ns1\tx\n")
    config = {"study": {"cohorts": "s.tsv"}, "fetch": {"mirrors": {AT: f"{replay.url}/"}, "attempts": 1}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "s.tsv").write_text(SHEET)
    return config


def run(*arguments):
    return CliRunner().invoke(app, ["fetch", "--config", "c.yaml", *arguments])


def test_listing_brings_nothing_and_says_where_each_file_goes(study, replay, tmp_path):
    done = run("--list")
    assert done.exit_code == 0
    assert "one: 2 of 2 files not in the cache (0.0 MB and 2 of unknown size)" in done.output
    assert (
        f"{AT}one.tsv  (size unknown; its place by hand: downloads/data.example.org/one.tsv)" in done.output
    )
    assert "here" not in done.output
    assert not replay.requests


def test_a_cohort_that_fails_does_not_keep_the_others(study, replay, tmp_path):
    lines = []
    with pytest.raises(ConsilienceError, match=r"two\.tsv: cohort two: .*404"):
        lines += prefetch(study, config_file=tmp_path / "c.yaml", folder=tmp_path)
    assert (tmp_path / "downloads" / "data.example.org" / "one.tsv").is_file()
    replay.serve("/two.tsv", b"gene\ts1\nTP53\t1\n")
    n_requests = len(replay.requests)
    done = run()
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "one: all 2 files are in the cache", "two: 1 files brought, 1 in the cache",
    ]  # fmt: skip
    assert len(replay.requests) == n_requests + 1


def test_one_cohort_by_name(study, replay):
    done = run("--cohort", "one")
    assert done.exit_code == 0
    assert {request.path for request in replay.requests} == {"/one.tsv", "/one.samples.tsv"}
    assert run("--cohort", "on").exception is not None


def test_a_misspelt_cohort_is_said(study, tmp_path):
    with pytest.raises(ConsilienceError, match=r"no cohort of this name.*one, two, here.*did you mean 'two'"):
        list(prefetch(study, config_file=tmp_path / "c.yaml", names=["tow"], folder=tmp_path))
