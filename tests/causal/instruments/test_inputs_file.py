"""inputs.parquet: to the last bit, in order, in stacks of one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consilience.causal.inputs import GeneInputs
from consilience.causal.inputs_file import from_twmr, read_buckets, read_inputs, read_names, write_inputs
from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.twmr import TwmrInputs


def genes(count: int, seed: int = 0) -> list[GeneInputs]:
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        n, k = int(rng.integers(1, 7)), int(rng.integers(1, 4))
        ld = np.corrcoef(rng.normal(size=(n, 50))).reshape(n, n)
        eqtl = rng.normal(size=(n, k)) * (rng.random((n, k)) < 0.7)
        made.append(GeneInputs(
            f"ENSG{number:011d}", "" if number % 3 else f"S{number}", tuple(f"ENSG{number + j:011d}" for j in range(k)),
            tuple(f"rs{number}_{j}" for j in range(n)), eqtl, rng.normal(size=n), (ld + ld.T) / 2, eqtl != 0,
            rng.uniform(1e3, 1e5, k), float(rng.uniform(1e5, 1e6)),
        ))  # fmt: skip
    return made


def same(one: GeneInputs, other: GeneInputs) -> bool:
    words = all(
        getattr(one, name) == getattr(other, name)
        for name in ("gene", "symbol", "genes", "variants", "n_gwas")
    )
    arrays = ("eqtl", "gwas", "ld", "known", "n_eqtl")
    return words and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    path, made = tmp_path / "inputs.parquet", genes(60)
    write_inputs(path, iter(made))
    found = read_inputs(path)
    assert len(found) == 60
    assert all(map(same, made, found))


def test_buckets_are_stacks_of_the_same_numbers(tmp_path: Path) -> None:
    path, made = tmp_path / "inputs.parquet", genes(60, seed=1)
    write_inputs(path, made)
    buckets, names = read_buckets(path), read_names(path)
    sizes = [bucket.eqtl.shape[1:] for bucket in buckets]
    assert sizes == sorted(set(sizes))
    assert sorted(np.concatenate([bucket.index for bucket in buckets])) == list(range(60))
    for bucket in buckets:
        for place, row in enumerate(bucket.index):
            for name in ("eqtl", "gwas", "ld", "known", "n_eqtl"):
                assert np.array_equal(getattr(bucket, name)[place], getattr(made[row], name))
            assert bucket.n_gwas[place] == made[row].n_gwas
            assert (names.gene[row], names.genes[row], names.variants[row]) == (
                made[row].gene,
                made[row].genes,
                made[row].variants,
            )


def test_no_genes_make_an_empty_file(tmp_path: Path) -> None:
    write_inputs(tmp_path / "inputs.parquet", [])
    assert read_inputs(tmp_path / "inputs.parquet") == read_buckets(tmp_path / "inputs.parquet") == []


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "inputs.parquet"
    with pytest.raises(DataError, match="no such file"):
        read_inputs(path)
    path.write_text("gene,alpha\n")
    with pytest.raises(DataError, match=r"not a readable parquet file[\s\S]*delete the file"):
        read_inputs(path)
    pd.DataFrame({"gene": ["a"], "symbol": [""]}).to_parquet(path)
    with pytest.raises(DataError, match=r"columns are missing.*eqtl"):
        read_buckets(path)
    write_inputs(path, genes(3))
    table = pd.read_parquet(path)
    table.at[1, "ld"] = table.at[1, "ld"][:-1]
    table.to_parquet(path)
    with pytest.raises(DataError, match=r"row 2: the numbers in column ld are not as many"):
        read_inputs(path)


def test_ready_inputs_know_only_what_is_not_zero() -> None:
    effects = np.array([[0.1, 0.0], [0.2, -0.1]])
    one = TwmrInputs(
        "ENSG1", ("ENSG1", "ENSG2"), ("rs1", "rs2"), effects, np.array([0.01, 0.02]), np.eye(2), "x"
    )
    found = from_twmr(one, n_gwas=1000, n_eqtl=100)
    assert found.known.tolist() == [[True, False], [True, True]]
    assert found.n_eqtl.tolist() == [100, 100]
    assert found.n_gwas == 1000
