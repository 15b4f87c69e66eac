"""The pathway mask and its coverage report."""

from __future__ import annotations

import json
import random

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import DataError
from consilience.pathways.gene_sets import GeneSet
from consilience.pathways.mask import build_mask, read_var_names, write_mask
from consilience.study.sections import PathwaysSection

SETS = [
    GeneSet("small", "x", "", ("A",)),
    GeneSet("fits", "x", "id1", ("A", "B", "C", "Z1"), ("virus",)),
    GeneSet("twin", "y", "", ("B", "A", "C")),
    GeneSet("large", "y", "", tuple("ABCDEF")),
    GeneSet("thin", "y", "", ("A", "B", "Z1", "Z2", "Z3", "Z4", "Z5"), ("virus", "phage")),
    GeneSet("strange", "y", "", (), ("virus",)),
]
LIMITS = {"min_genes": 2, "max_genes": 5, "min_coverage": 0.5}
MEASURED = {"one": ["A", "B", "D"], "two": ["C", "E", "F", "Q"]}


def test_limits_coverage_and_reasons():
    mask = build_mask(gene_sets=SETS, measured=MEASURED, **LIMITS)
    assert list(zip(mask.collection, mask.pathway, mask.gene, strict=True)) == [
        ("x", "fits", "A"), ("x", "fits", "B"), ("x", "fits", "C"),
        ("y", "twin", "A"), ("y", "twin", "B"), ("y", "twin", "C"),
    ]  # fmt: skip
    told = {entry["pathway"]: entry for entry in mask.coverage["pathways"]}
    assert {name: entry["why"] for name, entry in told.items()} == {
        "small": "fewer than 2 measured genes",
        "fits": "",
        "twin": "",
        "large": "more than 5 measured genes",
        "thin": "less than 50% of its genes measured",
        "strange": "no member is a known human gene",
    }
    assert told["fits"]["coverage"] == 0.75
    assert told["fits"]["by_cohort"] == {"one": 2, "two": 1}
    assert told["twin"]["same_as"] == "fits"
    assert told["fits"]["same_as"] == told["small"]["same_as"] == ""
    assert mask.coverage["unknown_members"] == [
        {"member": "virus", "n_pathways": 3}, {"member": "phage", "n_pathways": 1},
    ]  # fmt: skip
    assert mask.coverage["n_kept"] == 2
    assert mask.coverage["cohorts"][1] == {
        "cohort": "two", "n_genes": 4, "n_in_pathways": 3, "n_in_mask": 1, "share_of_mask": 0.3333,
    }  # fmt: skip
    json.dumps(mask.coverage, allow_nan=False)


def test_the_order_of_sets_genes_and_cohorts_does_not_matter():
    expected = build_mask(gene_sets=SETS, measured=MEASURED, **LIMITS)
    shuffler = random.Random(0)
    for _ in range(5):
        sets = [GeneSet(s.name, s.collection, s.source, tuple(shuffler.sample(s.genes, len(s.genes))), s.unknown)
                for s in shuffler.sample(SETS, len(SETS))]  # fmt: skip
        measured = {name: shuffler.sample(MEASURED[name], len(MEASURED[name])) for name in ("two", "one")}
        assert build_mask(gene_sets=sets, measured=measured, **LIMITS) == expected


def test_limits_are_inclusive():
    five = [GeneSet("five", "x", "", tuple("ABCDE")), GeneSet("two", "x", "", ("A", "B", "Y", "Z"))]
    mask = build_mask(gene_sets=five, measured=MEASURED, **LIMITS)
    assert set(mask.pathway) == {"five", "two"}


def test_nothing_left_says_why():
    with pytest.raises(DataError, match=r"no pathway is left of 6 for 1 measured genes .*fewer than 2"):
        build_mask(gene_sets=SETS, measured={"mouse": ["Trp53"]}, **LIMITS)


@pytest.fixture
def cohort_file(tmp_path):
    def make(name: str, genes: list[str]):
        place = tmp_path / f"{name}.h5ad"
        data = ad.AnnData(np.zeros((2, len(genes)), dtype=np.float32), var=pd.DataFrame(index=genes))
        data.write_h5ad(place)
        return place

    return make


def test_write_mask(tmp_path, cohort_file):
    from consilience.pathways.gene_sets import load_gene_sets

    genes = sorted({gene for entry in load_gene_sets(["hallmark"]) for gene in entry.genes})
    paths = {"a": cohort_file("a", genes[::2]), "b": cohort_file("b", genes[1::3])}
    mask_path, coverage_path = tmp_path / "pathways/mask.parquet", tmp_path / "pathways/coverage.json"
    settings = PathwaysSection(gene_sets=["hallmark"])
    write_mask(
        names=settings.gene_sets, expression_paths=paths, settings=settings,
        mask_path=mask_path, coverage_path=coverage_path,
    )  # fmt: skip
    table = pd.read_parquet(mask_path)
    assert list(table.columns) == ["gene", "pathway", "collection"]
    assert table["pathway"].nunique() == 50
    assert set(table["gene"]) == set(genes[::2]) | set(genes[1::3])
    assert not table.duplicated().any()
    coverage = json.loads(coverage_path.read_text())
    assert coverage["limits"] == {"min_genes": 10, "max_genes": 500, "min_coverage": 0.3}
    assert [entry["n_genes"] for entry in coverage["cohorts"]] == [len(genes[::2]), len(genes[1::3])]
    before = mask_path.read_bytes(), coverage_path.read_bytes()
    write_mask(
        names=settings.gene_sets, expression_paths=dict(reversed(paths.items())), settings=settings,
        mask_path=mask_path, coverage_path=coverage_path,
    )  # fmt: skip
    assert (mask_path.read_bytes(), coverage_path.read_bytes()) == before


def test_gene_names_are_read_without_the_matrix(cohort_file):
    import h5py

    place = cohort_file("a", ["TP53", "STAT1"])
    with h5py.File(place, "r+") as file:
        del file["X"]
    assert read_var_names(place) == ["TP53", "STAT1"]


@pytest.mark.parametrize("damage", ["cut", "text", "absent", "no var"])
def test_a_damaged_cohort_file_is_named(tmp_path, cohort_file, damage):
    import h5py

    place = cohort_file("a", ["TP53"])
    data = place.read_bytes()
    if damage == "absent":
        place.unlink()
    elif damage == "no var":
        with h5py.File(place, "r+") as file:
            del file["var"]
    else:
        place.write_bytes(data[: len(data) // 3] if damage == "cut" else b"<html>")
    with pytest.raises(DataError, match=r"a\.h5ad"):
        read_var_names(place)
