"""The files of one comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from causal.concordance.two_sides import TwoSides, two_sides
from consilience.causal.concordance.cell_type import FLAGS
from consilience.causal.concordance.study import write_concordance
from consilience.study.causal import ConcordanceSection
from consilience.study.sections import PathwaysSection

STUDY = two_sides(4, n_genes=120, n_types=2, n_active=1, n_donors=12)
SETTINGS = ConcordanceSection(permutations=99, pathway_permutations=50, top=[10])
FILES = ["concordance", "genes", "pathway_agreement", "pathways", "stability"]


def write(folder: Path, study: TwoSides = STUDY, **options: object) -> dict[str, pd.DataFrame]:
    study.population.to_parquet(folder / "twmr.parquet")
    mr = study.population.rename(columns={"alpha": "estimate"})
    pd.concat([mr.assign(method=name) for name in ("ivw_ld", "egger")]).to_parquet(folder / "mr.parquet")
    study.cells.to_parquet(folder / "dml.parquet")
    study.left_out.to_parquet(folder / "left.parquet")
    gmt = "".join(f"P{k}\t\t" + "\t".join(NAMES[k::6]) + "\n" for k in range(6))
    (folder / "sets.gmt").write_text(gmt)
    asked = {"settings": SETTINGS, "pathways": PathwaysSection(gene_sets=[str(folder / "sets.gmt")]), "left_out": folder / "left.parquet", "seed": 1}  # fmt: skip
    write_concordance(twmr=folder / "twmr.parquet", mr=folder / "mr.parquet", dml=folder / "dml.parquet", out_dir=folder / "out", **asked | options)  # fmt: skip
    return {name: pd.read_parquet(folder / "out" / f"{name}.parquet") for name in FILES}


NAMES = ["TP53", "MYC", "KRAS", "EGFR", "BRCA1", "BRCA2", "PTEN", "AKT1", "CDK4", "RB1", "JAK1", "JAK2", "STAT1", "STAT3", "IL6", "IL2", "TNF", "CD4", "CD8A", "CP", "SLC40A1", "CXCL8", "CCL2", "HMOX1"]  # fmt: skip


def named(study: TwoSides) -> TwoSides:
    population = study.population.copy()
    population.loc[range(len(NAMES)), "symbol"] = NAMES
    return TwoSides(population, study.cells, study.left_out, study.active, study.true_r)


def test_all_tables_and_the_record(tmp_path: Path) -> None:
    tables = write(tmp_path, named(STUDY), pathways=PathwaysSection(gene_sets=[str(tmp_path / "sets.gmt")], min_genes=4))  # fmt: skip
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    found = tables["concordance"]
    assert found["cell_type"].tolist() == ["B", "T"]
    assert found.columns[:3].tolist() == ["cell_type", "n_genes", "r"]
    assert not found["control"].any()
    assert {word for text in found["flags"] for word in text.split(";") if word} <= set(FLAGS)
    genes = tables["genes"]
    assert len(genes) == found["n_genes"].sum() == 240
    assert set(tables["stability"]["kind"]) == {"chromosome", "donor"}
    assert set(tables["pathways"]["side"]) == {"population", "B", "T"}
    assert tables["pathway_agreement"]["n_pathways"].tolist() == [6, 6]
    one = genes.query("cell_type == 'T' and symbol == 'CP'").iloc[0]
    given = STUDY.cells.query("cell_type == 'T'").set_index("gene").loc[one["gene"]]
    assert one["theta"] == pytest.approx(given["theta"])
    assert one["alpha"] == pytest.approx(STUDY.population.set_index("gene")["alpha"][one["gene"]])
    assert one["same_sign"] == (one["alpha"] * one["theta"] > 0)
    assert [example["gene"] for example in record["examples"]] == ["SLC40A1", "CP"]
    assert len(record["examples"][1]["mr"]) == 2
    assert record["n_shared"] == 120
    assert record["donors_left_out"] is True
    assert "cell type" in record["verdict"]


def test_the_other_estimate_no_pathways_no_donors(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"population": "ivw_ld", "cell_types": ["T"]})
    tables = write(tmp_path, settings=settings, pathways=None, left_out=None, control=True)
    assert tables["concordance"]["cell_type"].tolist() == ["T"]
    assert tables["concordance"]["control"].all()
    assert "donors_unknown" in tables["concordance"]["flags"][0]
    assert tables["pathways"].empty
    assert tables["pathway_agreement"].empty
    assert set(tables["stability"]["kind"]) == {"chromosome"}
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert "negative control" in record["verdict"]


def test_sides_that_share_nothing_leave_empty_tables_and_a_reason(tmp_path: Path) -> None:
    strangers = STUDY.population.assign(gene=[f"ENSG9{k:010d}" for k in range(120)], symbol="")
    study = TwoSides(strangers, STUDY.cells, STUDY.left_out, (), {})
    tables = write(tmp_path, study)
    assert all(table.empty for table in tables.values())
    assert "overlap_10_p" in tables["concordance"].columns
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert record["verdict"].startswith("Nothing could be compared")
    assert "share no gene" in record["messages"][0]


def test_files_are_the_same_twice(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    for name in FILES:
        pd.testing.assert_frame_equal(first[name], second[name])
