"""Solved heads and the references' scale against slow second implementations that form everything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.pathways.wiring import wire
from consilience.rnagan.contrasts import softened as softened_numpy
from consilience.rnagan.networks.one_kind_network import one_kind_rule
from consilience.rnagan.networks.pathway_means_layer import PathwayMeans
from consilience.rnagan.networks.reference_scale_network import (
    Rule,
    gene_weights,
    joined,
    scaled,
    softened,
    within_variance,
)
from consilience.rnagan.networks.solved_head_network import (
    LARGEST_EFFECT,
    as_head,
    james_stein_shares,
    leave_one_out,
    mean_within,
    separation,
    shared_products,
    solve_direction,
    weighted_sum,
)

EXACT = {"rtol": 1e-8, "atol": 1e-9}


def draws(*shape, seed=0, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).to(dtype)


def centred(x):
    return x - x.mean(dim=-2, keepdim=True)


def folds_of(r, s, like=None):
    return leave_one_out(r, s, like=draws(1) if like is None else like)


# --- second implementation: ridge discriminant in the features themselves --------------------------------


def primal_direction(x, positive, shrinkage, slack):
    """Direction and middle of (W + ridge)^-1 (difference of means) * ridge, from samples (m, G)."""
    kinds = [x[positive], x[~positive]]
    means = [kind.mean(axis=0) for kind in kinds]
    within = np.concatenate([kind - mean for kind, mean in zip(kinds, means, strict=True)])
    ridge = shrinkage * (within**2).sum() / len(x) + slack
    direction = ridge * np.linalg.solve(within.T @ within + ridge * np.eye(x.shape[1]), means[0] - means[1])
    return direction, direction @ (means[0] + means[1]) / 2, direction @ (means[0] - means[1])


@settings(max_examples=40)
@given(st.integers(2, 7), st.integers(2, 7), st.integers(1, 9), st.floats(0.01, 30), st.integers(0, 10**6))
def test_dual_direction_is_the_primal_one_and_leaving_out_is_refitting(r, s, n_genes, shrinkage, seed):
    x = draws(r + s, n_genes, seed=seed)
    positive = np.arange(r + s) < r
    x[:r] += 0.7
    query = draws(5, n_genes, seed=seed + 1)
    products = (x @ x.T)[None]
    found = solve_direction(products, folds_of(r, s), torch.tensor(shrinkage, dtype=torch.float64))
    slack = 1e-6 * float(((x - x.mean(dim=0)) ** 2).sum(dim=1).mean()) + 1e-9
    direction, middle, gap = primal_direction(x.numpy(), positive, shrinkage, slack)
    scores = (query @ x.T) @ found.coefficients[0] - found.middle[0]
    np.testing.assert_allclose(scores, query.numpy() @ direction - middle, rtol=1e-6, atol=1e-7)
    assert float(found.gap) == pytest.approx(gap, rel=1e-6, abs=1e-7)
    left_out = found.left_out(products)
    for row in range(r + s):
        rest = np.arange(r + s) != row
        direction, middle, _ = primal_direction(x.numpy()[rest], positive[rest], shrinkage, slack)
        assert float(left_out[row]) == pytest.approx(
            float(x[row].numpy() @ direction - middle), rel=1e-6, abs=1e-7
        )


def test_centring_the_references_changes_no_score():
    x, query = draws(9, 30) + 5, draws(4, 30, seed=1) + 5
    mean = x.mean(dim=0)
    shrinkage = torch.tensor(0.3).double()
    scores = []
    for origin in (torch.zeros(30).double(), mean):
        products = ((x - origin) @ (x - origin).T)[None]
        found = solve_direction(products, folds_of(4, 5), shrinkage)
        scores.append(((query - origin) @ (x - origin).T) @ found.coefficients[0] - found.middle[0])
        scores.append(found.left_out(products))
    torch.testing.assert_close(scores[0], scores[2], rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(scores[1], scores[3], rtol=1e-7, atol=1e-8)


def test_strong_shrinkage_gives_the_difference_of_means():
    x = draws(8, 20)
    products = (x @ x.T)[None]
    found = solve_direction(products, folds_of(3, 5), torch.tensor(1e9).double())
    expected = (folds_of(3, 5).averages[0] - folds_of(3, 5).averages[1]).double()
    torch.testing.assert_close(found.coefficients, expected, rtol=1e-6, atol=1e-6)


# --- James-Stein shares ------------------------------------------------------------------------------------


def slow_shares(features, positive, gate):
    """Of one fold, feature by feature; features (m, k)."""
    one, other = features[positive], features[~positive]
    freedom = max(len(features) - 2, 1)
    spread = np.array([((one[:, k] - one[:, k].mean()) ** 2).sum() + ((other[:, k] - other[:, k].mean()) ** 2).sum()
                       for k in range(features.shape[1])])  # fmt: skip
    varying = np.sort(spread[spread > 0])
    typical = varying[(len(varying) - 1) // 2] / freedom if len(varying) else 0.0
    variance = (spread + 4 * max(typical, 1e-8)) / (len(features) + 2)
    t_square = (one.mean(axis=0) - other.mean(axis=0)) ** 2 / (variance * (1 / len(one) + 1 / len(other)))
    factor = np.array([max(0.0, 1 - gate / max(t, 1e-6)) for t in t_square])
    return factor / max(1.0, factor.sum()) / variance


@settings(max_examples=25)
@given(st.integers(2, 6), st.integers(2, 6), st.integers(1, 8), st.floats(0.1, 6), st.integers(0, 10**6))
def test_shares_are_those_of_every_fold_by_itself(r, s, k, gate, seed):
    features = draws(r + s, k, seed=seed)
    features[:r, 0] += 3
    positive = np.arange(r + s) < r
    found = james_stein_shares(features, folds_of(r, s), torch.tensor(gate).double()).numpy()
    np.testing.assert_allclose(found[0], slow_shares(features.numpy(), positive, gate), rtol=1e-5, atol=1e-7)
    for row in range(r + s):
        rest = np.arange(r + s) != row
        np.testing.assert_allclose(
            found[1 + row], slow_shares(features.numpy()[rest], positive[rest], gate), rtol=1e-5, atol=1e-7
        )


def test_features_that_say_nothing_have_no_share_and_unused_ones_change_nothing():
    features = draws(40, 6)
    features[:20, 0] += 5
    gate = torch.tensor(4.0).double()
    shares = james_stein_shares(features, folds_of(20, 20), gate)[0]
    assert shares[0] > 0
    assert (shares == 0).sum() >= 3
    more = torch.cat([features, torch.zeros(40, 30).double()], dim=1)
    torch.testing.assert_close(james_stein_shares(more, folds_of(20, 20), gate)[0, :6], shares)


def test_products_by_shares_are_weighted_inner_products():
    features, shares = draws(2, 5, 7), draws(2, 6, 7, seed=1).abs()
    found = shared_products(features, shares)
    for task in range(2):
        for fold in range(6):
            expected = features[task] @ torch.diag(shares[task, fold]) @ features[task].T
            torch.testing.assert_close(found[task, fold], expected, **EXACT)


# --- separation and heads ----------------------------------------------------------------------------------


def test_separation_is_the_effect_size_with_pooled_sd():
    scores = draws(9)
    one, other = scores[:4].numpy(), scores[4:].numpy()
    found = separation(scores, folds_of(4, 5), torch.tensor(1.0).double())
    sd = np.sqrt((((one - one.mean()) ** 2).sum() + ((other - other.mean()) ** 2).sum()) / 7)
    assert float(found.sd) == pytest.approx(sd)
    assert float(found.effect) == pytest.approx((one.mean() - other.mean()) / sd)
    assert float(found.middle) == pytest.approx((one.mean() + other.mean()) / 2)


def test_separation_without_variation_or_with_one_reference_is_bounded():
    gap = torch.tensor(3.0).double()
    same = separation(torch.tensor([2.0, 2.0, -1.0, -1.0]).double(), folds_of(2, 2), gap)
    assert float(same.effect) == pytest.approx(LARGEST_EFFECT)
    flat = separation(torch.zeros(4).double(), folds_of(2, 2), gap)
    assert (float(flat.effect), float(flat.sd)) == (0.0, pytest.approx(1.5, abs=1e-4))
    for r, s in ((1, 1), (1, 4), (4, 1)):
        alone = separation(draws(r + s), folds_of(r, s), gap)
        assert (float(alone.effect), float(alone.middle)) == (0.0, 0.0)
        assert float(alone.sd) == pytest.approx(1.5, abs=1e-4)


def test_heads_add_up():
    x = draws(6, 10)
    products = (x @ x.T)[None]
    heads = [
        as_head(
            direction, products, {"genes": direction.coefficients[0], str(number): direction.coefficients[0]}
        )
        for number, amount in enumerate((0.1, 3.0))
        for direction in [solve_direction(products, folds_of(3, 3), torch.tensor(amount).double())]
    ]
    total = weighted_sum(heads, [torch.tensor(2.0).double(), torch.tensor(-1.0).double()])
    for name in ("middle", "left_out", "gap"):
        torch.testing.assert_close(
            getattr(total, name), 2 * getattr(heads[0], name) - getattr(heads[1], name)
        )
    torch.testing.assert_close(total.parts["genes"], 2 * heads[0].parts["genes"] - heads[1].parts["genes"])
    torch.testing.assert_close(total.parts["1"], -heads[1].parts["1"])


def test_mean_within_is_the_mean_squared_distance_from_the_mean():
    x = draws(7, 12)
    found = mean_within((centred(x) @ centred(x).T)[None])
    assert float(found) == pytest.approx(float((centred(x) ** 2).sum(dim=1).mean()))


# --- the scale of the references ---------------------------------------------------------------------------


def test_within_variance_is_pooled():
    one, other = draws(4, 6), draws(3, 6, seed=1) + 8
    variance, freedom = within_variance(one, other)
    expected = (3 * one.var(dim=0) + 2 * other.var(dim=0)) / 5
    assert freedom == 5
    torch.testing.assert_close(variance, expected, **EXACT)
    torch.testing.assert_close(within_variance(one, None)[0], one.var(dim=0), **EXACT)


def test_gene_weights_by_hand():
    variance = torch.tensor([0.0, 1.0, 4.0, 9.0, 100.0]).double()
    observed = torch.tensor([True, True, True, True, False])
    found = gene_weights(variance, exponent=torch.tensor(1.0), floor=torch.tensor(0.5), observed=observed)
    expected = [(v / 4 + 0.5) ** -0.5 for v in (0, 1, 4, 9)]
    np.testing.assert_allclose(found[:4], expected)
    assert float(found[4]) == 0
    units = gene_weights(variance, exponent=torch.tensor(0.0), floor=torch.tensor(0.5), observed=None)
    assert (units == 1).all()
    nothing = gene_weights(torch.zeros(3), exponent=torch.tensor(1.0), floor=torch.tensor(0.5), observed=None)
    assert torch.isfinite(nothing).all()


@pytest.mark.parametrize("masked", [False, True])
def test_scaled_samples_have_mean_0_and_mean_square_1(masked):
    observed = torch.arange(30) % 3 > 0 if masked else None
    weights = draws(30, seed=2).abs() * (1 if observed is None else observed)
    found = scaled(draws(5, 30) + 3, weights, observed).numpy()
    genes = slice(None) if observed is None else observed.numpy()
    np.testing.assert_allclose(found[:, genes].mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose((found[:, genes] ** 2).mean(axis=1), 1, rtol=1e-6)
    if observed is not None:
        assert (found[:, ~genes] == 0).all()


@settings(max_examples=20)
@given(st.booleans(), st.sampled_from(["alone", "tasks", "shared"]), st.integers(0, 10**6))
def test_a_rule_scores_as_if_the_samples_were_scaled(masked, how, seed):
    lead = () if how == "alone" else (3,)
    observed = (draws(25, seed=seed) > -0.5) if masked else None
    weights = [draws(*lead, 25, seed=seed + k).abs() * (1 if observed is None else observed) for k in (1, 2)]
    directions = [draws(*lead, 25, seed=seed + k) * (1 if observed is None else observed) for k in (3, 4)]
    offset, x = (
        draws(*lead, seed=seed + 5),
        draws(*(() if how == "shared" else lead), 4, 25, seed=seed + 6) + 2,
    )
    rule = Rule.of_scaled(weights, directions, offset=offset, observed=observed)
    expected = offset[..., None] + sum(
        (scaled(x, weight, observed) @ direction[..., None])[..., 0]
        for weight, direction in zip(weights, directions, strict=True)
    )
    torch.testing.assert_close(rule.scores(x), expected, rtol=1e-6, atol=1e-8)
    if how == "shared":
        rules = [
            Rule(rule.weights[k : k + 1], rule.directions[k : k + 1], rule.offset[k : k + 1], rule.n_genes)
            for k in range(3)
        ]
        torch.testing.assert_close(joined(rules).scores(x), rule.scores(x))


@pytest.mark.parametrize("masked", [False, True])
def test_softened_values_do_not_know_the_total_and_both_implementations_agree(masked):
    counts = np.random.default_rng(0).gamma(0.5, 40, size=(6, 50))
    observed = np.arange(50) % 4 > 0 if masked else np.ones(50, dtype=bool)
    found = []
    for total in (1e4, 1e6):
        values = np.log1p(counts / counts.sum(axis=1, keepdims=True) * total).astype(np.float32)
        mask = torch.from_numpy(observed) if masked else None
        found.append(softened(torch.from_numpy(values), torch.tensor(1.3), mask))
        np.testing.assert_allclose(
            found[-1], softened_numpy(values, observed, softening=1.3), rtol=2e-5, atol=1e-6
        )
    torch.testing.assert_close(found[0], found[1], rtol=2e-4, atol=2e-4)
    level = counts[:, observed].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found[0], np.log1p(counts * observed / (1.3 * level)), rtol=1e-3, atol=1e-4)


# --- pathways of scaled samples ----------------------------------------------------------------------------

GENES = [f"g{k}" for k in range(12)]
MEMBERS = {"a": [0, 1, 2, 3], "b": [3, 4, 5, 6, 7], "c": [10, 11]}
WIRING = wire(
    {
        "gene": [GENES[k] for ks in MEMBERS.values() for k in ks],
        "pathway": [n for n, ks in MEMBERS.items() for _ in ks],
    },
    genes=GENES,
)


@pytest.mark.parametrize("masked", [False, True])
def test_pathways_are_means_over_observed_genes_and_transposed_in_of_genes(masked):
    layer = PathwayMeans(WIRING, learned=True).double()
    observed = torch.tensor([k not in (1, 5, 10, 11) for k in range(12)]) if masked else None
    kept = [True] * 12 if observed is None else observed.tolist()
    x = draws(2, 3, 12) * (1 if observed is None else observed)
    found = layer.means(x, observed)
    for number, members in enumerate(MEMBERS.values()):
        inside = [k for k in members if kept[k]]
        expected = x[..., inside].mean(dim=-1) if inside else torch.zeros(2, 3).double()
        torch.testing.assert_close(found[..., number], expected, rtol=1e-5, atol=1e-9)
    with torch.no_grad():
        layer.weight.copy_(draws(len(layer.weight), seed=4))  # negative ones too
    of_pathways = draws(2, 3, seed=5)
    through_genes = (x @ layer.of_genes(of_pathways, observed)[..., None])[..., 0]
    torch.testing.assert_close(
        (layer.means(x, observed) @ of_pathways[..., None])[..., 0], through_genes, **EXACT
    )


# --- one kind ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_one_kind_compares_distances(masked):
    observed = torch.arange(20) % 5 > 0 if masked else None
    weights = [draws(20, seed=k).abs() * (1 if observed is None else observed) for k in (1, 2)]
    x, query = draws(6, 20) + draws(20, seed=3), draws(4, 20, seed=4) + draws(20, seed=3)
    both = [scaled(x, weight, observed) for weight in weights]
    rule = one_kind_rule(both, weights, slope=torch.tensor(1.5), shift=torch.tensor(0.25), observed=observed)
    total = np.zeros(4)
    n = 20 if observed is None else int(observed.sum())
    for weight, references in zip(weights, both, strict=True):
        asked, own = scaled(query, weight, observed).numpy(), references.numpy()
        others = [np.delete(own, k, axis=0).mean(axis=0) for k in range(6)]
        left_out = np.array([((own[k] - others[k]) ** 2).sum() / n for k in range(6)])
        distance = np.array([np.mean([((row - mean) ** 2).sum() / n for mean in others]) for row in asked])
        total += (left_out.mean() - distance) / (left_out.std() + 0.1 * left_out.mean() + 0.01)
    np.testing.assert_allclose(rule.scores(query), 1.5 * total / 2 + 0.25, rtol=1e-6)
