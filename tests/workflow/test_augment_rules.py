"""The stage augment in the workflow: which jobs there are, what runs again, and a small study to the end."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from checkouts import BLOOD, GWAS, LINES, TISSUE, Checkout, copy_checkout

ON = {"enabled": True, "generators": ["shrunk_gaussian", "pca_gaussian"], "temperatures": [0.5, 2.0], "splits": 2,
      "genes": 200, "sizes": [4], "runs": 2, "fold": 2.0, "temperature": 1.0, "privacy": "none",
      "classifiers": ["nearest_centroid"]}  # fmt: skip
RARE = "rare bulk simulated geo disease_state diseased healthy subject_id - - - study Rare"
OTHER = RARE.replace("rare", "other")
PRETRAINED = TISSUE.replace(" both ", " pretrain ")
FEW = {"simulation": {"cohorts": {"rare": {"n_case": 4, "n_control": 9}}}}
ONCE = ("augment_choose", "augment_utility_table", "augment_robustness", "augment_synthesis")


def augmenting(checkout: Checkout) -> list[str]:
    """Rule, cohort and generator of each job of this stage in a dry run."""
    done = checkout.snakemake("--dry-run")
    assert done.returncode == 0, done.stdout
    jobs = []
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", done.stdout)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)
        values = re.search(r"wildcards: (.*)", block)
        if rule and rule.group(1).startswith("augment"):
            named = re.findall(r"=(\w+)", values.group(1)) if values else []
            jobs.append(":".join([rule.group(1), *named]))
    return sorted(jobs)


def of(*cohorts: str, generators=("pca_gaussian", "shrunk_gaussian")) -> list[str]:
    jobs = [f"{rule}:{cohort}" for rule in ONCE for cohort in cohorts]
    for cohort in cohorts:
        jobs += [f"augment_compare:{cohort}:{key}" for key in ("real_train", *generators)]
        jobs += [f"augment_utility:{cohort}:{key}" for key in generators]
    return sorted(jobs)


def test_nothing_of_it_runs_when_it_is_off(checkout) -> None:
    checkout.study(TISSUE, BLOOD, GWAS)
    assert augmenting(checkout) == []


def test_studied_bulk_cohorts_have_their_jobs_and_no_others(checkout) -> None:
    checkout.study(PRETRAINED, BLOOD, LINES, RARE, OTHER, GWAS, augment=ON)
    assert augmenting(checkout) == of("rare", "other")
    checkout.study(RARE, OTHER, augment=ON | {"cohorts": ["rare"], "generator": "smote"})
    assert augmenting(checkout) == of("rare", generators=("pca_gaussian", "shrunk_gaussian", "smote"))


def test_the_generator_of_rnagan_waits_for_a_model_of_the_other_cohorts(checkout) -> None:
    checkout.study(RARE, TISSUE, augment=ON | {"generators": ["rnagan"], "cohorts": ["rare"]},
                   rnagan={"enabled": True, "effort": 0.0})  # fmt: skip
    done = checkout.snakemake("--dry-run")
    assert done.returncode == 0, done.stdout
    block = re.search(r"rule augment_compare:\n    input: (.*)\n    output: (.*)rnagan\.parquet", done.stdout)
    assert block is not None
    assert "rnagan/rare/base" in block.group(1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"generators": ["smoty"]}, "smote"),
        ({"generator": "published_vee"}, "published_vae"),
        ({"generators": []}, "generators"),
        ({"generators": ["rnagan"]}, "rnagan.enabled"),
        ({"cohorts": ["blood"]}, "not a studied bulk cohort"),
        ({"privacy": "copies"}, "balanced"),
        ({"temperature": "warm"}, "auto"),
        ({"limits": {"membership": 0.5}}, "membership_auc"),
        ({"classifiers": ["random_forrest"]}, "random_forest"),
    ],
)
def test_wrong_settings_are_told_before_any_job(checkout, change, said) -> None:
    checkout.study(RARE, BLOOD, augment=ON | change)
    done = checkout.snakemake("--dry-run")
    assert done.returncode == 1
    assert said in done.stdout
    assert "Traceback" not in done.stdout


def test_too_few_patients_are_told_before_any_job(checkout) -> None:
    from consilience.preflight import preflight, stage_notes
    from consilience.study.config import load_yaml

    checkout.study(RARE, augment=ON | {"cohorts": ["rare"]}, **FEW)
    done = checkout.snakemake("--dry-run")
    assert done.returncode == 1
    assert "too few patients to make synthetic ones of" in done.stdout
    checkout.study(RARE, augment=ON, **FEW)  # not asked for by name: the stage is told to be empty
    study = preflight(load_yaml(checkout.folder / "study.yaml"), folder=checkout.folder)
    notes = stage_notes(study, checkout.folder)
    assert len(notes) == 1
    assert "4 patients in the case arm" in notes[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Checkout:
    """A small study run to the end; tests leave it as it is, or copy it."""
    checkout = copy_checkout(tmp_path_factory.mktemp("whole"))
    checkout.study(RARE, augment=ON)
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    return checkout


@pytest.fixture
def whole_copy(whole, tmp_path) -> Checkout:
    shutil.copytree(whole.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


@pytest.mark.slow
def test_outputs_are_there(whole) -> None:
    folder = whole.folder / "results" / "small" / "augment" / "rare"
    assert {path.name for path in folder.iterdir()} == {
        "compared", "used", "generators.parquet", "generators.json", "attacks.parquet", "temperature.parquet",
        "temperature.json", "utility.parquet", "utility_summary.parquet", "published.parquet", "utility.json",
        "robustness.parquet", "markers.parquet", "marker_agreement.parquet", "robustness.json", "synthetic.h5ad",
        "synthetic.parquet", "model", "genes.parquet", "overlay.parquet", "card.md", "metrics.json", "privacy.json",
    }  # fmt: skip
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["released"]
    assert metrics["units"] == "counts"


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(whole) -> None:
    assert "Nothing to be done" in whole.snakemake().stdout


@pytest.mark.slow
def test_a_further_cohort_and_a_further_generator_run_their_own_jobs(whole_copy) -> None:
    whole_copy.study(RARE, OTHER, augment=ON)
    assert augmenting(whole_copy) == of("other")
    whole_copy.study(RARE, augment=ON | {"generators": [*ON["generators"], "smote"]})
    assert set(augmenting(whole_copy)) == {
        "augment_compare:rare:smote", "augment_utility:rare:smote", *(f"{rule}:rare" for rule in ONCE),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"sizes": [5]}, {"augment_utility", "augment_utility_table"}),
        ({"runs": 3}, {"augment_robustness"}),
        ({"privacy": "balanced"}, {"augment_choose", "augment_robustness", "augment_synthesis"}),
        (
            {"temperatures": [1.0, 2.0]},
            {"augment_compare", "augment_choose", "augment_robustness", "augment_synthesis"},
        ),
    ],
)
def test_a_changed_setting_reruns_what_uses_it(whole_copy, change, rules) -> None:
    whole_copy.study(RARE, augment=ON | change)
    assert {job.split(":")[0] for job in augmenting(whole_copy)} == rules
