"""`consilience manifest`: from the command line to a cohort that keeps exactly these files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from consilience.cli import app
from consilience.foundation.errors import DownloadError
from consilience.sources.fetch import fetch_cohort
from consilience.sources.gdc.manifest import read_manifest
from consilience.study.cohorts import Cohort
from consilience.study.config import read_config
from fake_gdc import RELEASE, FakeGdc, kich, star_file
from replay import ReplayServer


def write_config(gdc: FakeGdc, server: ReplayServer, folder: Path) -> Path:
    path = folder / "c.yaml"
    fetch = {
        "cache": str(folder / "cache"),
        "mirrors": gdc.serve(server),
        "attempts": 1,
        "stall_seconds": 5.0,
    }
    path.write_text(yaml.safe_dump({"fetch": fetch}))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["manifest", *map(str, arguments)])


def test_the_command_writes_a_manifest_that_a_cohort_follows(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc([*kich(4), star_file("TCGA-BP-0001-01A", project="TCGA-KIRC")])
    config, out = write_config(gdc, replay, tmp_path), tmp_path / "config" / "manifests" / "kidney.tsv"
    done = run("TCGA-KICH", "TCGA-KIRC", "--sample-type", "Primary Tumor", "--out", out, "--config", config)
    assert done.exit_code == 0, done.output
    assert "3 files (Primary Tumor 3)" in done.output
    entries = read_manifest(out)
    assert {one.project for one in entries} == {"TCGA-KICH", "TCGA-KIRC"}
    gdc.files.append(star_file("TCGA-KL-0009-01A"))  # the next release has one more
    cohort = Cohort("kidney", "bulk", "gdc", "config/manifests/kidney.tsv")
    fetch_cohort(cohort=cohort, served_dir=None, raw_dir=tmp_path / "raw", folder=tmp_path,
                 settings=read_config(config).fetch)  # fmt: skip
    record = json.loads((tmp_path / "raw" / "provenance.json").read_text())
    assert record["release"] == RELEASE
    names = {entry["name"] for entry in record["files"]}
    assert names == {f"{one.id}/{one.filename}" for one in entries} | {"files.json", "manifest.tsv"}


def test_a_project_that_is_misspelt_writes_nothing(replay: ReplayServer, tmp_path: Path) -> None:
    config = write_config(FakeGdc(kich(2)), replay, tmp_path)
    done = run("TCGA-KISH", "--out", tmp_path / "m.tsv", "--config", config)
    assert isinstance(done.exception, DownloadError)
    assert "did you mean" in str(done.exception)
    assert not (tmp_path / "m.tsv").exists()


def test_without_a_configuration_the_defaults_hold(
    replay: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    write_config(FakeGdc(kich(2)), replay, tmp_path).rename(tmp_path / "config" / "config.yaml")
    monkeypatch.chdir(tmp_path)
    assert run("TCGA-KICH", "--out", "m.tsv").exit_code == 0
    assert len(read_manifest(tmp_path / "m.tsv")) == 2
