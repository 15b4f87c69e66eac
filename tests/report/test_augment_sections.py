"""The sections of augmentation: honest words, no names, nothing of few people, whatever files are there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import html5lib
import pandas as pd
import pytest

from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.report.elements import tables_of
from consilience.report.page import write_report
from consilience.report.sections import _augment_reading as reading
from consilience.report.sections import methods_used

HOSTILE = """</script><script>window.bad=1</script><img src=x onerror=window.bad=1> {{7*7}} "'`<!-- ${1}"""


# ---- the page ----


def test_all_sections_are_in_the_page(augmented: Any, look: ModuleType) -> None:
    write_report(**augmented.arguments())
    tree = html5lib.parse(augmented.page.read_text(), namespaceHTMLElements=False)
    stages = [one.get("id") for one in tree.iter("section") if "stage" in (one.get("class") or "")]
    assert [key for key in stages if key in look.KEYS] == list(look.KEYS)
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    inner = [node.get("href")[1:] for node in tree.iter("a") if (node.get("href") or "").startswith("#")]
    assert not [target for target in inner if target not in ids]
    written = {path.stem for path in (augmented.results / "report" / "tables").glob("*.tsv")}
    every = {one.key for section in look.built(augmented).values() for one in tables_of(section)}
    assert every <= written
    assert {"augmentation", "generators.tissue_geo", "targets.rare_geo", "temperatures", "utility", "privacy",
            "published.tissue_geo", "release.rare_geo", "augment_truth", "marker_overlap", "robustness"} <= every  # fmt: skip


def test_the_same_results_give_the_same_bytes(augmented: Any, look: ModuleType) -> None:
    write_report(**augmented.arguments())
    first = augmented.page.read_bytes()
    write_report(**augmented.arguments())
    assert augmented.page.read_bytes() == first


def test_hostile_names_stay_text(
    make_study: Callable[..., Any], add_augment: Callable[..., None], tmp_path: Path
) -> None:
    study = make_study(tmp_path, hostile=HOSTILE)
    add_augment(study)
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


def test_no_name_is_left_under_pseudonyms(
    make_study: Callable[..., Any], add_augment: Callable[..., None], look: ModuleType, tmp_path: Path
) -> None:
    study = make_study(tmp_path, pseudonyms=True)
    add_augment(study)
    first = study.samples["tissue_geo"][0]
    look.changed(
        look.folder(study) / "generators.json", why=f"because of {first}", refused=[f"smote: copies {first}"]
    )
    look.changed(look.folder(study) / "privacy.json", notes=[f"{first} stands out"])
    look.changed(look.folder(study) / "robustness.json", notes=[f"without {first}"])
    write_report(**study.arguments())
    names = {name for own in study.samples.values() for name in own}
    for part in ("report", "provenance"):
        for path in sorted((study.results / part).rglob("*")):
            if path.is_file():
                assert not set(re.findall(r"[A-Za-z]+\d+", path.read_text())) & names, path.name
    overlay = look.figures_of(look.built(study)["augmentation"])["augment-overlay-tissue_geo"]
    labels = [
        label
        for mark in overlay.marks
        if not mark["name"].startswith("synthetic")
        for label in mark["labels"]
    ]
    assert len(labels) == len(study.samples["tissue_geo"])
    assert all(re.fullmatch(r"S\d{3}", label) for label in labels)


def test_the_stage_that_is_off_or_never_ran_has_no_section(augmented: Any, look: ModuleType) -> None:
    keys = {note.key for note in methods_used(look.read(augmented))}
    assert {"augmentation", "privacy", "usefulness"} <= keys
    off = augmented.config.augment.model_copy(update={"enabled": False})
    config, augmented.config = augmented.config, augmented.config.model_copy(update={"augment": off})
    assert look.built(augmented) == {}
    augmented.config = config
    assert set(look.built(augmented)) == set(look.KEYS)
    shutil.rmtree(augmented.results / "augment")
    assert look.built(augmented) == {}
    assert not {note.key for note in methods_used(look.read(augmented))} & {
        "augmentation",
        "privacy",
        "usefulness",
    }


