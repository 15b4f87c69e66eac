from dataclasses import asdict, replace

import numpy as np
import pytest

from consilience.augment.collapse import ClassCollapse, collapse, rows_of
from consilience.augment.generators.generator import Drawn
from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples

GENES = 50


def cohort(n, seed, *, rare_share=0.5):
    """Class `split` has two modes, class `whole` one."""
    rng = stream(seed, "modes")
    labels = np.where(np.arange(n) < n // 2, "split", "whole")
    second = (labels == "split") & (np.arange(n) < rare_share * n / 2)
    values = rng.normal(size=(n, GENES)) + 5 + (labels == "split")[:, None] * np.r_[np.ones(5), np.zeros(45)]
    values[second] += 6 * np.r_[np.zeros(30), np.ones(20)]
    names = np.array([f"s{row}" for row in range(n)])
    genes = tuple(f"g{gene}" for gene in range(GENES))
    return Samples(values.astype(np.float32), genes, names, labels, names, np.full(n, "b"), "log"), second


@pytest.fixture(scope="module")
def sets():
    (train, _), (held_out, _), (more, more_second) = (cohort(n, n) for n in (80, 60, 120))
    return train, held_out, more, more_second


def judged(sets, drawn):
    return {one.label: one for one in collapse(train=sets[0], held_out=sets[1], drawn=drawn)}


def test_more_patients_of_the_population_have_not_collapsed(sets):
    found = judged(sets, Drawn(sets[2].values, sets[2].labels))
    for one in found.values():
        assert not one.collapsed
        assert (one.why, one.lost, one.missed > 3, one.seen) == ("", False, False, True)
        assert one.unique_share == 1.0
        assert one.diversity == pytest.approx(one.diversity_ceiling, rel=0.1)
        assert one.coverage > 0.75 * one.coverage_ceiling


def test_the_training_patients_themselves_have_not(sets):
    for one in judged(sets, Drawn(sets[0].values, sets[0].labels)).values():
        assert not one.collapsed
        assert (one.coverage, one.diversity, one.density) == (
            one.coverage_ceiling, pytest.approx(one.diversity_ceiling), one.density_ceiling,
        )  # fmt: skip
        assert one.p == 1.0


def test_a_missing_mode_is_found_in_its_class_only(sets):
    more, second = sets[2], sets[3]
    found = judged(sets, Drawn(more.values[~second], more.labels[~second]))
    assert found["split"].collapsed
    assert "coverage" in found["split"].why
    assert found["split"].missed > 5
    assert found["split"].p < 0.01
    assert not found["whole"].collapsed


def test_a_missing_mode_of_few_patients_is_found_too():
    """A fifth of the class; with five neighbours the balls of its patients would reach the common mode."""
    (train, _), (held_out, _), (more, second) = (cohort(n, n + 1, rare_share=0.35) for n in (100, 80, 120))
    drawn = Drawn(more.values[~second], more.labels[~second])
    (one, _) = collapse(train=train, held_out=held_out, drawn=drawn)
    assert one.collapsed
    assert one.missed >= 7


def test_lost_spread_is_found(sets):
    train, _, more, _ = sets
    values = more.values.copy()
    for label in ("split", "whole"):
        mean = train.values[train.labels == label].mean(axis=0)
        values[more.labels == label] = mean + 0.3 * (values[more.labels == label] - mean)
    for one in judged(sets, Drawn(values, more.labels)).values():
        assert one.collapsed
        assert "diversity" in one.why


def test_too_much_spread_is_scattered_and_not_collapsed(sets):
    train, _, more, _ = sets
    mean = train.values[train.labels == "whole"].mean(axis=0)
    values = np.where((more.labels == "whole")[:, None], mean + 3 * (more.values - mean), more.values)
    found = judged(sets, Drawn(values.astype(np.float32), more.labels))
    assert not found["whole"].collapsed
    assert found["whole"].density < 0.5 * found["whole"].density_ceiling


def test_noise_of_each_gene_alone_does_not_hide_that_all_parts_are_there(sets):
    """In all genes such samples are in nobody's ball."""
    more = sets[2]
    noise = 0.8 * stream(0, "noise").normal(size=more.values.shape)
    found = judged(sets, Drawn((more.values + noise).astype(np.float32), more.labels))
    assert not found["split"].collapsed
    assert found["split"].coverage > 0.75 * found["split"].coverage_ceiling


def test_a_class_that_is_not_drawn_is_lost(sets):
    more = sets[2].take(sets[2].labels == "whole")
    found = judged(sets, Drawn(more.values, more.labels))
    assert found["split"].lost
    assert found["split"].collapsed
    assert found["split"].n_drawn == 0
    assert not found["whole"].lost


def test_repeated_samples_are_found(sets):
    more = sets[2].take(np.r_[np.tile(np.arange(0, 60, 4), 4), np.arange(60, 120)])
    found = judged(sets, Drawn(more.values, more.labels))
    assert "differ" in found["split"].why
    assert found["split"].unique_share == pytest.approx(0.25)
    assert not found["whole"].collapsed


def test_few_patients_are_said_to_show_little(sets):
    train, held_out, more, second = sets
    few = held_out.take(np.r_[0:2, 28:30, 58:60])
    drawn = Drawn(more.values[~second], more.labels[~second])
    (split, whole) = collapse(train=train, held_out=few, drawn=drawn)
    assert not split.seen
    assert not whole.seen
    assert np.isnan(whole.coverage)


def test_the_order_of_rows_changes_nothing(sets):
    rng = np.random.default_rng(1)
    orders = [rng.permutation(len(one)) for one in sets[:3]]
    first = judged(sets, Drawn(sets[2].values, sets[2].labels))
    turned = [one.take(order) for one, order in zip(sets[:3], orders, strict=True)]
    second = judged(turned, Drawn(turned[2].values, turned[2].labels))
    for label in first:
        assert asdict(first[label]) == pytest.approx(asdict(second[label]))


def test_rows_are_flat(sets):
    rows = rows_of(collapse(train=sets[0], held_out=sets[1], drawn=Drawn(sets[2].values, sets[2].labels)))
    assert [row["label"] for row in rows] == ["split", "whole"]
    assert set(rows[0]) == set(ClassCollapse.__dataclass_fields__)


def test_bad_input_is_named(sets):
    train, held_out, more, _ = sets
    with pytest.raises(DataError, match="same genes"):
        collapse(train=train, held_out=held_out, drawn=Drawn(more.values[:, :9], more.labels))
    with pytest.raises(DataError, match="no numbers"):
        collapse(train=train, held_out=held_out, drawn=Drawn(np.full_like(more.values, np.nan), more.labels))
    with pytest.raises(DataError, match="same genes"):
        collapse(
            train=replace(train, genes=train.genes[::-1]),
            held_out=held_out,
            drawn=Drawn(more.values, more.labels),
        )
