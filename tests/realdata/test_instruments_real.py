"""Ready TWMR inputs of the kit: the prepared cohort gives the estimators what the files themselves give."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.causal.inputs_file import from_twmr, read_inputs
from consilience.causal.instruments.study import write_instruments
from consilience.sources.fetch import fetch_cohort
from consilience.sources.summary_statistics.prepare import prepare_summary_statistics
from consilience.sources.summary_statistics.twmr import read_twmr_folder
from consilience.study.causal import InstrumentsSection
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection, SummaryStatisticsSection

pytestmark = pytest.mark.real_data
SIZES = {
    "ENSG00000000419": (3, 2), "ENSG00000000457": (4, 1), "ENSG00000000938": (3, 1), "ENSG00000000971": (5, 1),
    "ENSG00000001036": (11, 2), "ENSG00000001167": (4, 1), "ENSG00000001460": (4, 2), "ENSG00000001461": (4, 2),
    "ENSG00000001629": (5, 2), "ENSG00000001630": (3, 1), "ENSG00000001631": (2, 1), "ENSG00000002330": (16, 2),
    "ENSG00000002549": (20, 1), "ENSG00000002587": (6, 1), "ENSG00000002745": (2, 1), "ENSG00000002822": (16, 2),
    "ENSG00000002834": (8, 2),
}  # fmt: skip
"""Variants and genes with any effect, by hand from the files."""


def test_ready_inputs_pass_through_a_study(kit: Path, tmp_path: Path) -> None:
    source, people = kit / "sumstats" / "twmr_height", {"n_gwas": 239_087, "n_eqtl": 32_000}
    shutil.copytree(source, tmp_path / "served")
    cohort = Cohort("height", "summary_statistics", "local", str(tmp_path / "served"))
    fetch_cohort(
        cohort=cohort, served_dir=None, raw_dir=tmp_path / "raw", folder=Path(), settings=FetchSection()
    )
    prepare_summary_statistics(
        cohort=cohort, raw_dir=tmp_path / "raw", out_dir=tmp_path / "in", qc_path=tmp_path / "in" / "qc.json",
        settings=SummaryStatisticsSection(**people),
    )  # fmt: skip
    write_instruments(tmp_path / "in", tmp_path / "out", settings=InstrumentsSection())
    found = {one.gene: one for one in read_inputs(tmp_path / "out" / "inputs.parquet")}
    assert {gene: one.eqtl.shape for gene, one in found.items()} == SIZES
    for ready in read_twmr_folder(source):
        due, one = from_twmr(ready, **people), found[ready.gene]
        acting = (due.eqtl != 0).any(0)
        assert one.variants == due.variants
        assert one.genes == tuple(np.array(due.genes)[acting])
        assert one.eqtl == pytest.approx(due.eqtl[:, acting], rel=1e-14)
        assert one.gwas == pytest.approx(due.gwas, rel=1e-14)
        assert np.array_equal(one.ld, due.ld)
        assert np.array_equal(one.known, due.known[:, acting])
    genes = pd.read_parquet(tmp_path / "out" / "genes.parquet").set_index("gene")
    assert len(genes) == 23
    assert genes["flags"].str.contains("ready_inputs").all()
    assert set(genes.index[genes["n_kept"] == 0]).isdisjoint(SIZES)
