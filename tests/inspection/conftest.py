"""Simulated sources of each format, for inspections."""

import pytest

from checkouts import SMALL
from consilience.simulate.cohort import write_cohort
from consilience.simulate.truth import write_truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """Write a simulated source of some format and kind, and give its folder."""
    settings = SimulationSection.model_validate(SMALL["simulation"])
    truth = tmp_path_factory.mktemp("truth")
    write_truth(settings=settings, seed=7, out_dir=truth)

    def write(form, kind):
        root = tmp_path_factory.mktemp("served")
        write_cohort(
            cohort=Cohort("c", kind, "simulated", form), settings=settings, seed=7, truth_dir=truth,
            served_dir=root / "served", samples_path=root / "samples.parquet", threads=1,
        )  # fmt: skip
        (root / "served" / "manifest.json").unlink()
        return root / "served"

    return write
