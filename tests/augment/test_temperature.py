from dataclasses import replace

import numpy as np
import pytest

from consilience.augment.generators.generator import Drawn
from consilience.augment.judging import judge
from consilience.augment.temperature import adaptive, quick_figures, scan
from consilience.augment.temperature_choice import choose
from consilience.augment.temperature_match import (
    FIGURES,
    compared,
    correlation_columns,
    fold_of,
    log_ratios,
    summary_of,
)
from consilience.augment.temperature_parts import explain
from consilience.foundation.errors import ConfigError, DataError, ModelError
from consilience.learning.stopping import TrainingStopped
from latent_gaussian import Cohort, latent_generator

COHORT = Cohort(n_genes=60)


@pytest.fixture(scope="module")
def halves():
    return COHORT.draw(60, 1), COHORT.draw(40, 2)


def fitted_to(samples, *, shrink=1.0, cohort=COHORT):
    return latent_generator(cohort, shrink=shrink).fit(samples, seed=0)


# --- the choice


@pytest.mark.parametrize("shrink", [0.4, 0.5, 1.6])
def test_the_choice_undoes_what_was_shrunk(shrink):
    found = adaptive(latent_generator(COHORT, shrink=shrink), COHORT.draw(80, 4), seed=4)
    assert found.low <= 1 / shrink <= found.high
    assert found.estimate == pytest.approx(1 / shrink, rel=0.15)
    assert found.temperature == found.estimate
    assert not found.one_inside
    assert found.effect
    assert found.mismatch_estimate < 0.5 * found.mismatch_one
    for name in FIGURES:
        assert found.wanted[name] == pytest.approx(1 / shrink, rel=0.3)
    assert "1 is outside" in found.why


def test_one_is_kept_where_it_cannot_be_told_from_the_best():
    found = adaptive(latent_generator(COHORT, shrink=1.0), COHORT.draw(80, 4), seed=4)
    assert found.one_inside
    assert found.temperature == 1.0
    assert found.low < found.estimate < found.high


def test_a_temperature_without_effect_says_so():
    found = adaptive(latent_generator(COHORT, shrink=0.0), COHORT.draw(40, 4), seed=4)
    assert not found.effect
    assert (found.temperature, found.low, found.high, found.one_inside) == (1.0, 0.5, 4.0, True)
    assert "nothing" in found.why
    assert found.ratios["spread"][0] == pytest.approx(found.ratios["spread"][-1])
    assert found.ratios["spread"][0] < 0.9


def test_a_generator_without_temperature_is_not_fitted_at_all():
    seen = []
    found = adaptive(
        latent_generator(COHORT, shrink=1, temperature="", seen=seen), COHORT.draw(40, 1), seed=1
    )
    assert not seen
    assert (found.temperature, found.effect) == (1.0, False)


def test_where_more_than_the_grid_has_is_wanted_the_edge_is_named():
    found = adaptive(latent_generator(COHORT, shrink=0.1), COHORT.draw(60, 4), seed=4)
    assert (found.edge, found.temperature, found.high) == ("high", 4.0, pytest.approx(4.0))
    assert "cannot make them match" in found.why


def test_only_training_donors_are_looked_at_and_no_fit_sees_its_own_fold():
    """Every donor is left out of exactly one fit, and donors of several samples are never parted."""
    everyone, seen = COHORT.draw(60, 3), []
    donors = np.array([f"d{row // 2:02d}" for row in range(len(everyone))])
    everyone = replace(everyone, donors=donors, values=everyone.values.copy())
    train = everyone.take(np.arange(40))
    first = adaptive(latent_generator(COHORT, shrink=0.5, seen=seen), train, seed=3)
    training = set(train.donors.tolist())
    assert all(set(fit) <= training for fit in seen)
    left_out = [donor for fit in seen for donor in sorted(training - set(fit))]
    assert sorted(left_out) == sorted(training)
    # and what happens to test patients changes nothing
    everyone.values[40:] += 100
    again = adaptive(latent_generator(COHORT, shrink=0.5), everyone.take(np.arange(40)), seed=3)
    assert again == first


def test_the_order_of_samples_changes_nothing():
    train = COHORT.draw(40, 5)
    order = np.random.default_rng(0).permutation(40)
    found = [
        adaptive(latent_generator(COHORT, shrink=0.6), one, seed=5) for one in (train, train.take(order))
    ]
    assert found[0].estimate == pytest.approx(found[1].estimate, rel=1e-6)
    assert (found[0].low, found[0].high) == pytest.approx((found[1].low, found[1].high), rel=1e-6)


