"""Pathways on both sides: enrichment without noise, agreement, and its p-values from genes."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from causal.concordance.calibrating import QUICK, shared_of
from causal.concordance.two_sides import two_sides
from consilience.causal.concordance.enrichment import enrichment, ranked
from consilience.causal.concordance.left_out import left_out_of
from consilience.causal.concordance.pathway_agreement import pathway_agreement

RNG = np.random.default_rng(1)
SYMBOLS = [f"G{number}" for number in range(120)]
SETS = {f"P{number}": [SYMBOLS[k] for k in RNG.choice(120, 15, replace=False)] for number in range(12)}


def test_enriched_pathways_are_found_with_their_sign() -> None:
    z = RNG.normal(size=120)
    place = {name: number for number, name in enumerate(SYMBOLS)}
    z[[place[gene] for gene in SETS["P3"]]] += 2.5
    z[[place[gene] for gene in SETS["P7"] if gene not in SETS["P3"]]] -= 2.5
    found = enrichment(ranked(SYMBOLS, z), pathways=SETS, permutations=200, seed=1).set_index("pathway")
    assert found["nes"].idxmax() == "P3"
    assert found["nes"].idxmin() == "P7"
    assert found.loc["P3", "p"] == pytest.approx(1 / 201)
    assert set(found.loc["P3", "leading_edge"].split(";")) <= set(SETS["P3"])
    # neither the order of genes nor of sets matters, nor who drew random numbers before
    order = RNG.permutation(120)
    np.random.seed(5)  # noqa: NPY002 (nothing may depend on it)
    again = enrichment(
        ranked([SYMBOLS[k] for k in order], z[order]),
        pathways={name: SETS[name] for name in reversed(SETS)}, permutations=200, seed=1,
    )  # fmt: skip
    pd.testing.assert_frame_equal(again.set_index("pathway"), found)


def test_ties_raise_no_warning_and_leave_logging_as_it_was(capfd) -> None:
    z = np.round(RNG.normal(size=120))
    found = enrichment(ranked(SYMBOLS, z), pathways=SETS, permutations=50, seed=1)
    assert len(found) == 12
    assert capfd.readouterr().err == ""
    assert logging.root.manager.disable == 0


def test_what_cannot_be_enriched_is_an_empty_table() -> None:
    for genes, sets in ((ranked(SYMBOLS, np.ones(120)), SETS), (ranked(SYMBOLS, RNG.normal(size=120)), {})):
        found = enrichment(genes, pathways=sets, permutations=50, seed=1)
        assert found.empty
        assert found.columns.tolist() == ["pathway", "nes", "p", "fdr", "leading_edge"]


def test_a_symbol_that_is_there_twice_counts_once() -> None:
    found = ranked(["A", "B", "A", "", "C"], np.array([1.0, 2.0, -3.0, 9.0, np.nan]))
    assert (found.symbols, found.z.tolist()) == (("B", "A"), [2.0, -3.0])


def test_pathways_agree_where_genes_do() -> None:
    study = two_sides(5, n_genes=240, n_types=2, n_active=1, n_donors=20, effect=1.5)
    shared = shared_of(study)
    # sets of genes that act the same way, and sets of any genes
    effect = study.cells.query("cell_type == 'T'")["theta"].to_numpy()
    strong = np.argsort(-np.abs(study.population["z"].to_numpy() * effect))[:60]
    up = [f"G{k}" for k in strong if study.population["z"][k] > 0]
    sets = {f"up{k}": up[k::3] for k in range(3)}
    sets |= {f"any{k}": [f"G{n}" for n in np.random.default_rng(k).choice(240, 12, replace=False)] for k in range(8)}  # fmt: skip
    options = {"gene_sets": sets, "smallest": 5, "largest": 100, "permutations": 100, "correction": "bh", "seed": 1}  # fmt: skip
    found = pathway_agreement(shared, left_out=left_out_of(study.left_out, shared, where="l"), **options)
    row = found.agreement.set_index("cell_type").loc["T"]
    assert row["r"] > 0.4
    assert row["r_mean_z"] > 0.4
    assert row["p"] == max(row["p_permutation"], row["p_donors"])
    assert set(found.table["side"]) == {"population", "T", "B"}
    assert row["n_pathways"] == 11
    few = pathway_agreement(shared, **options | {"smallest": 90})
    assert (few.agreement["flags"] == "few_pathways").all()
    assert few.agreement["r"].isna().all()
    assert QUICK.correction == "bh"
