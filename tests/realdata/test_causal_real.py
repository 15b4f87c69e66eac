"""The causal stage on real cohorts of the kit: both single-cell sets are paired, as treated cells mostly are."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from consilience.causal.concordance.study import write_concordance
from consilience.causal.dml import cells_file
from consilience.causal.dml.estimate import estimate
from consilience.causal.dml.study import open_types, write_dml
from consilience.causal.instruments.study import write_instruments
from consilience.causal.mr.study import write_mr
from consilience.causal.twmr.study import write_twmr
from consilience.sources.fetch import fetch_cohort
from consilience.sources.summary_statistics.prepare import prepare_summary_statistics
from consilience.study.causal import ConcordanceSection, DmlSection, InstrumentsSection, MrSection
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection, SummaryStatisticsSection
from realdata.test_cells_real import GLIOBLASTOMA, KANG, prepare
from workflow.test_cli_causal import run

pytestmark = pytest.mark.real_data
SETTINGS = DmlSection(others=[], top=5, repeats=2)
UP = ("ISG15", "IFI6", "ISG20")
"""Rise with interferon in every cell type (Kang HM et al. Nat Biotechnol 36:89, 2018)."""


@dataclass(frozen=True)
class Found:
    """What `write_dml` left in a folder."""

    folder: Path

    def table(self, name: str = "dml") -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{name}.parquet")

    @property
    def record(self) -> dict[str, Any]:
        return json.loads((self.folder / "dml.json").read_text(encoding="utf-8"))


def learned(expression: Path, folder: Path) -> Found:
    write_dml(
        expression, latent=None, out=folder / "dml.parquet", others=folder / "dml_others.parquet",
        left_out=folder / "dml_left_out.parquet", record=folder / "dml.json", settings=SETTINGS, seed=1,
    )  # fmt: skip
    return Found(folder)


@pytest.fixture(scope="module")
def zhao(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("zhao")
    source = kit / "perturb" / "zhao2021_glioblastoma_panobinostat.h5ad"
    return learned(prepare(source, folder, GLIOBLASTOMA)[0], folder)


@pytest.fixture(scope="module")
def kang(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kang")
    return prepare(kit / "singlecell" / "kang2018_ifnb_muscat.h5ad", folder, KANG)[0]


def test_panobinostat_is_compared_within_patients(zhao: Found) -> None:
    """An inhibitor of histone deacetylases: metallothionein up, chromatin's HMGB1 and PTMA down."""
    table, record = zhao.table().set_index("gene"), zhao.record
    assert record["paired"]
    (one,) = record["cell_types"]
    assert (one["n_donors"], one["n_cases"], one["cell_type"]) == (4, 4, cells_file.ALL_CELLS)
    assert "within donors" in one["covariates_dropped"]["age"]
    assert table["theta"].notna().all()
    assert (table.loc[["MT2A", "NEAT1"], "low"] > 0).all()
    assert (table.loc[["HMGB1", "PTMA", "NUCKS1"], "high"] < 0).all()
    assert table["df"].max() <= 3.01
    assert (table["p_naive"] < 1e-6).mean() > 0.3
    assert (table["p"] > table["p_naive"]).mean() > 0.9
    others = zhao.table("dml_others")
    signs = others.assign(
        same=np.sign(others["theta"]) == np.sign(table.loc[others["gene"], "theta"].to_numpy())
    )
    assert signs.groupby("variant")["same"].all().all()
    assert set(zhao.table("dml_left_out")["left_out"]) == set(record["both_arms"])


def test_two_donors_of_kang_are_too_few_and_said_to_be(kang: Path, tmp_path: Path) -> None:
    found = learned(kang, tmp_path)
    assert found.table().empty
    assert len(found.record["skipped"]) == 5
    assert all(why.startswith("2 donors have") for why in found.record["skipped"].values())


