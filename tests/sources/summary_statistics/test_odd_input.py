"""Odd and damaged associations: refused with their place, or kept out and said; never a traceback, never silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.builds import build_in
from consilience.sources.summary_statistics.effects import (
    effective_n,
    neg_log10_p,
    resolve,
    z_of_neg_log10_p,
)
from consilience.sources.summary_statistics.harmonised import read_harmonised
from consilience.sources.summary_statistics.tables import read_header, read_text_table
from consilience.sources.summary_statistics.variants import place_keys, place_names
from served_associations import EQTL_LAYOUTS, GWAS_LAYOUTS, N, gwas_ssf, prepared, study, text

WHOLE = study(30)


def one_cell(name: str, column: str, value: str) -> bytes:
    """The GWAS-SSF study with one changed cell in its second row (line 3)."""
    columns = gwas_ssf(WHOLE.v)
    values = [repr(c) if isinstance(c, float) else str(c) for c in pd.Series(columns[column])]
    values[1] = value
    return text(columns | {column: values})


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("p_value", "1.5", r"g\.tsv:3:p_value.*'1\.5'.*0 to 1"),
        ("p_value", "0,05", r"g\.tsv:3:p_value: not a number; found '0,05'.*decimal points, not commas"),
        ("standard_error", "0", r"g\.tsv:3:standard_error.*above 0"),
        ("n", "-3", r"g\.tsv:3:n.*above 0"),
        ("beta", "inf", r"g\.tsv:3:beta.*finite"),
        ("beta", "1e999", r"g\.tsv:3:beta.*finite"),
        ("chromosome", "chrUn_1", r"g\.tsv:3:chromosome.*'chrUn_1'.*1 to 22, X, Y, MT"),
        ("effect_allele", "Q", r"g\.tsv:3:effect_allele.*'Q'"),
        ("base_pair_location", "-5", r"g\.tsv:3:base_pair_location.*whole number above 0"),
        ("effect_allele_frequency", "30%", r"g\.tsv:3:effect_allele_frequency: not a number"),
    ],
)
def test_values_that_cannot_be_are_refused(column: str, value: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        prepared(tmp_path, {"g.tsv": one_cell("g", column, value)})


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("beta", "NaN", "GWAS: a missing value"),
        ("effect_allele", "NA", "GWAS: a missing value"),
        ("chromosome", "NA", "GWAS: a missing value"),
        ("n", "", "GWAS: a missing value"),
        ("effect_allele", "<DEL>", "GWAS: not a single-nucleotide variant"),
        ("other_allele", "acgt", "GWAS: not a single-nucleotide variant"),
    ],
)
def test_rows_that_cannot_be_used_are_counted(column: str, value: str, reason: str, tmp_path: Path) -> None:
    found = prepared(tmp_path, {"g.tsv": one_cell("g", column, value)})
    assert found.qc["removed_by_reason"] == {reason: 1}
    assert set(WHOLE.v["rsid"]) - set(found.gwas["rsid"]) == {"rs101"}


def test_spellings_of_chromosomes_are_one(tmp_path: Path) -> None:
    v = WHOLE.v.assign(
        chr=["chr1", "1", "01", "Chr1", "1.0", "23", "chrX", "X", "25", "MT", "chrM", "26"] + ["2"] * 18
    )
    found = prepared(tmp_path, {"g.tsv": text(gwas_ssf(v))})
    named = found.gwas.set_index("rsid")["chromosome"].loc[WHOLE.v["rsid"]].tolist()
    assert named == ["1"] * 5 + ["X"] * 4 + ["MT"] * 3 + ["2"] * 18


def test_small_letters_are_letters(tmp_path: Path) -> None:
    v = WHOLE.v.assign(a1=WHOLE.v["a1"].str.lower())
    assert set(prepared(tmp_path, {"g.tsv": text(gwas_ssf(v))}).gwas["effect_allele"]) <= set("ACGT")


def test_odds_ratios_named_beta_raise_an_alarm(tmp_path: Path) -> None:
    v = WHOLE.v.assign(beta=np.exp(WHOLE.v["beta"]))
    assert "odds ratios in a column named beta?" in prepared(
        tmp_path / "a", {"g.tsv": text(gwas_ssf(v))}
    ).said("alarm")
    assert "odds ratios" not in prepared(tmp_path / "b", {"g.tsv": text(gwas_ssf(WHOLE.v))}).said()


def test_p_values_of_zero_without_a_standard_error_cannot_be_used(tmp_path: Path) -> None:
    columns = {k: c for k, c in gwas_ssf(WHOLE.v).items() if k != "standard_error"}
    columns["p_value"] = ["0", *map(repr, WHOLE.v["p"].tolist()[1:])]
    found = prepared(tmp_path, {"g.tsv": text(columns)})
    assert found.qc["removed_by_reason"] == {"GWAS: a missing value": 1}


def test_several_alleles_at_one_place_are_counted(tmp_path: Path) -> None:
    v = WHOLE.v.assign(pos=[7, 7, *range(100, 128)], chr=1, a1="A", a2=["C", "G"] + ["T"] * 28)
    found = prepared(tmp_path, {"g.tsv": text(gwas_ssf(v))})
    assert found.qc["n_multiallelic_positions"] == 1
    assert found.qc["n_palindromic"] == 28 == int(found.gwas["palindromic"].sum())


def test_a_repeated_name_is_left_out_and_a_repeated_row_kept_once(tmp_path: Path) -> None:
    lines = text(gwas_ssf(WHOLE.v)).decode().splitlines()
    again = lines[5].split("\t")
    again[1] = "77"
    content = "\n".join([*lines, lines[2], "\t".join(again)]) + "\n"
    found = prepared(tmp_path, {"g.tsv": content.encode()})
    assert found.qc["removed_by_reason"] == {
        "GWAS: the same row twice": 1,
        "GWAS: one name on several rows": 2,
    }
    assert set(WHOLE.v["rsid"]) - set(found.gwas["rsid"]) == {"rs104"}


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    mixed = WHOLE.v.sample(frac=1, random_state=3, ignore_index=True)
    first = prepared(tmp_path / "a", {"g.tsv": text(gwas_ssf(WHOLE.v))}).gwas
    pd.testing.assert_frame_equal(first, prepared(tmp_path / "b", {"g.tsv": text(gwas_ssf(mixed))}).gwas)


def test_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"g.tsv": text(gwas_ssf(WHOLE.v)), "e.txt": EQTL_LAYOUTS["eqtlgen"](WHOLE.v)[1]}
    whole = prepared(tmp_path / "a", files)
    blocks = "consilience.sources.summary_statistics.tables.line_blocks"
    from consilience.sources.summary_statistics.blocks import line_blocks

    monkeypatch.setattr(blocks, lambda path: line_blocks(path, size=300))
    for name in ("columns.WRITTEN_ROWS",):
        monkeypatch.setattr(f"consilience.sources.summary_statistics.{name}", 7)
    small = prepared(tmp_path / "b", files)
    pd.testing.assert_frame_equal(whole.gwas, small.gwas)
    pd.testing.assert_frame_equal(whole.eqtl, small.eqtl)
    bad = text(gwas_ssf(WHOLE.v)).replace(b"rs125\t5000", b"rs125\tmany")
    with pytest.raises(DataError, match=r"g\.tsv:27:n: not a number; found 'many'"):
        prepared(tmp_path / "c", {"g.tsv": bad})


def test_eqtls_with_a_large_p_are_left_out_and_said(tmp_path: Path) -> None:
    name, content = EQTL_LAYOUTS["eqtlgen"](WHOLE.v)
    found = prepared(tmp_path, {name: content})
    wanted = set(WHOLE.v.loc[WHOLE.v["p"] <= 1e-3, "rsid"])
    assert set(found.eqtl["rsid"]) == wanted
    assert f"{30 - len(wanted)} of 30 eQTL rows have p above 0.001" in found.said("note")


@pytest.mark.parametrize("names", ["rsid", "place"])
def test_a_study_without_any_eqtl_goes_on_with_an_empty_table_and_an_alarm(
    names: str, tmp_path: Path
) -> None:
    key = "eqtlgen" if names == "rsid" else "plain_eqtl"
    name, content = EQTL_LAYOUTS[key](WHOLE.v)
    if names == "place":
        content = content.replace(b"rs", b"x")
    files = {name: content, "g_hg19.tsv": text(gwas_ssf(WHOLE.v))}
    found = prepared(tmp_path, files, eqtl_p=1e-300)
    assert len(found.eqtl) == 0
    assert list(found.eqtl.columns) == list(prepared(tmp_path / "all", files, eqtl_p=1.0).eqtl.columns)
    assert len(found.gwas) == len(WHOLE.v)
    assert (
        "no usable row of the eQTL table has p of 1e-300 or less (summary_statistics: eqtl_p)"
        in found.said("alarm")
    )
    assert "no eQTL table in this cohort" not in found.said("alarm")
    assert found.qc["n_rows_read"] == {"GWAS": 30, "eQTL": 30}
    assert found.qc["n_eqtl_pairs"] == found.qc["n_genes"] == 0
    assert found.qc["n_people_eqtl"] is None


def test_an_eqtl_table_of_which_no_row_can_be_used_is_refused(tmp_path: Path) -> None:
    name, content = EQTL_LAYOUTS["eqtlgen"](WHOLE.v)
    header, *rows = content.decode().splitlines()
    alleles = header.split("\t").index("AssessedAllele")
    cells = [row.split("\t") for row in rows]
    for row in cells:
        row[alleles] = "ACC"
    indels = "\n".join([header, *map("\t".join, cells)]) + "\n"
    for largest_p in (1.0, 0.999999):
        with pytest.raises(DataError, match=r"no row of the eQTL table can be used.*not a single-nucleotide"):
            prepared(tmp_path, {name: indels.encode()}, eqtl_p=largest_p)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,A1,A2\nrs1,A,C\n", "holds no files|no GWAS and no eQTL.*columns id A1 A2"),
        (b"SQLite format 3\0" + b"\1" * 100, "SQLite database, such as PredictDB"),
        (b"\x00\x01\x02binary\xff" * 30, "neither a table of text nor parquet"),
        (b"PAR1" + b"\0" * 64, "parquet"),
    ],
    ids=["no effects", "sqlite", "binary", "cut parquet"],
)
def test_what_holds_no_associations_is_said_to(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        prepared(tmp_path, {"weights.db": content})


def test_columns_of_no_known_layout_get_a_way_to_name_them(tmp_path: Path) -> None:
    content = GWAS_LAYOUTS["named_in_config"](WHOLE.v)[1]
    with pytest.raises(DataError, match=r"columns marker k where.*summary_statistics: columns"):
        prepared(tmp_path, {"g.mine.tsv": content})


def test_plink_results_without_the_other_allele_are_refused(tmp_path: Path) -> None:
    name, content = GWAS_LAYOUTS["plink_logistic"](WHOLE.v)
    without = "\n".join(
        " ".join(c for k, c in enumerate(line.split()) if k != 4) for line in content.decode().splitlines()
    )
    with pytest.raises(DataError, match=r"no column A2.*PLINK 1\.9"):
        prepared(tmp_path, {name: (without + "\n").encode()})


def test_row_names_of_r_are_recognised(tmp_path: Path) -> None:
    lines = text(gwas_ssf(WHOLE.v)).decode().splitlines()
    named = "\n".join([lines[0], *(f"{k}\t{line}" for k, line in enumerate(lines[1:], 1))]) + "\n"
    with pytest.raises(DataError, match=r"g\.tsv:2: 11 cells under 10.*row names"):
        prepared(tmp_path, {"g.tsv": named.encode()})


@pytest.mark.parametrize(
    ("content", "names", "separator", "line"),
    [
        (b"a\tb c\nx\ty\n", ("a", "b c"), "\t", 1),
        (b"a,b\n1,2\n", ("a", "b"), ",", 1),
        (b"a;b\n1;2\n", ("a", "b"), ";", 1),
        (b"  a   b \n 1  2\n", ("a", "b"), " ", 1),
        (b"## x\n##y\n#CHROM\tPOS\n1\t2\n", ("CHROM", "POS"), "\t", 3),
        (b"# made by hand\na b\n1 2\n", ("a", "b"), " ", 2),
        (b'"a"\t"b"\n"x"\t1\n', ("a", "b"), "\t", 1),
    ],
)
def test_headers(content: bytes, names: tuple[str, ...], separator: str, line: int, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    header = read_header(tmp_path / "t.txt")
    assert header is not None
    assert (header.names, header.separator, header.line) == (names, separator, line)
    table = read_text_table(tmp_path / "t.txt", required=names)
    assert table.n_rows == 1
    assert table.lines.tolist() == [line + 1]
    assert '"' not in table.words(names[0])[0]


@given(st.floats(-300, 300).filter(lambda z: abs(z) > 1e-6))
def test_z_and_log_p_are_inverse(z: float) -> None:
    assert z_of_neg_log10_p(neg_log10_p(np.array([z]))) == pytest.approx(abs(z), rel=1e-6, abs=1e-7)


def test_effects_by_every_route_agree_with_their_definition() -> None:
    z, se = np.array([1.5, -4.0, 0.2]), np.array([0.1, 0.02, 0.3])
    beta, n = z * se, np.full(3, 900.0)
    half = stats.norm.ppf(0.975) * se
    columns = {"beta": beta, "standard_error": se, "odds_ratio": np.exp(beta), "z": z, "p_value": 2 * stats.norm.sf(abs(z)),
               "neg_log10_p": -np.log10(2 * stats.norm.sf(abs(z)))}  # fmt: skip
    for route in [("beta", "standard_error"), ("odds_ratio", "standard_error"), ("beta", "z"), ("odds_ratio", "z"),
                  ("beta", "neg_log10_p"), ("beta", "p_value"), ("odds_ratio", "p_value")]:  # fmt: skip
        found = resolve(route, columns, n=n)
        assert found.z == pytest.approx(z)
        assert found.standard_error == pytest.approx(se)
    for name, low, high in (
        ("beta", beta - half, beta + half),
        ("odds_ratio", np.exp(beta - half), np.exp(beta + half)),
    ):
        found = resolve((name, "ci_lower", "ci_upper"), columns | {"ci_lower": low, "ci_upper": high}, n=n)
        assert found.standard_error == pytest.approx(se)
    only = resolve(("z",), columns, n=n)
    assert only.beta == pytest.approx(z / 30)
    assert only.standard_error == pytest.approx(np.full(3, 1 / 30))
    assert effective_n(np.array([100.0]), np.array([300.0])) == pytest.approx([300.0])


def test_people_are_cases_and_controls(tmp_path: Path) -> None:
    columns = {k: c for k, c in gwas_ssf(WHOLE.v).items() if k != "n"}
    found = prepared(tmp_path, {"g.tsv": text(columns | {"n_cases": [1000] * 30, "n_controls": [3000] * 30})})
    assert set(found.gwas["n"]) == {4000.0}
    assert set(found.gwas["n_effective"]) == {3000.0}


@given(
    st.lists(
        st.tuples(st.integers(0, 24), st.integers(1, 250_000_000), st.permutations(range(4))),
        min_size=1,
        max_size=30,
    )
)
def test_places_are_one_key_for_both_codings_and_strands(rows: list[tuple[int, int, list[int]]]) -> None:
    chromosome, position = np.array([r[0] for r in rows], np.int8), np.array([r[1] for r in rows], np.int64)
    first, second = (np.array([r[2][k] for r in rows], np.int8) for k in (0, 1))
    key = place_keys(chromosome, position, first, second)
    assert np.array_equal(key, place_keys(chromosome, position, second, first))
    assert np.array_equal(key, place_keys(chromosome, position, 3 - first, 3 - second))
    alike = {(c, p, *min(sorted((a, b)), sorted((3 - a, 3 - b))))
             for c, p, a, b in zip(chromosome.tolist(), position.tolist(), first.tolist(), second.tolist(), strict=True)}  # fmt: skip
    assert len(set(key.tolist())) == len(alike)
    assert place_names(chromosome, position, first, second) == place_names(
        chromosome, position, second, first
    )


@pytest.mark.parametrize(
    ("words", "build"),
    [(["a_hg19.tsv"], "GRCh37"), (["chr1_1_A_G_b38"], "GRCh38"), (["x.GRCh38.p13.txt"], "GRCh38"), (["hb380"], ""),
     (["pos_b37", "pos_b38"], ""), ([], ""), (["bp_hg38"], "GRCh38")],
)  # fmt: skip
def test_builds_are_told_from_words(words: list[str], build: str) -> None:
    assert build_in(words) == build


def harmonised(**change: list[str]) -> bytes:
    columns = {"SNP": ["rs1", "rs2"], "effect_allele.exposure": ["a", "C"], "other_allele.exposure": ["G", "T"],
               "effect_allele.outcome": ["A", "C"], "other_allele.outcome": ["G", "T"], "beta.exposure": ["0.1", "0.2"],
               "se.exposure": ["0.01", "0.02"], "beta.outcome": ["0.01", "-0.02"], "se.outcome": ["0.01", "0.01"],
               "samplesize.outcome": [str(N)] * 2, "exposure": ["BMI"] * 2, "outcome": ["CHD"] * 2, "mr_keep": ["TRUE", "False"]}  # fmt: skip
    return text(columns | change)


def test_a_harmonised_table_gives_both_sides(tmp_path: Path) -> None:
    (tmp_path / "h.tsv").write_bytes(harmonised())
    found = read_harmonised(tmp_path / "h.tsv")
    assert (found.exposure, found.outcome) == ("BMI", "CHD")
    assert found.beta_exposure.tolist() == [0.1, 0.2]
    assert found.beta_outcome.tolist() == [0.01, -0.02]
    assert found.effect_allele.tolist() == ["A", "C"]
    assert found.kept.tolist() == [True, False]
    assert np.isnan(found.n_exposure).all()
    tables = prepared(tmp_path, {"h.tsv": harmonised()})
    assert tables.gwas["beta"].tolist() == [0.01, -0.02]
    assert "its exposure (BMI, 2 instruments)" in tables.said("note")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"effect_allele.outcome": ["G", "C"]}, r"h\.tsv:2:effect_allele\.outcome.*not harmonised"),
     ({"exposure": ["BMI", "WHR"]}, r"holds 2 exposures, one is needed; found 'BMI, WHR'"),
     ({"se.exposure": ["0.01", "0"]}, r"h\.tsv:3:se\.exposure.*above 0")],
)  # fmt: skip
def test_a_table_that_is_not_harmonised_is_refused(
    change: dict[str, list[str]], words: str, tmp_path: Path
) -> None:
    (tmp_path / "h.tsv").write_bytes(harmonised(**change))
    with pytest.raises(DataError, match=words):
        read_harmonised(tmp_path / "h.tsv")
