"""The sections of RNAGAN: honest words, no names, nothing of few people, no crash when files are not there."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
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
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.foundation.files import read_json, write_json, write_parquet
from consilience.report.citations import Citation
from consilience.report.elements import Section, tables_of, walk
from consilience.report.page import build_sections, write_report
from consilience.report.results import StudyResults
from consilience.report.sections import _rnagan_diagnosis_parts as diagnosis
from consilience.report.sections import _rnagan_literature as literature
from consilience.report.sections import _rnagan_markers_parts as markers
from consilience.report.sections import _rnagan_reading as reading
from consilience.report.sections import methods_used, rnagan_vectors
from consilience.report.sections._rnagan_shapes import Bin, DiagnosisSummary, MarkersTask, SizeFigures

HOSTILE = """</script><script>window.bad=1</script><img src=x onerror=window.bad=1> {{7*7}} "'`<!-- ${1}"""
KEYS = ("models", "diagnosis", "markers", "synthetic", "vectors")


def load_fixture() -> ModuleType:
    path = Path(__file__).with_name("fixture_rnagan.py")
    spec = importlib.util.spec_from_file_location("consilience_fixture_rnagan", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(make_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Written once; tests that change files take a copy of it."""
    study = make_study(tmp_path_factory.mktemp("rnagan"))
    load_fixture().add_rnagan(study)
    return study


@pytest.fixture
def study(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1763700000")
    shutil.copytree(made.results, tmp_path / "fixture")
    return replace(made, results=tmp_path / "fixture")


def read(study: Any) -> StudyResults:
    return StudyResults(study.config, study.cohorts, study.results, study.benchmarks)


def built(study: Any) -> dict[str, Section]:
    return {section.key: section for section in build_sections(read(study)) if section.key in KEYS}


def figures_of(section: Section) -> dict[str, Any]:
    return {
        figure.key: figure
        for block in walk(section.blocks)
        if block.block == "figures"
        for figure in block.items
    }  # type: ignore[union-attr]


def said(section: Section) -> str:
    texts = [block.text for block in walk(section.blocks) if block.block == "text"]  # type: ignore[union-attr]
    return " ".join([section.headline, *texts, *(notice.text for notice in section.notices)])


def table(section: Section, key: str) -> list[dict[str, Any]]:
    (found,) = [one for one in tables_of(section) if one.key == key]
    return [dict(zip([column.name for column in found.columns], row, strict=True)) for row in found.rows]


# ---- the page ----


def test_all_five_sections_are_in_the_page(study: Any) -> None:
    write_report(**study.arguments())
    text = study.page.read_text()
    tree = html5lib.parse(text, namespaceHTMLElements=False)
    stages = [one.get("id") for one in tree.iter("section") if "stage" in (one.get("class") or "")]
    assert [key for key in stages if key in KEYS] == list(KEYS)
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    inner = [node.get("href")[1:] for node in tree.iter("a") if (node.get("href") or "").startswith("#")]
    assert not [target for target in inner if target not in ids]
    tables = {path.stem for path in (study.results / "report" / "tables").glob("*.tsv")}
    assert {"models", "contrasts", "diagnosis", "marker_genes.tissue_geo", "marker_pathways.blood_cells", "markers_truth",
            "marker_pairs.tissue_geo", "marker_enrichment.tissue_geo", "synthetic", "vectors"} <= tables  # fmt: skip


def test_the_same_results_give_the_same_bytes(study: Any) -> None:
    write_report(**study.arguments())
    first = study.page.read_bytes()
    write_report(**study.arguments())
    assert study.page.read_bytes() == first


def test_hostile_names_stay_text(make_study: Callable[..., Any], tmp_path: Path) -> None:
    study = make_study(tmp_path, hostile=HOSTILE)
    load_fixture().add_rnagan(study)
    write_report(**study.arguments())
    text = study.page.read_text()
    assert "<img" not in text
    assert text.count("window.bad=1</script>") == 0
    tree = html5lib.parse(text, namespaceHTMLElements=False)
    assert [node.get("type") for node in tree.iter("script")].count(None) == 1
    words = "".join(tree.itertext())
    assert f"NK{HOSTILE}" in words
    for path in (study.results / "report" / "tables").glob("*.tsv"):
        lines = path.read_text().split("\n")
        assert len({line.count("\t") for line in lines if line}) == 1, path.name


def test_no_name_is_left_under_pseudonyms(make_study: Callable[..., Any], tmp_path: Path) -> None:
    study = make_study(tmp_path, pseudonyms=True)
    load_fixture().add_rnagan(study)
    write_report(**study.arguments())
    names = {name for own in study.samples.values() for name in own}
    donors = {
        f"P{cohort[:2]}{number:03d}" for cohort, own in study.samples.items() for number in range(len(own))
    }
    for folder in ("report", "provenance"):
        for path in sorted((study.results / folder).rglob("*")):
            if path.is_file():
                assert not set(re.findall(r"[A-Za-z]+\d+", path.read_text())) & (names | donors), path.name
    figure = figures_of(built(study)["vectors"])["vectors-arm-tissue_geo"]
    labels = [label for mark in figure.marks for label in mark["labels"]]
    assert len(labels) == 62
    assert all(re.fullmatch(r"S\d{3}", label) for label in labels)


def test_the_stage_that_is_off_has_no_section(study: Any) -> None:
    off = study.config.rnagan.model_copy(update={"enabled": False})
    study.config = study.config.model_copy(update={"rnagan": off})
    assert built(study) == {}
    assert not {note.key for note in methods_used(read(study))} & {"rnagan", "diagnosis", "markers"}


def test_a_study_that_never_ran_it_has_no_section(study: Any) -> None:
    shutil.rmtree(study.results / "rnagan")
    assert built(study) == {}


FILES = ("training.json", "history.parquet", "diagnosis.json", "markers.json", "markers_genes.parquet", "markers_pathways.parquet",
         "markers_interactions.parquet", "markers_enrichment.parquet", "synthetic.json", "synthetic_genes.parquet",
         "vectors.json", "vectors.parquet", "nearest.parquet", "transfer_from_tissue_geo.json")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_no_crash(study: Any, name: str) -> None:
    """Gone in all cohorts: at most its own section goes (diagnosis has its transfer left)."""
    gone = list((study.results / "rnagan").glob(f"*/{name}"))
    assert gone
    for path in gone:
        path.unlink()
    own = {"markers.json": {"markers"}, "synthetic.json": {"synthetic"},
           "vectors.json": {"vectors"}}  # fmt: skip
    kept = set(KEYS) - own.get(name, set())
    assert set(built(study)) == kept


def test_a_broken_file_is_named(study: Any) -> None:
    path = study.results / "rnagan" / "tissue_geo" / "diagnosis.json"
    path.write_text('{"tasks": [{"summary": {"by_references": {"5": {}}}}]}')
    with pytest.raises(DataError, match=r"tissue_geo/diagnosis\.json.*methods"):
        built(study)


def test_tables_without_rows_are_no_crash(study: Any) -> None:
    """What the stage writes where no task could be done."""
    for here in sorted((study.results / "rnagan").iterdir()):
        if here.is_dir():
            for name in ("genes", "pathways", "interactions", "enrichment"):
                write_parquet(here / f"markers_{name}.parquet", pd.DataFrame({"cell_type": []}))
            write_json(here / "markers.json", {"tasks": [{"cell_type": "", "skipped": "too few donors"}]})
            write_json(here / "diagnosis.json", {"tasks": [], "base_cohorts": []})
            for name in ("vectors", "nearest"):
                empty = pd.read_parquet(here / f"{name}.parquet").iloc[:0]
                write_parquet(here / f"{name}.parquet", empty)
    sections = built(study)
    assert "No task could be asked" in sections["markers"].headline
    assert "too few donors" in str(table(sections["markers"], "markers_skipped"))
    write_report(**study.arguments())


def with_copies(study: Any, n: int) -> Any:
    """The same cohort n times, under other names, before the others."""
    bulk = next(cohort for cohort in study.cohorts if cohort.name == "tissue_geo")
    others = [cohort for cohort in study.cohorts if cohort.name != "tissue_geo"]
    many = [replace(bulk, name=f"c{number:03d}", source="local") for number in range(n)]
    for cohort in many:
        for end in ("qc.json", "removed.parquet"):
            folder = study.results / "expression"
            shutil.copy(folder / f"{bulk.name}.{end}", folder / f"{cohort.name}.{end}")
        for name in ("raw", "rnagan"):
            shutil.copytree(study.results / name / bulk.name, study.results / name / cohort.name)
    study.cohorts = [*many, *others]
    return study


def test_of_many_cohorts_the_first_are_drawn_and_all_listed(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_SHOWN", 2)
    sections = built(with_copies(study, 3))
    for key in ("diagnosis", "markers", "synthetic", "vectors"):
        assert any("c001" in name for name in figures_of(sections[key]))
        assert not [name for name in figures_of(sections[key]) if "c002" in name]
        assert "of the first 2 of 5 cohorts" in said(sections[key])
    assert {row["cohort"] for row in table(sections["diagnosis"], "diagnosis")} >= {"c000", "c002"}
    assert {row["cohort"] for row in table(sections["markers"], "marker_tasks")} >= {"c000", "c002"}


@pytest.mark.slow
def test_two_hundred_study_cohorts_fit(study: Any) -> None:
    write_report(**with_copies(study, 200).arguments())
    assert study.page.stat().st_size < 10e6


# ---- words ----


def size_of(ours: float, best: float, low: float, high: float, **more: Any) -> SizeFigures:
    return SizeFigures.model_validate({
        "methods": {"rnagan": {"auc": ours, "auc_low": ours - 0.1, "auc_high": min(1.0, ours + 0.1)},
                    "nearest_centroid": {"auc": best}},
        "best_baseline": "nearest_centroid",
        "differences": {"rnagan": {"nearest_centroid": {"auc": ours - best, "low": low, "high": high}}},
    } | more)  # fmt: skip


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (size_of(0.9, 0.8, 0.02, 0.2), "RNAGAN is better"),
        (size_of(0.9, 0.8, -0.02, 0.2), "no clear difference"),
        (size_of(0.7, 0.8, -0.2, -0.01), "the baseline is better"),
        (size_of(1.0, 0.995, 0.001, 0.01), "too easy to tell"),
        (size_of(0.93, 1.0, -0.19, 0.0), "no clear difference"),  # an easy task does not excuse a loss
        (size_of(0.80, 1.0, -0.3, -0.1), "the baseline is better"),
        (SizeFigures(methods={}), "not compared"),
    ],
)
def test_verdicts(size: SizeFigures, words: str) -> None:
    assert diagnosis.verdict(size) == words


def test_a_baseline_that_wins_is_said() -> None:
    summary = DiagnosisSummary(
        by_references={5: size_of(0.7, 0.8, -0.2, -0.01), 20: size_of(0.9, 1.0, -0.2, 0.0)}
    )
    words = " ".join(diagnosis.sentences(summary))
    assert "5 references: RNAGAN 0.70 [0.60, 0.80], nearest centroid 0.80" in words
    assert "−0.10 [−0.20, −0.01], the baseline is better" in words
    assert "Saturated with 20 references" in words
    assert "proves nothing" in words
    assert "−0.10 [−0.20, 0.00]" in words  # the loss in the easy task is told as well


def test_diagnosis_tells_leakage_and_what_was_not_judged(study: Any) -> None:
    section = built(study)["diagnosis"]
    assert any("identical profiles" in notice.text for notice in section.notices)
    skipped = table(section, "diagnosis_skipped")
    assert {row["cohort"] for row in skipped} == {"rare_geo", "blood_cells"}
    assert "Pretraining on other cohorts changes the AUC by" in said(section)
    assert "Saturated" in said(section)
    rows = table(section, "diagnosis")
    assert {row["learned_from"] for row in rows if row["cohort"] == "rare_geo"} == {"tissue_geo"}
    summary = read_json(study.results / "rnagan" / "tissue_geo" / "diagnosis.json")["tasks"][0]["summary"]
    told = {(row["references"], row["method"]): row for row in rows if row["cohort"] == "tissue_geo"}
    for size, one in summary["by_references"].items():
        assert told[int(size), "RNAGAN"]["auc"] == one["methods"]["rnagan"]["auc"]
        assert told[int(size), "RNAGAN"]["ece"] == one["methods"]["rnagan"]["ece"]
        assert (
            told[int(size), "nearest centroid"]["minus_low"]
            == one["differences"]["rnagan"]["nearest_centroid"]["low"]
        )
        assert told[int(size), "nearest centroid"]["brier"] is None  # it only ranks


def test_a_lost_task_and_bad_probabilities_are_noticed(study: Any) -> None:
    path = study.results / "rnagan" / "tissue_geo" / "diagnosis.json"
    record = read_json(path)
    one = record["tasks"][0]["summary"]["by_references"]["20"]
    best = one["best_baseline"]
    one["differences"]["rnagan"][best] = {"auc": -0.2, "low": -0.3, "high": -0.1}
    one["methods"]["rnagan"] |= {"ece": 0.4, "ece_expected": 0.05, "ece_p": 0.001, "ood_share": 0.5}
    write_json(path, record)
    words = [notice.text for notice in built(study)["diagnosis"].notices if notice.subject == "tissue_geo"]
    assert any("diagnoses better than RNAGAN with 20 references" in text for text in words)
    assert any("probabilities are off by 0.40" in text for text in words)
    assert any("50 % of the patients are like neither kind" in text for text in words)


@given(st.lists(st.tuples(st.integers(1, 12), st.floats(0, 1), st.floats(0, 1)), max_size=12))
def test_no_point_stands_for_few_predictions(bins: list[tuple[int, float, float]]) -> None:
    given_bins = [Bin(n=n, mean_probability=p, share_positive=share) for n, p, share in bins]
    found = diagnosis.joined(given_bins)
    total = sum(entry.n for entry in given_bins)
    assert all(entry.n >= 5 for entry in found)
    assert sum(entry.n for entry in found) == (total if total >= 5 else 0)
    if found:
        cases = sum(entry.n * entry.share_positive for entry in given_bins)
        assert sum(entry.n * entry.share_positive for entry in found) == pytest.approx(cases)
    places = [entry.mean_probability for entry in found]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(places))
    if all(entry.n >= 5 for entry in given_bins):
        assert len(found) == len(given_bins)


def test_bins_of_few_predictions_are_not_drawn(study: Any) -> None:
    path = study.results / "rnagan" / "tissue_geo" / "diagnosis.json"
    record = read_json(path)
    bins = [{"n": n, "mean_probability": n / 100, "share_positive": 0.5} for n in (1, 4, 5, 9)]
    for one in record["tasks"][0]["summary"]["by_references"].values():
        one["methods"]["rnagan"]["reliability"] = bins
    write_json(path, record)
    figure = figures_of(built(study)["diagnosis"])["diagnosed-tissue_geo-0-reliability"]
    (drawn,) = [mark for mark in figure.marks if mark["type"] == "points" and mark["name"] == "RNAGAN"]
    assert drawn["x"] == [pytest.approx(17 / 500), 0.05, 0.09]
    (bars,) = [mark for mark in figure.marks if mark["type"] == "segments"]
    assert bars["y0"][2] == pytest.approx(0.2365, abs=0.02)  # Wilson's interval of a half of nine
    assert bars["y1"][2] == pytest.approx(0.7635, abs=0.02)


def test_markers_explain_themselves_and_their_limits(study: Any) -> None:
    section = built(study)["markers"]
    words = said(section)
    assert "A pedal is a gene or pathway whose higher expression" in words
    assert "not causes" in words
    assert "markers have no error rates" in words  # rare_geo
    assert "only 3 labellings are possible" in words
    truth = {(row["cohort"], row["method"]): row for row in table(section, "markers_truth")}
    assert truth["tissue_geo", "RNAGAN"]["auprc"] < truth["tissue_geo", "moderated t-test"]["auprc"]
    assert "worse in 2" in words
    rows = table(section, "marker_genes.tissue_geo")
    fdr = [row["fdr"] for row in rows]
    assert fdr == sorted(fdr)
    assert all((row["effect"] > 0) == (row["direction"] == "pedal") for row in rows)
    assert table(section, "marker_genes.rare_geo")[0]["fdr"] is None
    volcano = figures_of(section)["marked-rare_geo-0-volcano"]
    assert volcano.y.label.startswith("share of resamples")


def test_other_methods_stand_beside_the_markers() -> None:
    rng = np.random.default_rng(0)
    genes = load_fixture().gene_table(300, rng, "")
    genes["wilcoxon_effect"], genes["wilcoxon_fdr"] = genes["effect"] * 3, genes["fdr"]
    genes["moderated_t_effect"], genes["moderated_t_fdr"] = -genes["effect"], 1.0
    same, opposite = markers.beside_others(genes, MarkersTask())
    n = int((genes["fdr"] <= 0.05).sum())
    assert same[1:] == (n, n, n, 1.0, pytest.approx(1.0))
    assert opposite[1:] == (n, 0, 0, 0.0, pytest.approx(-1.0))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 1200), seed=st.integers(0, 99))
def test_what_is_drawn_and_listed_of_many_genes(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    genes = pd.DataFrame({"feature": [f"G{place}" for place in range(n)], "effect": rng.normal(size=n),
                          "fdr": rng.random(n) ** 3, "stability": 0.5})  # fmt: skip
    drawn = markers.drawn_rows(genes, level=0.05)
    assert len(drawn) <= markers.MOST_POINTS
    assert drawn["feature"].is_unique
    assert genes["effect"].abs().idxmax() in drawn.index
    listed = markers.strongest(genes, level=0.05)
    called = set(genes[genes["fdr"] <= 0.05].sort_values("effect", key=abs, ascending=False)["feature"][:200])
    top = set(genes.sort_values("effect", key=abs, ascending=False)["feature"][:50])
    assert set(listed["feature"]) == called | top
    shuffled = markers.strongest(genes.sample(frac=1, random_state=seed), level=0.05)
    assert shuffled["feature"].tolist() == listed["feature"].tolist()


def test_refused_samples_come_with_their_reasons(study: Any) -> None:
    section = built(study)["synthetic"]
    words = said(section)
    assert section.headline == "Given out for 1 of 3 cohorts."
    assert "Refused: membership AUC (distance): 0.81" in words
    assert any("1 privacy limit exceeded" in notice.text for notice in section.notices)
    given_out = {row["cohort"]: row["given_out"] for row in table(section, "synthetic_kinds")}
    assert given_out == {"tissue_geo": 60, "blood_cells": 0}
    rows = {(row["cohort"], row["figure"]): row for row in table(section, "synthetic")}
    slope = rows["tissue_geo", "spreads of genes, slope"]
    assert (slope["synthetic"], slope["ceiling"], slope["published"]) == (0.769, 0.81, 0.486)
    assert {"synthetic-means-tissue_geo", "synthetic-sds-tissue_geo"} <= set(figures_of(section))


def test_no_samples_were_asked_for(study: Any) -> None:
    none = study.config.rnagan.model_copy(update={"fold": 0.0})
    study.config = study.config.model_copy(update={"rnagan": none})
    assert "synthetic" not in built(study)


# ---- vectors ----


def test_single_patients_of_small_groups_are_not_drawn(study: Any) -> None:
    section = built(study)["vectors"]
    figures = figures_of(section)
    assert not [key for key in figures if key.endswith("rare_geo")]  # four cases
    assert "fewer than 5 patients" in said(section)
    path = study.results / "rnagan" / "tissue_geo" / "vectors.parquet"
    vectors = pd.read_parquet(path)
    vectors["batch"] = ["alone"] * 4 + ["b1"] * (len(vectors) - 30) + ["b2"] * 26
    write_parquet(path, vectors)
    names = {mark["name"] for mark in figures_of(built(study)["vectors"])["vectors-batch-tissue_geo"].marks}
    assert names == {"others", "b1", "b2"}


def test_vectors_say_whom_they_have_seen(study: Any) -> None:
    section = built(study)["vectors"]
    assert "adapted to these patients" in said(section)
    rows = {(row["cohort"], row["cell_type"], row["measure"]): row for row in table(section, "vectors")}
    figures = read_json(study.results / "rnagan" / "tissue_geo" / "vectors.json")["tasks"][0]["figures"]
    row = rows["tissue_geo", "", "label guessed from neighbours"]
    assert (row["rnagan"], row["pca"]) == (
        figures["rnagan"]["accuracy"]["mean"],
        figures["pca"]["accuracy"]["mean"],
    )
    assert row["chance"] == 0.5


def test_the_plane_is_that_of_the_covariance() -> None:
    """A second, slow way: eigenvectors of the covariance matrix; and the order of samples does not matter."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(30, 64)) * np.linspace(3, 0.1, 64)
    arm = np.where(np.arange(30) % 3 == 0, "case", "control")
    vectors = pd.DataFrame(values, columns=[f"v{k}" for k in range(64)]).assign(arm=arm)
    x, y, shares = rnagan_vectors.plane(vectors)
    size, axes = np.linalg.eigh(np.cov(values.T))
    first, second = ((values - values.mean(axis=0)) @ axes[:, -1 - k] for k in (0, 1))
    assert abs(np.corrcoef(x, first)[0, 1]) == pytest.approx(1, abs=1e-4)
    assert abs(np.corrcoef(y, second)[0, 1]) == pytest.approx(1, abs=1e-4)
    assert shares == pytest.approx((size[-1] / size.sum(), size[-2] / size.sum()))
    assert np.mean(np.array(x)[arm == "case"]) >= np.mean(np.array(x)[arm == "control"])
    order = rng.permutation(30)
    moved_x, moved_y, _ = rnagan_vectors.plane(vectors.iloc[order])
    assert np.allclose(np.array(x)[order], moved_x, atol=2e-3)
    assert np.allclose(np.array(y)[order], moved_y, atol=2e-3)


def test_pictures_hold_no_expression_values(study: Any) -> None:
    """Two numbers per patient, none of the 64 and none of a gene."""
    path = study.results / "rnagan" / "tissue_geo" / "vectors.parquet"
    vectors = pd.read_parquet(path)
    vectors["v7"] = 7.654321
    write_parquet(path, vectors)
    write_report(**study.arguments())
    assert "7.6543" not in study.page.read_text()
    assert "v7" not in study.page.read_text()


# ---- models ----


def test_curves_of_stages_follow_each_other(study: Any) -> None:
    section = built(study)["models"]
    figure = figures_of(section)["loss-base-tissue_geo"]
    (losses,) = [mark for mark in figure.marks if mark["type"] == "line" and mark["name"] == "discriminator"]
    assert losses["x"] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    (stage,) = [mark for mark in figure.marks if mark["type"] == "rule"]
    assert (stage["at"], stage["label"]) == (50, "bulk")
    rows = table(section, "models")
    assert [(row["cohort"], row["model"]) for row in rows[:3]] == [
        ("the study", "pretrained on all"), ("tissue_geo", "pretrained on the others"), ("tissue_geo", "adapted"),
    ]  # fmt: skip
    assert rows[0]["right"] == 0.7
    assert {row["why"] for row in rows} == {"the rule was given no GPU (resource gpu=0)"}
    assert any("other" in row["tells_apart"] and row["merged"] == 2 for row in table(section, "contrasts"))


def test_models_without_gradient_steps_have_no_curves(study: Any) -> None:
    for path in (study.results / "rnagan").rglob("*history.parquet"):
        write_parquet(path, pd.read_parquet(path).iloc[:0])
    section = built(study)["models"]
    assert figures_of(section) == {}
    assert "No gradient steps were taken" in said(section)
    assert table(section, "models")[0]["right"] is None


# ---- methods and literature ----


def test_everything_cited_is_in_the_references(study: Any) -> None:
    notes = {note.key: note for note in methods_used(read(study))}
    for key in ("rnagan", "diagnosis", "markers", "synthetic_samples", "patient_vectors"):
        text = notes[key].text({"torch": "2"})
        assert not re.findall(r"\[\w+\]|\{", text), text
    cited = {entry.key for key in notes for entry in notes[key].citations}
    assert {
        "Hou2026",
        "Bertinetto2019",
        "Langsrud2005",
        "Platt1999",
        "Benjamini1995",
        "Sundararajan2017",
    } <= cited


def test_registries_have_citations() -> None:
    from consilience.learning.baselines import baselines
    from consilience.learning.differential.registry import METHODS
    from consilience.rnagan.markers.registry import ATTRIBUTIONS

    named = [one.doi for registry in (baselines(), METHODS, ATTRIBUTIONS) for one in registry.values()]
    assert [doi for doi in named if doi not in literature.BY_DOI] == []


def test_literature_is_complete() -> None:
    entries = [one for one in vars(literature).values() if isinstance(one, Citation)] + [
        *literature.OF_REGISTRIES
    ]
    assert len({entry.key for entry in entries}) == len({(entry.key, entry.title) for entry in entries})
    for entry in entries:
        assert entry.doi.startswith("10.") or entry.url.startswith("https://")
        assert str(entry.year) in entry.key
        assert math.isfinite(entry.year)
        assert entry.bibtex().count("{") == entry.bibtex().count("}")


def test_the_published_preset_is_told_as_such(study: Any) -> None:
    published = study.config.rnagan.model_copy(update={"preset": "published"})
    study.config = study.config.model_copy(update={"rnagan": published})
    note = next(note for note in methods_used(read(study)) if note.key == "rnagan")
    assert "its generator has no noise" in note.sentence
    assert "Langsrud2005" not in {entry.key for entry in note.citations}
    json.dumps(note.sentence)