def test_a_class_of_one_donor_keeps_one_and_few_donors_make_fewer_folds():
    train = COHORT.draw(20, 5)
    lone = train.take(np.r_[0:12, 19])
    assert "one donor" in adaptive(latent_generator(COHORT, shrink=0.5), lone, seed=5).why
    few = train.take(np.r_[0:12, 17:20])
    found = adaptive(latent_generator(COHORT, shrink=0.5), few, seed=5)
    assert found.n_folds == 3
    assert found.low < found.high


@pytest.mark.parametrize("kind", [DataError, ModelError])
def test_a_fit_that_fails_in_a_fold_keeps_one_with_the_reason(kind):
    def fit(samples, **_):
        raise kind("too few patients of a class")

    found = adaptive(replace(latent_generator(COHORT, shrink=0.5), fit=fit), COHORT.draw(40, 1), seed=1)
    assert found.temperature == 1.0
    assert "too few patients of a class" in found.why


@pytest.mark.parametrize("temperatures", [(), (1.0,), (0.0, 1.0), (-1.0, 2.0), (1.0, float("nan"))])
def test_temperatures_that_are_none_are_refused(temperatures):
    with pytest.raises(ConfigError, match="temperatures must be positive"):
        adaptive(latent_generator(COHORT, shrink=1), COHORT.draw(20, 1), seed=1, temperatures=temperatures)


def test_a_fold_of_which_little_can_be_said_moves_little():
    """The criterion weighs figures by their uncertainty: a wild one does not decide."""
    rng = np.random.default_rng(0)
    grid = np.array([0.5, 1.0, 2.0, 4.0])
    parts = np.ones((6, 5, 4, 2, 4))
    parts[..., 0, :3] = np.stack([grid / 2, (grid / 2) ** 2, grid / 2], axis=-1)[None, None]
    parts[..., 0, 3] = np.exp(rng.normal(0, 2.0, size=(6, 5, 1)))
    for fold in range(5):
        parts[fold + 1, fold] = 0
    found = choose(parts, temperatures=grid.tolist())
    assert found.estimate == pytest.approx(2.0, rel=0.15)


def test_a_figure_that_cannot_be_had_is_left_out():
    parts = np.ones((6, 5, 3, 2, 4))
    parts[..., 0, :3] = np.array([0.25, 0.5, 1.0])[:, None]
    parts[..., 3] = np.nan
    for fold in range(5):
        parts[fold + 1, fold] = 0
    found = choose(parts, temperatures=[1.0, 2.0, 4.0])
    assert np.isnan(found.wanted["correlation"])
    assert found.estimate == pytest.approx(4.0)
    assert np.isfinite(found.mismatch_one)


# --- the figures behind it


def test_figures_agree_with_a_slow_second_computation(halves):
    train, held_out = halves
    columns = correlation_columns(train)
    drawn = fitted_to(train, shrink=0.7).sample(np.sort(train.labels), seed=3, temperature=1.5)
    parts = compared(fold_of(train, held_out, columns=columns), summary_of(drawn, columns=columns))
    slope = [
        np.polyfit(held_out.values.std(axis=0, ddof=1), one.values.std(axis=0, ddof=1), 1)[0]
        for one in (drawn, train)
    ]
    assert parts[:, 0] / 40 == pytest.approx(slope, rel=1e-4)
    variance, distance, left = np.zeros((2, 1)), np.zeros((2, 1)), []
    for label in ("ill", "well"):
        real, held, made = (one.values[one.labels == label].astype(float) for one in (train, held_out, drawn))
        variance[0] += len(held) * made.var(axis=0, ddof=1).sum()
        variance[1] += sum(((row - real.mean(axis=0)) ** 2).sum() for row in held) / (1 + 1 / len(real))
        pairs = [np.linalg.norm(a - b) for i, a in enumerate(made) for j, b in enumerate(made) if i != j]
        distance[0] += len(held) * np.mean(pairs)
        distance[1] += len(held) * np.mean([np.linalg.norm(a - b) for a in held for b in real])
        left.append(held - real.mean(axis=0))
    assert parts[:, 1] == pytest.approx(variance[:, 0], rel=1e-5)
    assert parts[:, 2] == pytest.approx(distance[:, 0], rel=1e-5)

    def pairs_of(rows):
        # held-out ones lie about the training means, so they are not centred anew
        rows = rows[:, columns] / np.linalg.norm(rows[:, columns], axis=0)
        return np.array(
            [rows[:, i] @ rows[:, j] for i in range(len(columns)) for j in range(i + 1, len(columns))]
        )

    def within(one):
        return np.concatenate(
            [
                one.values[one.labels == label] - one.values[one.labels == label].mean(axis=0)
                for label in ("ill", "well")
            ]
        ).astype(float)

    held = pairs_of(np.concatenate(left))
    held -= held.mean()
    expected = [40 * held @ pairs_of(within(one)) for one in (drawn, train)]
    assert parts[:, 3] == pytest.approx(expected, rel=1e-4)


