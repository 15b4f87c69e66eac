"""Few factors: their moments and formulas, what they leak beside a shrunken Gaussian, and who chose how many."""

from dataclasses import replace

import numpy as np
import pytest

from consilience.augment.generators.classes import parted
from consilience.augment.generators.factor_count import COUNTS, Trials, attacked, chosen_count, inner_trials
from consilience.augment.generators.factor_model import along, common, public_directions, spiked, width_of
from consilience.augment.generators.generator import Drawn
from consilience.augment.generators.private_factors import fit, fitted, restored
from consilience.augment.generators.shrunk_gaussian import fit as fit_shrunk
from consilience.foundation.errors import ConfigError, DataError
from consilience.learning.samples import Samples
from samplers import Population


def samples_of(values, labels, units="log2"):
    n = len(values)
    return Samples(
        values.astype(np.float32),
        tuple(f"g{number}" for number in range(values.shape[1])),
        np.array([f"s{number:03d}" for number in range(n)]),
        labels.astype(str),
        np.array([f"d{number:03d}" for number in range(n)]),
        np.full(n, "one"),
        units,
    )


def planted(n=60, n_genes=300, seed=0, n_factors=3, strength=0.6, wide=0.0):
    """Two classes, `n_factors` common factors, noise of one sd per gene; `wide`: sd of log width of samples."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99)
    loading = strength * truth.standard_normal((n_factors, n_genes))
    labels = np.where(np.arange(n) % 2 == 0, "ill", "well")
    shift = np.where(np.arange(n_genes) % 5 == 0, 1.5, 0.0)
    own = rng.standard_normal((n, n_genes)) * np.exp(wide * rng.standard_normal((n, 1)))
    values = 10 + rng.standard_normal((n, n_factors)) @ loading + own + np.outer(labels == "ill", shift)
    return samples_of(values, labels), loading


def test_a_class_is_drawn_with_its_means_and_spreads():
    samples, _ = planted(n=80)
    labels = np.repeat(["ill", "well"], 4000)
    drawn = fitted(samples, rank=3, level="none").sample(labels, seed=0).values
    for label in ("ill", "well"):
        real, made = samples.values[samples.labels == label], drawn[labels == label]
        away = (made.mean(axis=0) - real.mean(axis=0)) / real.std(axis=0, ddof=1)
        assert np.abs(away).max() < 5 / np.sqrt(4000)
        np.testing.assert_allclose(made.std(axis=0), real.std(axis=0, ddof=1), rtol=0.08)


def test_axes_are_those_of_the_pooled_correlation_matrix():
    """Second way: eigenvectors of the matrix genes × genes, strengths by solving for the true variance."""
    samples, _ = planted(n=40, n_genes=60)
    parts = parted(samples)
    rows = np.concatenate([(part.values - part.mean) / part.values.std(axis=0, ddof=1) for part in parts])
    freedom = 40 - 2
    values, vectors = np.linalg.eigh(rows.T @ rows / freedom)
    values, vectors = values[::-1], vectors[:, ::-1]
    gamma = 60 / freedom
    noise = values[3:].sum() / (freedom - 3) / gamma
    slow = np.zeros((60, 60))
    for number in range(3):
        grid = np.linspace(1 + np.sqrt(gamma), 200, 400_001)
        seen = noise * grid * (1 + gamma / (grid - 1))
        true = grid[np.abs(seen - values[number]).argmin()]
        cosine = (1 - gamma / (true - 1) ** 2) / (1 + gamma / (true - 1))
        slow += noise * (true - 1) * cosine * np.outer(vectors[:, number], vectors[:, number])
    axes = common(parts, 3).axes
    np.testing.assert_allclose(axes.T @ axes, slow, atol=2e-3)


def test_noise_has_no_strength_and_a_strong_factor_keeps_its_own():
    assert spiked(np.array([0.5, 1.0]), rest=1.0, per_patient=10.0) == pytest.approx([0.0, 0.0])
    true, per_patient = 500.0, 10.0  # in units of a gene's noise of 1, that is rest = per_patient
    seen = true * (1 + per_patient / (true - 1))
    found = spiked(np.array([seen]), rest=per_patient, per_patient=per_patient)[0]
    assert found == pytest.approx((true - 1) * (1 - 10 / 499**2) / (1 + 10 / 499))


def test_planted_correlation_is_found_and_more_patients_find_it_better():
    def error(n):
        samples, loading = planted(n=n)
        sd = np.sqrt((loading**2).sum(axis=0) + 1)
        truth = (loading / sd).T @ (loading / sd)
        axes = common(parted(samples), 3).axes
        upper = np.triu_indices(len(truth), 1)
        return np.abs((axes.T @ axes - truth)[upper]).mean() / np.abs(truth[upper]).mean()

    few, many = error(20), error(400)
    assert many < 0.25
    assert many < few / 2


def test_temperature_scales_what_is_joint_and_leaves_the_rest():
    samples, _ = planted(n=80)
    known = fitted(samples, rank=3, level="none")
    labels = np.repeat("ill", 3000)
    cold, hot = (known.sample(labels, seed=1, temperature=t).values for t in (0.0, 2.0))
    part = known.parts[known.classes.index("ill")]
    np.testing.assert_allclose(cold.var(axis=0), part.own**2, rtol=0.2)
    expected = 4 * (part.axes.astype(np.float64) ** 2).sum(axis=0) + part.own**2
    np.testing.assert_allclose(hot.var(axis=0), expected, rtol=0.2)
    off = np.corrcoef(cold.T)[np.triu_indices(300, 1)]
    assert np.abs(off).mean() < 1.3 / np.sqrt(3000)


def test_width_of_samples_is_found_and_drawn_again():
    even, _ = planted(n=120, wide=0.0)
    uneven, _ = planted(n=120, wide=0.3)
    none = np.zeros((0, 300))
    directions = [np.linalg.qr(common(parted(one), 3).axes.T)[0].T for one in (even, uneven)]
    assert width_of(parted(even), directions[0]) < 0.06
    assert width_of(parted(uneven), directions[1]) == pytest.approx(0.3, abs=0.07)
    assert width_of(parted(uneven), none) > 0.1
    made = fitted(uneven, rank=3, level="none").sample(np.repeat("ill", 500), seed=0, temperature=0.0).values
    length = np.linalg.norm(made - made.mean(axis=0), axis=1)
    assert np.log(length).std() == pytest.approx(0.3, abs=0.08)


def leak(make, seed, n=36, m=18):
    rng = np.random.default_rng(seed)
    population = Population(n_genes=300, seed=seed)
    values, labels = population.draw(n + m, rng)
    everyone = samples_of(values, labels, units="log1p of counts")
    train, aside = everyone.take(np.arange(n)), everyone.take(np.arange(n, n + m))
    drawn = make(train).sample(np.repeat(train.labels, 5), seed=seed)
    return max(attacked(train, aside, drawn, ("distance", "correlation")))


def test_fewer_factors_leak_less_than_a_shrunken_gaussian():
    """Over eight planted populations; the margin is several standard errors of the mean difference."""
    of = {
        "strict": lambda train: fit(train, seed=0, options={"privacy": "strict"}),
        "three": lambda train: fitted(train, rank=3, level="balanced"),
        "shrunken": lambda train: fit_shrunk(train, seed=0),
    }
    found = {name: np.array([leak(make, seed) for seed in range(8)]) for name, make in of.items()}
    for name in ("strict", "three"):
        away = found["shrunken"] - found[name]
        assert away.mean() > 3 * away.std(ddof=1) / np.sqrt(8), (name, found)


def test_levels_allow_more_factors_from_strict_to_none():
    samples, _ = planted(n=60, n_factors=6)
    ranks = [
        fit(samples, seed=0, options={"privacy": level}).rank for level in ("strict", "balanced", "none")
    ]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[2]


def test_what_is_kept_is_no_patient_and_spans_few():
    samples, _ = planted(n=60)
    known = fit(samples, seed=0, options={"privacy": "strict"})
    arrays, description = known.to_arrays()
    assert description["keeps_patients"] is False
    residual = np.concatenate([part.values - part.mean for part in parted(samples)])
    residual /= np.linalg.norm(residual, axis=1, keepdims=True)
    for array in arrays.values():
        rows = np.atleast_2d(array).astype(np.float64)
        if rows.shape[1] == residual.shape[1]:
            assert len(rows) < len(samples) / 2
    held = np.linalg.qr(np.concatenate([part.axes for part in known.parts]).T.astype(np.float64))[0]
    # of every patient, most lies outside what is kept
    assert ((residual @ held) ** 2).sum(axis=1).max() < 0.9
    assert restored(arrays, description).level == "strict"
    assert fitted(samples, rank=30, level="none").to_arrays()[1]["keeps_patients"] is True


def test_the_number_follows_the_rule():
    trials = Trials((1, 2, 3, 5), np.array([0.12, 0.14, 0.16, 0.30]))
    assert chosen_count(trials, limit=0.10, more=0.05) == 3
    assert chosen_count(trials, limit=0.0, more=0.0) == 1
    assert chosen_count(trials, limit=1.0, more=0.0) == 5
    assert chosen_count(trials, limit=0.15, more=0.0) == 2
    assert chosen_count(None, limit=0.1, more=0.05) == 1


def test_inner_trials_see_whole_donors_and_only_them():
    samples, _ = planted(n=40, n_genes=50)
    donors = np.array([f"d{number // 2:03d}" for number in range(40)])
    samples = Samples(
        samples.values, samples.genes, samples.names, samples.labels, donors, samples.batches, samples.units
    )
    seen = []

    def draw(inside, k, labels, seed):
        seen.append((frozenset(inside.names.tolist()), frozenset(inside.donors.tolist()), k))
        return fitted(inside, rank=k, level="none").sample(labels, seed=seed)

    trials = inner_trials(samples, draw=draw, seed=0)
    assert trials.counts == tuple(k for k in COUNTS if k < 13)
    for names, inside, _ in seen:
        assert names == {
            str(name) for name, donor in zip(samples.names, donors, strict=True) if donor in inside
        }
        assert len(inside) < 20
    assert len({names for names, _, _ in seen}) == 4


def test_trials_of_a_copier_are_worse_than_those_of_one_who_never_looked():
    samples, _ = planted(n=60)
    stranger, _ = planted(n=200, seed=7)

    def copier(inside, k, labels, seed):
        return Drawn(inside.values, inside.labels)

    def nobody(inside, k, labels, seed):
        return Drawn(stranger.values, stranger.labels)

    copied, clean = (inner_trials(samples, draw=draw, seed=0).leak for draw in (copier, nobody))
    assert copied == pytest.approx(np.full(len(copied), 0.5 * 42 / 60), abs=0.03)
    assert np.abs(clean).max() < 0.15


def test_too_few_patients_for_trials_still_give_a_generator():
    samples, _ = planted(n=10)
    assert inner_trials(samples, draw=None, seed=0) is None
    assert fit(samples, seed=0).rank == 1


def test_the_order_of_samples_does_not_choose_the_number():
    samples, _ = planted(n=50, n_factors=6)
    order = np.random.default_rng(0).permutation(len(samples))
    first, second = fit(samples, seed=3), fit(samples.take(order), seed=3)
    assert first.rank == second.rank
    np.testing.assert_allclose(first.parts[0].own, second.parts[0].own, rtol=1e-5)


def stranger(samples, seed=11, n=200):
    """Other donors of the same population, under other names, genes in another order."""
    values, _ = planted(n=n, seed=seed)
    values = values.of_genes(values.genes[::-1])
    return replace(values, donors=np.char.add("other ", values.donors), names=np.char.add("x", values.names))


def test_public_directions_carry_the_correlation_and_hardly_the_patients():
    """At 24 patients own factors leak beside the means; those of 200 others do not (at 16 the means hide it)."""
    leaks, errors = [], []
    for seed in range(12):
        everyone, loading = planted(n=48, seed=seed)
        train, aside = everyone.take(np.arange(24)), everyone.take(np.arange(24, 48))
        sd = np.sqrt((loading**2).sum(axis=0) + 1)
        truth = ((loading / sd).T @ (loading / sd))[np.triu_indices(300, 1)]
        public = public_directions(stranger(train), train.genes, most=3)
        row = []
        for known in (
            fitted(train, rank=5, level="none"),
            fitted(train, rank=0, level="none", public=public),
        ):
            drawn = known.sample(np.repeat(train.labels, 5), seed=seed)
            row.append(max(attacked(train, aside, drawn, ("distance", "correlation"))))
        leaks.append(row)
        of = [common(parted(train), 5).axes, common(parted(train), 0, public=public).axes]
        errors.append([np.abs((one.T @ one)[np.triu_indices(300, 1)] - truth).mean() for one in of])
    for pair in (np.array(leaks), np.array(errors)):
        away = pair[:, 0] - pair[:, 1]
        assert away.mean() > 2.5 * away.std(ddof=1) / np.sqrt(len(away)), (leaks, errors)


def test_strength_along_known_directions_is_that_of_the_scores_less_the_noise():
    rng = np.random.default_rng(0)
    known = np.linalg.qr(rng.standard_normal((50, 2)))[0].T
    scores = rng.standard_normal((5000, 2)) * np.array([3.0, 0.5])
    axes = along(known, scores, freedom=5000, noise=0.5)
    np.testing.assert_allclose(known @ axes.T @ axes @ known.T, [[8.5, 0], [0, 0]], atol=0.6)


def test_a_reference_is_taken_by_gene_name_and_of_other_donors_only():
    samples, _ = planted(n=24)
    other = stranger(samples)
    known = fit(samples, seed=0, options={"reference": other, "privacy": "strict"})
    straight = fit(samples, seed=0, options={"reference": other.of_genes(samples.genes), "privacy": "strict"})
    np.testing.assert_allclose(known.parts[0].axes, straight.parts[0].axes, atol=1e-5)
    assert known.rank in (0, *COUNTS)
    with pytest.raises(DataError, match="donors of the samples"):
        fit(samples, seed=0, options={"reference": samples})
    with pytest.raises(DataError, match="lacks most"):
        fit(samples, seed=0, options={"reference": other.of_genes(other.genes[:100])})


@pytest.mark.parametrize(
    ("options", "word"),
    [({"privacy": "total"}, "balanced"), ({"rank": -1}, "0 to 1000"), ({"rank": 1.5}, "0 to 1000"), ({"ranks": 3}, "rank"), ({"reference": "a folder"}, "no set of samples")],
)  # fmt: skip
def test_wrong_options_are_refused(options, word):
    samples, _ = planted(n=20, n_genes=20)
    with pytest.raises(ConfigError, match=word):
        fit(samples, seed=0, options=options)
