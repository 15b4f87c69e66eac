"""What is planted: consistent, deterministic, independent of the sizes of cohorts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.expression.genes import load_gene_table
from consilience.foundation.errors import ConfigError, DataError
from consilience.pathways.gene_sets import load_gene_sets
from consilience.simulate.catalogue import MARKERS, build_catalogue
from consilience.simulate.plant import KNOCK_DOWN_LOG2, MHC
from consilience.simulate.truth import Truth, read_truth, write_truth
from consilience.study.sections import SimulationSection


def test_genes_are_real_and_stand_where_they_stand(truth: Truth) -> None:
    table = load_gene_table()
    genes = truth.genes
    assert genes["gene"].is_unique
    rows = [table.row_of[gene] for gene in genes["gene"]]
    assert [table.ensembl_ids[row] for row in rows] == genes["ensembl_id"].tolist()
    assert [table.positions[row] for row in rows] == genes["position"].tolist()
    assert (genes["chromosome"] == "MT").sum() == 13
    assert {"XIST", "RPS4Y1", "UTY"} <= set(genes["gene"])


def test_causal_genes_belong_to_their_pathways_and_signs_agree(truth: Truth) -> None:
    sets = {one.name: set(one.genes) for one in load_gene_sets(["hallmark", "reactome"])}
    causal = truth.genes[truth.genes["causal"]]
    assert len(causal) == 20
    assert causal["pathway"].nunique() == 2
    assert all(row.gene in sets[row.pathway] for row in causal.itertuples())
    assert (np.sign(causal["alpha"]) == np.sign(causal["effect"])).all()
    assert np.corrcoef(causal["alpha"], causal["effect"])[0, 1] > 0.8
    others = truth.genes[~truth.genes["causal"]]
    assert not others[["effect", "alpha"]].to_numpy().any()
    assert not set(causal["chromosome"]) & {"X", "Y", "MT"}


def test_pathway_table_says_what_was_planted(truth_dir: Path, truth: Truth) -> None:
    table = pd.read_parquet(truth_dir / "pathways.parquet").set_index("pathway")
    planted = table[table["planted"]]
    means = truth.genes[truth.genes["causal"]].groupby("pathway")["effect"].mean()
    assert planted["effect"].to_dict() == pytest.approx(means.to_dict())
    assert set(planted.index) == set(truth.disease.pathways)


def test_truth_reads_back_as_written(truth_dir: Path, settings: SimulationSection, tmp_path: Path) -> None:
    write_truth(settings=settings, seed=7, out_dir=tmp_path)
    for path in truth_dir.glob("*.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(tmp_path / path.name))
    assert (truth_dir / "truth.json").read_text() == (tmp_path / "truth.json").read_text()
    again = read_truth(tmp_path, settings=settings, seed=7)
    assert again.programs.table(again.symbols).equals(pd.read_parquet(truth_dir / "programs.parquet"))
    assert again.perturbations.table(again.symbols).equals(
        pd.read_parquet(truth_dir / "perturbations.parquet")
    )


def test_a_truth_of_another_study_is_refused(truth_dir: Path, settings: SimulationSection) -> None:
    with pytest.raises(DataError, match="seed 7"):
        read_truth(truth_dir, settings=settings, seed=8)
    with pytest.raises(DataError, match="effect"):
        read_truth(truth_dir, settings=settings.model_copy(update={"effect": 2.0}), seed=7)


def test_sizes_of_cohorts_do_not_change_the_truth(
    truth_dir: Path, settings: SimulationSection, tmp_path: Path
) -> None:
    other = SimulationSection(
        n_genes=600, n_causal_genes=20, n_causal_pathways=2, cohorts={"x": {"n_case": 3}}
    )
    write_truth(settings=other, seed=7, out_dir=tmp_path)
    assert (tmp_path / "truth.json").read_bytes() == (truth_dir / "truth.json").read_bytes()
    assert (tmp_path / "genes.parquet").read_bytes() == (truth_dir / "genes.parquet").read_bytes()


def test_null_study_keeps_everything_but_effects(
    settings: SimulationSection, truth: Truth, tmp_path: Path
) -> None:
    write_truth(settings=settings.model_copy(update={"effect": 0.0}), seed=7, out_dir=tmp_path)
    null = read_truth(tmp_path)
    assert not null.genes[["causal", "effect", "alpha"]].to_numpy(dtype=float).any()
    assert null.genes["candidate"].equals(truth.genes["candidate"])
    assert np.array_equal(null.expression.base, truth.expression.base)
    assert not pd.read_parquet(tmp_path / "pathways.parquet")["planted"].any()
    summary = json.loads((tmp_path / "truth.json").read_text())["summary"]
    assert summary["n_causal_genes"] == 0
    assert summary["causal_pathways"] == []


def test_effect_scales_effects(settings: SimulationSection, truth: Truth, tmp_path: Path) -> None:
    write_truth(settings=settings.model_copy(update={"effect": 0.5}), seed=7, out_dir=tmp_path)
    half = read_truth(tmp_path)
    assert half.disease.effect == pytest.approx(truth.disease.effect / 2)
    assert half.disease.alpha == pytest.approx(truth.disease.alpha / 2)


def test_another_seed_plants_another_truth(settings: SimulationSection, truth: Truth, tmp_path: Path) -> None:
    write_truth(settings=settings, seed=8, out_dir=tmp_path)
    other = read_truth(tmp_path)
    assert other.symbols == truth.symbols
    assert set(other.disease.candidates.tolist()) != set(truth.disease.candidates.tolist())


def test_a_larger_study_holds_the_genes_of_a_smaller_one() -> None:
    small, large = (set(build_catalogue(n_genes=n).symbols) for n in (300, 900))
    assert len(small) == 300
    assert small < large


def test_perturbations_of_one_pathway_answer_alike(truth: Truth) -> None:
    programs = truth.perturbations
    matrix = np.zeros((len(programs.names), len(truth.genes)))
    for row, (rows, effects) in enumerate(zip(programs.rows, programs.log2fc, strict=True)):
        matrix[row, rows] = effects
        target = truth.symbols.index(programs.names[row])
        assert matrix[row, target] == KNOCK_DOWN_LOG2
        matrix[row, target] = 0.0
    full = [row for row in range(len(matrix)) if np.count_nonzero(matrix[row]) > 10][:30]
    same, other = [], []
    for position, a in enumerate(full):
        for b in full[:position]:
            pair = np.corrcoef(matrix[a], matrix[b])[0, 1]
            (same if programs.pathways[a] == programs.pathways[b] else other).append(pair)
    assert np.mean(same) > 0.6
    assert abs(np.mean(other)) < 0.15


def test_loci_are_neighbours_outside_the_mhc_and_hold_causal_genes_first(truth: Truth) -> None:
    genes = truth.genes[truth.genes["locus"] != ""]
    groups = genes.groupby("locus")
    assert groups["chromosome"].nunique().max() == 1
    assert groups.size().max() <= 3
    assert (groups["position"].max() - groups["position"].min()).max() <= 2 * 500_000
    in_mhc = (genes["chromosome"] == MHC[0]) & genes["position"].between(*MHC[1:])
    assert not in_mhc.any()
    n_first = groups["causal"].any().sum()
    assert groups["causal"].any().sort_index().to_numpy()[:n_first].all()


def test_markers_stand_out_in_their_cell_types(truth: Truth) -> None:
    model = truth.expression
    for name, row in zip(model.types, model.by_type, strict=True):
        here = [truth.symbols.index(gene) for gene in MARKERS[name] if gene in truth.symbols]
        assert here
        assert row[here].min() > 1.0
        others = [k for k, other in enumerate(model.types) if not set(MARKERS[other]) & set(MARKERS[name])]
        assert model.by_type[np.ix_(others, here)].max() < -1.0


@pytest.mark.parametrize("n_genes", [200, 350])
def test_toy_sizes_with_default_causal_genes(n_genes: int, tmp_path: Path) -> None:
    write_truth(settings=SimulationSection(n_genes=n_genes), seed=1, out_dir=tmp_path)
    assert read_truth(tmp_path).genes["causal"].sum() == 40


def test_more_causal_pathways_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="n_causal_pathways"):
        write_truth(settings=SimulationSection(n_genes=200, n_causal_pathways=40), seed=1, out_dir=tmp_path)
