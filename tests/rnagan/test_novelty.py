"""Novelty: distances by a slow second way, false alarms at the stated level, power against strangers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from consilience.learning.samples import Samples
from consilience.rnagan.comparison import compare
from consilience.rnagan.novelty import novelty, outlyingness
from rnagan.simple_scorers import make_samples, of_kind

LEVEL = 0.05


def slow_outlyingness(queries, references, kinds, units, *, level, way):
    """The same in plain loops: a measure per patient left out, Student's t, conformal share."""

    def measure(kind, out):
        keep = units != out
        squares = np.zeros(references.shape[1])
        df = 0
        for one in np.unique(kinds):
            rows = references[(kinds == one) & keep]
            if len(rows) > 1:
                squares += ((rows - rows.mean(axis=0)) ** 2).sum(axis=0)
                df += len(rows) - 1
        variance = squares / df
        weight = 1 / (variance + np.median(variance[variance > 0]))
        mean = references[(kinds == kind) & keep].mean(axis=0)
        inner = [
            x - references[(kinds == k) & keep].mean(axis=0)
            for x, k in zip(references[keep], kinds[keep], strict=True)
        ]
        _, _, axes = np.linalg.svd(np.array(inner) * np.sqrt(weight), full_matrices=False)
        axes = axes[: min(5, (len(units) - 3) // 3)]

        def distance(x):
            z = np.sqrt(weight) * (x - mean)
            left = z - axes.T @ (axes @ z) if way == "left" else z
            return np.log(np.mean(left**2))

        return distance

    own = {kind: [measure(kind, u)(x) for x, k, u in zip(references, kinds, units, strict=True) if k == kind]
           for kind in np.unique(kinds)}  # fmt: skip
    df = sum(len(values) - 1 for values in own.values())
    spread = np.sqrt(sum(np.sum((np.array(v) - np.mean(v)) ** 2) for v in own.values()) / df)
    result = []
    for x in queries:
        by_kind = []
        for kind, values in own.items():
            at = np.mean([measure(kind, u)(x) for u in units[kinds == kind]])
            n = len(values)
            p = t.sf((at - np.mean(values)) / (spread * np.sqrt(1 + 1 / n)), df)
            if n + 1 >= 1 / level:
                p = max(p, (1 + np.sum(np.array(values) >= at)) / (n + 1))
            by_kind.append(p)
        result.append(by_kind)
    return np.array(result)


@pytest.mark.parametrize("n", [4, 40])
def test_distances_by_a_slow_second_way(n, monkeypatch):
    monkeypatch.setattr("consilience.rnagan.distances.MOST_ROWS", 100)
    rng = np.random.default_rng(n)
    references = rng.normal(5, rng.uniform(0.2, 2, 15), (2 * n, 15))
    queries = np.concatenate([rng.normal(5, 1, (4, 15)), references[:2] * 1.5])
    kinds, units = np.arange(2 * n) // n, np.array([f"u{k}" for k in range(2 * n)])
    found, distance = outlyingness(queries, references=references, kinds=kinds, units=units, level=LEVEL)
    ways = [
        slow_outlyingness(queries, references, kinds, units, level=LEVEL / 2, way=way)
        for way in ("left", "whole")
    ]
    slow = np.minimum(*ways)
    np.testing.assert_allclose(found, np.minimum(1.0, 2 * slow).max(axis=1), rtol=1e-6)
    assert (distance[-2:] > distance[:4].max()).all()


def correlated(n: int, n_genes: int, *, seed: int, heavy: bool) -> np.ndarray:
    """Samples as cohorts are: a few strong common axes, genes of unequal spread, some samples of poor quality."""
    shape = np.random.default_rng(99)
    axes, spread = shape.normal(size=(4, n_genes)), shape.uniform(0.2, 1.5, n_genes)
    rng = np.random.default_rng(seed)
    quality = np.exp(0.25 * rng.standard_t(5, n)) if heavy else np.ones(n)
    noise = spread * rng.normal(size=(n, n_genes)) * quality[:, None]
    return (6 + 0.6 * rng.normal(size=(n, 4)) @ axes + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("n", "heavy", "highest"), [(5, False, 0.075), (5, True, 0.09), (12, True, 0.08), (25, True, 0.06)]
)
def test_false_alarms_stay_at_the_stated_level(n, heavy, highest):
    flags = []
    for trial in range(60):
        values = correlated(2 * n + 20, 300, seed=trial, heavy=heavy)
        values[n : 2 * n, :40] += 1.5
        kinds = np.repeat([0, 1], n)
        units = np.array([f"u{k}" for k in range(2 * n)])
        p, _ = outlyingness(
            values[2 * n :], references=values[: 2 * n], kinds=kinds, units=units, level=LEVEL
        )
        flags.append(p <= LEVEL)
    assert np.mean(flags) <= highest


def strangers(values: np.ndarray, kind: str, n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    if kind == "another tissue":
        # five patients do not show their main axes, which then hide all but strong differences
        move = 6.0 if n == 5 else 2.5
        return values + (move * rng.normal(size=values.shape[1]) * (rng.random(values.shape[1]) < 0.3))
    if kind == "genes in another order":
        return np.stack([rng.permutation(row) for row in values])
    if kind == "counts":
        return np.expm1(values)
    return np.zeros_like(values)


@pytest.mark.parametrize("n", [5, 20])
@pytest.mark.parametrize("kind", ["another tissue", "genes in another order", "counts", "empty"])
def test_strangers_are_flagged(kind, n):
    rng = np.random.default_rng(5)
    level = rng.uniform(0, 10, 300)
    values = correlated(2 * n + 20, 300, seed=1, heavy=False) - 6 + level
    kinds, units = np.repeat([0, 1], n), np.array([f"u{k}" for k in range(2 * n)])
    queries = strangers(values[2 * n :], kind, n)
    p, distance = outlyingness(queries, references=values[: 2 * n], kinds=kinds, units=units, level=LEVEL)
    assert (p <= LEVEL).mean() >= 0.95
    assert np.median(distance) > 1.5


def ready(queries: Samples, n: int = 8):
    samples = make_samples(n, n, seed=1, prefix="r")
    return compare(queries, of_kind(samples, "sick"), of_kind(samples, "well"))


def test_genes_not_observed_do_not_count():
    queries = make_samples(4, 4, seed=2, prefix="q")
    measured = np.arange(40) < 30
    spoilt = replace(queries, values=np.where(measured, queries.values, 99.0).astype(np.float32))
    one, other = (novelty(ready(x), level=LEVEL, observed=measured) for x in (queries, spoilt))
    np.testing.assert_array_equal(one.p_value, other.p_value)
    assert novelty(ready(spoilt), level=LEVEL).flag.all()


def test_empty_samples_are_always_flagged():
    queries = make_samples(1, 1, prefix="q")
    queries.values[:] = 5.0
    found = novelty(ready(queries), level=LEVEL)
    assert found.flag.all()
    assert (found.p_value == 0).all()


def test_a_patient_of_either_kind_is_no_stranger():
    """Kinds far apart: both are at home, what lies between them is not."""
    samples = make_samples(30, 30, seed=1, prefix="r", shift=12.0)
    queries = make_samples(20, 20, seed=2, prefix="q", shift=12.0)
    compared = compare(queries, of_kind(samples, "sick"), of_kind(samples, "well"))
    assert novelty(compared, level=LEVEL).flag.mean() < 0.15
    between = replace(
        queries, values=make_samples(20, 20, seed=3, shift=6.0).take(np.arange(20).repeat(2)).values
    )
    between = compare(between, of_kind(samples, "sick"), of_kind(samples, "well"))
    assert novelty(between, level=LEVEL).flag.all()


def test_one_patient_per_kind_cannot_judge():
    found = novelty(ready(make_samples(2, 2, prefix="q"), n=1), level=LEVEL)
    assert not found.flag.any()
    assert np.isnan(found.distance).all()
    assert "cannot be judged" in found.notes[0]


def test_samples_of_one_patient_are_left_out_together():
    """Near copies of one patient do not make everybody else a stranger."""
    one = make_samples(6, 6, seed=1, prefix="r")
    copies = one.take(np.repeat(np.arange(12), 4))
    noise = np.random.default_rng(0).normal(0, 0.01, copies.values.shape).astype(np.float32)
    copies = replace(copies, values=copies.values + noise, names=np.array([f"c{k}" for k in range(48)]))
    queries = make_samples(40, 40, seed=3, prefix="q")
    compared = compare(queries, of_kind(copies, "sick"), of_kind(copies, "well"))
    assert novelty(compared, level=LEVEL).flag.mean() < 0.15
    apart = replace(copies, donors=copies.names)
    compared = compare(queries, of_kind(apart, "sick"), of_kind(apart, "well"))
    assert novelty(compared, level=LEVEL).flag.mean() > 0.5
