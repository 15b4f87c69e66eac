"""The gate, both ways: who hands patients on is refused, who never looked at them passes."""

from dataclasses import replace

import numpy as np
import pytest

from augment.strangers import STRANGER, cohort, counts_of
from consilience.augment.card import card_text
from consilience.augment.generators import generator
from consilience.augment.generators.generator import Drawn
from consilience.augment.judging import judge
from consilience.augment.making import Recipe, labels_wanted, learn, make
from consilience.augment.release import load_model, released, save_model, thresholds_of
from consilience.augment.trial import held_out_parts, run_trial
from consilience.augment.units import Units, logged, units_of
from consilience.foundation.errors import ConfigError, DataError
from consilience.measures.release import release_gate

SAMPLES = cohort(60)
PLAIN = Units(SAMPLES.units, SAMPLES.units)


def release_of(
    key, *, level="balanced", fold=2.0, samples=SAMPLES, units=PLAIN, temperature=None, limits=None
):
    one = STRANGER if key == "stranger" else generator(key)
    recipe = Recipe(one, fold, temperature)
    return released(samples, recipe, units=units, level=level, seed=1, limits=limits), recipe


def test_who_never_looked_passes_at_balanced():
    made, _ = release_of("stranger")
    assert made.passed, made.privacy["reasons"]
    assert len(made.samples) == len(made.values) == 120
    assert made.metrics["kinds"] == [
        {"label": "sick", "real": 20, "synthetic": 40}, {"label": "well", "real": 40, "synthetic": 80},
    ]  # fmt: skip
    assert set(made.samples.names).isdisjoint(SAMPLES.names)
    assert (made.samples.names == made.samples.donors).all()


def test_who_copies_with_a_little_noise_is_refused_and_nothing_is_given_out():
    made, _ = release_of("bootstrap_noise")
    assert not made.passed
    assert made.privacy["reasons"]
    assert len(made.samples) == len(made.values) == 0
    assert all(one["synthetic"] == 0 for one in made.metrics["kinds"])


def test_an_overfitted_generator_fails_the_gate_itself():
    parts = held_out_parts(SAMPLES, seed=1)
    recipe = Recipe(generator("bootstrap_noise"), 2.0)
    learned = learn(parts.train, recipe, seed=1)
    raw = make(parts.train, learned, fold=2.0, units=PLAIN, seed=1, cleaning=False)
    drawn = Drawn(raw.logs, raw.labels)
    leak = judge(train=parts.train, held_out=parts.held_out, drawn=drawn, seed=1).privacy
    verdict = release_gate(leak, thresholds=thresholds_of("balanced"))
    assert {"near copies", "membership AUC (correlation)"} <= {
        reason.name for reason in verdict.reasons if not reason.passed
    }


@pytest.mark.parametrize("level", ["none", "balanced"])
def test_who_knows_the_patients_covariance_passes_without_privacy_only(level):
    made, _ = release_of("shrunk_gaussian", level=level, fold=5.0)
    assert made.passed == (level == "none"), made.privacy["reasons"]
    assert {one["name"] for one in made.privacy["attacks"]} >= {"distance", "correlation"}
    assert made.privacy["near_copies"] == 0


def test_limits_of_the_configuration_replace_those_of_the_level():
    open_gate = {"membership_auc": 1.0, "small_membership_auc": 1.0, "closest_share": 1.0}
    assert release_of("shrunk_gaussian", fold=5.0, limits=open_gate)[0].passed
    closed = release_of("shrunk_gaussian", level="none", fold=5.0, limits={"closest_share": 0.5})[0]
    assert not closed.passed
    assert closed.privacy["limits"]["closest_share"] == 0.5
    assert thresholds_of("strict", {"small_n": 7.0}).small_n == 7
    with pytest.raises(ConfigError):
        thresholds_of("copies")


def test_ten_samples_a_patient_tell_more_than_one_and_are_what_is_judged():
    parts = held_out_parts(SAMPLES, seed=1)
    few, many = (
        run_trial(parts, Recipe(generator("shrunk_gaussian"), fold), units=PLAIN, seed=1)
        for fold in (1.0, 10.0)
    )
    assert few.judged.privacy.n_synthetic == len(parts.train)
    assert many.judged.privacy.n_synthetic == 10 * len(parts.train)
    assert many.judged.figures["membership"] > few.judged.figures["membership"]


