"""Methods text, citations and small words of augmentation."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from consilience.augment.generators import generators
from consilience.report.citations import cited
from consilience.report.figures import points
from consilience.report.sections import _augment_curves as curves
from consilience.report.sections import _augment_literature as literature
from consilience.report.sections import _augment_methods as written
from consilience.report.sections import _augment_reading as reading
from consilience.report.sections import (
    methods_used,
)

# ---- methods ----


def test_methods_name_what_ran_once(augmented: Any, look: ModuleType) -> None:
    notes = methods_used(look.read(augmented))
    keys = [note.key for note in notes]
    assert len(keys) == len(set(keys))
    assert {"augmentation", "temperature", "usefulness", "privacy", "robustness"} <= set(keys)
    (note,) = [note for note in notes if note.key == "augmentation"]
    text = note.text({"torch": "9.9"})
    for entry in note.citations:
        assert f"[{entry.key}]" in note.sentence
        assert entry.short in text
    assert "[" not in text.replace("[0", "")
    assert "smote: " in text
    assert "bootstrap_noise" not in text  # did not run
    assert "9.9" in text  # networks were among them
    assert "Song2026" in {entry.key for entry in cited(notes)}


@pytest.mark.parametrize("key", sorted(generators()))
def test_every_generator_can_be_cited(key: str) -> None:
    one = generators()[key]
    entry = literature.citation_of(one)
    assert (entry is None) == (not one.doi)
    (note,) = written.generating([key])
    assert one.doi in {citation.doi for citation in note.citations} | {""}
    if entry is not None:
        assert f"[{entry.key}]" in note.sentence
        assert entry.short in note.text({})


def test_a_generator_of_an_unknown_paper_is_cited_from_the_registry() -> None:
    one = replace(
        generators()["smote"], key="new", doi="10.1/new", reference="Doe J, Roe R. J Things 1:2, 1999"
    )
    entry = literature.citation_of(one)
    assert entry is not None
    assert (entry.doi, entry.year, entry.short) == ("10.1/new", 1999, "Doe J 1999")


def test_no_method_is_told_that_did_not_run(augmented: Any, look: ModuleType) -> None:
    for path in (augmented.results / "augment").glob("*/*"):
        if path.name not in {"generators.parquet", "generators.json"}:
            path.unlink()
    assert {note.key for note in methods_used(look.read(augmented))} & {"augmentation", "temperature", "usefulness", "privacy", "robustness"} == {"augmentation"}  # fmt: skip


# ---- words ----


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("real_train", "real patients"),
        ("published_vae", "published VAE"),
        ("pca_gaussian", "PCA Gaussian"),
        ("smote", "SMOTE"),
    ],
)
def test_generators_have_short_names(key: str, words: str) -> None:
    assert reading.generator_words(key) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.5], "0.50"),
        ([0.5, 0.7], f"0.60{reading.PLUS_MINUS}0.14"),
        ([float("nan"), -2.0], "\N{MINUS SIGN}2.00"),
        ([float("nan")], ""),
    ],
)
def test_means_over_splits_in_words(values: list[float], words: str) -> None:
    assert reading.over(pd.DataFrame({"x": values}), "x").words == words


def test_small_differences_keep_three_digits() -> None:
    assert curves._gap(-0.0304, -0.04, 0.0001) == "\N{MINUS SIGN}0.030 [\N{MINUS SIGN}0.040, 0.000]"
    assert curves._gap(0.01, None, None) == "+0.010"
    assert curves._gap(None, 0.0, 1.0) == ""


def test_only_named_points_say_so() -> None:
    """charts.js writes the labels of these beside them."""
    assert points(x=[1], y=[2], labels=["a"], named=True)["named"] is True
    assert "named" not in points(x=[1], y=[2], labels=["a"])
