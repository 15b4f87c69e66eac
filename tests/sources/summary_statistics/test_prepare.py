"""Summary statistics: read as served, odd rows set aside and counted, impossible values refused with their place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from consilience.foundation.errors import ConsilienceError, DataError
from consilience.foundation.files import sha256_of
from consilience.simulate.cohort import write_cohort
from consilience.simulate.truth import write_truth
from consilience.sources.summary_statistics.effects import neg_log10_p
from consilience.sources.summary_statistics.ld import read_ld
from consilience.sources.summary_statistics.prepare import prepare_summary_statistics
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection, SummaryStatisticsSection

EVERY_ROW = SummaryStatisticsSection(eqtl_p=1.0)
COHORT = Cohort("gwas", "summary_statistics", "simulated", "gwas_ssf", label="A trait")
GWAS = "chromosome base_pair_location effect_allele other_allele beta standard_error effect_allele_frequency p_value rsid n"
EQTL = (
    "Pvalue SNP SNPChr SNPPos AssessedAllele OtherAllele Zscore Gene GeneSymbol GeneChr GenePos NrCohorts NrSamples FDR"
    " BonferroniP"
)
GWAS_ROWS = [
    "1 1000 A G 0.02 0.01 0.3 0.0455 rs1 1000",
    "1 2000 C T -0.01 0.01 0.4 0.3173 rs2 1000",
    "2 1500 A T 0.05 0.01 0.5 5.73e-7 rs3 1000",
]
EQTL_ROWS = [
    "1e-9 rs1 1 1000 G A 6.1 ENSG00000000001 ONE 1 1500 37 500 0 0",
    "0.3 rs2 1 2000 C T 1.0 ENSG00000000001.4 ONE 1 1500 37 500 1 1",
    "3.2717E-310 rs3 2 1500 A T 45 ENSG00000000002 TWO 2 1400 37 500 0 0",
]
Prepared = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, object]]
Prepare = Callable[..., Prepared]


def tsv(header: str, rows: list[str]) -> bytes:
    return "".join("\t".join(line.split(" ")) + "\n" for line in (header, *rows)).encode()


def plain_files() -> dict[str, bytes]:
    """A raw folder as small as can be; gz members are made when it is written."""
    snps = "rsid chromosome position effect_allele other_allele frequency"
    return {
        "x.h.tsv.gz": tsv(GWAS, GWAS_ROWS),
        "x.h.tsv.gz-meta.yaml": b"genome_assembly: GRCh38\nsamples:\n  - sample_size: 1000\n",
        "eqtl.tsv.gz": tsv(EQTL, EQTL_ROWS),
        "ld/L1.ld.gz": b"1 0.5\n0.5 1\n",
        "ld/L1.snps.tsv": tsv(snps, ["rs1 1 1000 A G 0.3", "rs2 1 2000 C T 0.4"]),
        "ld/L2.ld.gz": b"1\n",
        "ld/L2.snps.tsv": tsv(snps, ["rs3 2 1500 A T 0.5"]),
    }


def write_raw(folder: Path, files: dict[str, bytes], *, compress: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") and compress else content)
        entries.append({"name": name, "bytes": path.stat().st_size, "sha256": sha256_of(path), "url": ""})
    record = {
        "cohort": "gwas",
        "source": "simulated",
        "location": "",
        "date": "",
        "release": "",
        "files": entries,
    }
    (folder / "provenance.json").write_text(json.dumps(record))


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Write files as a raw folder, prepare it, and read what came of it."""

    def run(files: dict[str, bytes], *, compress: bool = True) -> Prepared:
        write_raw(tmp_path / "raw" / "gwas", files, compress=compress)
        out = tmp_path / "out"
        prepare_summary_statistics(
            cohort=COHORT,
            raw_dir=tmp_path / "raw" / "gwas",
            out_dir=out,
            qc_path=out / "qc.json",
            settings=EVERY_ROW,
        )
        tables = [pd.read_parquet(out / f"{name}.parquet") for name in ("gwas", "eqtl", "ld")]
        return tables[0], tables[1], tables[2], json.loads((out / "qc.json").read_text())

    return run


