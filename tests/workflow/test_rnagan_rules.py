"""The stage RNAGAN in the workflow: which jobs there are, what runs again, and a small study to the end."""

from __future__ import annotations

import json
import shutil

import pytest

from checkouts import BLOOD, GWAS, LINES, TISSUE, TUMOUR, Checkout, copy_checkout

ON = {"enabled": True, "effort": 0.0, "references": [3], "draws": 4, "splits": 2, "permutations": 4, "resamples": 1,
      "baselines": ["nearest_centroid"], "fold": 1.0}  # fmt: skip
STUDIED = "rare bulk simulated geo disease_state diseased healthy subject_id - - - study Rare"
PER_COHORT = ("rnagan_adapt", "rnagan_diagnosis", "rnagan_markers", "rnagan_synthesis", "rnagan_vectors")


def rnagan(jobs: set[str]) -> set[str]:
    return {job for job in jobs if job.startswith("rnagan")}


def of(*cohorts: str) -> set[str]:
    return {f"{rule}:{cohort}" for rule in PER_COHORT for cohort in cohorts}


def test_nothing_of_it_runs_when_it_is_off(checkout) -> None:
    checkout.study(TISSUE, BLOOD, GWAS, rnagan={"enabled": False})
    assert not rnagan(checkout.jobs())


def test_every_studied_cohort_has_its_jobs_and_perturbations_have_none(checkout) -> None:
    checkout.study(TISSUE, BLOOD, LINES, STUDIED, GWAS, rnagan=ON | {"transfer": [["tissue", "rare"]]})
    jobs = rnagan(checkout.jobs())
    assert {job.split(" ")[0] for job in jobs} == of("tissue", "blood", "rare") | {
        "rnagan_pretrain",
        "rnagan_transfer:rare,",
    }


def test_a_study_without_pretraining_cohorts_works(checkout) -> None:
    checkout.study(STUDIED, rnagan=ON)
    assert rnagan(checkout.jobs()) == of("rare")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"transfer": [["tissue", "nobody"]]}, "nobody"),
        ({"transfer": [["tissue", "blood"]]}, "not comparable"),
        ({"transfer": [["tissue", "tissue"]]}, "is the one to diagnose"),
        ({"transfer": [["tissue"]]}, "transfer"),
        ({"baselines": ["nearest_centroyd"]}, "nearest_centroid"),
        ({"preset": "best"}, "published"),
        ({"references": []}, "references"),
    ],
)
def test_wrong_settings_are_told_before_any_job(checkout, change, said) -> None:
    checkout.study(TISSUE, BLOOD, rnagan=ON | change)
    done = checkout.snakemake("--dry-run")
    assert done.returncode == 1
    assert said in done.stdout
    assert "Traceback" not in done.stdout


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Checkout:
    """A small study run to the end of this stage; tests leave it as it is, or copy it."""
    checkout = copy_checkout(tmp_path_factory.mktemp("whole"))
    checkout.study(TISSUE, TUMOUR, BLOOD, STUDIED, rnagan=ON)
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    return checkout


@pytest.fixture
def whole_copy(whole, tmp_path) -> Checkout:
    shutil.copytree(whole.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


def read(checkout: Checkout, name: str):
    return json.loads((checkout.folder / "results" / "small" / name).read_text(encoding="utf-8"))


@pytest.mark.slow
def test_no_cohort_trains_the_base_that_it_is_judged_by(whole) -> None:
    for cohort in ("tissue", "tumour", "blood", "rare"):
        expected = sorted({"tissue", "tumour", "blood"} - {cohort})
        assert read(whole, f"rnagan/{cohort}/diagnosis.json")["base_cohorts"] == expected
        trained = read(whole, f"rnagan/{cohort}/training.json")
        assert [entry["name"] for entry in trained["base"]["cohorts"]] == expected
        assert [entry["name"] for entry in trained["model"]["cohorts"]] == [*expected, cohort]
    assert [entry["name"] for entry in read(whole, "rnagan/pretrained.json")["cohorts"]] == [
        "blood",
        "tissue",
        "tumour",
    ]


@pytest.mark.slow
def test_outputs_are_there_and_the_truth_is_compared(whole) -> None:
    folder = whole.folder / "results" / "small" / "rnagan" / "tissue"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "base", "model", "history.parquet", "training.json", "diagnosis.parquet", "diagnosis.json",
        "markers_genes.parquet", "markers_pathways.parquet", "markers_interactions.parquet",
        "markers_enrichment.parquet", "markers.json", "synthetic.h5ad", "synthetic.parquet", "synthetic.json",
        "vectors.parquet", "group_vectors.parquet", "nearest.parquet", "vectors.json",
    }  # fmt: skip
    assert not (folder.parent / ".checkpoints").exists() or not list(
        (folder.parent / ".checkpoints").iterdir()
    )
    found = read(whole, "truth/found.json")["cohorts"]["tissue"]
    assert {line["method"] for line in found["markers"]} >= {"rnagan", "wilcoxon"}
    assert any(check["name"] == "markers" for check in found["checks"])


@pytest.mark.slow
def test_a_new_study_cohort_runs_its_own_jobs_only(whole_copy) -> None:
    more = STUDIED.replace("rare", "other")
    whole_copy.study(TISSUE, TUMOUR, BLOOD, STUDIED, more, rnagan=ON)
    assert rnagan(whole_copy.jobs()) == of("other")


@pytest.mark.slow
def test_a_new_pretraining_cohort_trains_every_model_again(whole_copy) -> None:
    more = TISSUE.replace("tissue", "second").replace(" both ", " pretrain ")
    whole_copy.study(TISSUE, TUMOUR, BLOOD, STUDIED, more, rnagan=ON)
    assert rnagan(whole_copy.jobs()) == of("tissue", "tumour", "blood", "rare") | {"rnagan_pretrain"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"draws": 5}, {"rnagan_diagnosis"}),
        ({"permutations": 5}, {"rnagan_markers"}),
        ({"fold": 0.5}, {"rnagan_synthesis"}),
        ({"transfer": [["tissue", "rare"]]}, {"rnagan_transfer"}),
    ],
)
def test_a_changed_setting_reruns_what_uses_it(whole_copy, change, rules) -> None:
    whole_copy.study(TISSUE, TUMOUR, BLOOD, STUDIED, rnagan=ON | change)
    assert {job.split(":")[0] for job in rnagan(whole_copy.jobs())} == rules


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(whole) -> None:
    assert "Nothing to be done" in whole.snakemake().stdout
