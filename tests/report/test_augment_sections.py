"""The sections of augmentation: honest words, no names, nothing of few people, whatever files are there."""

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
import pandas as pd
import pytest

from consilience.foundation.errors import DataError
from consilience.foundation.files import read_json, write_json, write_parquet
from consilience.report.elements import Section, tables_of, walk
from consilience.report.page import write_report
from consilience.report.results import StudyResults
from consilience.report.sections import _augment_reading as reading
from consilience.report.sections import methods_used, section_makers

HOSTILE = """</script><script>window.bad=1</script><img src=x onerror=window.bad=1> {{7*7}} "'`<!-- ${1}"""
KEYS = ("augmentation", "temperature", "utility", "privacy", "robustness")


def load_fixture() -> ModuleType:
    path = Path(__file__).with_name("fixture_augment.py")
    spec = importlib.util.spec_from_file_location("consilience_fixture_augment", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(make_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Written once; tests that change files take a copy of it."""
    study = make_study(tmp_path_factory.mktemp("augment"))
    load_fixture().add_augment(study)
    return study


@pytest.fixture
def study(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1763700000")
    shutil.copytree(made.results, tmp_path / "fixture")
    return replace(made, results=tmp_path / "fixture")


def read(study: Any) -> StudyResults:
    return StudyResults(study.config, study.cohorts, study.results, study.benchmarks)


def built(study: Any) -> dict[str, Section]:
    results = read(study)
    makers = [maker for maker in section_makers() if maker.key in KEYS]
    sections = [section for maker in makers if (section := maker.build(results)) is not None]
    for maker in makers:
        assert maker.methods is not None
        maker.methods(results)
    return {section.key: section for section in sections}


def folder(study: Any, cohort: str = "tissue_geo") -> Path:
    found: Path = study.results / "augment" / cohort
    return found


def changed(path: Path, **values: Any) -> None:
    write_json(path, read_json(path) | values)


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


def facts(section: Section, group: str) -> dict[str, str]:
    (found,) = [block for block in walk(section.blocks) if block.block == "group" and block.key == group]
    rows = [block for block in walk(found.blocks) if block.block == "facts"]  # type: ignore[union-attr]
    return {fact.label: fact.value for row in rows for fact in row.items}  # type: ignore[union-attr]


def table(section: Section, key: str) -> list[dict[str, Any]]:
    (found,) = [one for one in tables_of(section) if one.key == key]
    return [dict(zip([column.name for column in found.columns], row, strict=True)) for row in found.rows]


def series(figure: Any, name: str) -> dict[str, Any]:
    (mark,) = [mark for mark in figure.marks if mark.get("name") == name and mark["type"] == "points"]
    return dict(mark)


# ---- the page ----


def test_all_sections_are_in_the_page(study: Any) -> None:
    write_report(**study.arguments())
    tree = html5lib.parse(study.page.read_text(), namespaceHTMLElements=False)
    stages = [one.get("id") for one in tree.iter("section") if "stage" in (one.get("class") or "")]
    assert [key for key in stages if key in KEYS] == list(KEYS)
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    inner = [node.get("href")[1:] for node in tree.iter("a") if (node.get("href") or "").startswith("#")]
    assert not [target for target in inner if target not in ids]
    written = {path.stem for path in (study.results / "report" / "tables").glob("*.tsv")}
    every = {one.key for section in built(study).values() for one in tables_of(section)}
    assert every <= written
    assert {"augmentation", "generators.tissue_geo", "targets.rare_geo", "temperatures", "utility", "privacy",
            "published.tissue_geo", "release.rare_geo", "augment_truth", "marker_overlap", "robustness"} <= every  # fmt: skip


def test_the_same_results_give_the_same_bytes(study: Any) -> None:
    write_report(**study.arguments())
    first = study.page.read_bytes()
    write_report(**study.arguments())
    assert study.page.read_bytes() == first


def test_hostile_names_stay_text(make_study: Callable[..., Any], tmp_path: Path) -> None:
    study = make_study(tmp_path, hostile=HOSTILE)
    load_fixture().add_augment(study)
    write_report(**study.arguments())
    text = study.page.read_text()
    assert "<img" not in text
    assert text.count("window.bad=1</script>") == 0
    tree = html5lib.parse(text, namespaceHTMLElements=False)
    assert [node.get("type") for node in tree.iter("script")].count(None) == 1
    assert f"limit 0.60; p = 0.002 without a leak){HOSTILE}" in "".join(tree.itertext())
    for path in (study.results / "report" / "tables").glob("*.tsv"):
        lines = path.read_text().split("\n")
        assert len({line.count("\t") for line in lines if line}) == 1, path.name


def test_no_name_is_left_under_pseudonyms(make_study: Callable[..., Any], tmp_path: Path) -> None:
    study = make_study(tmp_path, pseudonyms=True)
    load_fixture().add_augment(study)
    first = study.samples["tissue_geo"][0]
    changed(folder(study) / "generators.json", why=f"because of {first}", refused=[f"smote: copies {first}"])
    changed(folder(study) / "privacy.json", notes=[f"{first} stands out"])
    changed(folder(study) / "robustness.json", notes=[f"without {first}"])
    write_report(**study.arguments())
    names = {name for own in study.samples.values() for name in own}
    for part in ("report", "provenance"):
        for path in sorted((study.results / part).rglob("*")):
            if path.is_file():
                assert not set(re.findall(r"[A-Za-z]+\d+", path.read_text())) & names, path.name
    overlay = figures_of(built(study)["augmentation"])["augment-overlay-tissue_geo"]
    labels = [
        label
        for mark in overlay.marks
        if not mark["name"].startswith("synthetic")
        for label in mark["labels"]
    ]
    assert len(labels) == len(study.samples["tissue_geo"])
    assert all(re.fullmatch(r"S\d{3}", label) for label in labels)


def test_the_stage_that_is_off_or_never_ran_has_no_section(study: Any) -> None:
    keys = {note.key for note in methods_used(read(study))}
    assert {"augmentation", "privacy", "usefulness"} <= keys
    off = study.config.augment.model_copy(update={"enabled": False})
    config, study.config = study.config, study.config.model_copy(update={"augment": off})
    assert built(study) == {}
    study.config = config
    assert set(built(study)) == set(KEYS)
    shutil.rmtree(study.results / "augment")
    assert built(study) == {}
    assert not {note.key for note in methods_used(read(study))} & {"augmentation", "privacy", "usefulness"}


FILES = (
    "generators.parquet", "generators.json", "metrics.json", "privacy.json", "attacks.parquet", "temperature.parquet",
    "temperature.json", "utility.parquet", "utility_summary.parquet", "utility.json", "published.parquet",
    "robustness.parquet", "robustness.json", "markers.parquet", "genes.parquet", "overlay.parquet",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_no_crash(study: Any, name: str) -> None:
    gone = list((study.results / "augment").glob(f"*/{name}"))
    assert gone
    for path in gone:
        path.unlink()
    assert set(built(study)) == set(KEYS)


@pytest.mark.parametrize("name", FILES)
def test_each_file_alone_is_no_crash(study: Any, name: str) -> None:
    """Whatever was written first; pictures alone and the published steps alone have no section of their own."""
    for path in (study.results / "augment").glob("*/*"):
        if path.name != name:
            path.unlink()
    found = built(study)
    assert len(found) == (0 if name in {"genes.parquet", "overlay.parquet", "published.parquet"} else 1) or (
        name == "privacy.json" and set(found) == {"augmentation", "privacy"}
    )


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".parquet")])
def test_tables_without_rows_or_columns_are_no_crash(study: Any, name: str) -> None:
    for path in (study.results / "augment").glob(f"*/{name}"):
        write_parquet(path, pd.read_parquet(path).iloc[:0])
    assert set(built(study)) == set(KEYS)
    for path in (study.results / "augment").glob(f"*/{name}"):
        write_parquet(path, pd.DataFrame({"unknown": [1.0]}))
    assert set(built(study)) == set(KEYS)


def test_a_broken_file_is_named(study: Any) -> None:
    path = folder(study) / "temperature.json"
    write_json(path, {"vae": {"temperature": "warm"}})
    with pytest.raises(DataError, match=r"tissue_geo/temperature\.json: vae\.temperature"):
        built(study)


# ---- which generator, and why ----


def test_the_choice_is_told(study: Any) -> None:
    section = built(study)["augmentation"]
    assert section.headline == "Given out for 1 of 2 cohorts; private factors."
    (first,) = section.first_screen
    assert (first.value, first.detail) == ("1 of 2", "cohorts; level balanced")
    own = facts(section, "augmentation-tissue_geo")
    assert own["generator"] == "private factors"
    assert (own["temperature"], own["given out"], own["synthetic samples"]) == ("1.20", "yes", "620")
    assert "Kept out by the level: SMOTE (membership distance 1.00 above 0.60)" in said(section)
    assert "PCA mixture could not be fitted: too few patients in class case" in said(section)


def test_a_refused_release_says_why(study: Any) -> None:
    sections = built(study)
    rare = facts(sections["augmentation"], "augmentation-rare_geo")
    assert (rare["given out"], rare["synthetic samples"]) == ("no", "0")
    (notice,) = sections["augmentation"].notices
    assert (notice.level, notice.subject) == ("note", "rare_geo")
    assert notice.text == "augmentation is not given out: 1 privacy limit exceeded"
    for key in ("augmentation", "privacy"):
        assert "membership AUC (distance): 0.81 (limit 0.60" in said(sections[key])
    (row,) = [row for row in table(sections["augmentation"], "augmentation") if row["cohort"] == "rare_geo"]
    assert (row["released"], row["synthetic"]) == (False, 0)


def test_a_cohort_that_could_not_be_augmented(study: Any) -> None:
    for name in ("generators", "metrics", "privacy"):
        write_json(folder(study, "rare_geo") / f"{name}.json", {"skipped": "a class has one patient", "generator": None}
                   | ({"reasons": ["a class has one patient"]} if name == "privacy" else {}))  # fmt: skip
    section = built(study)["augmentation"]
    assert "Not augmented: a class has one patient." in said(section)
    assert not [key for key in figures_of(section) if "rare_geo" in key]
    assert "Not judged: a class has one patient." in said(built(study)["privacy"])


def test_a_better_generator_is_said(study: Any) -> None:
    """The reader sees when what was asked for is beaten on both counts."""
    changed(folder(study) / "generators.json", generator="published_vae", asked="published_vae")
    section = built(study)["augmentation"]
    (words,) = [notice.text for notice in section.notices if notice.subject == "tissue_geo"]
    assert words == "private factors and VAE better than the chosen generator"
    rows = {row["generator"]: row for row in table(section, "generators.tissue_geo")}
    assert rows["published VAE (chosen)"]["beaten_by"] == "private factors and VAE"
    assert rows["private factors"]["beaten_by"] == ""


def test_generators_stand_beside_real_patients(study: Any) -> None:
    section = built(study)["augmentation"]
    rows = table(section, "generators.tissue_geo")
    assert [row["generator"] for row in rows[:2]] == ["real patients (ceiling)", "private factors (chosen)"]
    judged = pd.read_parquet(folder(study) / "generators.parquet")
    own = judged.loc[judged["generator"] == "vae", "diversity"]
    (row,) = [row for row in rows if row["generator"] == "VAE"]
    assert row["diversity"] == f"{own.mean():.2f}{reading.PLUS_MINUS}{own.std():.2f}"
    full = table(section, "generator_figures")
    (one,) = [
        row
        for row in full
        if (row["cohort"], row["generator"], row["figure"]) == ("tissue_geo", "vae", "diversity")
    ]
    assert one["mean"] == pytest.approx(own.mean())
    assert one["sd"] == pytest.approx(own.std())
    assert one["splits"] == 5
    real = judged.loc[judged["generator"] == "real_train", "diversity"]
    assert one["real_train"] == pytest.approx(real.mean())


def test_the_frontier_shows_every_generator_once(study: Any) -> None:
    figure = figures_of(built(study)["augmentation"])["frontier-tissue_geo"]
    named = [label for mark in figure.marks if mark.get("named") for label in mark["labels"]]
    assert sorted(named) == sorted({"real patients", "private factors", "VAE", "shrunk Gaussian", "copula", "SMOTE",
                                    "published VAE", "published GAN"})  # fmt: skip
    chosen = series(figure, "chosen")
    assert chosen["labels"] == ["private factors"]
    judged = pd.read_parquet(folder(study) / "generators.parquet")
    leak = judged.loc[judged["generator"] == "private_factors", "membership"].mean()
    assert chosen["y"] == [pytest.approx(leak, rel=1e-4)]
    assert series(figure, "real training patients")["x"] == [1]
    rules = [(mark["label"], mark["at"]) for mark in figure.marks if mark["type"] == "rule"]
    assert rules == [("limit: balanced and strict", 0.6)]
    (bars,) = [mark for mark in figure.marks if mark["type"] == "segments"]
    assert len(bars["x0"]) == 2 * len(named)
    single = figures_of(built(study)["augmentation"])["frontier-rare_geo"]
    (none,) = [mark for mark in single.marks if mark["type"] == "segments"]
    assert none["x0"] == []  # one split has no standard error


def test_targets_are_those_of_the_frontier(study: Any) -> None:
    from consilience.augment.frontier import standings

    found = {one.generator: one for one in standings(pd.read_parquet(folder(study) / "generators.parquet"))}
    section = built(study)["augmentation"]
    own = table(section, "targets.tissue_geo")
    assert [row["met"] for row in own] == [
        "yes" if target.passed else "no" for target in found["private_factors"].targets
    ]
    gan = [row for row in table(section, "generator_targets")
           if (row["cohort"], row["generator"]) == ("tissue_geo", "published_gan")]  # fmt: skip
    assert {row["target"]: row["met"] for row in gan}["classes lost"] == "no"
    counted = sum(row["met"] == "yes" for row in gan)
    (row,) = [row for row in table(section, "generators.tissue_geo") if row["generator"] == "published GAN"]
    assert row["targets"] == f"{counted} of {len(gan)}"


def test_an_older_table_is_shown_without_a_frontier(study: Any) -> None:
    path = folder(study) / "generators.parquet"
    write_parquet(path, pd.read_parquet(path).drop(columns=["membership_span"]))
    section = built(study)["augmentation"]
    assert "frontier-tissue_geo" not in figures_of(section)
    assert len(table(section, "generators.tissue_geo")) == 8


def test_a_generator_that_failed_in_a_split_is_not_compared(study: Any) -> None:
    path = folder(study) / "generators.parquet"
    judged = pd.read_parquet(path)
    judged.loc[(judged["generator"] == "copula") & (judged["split"] == 2), "error"] = "too few patients"
    write_parquet(path, judged)
    figure = figures_of(built(study)["augmentation"])["frontier-tissue_geo"]
    assert "copula" not in [label for mark in figure.marks for label in mark.get("labels", [])]


# ---- genes and overlay ----


def test_genes_of_few_people_are_not_shown(study: Any) -> None:
    """Mean and spread of two patients give both away."""
    found = figures_of(built(study)["augmentation"])
    assert {"augment-means-tissue_geo", "augment-sds-tissue_geo"} <= set(found)
    assert not [key for key in found if key.startswith(("augment-means-rare", "augment-sds-rare"))]
    path = folder(study) / "genes.parquet"
    write_parquet(path, pd.read_parquet(path).drop(columns=["n_real"]))  # then the overlay says how many
    assert "augment-means-tissue_geo" in figures_of(built(study)["augmentation"])
    overlay = pd.read_parquet(folder(study) / "overlay.parquet")
    few = (overlay["kind"] == "held out") & (overlay["label"] == "case")
    keep = ~few | (few.cumsum() <= 4)
    write_parquet(folder(study) / "overlay.parquet", overlay[keep])
    figure = figures_of(built(study)["augmentation"])["augment-means-tissue_geo"]
    assert {mark["name"] for mark in figure.marks} == {"equal", "control"}
    (folder(study) / "overlay.parquet").unlink()
    assert "augment-means-tissue_geo" not in figures_of(built(study)["augmentation"])


def test_gene_points_are_the_table_s(study: Any) -> None:
    genes = pd.read_parquet(folder(study) / "genes.parquet")
    figure = figures_of(built(study)["augmentation"])["augment-sds-tissue_geo"]
    own = series(figure, "case")
    by_gene = genes[genes["label"] == "case"].set_index("gene")
    assert len(own["labels"]) >= 100
    for gene, x, y in list(zip(own["labels"], own["x"], own["y"], strict=True))[:20]:
        assert (x, y) == (pytest.approx(by_gene.loc[gene, "sd_real"], rel=1e-3), pytest.approx(by_gene.loc[gene, "sd_synthetic"], rel=1e-3))  # fmt: skip
    ratio = (by_gene["sd_synthetic"] / by_gene["sd_real"]).loc[own["labels"]].median()
    assert f"case {ratio:.2f}" in figure.alt


# ---- many cohorts ----


def test_of_many_cohorts_the_first_are_drawn_and_all_listed(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_SHOWN", 1)
    sections = built(study)
    for key in ("augmentation", "privacy"):
        assert any("tissue_geo" in name for name in figures_of(sections[key]))
        assert not [name for name in figures_of(sections[key]) if "rare_geo" in name]
        assert "of the first 1 of 2 cohorts" in said(sections[key])
    assert {row["cohort"] for row in table(sections["augmentation"], "generator_figures")} == {
        "tissue_geo",
        "rare_geo",
    }
