"""Dry runs of every profile, lint, and what a user sees when the sheet is wrong."""

import subprocess
import sys
import time

import pytest

from checkouts import BLOOD, GWAS, LINES, TISSUE, TUMOUR


@pytest.mark.parametrize("profile", ["local", "slurm"])
def test_profiles_work_as_typed_from_the_top_folder(checkout, profile):
    checkout.study(TISSUE, TUMOUR, BLOOD, LINES, GWAS)
    done = checkout.snakemake("--profile", profile, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert f"Using profiles {profile}" in done.stdout


def test_the_default_study_needs_no_arguments(checkout):
    done = checkout.snakemake("--dry-run", configfile=None)
    assert done.returncode == 0, done.stdout
    assert "tissue_geo" in done.stdout


def test_lint_and_format(root):
    lint = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], cwd=root, capture_output=True, text=True, check=False
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr
    form = subprocess.run(
        [sys.executable, "-m", "snakefmt.snakefmt", "--check", "Snakefile", "rules"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert form.returncode == 0, form.stderr


def test_all_mistakes_are_shown_before_any_job(checkout):
    checkout.study(TISSUE.replace("bulk", "bulkk"), GWAS.replace("gwas ", "../gwas "), study={"sed": 3})
    done = checkout.snakemake()
    assert done.returncode != 0
    assert "study.yaml:" in done.stdout
    assert "did you mean 'seed'?" in done.stdout
    assert "cohorts.tsv:2:kind" in done.stdout
    assert "cohorts.tsv:3:cohort" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (checkout.folder / "results").exists()


def test_designs_are_checked_before_any_job(checkout):
    checkout.study(TISSUE.replace("diseased", "sick"), BLOOD)
    done = checkout.snakemake()
    assert done.returncode != 0
    assert "sick" in done.stdout
    assert "diseased" in done.stdout  # the levels that exist are listed
    assert not (checkout.folder / "results").exists()


def test_dry_run_of_two_hundred_cohorts_in_a_minute(checkout):
    rows = [TISSUE.replace("tissue", f"tissue{number}", 1) for number in range(200)]
    checkout.study(*rows)
    started = time.perf_counter()
    jobs = checkout.jobs()
    assert time.perf_counter() - started < 60
    assert sum(job.startswith("prepare:") for job in jobs) == 200
