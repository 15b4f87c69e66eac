"""Attributions of scorers whose slopes are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import ConfigError, ModelError
from consilience.rnagan.markers.attribution import AttributionSettings, Question, fitted_slope
from consilience.rnagan.markers.integrated_gradients import incompleteness, path_slopes
from consilience.rnagan.markers.occlusion import drops
from consilience.rnagan.markers.own_inputs import own_effects
from consilience.rnagan.markers.registry import ATTRIBUTIONS, attribution
from consilience.rnagan.markers.scorer import ReferenceContrast, gradients, logits
from rnagan.markers.scorers import Centroid, Linear, Product

WHOLE = AttributionSettings(exact_genes=None)


def ask(scorer, *, n: int = 5, genes: int = 12, seed: int = 0) -> Question:
    rng = np.random.default_rng(seed)
    query, positive, negative = (rng.normal(4, 1, (k, genes)).astype(np.float32) for k in (n, 6, 7))
    return Question(scorer, query, positive + 1, negative)


class Smooth(torch.nn.Module):
    """A small smooth network of the query and the mean references."""

    def __init__(self, genes: int = 12, *, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.last = torch.nn.Linear(3 * genes, 16), torch.nn.Linear(16, 1)
        self.drop = torch.nn.Dropout(dropout)

    def forward(self, query, positive, negative):
        sides = [side.mean(0).expand_as(query) for side in (positive, negative)]
        return self.last(
            self.drop(torch.nn.functional.silu(self.first(torch.cat([query, *sides], -1))))
        ).squeeze(-1)


@pytest.mark.parametrize("name", ATTRIBUTIONS)
@pytest.mark.parametrize("exact", [None, 3, 0])
def test_a_linear_scorer_gives_back_its_weights(name: str, exact: int | None) -> None:
    weight = np.random.default_rng(1).normal(size=12)
    found = attribution(name).run(ask(Linear(weight, bias=3)), AttributionSettings(exact_genes=exact))
    np.testing.assert_allclose(found.slope, np.broadcast_to(weight, (5, 12)), atol=2e-4)


def test_occlusion_is_the_difference_of_two_scores() -> None:
    question = ask(Smooth())
    found = attribution("occlusion").run(question, WHOLE)
    for row in range(5):
        for gene in range(12):
            other = question.query[row].astype(np.float64)
            other[gene] = question.neutral[gene]
            both = logits(
                question.scorer, np.stack([question.query[row], other]), question.positive, question.negative
            )
            step = question.query[row, gene] - question.neutral[gene]
            assert found.slope[row, gene] * step == pytest.approx(both[0] - both[1], abs=2e-6)
    assert found.exact.all()


def test_occlusion_of_the_strongest_is_exact_and_of_the_rest_first_order() -> None:
    question = ask(Smooth())
    whole = attribution("occlusion").run(question, WHOLE)
    part = attribution("occlusion").run(question, AttributionSettings(exact_genes=4))
    assert part.exact.sum() == 4
    np.testing.assert_array_equal(part.slope[:, part.exact], whole.slope[:, part.exact])
    slope = gradients(question.scorer, question.query, question.positive, question.negative)
    np.testing.assert_array_equal(part.slope[:, ~part.exact], slope[:, ~part.exact])


def test_a_gene_at_its_reference_value_has_no_occlusion() -> None:
    question = ask(Linear(np.ones(12)))
    query = question.query.copy()
    query[2, 5] = question.neutral[5]
    found = attribution("occlusion").run(
        Question(question.scorer, query, question.positive, question.negative), WHOLE
    )
    assert found.slope[2, 5] == 0


def test_gradients_agree_with_finite_differences() -> None:
    question = ask(Smooth())
    slope = gradients(question.scorer, question.query, question.positive, question.negative)
    for gene in range(12):
        up, down = question.query.astype(np.float64), question.query.astype(np.float64)
        up[:, gene] += 0.01
        down[:, gene] -= 0.01
        change = [logits(question.scorer, x, question.positive, question.negative) for x in (up, down)]
        np.testing.assert_allclose(slope[:, gene], (change[0] - change[1]) / 0.02, atol=2e-4)


@given(st.integers(0, 50))
@settings(max_examples=10)
def test_parts_of_a_path_add_up(seed: int) -> None:
    question = ask(Smooth(), seed=seed)
    found = attribution("integrated_gradients").run(question, AttributionSettings(tolerance=1e-3))
    assert found.error < 1e-3
    slope = path_slopes(question, question.negative_mean, steps=16)
    assert incompleteness(question, question.negative_mean, slope) < 1e-4


def test_a_coarse_path_of_a_bent_score_is_cut_finer_and_told() -> None:
    class Bent(Linear):
        def __call__(self, query, positive, negative):
            return torch.relu(query @ self.weight - 54)

    question = ask(Bent(np.ones(12)))
    coarse = attribution("integrated_gradients").run(question, AttributionSettings(steps=1, most_steps=1))
    fine = attribution("integrated_gradients").run(
        question, AttributionSettings(steps=1, most_steps=64, tolerance=0.01)
    )
    assert fine.error < coarse.error
    assert fine.error < 0.05 < coarse.error


def test_all_attributions_see_a_product_from_the_right_side() -> None:
    question = ask(Product(np.zeros(12), 3, 7, 0.5))
    for method in ATTRIBUTIONS.values():
        found = method.run(question, WHOLE).slope
        assert np.abs(np.delete(found, [3, 7], axis=1)).max() < 1e-6
    elastic = attribution("elasticity").run(question, WHOLE).slope
    np.testing.assert_allclose(elastic[:, 3], 0.5 * question.query[:, 7], rtol=1e-5)


def test_dropout_is_off() -> None:
    from consilience.rnagan.markers.scorer import evaluation

    scorer = evaluation(Smooth(dropout=0.5).train())
    first, second = (attribution("elasticity").run(ask(scorer), WHOLE).slope for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_short_cut_of_a_scorer_is_used() -> None:
    class Quick(Linear):
        calls = 0

        def occluded(self, query, values, positive, negative):
            Quick.calls += 1
            whole = self(query, positive, negative)[:, None]
            return whole - (query - values) * self.weight

    weight = np.arange(12.0)
    question = ask(Quick(weight))
    found = attribution("occlusion").run(question, AttributionSettings(exact_genes=1))
    assert Quick.calls == 1
    assert found.exact.all()
    np.testing.assert_allclose(found.slope, np.broadcast_to(weight, (5, 12)), atol=2e-3)


def test_a_contrast_of_references_is_the_published_difference() -> None:
    question = ask(Centroid())
    both = logits(ReferenceContrast(question.scorer), question.query, question.positive, question.negative)
    one = [
        logits(question.scorer, question.query, side, None) for side in (question.positive, question.negative)
    ]
    np.testing.assert_allclose(both, one[0] - one[1], atol=1e-6)
    drop = drops(question, values=np.zeros(12), genes=np.arange(12))
    assert drop.shape == (5, 12)


def test_own_pathway_inputs_are_read_where_they_are_offered() -> None:
    class WithPathways:
        feature_names = ("A", "B", *(f"G{g}" for g in range(12)))
        weight = torch.tensor([2.0, -1.0] + [0.0] * 12)

        def features(self, x):
            return torch.cat([x[..., :6].mean(-1, keepdim=True), x[..., 6:].mean(-1, keepdim=True), x], -1)

        def of_features(self, query, positive, negative):
            assert positive.shape == (6, 14)
            assert negative.shape == (7, 14)
            return query @ self.weight

        def __call__(self, query, positive, negative):
            return self.of_features(*(self.features(side) for side in (query, positive, negative)))

    question = ask(WithPathways())
    found = own_effects(question, ["B", "A", "C"], positive=np.array([True, True, False, False, False]))
    apart = np.abs(question.positive_mean - question.negative_mean)
    np.testing.assert_allclose(found[:2], [-apart[6:].mean(), 2 * apart[:6].mean()], rtol=1e-4)
    assert np.isnan(found[2])
    assert own_effects(ask(Linear(np.ones(12))), ["A"], positive=np.ones(5, dtype=bool)) is None


# rounded, because the square of 1e-160 has lost its digits
@given(st.lists(st.floats(-5, 5).map(lambda value: round(value, 6)), min_size=2, max_size=20))
def test_the_fitted_slope_of_a_straight_line_is_its_slope(distance: list[float]) -> None:
    d = np.array(distance)[:, None]
    found = fitted_slope(3 * d, d, np.ones(len(d)))
    assert found[0] == pytest.approx(3 if (d**2).sum() > 0 else 0)


def test_bad_scorers_are_told() -> None:
    question = ask(Linear(np.full(12, np.nan)))
    for method in ATTRIBUTIONS.values():
        with pytest.raises(ModelError, match="not numbers"):
            method.run(question, WHOLE)
    with pytest.raises(ModelError, match="wrong shape"):
        logits(lambda q, p, n: q, question.query, question.positive, question.negative)
    with pytest.raises(ConfigError, match="occlusion"):
        attribution("oclusion")


def test_a_scorer_that_ignores_the_query_has_no_slopes() -> None:
    question = ask(
        lambda query, positive, negative: positive.sum() * torch.ones(len(query)) + 0 * query[:, 0]
    )
    assert not attribution("elasticity").run(question, WHOLE).slope.any()