def test_a_small_folder_is_read_as_it_is(prepare: Prepare) -> None:
    gwas, eqtl, ld, qc = prepare(plain_files())
    assert gwas["rsid"].tolist() == ["rs1", "rs2", "rs3"]
    assert gwas["position"].tolist() == [1000, 2000, 1500]
    assert gwas["palindromic"].tolist() == [False, False, True]
    assert eqtl["ensembl_id"].tolist() == ["ENSG00000000001", "ENSG00000000001", "ENSG00000000002"]
    assert eqtl["z"].tolist() == [6.1, 1.0, 45.0]
    assert ld["r"].tolist() == [1.0, 0.5, 1.0, 1.0]
    assert ld.loc[1, ["rsid_1", "rsid_2", "effect_allele_1", "effect_allele_2"]].tolist() == [
        "rs1",
        "rs2",
        "A",
        "C",
    ]
    assert qc["n_variants"] == 3
    assert qc["n_genes"] == 2
    assert qc["n_loci"] == 2
    assert qc["build"] == "GRCh38"
    assert qc["label"] == "A trait"
    assert qc["removed_by_reason"] == {}


def test_simulated_files_come_back_whole(tmp_path: Path) -> None:
    settings = SimulationSection.model_validate({
        "n_genes": 400, "n_causal_genes": 10, "n_causal_pathways": 2,
        "summary_statistics": {"n_loci": 15, "snps_per_locus": 12},
    })  # fmt: skip
    write_truth(settings=settings, seed=3, out_dir=tmp_path / "truth")
    write_cohort(
        cohort=COHORT, settings=settings, seed=3, truth_dir=tmp_path / "truth", served_dir=tmp_path / "served",
        samples_path=tmp_path / "samples.parquet", threads=1,
    )  # fmt: skip
    facts = pd.read_parquet(tmp_path / "samples.parquet")
    files = {
        path.relative_to(tmp_path / "served").as_posix(): path.read_bytes()
        for path in (tmp_path / "served").rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    write_raw(tmp_path / "raw", files, compress=False)
    prepare_summary_statistics(
        cohort=COHORT,
        raw_dir=tmp_path / "raw",
        out_dir=tmp_path / "out",
        qc_path=tmp_path / "qc.json",
        settings=EVERY_ROW,
    )
    gwas, eqtl, ld = (
        pd.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in ("gwas", "eqtl", "ld")
    )
    assert set(gwas["rsid"]) == set(facts.loc[facts["in_gwas"], "id"])
    assert len(eqtl) == 12 * sum(
        eqtl.groupby(eqtl["rsid"].map(facts.drop_duplicates("id").set_index("id")["locus"]))[
            "ensembl_id"
        ].nunique()
    )
    assert len(ld) == 15 * 12 * 13 // 2
    qc = json.loads((tmp_path / "qc.json").read_text())
    assert qc["removed_by_reason"] == {
        "GWAS: a missing value": 3,
        "GWAS: not a single-nucleotide variant": 3,
        "GWAS: one name on several rows": 6,
    }
    # written by one hand and read by another: no alarm about places, p-values or eigenvalues
    assert [message["level"] for message in qc["messages"]] == ["note"]


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("x.h.tsv.gz", "0.0455", "1.2", ("x.h.tsv.gz:2:p_value", "1.2", "0 to 1")),
        ("x.h.tsv.gz", "0.0455", "-0.1", ("x.h.tsv.gz:2:p_value",)),
        ("x.h.tsv.gz", "0.0455", "small", ("x.h.tsv.gz:2:p_value", "not a number", "small")),
        ("x.h.tsv.gz", "\t0.01\t0.3\t", "\t0\t0.3\t", ("x.h.tsv.gz:2:standard_error", "above 0")),
        ("x.h.tsv.gz", "\t0.01\t0.3\t", "\t-0.01\t0.3\t", ("x.h.tsv.gz:2:standard_error",)),
        ("x.h.tsv.gz", "\t0.02\t", "\tinf\t", ("x.h.tsv.gz:2:beta", "finite")),
        ("x.h.tsv.gz", "\t0.3\t", "\t1.3\t", ("x.h.tsv.gz:2:effect_allele_frequency",)),
        ("x.h.tsv.gz", "\tC\tT", "\tC\tU", ("x.h.tsv.gz:3:other_allele", "'U'", "A, C, G, T")),
        ("x.h.tsv.gz", "\tC\tT", "\tC\tC", ("x.h.tsv.gz:3:other_allele", "the same")),
        ("x.h.tsv.gz", "\t2000\t", "\t2000.5\t", ("x.h.tsv.gz:3:base_pair_location",)),
        ("x.h.tsv.gz", "2\t1500", "31\t1500", ("x.h.tsv.gz:4:chromosome", "31")),
        ("x.h.tsv.gz", "\trs2\t1000", "\trs2", ("x.h.tsv.gz:3", "9 cells under 10")),
        ("x.h.tsv.gz", "p_value", "pvalue", ("x.h.tsv.gz:1", "no column p_value", "did you mean 'pvalue'")),
        ("x.h.tsv.gz", "beta\t", "effect\t", ("x.h.tsv.gz:1", "no column beta")),
        ("eqtl.tsv.gz", "Zscore", "Pvalue", ("eqtl.tsv.gz:1", "same name")),
        ("eqtl.tsv.gz", "\t6.1\t", "\tnan.\t", ("eqtl.tsv.gz:2:Zscore", "not a number")),
        ("eqtl.tsv.gz", "ENSG00000000002", "TWO", ("eqtl.tsv.gz:4:Gene", "Ensembl")),
        ("eqtl.tsv.gz", "37\t500\t1", "37\t0\t1", ("eqtl.tsv.gz:3:NrSamples", "above 0")),
        ("ld/L1.ld.gz", "0.5 1", "0.4 1", ("L1.ld.gz:1:rs2", "not symmetric")),
        ("ld/L1.ld.gz", "1 0.5\n0.5 1", "1 1.5\n1.5 1", ("L1.ld.gz:1:rs2", "beyond 1")),
        ("ld/L1.ld.gz", "1 0.5\n0.5 1", "0.8 0.5\n0.5 1", ("L1.ld.gz:1:rs1", "itself")),
        ("ld/L1.ld.gz", "1 0.5\n", "1 nan\n", ("L1.ld.gz:1:rs2", "finite")),
        ("ld/L1.ld.gz", "1 0.5\n", "1\n", ("L1.ld.gz:1", "1 numbers in a row for 2 variants")),
        ("ld/L1.ld.gz", "1 0.5\n0.5 1\n", "1 0.5\n", ("L1.ld.gz", "not square")),
        ("ld/L1.ld.gz", "0.5 1", "half 1", ("L1.ld.gz:2", "not a number")),
        ("ld/L1.snps.tsv", "rs2", "rs1", ("L1.snps.tsv:3:rsid", "twice")),
    ],
)  # fmt: skip
def test_impossible_values_are_refused_with_their_place(
    name: str, old: str, new: str, words: tuple[str, ...], prepare: Prepare
) -> None:
    files = plain_files()
    assert old.encode() in files[name]
    files[name] = files[name].replace(old.encode(), new.encode(), 1)
    with pytest.raises(DataError) as caught:
        prepare(files)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_rows_that_cannot_be_used_are_counted(prepare: Prepare) -> None:
    files = plain_files()
    odd = [
        "3 10 AT A 0.1 0.1 0.2 0.3 rs4 1000",  # indel
        "3 11 I D 0.1 0.1 0.2 0.3 rs5 1000",  # not spelled out
        "3 12 A C #NA 0.1 0.2 0.3 rs6 1000",
        "3 13 A C 0.1 NA 0.2 0.3 rs7 1000",
        "3 14 A C 0.1 0.1 0.2 0.3173 rs8 1000",
        "3 14 A C 0.1 0.1 0.2 0.3173 rs8 1000",  # the same row
        "3 15 A C 0.1 0.1 0.2 0.3173 rs9 1000",
        "3 15 A G 0.1 0.1 0.2 0.3173 rs9 1000",  # another allele
        "3 16 a g 0.1 0.1 0.2 0.3173 rs10 1000",  # small letters are fine
    ]
    files["x.h.tsv.gz"] = tsv(GWAS, [*GWAS_ROWS, *odd])
    files["eqtl.tsv.gz"] = tsv(EQTL, [*EQTL_ROWS, EQTL_ROWS[0].replace("6.1", "5.9"), EQTL_ROWS[1]])
    gwas, eqtl, _, qc = prepare(files)
    assert gwas["rsid"].tolist() == ["rs1", "rs2", "rs3", "rs8", "rs10"]
    assert gwas.loc[4, "effect_allele"] == "A"
    assert qc["removed_by_reason"] == {
        "GWAS: not a single-nucleotide variant": 2,
        "GWAS: a missing value": 2,
        "GWAS: the same row twice": 1,
        "GWAS: one name on several rows": 2,
        "eQTL: the same row twice": 1,
        "eQTL: one variant and gene on several rows": 2,
    }
    assert eqtl["rsid"].tolist() == ["rs2", "rs3"]


