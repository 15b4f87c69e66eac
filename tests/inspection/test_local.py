"""Inspecting files that are here: the simulator's, damaged ones, hostile ones, and the kit's real data."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from consilience.cli import app, main
from consilience.foundation.errors import DataError
from consilience.inspection.show import plain, safe, show, size_text
from consilience.inspection.statistics import is_statistics
from consilience.inspection.targets import inspect_target
from consilience.preflight import preflight

GENES = ["TP53", "BRCA1", "ACTB", "GAPDH", "STAT1", "JAK2", "NOTAGENE"]


def write_tables(folder, values, *, level="normal"):
    """A count table and its samples table, three patients and three controls."""
    names = [f"s{k}" for k in range(values.shape[1])]
    rows = ["\t".join(["gene", *names])]
    rows += ["\t".join([gene, *map(str, line)]) for gene, line in zip(GENES, values.tolist(), strict=True)]
    (folder / "my.counts.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    states = ["tumour" if k % 2 else level for k in range(len(names))]
    samples = ["sample\tpatient\tdisease"]
    samples += [f"{name}\tp{k}\t{state}" for k, (name, state) in enumerate(zip(names, states, strict=True))]
    (folder / "my.samples.tsv").write_text("\n".join(samples) + "\n", encoding="utf-8")
    return folder / "my.counts.tsv"


def counts():
    return np.random.default_rng(1).integers(0, 5000, size=(len(GENES), 8))


def check_row(tmp_path, found, *, folder, least=3):
    """The proposed row, pasted into a sheet, passes the check."""
    header, line = found.proposal.lines()
    (tmp_path / "sheet.tsv").write_text(f"{header}\n{line}\n", encoding="utf-8")
    values = {"study": {"cohorts": str(tmp_path / "sheet.tsv"), "min_samples_per_arm": least}}
    return preflight(values, folder=folder).cohorts[0]


def test_a_table_of_counts(tmp_path):
    path = write_tables(tmp_path, counts())
    found = inspect_target(str(path))
    assert [(one.name, one.what) for one in found.files] == [
        ("my.counts.tsv", "table"),
        ("my.samples.tsv", "table"),
    ]
    assert found.facts["units"] == "counts"
    assert found.facts["samples"] == "8"
    assert "7 ids, 85.7% known (6 current symbols, 1 unmatched); 6 genes" in found.facts["genes"]
    cells = dict(found.proposal.cells)
    assert (cells["condition"], cells["case"], cells["control"]) == ("disease", "tumour", "normal")
    assert (cells["donor"], cells["units"]) == ("patient", "")
    check_row(tmp_path, found, folder=tmp_path)


@pytest.mark.parametrize(
    ("make", "units"),
    [
        (lambda x: x + 0.25 * (x % 3 == 0), "estimated_counts"),
        (lambda x: np.log2(1 + x), "log2"),
        (lambda x: x / x.sum(axis=0) * 1e6, "tpm"),
    ],
)
def test_units_are_proposed_and_then_accepted(tmp_path, make, units):
    path = write_tables(tmp_path, make(counts().astype(float)))
    found = inspect_target(str(path))
    assert found.proposal.cells["units"] == units
    assert found.proposal.reasons[0].startswith(f"units {units}: ")
    assert check_row(tmp_path, found, folder=tmp_path).units == units


def test_values_that_no_units_explain_leave_the_phenotypes(tmp_path):
    path = write_tables(tmp_path, counts())
    path.write_text(path.read_text().replace("STAT1\t", "STAT1\tabc", 1))
    found = inspect_target(str(path))
    assert "units" not in found.facts
    assert any("the values cannot be read as they lie here" in note for note in found.notes)
    assert found.proposal.cells["condition"] == "disease"


def test_a_damaged_file_is_a_note(tmp_path):
    write_tables(tmp_path, counts())
    (tmp_path / "extra.tsv.gz").write_bytes(b"\x1f\x8b" + b"\xff" * 40)
    (tmp_path / "page.tsv").write_text("<!DOCTYPE html><html>not found</html>")
    found = inspect_target(str(tmp_path))
    assert {one.name for one in found.files if one.what == "unreadable"} == {"extra.tsv.gz", "page.tsv"}
    assert any("web page" in note for note in found.notes)


@pytest.mark.parametrize("content", [b"", b"\0" * 600, b"\x89HDF\r\n\x1a\ncut", b"a,b\n1\n", b"{}"])
@pytest.mark.parametrize("name", ["x.h5ad", "x.tsv", "x.mtx", "x.parquet", "GSE1_series_matrix.txt", "x.ld"])
def test_no_file_ends_in_a_traceback(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    found = inspect_target(str(tmp_path / name))
    assert found.notes or found.kind == "summary_statistics" or found.proposal is not None
    assert "\n".join(plain(found))
    json.dumps(found.to_json())


def test_nothing_of_a_file_can_steer_a_terminal(tmp_path):
    path = write_tables(tmp_path, counts(), level="\x1b[31mnormal\x1b]0;owned\x07\u202e")
    shutil.copy(path, tmp_path / "\x1b[2Jevil.txt")
    for target in (path, tmp_path):
        text = "\n".join(plain(inspect_target(str(target))))
        assert all(line.isprintable() or "\t" in line for line in text.split("\n"))
        assert not set(text) & set("\x1b\x07\u202e")
    shown = CliRunner().invoke(app, ["inspect", str(path), "--json"])
    assert shown.exit_code == 0
    assert "\\u001b[31mnormal" in shown.output
    assert "\x1b" not in shown.output


def test_safe_text():
    assert safe("plain") == "plain"
    assert safe("a\x1b[1mb") == "a\\x1b[1mb"
    assert safe("x" * 100, limit=10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("n", "text"),
    [(None, "unknown"), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (9_366_490_264, "9.4 GB")],
)
def test_sizes(n, text):
    assert size_text(n) == text


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("variant_id chromosome base_pair_location effect_allele other_allele beta standard_error p_value", True),
        ("Pvalue SNP SNPChr SNPPos AssessedAllele OtherAllele Zscore Gene GeneSymbol GeneChr GenePos NrCohorts "
         "NrSamples FDR BonferroniP", True),
        ("gene s1 s2 s3 s4 s5 s6 s7", False),
        ("sample disease age sex batch n status group", False),
    ],
)  # fmt: skip
def test_tables_of_associations(tmp_path, header, wanted):
    names = header.split()
    (tmp_path / "t.tsv").write_text("\t".join(names) + "\n" + "\t".join("1" * len(names)) + "\n")
    assert is_statistics(tmp_path / "t.tsv") is wanted


def test_a_gwas_says_how_it_is_read_and_what_is_missing(tmp_path):
    names = "variant_id chromosome base_pair_location effect_allele other_allele beta standard_error p_value"
    row = "rs1 1 1000 A G 0.1 0.01 1e-5"
    text = "\n".join("\t".join(line.split()) for line in (names, row)) + "\n"
    (tmp_path / "GCST1_buildGRCh37.tsv").write_text(text)
    found = inspect_target(str(tmp_path))
    assert found.kind == "summary_statistics"
    assert found.facts["build"] == "GRCh37"
    assert "rsid = variant_id" in found.facts["GWAS GCST1_buildGRCh37.tsv"]
    decide = " ".join(found.proposal.decide)
    assert "summary_statistics.n_gwas" in decide
    assert "no eQTL file was recognised" in decide
    assert "no LD" in decide


def test_an_unknown_target_is_refused(monkeypatch, capsys):
    with pytest.raises(DataError, match=r"neither a file or folder.*did you mean 'norman-2019'\?"):
        inspect_target("norman-2091")
    monkeypatch.setattr("sys.argv", ["consilience", "inspect", "here/is/nothing"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "mend the path or the name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "mend"),
    [
        ("gse12345", "did you mean 'GSE12345'"),
        ("tcga_kich|tcga-kirc", r"did you mean 'TCGA-KICH\|TCGA-KIRC'"),
        ("GSM11805", "give the GSE it belongs to"),
        ("E-MTAB-6141", "only GEO and the GDC are asked by accession"),
        ("", "mend the path"),
    ],
)
def test_what_was_probably_meant_is_said(target, mend):
    with pytest.raises(DataError, match=mend):
        inspect_target(target)


def test_an_unknown_kind_is_refused(tmp_path):
    path = write_tables(tmp_path, counts())
    failed = CliRunner().invoke(app, ["inspect", str(path), "--kind", "bulky"])
    assert isinstance(failed.exception, DataError)


@pytest.mark.parametrize(
    ("form", "kind", "expected"),
    [
        ("geo", "bulk", {"condition": "disease state", "case": "diseased", "control": "healthy",
                         "donor": "subject id", "batch": "batch"}),
        ("gdc", "bulk", {"condition": "sample_type", "case": "Primary Tumor", "control": "Solid Tissue Normal",
                         "donor": "case_id", "batch": "plate"}),
        ("10x", "single_cell", {"condition": "condition", "donor": "donor", "cell_type": "cell_type"}),
        ("h5ad", "perturbation", {"perturbation": "gene", "control": "non-targeting", "cell_type": "cell_line",
                                  "batch": "gem_group"}),
        ("gwas_ssf", "summary_statistics", {"condition": ""}),
    ],
)  # fmt: skip
def test_the_formats_of_all_sources(tmp_path, served, form, kind, expected):
    """The simulator's files, in the formats of the real sources: the row says what was simulated."""
    found = inspect_target(str(served(form, kind)))
    assert found.kind == kind
    assert {key: found.proposal.cells.get(key, "") for key in expected} == expected
    check_row(tmp_path, found, folder=tmp_path)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "kind", "expected", "least"),
    [
        ("bulk/tcga_kich.counts.parquet", "bulk", {"condition": "group", "case": "tumor", "control": "normal"}, 3),
        ("bulk/tcga_chol.counts.parquet", "bulk", {"condition": "group", "case": "tumor", "control": "normal"}, 3),
        ("singlecell/kang2018_ifnb_muscat.h5ad", "single_cell",
         {"condition": "condition", "case": "stim", "control": "ctrl", "donor": "donor", "cell_type": "cell_type"}, 2),
        ("perturb/papalexi2021_thp1_eccite.h5ad", "perturbation",
         {"perturbation": "perturbation", "control": "control", "cell_type": "cell_line"}, 3),
        ("perturb/zhao2021_glioblastoma_panobinostat.h5ad", "single_cell",
         {"condition": "condition", "case": "panobinostat", "control": "ctrl", "donor": "patient_id"}, 3),
        ("sumstats/twmr_height", "summary_statistics", {"condition": ""}, 3),
    ],
)  # fmt: skip
def test_rows_for_the_kit_pass_the_check(kit, tmp_path, name, kind, expected, least):
    found = inspect_target(str(kit / name))
    assert found.kind == kind
    assert {key: found.proposal.cells.get(key, "") for key in expected} == expected
    check_row(tmp_path, found, folder=tmp_path, least=least)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("GSE55235_series_matrix.txt.gz", "GPL96_probe_to_symbol.tsv.gz"),
         {"condition": "disease state", "case": "rheumatoid arthritis", "control": "healthy control", "units": ""}),
        (("GSE97165_series_header.txt.gz", "GSE97165_GEO_count_matrix.txt.gz"),
         {"condition": "time point", "control": "Baseline", "donor": "subject number",
          "units": "estimated_counts"}),
        (("GSE89408_series_header.txt.gz",),
         {"condition": "disease", "control": "Normal", "donor": "", "units": ""}),
    ],
)  # fmt: skip
def test_series_of_the_kit_as_folders(kit, tmp_path, parts, expected):
    folder = tmp_path / "series"
    folder.mkdir()
    for part in parts:
        shutil.copy(kit / "geo_as_served" / part, folder)
    found = inspect_target(str(folder))
    assert {key: found.proposal.cells.get(key, "") for key in expected} == expected
    check_row(tmp_path, found, folder=tmp_path)


def test_a_terminal_gets_tables_and_nothing_else(tmp_path, monkeypatch, capsys):
    path = write_tables(tmp_path, counts(), level="[bold]\x1b[31mnormal\x07 :skull:")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show(inspect_target(str(path)))
    text = capsys.readouterr().out
    assert "[bold]\\x1b[31mnormal\\x07 :skull:" in text
    assert "┃" in text
    assert not set(text) & set("\x1b\x07")


@pytest.mark.real_data
def test_one_file_of_a_folder_is_looked_at_alone(kit):
    found = inspect_target(str(kit / "geo_as_served" / "GSE89408_series_header.txt.gz"))
    assert found.facts["samples"] == "218"
    assert found.proposal.cells["condition"] == "disease"
    assert [one.name for one in found.files] == ["GSE89408_series_header.txt.gz"]


def test_a_folder_of_archives_says_only_that_they_are_not_looked_into(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("a.tsv", "gene\ts1\n")
    found = inspect_target(str(tmp_path))
    assert [note[:21] for note in found.notes] == ["archives are unpacked"]
