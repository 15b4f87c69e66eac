"""The shipped reference files are those that resources/README.md describes."""

from __future__ import annotations

import gzip

import pytest

from consilience.foundation.files import sha256_of
from consilience.foundation.places import RESOURCES
from consilience.pathways.gene_sets import SHIPPED


@pytest.mark.parametrize(
    "name", ["genes/human_genes.tsv.gz", "gene_sets/hallmark.gmt.gz", "gene_sets/reactome.gmt.gz"]
)
def test_digests_are_the_documented_ones(name):
    rows = [line for line in (RESOURCES / "README.md").read_text().splitlines() if f"`{name}`" in line]
    assert len(rows) == 1
    assert f"`{sha256_of(RESOURCES / name)}`" in rows[0]


def test_every_shipped_collection_is_documented():
    text = (RESOURCES / "README.md").read_text()
    for path in SHIPPED.values():
        assert f"`gene_sets/{path.name}`" in text


def test_files_stay_small():
    assert sum(path.stat().st_size for path in RESOURCES.rglob("*.gz")) < 2_000_000
    assert len(gzip.decompress((RESOURCES / "genes/human_genes.tsv.gz").read_bytes()).splitlines()) == 78_409
