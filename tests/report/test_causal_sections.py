"""The causal sections: numbers from the tables, honest words, no names, whatever files are there."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import html5lib
import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.report.elements import Section, tables_of
from consilience.report.page import write_report
from consilience.report.sections import methods_used, section_makers

HOSTILE = """</script><script>window.bad=1</script><img src=x onerror=window.bad=1> {{7*7}} "'`<!-- ${1}"""
KEYS = ("twmr", "dml", "concordance")
POPULATION, CELLS, AGREEMENT = "population/gwas_eqtl", "cells/blood_cells", "agreement/gwas_eqtl/blood_cells"
FILES = tuple(
    [f"population/*/{name}" for name in ("instruments.parquet", "genes.parquet", "instruments.json", "twmr.parquet", "mr.parquet")]
    + [f"cells/*/{name}" for name in ("dml.parquet", "dml_others.parquet", "dml.json", "denoising.json", "latent.parquet")]
    + [f"agreement/*/*/{name}" for name in ("concordance.parquet", "genes.parquet", "stability.parquet", "pathways.parquet",
                                            "pathway_agreement.parquet", "metrics.json")]
)  # fmt: skip


@pytest.fixture(scope="session")
def fixture() -> ModuleType:
    path = Path(__file__).with_name("fixture_causal.py")
    spec = importlib.util.spec_from_file_location("consilience_fixture_causal", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def causal_once(
    make_study: Callable[..., Any], fixture: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    study = make_study(tmp_path_factory.mktemp("causal"))
    fixture.add_causal(study)
    return study


@pytest.fixture(scope="session")
def sections(causal_once: Any, built: Callable[..., Any]) -> dict[str, Section]:
    """What the report says of the study as it is, for tests that change nothing."""
    found: dict[str, Section] = built(causal_once)
    return found


@pytest.fixture
def small(study: Any) -> Any:
    """Without the negative control, whose groups are those of the disease once more."""
    study.cohorts = [cohort for cohort in study.cohorts if cohort.name != "height"]
    return study


@pytest.fixture
def study(causal_once: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A study with causal results that a test may change."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1763700000")
    shutil.copytree(causal_once.results, tmp_path / "study")
    return replace(causal_once, results=tmp_path / "study")


@pytest.fixture(scope="session")
def built(look: ModuleType) -> Callable[..., dict[str, Section]]:
    def build(study: Any, *, only: str = "") -> dict[str, Section]:
        results = look.read(study)
        makers = [maker for maker in section_makers() if maker.key in KEYS and only in ("", maker.key)]
        for maker in makers:
            assert maker.methods is not None
            maker.methods(results)
        sections = [maker.build(results) for maker in makers]
        return {section.key: section for section in sections if section is not None}

    return build


def table_of(study: Any, name: str) -> pd.DataFrame:
    return pd.read_parquet(study.results / "causal" / name)


# ---- the page ----


def test_all_sections_are_in_the_page(study: Any, built: Callable[..., Any]) -> None:
    write_report(**study.arguments())
    tree = html5lib.parse(study.page.read_text(), namespaceHTMLElements=False)
    stages = [one.get("id") for one in tree.iter("section") if "stage" in (one.get("class") or "")]
    assert [key for key in stages if key in KEYS] == list(KEYS)
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    written = {path.stem for path in (study.results / "report" / "tables").glob("*.tsv")}
    every = {one.key for section in built(study).values() for one in tables_of(section)}
    assert every <= written
    assert {"twmr.gwas_eqtl", "mr.gwas_eqtl", "mr_methods", "twmr_truth.gwas_eqtl", "instruments_dropped.gwas_eqtl",
            "dml.blood_cells", "dml_types.blood_cells", "dml_variants.blood_cells", "dml_truth.blood_cells",
            "concordance.gwas_eqtl.blood_cells", "concordance_controls"} <= every  # fmt: skip


def test_the_same_results_give_the_same_bytes(study: Any) -> None:
    write_report(**study.arguments())
    first = study.page.read_bytes()
    write_report(**study.arguments())
    assert study.page.read_bytes() == first


def test_hostile_names_stay_text(make_study: Callable[..., Any], fixture: ModuleType, tmp_path: Path) -> None:
    study = make_study(tmp_path, hostile=HOSTILE)
    fixture.add_causal(study)
    write_report(**study.arguments())
    text = study.page.read_text()
    assert "<img" not in text
    assert text.count("window.bad=1</script>") == 0
    tree = html5lib.parse(text, namespaceHTMLElements=False)
    assert [node.get("type") for node in tree.iter("script")].count(None) == 1
    assert f"Both sides agree in 2 of 5 cell types{HOSTILE}" in "".join(tree.itertext())
    for path in (study.results / "report" / "tables").glob("*.tsv"):
        lines = path.read_text().split("\n")
        assert len({line.count("\t") for line in lines if line}) == 1, path.name


def test_no_donor_is_named_under_pseudonyms(
    make_study: Callable[..., Any],
    fixture: ModuleType,
    look: ModuleType,
    built: Callable[..., Any],
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path, pseudonyms=True)
    fixture.add_causal(study)
    write_report(**study.arguments())
    names = {name for own in study.samples.values() for name in own}
    for part in ("report", "provenance"):
        for path in sorted((study.results / part).rglob("*")):
            if path.is_file():
                assert not set(re.findall(r"[A-Za-z]+\d+", path.read_text())) & names, path.name
    figure = look.figures_of(built(study)["concordance"])["concordance-donor-gwas_eqtl.blood_cells"]
    left = {label.split(", without ")[1] for label in look.series(figure, "without one donor")["labels"]}
    assert len(left) == len(study.samples["blood_cells"])
    assert all(re.fullmatch(r"[SD]\d{3}", one) for one in left)


# ---- what is not there ----


def test_a_stage_that_never_ran_has_no_section(
    study: Any, built: Callable[..., Any], look: ModuleType
) -> None:
    assert set(built(study)) == set(KEYS)
    shutil.rmtree(study.results / "causal")
    assert built(study) == {}
    assert not {note.key for note in methods_used(look.read(study))} & {
        "twmr",
        "dml",
        "concordance",
        "instruments",
    }


def test_a_stage_that_is_off_is_said_once(study: Any, built: Callable[..., Any], look: ModuleType) -> None:
    off = study.config.causal.model_copy(update={"enabled": False})
    study.config = study.config.model_copy(update={"causal": off})
    found = built(study)
    assert set(found) == {"twmr"}
    assert "switched off (causal.enabled)" in look.said(found["twmr"])
    study.cohorts = [cohort for cohort in study.cohorts if cohort.kind != "summary_statistics"]
    assert built(study) == {}


@pytest.mark.parametrize(
    ("gone", "key", "words"),
    [
        ("agreement", "concordance", "No pair of population genetics and single cells was compared: the tables of this step"),
        ("cells", "dml", "no single-cell cohort with cases and controls was gone over"),
        ("population", "twmr", "the tables of this step are not there"),
    ],
)  # fmt: skip
def test_a_side_that_is_missing_is_said(
    study: Any, built: Callable[..., Any], look: ModuleType, gone: str, key: str, words: str
) -> None:
    shutil.rmtree(study.results / "causal" / gone)
    assert words in look.said(built(study)[key])


def test_a_study_without_summary_statistics_says_so(
    study: Any, built: Callable[..., Any], look: ModuleType
) -> None:
    for part in ("population", "agreement"):
        shutil.rmtree(study.results / "causal" / part)
    study.cohorts = [cohort for cohort in study.cohorts if cohort.kind != "summary_statistics"]
    found = built(study)
    assert "The study has no summary statistics" in look.said(found["twmr"])
    assert "the study has no summary statistics" in look.said(found["concordance"])


def section_of(name: str) -> str:
    return {"population": "twmr", "cells": "dml", "agreement": "concordance"}[name.split("/")[0]]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_no_crash(small: Any, built: Callable[..., Any], name: str) -> None:
    gone = list((small.results / "causal").glob(name))
    assert gone
    for path in gone:
        path.unlink()
    assert set(built(small, only=section_of(name))) == {section_of(name)}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".parquet")])
