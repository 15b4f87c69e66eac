"""Many simulated studies: planted cell types are found, null ones are not, intervals hold the truth."""

from __future__ import annotations

import pytest

from causal.concordance.calibrating import studies, summary


@pytest.mark.slow
def test_thirty_studies_with_planted_and_null_cell_types() -> None:
    found = summary(studies(range(1, 31), n_donors=16, n_genes=250, n_types=4, effect=1.3))
    assert found["FDR"] <= 0.08
    assert found["type I, both"] <= 0.09
    assert found["type I, blocks dealt"] >= 0.2, "co-expressed programs are what the donors' test is for"
    assert found["type I, naive"] >= 0.2
    assert found["power at FDR"] >= 0.85
    assert found["global below 0.05"] >= 0.95
    assert found["interval of r holds 0, null"] >= 0.88
    assert found["corrected, coverage"] >= 0.88
    assert found["r corrected, median"] == pytest.approx(found["true r"], abs=0.12)


@pytest.mark.slow
def test_thirty_studies_in_which_nothing_is_in_the_cells() -> None:
    found = summary(studies(range(1, 31), n_active=0, n_types=4, n_genes=250))
    assert found["FDR"] <= 0.12
    assert found["global below 0.05"] <= 0.12
    assert found["type I, both"] <= 0.09
    assert found["type I, naive"] >= 0.2
