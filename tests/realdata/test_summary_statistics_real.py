"""LD matrices and effects of the published TWMR examples, as their authors serve them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consilience.sources.summary_statistics.ld import read_ld

pytestmark = pytest.mark.real_data


def test_published_ld_matrices_are_read_and_pruned_to_a_tenth(kit: Path, tmp_path: Path) -> None:
    """Every shipped matrix, trailing NA columns included; all r² are below 0.1, as the paper prunes."""
    largest, n_with_na = 0.0, 0
    paths = sorted((kit / "sumstats" / "twmr_height").glob("*.ld"))
    assert len(paths) > 10
    for path in paths:
        rows = path.with_suffix(".matrix").read_text().splitlines()[1:]
        names = [row.split()[0] for row in rows if row.strip()]
        snps = tmp_path / f"{path.stem}.snps.tsv"
        header = "rsid\tchromosome\tposition\teffect_allele\tother_allele\n"
        snps.write_text(header + "".join(f"{name}\t1\t{k + 1}\tA\tC\n" for k, name in enumerate(names)))
        n_with_na += "NA" in path.read_text()
        found = read_ld(path, snps, locus=path.stem)
        assert found.r.shape == (len(names), len(names))
        assert found.smallest_eigenvalue > 0.2
        off = found.r[~np.eye(len(names), dtype=bool)]
        largest = max(largest, float(np.abs(off).max(initial=0.0)))
    assert 0.09 < largest**2 <= 0.1
    assert n_with_na >= 1
