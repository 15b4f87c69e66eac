"""The default discriminator against a slow second implementation, its invariances, and what its logits are worth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import ModelError
from consilience.measures.ranking import auc
from consilience.pathways.wiring import wire
from consilience.rnagan.draw_scores import score_draws
from consilience.rnagan.networks.default_network import LARGEST_TRUST, DefaultDiscriminator
from consilience.rnagan.networks.published_network import PublishedDiscriminator
from consilience.rnagan.networks.solved_head_network import LARGEST_EFFECT
from consilience.rnagan.presets import DEFAULT, build_networks

GENES = tuple(f"g{k:02d}" for k in range(40))
HEADS = ["genes", "z_scores", "pathways", "genes_and_contrasts", "contrasts", "strong_genes"]
MEMBERS = {"a": range(8), "b": range(5, 20), "c": [2, 9, 17, 33], "d": range(25, 40), "e": range(12, 30)}


def wiring_of(genes=GENES, members=MEMBERS, names=GENES):
    pairs = [(names[k], name) for name, ks in members.items() for k in ks]
    return wire({"gene": [gene for gene, _ in pairs], "pathway": [name for _, name in pairs]}, genes=genes)


def network(*, seed=1, double=True, stirred=True, **options):
    """With parameters other than the first ones, so that nothing is zero or one by chance."""
    found = DefaultDiscriminator(wiring_of(), vector_size=6, seed=seed, **options).eval()
    if stirred:
        random = np.random.default_rng(seed)
        with torch.no_grad():
            for values in found.parameters():
                values += torch.as_tensor(0.1 * random.normal(size=tuple(values.shape))).float()
            found.gene_mean += torch.from_numpy(random.normal(size=40)).float()
            found.gene_variance += torch.from_numpy(random.random(40)).float()
    return found.double() if double else found


def samples(*shape, seed=0, shift=0.0, dtype=torch.float64):
    """log1p of counts per ten thousand, with zeros; the first ten genes have exp(shift) times the reads."""
    random = np.random.default_rng(seed)
    level = np.random.default_rng(99).gamma(0.7, 20, 40) + 0.5
    rate = level * np.exp(shift * (np.arange(40) < 10)) * random.gamma(4, 0.25, (*shape, 40))
    counts = random.poisson(rate).astype(float) + (np.arange(40) == 39)
    return torch.from_numpy(np.log1p(counts / counts.sum(axis=-1, keepdims=True) * 1e4)).to(dtype)


def three(n=7, r=5, s=4, *, seed=0, shift=0.8, dtype=torch.float64):
    return (samples(n, seed=seed, shift=shift / 2, dtype=dtype), samples(r, seed=seed + 1, shift=shift, dtype=dtype),
            samples(s, seed=seed + 2, dtype=dtype))  # fmt: skip


def close(one, other, tolerance=1e-9):
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


# --- the second implementation: one task, one head, one left-out reference at a time, features formed ------


class ByHand:
    """Numpy only; refits every head without each reference."""

    def __init__(self, net):
        self.w = {name: values.detach().numpy() for name, values in net.state_dict().items()}
        self.e = {name: np.exp(values) for name, values in self.w.items() if name.startswith("log_")}
        self.soften, self.has_pathways = net.soften, net.pathway_layer is not None
        self.wiring = net.wiring

    def softened(self, x):
        if not self.soften:
            return x
        linear = np.exp(np.clip(x, 0, 15)) - 1
        return np.log(linear / (self.e["log_softening"] * linear.mean(axis=1, keepdims=True) + 1e-6) + 1)

    def z(self, x, variance, way):
        typical = np.sort(variance[variance > 0])
        typical = typical[(len(typical) - 1) // 2]
        x = x * (variance / typical + self.e["log_floor"]) ** (-self.w["weight_exponents"][way] / 2)
        return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)

    def pathways(self, z):
        found = []
        for p in range(len(self.wiring.pathways)):
            edges = slice(self.wiring.start[p], self.wiring.start[p + 1])
            weight = self.w["pathway_layer.weight"][edges]
            found.append(z[:, self.wiring.member[edges]] @ weight / (np.abs(weight).sum() + 1e-6))
        return np.stack(found, axis=1)

    def contrasts(self, z):
        values = z @ self.w["gene_contrasts"].T
        return values + self.pathways(z) @ self.w["pathway_contrasts"].T if self.has_pathways else values

    def shares(self, f, positive, gate):
        one, other = f[positive], f[~positive]
        spread = len(one) * one.var(axis=0) + len(other) * other.var(axis=0)
        varying = np.sort(spread[spread > 0])
        typical = max(varying[(len(varying) - 1) // 2] / max(len(f) - 2, 1), 1e-8)
        variance = (spread + 4 * typical) / (len(f) + 2)
        t2 = (one.mean(axis=0) - other.mean(axis=0)) ** 2 / (variance * (1 / len(one) + 1 / len(other)))
        factor = np.maximum(0, 1 - gate / np.maximum(t2, 1e-6))
        return factor / max(1, factor.sum()) / variance

    def discriminant(self, x, positive, shrinkage, slack):
        means = [x[positive].mean(axis=0), x[~positive].mean(axis=0)]
        within = np.concatenate([x[positive] - means[0], x[~positive] - means[1]])
        ridge = shrinkage * (within**2).sum() / len(x) + slack
        small = np.linalg.solve(within @ within.T + ridge * np.eye(len(x)), within @ (means[0] - means[1]))
        direction = means[0] - means[1] - within.T @ small
        return direction, direction @ (means[0] + means[1]) / 2

    def head(self, name, refs, asked, positive):
        """Scores of queries, and of each reference by the others."""
        number = HEADS.index(name)

        def fitted(rows, queries):
            blocks = []
            if name in ("genes", "genes_and_contrasts", "z_scores"):
                way = int(name == "z_scores")
                blocks.append([part / 40**0.5 for part in (refs[way], queries[way])])
            if name not in ("genes", "z_scores"):
                gate = self.e["log_gate"][0 if name == "pathways" else 1]
                of = self.pathways if name == "pathways" else self.contrasts
                share = self.shares(of(refs[1][rows]), positive[rows], gate)
                if name == "genes_and_contrasts":
                    share = share * self.e["log_contrast_share"] * self.spread(refs[0] / 40**0.5)
                blocks.append([of(part) * share**0.5 for part in (refs[1], queries[1])])
            train, test = (np.hstack(part) for part in zip(*blocks, strict=True))
            shrinkage, slack = self.e["log_shrinkage"][number], 1e-6 * self.spread(train) + 1e-9
            direction, middle = self.discriminant(train[rows], positive[rows], shrinkage, slack)
            return test @ direction - middle

        if name == "strong_genes":
            fitted = self.strong_genes(refs[1], positive)
        every = np.arange(len(positive))
        left = [fitted(np.delete(every, k), [way[k : k + 1] for way in refs])[0] for k in every]
        own = fitted(every, refs)
        return fitted(every, asked), np.array(left), own[positive].mean() - own[~positive].mean()

    def strong_genes(self, x, positive):
        """Fits a shrunken centroid to some rows of `x`, and scores the second weighting of others."""

        def parted(rows):
            one, other = x[rows][positive[rows]], x[rows][~positive[rows]]
            return one, other, len(one) * one.var(axis=0) + len(other) * other.var(axis=0)

        def fitted(rows, queries):
            one, other, within = parted(rows)
            varying = np.sort(within[within > 0]) / max(len(rows) - 2, 1)
            typical = max(varying[(len(varying) - 1) // 2], 1e-8)
            variance = (within + 4 * typical) / (len(rows) - 2 + 4)
            difference = one.mean(axis=0) - other.mean(axis=0)
            t = difference / np.sqrt(variance * (1 / len(one) + 1 / len(other)))
            weights = np.sign(t) * np.maximum(np.abs(t) - self.e["log_threshold"], 0) / np.sqrt(variance)
            weights = weights / (np.linalg.norm(weights) + 1e-6)
            return (queries[1] - (one.mean(axis=0) + other.mean(axis=0)) / 2) @ weights

        return fitted

    @staticmethod
    def spread(x):
        return ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()

    @staticmethod
    def apart(left, positive, gap):
        one, other = left[positive], left[~positive]
        squares = ((one - one.mean()) ** 2).sum() + ((other - other.mean()) ** 2).sum()
        difference = one.mean() - other.mean()
        sd = max(np.sqrt(squares / (len(left) - 2) + 1e-12), abs(difference) / LARGEST_EFFECT)
        sd = sd if sd > 1e-5 else abs(gap) / 2 + 1e-5
        return difference / sd, sd, (one.mean() + other.mean()) / 2

    def logits(self, query, positives, negatives):
        pos, neg, asked = (self.softened(x.numpy()) for x in (positives, negatives, query))
        positive = np.arange(len(pos) + len(neg)) < len(pos)
        variance = (
            ((pos - pos.mean(axis=0)) ** 2).sum(axis=0) + ((neg - neg.mean(axis=0)) ** 2).sum(axis=0)
        ) / (len(positive) - 2)
        refs = [self.z(np.vstack([pos, neg]), variance, way) for way in (0, 1)]
        queries = [self.z(asked, variance, way) for way in (0, 1)]
        names = [
            "genes",
            "z_scores",
            *(["pathways"] if self.has_pathways else []),
            "genes_and_contrasts",
            "contrasts",
            "strong_genes",
        ]
        total, left_total, gap_total, first = 0.0, 0.0, 0.0, None
        for name in names:
            scores, left, gap = self.head(name, refs, queries, positive)
            effect, sd, _ = self.apart(left, positive, gap)
            trust = 1.0
            if first is None:
                first = effect
            else:
                place = HEADS.index(name) - 1
                evidence = self.e["log_evidence_trust"][place] * (effect - first) / (2 / len(positive) ** 0.5)
                trust = np.exp(
                    self.w["log_prior_trust"][place] + np.clip(evidence, -LARGEST_TRUST, LARGEST_TRUST)
                )
            total, left_total = total + trust * scores / sd, left_total + trust * left / sd
            gap_total += trust * gap / sd
        effect, sd, middle = self.apart(left_total, positive, gap_total)
        believed = max(effect, 0) ** 3 / (effect**2 + self.e["log_doubt"] / len(positive)) + 0.05
        return self.e["log_gain"] * believed * (total - middle) / sd


@pytest.mark.parametrize("soften", [True, False])
@pytest.mark.parametrize("pathways", ["learned", "none"])
@pytest.mark.parametrize(("r", "s"), [(5, 4), (2, 2), (3, 12)])
def test_logits_are_those_of_the_second_implementation(pathways, soften, r, s):
    net = network(pathways=pathways, soften=soften)
    for seed in range(3):
        query, positive, negative = three(r=r, s=s, seed=10 * seed)
        found = net(query, positive, negative).detach().numpy()
        np.testing.assert_allclose(found, ByHand(net).logits(query, positive, negative), rtol=2e-5, atol=2e-6)


# --- invariances -------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 6), st.booleans(), st.integers(0, 10**6))
def test_any_sizes_order_of_references_and_company_of_queries(r, s, n, soften, seed):
    net = network(soften=soften, double=False).requires_grad_(False)
    query, positive, negative = three(n, r, max(s, 1), seed=seed % 1000, dtype=torch.float32)
    negative = negative if s else None
    logits = net(query, positive, negative)
    assert logits.shape == (n,)
    assert torch.isfinite(logits).all()
    random = np.random.default_rng(seed)
    mixed = net(
        query, positive[random.permutation(r)], None if negative is None else negative[random.permutation(s)]
    )
    size = float(logits.abs().max()) + 1
    assert float((mixed - logits).abs().max()) <= (1e-5 if s else 3e-5) * size
    # another number of queries is another order of sums inside one matrix product
    assert float((net(query[:1], positive, negative) - logits[:1]).abs().max()) <= 1e-4 * size


@pytest.mark.parametrize(("r", "s"), [(5, 4), (1, 4), (1, 1), (4, 0), (1, 0)])
def test_leading_dimensions_equal_a_loop(r, s):
    net = network()
    query, positive, negative = (
        samples(2, 3, 6, shift=0.3),
        samples(2, 3, r, seed=1, shift=0.8),
        samples(2, 3, max(s, 1), seed=2),
    )
    negative = negative if s else None
    observed = torch.from_numpy(np.random.default_rng(0).random((2, 3, 40)) < 0.8)
    for mask in (None, observed, observed[0, 0]):
        found = net(query, positive, negative, observed=mask)
        assert found.shape == (2, 3, 6)
        for a in range(2):
            for b in range(3):
                own = mask if mask is None or mask.ndim == 1 else mask[a, b]
                alone = net(
                    query[a, b], positive[a, b], None if negative is None else negative[a, b], observed=own
                )
                close(found[a, b], alone)
    shared = net(query[0, 0], positive, negative)
    close(shared[1, 2], net(query[0, 0], positive[1, 2], None if negative is None else negative[1, 2]))


def test_genes_in_another_order():
    net, order = network(), np.random.default_rng(5).permutation(40)
    names = tuple(GENES[k] for k in order)
    other = DefaultDiscriminator(wiring_of(names), vector_size=6).eval().double()
    state = net.state_dict()
    for name in ("gene_contrasts", "gene_mean", "gene_variance"):
        state[name] = state[name][..., order]
    other.load_state_dict(state)
    query, positive, negative = three()
    close(other(query[:, order], positive[:, order], negative[:, order]), net(query, positive, negative))
    close(other(query[:, order], positive[:, order]), net(query, positive))
    close(other.vectors(query[:, order]), net.vectors(query))
    close(other.pathway_scores(query[:, order]), net.pathway_scores(query))


@pytest.mark.parametrize("soften", [True, False])
def test_genes_that_were_not_observed_count_nowhere(soften):
    """A model with ten genes more, in its pathways too, gives what the model without them gives."""
    names = (*GENES, *(f"n{k}" for k in range(10)))
    more = {name: [*ks, 40 + number, 45 + number] for number, (name, ks) in enumerate(MEMBERS.items())}
    small = DefaultDiscriminator(wiring_of(), vector_size=6, soften=soften).eval().double()
    large = DefaultDiscriminator(wiring_of(names, more, names), vector_size=6, soften=soften).eval().double()
    with torch.no_grad():
        small.pathway_contrasts += 0.1
        large.pathway_contrasts += 0.1
        large.gene_contrasts[:, :40] = small.gene_contrasts
    observed = torch.arange(50) < 40
    for n_negative in (4, 1, 0):
        query, positive, negative = three(s=max(n_negative, 1))
        kinds = (positive, negative) if n_negative else (positive, None)
        expected = small(query, *kinds)
        for fill in (0.0, 7.0):
            wide = [
                None if x is None else torch.cat([x, torch.full((len(x), 10), fill)], dim=1)
                for x in (query, *kinds)
            ]
            close(large(*wide, observed=observed), expected, 1e-4)  # the small constant in pathway sizes
            close(large.vectors(wide[0], observed=observed), small.vectors(query), 1e-4)
            close(large.pathway_scores(wide[0], observed=observed), small.pathway_scores(query), 1e-4)


def test_a_samples_total_counts_nowhere():
    net = network()
    query, positive, negative = three()
    deep = torch.log1p(torch.expm1(query) * 30)
    close(net(deep, positive, negative), net(query, positive, negative), 1e-4)
    close(net(query, torch.log1p(torch.expm1(positive) / 30), negative), net(query, positive, negative), 1e-4)
    hard = network(soften=False)
    assert (hard(deep, positive, negative) - hard(query, positive, negative)).abs().max() > 1e-2


@pytest.mark.parametrize(("r", "s"), [(5, 4), (1, 4), (1, 1)])
def test_swapped_kinds_flip_the_sign(r, s):
    net = network()
    query, positive, negative = three(r=r, s=s)
    close(net(query, negative, positive), -net(query, positive, negative))


@pytest.mark.parametrize("s", [6, 0])
@pytest.mark.parametrize("masked", [False, True])
def test_over_draws_is_one_call_for_each_draw(s, masked, monkeypatch):
    net = network(double=False)
    query, positive, negative = three(9, 12, 10, dtype=torch.float32)
    observed = np.random.default_rng(1).random(40) < 0.7 if masked else None
    random = np.random.default_rng(0)
    rows = [np.stack([random.permutation(k)[:6] for _ in range(7)]) for k in (12, 10)]
    options = {"query": query.numpy(), "positive": positive.numpy(), "negative": negative.numpy() if s else None,
               "positive_rows": rows[0], "negative_rows": rows[1] if s else None, "observed": observed}  # fmt: skip
    mask, threads = None if observed is None else torch.from_numpy(observed), torch.get_num_threads()
    expected = [
        net(query, positive[a], negative[b] if s else None, observed=mask).detach()
        for a, b in zip(*rows, strict=True)
    ]
    for entries in (1, 2000, 1 << 20):
        monkeypatch.setattr("consilience.rnagan.networks.default_network.BLOCK_ENTRIES", entries)
        np.testing.assert_allclose(score_draws(net, **options), torch.stack(expected), rtol=1e-4, atol=1e-4)
    assert torch.get_num_threads() == threads


# --- gradients and degenerate input ------------------------------------------------------------------------


def degenerate(kind):
    query, positive, negative = three(dtype=torch.float32)
    if kind == "constant genes":
        for x in (query, positive, negative):
            x[:, :20] = 1.5
    elif kind == "genes never read":
        for x in (query, positive, negative):
            x[:, :39] = 0
    elif kind == "samples never read":
        query[0], positive[0], negative[0] = 0, 0, 0
    elif kind == "nothing read at all":
        for x in (query, positive, negative):
            x[:] = 0
    elif kind == "duplicates":
        positive[1:], negative[1:], query[1:] = positive[0], negative[0], query[0]
    elif kind == "one and the same":
        positive[:], negative[:], query[:] = query[0], query[0], query[0]
    elif kind == "query is a reference":
        query[0], query[1] = positive[0], negative[0]
    return query, positive, negative


KINDS = ["as it is", "constant genes", "genes never read", "samples never read", "nothing read at all", "duplicates",
         "one and the same", "query is a reference"]  # fmt: skip


@pytest.mark.parametrize("soften", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(5, 4), (1, 4), (1, 1), (5, 0), (1, 0)])
def test_logits_and_gradients_are_finite_whatever_comes(kind, sizes, soften):
    net = network(double=False, soften=soften).train()
    query, positive, negative = degenerate(kind)
    inputs = [query, positive[: sizes[0]], *([negative[: sizes[1]]] if sizes[1] else [])]
    inputs = [x.clone().requires_grad_(True) for x in inputs]
    logits = net(*inputs)
    assert torch.isfinite(logits).all()
    assert logits.detach().abs().max() < 5000
    logits.sum().backward()
    for name, values in [*net.named_parameters(), *((f"input {k}", x) for k, x in enumerate(inputs))]:
        assert values.grad is None or torch.isfinite(values.grad).all(), name
    assert inputs[0].grad is not None


def test_one_gene_and_one_observed_gene():
    net = DefaultDiscriminator(wire({"gene": ["g"], "pathway": ["p"]}, genes=["g"]), soften=False).eval()
    x = torch.tensor([[1.0], [2.0], [3.0]])
    assert torch.isfinite(net(x, x[:2], x[1:])).all()
    assert torch.isfinite(net(x, x[:2])).all()
    query, positive, negative = three(dtype=torch.float32)
    for observed in (torch.arange(40) == 3, torch.zeros(40, dtype=torch.bool)):
        assert torch.isfinite(network(double=False)(query, positive, negative, observed=observed)).all()


def test_gradients_are_the_derivatives():
    net = network()
    query, positive, negative = three()
    # zeros lie on the edge of what counts can be
    query, positive, negative = (x + 0.1 for x in (query, positive, negative))
    inputs = [x.clone().requires_grad_(True) for x in (query[:2], positive[:3], negative[:3])]
    assert torch.autograd.gradcheck(lambda *x: net(*x), inputs, atol=1e-4, rtol=1e-3, eps=1e-6)
    net(query, positive, negative).sum().backward()
    unused = {"one_kind"}
    for name, values in net.named_parameters():
        assert (values.grad is None) == (name in unused), name
        if values.grad is not None:
            step, entry = 1e-5, np.unravel_index(int(values.grad.abs().argmax()), values.shape)
            ends = []
            for sign in (1, -1):
                with torch.no_grad():
                    values[entry] += sign * step
                    ends.append(float(net(query, positive, negative).sum()))
                    values[entry] -= sign * step
            assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(
                float(values.grad[entry]), rel=1e-3, abs=1e-6
            ), name


def test_a_pathway_depends_on_its_own_genes_only():
    net = network()
    x = samples(3).requires_grad_(True)
    with torch.no_grad():
        assert net.pathway_scores(x).shape == (3, 5)
    z = torch.randn(3, 40, dtype=torch.float64, requires_grad=True)
    net.pathway_layer.means(z, None)[:, 2].sum().backward()
    outside = [k for k in range(40) if k not in MEMBERS["c"]]
    assert (z.grad[:, outside] == 0).all()
    assert (z.grad[:, MEMBERS["c"]] != 0).all()
    assert net.pathway_layer.weight.numel() == sum(len(ks) for ks in MEMBERS.values())


def test_fixed_pathways_are_not_trained_and_none_are_none():
    fixed = network(pathways="fixed")
    query, positive, negative = three()
    fixed(query, positive, negative).sum().backward()
    assert fixed.pathway_layer.weight.grad is None
    none = network(pathways="none")
    assert none.pathway_scores(query).shape == (7, 0)
    assert none.feature_names == GENES
    assert fixed.feature_names == (*MEMBERS, *GENES)


# --- what logits are worth ---------------------------------------------------------------------------------


def gaussian(random, n, shift, *, genes=60):
    """Positives and negatives that differ in fifteen genes, with correlated noise; array-like values."""
    mixing = np.random.default_rng(4).normal(size=(3, genes)) * 0.5
    kind = np.arange(n) % 2 == 0
    x = 7 + random.normal(size=(n, genes)) + random.normal(size=(n, 3)) @ mixing
    x[:, :15] += shift * kind[:, None]
    return torch.from_numpy(x.astype(np.float32)), kind


def plain(n_genes=60):
    genes = [f"g{k}" for k in range(n_genes)]
    pathways = {"gene": genes, "pathway": [f"p{k // 10}" for k in range(n_genes)]}
    net = DefaultDiscriminator(wire(pathways, genes=genes), soften=False).eval()
    with torch.no_grad():
        net.gene_contrasts.zero_()
    return net


def asked(shift, *, n_references=20, n_tasks=40, seed=0):
    """Logits and truths of 40 queries in each of many tasks."""
    net, found, truth = plain(), [], []
    for task in range(n_tasks):
        x, kind = gaussian(np.random.default_rng([seed, task]), 2 * n_references + 40, shift)
        train, rest = kind.copy(), np.arange(len(kind)) >= 2 * n_references
        train[rest] = False
        with torch.no_grad():
            found.append(net(x[rest], x[train], x[~kind & ~rest]).numpy())
        truth.append(kind[rest])
    return np.array(found), np.array(truth)


@pytest.mark.parametrize("shift", [0.5, 0.8])
def test_probabilities_of_gaussian_data_are_about_right(shift):
    logits, truth = asked(shift)
    told = 1 / (1 + np.exp(-logits.astype(float)))
    assert auc(logits.ravel(), truth.ravel()) > 0.65
    # standard error of a share of 1,600 is 0.0125 at most; tasks share references, so four times that
    assert abs(told.mean() - truth.mean()) < 0.05
    edges = np.quantile(told, [0, 0.2, 0.4, 0.6, 0.8, 1])
    for low, high in pairwise(edges):
        inside = (told >= low) & (told <= high)
        assert abs(told[inside].mean() - truth[inside].mean()) < 0.12


def test_noise_gives_chance_and_small_logits():
    logits, truth = asked(0.0, n_tasks=60)
    each = [auc(one, kind) for one, kind in zip(logits, truth, strict=True)]
    # an AUC of 20 against 20 has a standard deviation of 0.092
    assert abs(np.mean(each) - 0.5) < 4 * 0.092 / 60**0.5
    assert np.median(np.abs(logits)) < 0.3
    told = 1 / (1 + np.exp(-logits.astype(float)))
    assert ((told - truth) ** 2).mean() < 0.29


def test_own_kind_scores_higher_with_one_kind_of_reference():
    net = plain()
    for n_references, least in ((20, 0.9), (5, 0.8), (1, 0.6)):
        values = []
        for task in range(20):
            x, kind = gaussian(np.random.default_rng([1, task]), 80, 2.0)
            with torch.no_grad():
                values.append(auc(net(x[40:], x[:40][kind[:40]][:n_references]).numpy(), kind[40:]))
        assert np.mean(values) > least


def test_a_remembered_contrast_helps():
    """The very direction that tells the kinds apart, remembered: a point of AUC from five references each."""
    gain = []
    for task in range(30):
        x, kind = gaussian(np.random.default_rng([2, task]), 70, 0.8)
        told = []
        for remembered in (False, True):
            net = plain()
            with torch.no_grad():
                net.gene_contrasts[0, :15] = remembered / 15**0.5
                told.append(net(x[10:], x[:10][kind[:10]], x[:10][~kind[:10]]).numpy())
        gain.append(auc(told[1], kind[10:]) - auc(told[0], kind[10:]))
    assert np.mean(gain) > 2 * np.std(gain) / 30**0.5


# --- as a preset -------------------------------------------------------------------------------------------


def test_the_default_preset_builds_it_and_seeds_decide():
    one, other, third = (build_networks(DEFAULT, GENES, wiring_of(), seed)[0] for seed in (1, 1, 2))
    assert isinstance(one, DefaultDiscriminator)
    assert not isinstance(one, PublishedDiscriminator)
    query, *_ = three(dtype=torch.float32)
    assert one.vectors(query).shape == (7, 64)
    assert torch.equal(one.vectors(query), other.vectors(query))
    assert not torch.equal(one.vectors(query), third.vectors(query))


def test_vectors_are_of_one_sample_alone():
    net = network()
    query = samples(4, 5)
    close(net.vectors(query)[2, 3], net.vectors(query[2, 3:4])[0])
    assert net.vectors(query).shape == (4, 5, 6)


def test_samples_with_other_genes_are_refused():
    net = network()
    query, positive, negative = three()
    with pytest.raises(ModelError, match="wrong number of genes"):
        net(query[:, :-1], positive, negative)
    with pytest.raises(ModelError, match="wrong number of genes"):
        net.vectors(query[:, :-1])
