"""From files as they are served to instruments: flips and strands are found as they were planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.causal.inputs_file import read_inputs
from consilience.causal.instruments.study import write_instruments
from consilience.foundation.files import read_json
from consilience.simulate.cohort import write_cohort
from consilience.simulate.truth import write_truth
from consilience.sources.fetch import fetch_cohort
from consilience.sources.summary_statistics.prepare import prepare_summary_statistics
from consilience.study.causal import InstrumentsSection
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection, SimulationSection

COHORT = Cohort("gwas", "summary_statistics", "simulated", "gwas_ssf")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `samples.parquet` (what was planted), `in` (prepared) and `out` (instruments)."""
    folder = tmp_path_factory.mktemp("study")
    settings = SimulationSection.model_validate({
        "n_genes": 600, "n_causal_genes": 20, "n_causal_pathways": 2,
        "summary_statistics": {"n_loci": 30, "snps_per_locus": 20},
    })  # fmt: skip
    write_truth(settings=settings, seed=3, out_dir=folder / "truth")
    write_cohort(
        cohort=COHORT, settings=settings, seed=3, truth_dir=folder / "truth", served_dir=folder / "served",
        samples_path=folder / "samples.parquet", threads=1,
    )  # fmt: skip
    fetch_cohort(
        cohort=COHORT,
        served_dir=folder / "served",
        raw_dir=folder / "raw",
        folder=folder,
        settings=FetchSection(),
    )
    prepare_summary_statistics(
        cohort=COHORT, raw_dir=folder / "raw", out_dir=folder / "in", qc_path=folder / "in" / "qc.json"
    )
    write_instruments(folder / "in", folder / "out", settings=InstrumentsSection())
    return folder


def test_flips_and_strands_are_those_planted(study: Path) -> None:
    table = pd.read_parquet(study / "out" / "instruments.parquet")
    facts = pd.read_parquet(study / "samples.parquet").drop_duplicates("id").set_index("id")
    there = facts.loc[table["variant"]].reset_index(drop=True)
    assert ((table["reason"] == "not_in_gwas") == ~there["in_gwas"]).all()
    used = (table["reason"] != "not_in_gwas") & ~table["palindromic"] & table["eqtl_beta"].notna()
    assert used.sum() > 100
    assert (table["flipped"] == (there["flipped_eqtl"] != there["flipped_gwas"]))[used].all()
    record = read_json(study / "out" / "instruments.json")
    counted = record["harmonised"]["eqtl"]
    pairs = pd.read_parquet(study / "in" / "eqtl.parquet", columns=["rsid"])["rsid"]
    seen = facts.loc[pairs, "in_gwas"].to_numpy()
    assert counted["n_other_strand"] == (facts.loc[pairs, "other_strand_eqtl"].to_numpy() & seen).sum() > 0
    assert set(table.loc[table["palindromic"], "reason"]) == {"palindromic"}  # a mixed strand, no frequencies
    assert record["ld_check"]["eqtl"]["agreement"] > 0.97


def test_effects_of_both_sides_agree_with_the_planted_effects(study: Path) -> None:
    """The GWAS effect of a gene's instruments is alpha times theirs on expression, where no other gene acts."""
    facts = pd.read_parquet(study / "samples.parquet")
    alpha = facts[facts["gene"] != ""].groupby("gene")["alpha"].first()
    direct = set(facts.loc[facts["direct_effect"] != 0, "locus"])
    locus = facts[facts["gene"] != ""].groupby("gene")["locus"].first()
    product, n = [], 0
    for one in read_inputs(study / "out" / "inputs.parquet"):
        acting = [name for name in alpha.index[locus[alpha.index] == locus[one.symbol]] if alpha[name]]
        if acting == [one.symbol] and locus[one.symbol] not in direct:
            known = one.known[:, 0]
            product.append(float(alpha[one.symbol] * (one.eqtl[known, 0] @ one.gwas[known])))
            n += int(known.sum())
    assert n > 10
    assert np.mean(np.array(product) > 0) > 0.7
    assert sum(product) > 0


def test_every_gene_of_the_table_is_accounted_for(study: Path) -> None:
    genes = pd.read_parquet(study / "out" / "genes.parquet")
    eqtl = pd.read_parquet(study / "in" / "eqtl.parquet")
    assert genes["gene"].tolist() == sorted(eqtl["ensembl_id"].unique())
    empty = genes["n_kept"] == 0
    assert (genes["flags"].str.contains("no_instruments") == empty).all()
    assert (genes.loc[empty, "dropped"] != "").all()
    assert read_json(study / "out" / "instruments.json")["n_with_instruments"] == (~empty).sum()
