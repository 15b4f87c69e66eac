"""Values without counts: logarithms, quantile normalisation against a slow form, background, which row of a gene."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.expression.duplicates import merge_duplicates, strongest_rows, summed_genes
from consilience.expression.genes import load_gene_table, resolve
from consilience.expression.log_values import (
    PANEL_GENES,
    detected_genes,
    log_metrics,
    quantile_normalised,
    to_log2,
)
from consilience.expression.sex import check_sex_of_logs
from consilience.foundation.seeds import stream


def draw(seed: int, n_samples: int = 6, n_genes: int = 40) -> np.ndarray:
    return stream(seed, "logs").normal(7, 2, (n_samples, n_genes))


def slow_quantiles(values: list[list[float]]) -> list[list[float]]:
    """Bolstad 2003 in plain Python; ties share the mean of the reference values of their ranks."""
    ordered = [sorted(row) for row in values]
    reference = [sum(row[k] for row in ordered) / len(values) for k in range(len(values[0]))]
    result = []
    for row, ranks in zip(values, ordered, strict=True):
        of_value = {
            value: [reference[k] for k, one in enumerate(ranks) if one == value] for value in set(row)
        }
        result.append([sum(of_value[value]) / len(of_value[value]) for value in row])
    return result


@given(st.integers(0, 1000), st.integers(0, 3))
def test_quantile_normalisation_is_its_definition(seed: int, decimals: int) -> None:
    values = draw(seed).round(decimals)  # few decimals give ties
    np.testing.assert_allclose(quantile_normalised(values), slow_quantiles(values.tolist()), rtol=1e-6)


@given(st.integers(0, 1000))
def test_quantile_normalisation_follows_its_samples_and_genes_wherever_they_stand(seed: int) -> None:
    values, rng = draw(seed), stream(seed, "order")
    rows, genes = rng.permutation(6), rng.permutation(40)
    np.testing.assert_allclose(
        quantile_normalised(values[rows][:, genes]), quantile_normalised(values)[rows][:, genes], rtol=1e-6
    )


@given(st.integers(0, 1000))
def test_only_ranks_matter_within_a_sample(seed: int) -> None:
    """A sample of another scale and gain ends with its own order and the distribution of all."""
    values = draw(seed)
    found = quantile_normalised(values)
    for row in range(6):
        assert (np.argsort(found[row], kind="stable") == np.argsort(values[row], kind="stable")).all()
        np.testing.assert_allclose(np.sort(found[row]), np.sort(found[0]), rtol=1e-6)
    assert np.array_equal(quantile_normalised(found), found) or np.allclose(quantile_normalised(found), found)


def test_samples_that_are_alike_already_stay_as_they_are() -> None:
    values = np.stack([stream(k, "same").permutation(40) for k in range(5)]).astype(float)
    np.testing.assert_array_equal(quantile_normalised(values), values)


@pytest.mark.parametrize(
    ("units", "expected"),
    [("intensity", [4, 4, 5, 12]), ("tpm", [0, 0, np.log2(17), np.log2(4081)]), ("log2", [-5, 0, 16, 4080])],
)
def test_what_each_unit_becomes(units: str, expected: list[float]) -> None:
    values = np.array([[-5.0, 0.0, 16.0, 4080.0]])
    np.testing.assert_allclose(to_log2(values, units=units), [expected], rtol=1e-6)


def test_genes_are_detected_above_the_fifth_of_their_own_sample() -> None:
    values = np.tile(np.arange(PANEL_GENES, dtype=float), (10, 1))
    values += np.arange(10)[:, None] * 3  # a sample's gain does not matter
    kept = detected_genes(values, min_samples=0.1)
    assert kept.sum() == pytest.approx(0.8 * PANEL_GENES, abs=1)
    assert not kept[: PANEL_GENES // 5].any()
    values[3, 0] = 10**6
    assert detected_genes(values, min_samples=0.1)[0]
    assert not detected_genes(values, min_samples=0.2)[0]
    assert detected_genes(values[:, :400], min_samples=0.2).all()


def test_metrics_find_a_weak_and_a_flat_sample() -> None:
    values = draw(1, 12, 6000)
    values[3] -= 4
    values[5] = 5 + 0.2 * (values[5] - 7)
    found = log_metrics(values)
    others = [k for k in range(12) if k not in {3, 5}]
    assert found["typical_expression"][3] < 0.2 * found["typical_expression"][others].min()
    assert found["spread"][5] < 0.5 * found["spread"][others].min()
    assert found["share_above_background"][3] < found["share_above_background"][others].min() - 0.2
    assert found["share_above_background"][others].mean() == pytest.approx(0.8, abs=0.02)


IDS = ["TP53", "no gene", "XIST", "ENSG00000141510", "GAPDH", "ENSG00000141510.7", "KDM5D"]


def test_of_several_probes_the_one_with_the_highest_mean_is_kept() -> None:
    match = resolve(IDS, table=load_gene_table())
    assert strongest_rows(np.array([1, 99, 5, 8, 2, 8, 0.0]), match=match).tolist() == [3, 2, 4, 6]


@given(st.integers(0, 1000))
def test_summed_genes_are_the_merged_ones_without_the_silent(seed: int) -> None:
    match = resolve(IDS, table=load_gene_table())
    counts = stream(seed, "sum").poisson(0.4, (5, len(IDS))).astype(np.int32)
    expected = merge_duplicates(values=counts.T, match=match, additive=True).T
    found, genes = summed_genes(counts, match=match)
    assert genes.tolist() == [k for k in range(4) if expected[:, k].any()]
    np.testing.assert_array_equal(found, expected[:, genes])
    assert found.dtype == np.int32


def test_sums_that_do_not_fit_get_more_room() -> None:
    match = resolve(IDS, table=load_gene_table())
    counts = np.full((2, len(IDS)), 2**30, dtype=np.int32)
    found, _ = summed_genes(counts, match=match)
    assert found[0].tolist() == [3 * 2**30, 2**30, 2**30, 2**30]


def test_sex_of_logarithms_is_called_only_where_both_sides_vary() -> None:
    index = {"XIST": 0, "RPS4Y1": 1, "DDX3Y": 2, "KDM5D": 3}
    women, men = [10.0, 5.0, 6.0, 4.0], [4.5, 9.0, 9.5, 8.0]
    logs = np.array([women, men, women, men, [7.2, 7.0, 7.6, 6.0]])
    found = check_sex_of_logs(logs=logs, gene_index=index, annotated=["f", "m", "m", "m", "f"])
    assert found is not None
    assert found.expressed == ("female", "male", "female", "male", "unclear")
    assert found.mismatch.tolist() == [False, False, True, False, False]
    one_sex = check_sex_of_logs(logs=np.array([women] * 4), gene_index=index, annotated=["m"] * 4)
    assert one_sex is not None
    assert set(one_sex.expressed) == {"unclear"}
    assert check_sex_of_logs(logs=logs, gene_index={"XIST": 0}, annotated=None) is None
