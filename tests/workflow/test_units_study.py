"""A study of a user's own tables, one of counts and one of an array, through the whole workflow."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from checkouts import SHEET_HEADER, Checkout, copy_checkout
from consilience.expression.gene_table import load_gene_table
from consilience.expression.store import open_expression
from consilience.foundation.seeds import stream

N_GENES, N_SAMPLES = 5200, 24


def draw() -> tuple[list[str], np.ndarray]:
    """Gene symbols, and log expression (genes, samples) of 12 ill and 12 well samples."""
    names = list(load_gene_table().symbols_of(gene_type="protein_coding"))[:N_GENES]
    rng = stream(11, "units study")
    level = rng.normal(6, 2.2, (N_GENES, 1)) + rng.normal(0, 0.35, (N_GENES, N_SAMPLES))
    level[::9, : N_SAMPLES // 2] += 1.0
    return names, level


def write(folder: Path) -> None:
    """counts.tsv.gz with fractions as RSEM writes them, array.csv with semicolons and decimal commas."""
    names, level = draw()
    rng = stream(12, "units study")
    samples = [f"S{k:02d}" for k in range(N_SAMPLES)]
    counts = rng.poisson(np.exp2(level) * 4).astype(float)
    counts[::10] += 0.5
    pd.DataFrame(counts, index=pd.Index(names, name="gene_id"), columns=samples).to_csv(
        folder / "rsem.tsv", sep="\t"
    )
    scale = rng.uniform(0.7, 1.4, N_SAMPLES)
    intensity = (np.exp2(level) * scale + rng.uniform(0, 20, level.shape)).round(1)
    frame = pd.DataFrame(intensity, index=pd.Index(names, name="symbol"), columns=samples)
    frame.to_csv(folder / "array.csv", sep=";", decimal=",")
    groups = ["ill"] * (N_SAMPLES // 2) + ["well"] * (N_SAMPLES // 2)
    table = pd.DataFrame({"sample": samples, "group": groups, "Größe": ["1,80"] * N_SAMPLES})
    for name in ("rsem", "array"):
        table.to_csv(folder / f"{name}.samples.tsv", sep="\t", index=False, encoding="cp1252")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_checkout(tmp_path_factory.mktemp("units"))
    write(checkout.folder)
    checkout.study(pathways={"min_genes": 5})
    header = SHEET_HEADER.split(" ")
    rows = [
        {"cohort": "rna", "location": "rsem.tsv", "units": "estimated_counts"},
        {"cohort": "chip", "location": "array.csv", "units": "intensity"},
    ]
    common = {"kind": "bulk", "source": "local", "condition": "group", "case": "ill", "control": "well",
              "role": "both"}  # fmt: skip
    lines = ["\t".join([*header, "units"])]
    lines += [
        "\t".join((common | row | {"label": row["cohort"]}).get(name, "") for name in [*header, "units"])
        for row in rows
    ]
    (checkout.folder / "cohorts.tsv").write_text("\n".join(lines) + "\n")
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    return checkout


@pytest.mark.slow
def test_both_cohorts_reach_the_report(finished: Checkout) -> None:
    results = finished.folder / "results" / "small"
    page = (results / "report" / "index.html").read_text()
    assert "intensity" in page
    assert "brought to one distribution" in page
    coverage = json.loads((results / "pathways" / "coverage.json").read_text())
    assert coverage["n_kept"] > 0
    assert {entry["cohort"] for entry in coverage["cohorts"]} == {"rna", "chip"}
    chip, rna = (
        json.loads((results / "expression" / f"{name}.qc.json").read_text()) for name in ("chip", "rna")
    )
    assert (chip["units"], rna["units"]) == ("intensity", "estimated_counts")
    texts = " ".join(one["text"] for one in chip["messages"])
    assert "decimal commas" in texts
    assert "Windows-1252" in texts
    assert "rounded to whole counts" in " ".join(one["text"] for one in rna["messages"])


@pytest.mark.slow
def test_expression_of_both_is_read_the_same_way(finished: Checkout) -> None:
    folder = finished.folder / "results" / "small" / "expression"
    rna, chip = open_expression(folder / "rna.h5ad"), open_expression(folder / "chip.h5ad")
    assert (rna.has_counts, chip.has_counts) == (True, False)
    assert rna.has_x
    assert chip.has_x
    values = np.concatenate([block.toarray() for _, block in chip.log_normalised()])
    data = anndata.read_h5ad(folder / "chip.h5ad")
    np.testing.assert_array_equal(values, data.X)
    quartiles = np.percentile(values, [25, 50, 75], axis=1)
    np.testing.assert_allclose(
        quartiles, np.broadcast_to(quartiles[:, :1], quartiles.shape), atol=0.02
    )  # ties share a mean
    names, level = draw()
    truth = pd.DataFrame(level, index=names).loc[list(data.var_names)]
    assert np.corrcoef(truth.mean(axis=1), data.X.mean(axis=0))[0, 1] > 0.97
