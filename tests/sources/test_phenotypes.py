"""Phenotype columns become standard columns, or the message says which there are."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import DataError
from consilience.sources.phenotypes import peek_phenotypes, standard_phenotypes
from consilience.study.cohorts import Cohort

COLUMNS = {
    "title": ("a", "b", "c", "d", "e"),
    "disease state": ("RA", "RA", "healthy", "healthy", "NA"),
    "subject id": ("001", "002", "003", "004", "005"),
    "Sex": ("F", "M", "F", "M", "F"),
    "dose/day": ("1", "2", "3", "4", "5"),
    "arm": ("left", "right", "left", "left", "left"),
}
COHORT = Cohort(
    "c", "bulk", "local", condition="disease state", case=("RA",), control=("healthy",), donor="subject id"
)


def test_columns_are_mapped_and_the_others_kept_as_text() -> None:
    found = standard_phenotypes(cohort=COHORT, samples=tuple("vwxyz"), columns=COLUMNS, min_samples_per_arm=2)
    assert found.standard == {
        "sample": tuple("vwxyz"), "donor": ("001", "002", "003", "004", "005"),
        "condition": ("RA", "RA", "healthy", "healthy", "NA"), "arm": ("case", "case", "control", "control", ""),
    }  # fmt: skip
    assert found.sex() == ("F", "M", "F", "M", "F")
    assert found.others["dose_day"] == ("1", "2", "3", "4", "5")
    assert "arm" not in found.others
    assert any("1 samples are neither" in note and "NA (1)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"condition": "disease_state"}, ["condition", "did you mean 'disease state'", "subject id"]),
        ({"case": ("Ra",)}, ["no such level", "healthy (2)", "did you mean 'RA'"]),
        ({"donor": "patient"}, ["donor", "'patient'", "title"]),
    ],
)
def test_a_missing_column_or_level_lists_what_there_is(changes: dict[str, object], words: list[str]) -> None:
    cohort = Cohort.from_params(COHORT.to_params() | changes)
    with pytest.raises(DataError) as caught:
        standard_phenotypes(cohort=cohort, samples=tuple("vwxyz"), columns=COLUMNS, min_samples_per_arm=2)
    assert all(word in str(caught.value) for word in ["cohort c", *words]), str(caught.value)


def test_peek_at_a_table_from_the_counts_file_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "x.counts.tsv").write_text("gene\tA\nTP53\t1\n")
    (tmp_path / "x.samples.tsv").write_text("sample\tgroup\nA\tcase\n")
    for location in (tmp_path, tmp_path / "x.counts.tsv"):
        assert peek_phenotypes(location) == {"sample": ("A",), "group": ("case",)}
    assert peek_phenotypes(tmp_path / "absent") is None


def test_peek_at_cells_gives_each_donor_once(tmp_path: Path) -> None:
    donors = [f"D{k % 4}" for k in range(400)]
    obs = pd.DataFrame(
        {
            "donor": pd.Categorical(donors),
            "condition": ["RA" if d in {"D0", "D1"} else "none" for d in donors],
        },
        index=[f"cell{k}" for k in range(400)],
    )
    obs["score"] = np.arange(400.0)
    anndata.AnnData(X=np.zeros((400, 2), dtype=np.float32), obs=obs).write_h5ad(tmp_path / "x.h5ad")
    columns = peek_phenotypes(tmp_path / "x.h5ad")
    assert columns is not None
    pairs = sorted(zip(columns["donor"], columns["condition"], strict=True))
    assert pairs == [("D0", "RA"), ("D1", "RA"), ("D2", "none"), ("D3", "none")]
    (tmp_path / "x.h5ad").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"x\.h5ad"):
        peek_phenotypes(tmp_path / "x.h5ad")