def test_training_patients_as_if_drawn_match_in_expectation():
    """The ceiling is the zero of every figure: two halves of a cohort differ by chance only."""
    found = []
    for seed in range(12):
        train, held_out = COHORT.draw(50, 100 + seed), COHORT.draw(10, 200 + seed)
        columns = correlation_columns(train)
        other = COHORT.draw(50, 300 + seed)
        drawn = summary_of(Drawn(other.values, other.labels), columns=columns)
        found.append(compared(fold_of(train, held_out, columns=columns), drawn)[None])
    logs = log_ratios(np.stack(found))[0]
    assert np.abs(logs).max() < 0.12


def test_ratios_without_anything_to_match_are_not_numbers():
    parts = np.ones((3, 2, 2, 4))
    parts[:, :, 1, 1] = 0.0
    parts[:, :, 0, 2] = -1.0
    logs = log_ratios(parts)
    assert np.isnan(logs[:, 1]).all()
    assert np.isfinite(logs[:, [0, 2, 3]]).all()


# --- the scan


def test_spread_and_diversity_rise_with_temperature_and_names_are_those_of_judging(halves):
    train, held_out = halves
    rows = scan(
        fitted_to(train, shrink=0.5), train=train, held_out=held_out, full=False, seed=2,
        temperatures=(0.5, 1.0, 2.0, 4.0),
    )  # fmt: skip
    for name in ("sd_slope", "spread", "diversity"):
        values = [row[name] for row in rows]
        assert values == sorted(values)
        assert values[-1] > 2 * values[0]
    assert [row["temperature"] for row in rows] == [0.5, 1.0, 2.0, 4.0]
    spread_auc = [row["two_sample_spread"] for row in rows]
    assert spread_auc[2] < min(spread_auc[0], spread_auc[3])


def test_quick_figures_are_those_of_judging(halves):
    train, held_out = halves
    drawn = fitted_to(train).sample(np.sort(train.labels), seed=2, temperature=1.0)
    quick = quick_figures(train=train, held_out=held_out, drawn=drawn, seed=2)
    full = judge(train=train, held_out=held_out, drawn=drawn, seed=2).figures
    assert set(quick) <= set(full)
    assert {name: full[name] for name in quick} == pytest.approx(quick, abs=1e-6)


def test_a_full_scan_has_all_figures(halves):
    train, held_out = halves
    (row,) = scan(fitted_to(train), train=train, held_out=held_out, temperatures=(2.0,), seed=2)
    whole = judge(
        train=train, held_out=held_out,
        drawn=fitted_to(train).sample(np.sort(train.labels), seed=2, temperature=2.0), seed=2,
    )  # fmt: skip
    assert {name: value for name, value in row.items() if name != "temperature"} == pytest.approx(
        whole.figures, nan_ok=True
    )


# --- what temperature does


def test_the_parts_are_those_of_the_model(halves):
    train, _ = halves
    found = explain(fitted_to(train, shrink=0.5), train, n_drawn=4000, temperatures=(0.5, 2.0, 4.0))
    real = explain(fitted_to(train, shrink=0.5), train, n_drawn=4000).parts[0]
    loadings = COHORT.parts()[0]
    left = np.concatenate([
        train.values[train.labels == one] - train.values[train.labels == one].mean(axis=0) for one in ("ill", "well")
    ]).astype(float)  # fmt: skip
    whole = (left**2).sum() / (len(train) - 2)
    for part in found.parts:
        assert part.total == pytest.approx(part.latent + part.still)
        assert part.growth == pytest.approx(part.temperature**2, rel=0.03)
        assert part.latent == pytest.approx(
            0.25 * part.temperature**2 * (loadings**2).sum() / whole, rel=0.06
        )
        assert part.still == pytest.approx(COHORT.noise**2 * 60 / whole, rel=0.03)
    assert real.still == found.parts[0].still
    assert found.needed == pytest.approx(2.0, rel=0.15)
    assert [part.temperature for part in found.parts] == [0.5, 1.0, 2.0, 4.0]
    assert "4.0 times" in " ".join(explain(fitted_to(train), train, temperatures=(2.0,)).words)


