"""What runs again, and what does not: asserted as lists of jobs."""

import pytest

from checkouts import BLOOD, GWAS, TISSUE, TUMOUR

AGGREGATIONS = {"pathway_mask", "compare_with_truth", "report", "all"}


def append(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_a_second_run_has_nothing_to_do(finished):
    done = finished.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


def test_a_new_cohort_runs_only_its_own_jobs(finished_copy):
    finished_copy.study(TISSUE, BLOOD, GWAS, TUMOUR)
    new = {f"{rule}:tumour" for rule in ("simulate_cohort", "fetch", "prepare")}
    assert finished_copy.jobs() == new | AGGREGATIONS


def test_a_removed_cohort_runs_only_the_aggregations(finished_copy):
    finished_copy.study(TISSUE, GWAS)
    assert finished_copy.jobs() == AGGREGATIONS


def test_a_changed_row_runs_only_that_cohort(finished_copy):
    finished_copy.study(TISSUE.replace("Tissue", "Biopsies"), BLOOD, GWAS)
    jobs = finished_copy.jobs()
    assert "prepare:tissue" in jobs
    assert not {job for job in jobs if job.endswith((":blood", ":gwas"))}


PREPARE_AND_BELOW = {"prepare:tissue", "prepare:blood"} | AGGREGATIONS


@pytest.mark.parametrize(
    ("module", "jobs"),
    [
        ("report/page.py", {"report", "all"}),
        ("pathways/mask.py", AGGREGATIONS),
        ("simulate/recovery.py", {"compare_with_truth", "report", "all"}),
        ("expression/normalise.py", PREPARE_AND_BELOW),
        ("sources/fetch.py", None),
        ("foundation/errors.py", set()),
        # the report takes the words on generators from their registry, and one of them has this layer
        ("pathways/layer.py", {"report", "all"}),
        ("commands/diagnose.py", set()),
        ("cli.py", set()),
    ],
)
def test_an_edited_module_reruns_exactly_its_rules(finished_copy, module, jobs):
    append(finished_copy.folder / "scripts" / "consilience" / module, "\n# edited\n")
    found = finished_copy.jobs()
    if jobs is None:
        assert {"fetch:tissue", "fetch:blood", "fetch:gwas"} <= found
        assert not {job for job in found if job.startswith("simulate")}
    else:
        assert found == jobs


@pytest.mark.parametrize(
    ("changes", "jobs"),
    [
        ({"report": {"pseudonyms": True}}, {"report", "all"}),
        ({"pathways": {"max_genes": 300}}, AGGREGATIONS),
        ({"quality": {"bulk": {"min_count": 11}}}, PREPARE_AND_BELOW),
    ],
)
def test_a_changed_setting_reruns_only_what_uses_it(finished_copy, changes, jobs):
    finished_copy.study(TISSUE, BLOOD, GWAS, **changes)
    assert finished_copy.jobs() == jobs


def test_results_stay_in_their_folders(finished):
    made = {path.name for path in finished.folder.iterdir()}
    expected = {"results", "logs", "benchmarks", ".snakemake", "study.yaml", "cohorts.tsv"}
    sources = {
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
    }
    assert made == expected | sources
    assert [path.name for path in (finished.folder / "results").iterdir()] == ["small"]
