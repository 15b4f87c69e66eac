"""Columns of cells as confounders."""

from __future__ import annotations

import numpy as np
import pytest

from consilience.causal.dml.confounders import CONSTANT, ONE_ARM, ONE_DONOR, REPEATED, make_confounders
from consilience.foundation.errors import DataError
from consilience.sources.cells.h5_frames import encoded
from consilience.sources.cells.matrix import Labels

DONOR = np.repeat(np.arange(8), 5)
DISEASE = (np.arange(8) % 2).astype(float)


def text(values) -> Labels:
    """A column of words, one for each donor."""
    return Labels.from_text([values[one] for one in DONOR])


def made(**columns):
    return make_confounders(columns, latents=None, donor=DONOR, disease=DISEASE)


def test_numbers_are_standardised_and_words_have_columns():
    age = text(["31", "42", "53", "64", "31", "42", "53", "60"])
    found = made(age=age, sex=text(list("mfmmffmm")), site=text(list("abcabcab")))
    assert found.names == ("age", "sex=f", "site=b", "site=c")
    assert found.values.mean(0) == pytest.approx(0, abs=1e-12)
    assert found.values.std(0) == pytest.approx(1)
    assert found.used == ("age", "sex", "site")
    assert (
        np.corrcoef(found.values[:, 0], np.array([31, 42, 53, 64, 31, 42, 53, 60.0])[DONOR])[0, 1] > 1 - 1e-9
    )


def test_library_size_is_taken_on_the_logarithm():
    sizes = np.random.default_rng(0).lognormal(8, 1, DONOR.size)
    found = made(library_size=encoded(sizes))
    logged = np.log1p(sizes)
    assert found.values[:, 0] == pytest.approx((logged - logged.mean()) / logged.std())


def test_names_that_look_like_numbers_are_names():
    found = made(batch=text(["1", "1", "2", "2", "3", "3", "1", "1"]))
    assert found.names == ("batch=2", "batch=3")


def test_what_says_nothing_new_is_left_out_by_name():
    twice = text(list("aabbaabb"))
    found = made(site=text(["x"] * 8), one=twice, two=twice)
    assert found.dropped == {"site": CONSTANT, "two=b": REPEATED}
    assert found.used == ("one",)


def test_sums_of_other_columns_are_left_out():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, DONOR.size))
    found = made(a=encoded(a), b=encoded(b), c=encoded(2 * a - b))
    assert found.names == ("a", "b")
    assert found.dropped == {"c": REPEATED}
    assert np.linalg.cond(found.values) < 10


def test_a_batch_of_each_arm_is_left_out_and_told():
    found = made(batch=text(list("cacacaca")), sex=text(list("mfmmffmm")))
    assert found.aliased_with_disease == ("batch",)
    assert found.dropped["batch"] == ONE_ARM
    assert found.names == ("sex=f",)


def test_a_batch_of_each_donor_tells_nothing_of_others():
    found = made(batch=text(list("abcdefgh")))
    assert found.dropped == {"batch": ONE_DONOR}
    assert found.aliased_with_disease == ()


def test_a_batch_with_cases_alone_is_kept_beside_mixed_ones():
    found = made(batch=text(list("aabbaaca")))
    assert found.aliased_with_disease == ()
    assert found.names == ("batch=b", "batch=c")


def test_gaps_are_filled_and_told():
    values = np.array([30.0, 40, np.nan, 50, 60, np.nan, 35, 45])[DONOR]
    found = made(age=encoded(values), sex=Labels.from_text(["mffmffm "[one].strip() for one in DONOR]))
    assert found.gaps == {"age": 0.25}
    assert "age (missing)" in found.names
    assert "sex=missing" in found.names
    assert np.isfinite(found.values).all()


def test_a_column_without_values_is_left_out():
    found = made(age=encoded(np.full(DONOR.size, np.nan)))
    assert found.dropped == {"age": "no values"}
    assert found.values.shape == (DONOR.size, 0)


def test_infinite_numbers_are_refused():
    with pytest.raises(DataError, match="infinite"):
        made(age=encoded(np.where(DONOR == 0, np.inf, DONOR.astype(float))))


def test_latents_are_confounders_too():
    latents = np.random.default_rng(0).normal(3, 5, (DONOR.size, 2))
    found = make_confounders({}, latents=latents, donor=DONOR, disease=DISEASE)
    assert found.names == ("latent 0", "latent 1")
    assert found.values.std(0) == pytest.approx(1)
