"""Who is in a cohort, before any number is drawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from consilience.foundation.errors import ConfigError
from consilience.simulate.cohort import planned_phenotypes
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

BULK = Cohort(
    "b", "bulk", "simulated", "geo", "disease state", ("diseased",), ("healthy",), "subject id", "", "batch"
)


def test_planning_imports_neither_numpy_nor_pandas(root: Path) -> None:
    code = (
        "import sys; from consilience.simulate.cohort import planned_phenotypes as plan;"
        "from consilience.study.cohorts import Cohort; from consilience.study.sections import SimulationSection;"
        "plan(cohort=Cohort('a', 'bulk', 'simulated', 'geo'), settings=SimulationSection());"
        "print([name for name in ('numpy', 'pandas', 'scipy', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("n_case", "n_control"), [(30, 30), (8, 13), (5, 3), (2, 2)])
def test_no_batch_belongs_to_one_arm(n_case: int, n_control: int) -> None:
    settings = SimulationSection.model_validate({"bulk": {"n_case": n_case, "n_control": n_control}})
    columns = planned_phenotypes(cohort=BULK, settings=settings)
    assert columns["disease state"].count("diseased") == n_case
    assert columns["disease state"].count("healthy") == n_control
    for batch in set(columns["batch"]):
        arms = {
            arm for arm, one in zip(columns["disease state"], columns["batch"], strict=True) if one == batch
        }
        assert arms == {"diseased", "healthy"}
    assert len(set(columns["subject id"])) == n_case + n_control


def test_half_of_the_normals_of_a_gdc_project_have_a_tumour_of_the_same_patient() -> None:
    cohort = Cohort(
        "g", "bulk", "simulated", "gdc", "sample_type", ("Primary Tumor",), ("Solid Tissue Normal",), "case_id",
        "", "plate",
    )  # fmt: skip
    columns = planned_phenotypes(cohort=cohort, settings=SimulationSection())
    tumours = {
        d for d, c in zip(columns["case_id"], columns["sample_type"], strict=True) if c == "Primary Tumor"
    }
    normals = [
        d for d, c in zip(columns["case_id"], columns["sample_type"], strict=True) if c != "Primary Tumor"
    ]
    assert sum(donor in tumours for donor in normals) == 15
    assert len(set(columns["sample"])) == 60


def test_sizes_of_one_cohort_stand_over_the_common_ones() -> None:
    settings = SimulationSection.model_validate({"cohorts": {"b": {"n_case": 4}}})
    columns = planned_phenotypes(cohort=BULK, settings=settings)
    assert columns["disease state"].count("diseased") == 4
    assert columns["disease state"].count("healthy") == 30


@pytest.mark.parametrize(
    ("sizes", "words"),
    [({"n_cases": 4}, ("n_cases", "n_case", "did you mean")), ({"n_case": 0}, ("n_case", "0"))],
)
def test_sizes_that_cannot_be_are_refused_with_their_place(
    sizes: dict[str, int], words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned_phenotypes(cohort=BULK, settings=SimulationSection(cohorts={"b": sizes}))
    assert all(word in str(caught.value) for word in (*words, "simulation: cohorts: b"))


def test_a_format_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="gdc"):
        planned_phenotypes(cohort=Cohort("b", "bulk", "simulated", "10x"), settings=SimulationSection())


def test_perturbation_cohorts_plan_their_levels_and_summary_statistics_none() -> None:
    screen = Cohort(
        "s",
        "perturbation",
        "simulated",
        "h5ad",
        "",
        (),
        ("non-targeting",),
        "",
        "cell_line",
        "gem_group",
        "gene",
    )
    columns = planned_phenotypes(cohort=screen, settings=SimulationSection())
    assert set(columns) == {"cell_line", "gem_group", "gene"}
    assert "non-targeting" in columns["gene"]
    assert len(set(columns["cell_line"])) == 4
    gwas = Cohort("w", "summary_statistics", "simulated", "gwas_ssf")
    assert planned_phenotypes(cohort=gwas, settings=SimulationSection()) == {}


@pytest.mark.parametrize("served", ["geo", "gdc"])
def test_the_words_of_a_served_cohort_do_not_follow_the_sheet(served: str) -> None:
    odd = Cohort("odd", "bulk", "simulated", served, "state", ("sick",), ("fine",), "who", "", "lot")
    columns = planned_phenotypes(cohort=odd, settings=SimulationSection())
    assert not {"state", "who", "lot"} & set(columns)
    assert not any({"sick", "fine"} & set(values) for values in columns.values())