def test_interferon_genes_rise_in_every_type(kang: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pairs are no test, but their effects have a direction."""
    monkeypatch.setattr(cells_file, "MIN_PAIRS", 2)
    monkeypatch.setattr("consilience.causal.dml.gene_choice.MIN_DONORS_SEEN", 2)
    source = cells_file.open_cells(kang, covariates=SETTINGS.covariates)
    plan = cells_file.plan_types(source, min_cells=10, min_donors=2)
    assert len(plan.types) == 5
    for one in open_types(source, plan, settings=SETTINGS):
        assert one.cells.arm is not None
        place = {gene: number for number, gene in enumerate(one.cells.genes)}
        effect = estimate(one.cells, seed=1, repeats=1).theta
        assert all(effect[place[gene]] > 0.1 for gene in UP), one.plan.cell_type


def test_the_command_takes_own_paired_files(
    kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zhao, kang = "perturb/zhao2021_glioblastoma_panobinostat", "singlecell/kang2018_ifnb_muscat"
    out = tmp_path / "dml.tsv"

    def dml(name: str, *words: str) -> tuple[int, str, str]:
        fixed = ("--input", kit / f"{name}.h5ad", "--outcome", "condition", "--out", out)
        return run(capsys, "dml", *fixed, *words)

    treated = ("--case", "panobinostat", "--donor", "patient_id", "--covariates", "library_size,age")
    code, said, _ = dml(zhao, *treated)
    assert code == 0
    assert "4 donors as case and as control" in said
    effects = pd.read_csv(out, sep="\t").set_index("gene")["theta"]
    assert effects["MT2A"] > 0 > effects["HMGB1"]
    kinds = ("--case", "stim", "--cell-type", "cell_type")
    code, _, said = dml(kang, "--donor", "donor", *kinds)
    assert code == 1
    assert "2 donors have at least 10 cells as case and as control" in said
    # samples taken for donors: not how it should be done, but the signs are those of interferon
    assert dml(kang, "--donor", "sample", "--min-donors", "2", *kinds)[0] == 0
    found = pd.read_csv(out, sep="\t")
    assert (found[found["gene"].isin(UP)]["theta"] > 0.1).sum() == 5 * len(UP)


@pytest.fixture(scope="module")
def height(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("height")
    shutil.copytree(kit / "sumstats" / "twmr_height", folder / "served")
    cohort = Cohort("height", "summary_statistics", "local", str(folder / "served"))
    fetch_cohort(
        cohort=cohort, served_dir=None, raw_dir=folder / "raw", folder=Path(), settings=FetchSection()
    )
    prepare_summary_statistics(
        cohort=cohort, raw_dir=folder / "raw", out_dir=folder / "in", qc_path=folder / "in" / "qc.json",
        settings=SummaryStatisticsSection(n_gwas=239_087, n_eqtl=32_000),
    )  # fmt: skip
    settings, out = InstrumentsSection(), folder / "out"
    write_instruments(folder / "in", out, settings=settings)
    write_twmr(out / "inputs.parquet", out / "genes.parquet", out / "twmr.parquet", settings=settings)
    write_mr(out / "inputs.parquet", out / "genes.parquet", out / "mr.parquet",
             settings=MrSection(methods=["ivw_ld", "wald_ratio"], bootstraps=100), seed=1)  # fmt: skip
    return out


def test_height_has_effects_of_its_seventeen_genes(height: Path) -> None:
    twmr, mr = pd.read_parquet(height / "twmr.parquet"), pd.read_parquet(height / "mr.parquet")
    assert twmr["alpha"].notna().sum() == 17
    assert set(mr["method"]) == {"ivw_ld", "wald_ratio"}
    assert mr.loc[mr["method"] == "ivw_ld", "estimate"].notna().any()


def test_too_few_shared_genes_are_told_plainly(height: Path, zhao: Found, tmp_path: Path) -> None:
    write_concordance(
        twmr=height / "twmr.parquet", mr=height / "mr.parquet", dml=zhao.folder / "dml.parquet",
        left_out=zhao.folder / "dml_left_out.parquet", out_dir=tmp_path, pathways=None, seed=1,
        settings=ConcordanceSection(permutations=99, pathway_permutations=0, min_genes=5),
    )  # fmt: skip
    record = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert "share no gene" in record["verdict"]
    for name in ("concordance", "genes", "stability"):
        assert pd.read_parquet(tmp_path / f"{name}.parquet").empty
