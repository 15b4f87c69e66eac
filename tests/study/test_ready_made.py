"""The ready-made studies pass every check, name only downloads that are known, and can be planned."""

import re

import pytest

from checkouts import copy_checkout
from consilience.downloads.catalogue import load_catalogue
from consilience.preflight import preflight
from consilience.sources.addresses import plan_addresses
from consilience.study.config import load_yaml
from consilience.study.sheet import COLUMNS

STUDIES = ["tcga-rare-kidney", "celiac", "rheumatoid-arthritis", "perturb-seq"]


@pytest.fixture
def study(root, monkeypatch, request):
    monkeypatch.chdir(root)
    path = root / "config" / "studies" / f"{request.param}.yaml"
    return request.param, load_yaml(path), preflight(load_yaml(path), config_files=[path])


def test_all_are_known_here(root):
    assert sorted(path.stem for path in (root / "config" / "studies").glob("*.yaml")) == sorted(STUDIES)
    assert sorted(path.stem for path in (root / "config" / "studies").glob("*.tsv")) == sorted(STUDIES)


@pytest.mark.parametrize("study", STUDIES, indirect=True)
def test_each_passes_the_checks_and_says_only_what_differs(study):
    name, values, checked = study
    assert values["study"]["name"] == name
    assert checked.config.study.cohorts == f"config/studies/{name}.tsv"
    defaults = type(checked.config)().model_dump()
    for section, keys in values.items():
        for key, value in keys.items():
            assert value != defaults[section][key], f"{section}.{key} is the default"


@pytest.mark.parametrize("study", STUDIES, indirect=True)
def test_each_file_to_download_is_in_the_catalogue(study):
    _, _, checked = study
    catalogue = load_catalogue()
    for cohort in checked.cohorts:
        if cohort.source == "url":
            assert plan_addresses(cohort=cohort).downloads == catalogue.of(cohort.location)
        if cohort.source == "geo":
            assert catalogue.rows(cohort.location)


@pytest.mark.parametrize("name", STUDIES)
def test_sheets_have_every_column_and_comments_that_say_what_was_not_checked(root, name):
    lines = (root / "config" / "studies" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    header = next(line for line in lines if not line.startswith("#"))
    assert header.split("\t") == list(COLUMNS)
    assert any("not checked from here" in line or "was opened here" in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_each_can_be_planned(tmp_path, name):
    checkout = copy_checkout(tmp_path)
    done = checkout.snakemake("--dry-run", configfile=f"config/studies/{name}.yaml")
    assert done.returncode == 0, done.stdout
    sheet = (checkout.folder / "config" / "studies" / f"{name}.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t")[0] for line in sheet.splitlines() if not line.startswith("#")][1:]
    planned = re.findall(r"rule fetch:\n(?:    .*\n)*?    wildcards: cohort=(\S+)", done.stdout)
    assert sorted(planned) == sorted(rows)
    assert "rule report:" in done.stdout
    assert not (checkout.folder / "downloads").exists()
