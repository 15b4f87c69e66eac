"""Rates and stopping are functions of the history."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import ConfigError
from consilience.learning.schedule import Schedule, best_epoch, count_plateaus, finished, rate_factor

VALUES = st.lists(st.none() | st.integers(0, 5).map(float), max_size=30)


def history(values):
    return [{"v": value} for value in values]


def watching(**options):
    return Schedule(**{"epochs": 100, "steps_per_epoch": 2, "monitor": "v", **options})


def test_cosine_falls_from_one_to_nothing():
    schedule = Schedule(epochs=5, steps_per_epoch=4, rate="cosine")
    factors = [rate_factor(schedule, step=step) for step in range(20)]
    assert factors[0] == 1
    assert factors[10] == pytest.approx(0.5)
    assert factors == sorted(factors, reverse=True)
    assert 0 < factors[-1] < 0.01
    assert sum(factors) == pytest.approx(sum(0.5 * (1 + math.cos(math.pi * s / 20)) for s in range(20)))


def test_the_rate_rises_at_first():
    schedule = Schedule(epochs=5, steps_per_epoch=4, warmup_steps=3)
    assert [rate_factor(schedule, step=step) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1, 1])


def test_plateaus_by_hand():
    schedule = watching(rate="plateau", plateau_patience=2)
    #          best  -    -  (1)  best  -    - (2)  -   - (3)
    values = [5.0, 5.0, 6.0, 4.0, 4.5, None, 4.0, 9.0]
    found = [count_plateaus(schedule, history(values[:n])) for n in range(len(values) + 1)]
    assert found == [0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert count_plateaus(watching(), history(values)) == 0
    assert rate_factor(schedule, step=0, plateaus=3) == pytest.approx(0.125)


@given(VALUES, st.booleans())
def test_the_best_epoch_is_the_first_of_the_best(values, larger):
    known = [value for value in values if value is not None]
    found = best_epoch(watching(larger_is_better=larger), history(values))
    if not known:
        assert found is None
    else:
        best = max(known) if larger else min(known)
        assert found == values.index(best) + 1


@given(VALUES, st.integers(1, 6))
def test_it_stops_when_nothing_got_better_for_so_long(values, patience):
    schedule = watching(patience=patience)
    stopped = next((n for n in range(len(values) + 1) if finished(schedule, history(values[:n]))), None)
    if stopped is not None:
        before = [v for v in values[: stopped - patience] if v is not None]
        waited = [v for v in values[stopped - patience : stopped] if v is not None]
        assert all(v >= min(before, default=-1) for v in waited)
    assert finished(watching(epochs=3), history([1.0] * 3))
    assert not finished(watching(epochs=3), history([1.0] * 2))


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"rate": "step"}, {"monitor": "", "rate": "plateau"}])
def test_schedules_that_cannot_be(wrong):
    with pytest.raises(ConfigError):
        watching(**wrong)


def test_only_a_cosine_depends_on_the_number_of_epochs():
    assert watching(epochs=5).identity() == watching(epochs=9).identity()
    assert watching(epochs=5, rate="cosine").identity() != watching(epochs=9, rate="cosine").identity()
