"""A hostile sheet through the whole front door: refused, and nothing written outside results/."""

import pytest

from checkouts import GWAS, TISSUE, Checkout, copy_checkout

HOSTILE = [
    "x$(touch${IFS}PWNED)",
    "y;touch",
    "`touch`",
    "../../escape",
    "/abs/path",
    "-rf",
    "a|b",
    "nul",
    "é",
]


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return copy_checkout(tmp_path)


def tree(folder):
    return {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if ".snakemake" not in path.parts
    }


def test_hostile_names_never_reach_a_job(checkout):
    rows = [TISSUE.replace("tissue ", f"{name} ", 1) for name in HOSTILE]
    checkout.study(*rows)
    before = tree(checkout.folder)
    done = checkout.snakemake()
    assert done.returncode != 0
    for line in range(2, len(HOSTILE) + 2):
        assert f"cohorts.tsv:{line}:cohort" in done.stdout
    assert "Traceback" not in done.stdout
    assert tree(checkout.folder) == before


def test_shell_characters_in_labels_and_levels_are_only_text(checkout):
    label = "$(touch${IFS}PWNED);`touch${IFS}PWNED2`'\"<script>alert(1)</script>{{7*7}}{wildcards}"
    checkout.study(GWAS.replace(" GWAS", f" {label}"), TISSUE.replace(" Tissue", f" {label}"))
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    outside = {name for name in tree(checkout.folder) if "PWNED" in name}
    assert not outside
    page = (checkout.folder / "results" / "small" / "report" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert(1)</script>" not in page
    assert "{{7*7}}" in page
