"""Published summary statistics as their authors serve them, from a local folder to the three tables."""

from __future__ import annotations

import csv
import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import DataError
from consilience.foundation.files import read_json
from consilience.sources.fetch import fetch_cohort
from consilience.sources.summary_statistics.harmonised import read_harmonised
from consilience.sources.summary_statistics.ld import read_ld
from consilience.sources.summary_statistics.prepare import prepare_summary_statistics
from consilience.sources.summary_statistics.twmr import TwmrInputs, read_twmr_folder
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection, SummaryStatisticsSection

pytestmark = pytest.mark.real_data
PEOPLE = {"n_gwas": 253_288, "n_eqtl": 31_684}


def fetched_and_prepared(folder: Path, sources: list[Path], **settings: Any) -> dict[str, Any]:
    """Copy the sources into one local folder, fetch it as a cohort, prepare it, read the results."""
    served = folder / "served"
    served.mkdir()
    for source in sources:
        files = sorted(source.iterdir()) if source.is_dir() else [source]
        for file in files:
            shutil.copyfile(file, served / file.name)
    cohort = Cohort("real", "summary_statistics", "local", str(served))
    fetch_cohort(
        cohort=cohort, served_dir=None, raw_dir=folder / "raw", folder=Path(), settings=FetchSection()
    )
    prepare_summary_statistics(
        cohort=cohort, raw_dir=folder / "raw", out_dir=folder / "out", qc_path=folder / "out" / "qc.json",
        settings=SummaryStatisticsSection(**settings),
    )  # fmt: skip
    found = {name: pd.read_parquet(folder / "out" / f"{name}.parquet") for name in ("gwas", "eqtl", "ld")}
    return found | {"qc": read_json(folder / "out" / "qc.json")}


def alarms(found: dict[str, Any]) -> str:
    return " | ".join(m["text"] for m in found["qc"]["messages"] if m["level"] == "alarm")


def slow_twmr(path: Path) -> dict[str, Any]:
    """The same input, cell by cell with csv and floats."""
    text = path.read_text()
    delimiter = "\t" if "\t" in text else " "
    rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if row]
    n = len(rows) - 1
    ld = []
    for line in path.with_suffix(".ld").read_text().splitlines():
        cells = line.replace("\t", " ").split(" ")
        ld.append([float(cell) for cell in cells[:n]])
        assert set(cells[n:]) <= {"NA"}
    return {
        "genes": tuple(rows[0][1:-1]), "rsid": tuple(row[0] for row in rows[1:]),
        "effects": [[float(cell) for cell in row[1:-1]] for row in rows[1:]], "gwas": [float(row[-1]) for row in rows[1:]], "ld": ld,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "n_genes"), [("twmr_height", 17), ("twmr_pytwmr_layout", 1)])
def test_every_published_twmr_input_reads_as_a_slow_parser_reads_it(
    kit: Path, name: str, n_genes: int
) -> None:
    inputs = read_twmr_folder(kit / "sumstats" / name)
    assert [one.gene for one in inputs] == sorted(
        path.stem for path in (kit / "sumstats" / name).glob("*.matrix")
    )
    assert len(inputs) == n_genes
    for one in inputs:
        slow = slow_twmr(kit / "sumstats" / name / f"{one.gene}.matrix")
        assert (one.genes, one.rsid) == (slow["genes"], slow["rsid"])
        assert one.genes[0] == one.gene
        assert one.effects.tolist() == slow["effects"]
        assert one.gwas.tolist() == slow["gwas"]
        assert one.ld.tolist() == slow["ld"]


def test_the_files_with_a_column_of_na_are_the_ones_noted(kit: Path) -> None:
    folder = kit / "sumstats" / "twmr_height"
    assert {path.stem[-4:] for path in folder.glob("*.ld") if "NA" in path.read_text()} == {"1631", "2549"}


def alpha_without_ridge(one: TwmrInputs) -> float:
    """The textbook estimate of the focal gene's effect, from the arrays that the reader gives."""
    used = one.effects[:, (one.effects != 0).any(axis=0)]
    weighted = np.linalg.solve(one.ld, used)
    return float(np.linalg.solve(used.T @ weighted, weighted.T @ one.gwas)[0])


