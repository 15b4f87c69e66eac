"""New data under a model's genes and scale: against a slow second way, in any order, and every refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from consilience.expression.genes import load_gene_table
from consilience.foundation.errors import DataError, ModelError
from consilience.rnagan.alignment import GeneMoments, align
from consilience.rnagan.reading import Given, in_memory
from consilience.rnagan.scales import told_units

TABLE = load_gene_table()
SYMBOLS = tuple(TABLE.symbols_of(gene_type="protein_coding")[:400])
MODEL = SYMBOLS[:300]
N = 12


def counts(n: int = N, genes: int = len(SYMBOLS), seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    level = random.gamma(0.6, 60.0, genes)
    return random.poisson(level * random.uniform(0.5, 2.0, n)[:, None])


def file_of(values, ids=SYMBOLS, **more) -> Given:
    names = np.array([f"S{k:02d}" for k in range(values.shape[0])])
    return Given("new.tsv", in_memory(values), names, (tuple(ids),), **more)


def by_hand(values: np.ndarray, ids, genes=MODEL, target: float = 1e4) -> np.ndarray:
    """One value at a time: log(1 + target x reads of the gene's ids / reads of the sample)."""
    result = np.zeros((len(values), len(genes)))
    for row, sample in enumerate(values):
        for column, gene in enumerate(genes):
            reads = sum(value for value, name in zip(sample, ids, strict=True) if name == gene)
            result[row, column] = np.log1p(target * reads / sample.sum())
    return result


@pytest.mark.parametrize(("scale", "target"), [("log1p_cp10k", 1e4), ("log1p_cpm", 1e6)])
def test_counts_come_to_the_scale_of_the_model(scale: str, target: float) -> None:
    values = counts()
    found = align(file_of(values), genes=MODEL, scale=scale)
    np.testing.assert_allclose(found.samples.values, by_hand(values, SYMBOLS, target=target), rtol=2e-6)
    assert found.observed.all()
    assert found.units == "counts"
    assert found.samples.genes == MODEL
    assert found.samples.units == scale


def given_as(units: str, values: np.ndarray) -> np.ndarray:
    shares = values / values.sum(axis=1, keepdims=True)
    return {
        "counts": values,
        "cpm": shares * 1e6,
        "log1p of cp10k": np.log1p(shares * 1e4),
        "log1p of cpm": np.log1p(shares * 1e6),
        "log2(cpm + 1)": np.log2(shares * 1e6 + 1),
        "float32 log1p": np.log1p(shares * 1e4).astype(np.float32),
    }[units]


@pytest.mark.parametrize("units", ["cpm", "log1p of cp10k", "log1p of cpm", "log2(cpm + 1)", "float32 log1p"])
def test_whatever_the_units_the_values_come_out_the_same(units: str) -> None:
    values = counts()
    expected = align(file_of(values), genes=MODEL, scale="log1p_cp10k").samples.values
    found = align(file_of(given_as(units, values)), genes=MODEL, scale="log1p_cp10k")
    np.testing.assert_allclose(found.samples.values, expected, rtol=1e-4, atol=1e-6)


def test_logarithms_of_some_genes_are_known_by_their_whole_steps() -> None:
    values = counts()[:, ::2]
    full = np.log1p(values / counts().sum(axis=1, keepdims=True) * 1e4)
    assert told_units(full, where="x").units == "log1p"
    assert told_units(np.log2(np.expm1(full) + 1), where="x").units == "log2p1"
    assert told_units(np.random.default_rng(3).normal(7, 2, (20, 500)).clip(2, 14), where="x").units == "log2"


NAMERS = {
    "symbols": lambda row: TABLE.symbols[row],
    "Ensembl ids with versions": lambda row: f"{TABLE.ensembl_ids[row]}.7",
    "Entrez ids": lambda row: TABLE.entrez[row] or TABLE.symbols[row],
    "both": lambda row: (
        f"{TABLE.symbols[row]}|{TABLE.entrez[row]}" if TABLE.entrez[row] else TABLE.symbols[row]
    ),
}


@pytest.mark.parametrize("kind", NAMERS)
def test_genes_are_found_by_any_of_their_ids(kind: str) -> None:
    ids = [NAMERS[kind](TABLE.row_of[symbol]) for symbol in SYMBOLS]
    expected = align(file_of(counts()), genes=MODEL, scale="log1p_cp10k")
    found = align(file_of(counts(), ids), genes=MODEL, scale="log1p_cp10k")
    np.testing.assert_array_equal(found.samples.values, expected.samples.values)


def test_former_symbols_are_found_whichever_side_has_them() -> None:
    row = next(TABLE.row_of[s] for s in SYMBOLS[:300]
               if (old := TABLE.previous[TABLE.row_of[s]].split("|")[0]) and TABLE.rows_of_previous[old] == (TABLE.row_of[s],)
               and old not in TABLE.row_of)  # fmt: skip
    old = TABLE.previous[row].split("|")[0]
    renamed = [old if symbol == TABLE.symbols[row] else symbol for symbol in SYMBOLS]
    expected = align(file_of(counts()), genes=MODEL, scale="log1p_cp10k").samples.values
    of_file = align(file_of(counts(), renamed), genes=MODEL, scale="log1p_cp10k")
    of_model = align(file_of(counts()), genes=renamed[:300], scale="log1p_cp10k")
    np.testing.assert_array_equal(of_file.samples.values, expected)
    np.testing.assert_array_equal(of_model.samples.values, expected)


def test_the_column_of_ids_that_names_most_genes_is_used() -> None:
    given = replace(file_of(counts()), ids=(tuple(f"x{k}" for k in range(len(SYMBOLS))), SYMBOLS))
    assert align(given, genes=MODEL, scale="log1p_cp10k").n_matched == 300


def test_ids_of_one_gene_add_up_in_counts_and_compete_in_logarithms() -> None:
    ids = [*SYMBOLS, SYMBOLS[0], TABLE.ensembl_ids[TABLE.row_of[SYMBOLS[1]]]]
    values = np.hstack([counts(), counts(genes=2, seed=5) + 400])
    merged = [*SYMBOLS, SYMBOLS[0], SYMBOLS[1]]
    found = align(file_of(values, ids), genes=MODEL, scale="log1p_cp10k")
    np.testing.assert_allclose(found.samples.values, by_hand(values, merged), rtol=2e-6)
    assert any("2 ids name a gene" in note and "added up" in note for note in found.notes)
    logs = np.log2(values + 16.0) + np.random.default_rng(1).normal(0, 0.01, values.shape)
    kept = align(file_of(logs, ids), genes=MODEL, scale="log2", units="log2").samples.values
    np.testing.assert_allclose(kept[:, :2], logs[:, -2:], rtol=1e-6)


def test_a_gene_that_is_not_there_is_no_zero() -> None:
    values = counts()[:, 60:]
    full = by_hand(values, SYMBOLS[60:])
    moments = GeneMoments(np.full(300, 2.5), np.full(300, 2.0))
    found = align(file_of(values, SYMBOLS[60:]), genes=MODEL, scale="log1p_cp10k", moments=moments)
    assert found.n_matched == 240
    assert not found.observed[:60].any()
    assert (found.samples.values[:, :60] == 2.5).all()
    np.testing.assert_allclose(found.samples.values[:, 60:], full[:, 60:], rtol=2e-6)


def test_too_few_genes_are_refused_with_numbers_and_examples() -> None:
    ids = [*SYMBOLS[:149], *(f"probe_{k}_at" for k in range(251))]
    with pytest.raises(DataError, match=r"only 149 of the model's 300 genes \(49.7%\).*probe_0_at"):
        align(file_of(counts(), ids), genes=MODEL, scale="log1p_cp10k")
    assert align(file_of(counts(), ids), genes=MODEL, scale="log1p_cp10k", min_overlap=0.4).n_matched == 149


def test_zeros_of_a_gene_that_nobody_has_are_taken_as_not_measured() -> None:
    values = counts() + 40
    moments_of = align(file_of(values), genes=MODEL, scale="log1p_cp10k").samples.values
    moments = GeneMoments(moments_of.mean(axis=0), moments_of.std(axis=0))
    values[:, 7] = 0
    found = align(file_of(values), genes=MODEL, scale="log1p_cp10k", moments=moments)
    assert not found.observed[7]
    assert any(SYMBOLS[7] in note and "not measured" in note for note in found.notes)
    few = align(file_of(values[:9]), genes=MODEL, scale="log1p_cp10k", moments=moments)
    assert few.observed.all(), "nine samples may well all be without it"


@settings(max_examples=20)
@examples(seed=st.integers(0, 10_000))
def test_neither_the_order_of_samples_nor_of_ids_matters(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, columns = random.permutation(N), random.permutation(len(SYMBOLS) + 1)
    ids, values = [*SYMBOLS, SYMBOLS[3]], np.hstack([counts(), counts(genes=1)])
    plain, given = file_of(values, ids), file_of(values[rows][:, columns], [ids[k] for k in columns])
    given = replace(given, names=plain.names[rows])
    for scale, units in (("log1p_cp10k", ""), ("log2", "intensity")):
        first = align(plain, genes=MODEL, scale=scale, units=units)
        second = align(given, genes=MODEL, scale=scale, units=units)
        np.testing.assert_allclose(second.samples.values, first.samples.values[rows], rtol=1e-6)
        np.testing.assert_array_equal(second.observed, first.observed)


def test_sparse_and_dense_files_and_chosen_rows_give_the_same() -> None:
    from scipy import sparse

    values, rows = counts(40), np.array([33, 2, 17])
    dense = align(file_of(values), genes=MODEL, scale="log1p_cp10k")
    thin = align(file_of(sparse.csr_matrix(values)), genes=MODEL, scale="log1p_cp10k", rows=rows)
    np.testing.assert_array_equal(thin.samples.values, dense.samples.values[rows])
    assert list(thin.samples.names) == ["S33", "S02", "S17"]


def spoilt(value: float, at: tuple[int, int] = (2, 5), of: np.ndarray | None = None) -> np.ndarray:
    values = (counts() if of is None else of).astype(np.float64)
    values[at] = value
    return values


REFUSALS = [
    (spoilt(np.nan), {}, rf"sample 'S02', gene '{SYMBOLS[5]}' has no usable value.*missing \(NaN\)"),
    (spoilt(np.inf), {}, r"sample 'S02'.*'inf'"),
    (spoilt(-4.0), {}, "units|below zero|usable"),
    (spoilt(-4.0), {"units": "counts"}, "below zero"),
    (counts() * (np.arange(N) != 3)[:, None], {}, "1 samples are zero in all genes: S03"),
    (counts() + 0.25, {"units": "counts"}, "not counts: some values are not whole numbers"),
    (np.log1p(counts()), {"units": "tpm"}, "they look like logarithms"),
    (counts(), {"units": "log1p"}, "the largest value is"),
    (counts(), {"units": "reads"}, r"no such units.*allowed: counts, .*"),
    (np.random.default_rng(0).normal(0, 1, (N, len(SYMBOLS))), {}, "z-scores"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "options", "message"), REFUSALS)
def test_values_that_cannot_be_used_are_refused(values, options, message) -> None:
    with pytest.raises(DataError, match=message):
        align(file_of(values), genes=MODEL, scale="log1p_cp10k", **options)


def test_a_model_of_arrays_refuses_counts_and_a_model_of_reads_refuses_arrays() -> None:
    with pytest.raises(
        DataError, match="trained on logarithms of array intensities and these are raw counts"
    ):
        align(file_of(counts()), genes=MODEL, scale="log2")
    logs = np.random.default_rng(3).normal(7, 2, (N, len(SYMBOLS))).clip(2, 14)
    with pytest.raises(DataError, match="these are logarithms to base 2 of array intensities"):
        align(file_of(logs), genes=MODEL, scale="log1p_cp10k")
    with pytest.raises(ModelError, match="unknown scale"):
        align(file_of(counts()), genes=MODEL, scale="furlongs")


def test_another_level_than_in_training_is_refused() -> None:
    moments = GeneMoments(np.full(300, 40.0), np.full(300, 1.0))
    with pytest.raises(DataError, match="another scale, or another kind of data"):
        align(file_of(counts()), genes=MODEL, scale="log1p_cp10k", moments=moments)


def test_intensities_become_logarithms_and_their_negatives_background() -> None:
    values = np.random.default_rng(4).gamma(2, 500, (N, len(SYMBOLS))) + 3
    values[0, 0] = -2.0
    found = align(file_of(values), genes=MODEL, scale="log2", units="intensity").samples.values
    np.testing.assert_allclose(found, np.log2(np.maximum(values[:, :300], 0) + 16), rtol=1e-6)