def test_words_follow_what_is_there(halves):
    train, _ = halves
    still = explain(fitted_to(train, shrink=0.0), train)
    assert "does nothing" in " ".join(still.words)
    assert np.isnan(still.needed)
    noiseless = Cohort(n_genes=60, noise=0.0)
    bare = explain(fitted_to(train, shrink=0.3, cohort=noiseless), train, temperatures=(1.0, 2.0))
    assert "adds no noise" in " ".join(bare.words)
    assert "No temperature up to 2" in " ".join(bare.words)
    about = explain(fitted_to(train), train, sampling="posterior")
    assert "reconstruction of one patient" in " ".join(about.words)


def test_a_temperature_of_nothing_is_refused(halves):
    with pytest.raises(ConfigError, match="positive"):
        explain(fitted_to(halves[0]), halves[0], temperatures=(0.0, 1.0))


def test_a_request_to_stop_is_not_taken_for_a_failed_fit():
    def fit(samples, **_):
        raise TrainingStopped("asked to stop")

    with pytest.raises(TrainingStopped):
        adaptive(replace(latent_generator(COHORT, shrink=0.5), fit=fit), COHORT.draw(40, 1), seed=1)


def test_sampling_about_patients_is_told_from_sampling_the_prior(halves):
    """About a patient i: mean of the class + T-free deviation of i + T × a small one."""
    train, _ = halves

    class About:
        def sample(self, labels, *, seed, temperature=None):
            rng = np.random.default_rng(seed)
            rows = [rng.choice(np.flatnonzero(train.labels == label)) for label in labels]
            noise = 0.1 * temperature * rng.normal(size=(len(labels), 60))
            return Drawn((train.values[rows] + noise).astype(np.float32), labels)

    found = explain(About(), train, sampling="posterior", temperatures=(1.0, 4.0), n_drawn=2000)
    assert found.parts[0].still == pytest.approx(1.0, abs=0.1)
    assert found.parts[0].latent < 0.01
    assert np.isnan(found.parts[0].growth)
    assert "reconstruction of one patient" in " ".join(found.words)


# --- over many cohorts


@pytest.mark.slow
@pytest.mark.parametrize(("n", "shrink"), [(24, 0.5), (60, 1.0)])
def test_the_interval_covers_the_truth(n, shrink):
    cohort, seeds = Cohort(n_genes=60), range(1000, 1060)
    found = [
        adaptive(latent_generator(cohort, shrink=shrink), cohort.draw(n, seed), seed=seed) for seed in seeds
    ]
    covered = np.mean([one.low <= 1 / shrink <= one.high for one in found])
    # 95 % nominal; 0.82 is more than four standard errors of 60 below
    assert covered > 0.82
    errors = np.log([one.estimate * shrink for one in found])
    assert abs(errors.mean()) < 0.03


@pytest.mark.real_data
def test_a_proper_likelihood_keeps_one_on_early_arthritis(kit):
    """The shrunken Gaussian has the patients' spread already: T = 1 is inside, and more spread only hurts."""
    import pandas as pd

    from consilience.augment.generators import generator
    from consilience.learning.samples import Samples

    table = pd.read_csv(kit / "bulk" / "peac_ra_synovium_500genes.rlog.tsv.gz", sep="\t", index_col=0)
    sheet = pd.read_csv(kit / "bulk" / "peac_ra_synovium_500genes.samples.tsv", sep="\t", index_col=0)
    names = sheet.index.to_numpy(dtype=str)
    values = table[list(names)].to_numpy(dtype=np.float32).T
    samples = Samples(
        values, tuple(table.index), names, sheet["Pathotype"].to_numpy(dtype=str), names, names, "rlog"
    )
    found = adaptive(generator("shrunk_gaussian"), samples, seed=0)
    assert found.one_inside
    assert found.ratios["spread"][found.temperatures.index(1.0)] == pytest.approx(1.0, abs=0.1)
    assert found.high < 2
