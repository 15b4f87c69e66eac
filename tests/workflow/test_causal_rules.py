"""The causal stage in the workflow: which jobs there are, what runs again, and a small study to the end."""

from __future__ import annotations

import json
import re
import shutil

import pandas as pd
import pytest

from checkouts import BLOOD, GWAS, TISSUE, Checkout, copy_checkout
from consilience.foundation.errors import ConsilienceError
from consilience.preflight import preflight
from consilience.study.config import load_yaml

ON = {
    "enabled": True,
    "denoising": {"effort": 0.02, "folds": 2, "genes": 200, "latent": 4},
    "dml": {"top": 3, "others": ["lasso"], "repeats": 2, "folds": 3, "min_donors": 3, "min_cells": 3},
    "mr": {"methods": ["wald_ratio", "ivw_ld"], "bootstraps": 100},
    "concordance": {"permutations": 99, "pathway_permutations": 0, "min_genes": 5, "top": [5]},
}
HEIGHT = GWAS.replace("gwas ", "height ", 1)
OTHER = BLOOD.replace("blood ", "other ", 1)
OF_POPULATION = ("causal_instruments", "causal_twmr", "causal_mr")
OF_CELLS = ("causal_denoise", "causal_dml")


def causal(checkout: Checkout) -> set[str]:
    """Rule and cohorts of each job of this stage in a dry run."""
    done = checkout.snakemake("--dry-run")
    assert done.returncode == 0, done.stdout
    jobs = set()
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", done.stdout)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)
        values = re.search(r"wildcards: (.*)", block)
        if rule and rule.group(1).startswith("causal"):
            jobs.add(":".join([rule.group(1), *re.findall(r"=(\w+)", values.group(1))]))
    return jobs


def expected(population, cells) -> set[str]:
    jobs = {f"{rule}:{name}" for rule in OF_POPULATION for name in population}
    jobs |= {f"{rule}:{name}" for rule in OF_CELLS for name in cells}
    return jobs | {f"causal_concordance:{one}:{other}" for one in population for other in cells}


def test_nothing_of_it_runs_when_it_is_off(checkout) -> None:
    checkout.study(TISSUE, BLOOD, GWAS)
    assert causal(checkout) == set()


def test_each_population_and_each_set_of_cells_has_its_jobs_and_each_pair_one(checkout) -> None:
    checkout.study(TISSUE, BLOOD, OTHER, GWAS, HEIGHT, causal=ON)
    assert causal(checkout) == expected(("gwas", "height"), ("blood", "other"))
    checkout.study(BLOOD, OTHER, GWAS, HEIGHT, causal=ON | {"pairs": [["gwas", "blood"]]})
    alone = {
        f"causal_concordance:{one}:{other}" for one in ("gwas", "height") for other in ("blood", "other")
    }
    assert causal(checkout) == expected(("gwas", "height"), ("blood", "other")) - alone | {
        "causal_concordance:gwas:blood"
    }
    checkout.study(GWAS, causal=ON)
    assert causal(checkout) == expected(("gwas",), ())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pairs": [["blood", "gwas"]]}, "first of the pair"),
        ({"pairs": [["gwas", "tissue"]]}, "second of the pair"),
        ({"controls": ["hight"]}, "height"),
        ({"mr": {"methods": ["ivw_lt"]}}, "ivw_ld"),
        ({"dml": {"learner": "rigde"}}, "ridge"),
        ({"dml": {"score": "plr"}}, "partialling_out"),
        ({"dml": {"expression": "denoised"}, "denoising": {"enabled": False}}, "causal.denoising.enabled"),
        ({"instruments": {"r2": 0.0}}, "r2"),
    ],
)
def test_wrong_settings_are_told_before_any_job(checkout, change, said) -> None:
    checkout.study(TISSUE, BLOOD, GWAS, HEIGHT, causal=ON | change)
    with pytest.raises(ConsilienceError) as refused:
        preflight(load_yaml(checkout.folder / "study.yaml"), folder=checkout.folder)
    assert said in str(refused.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Checkout:
    """A small study run to the end; tests leave it as it is, or copy it."""
    checkout = copy_checkout(tmp_path_factory.mktemp("whole"))
    checkout.study(BLOOD, GWAS, causal=ON)
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    return checkout


@pytest.fixture
def whole_copy(whole, tmp_path) -> Checkout:
    shutil.copytree(whole.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


@pytest.mark.slow
def test_outputs_are_there(whole) -> None:
    folder = whole.folder / "results" / "small" / "causal"
    assert {path.name for path in (folder / "population" / "gwas").iterdir()} == {
        "instruments.parquet", "inputs.parquet", "genes.parquet", "instruments.json", "twmr.parquet", "mr.parquet",
    }  # fmt: skip
    assert {path.name for path in (folder / "cells" / "blood").iterdir()} >= {
        "latent.parquet", "denoising.json", "model", "dml.parquet", "dml_others.parquet", "dml_left_out.parquet",
        "dml.json",
    }  # fmt: skip
    pair = folder / "agreement" / "gwas" / "blood"
    assert {path.name for path in pair.iterdir()} >= {
        "concordance.parquet", "genes.parquet", "stability.parquet", "pathways.parquet", "pathway_agreement.parquet",
        "metrics.json",
    }  # fmt: skip
    assert json.loads((pair / "metrics.json").read_text(encoding="utf-8"))["verdict"]
    effects = pd.read_parquet(folder / "cells" / "blood" / "dml.parquet")
    assert effects["n_donors"].max() <= 6
    assert effects.loc[effects["p"].notna(), "se"].gt(0).all()
    assert effects.loc[effects["theta"].isna(), "flags"].ne("").all()


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(whole) -> None:
    assert "Nothing to be done" in whole.snakemake().stdout


@pytest.mark.slow
def test_a_further_cohort_runs_its_own_jobs_and_its_pairs(whole_copy) -> None:
    whole_copy.study(BLOOD, GWAS, HEIGHT, causal=ON)
    assert causal(whole_copy) == {
        *(f"{rule}:height" for rule in OF_POPULATION), "causal_concordance:height:blood",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "change", "rules"),
    [
        ("mr", {"bootstraps": 200}, {"causal_mr", "causal_concordance"}),
        ("dml", {"top": 4}, {"causal_dml", "causal_concordance"}),
        ("concordance", {"permutations": 100}, {"causal_concordance"}),
        ("instruments", {"r2": 0.2}, {*OF_POPULATION, "causal_concordance"}),
        ("denoising", {"latent": 5}, {*OF_CELLS, "causal_concordance"}),
    ],
)
def test_a_changed_setting_reruns_what_uses_it(whole_copy, step, change, rules) -> None:
    whole_copy.study(BLOOD, GWAS, causal=ON | {step: ON.get(step, {}) | change})
    assert {job.split(":")[0] for job in causal(whole_copy)} == rules