def test_a_p_value_of_zero_is_taken_from_the_effect(prepare: Prepare) -> None:
    files = plain_files()
    files["x.h.tsv.gz"] = tsv(GWAS, [*GWAS_ROWS, "4 5 A C 0.6 0.01 0.2 0 rs4 1000"])
    gwas, _, _, qc = prepare(files)
    assert gwas["neg_log10_p"].iloc[-1] == pytest.approx(783.9, abs=0.3)  # mpmath: 2 * ncdf(-60) = 10^-783.9
    assert any("too small" in message["text"] for message in qc["messages"])


def test_tail_probabilities_agree_with_scipy_and_go_on() -> None:
    z = np.array([0.0, -1.0, 3.0, 30.0])
    assert neg_log10_p(z) == pytest.approx(-np.log10(2 * stats.norm.sf(np.abs(z))), rel=1e-10, abs=1e-12)
    assert np.isfinite(neg_log10_p(np.array([1e4]))).all()


def test_an_unsorted_gwas_is_sorted_and_says_so(prepare: Prepare) -> None:
    files = plain_files()
    files["x.h.tsv.gz"] = tsv(
        GWAS, [GWAS_ROWS[2], "X 5 A C 0.1 0.1 0.2 0.3173 rs4 1000", *GWAS_ROWS[:2][::-1]]
    )
    gwas, _, _, qc = prepare(files)
    assert gwas["rsid"].tolist() == ["rs1", "rs2", "rs3", "rs4"]
    assert any("not sorted" in message["text"] for message in qc["messages"])