def test_tables_without_rows_columns_or_numbers_are_no_crash(
    small: Any, built: Callable[..., Any], name: str
) -> None:
    key = section_of(name)
    tables = {path: pd.read_parquet(path) for path in (small.results / "causal").glob(name)}
    for path, table in tables.items():
        write_parquet(path, table.iloc[:0])
    assert set(built(small, only=key)) == {key}
    for path in tables:
        write_parquet(path, pd.DataFrame({"unknown": [1.0]}))
    assert set(built(small, only=key)) == {key}
    for path, table in tables.items():
        numbers = table.select_dtypes("number").columns
        unknown = table.astype(dict.fromkeys(numbers, "float64"))
        unknown[numbers] = np.nan
        write_parquet(path, unknown)
    assert set(built(small, only=key)) == {key}


OPTIONAL = {
    "population/gwas_eqtl/twmr.parquet": ("gene", "alpha", "se", "p"),
    "population/gwas_eqtl/mr.parquet": ("gene", "method", "estimate", "p"),
    "population/gwas_eqtl/instruments.parquet": ("gene",),
    "cells/blood_cells/dml.parquet": ("cell_type", "gene", "theta", "se", "p"),
    "cells/blood_cells/dml_others.parquet": ("cell_type", "gene", "variant", "statistic"),
    "agreement/gwas_eqtl/blood_cells/concordance.parquet": ("cell_type", "r", "fdr"),
    "agreement/gwas_eqtl/blood_cells/genes.parquet": ("cell_type", "gene", "z_population", "z_cells"),
    "agreement/gwas_eqtl/blood_cells/pathways.parquet": ("side", "pathway", "nes"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONAL)
def test_only_the_columns_that_matter_are_needed(small: Any, built: Callable[..., Any], name: str) -> None:
    """Tables of other people, or of an older version: every other column may be missing."""
    path = small.results / "causal" / name
    write_parquet(path, pd.read_parquet(path)[list(OPTIONAL[name])])
    assert set(built(small, only=section_of(name))) == {section_of(name)}


def test_a_broken_file_is_named(study: Any, built: Callable[..., Any]) -> None:
    write_json(study.results / "causal" / CELLS / "dml.json", {"folds": "many"})
    with pytest.raises(DataError, match=r"cells/blood_cells/dml\.json: folds"):
        built(study)


# ---- population ----


def test_population_numbers_are_those_of_the_tables(
    causal_once: Any, sections: dict[str, Section], look: ModuleType
) -> None:
    section = sections["twmr"]
    twmr = table_of(causal_once, f"{POPULATION}/twmr.parquet")
    n, total = int((twmr["fdr"] <= 0.05).sum()), int(twmr["p"].notna().sum())
    assert n > 0
    assert (
        section.headline
        == f"{n} of {total} genes have an effect on the trait of gwas_eqtl at 5 % false discoveries."
    )
    facts = look.facts(section, "twmr-gwas_eqtl")
    assert facts["below 5 % FDR"] == str(n)
    assert facts["genes estimated"] == str(total)
    genes = table_of(causal_once, f"{POPULATION}/genes.parquet")
    assert facts["with instruments"] == str(int((genes["n_kept"] > 0).sum()))
    rows = look.table(section, "twmr.gwas_eqtl")
    best = twmr.nsmallest(5, "p")
    assert [row["gene"] for row in rows[:5]] == best["symbol"].tolist()
    assert rows[0]["alpha_published"] == pytest.approx(best["alpha_published"].iloc[0])
    dropped = {row["reason"]: row["variants"] for row in look.table(section, "instruments_dropped.gwas_eqtl")}
    variants = table_of(causal_once, f"{POPULATION}/instruments.parquet")
    assert dropped["kept"] == int(variants["kept"].sum())
    assert dropped["ld pruned"] == int((variants["reason"] == "ld_pruned").sum())
    assert {row["reason"]: row["meaning"] for row in look.table(section, "instruments_dropped.gwas_eqtl")}[
        "mhc"
    ]


def test_the_volcano_has_every_gene_or_says_how_it_thins(
    causal_once: Any, sections: dict[str, Section], look: ModuleType
) -> None:
    twmr = table_of(causal_once, f"{POPULATION}/twmr.parquet")
    figure = look.figures_of(sections["twmr"])["twmr-volcano-gwas_eqtl"]
    dots = [mark for mark in figure.marks if mark["type"] == "points"]
    assert sum(len(mark["x"]) for mark in dots) == int(twmr["p"].notna().sum())
    named = {label for mark in dots if mark.get("named") for label in mark["labels"]}
    called = twmr[twmr["fdr"] <= 0.05].nsmallest(12, "p")
    assert named == set(called["symbol"])
    ups = [x for mark in dots if mark["name"] == "raises the risk" for x in mark["x"]]
    assert ups
    assert min(ups) >= 0


def test_why_estimates_differ() -> None:
    from consilience.report.sections._causal_population_parts import why_they_differ

    row = {"alpha": 0.1, "se": 0.02, "alpha_published": 0.01, "se_published": 0.002, "alpha_plain": np.nan}
    assert why_they_differ(row).startswith("the ridge shrinks it to 10")
    assert "z is 2.00 times" in why_they_differ(row | {"se_published": 0.001})
    assert why_they_differ(row | {"alpha_published": -0.01}) == "the ridge turns the sign"
    assert why_they_differ(row | {"alpha_published": 0.1, "se_published": 0.02}) == "the same within a tenth"
    assert "errors of eQTL effects" in why_they_differ(row | {"alpha_plain": 0.05, "alpha_published": 0.05})
    assert "swells it 3 times" in why_they_differ(row | {"alpha_published": 0.3})
    assert why_they_differ(row | {"alpha": np.nan}) == ""


def test_one_gene_methods_stand_beside(
    causal_once: Any, sections: dict[str, Section], look: ModuleType, fixture: ModuleType
) -> None:
    section = sections["twmr"]
    mr = table_of(causal_once, f"{POPULATION}/mr.parquet").set_index(["symbol", "method"])
    for row in look.table(section, "mr.gwas_eqtl")[:10]:
        for method in fixture.METHODS:
            expected = mr.loc[(row["gene"], method), "estimate"]
            assert row[method] == (None if np.isnan(expected) else pytest.approx(expected))
    (own,) = [
        row
        for row in look.table(section, "mr_methods")
        if (row["cohort"], row["method"]) == ("gwas_eqtl", "Egger")
    ]
    part = table_of(causal_once, f"{POPULATION}/mr.parquet").query("method == 'egger'")
    assert own["genes"] == int(part["p"].notna().sum())
    assert own["called"] == int((part["fdr"] <= 0.05).sum())
    forest = look.figures_of(section)["twmr-forest-gwas_eqtl"]
    assert {mark["name"] for mark in forest.marks if mark["type"] == "points"} >= {"TWMR", "IVW LD", "Egger"}


def test_the_locus_marks_what_was_kept(
    causal_once: Any, sections: dict[str, Section], look: ModuleType
) -> None:
    section = sections["twmr"]
    best = table_of(causal_once, f"{POPULATION}/twmr.parquet").nsmallest(1, "p").iloc[0]
    own = table_of(causal_once, f"{POPULATION}/instruments.parquet").query("gene == @best.gene")
    figures = look.figures_of(section)
    for kind, column in (("gwas", "gwas_p"), ("eqtl", "eqtl_p")):
        marks = figures[f"locus-gwas_eqtl-0-{kind}"].marks
        kept = [y for mark in marks if mark["name"] == "instrument" for y in mark["y"]]
        assert sorted(kept) == pytest.approx(sorted(-np.log10(own.loc[own["kept"], column])), rel=1e-3)
        out = [mark for mark in marks if mark["name"] == "left out"]
        assert sum(len(mark["x"]) for mark in out) == int((~own["kept"]).sum())
        assert all("left out (" in label for mark in out for label in mark["labels"])
    slopes = {
        mark["name"]: mark["y"][1] / mark["x"][1]
        for mark in figures["locus-gwas_eqtl-0-effects"].marks
        if mark["type"] == "line"
    }
    assert slopes["default estimate"] == pytest.approx(best["alpha"], rel=1e-3)
    assert slopes["published estimate"] == pytest.approx(best["alpha_published"], rel=1e-3)
    assert best["symbol"] in look.said(section)


def test_planted_genes_stand_beside_what_was_found(
    causal_once: Any, sections: dict[str, Section], look: ModuleType, fixture: ModuleType
) -> None:
    rows = {row["method"]: row for row in look.table(sections["twmr"], "twmr_truth.gwas_eqtl")}
    twmr = table_of(causal_once, f"{POPULATION}/twmr.parquet").dropna(subset=["p"])
    truth = fixture.planted().set_index("ensembl_id")["alpha"].loc[twmr["gene"]].to_numpy()
    own = rows["TWMR, default"]
    z, causal = twmr["z"].abs().to_numpy(), truth != 0
    pairs = (z[causal][:, None] > z[~causal][None, :]).mean()  # the area, the slow way
    assert own["auc"] == pytest.approx(pairs)
    assert own["causal_called"] == int(((twmr["fdr"] <= 0.05) & causal).sum())
    assert own["null_rejected"] == pytest.approx((twmr["p"][~causal] <= 0.05).mean())
    assert own["coverage"] == pytest.approx(((twmr["low"] <= truth) & (truth <= twmr["high"])).mean())
    assert {"TWMR, published", "IVW LD"} <= set(rows)
    assert "twmr_truth.height" not in {one.key for one in tables_of(sections["twmr"])}


# ---- single cells ----


def test_naive_p_values_stand_beside(
    causal_once: Any, sections: dict[str, Section], look: ModuleType
) -> None:
    section = sections["dml"]
    dml = table_of(causal_once, f"{CELLS}/dml.parquet")
    for row in look.table(section, "dml_types.blood_cells"):
        own = dml[dml["cell_type"] == row["cell_type"]]
        assert row["below"] == pytest.approx((own["p"].dropna() <= 0.05).mean())
        assert row["below_naive"] == pytest.approx((own["p_naive"].dropna() <= 0.05).mean())
        assert row["called"] == int((own["fdr"] <= 0.05).sum())
        assert row["lambda_gc"] == 1.03
        assert row["overlap"].endswith("of the cells count, poor for 1 of 15 genes")
    figure = look.figures_of(section)["dml-naive-blood_cells"]
    assert min(look.series(figure, "cell by cell")["x"]) > max(look.series(figure, "by donors")["x"])
    assert "if cells were patients" in section.headline


def test_every_cell_type_has_its_volcano(
    sections: dict[str, Section], look: ModuleType, fixture: ModuleType
) -> None:
    section = sections["dml"]
    figures = [one for key, one in look.figures_of(section).items() if key.startswith("dml-volcano")]
    assert {one.title for one in figures} == set(fixture.CELL_TYPES)
    assert figures[0].title in fixture.ACTIVE  # most gene effects first


def test_other_analyses_and_skipped_types_are_told(
    causal_once: Any, sections: dict[str, Section], look: ModuleType
) -> None:
    section = sections["dml"]
    rows = {row["variant"]: row for row in look.table(section, "dml_variants.blood_cells")}
    assert set(rows) == {"lasso", "IV type", "AIPW", "pseudobulk"}
    both = table_of(causal_once, f"{CELLS}/dml_others.parquet").query("variant == 'pseudobulk'").merge(
        table_of(causal_once, f"{CELLS}/dml.parquet"), on=["cell_type", "gene"], suffixes=("", "_main"))  # fmt: skip
    assert rows["pseudobulk"]["r"] == pytest.approx(both["statistic"].corr(both["statistic_main"]))
    (skipped,) = look.table(section, "dml_skipped.blood_cells")
    assert skipped["cell_type"] == "platelet"
    said = look.said(section)
    assert (
        "Confounders: library size, batch and 16 latent numbers of the cell; asked for and not there: age"
        in said
    )
    facts = look.facts(section, "denoising-blood_cells")
    assert facts["labels by chance"].startswith("4.9")


def test_the_forest_is_in_standard_errors(
    causal_once: Any, sections: dict[str, Section], look: ModuleType
) -> None:
    """Pseudobulks and AIPW have scales of their own."""
    figure = look.figures_of(sections["dml"])["dml-forest-blood_cells"]
    best = table_of(causal_once, f"{CELLS}/dml.parquet").nsmallest(12, "p")
    main = look.series(figure, "main")
    assert main["x"] == pytest.approx(best["statistic"].tolist(), rel=1e-3)
    assert {"lasso", "IV type", "AIPW", "pseudobulk"} <= {mark["name"] for mark in figure.marks}


def test_planted_cell_types_stand_beside(
    sections: dict[str, Section], look: ModuleType, fixture: ModuleType
) -> None:
    rows = look.table(sections["dml"], "dml_truth.blood_cells")
    assert {row["cell_type"] for row in rows if row["acts"] == "yes"} == set(fixture.ACTIVE)
    quiet = [row for row in rows if row["acts"] == "no"]
    assert all(row["null_rejected"] < 0.12 < 0.4 < row["null_rejected_naive"] for row in quiet)


# ---- agreement ----


def test_agreement_is_told_with_its_controls(
    causal_once: Any, sections: dict[str, Section], look: ModuleType, fixture: ModuleType
) -> None:
    section = sections["concordance"]
    table = table_of(causal_once, f"{AGREEMENT}/concordance.parquet")
    found = table[(table["fdr"] <= 0.05) & (table["r"] > 0)]
    assert set(found["cell_type"]) == set(fixture.ACTIVE)
    assert section.headline.startswith(
        "2 of 5 cell types of blood_cells agree with gwas_eqtl at 5 % false discoveries: "
    )
    assert section.headline.endswith("unrelated traits: 0 of 5.")
    (fact,) = section.first_screen
    assert fact.value == "2 of 5"
    said = look.said(section)
    assert (
        "Planted and found: found 2 of 2 cell types where disease acts, missed none, and called none" in said
    )
    assert "A negative control" in said
    forest = look.figures_of(section)["concordance-forest-gwas_eqtl.blood_cells"]
    assert len(look.series(forest, "agrees, below 5 % FDR")["x"]) == 2
    assert len(look.series(forest, "control: height")["x"]) == 5
    rows = {row["population"]: row for row in look.table(section, "concordance_controls")}
    assert (rows["gwas_eqtl"]["found"], rows["height"]["found"], rows["height"]["control"]) == (2, 0, "yes")
    against = look.table(section, "concordance_against.gwas_eqtl.blood_cells")
    assert {row["cell_type"] for row in against if row["says"] == "stands out"} == set(fixture.ACTIVE)
    assert len(against) == 5
    assert {row["n_controls"] for row in against} == {1}


def test_the_opposite_direction_is_no_agreement(study: Any, built: Callable[..., Any]) -> None:
    path = study.results / "causal" / AGREEMENT / "concordance.parquet"
    table = pd.read_parquet(path)
    write_parquet(path, table.assign(r=-table["r"].abs(), low=-0.9, high=0.1))
    assert built(study)["concordance"].headline.startswith("0 of 5 cell types of blood_cells agree")


def test_the_judged_p_is_the_one_of_genes_and_donors(
    study: Any, built: Callable[..., Any], look: ModuleType
) -> None:
    path = study.results / "causal" / AGREEMENT / "concordance.parquet"
    write_parquet(path, pd.read_parquet(path).assign(p_donors=0.2, p=0.2))
    figure = look.figures_of(built(study)["concordance"])["concordance-z-gwas_eqtl.blood_cells-0"]
    assert "p = 0.2," in figure.caption


def test_scatters_show_genes_of_both_sides(
    causal_once: Any, sections: dict[str, Section], look: ModuleType
) -> None:
    section = sections["concordance"]
    genes = table_of(causal_once, f"{AGREEMENT}/genes.parquet")
    figure = look.figures_of(section)["concordance-z-gwas_eqtl.blood_cells-0"]
    cell_type = figure.title.removesuffix(", agrees")
    own = genes[genes["cell_type"] == cell_type]
    assert sum(len(mark["x"]) for mark in figure.marks if mark["type"] == "points") == len(own)
    first = look.table(section, "concordance_genes.gwas_eqtl.blood_cells")[0]
    weaker = np.minimum(genes["z_population"].abs(), genes["z_cells"].abs())
    assert min(abs(first["z_population"]), abs(first["z_cells"])) == pytest.approx(weaker.max())


def test_the_worked_example_is_told(sections: dict[str, Section], look: ModuleType) -> None:
    section = sections["concordance"]
    rows = look.table(section, "concordance_example.gwas_eqtl.blood_cells")
    assert [(row["side"], row["where"]) for row in rows] == [
        ("population genetics", "TWMR"), ("population genetics", "IVW LD"), ("single cells", "monocyte")]  # fmt: skip
    assert rows[1]["z"] == pytest.approx(-2.0)
    assert "CP: on neither side." in look.said(section)


def test_top_lists_and_pathways_are_listed(sections: dict[str, Section], look: ModuleType) -> None:
    section = sections["concordance"]
    rows = look.table(section, "concordance_top.gwas_eqtl.blood_cells")
    assert {(row["top"], row["overlap"], row["expected"]) for row in rows} == {(10, 2.0, 0.5), (20, 5.0, 1.8)}
    pathways = look.table(section, "concordance_pathways.gwas_eqtl.blood_cells")
    assert {row["n_pathways"] for row in pathways} == {30}


# ---- methods, flags, thinning ----


def test_methods_cite_what_they_name(study: Any, look: ModuleType) -> None:
    notes = {note.key: note for note in methods_used(look.read(study))}
    assert {"instruments", "twmr", "mendelian_randomisation", "denoising", "dml", "concordance"} <= set(notes)
    for key in ("instruments", "twmr", "mendelian_randomisation", "denoising", "dml", "concordance"):
        note = notes[key]
        keys = {entry.key for entry in note.citations}
        assert set(re.findall(r"\[(\w+)\]", note.sentence)) == keys, key
        assert "[" not in note.text({"torch": "9.9", "gseapy": "1.1"})
        assert "{" not in note.text({"torch": "9.9", "gseapy": "1.1"})
    assert "1.83e-05" in notes["instruments"].sentence
    assert {"Porcu2019", "Chernozhukov2018", "Hartwig2017"} & {
        entry.key for note in notes.values() for entry in note.citations} >= {"Porcu2019", "Chernozhukov2018"}  # fmt: skip


def test_methods_follow_the_settings(study: Any, look: ModuleType) -> None:
    causal = study.config.causal
    changed = causal.model_copy(update={
        "dml": causal.dml.model_copy(update={"inference": "wild_bootstrap", "score": "irm"}),
        "instruments": causal.instruments.model_copy(update={"drop_mhc": False, "steiger": False, "fdr": 0.05}),
        "concordance": causal.concordance.model_copy(update={"correction": "by"}),
    })  # fmt: skip
    study.config = study.config.model_copy(update={"causal": changed})
    notes = {note.key: note.sentence for note in methods_used(look.read(study))}
    assert "wild cluster bootstrap over donors [Cameron2008]" in notes["dml"]
    assert "interactive models" in notes["dml"]
    assert "MHC" not in notes["instruments"]
    assert "false discovery rate of at most 0.05" in notes["instruments"]
    assert "[Benjamini2001]" in notes["concordance"]


def test_every_registered_method_can_be_cited() -> None:
    from consilience.causal import twmr
    from consilience.causal.dml.learners import learners
    from consilience.causal.mr.estimators import estimators
    from consilience.report.sections._causal_literature import citation_of

    for one in (*twmr.methods().values(), *estimators().values(), *learners().values()):
        entry = citation_of(one)  # type: ignore[arg-type]
        assert (entry is None) == (not one.doi)
        if entry is not None:
            assert entry.doi.casefold() == one.doi.casefold()
            assert 1900 < entry.year < 2030


def test_flags_have_words() -> None:
    from consilience.report.sections._causal_flags import flags_of

    for room in ("instruments", "twmr", "mr", "dml", "concordance"):
        known = flags_of(room)  # type: ignore[arg-type]
        assert known, room
        assert all(words for words in known.values())


def test_flagged_rows_are_counted_in_words(
    causal_once: Any, sections: dict[str, Section], look: ModuleType
) -> None:
    twmr = table_of(causal_once, f"{POPULATION}/twmr.parquet")
    rows = {row["flag"]: row for row in look.table(sections["twmr"], "twmr_flags.gwas_eqtl")}
    assert rows["no instruments"]["n"] == int((twmr["flags"] == "no_instruments").sum())
    assert rows["no instruments"]["meaning"]


def test_thinning_keeps_the_shape_of_the_cloud() -> None:
    from consilience.report.sections._causal_volcano import thinned

    rng = np.random.default_rng(3)
    x, y = rng.normal(size=20_000), rng.exponential(size=20_000)
    x[5] = np.nan
    kept = thinned(x, y, most=400)
    assert 100 < len(kept) <= 400
    assert 5 not in kept
    assert np.array_equal(kept, thinned(x, y, most=400))
    assert np.ptp(x[kept]) > 0.9 * np.ptp(x[np.isfinite(x)])
    assert y[kept].max() > 0.9 * y.max()
    assert len(thinned(x[:50], y[:50], most=400)) == 49
    assert len(thinned(np.zeros(1000), np.zeros(1000), most=10)) == 1


@pytest.mark.slow
def test_many_genes_and_types_stay_small(
    make_study: Callable[..., Any], fixture: ModuleType, tmp_path: Path
) -> None:
    study = make_study(tmp_path)
    fixture.add_causal(study, n_genes=4_000, cell_types=tuple(f"type {place}" for place in range(20)))
    write_report(**study.arguments())
    assert study.page.stat().st_size < 2e6