FILES = (
    "generators.parquet", "generators.json", "metrics.json", "privacy.json", "attacks.parquet", "temperature.parquet",
    "temperature.json", "utility.parquet", "utility_summary.parquet", "utility.json", "published.parquet",
    "robustness.parquet", "robustness.json", "markers.parquet", "genes.parquet", "overlay.parquet",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_no_crash(augmented: Any, look: ModuleType, name: str) -> None:
    gone = list((augmented.results / "augment").glob(f"*/{name}"))
    assert gone
    for path in gone:
        path.unlink()
    assert set(look.built(augmented)) == set(look.KEYS)


@pytest.mark.parametrize("name", FILES)
def test_each_file_alone_is_no_crash(augmented: Any, look: ModuleType, name: str) -> None:
    """Whatever was written first; pictures alone and the published steps alone have no section of their own."""
    for path in (augmented.results / "augment").glob("*/*"):
        if path.name != name:
            path.unlink()
    found = look.built(augmented)
    assert len(found) == (0 if name in {"genes.parquet", "overlay.parquet", "published.parquet"} else 1) or (
        name == "privacy.json" and set(found) == {"augmentation", "privacy"}
    )


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".parquet")])
def test_tables_without_rows_or_columns_are_no_crash(augmented: Any, look: ModuleType, name: str) -> None:
    for path in (augmented.results / "augment").glob(f"*/{name}"):
        write_parquet(path, pd.read_parquet(path).iloc[:0])
    assert set(look.built(augmented)) == set(look.KEYS)
    for path in (augmented.results / "augment").glob(f"*/{name}"):
        write_parquet(path, pd.DataFrame({"unknown": [1.0]}))
    assert set(look.built(augmented)) == set(look.KEYS)


def test_a_broken_file_is_named(augmented: Any, look: ModuleType) -> None:
    path = look.folder(augmented) / "temperature.json"
    write_json(path, {"vae": {"temperature": "warm"}})
    with pytest.raises(DataError, match=r"tissue_geo/temperature\.json: vae\.temperature"):
        look.built(augmented)


# ---- which generator, and why ----


def test_the_choice_is_told(augmented: Any, look: ModuleType) -> None:
    section = look.built(augmented)["augmentation"]
    assert section.headline == "Given out for 1 of 2 cohorts; private factors."
    (first,) = section.first_screen
    assert (first.value, first.detail) == ("1 of 2", "cohorts; level balanced")
    own = look.facts(section, "augmentation-tissue_geo")
    assert own["generator"] == "private factors"
    assert (own["temperature"], own["given out"], own["synthetic samples"]) == ("1.20", "yes", "620")
    assert "Kept out by the level: SMOTE (membership distance 1.00 above 0.60)" in look.said(section)
    assert "PCA mixture could not be fitted: too few patients in class case" in look.said(section)


def test_a_refused_release_says_why(augmented: Any, look: ModuleType) -> None:
    sections = look.built(augmented)
    rare = look.facts(sections["augmentation"], "augmentation-rare_geo")
    assert (rare["given out"], rare["synthetic samples"]) == ("no", "0")
    (notice,) = sections["augmentation"].notices
    assert (notice.level, notice.subject) == ("note", "rare_geo")
    assert notice.text == "augmentation is not given out: 1 privacy limit exceeded"
    for key in ("augmentation", "privacy"):
        assert "membership AUC (distance): 0.81 (limit 0.60" in look.said(sections[key])
    (row,) = [
        row for row in look.table(sections["augmentation"], "augmentation") if row["cohort"] == "rare_geo"
    ]
    assert (row["released"], row["synthetic"]) == (False, 0)