def test_the_arrays_give_the_known_estimates(kit: Path) -> None:
    """Estimates without ridge of three genes, computed from the same files with another program."""
    known = {"ENSG00000000419": -0.08038, "ENSG00000002330": 0.05641, "ENSG00000002549": -0.01746}
    inputs = {one.gene: one for one in read_twmr_folder(kit / "sumstats" / "twmr_height")}
    for gene, alpha in known.items():
        assert alpha_without_ridge(inputs[gene]) == pytest.approx(alpha, abs=6e-6)


def test_twmr_inputs_become_the_three_tables(kit: Path, tmp_path: Path) -> None:
    found = fetched_and_prepared(tmp_path, [kit / "sumstats" / "twmr_height"], **PEOPLE)
    inputs = read_twmr_folder(kit / "sumstats" / "twmr_height")
    gwas = found["gwas"].set_index("rsid")
    eqtl = found["eqtl"].set_index(["ensembl_id", "rsid"])
    ld = found["ld"].set_index(["locus", "rsid_1", "rsid_2"])["r"]
    for one in inputs:
        assert gwas.loc[list(one.rsid), "beta"].to_numpy() == pytest.approx(one.gwas, abs=1e-15)
        for k, gene in enumerate(one.genes):
            for i, rsid in enumerate(one.rsid):
                if one.effects[i, k]:
                    assert eqtl.loc[(gene, rsid), "beta"] == pytest.approx(one.effects[i, k], abs=1e-15)
                else:
                    assert (gene, rsid) not in eqtl.index
        assert ld.loc[(one.gene, one.rsid[0], one.rsid[-1])] == one.ld[0, -1]
    assert found["qc"]["n_loci"] == 17
    assert not alarms(found)
    assert gwas["standard_error"].to_numpy() == pytest.approx(np.full(len(gwas), 253_288**-0.5))
    (tmp_path / "again").mkdir()
    with pytest.raises(DataError, match=r"n_gwas and n_eqtl"):
        fetched_and_prepared(tmp_path / "again", [kit / "sumstats" / "twmr_height"])


def test_the_layout_of_pytwmr_becomes_the_three_tables(kit: Path, tmp_path: Path) -> None:
    found = fetched_and_prepared(tmp_path, [kit / "sumstats" / "twmr_pytwmr_layout"], **PEOPLE)
    assert (len(found["gwas"]), len(found["eqtl"]), len(found["ld"])) == (3, 4, 6)


def test_a_parkinson_locus_with_ld_but_without_eqtls(kit: Path, tmp_path: Path) -> None:
    names = ("parkinson_BST1_locus.tsv.gz", "parkinson_BST1_locus.ld.tsv.gz")
    found = fetched_and_prepared(tmp_path, [kit / "sumstats" / name for name in names])
    raw = pd.read_csv(kit / "sumstats" / names[0], sep="\t").set_index("SNP")
    gwas = found["gwas"].set_index("rsid")
    assert len(gwas) == len(raw) == 6216
    for ours, theirs in (
        ("beta", "Effect"),
        ("standard_error", "StdErr"),
        ("position", "POS"),
        ("p_value", "P"),
    ):
        assert gwas[ours].to_numpy() == pytest.approx(raw.loc[gwas.index, theirs].to_numpy())
    assert (gwas["effect_allele"] == raw.loc[gwas.index, "A1"]).all()
    assert (gwas["n"] == raw.loc[gwas.index, ["N_cases", "N_controls"]].sum(axis=1)).all()
    square = pd.read_csv(kit / "sumstats" / names[1], sep="\t", index_col=0)
    first = found["ld"].iloc[7]
    assert first["r"] == square.loc[first["rsid_1"], first["rsid_2"]]
    assert len(found["ld"]) == 95 * 96 // 2
    assert found["eqtl"].empty
    assert "ensembl_id" in found["eqtl"]
    assert "no eQTL table" in alarms(found)
    assert "p-values" not in alarms(found)