def test_p_values_that_do_not_follow_raise_an_alarm(prepare: Prepare) -> None:
    files = plain_files()
    files["x.h.tsv.gz"] = files["x.h.tsv.gz"].replace(b"0.0455", b"0.9")
    qc = prepare(files)[3]
    assert any(m["level"] == "alarm" and "p-values of 1 of 3" in m["text"] for m in qc["messages"])


def test_positions_of_another_build_raise_an_alarm(prepare: Prepare) -> None:
    files = plain_files()
    files["eqtl.tsv.gz"] = files["eqtl.tsv.gz"].replace(b"\t1000\t", b"\t1100\t")
    qc = prepare(files)[3]
    assert any(m["level"] == "alarm" and "another build" in m["text"] for m in qc["messages"])


def test_odds_ratios_other_names_and_sample_size_of_the_metadata(prepare: Prepare) -> None:
    files = plain_files()
    lines = files["x.h.tsv.gz"].decode().splitlines()
    cells = [line.split("\t")[:-1] for line in lines]
    cells[0][4] = "odds_ratio"
    for row in cells[1:]:
        row[4] = str(np.exp(float(row[4])))
        row[0] = {"1": "chr1", "2": "23"}[row[0]]
    files["x.h.tsv.gz"] = "".join("\t".join(row) + "\n" for row in cells).encode()
    gwas = prepare(files)[0]
    assert gwas["beta"].tolist() == pytest.approx([0.02, -0.01, 0.05])
    assert gwas["n"].tolist() == [1000.0] * 3
    assert gwas["chromosome"].tolist() == ["1", "1", "X"]