def test_a_cohort_that_could_not_be_augmented(augmented: Any, look: ModuleType) -> None:
    for name in ("generators", "metrics", "privacy"):
        write_json(look.folder(augmented, "rare_geo") / f"{name}.json", {"skipped": "a class has one patient", "generator": None}
                   | ({"reasons": ["a class has one patient"]} if name == "privacy" else {}))  # fmt: skip
    section = look.built(augmented)["augmentation"]
    assert "Not augmented: a class has one patient." in look.said(section)
    assert not [key for key in look.figures_of(section) if "rare_geo" in key]
    assert "Not judged: a class has one patient." in look.said(look.built(augmented)["privacy"])


def test_a_better_generator_is_said(augmented: Any, look: ModuleType) -> None:
    """The reader sees when what was asked for is beaten on both counts."""
    look.changed(look.folder(augmented) / "generators.json", generator="published_vae", asked="published_vae")
    section = look.built(augmented)["augmentation"]
    (words,) = [notice.text for notice in section.notices if notice.subject == "tissue_geo"]
    assert words == "private factors and VAE better than the chosen generator"
    rows = {row["generator"]: row for row in look.table(section, "generators.tissue_geo")}
    assert rows["published VAE (chosen)"]["beaten_by"] == "private factors and VAE"
    assert rows["private factors"]["beaten_by"] == ""


def test_generators_stand_beside_real_patients(augmented: Any, look: ModuleType) -> None:
    section = look.built(augmented)["augmentation"]
    rows = look.table(section, "generators.tissue_geo")
    assert [row["generator"] for row in rows[:2]] == ["real patients (ceiling)", "private factors (chosen)"]
    judged = pd.read_parquet(look.folder(augmented) / "generators.parquet")
    own = judged.loc[judged["generator"] == "vae", "diversity"]
    (row,) = [row for row in rows if row["generator"] == "VAE"]
    assert row["diversity"] == f"{own.mean():.2f}{reading.PLUS_MINUS}{own.std():.2f}"
    full = look.table(section, "generator_figures")
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


def test_the_frontier_shows_every_generator_once(augmented: Any, look: ModuleType) -> None:
    figure = look.figures_of(look.built(augmented)["augmentation"])["frontier-tissue_geo"]
    named = [label for mark in figure.marks if mark.get("named") for label in mark["labels"]]
    assert sorted(named) == sorted({"real patients", "private factors", "VAE", "shrunk Gaussian", "copula", "SMOTE",
                                    "published VAE", "published GAN"})  # fmt: skip
    chosen = look.series(figure, "chosen")
    assert chosen["labels"] == ["private factors"]
    judged = pd.read_parquet(look.folder(augmented) / "generators.parquet")
    leak = judged.loc[judged["generator"] == "private_factors", "membership"].mean()
    assert chosen["y"] == [pytest.approx(leak, rel=1e-4)]
    assert look.series(figure, "real training patients")["x"] == [1]
    rules = [(mark["label"], mark["at"]) for mark in figure.marks if mark["type"] == "rule"]
    assert rules == [("limit: balanced and strict", 0.6)]
    (bars,) = [mark for mark in figure.marks if mark["type"] == "segments"]
    assert len(bars["x0"]) == 2 * len(named)
    single = look.figures_of(look.built(augmented)["augmentation"])["frontier-rare_geo"]
    (none,) = [mark for mark in single.marks if mark["type"] == "segments"]
    assert none["x0"] == []  # one split has no standard error


def test_targets_are_those_of_the_frontier(augmented: Any, look: ModuleType) -> None:
    from consilience.augment.frontier import standings

    found = {
        one.generator: one
        for one in standings(pd.read_parquet(look.folder(augmented) / "generators.parquet"))
    }
    section = look.built(augmented)["augmentation"]
    own = look.table(section, "targets.tissue_geo")
    assert [row["met"] for row in own] == [
        "yes" if target.passed else "no" for target in found["private_factors"].targets
    ]
    gan = [row for row in look.table(section, "generator_targets")
           if (row["cohort"], row["generator"]) == ("tissue_geo", "published_gan")]  # fmt: skip
    assert {row["target"]: row["met"] for row in gan}["classes lost"] == "no"
    counted = sum(row["met"] == "yes" for row in gan)
    (row,) = [
        row for row in look.table(section, "generators.tissue_geo") if row["generator"] == "published GAN"
    ]
    assert row["targets"] == f"{counted} of {len(gan)}"


