"""Run the workflow as a user would, in a copy of the checkout with a study small enough for tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PARTS = [
    "Snakefile",
    "rules",
    "scripts",
    "envs",
    "resources",
    "report",
    "config",
    "profiles",
    "local",
    "slurm",
]

SHEET_HEADER = (
    "cohort kind source location condition case control donor cell_type batch perturbation role label"
)
TISSUE = "tissue bulk simulated geo disease_state diseased healthy subject_id - batch - both Tissue"
TUMOUR = (
    "tumour bulk simulated gdc sample_type Primary_Tumor Solid_Tissue_Normal case_id - plate - both Tumour"
)
BLOOD = "blood single_cell simulated 10x condition diseased healthy donor cell_type batch - both Blood"
LINES = "lines perturbation simulated h5ad - - non-targeting - cell_line gem_group gene study Lines"
GWAS = "gwas summary_statistics simulated gwas_ssf - - - - - - - study GWAS"

SMALL = {
    "study": {"name": "small", "seed": 7},
    "simulation": {
        "n_genes": 400,
        "n_causal_genes": 16,
        "n_causal_pathways": 2,
        "bulk": {"n_case": 10, "n_control": 10, "n_outliers": 1},
        "single_cell": {"n_case": 3, "n_control": 3, "cells_per_donor": 60},
        "perturbation": {"cell_lines": 2, "n_perturbations": 4, "cells_per_perturbation": 10},
        "summary_statistics": {"n_loci": 8, "snps_per_locus": 12},
    },
    "pathways": {"min_genes": 5},
    "rnagan": {"enabled": False},
    "augment": {"enabled": False},
    "causal": {"enabled": False},
}


def sheet_text(*rows: str) -> str:
    """Rows are written with blanks between cells, '-' for empty and '_' for a blank in a level."""
    lines = [SHEET_HEADER.replace(" ", "\t")]
    for row in rows:
        cells = ["" if cell == "-" else cell for cell in row.split(" ")]
        spaced = {4, 5, 6, 7}
        lines.append(
            "\t".join(
                cell.replace("_", " ")
                if index in spaced
                and cell in {"disease_state", "subject_id", "Primary_Tumor", "Solid_Tissue_Normal"}
                else cell
                for index, cell in enumerate(cells)
            )
        )
    return "\n".join(lines) + "\n"


def environment() -> dict[str, str]:
    """The environment of every run: a fixed date, so that reports can be compared."""
    return os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "SOURCE_DATE_EPOCH": "1700000000"}


@dataclass
class Checkout:
    """A copy of the checkout in which studies are run."""

    folder: Path

    def study(self, *rows: str, **changes: dict) -> None:
        """Write the study's configuration and sheet (top-level sections are merged one level deep)."""
        config = {section: dict(SMALL.get(section, {})) for section in {*SMALL, *changes}}
        for section, values in changes.items():
            config[section].update(values)
        config["study"]["cohorts"] = "cohorts.tsv"
        (self.folder / "study.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        (self.folder / "cohorts.tsv").write_text(sheet_text(*rows), encoding="utf-8")

    def snakemake(self, *arguments: str, configfile: str | None = "study.yaml", timeout: float = 1200):
        """Run snakemake in the copy; output of both streams in .stdout."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor"]
        command += ["--configfile", configfile] if configfile else []
        return subprocess.run(
            [*command, *arguments],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )

    def jobs(self, *arguments: str) -> set[str]:
        """What a run would do: 'rule' or 'rule:cohort' for each job of a dry run."""
        done = self.snakemake("--dry-run", *arguments)
        assert done.returncode == 0, done.stdout
        jobs = set()
        for block in re.split(r"\n(?=(?:local)?rule \w+:)", done.stdout)[1:]:
            rule = re.match(r"(?:local)?rule (\w+):", block)
            cohort = re.search(r"wildcards: cohort=(\S+)", block)
            jobs.add(rule.group(1) + (f":{cohort.group(1)}" if cohort else ""))
        return jobs


def copy_checkout(folder: Path) -> Checkout:
    """Copy what a run needs."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    return Checkout(folder)