def test_no_sample_size_anywhere(prepare: Prepare) -> None:
    files = plain_files()
    lines = [line.rsplit("\t", 1)[0] for line in files["x.h.tsv.gz"].decode().splitlines()]
    files["x.h.tsv.gz"] = ("\n".join(lines) + "\n").encode()
    del files["x.h.tsv.gz-meta.yaml"]
    with pytest.raises(DataError, match="sample size"):
        prepare(files)


def test_a_trailing_column_of_na_in_ld_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.ld").write_text("1 0.2 NA\n0.2 1 NA\n")
    (tmp_path / "a.snps.tsv").write_bytes(
        tsv("rsid chromosome position effect_allele other_allele", ["rs1 1 1 A C", "rs2 1 2 A C"])
    )
    assert read_ld(tmp_path / "a.ld", tmp_path / "a.snps.tsv", locus="a").r.tolist() == [
        [1.0, 0.2],
        [0.2, 1.0],
    ]


def test_negative_eigenvalues_raise_an_alarm(prepare: Prepare) -> None:
    files = plain_files()
    files["ld/L1.ld.gz"] = b"1 0.9 -0.9\n0.9 1 0.9\n-0.9 0.9 1\n"
    files["ld/L1.snps.tsv"] += tsv("rs9 1 2500 A G 0.4", [])
    qc = prepare(files)[3]
    assert any("negative eigenvalues: L1" in message["text"] for message in qc["messages"])


@pytest.mark.parametrize("name", ["x.h.tsv.gz", "eqtl.tsv.gz", "ld/L1.ld.gz", "ld/L1.snps.tsv"])
@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>Not found</html>\n", b"\x1f\x8b\x08\x00cut"])
def test_files_that_are_not_data_are_named(name: str, content: bytes, prepare: Prepare) -> None:
    files = {
        key: gzip.compress(value, mtime=0) if key.endswith(".gz") else value
        for key, value in plain_files().items()
    }
    files[name] = content
    with pytest.raises(DataError) as caught:
        prepare(files, compress=False)
    assert Path(name).name in str(caught.value)


def test_a_cut_file_is_named(prepare: Prepare) -> None:
    files = {
        key: gzip.compress(value, mtime=0) if key.endswith(".gz") else value
        for key, value in plain_files().items()
    }
    files["eqtl.tsv.gz"] = files["eqtl.tsv.gz"][:-12]
    with pytest.raises(DataError, match=r"eqtl\.tsv\.gz"):
        prepare(files, compress=False)
    plain = plain_files()
    plain["x.h.tsv.gz"] = plain["x.h.tsv.gz"][:-3]  # cut before it was compressed
    with pytest.raises(DataError, match=r"x\.h\.tsv\.gz.*cut"):
        prepare(plain)


def test_flipped_bytes_never_change_a_result_silently(tmp_path: Path) -> None:
    """The digest of provenance.json guards what the formats themselves cannot."""
    folder = tmp_path / "raw"
    write_raw(folder, plain_files())
    rng = np.random.default_rng(0)
    names = list(plain_files())
    for _ in range(50):
        path = folder / names[rng.integers(len(names))]
        whole = path.read_bytes()
        place = int(rng.integers(len(whole)))
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :]
        )
        with pytest.raises(DataError, match=path.name):
            prepare_summary_statistics(
                cohort=COHORT, raw_dir=folder, out_dir=tmp_path / "out", qc_path=tmp_path / "qc"
            )
        path.write_bytes(whole)
    assert not (tmp_path / "out").exists()


def test_flipped_bytes_with_a_matching_digest_end_in_our_errors_or_a_result(prepare: Prepare) -> None:
    rng = np.random.default_rng(1)
    names = [name for name in plain_files() if name != "x.h.tsv.gz-meta.yaml"]
    n_refused = 0
    for _ in range(60):
        files = plain_files()
        name = names[rng.integers(len(names))]
        place = int(rng.integers(len(files[name])))
        changed = bytearray(files[name])
        changed[place] = int(rng.integers(256))
        files[name] = bytes(changed)
        try:
            prepare(files)
        except ConsilienceError:
            n_refused += 1
    assert n_refused > 20