def test_an_older_table_is_shown_without_a_frontier(augmented: Any, look: ModuleType) -> None:
    path = look.folder(augmented) / "generators.parquet"
    write_parquet(path, pd.read_parquet(path).drop(columns=["membership_span"]))
    section = look.built(augmented)["augmentation"]
    assert "frontier-tissue_geo" not in look.figures_of(section)
    assert len(look.table(section, "generators.tissue_geo")) == 8


def test_a_generator_that_failed_in_a_split_is_not_compared(augmented: Any, look: ModuleType) -> None:
    path = look.folder(augmented) / "generators.parquet"
    judged = pd.read_parquet(path)
    judged.loc[(judged["generator"] == "copula") & (judged["split"] == 2), "error"] = "too few patients"
    write_parquet(path, judged)
    figure = look.figures_of(look.built(augmented)["augmentation"])["frontier-tissue_geo"]
    assert "copula" not in [label for mark in figure.marks for label in mark.get("labels", [])]


# ---- genes and overlay ----


def test_genes_of_few_people_are_not_shown(augmented: Any, look: ModuleType) -> None:
    """Mean and spread of two patients give both away."""
    found = look.figures_of(look.built(augmented)["augmentation"])
    assert {"augment-means-tissue_geo", "augment-sds-tissue_geo"} <= set(found)
    assert not [key for key in found if key.startswith(("augment-means-rare", "augment-sds-rare"))]
    path = look.folder(augmented) / "genes.parquet"
    write_parquet(path, pd.read_parquet(path).drop(columns=["n_real"]))  # then the overlay says how many
    assert "augment-means-tissue_geo" in look.figures_of(look.built(augmented)["augmentation"])
    overlay = pd.read_parquet(look.folder(augmented) / "overlay.parquet")
    few = (overlay["kind"] == "held out") & (overlay["label"] == "case")
    keep = ~few | (few.cumsum() <= 4)
    write_parquet(look.folder(augmented) / "overlay.parquet", overlay[keep])
    figure = look.figures_of(look.built(augmented)["augmentation"])["augment-means-tissue_geo"]
    assert {mark["name"] for mark in figure.marks} == {"equal", "control"}
    (look.folder(augmented) / "overlay.parquet").unlink()
    assert "augment-means-tissue_geo" not in look.figures_of(look.built(augmented)["augmentation"])


def test_gene_points_are_the_table_s(augmented: Any, look: ModuleType) -> None:
    genes = pd.read_parquet(look.folder(augmented) / "genes.parquet")
    figure = look.figures_of(look.built(augmented)["augmentation"])["augment-sds-tissue_geo"]
    own = look.series(figure, "case")
    by_gene = genes[genes["label"] == "case"].set_index("gene")
    assert len(own["labels"]) >= 100
    for gene, x, y in list(zip(own["labels"], own["x"], own["y"], strict=True))[:20]:
        assert (x, y) == (pytest.approx(by_gene.loc[gene, "sd_real"], rel=1e-3), pytest.approx(by_gene.loc[gene, "sd_synthetic"], rel=1e-3))  # fmt: skip
    ratio = (by_gene["sd_synthetic"] / by_gene["sd_real"]).loc[own["labels"]].median()
    assert f"case {ratio:.2f}" in figure.alt


# ---- many cohorts ----


def test_of_many_cohorts_the_first_are_drawn_and_all_listed(
    augmented: Any, look: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_SHOWN", 1)
    sections = look.built(augmented)
    for key in ("augmentation", "privacy"):
        assert any("tissue_geo" in name for name in look.figures_of(sections[key]))
        assert not [name for name in look.figures_of(sections[key]) if "rare_geo" in name]
        assert "of the first 1 of 2 cohorts" in look.said(sections[key])
    assert {row["cohort"] for row in look.table(sections["augmentation"], "generator_figures")} == {
        "tissue_geo",
        "rare_geo",
    }
