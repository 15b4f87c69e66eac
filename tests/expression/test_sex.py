"""The sex check calls what is clear and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from consilience.expression.sex import check_sex

GENES = {"XIST": 0, "RPS4Y1": 1, "DDX3Y": 2, "KDM5D": 3, "OTHER": 4}
COUNTS = np.array(
    [
        [500, 1, 0, 0, 10**6],
        [0, 200, 150, 90, 10**6],
        [0, 0, 0, 0, 10**6],
        [300, 200, 150, 90, 10**6],
        [9, 0, 0, 0, 0],
    ]
)


def test_clear_samples_are_called_and_compared() -> None:
    found = check_sex(counts=COUNTS, gene_index=GENES, annotated=["M", "male", "Female", "F", "not reported"])
    assert found is not None
    assert found.expressed == ("female", "male", "unclear", "unclear", "female")
    assert found.mismatch.tolist() == [True, False, False, False, False]


def test_without_annotation_nothing_contradicts() -> None:
    found = check_sex(counts=COUNTS, gene_index=GENES, annotated=None)
    assert found is not None
    assert not found.mismatch.any()


@pytest.mark.parametrize("gone", ["XIST", "RPS4Y1 DDX3Y"])
def test_without_the_genes_there_is_no_check(gone: str) -> None:
    genes = {name: place for name, place in GENES.items() if name not in gone.split()}
    assert check_sex(counts=COUNTS, gene_index=genes, annotated=None) is None


def test_depth_does_not_change_a_call() -> None:
    shallow = check_sex(counts=COUNTS, gene_index=GENES, annotated=None)
    deep = check_sex(counts=COUNTS * 50, gene_index=GENES, annotated=None)
    assert shallow is not None
    assert deep is not None
    np.testing.assert_allclose(shallow.log2_ratio, deep.log2_ratio)