def test_z_scores_need_people(kit: Path, tmp_path: Path) -> None:
    path = kit / "sumstats" / "ukb_ldl_z_chr16_subset.tsv.gz"
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=r"no column n.*n_gwas"):
        fetched_and_prepared(tmp_path / "a", [path])
    (tmp_path / "b").mkdir()
    found = fetched_and_prepared(tmp_path / "b", [path], n_gwas=343_621)
    with gzip.open(path, "rt") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    single = [row for row in rows if len(row["A1"]) == len(row["A2"]) == 1]
    assert len(found["gwas"]) == len(single)
    assert found["qc"]["removed_by_reason"] == {
        "GWAS: not a single-nucleotide variant": len(rows) - len(single)
    }
    z = found["gwas"].set_index("rsid")["z"]
    assert z.loc[[row["id"] for row in single]].to_numpy() == pytest.approx(
        [float(row["z"]) for row in single]
    )
    assert found["gwas"]["beta"].to_numpy() == pytest.approx(found["gwas"]["z"] / 343_621**0.5)


def test_a_harmonised_table_gives_its_outcome_and_on_demand_both_sides(kit: Path, tmp_path: Path) -> None:
    path = kit / "sumstats" / "bmi_chd_harmonised.tsv"
    found, both, raw = (
        fetched_and_prepared(tmp_path, [path]),
        read_harmonised(path),
        pd.read_csv(path, sep="\t"),
    )
    gwas = found["gwas"].set_index("rsid").loc[raw["SNP"]]
    assert gwas["beta"].to_numpy() == pytest.approx(raw["beta.outcome"].to_numpy())
    assert both.beta_exposure == pytest.approx(raw["beta.exposure"].to_numpy())
    assert both.n_exposure == pytest.approx(raw["samplesize.exposure"].to_numpy(), nan_ok=True)
    assert both.exposure.startswith("Body mass index")
    weights = both.se_outcome**-2
    ivw = (weights * both.beta_exposure * both.beta_outcome).sum() / (weights * both.beta_exposure**2).sum()
    assert 0.4 < ivw < 0.5  # BMI raises the risk of heart disease: log odds per sd


def test_files_that_are_no_associations_say_what_they_are(kit: Path, tmp_path: Path) -> None:
    for name, words in (
        ("mashr_Liver_nolnc_subset.db", "SQLite database, such as PredictDB"),
        ("eqtl_sample_size_per_gene.tsv.gz", "people by gene"),
    ):
        (tmp_path / name).mkdir()
        with pytest.raises(DataError, match=words):
            fetched_and_prepared(tmp_path / name, [kit / "sumstats" / name])


def test_people_by_gene_of_eqtlgen_join_its_eqtls(kit: Path, tmp_path: Path) -> None:
    eqtl = "gene,SNP,EA,OA,z,p\nENSG00000000419,rs1,A,C,9,2e-19\nENSG00000000457,rs2,A,G,-7,2e-12\n"
    (tmp_path / "e.csv").write_text(eqtl)
    people = kit / "sumstats" / "eqtl_sample_size_per_gene.tsv.gz"
    found = fetched_and_prepared(tmp_path, [tmp_path / "e.csv", people])
    assert found["eqtl"]["n"].tolist() == pytest.approx([30201.3203125, 30995.0775193798])


def test_published_ld_matrices_are_pruned_to_a_tenth(kit: Path, tmp_path: Path) -> None:
    """Every shipped matrix, trailing NA columns included; all r² are below 0.1, as the paper prunes."""
    largest = 0.0
    for path in sorted((kit / "sumstats" / "twmr_height").glob("*.ld")):
        rows = path.with_suffix(".matrix").read_text().splitlines()[1:]
        names = [row.split()[0] for row in rows if row.strip()]
        snps = tmp_path / f"{path.stem}.snps.tsv"
        header = "rsid\tchromosome\tposition\teffect_allele\tother_allele\n"
        snps.write_text(header + "".join(f"{name}\t1\t{k + 1}\tA\tC\n" for k, name in enumerate(names)))
        found = read_ld(path, snps, locus=path.stem)
        assert found.r.shape == (len(names), len(names))
        assert found.smallest_eigenvalue > 0.2
        off = found.r[~np.eye(len(names), dtype=bool)]
        largest = max(largest, float(np.abs(off).max(initial=0.0)))
    assert 0.09 < largest**2 <= 0.1