def test_near_copies_are_taken_out_at_every_level():
    made, _ = release_of("smote", level="none", fold=3.0)
    assert made.metrics["near_copies_removed"] > 0
    assert made.privacy["near_copies"] == 0
    if made.passed:
        from consilience.measures.copies import find_copies

        assert not find_copies(synthetic=made.samples.values, train=SAMPLES.values).near.any()


def test_counts_stay_counts_and_what_is_judged_is_what_they_show():
    counts = counts_of(SAMPLES)
    units = units_of(counts, units="counts", labels=SAMPLES.labels)
    samples = replace(SAMPLES, values=logged(counts, units="counts"))
    made, _ = release_of("stranger", samples=samples, units=units)
    assert made.passed, made.privacy["reasons"]
    assert (made.values == np.floor(made.values)).all()
    assert made.samples.values == pytest.approx(logged(made.values, units="counts"), abs=1e-5)


def test_the_result_does_not_depend_on_the_order_of_samples():
    order = np.random.default_rng(0).permutation(len(SAMPLES))
    one, two = (
        release_of("shrunk_gaussian", samples=some, level="none")[0]
        for some in (SAMPLES, SAMPLES.take(order))
    )
    assert (one.values == two.values).all()
    assert one.privacy == two.privacy


def test_nobody_is_on_both_sides_and_other_patients_do_not_move_the_split():
    for number in range(3):
        parts = held_out_parts(SAMPLES, seed=1, number=number)
        assert not set(parts.train.donors) & set(parts.held_out.donors)
        assert set(parts.held_out.labels) == {"sick", "well"}
    first = [set(held_out_parts(SAMPLES, seed=1, number=number).held_out.names) for number in range(3)]
    assert len({frozenset(one) for one in first}) == 3
    twice = replace(SAMPLES, donors=np.array([f"p{k // 2}" for k in range(60)]))
    parts = held_out_parts(twice, seed=1)
    assert not set(parts.train.donors) & set(parts.held_out.donors)


def test_too_few_patients_are_not_judged_and_so_not_released():
    made, _ = release_of("shrunk_gaussian", samples=cohort(8), level="none")
    assert not made.passed
    assert "not judged" in made.privacy["reasons"][0]
    assert made.metrics["fidelity"] == {}


def test_a_generator_that_cannot_learn_says_so():
    with pytest.raises(DataError):
        release_of("shrunk_gaussian", samples=SAMPLES.take(np.arange(1)))


@pytest.mark.parametrize("fold", [0.3, 1.0, 2.5, 10.0])
def test_as_many_of_each_class_as_asked_in_rounds_of_the_real_sizes(fold):
    labels = np.array(["a"] * 3 + ["b"] * 10)
    found = labels_wanted(labels, fold=fold)
    for label, n in (("a", 3), ("b", 10)):
        assert (found == label).sum() == max(1, round(fold * n))
    if fold >= 1:
        assert (np.sort(found[:13]) == labels).all()


def test_a_model_folder_draws_what_the_fitted_generator_draws(tmp_path):
    made, recipe = release_of("shrunk_gaussian", level="none")
    assert save_model(tmp_path / "model", made, recipe=recipe, units=PLAIN)
    labels = np.array(["sick", "well", "well"])
    again = load_model(tmp_path / "model").sample(labels, seed=3)
    assert (again.values == made.learned.fitted.sample(labels, seed=3).values).all()
    text = (tmp_path / "model" / "card.md").read_text(encoding="utf-8")
    assert "shrunk_gaussian" in text
    assert "keep it where the patients' data are kept" in text
    for name in SAMPLES.names.tolist():
        assert name not in text


def test_the_card_tells_the_verdict_the_figures_and_what_not_to_do():
    passed, refused = (release_of(key)[0] for key in ("stranger", "bootstrap_noise"))
    text = card_text(passed.metrics, passed.privacy)
    for words in (
        "Yes, at the level of privacy `balanced`",
        "p-values",
        "| sick | 20 | 40 |",
        "membership AUC",
    ):
        assert words in text
    assert f"{passed.metrics['fidelity']['spread']:.3g}" in text
    text = card_text(refused.metrics, refused.privacy)
    assert "No, not at the level of privacy `balanced`" in text
