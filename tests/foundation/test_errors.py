"""Error messages say what, where, value, allowed and how to mend."""

import pickle

import pytest

from consilience.foundation.errors import (
    ConsilienceError,
    DataError,
    Problem,
    SheetError,
    did_you_mean,
    printable,
)


def test_message_has_every_part():
    error = DataError("not a count", where="a.tsv:3:S1", value=-1.5, allowed="integers >= 0", mend="round it")
    assert str(error) == "a.tsv:3:S1: not a count; found '-1.5'; allowed: integers >= 0. To mend: round it"


def test_many_problems_are_numbered_one_a_line():
    error = SheetError.from_problems([Problem("one", "s:1"), Problem("two", "s:2")])
    assert isinstance(error, SheetError)
    assert str(error).splitlines() == ["2 problems:", "  1. s:1: one", "  2. s:2: two"]


def test_errors_cross_process_borders():
    error = DataError("broken", where="x")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is DataError
    assert (str(again), again.problems) == (str(error), error.problems)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "'plain'"),
        ("tab\there", r"'tab\there'"),
        ("cаse", r"'c\u0430se'"),  # Cyrillic a
        ("x" * 300, "'" + "x" * 80 + "… (300 characters)'"),
    ],
)
def test_printable_shows_what_the_eye_would_miss(value, shown):
    assert printable(value) == (ascii(shown.strip("'")) if "…" in shown else shown)


def test_did_you_mean():
    assert did_you_mean("outlier_mad", ["outlier_mads", "min_count"]) == "did you mean 'outlier_mads'?"
    assert did_you_mean("zzz", ["outlier_mads"]) == ""
    assert did_you_mean("BULK", ["bulk"]) == "did you mean 'bulk'?"


def test_every_error_is_a_consilience_error():
    assert issubclass(SheetError, ConsilienceError)
