"""Units: told from values, compared with what the sheet claims, refused with evidence."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.sources.bulk.evidence import look_at
from consilience.sources.bulk.tables import read_count_table
from consilience.sources.bulk.units import Settled, contradiction, guessed, settle_units
from consilience.study.cohorts import UNITS

N_GENES, N_SAMPLES = 3000, 12


def draw(kind: str, *, seed: int = 1, n_samples: int = N_SAMPLES) -> np.ndarray:
    """Values (genes, samples) of one library in any units."""
    rng = stream(seed, "units")
    mean = rng.lognormal(4, 2, (N_GENES, 1)) * (rng.random((N_GENES, 1)) > 0.2)
    counts = rng.poisson(mean * rng.lognormal(0, 0.4, n_samples)).astype(float)
    rate = counts / rng.lognormal(7, 0.7, (N_GENES, 1))
    estimated = counts.copy()
    estimated[::6] = (estimated[::6] * rng.uniform(0.9, 1.1, estimated[::6].shape)).round(2)
    logs = np.log2(counts + 1)
    spread = logs.std(axis=1, keepdims=True)
    centred = logs - logs.mean(axis=1, keepdims=True)
    return {
        "counts": counts,
        "estimated_counts": estimated,
        "tpm": rate / rate.sum(axis=0) * 1e6,
        "cpm": counts / counts.sum(axis=0) * 1e6,
        "fpkm": (rate / counts.sum(axis=0) * 1e9).round(4),
        "intensity": (np.exp2(rng.normal(7, 1.8, (N_GENES, n_samples))) + 20).round(1),
        "log2": logs + rng.normal(0, 0.1, logs.shape),
        "z": np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0),
        "median-centred": logs - np.median(logs, axis=1, keepdims=True) + rng.normal(0, 0.2, logs.shape),
        "ratios": rng.normal(0, 1.2, logs.shape),
        "rounded tpm": np.rint(rate / rate.sum(axis=0) * 1e6),
    }[kind]


def settle(values: np.ndarray, claimed: str = "", *, array: bool = False) -> Settled:
    return settle_units(
        values, claimed=claimed, array=array, where="f.tsv",
        genes=[f"G{k}" for k in range(values.shape[0])], samples=[f"S{k}" for k in range(values.shape[1])],
    )  # fmt: skip


def refusal(values: np.ndarray, claimed: str = "", *, array: bool = False) -> str:
    with pytest.raises(DataError) as caught:
        settle(values, claimed, array=array)
    return str(caught.value)


REAL = ("counts", "estimated_counts", "tpm", "cpm", "fpkm", "intensity", "log2")


@pytest.mark.parametrize("units", REAL)
def test_a_true_claim_is_accepted(units: str) -> None:
    values = draw(units)
    settled = settle(values, units)
    assert settled.units == units
    if units == "estimated_counts":
        np.testing.assert_array_equal(settled.values, np.rint(values))
        assert settled.values.dtype == np.int32
    else:
        np.testing.assert_array_equal(settled.values, values)


FALSE_CLAIMS = {
    ("counts", "log2"): "whole numbers",
    ("counts", "tpm"): "not to a million",
    ("counts", "fpkm"): "all values are whole numbers",
    ("estimated_counts", "counts"): "are not whole numbers",
    ("estimated_counts", "tpm"): "not to a million",
    ("estimated_counts", "log2"): "no logarithm to base 2 reaches 30",
    ("tpm", "counts"): "are not whole numbers",
    ("tpm", "estimated_counts"): "every sample adds up to a million",
    ("tpm", "fpkm"): "every sample adds up to a million",
    ("tpm", "log2"): "no logarithm",
    ("fpkm", "tpm"): "not to a million",
    ("fpkm", "log2"): "no logarithm",
    ("intensity", "log2"): "no logarithm",
    ("intensity", "counts"): "are not whole numbers",
    ("log2", "counts"): "negative|whole",
    ("log2", "intensity"): "logarithms",
    ("log2", "fpkm"): "negative|logarithms",
    ("rounded tpm", "counts"): "every sample adds up to a million",
}


@pytest.mark.parametrize(("kind", "claim"), FALSE_CLAIMS)
def test_a_false_claim_is_refused_with_what_contradicts_it(kind: str, claim: str) -> None:
    with pytest.raises(DataError, match=FALSE_CLAIMS[kind, claim]):
        settle(draw(kind), claim)


@pytest.mark.parametrize("kind", [one for one in REAL if one != "counts"])
def test_sequencing_without_a_claim_must_be_counts_and_the_message_names_the_units(kind: str) -> None:
    text = refusal(draw(kind))
    assert "not a table of counts" in text
    likely = {"cpm": "tpm (or cpm)", "tpm": "tpm (or cpm)"}.get(kind, kind)
    assert f"the values look like {likely}, say so in 'units'" in text
    assert "f.tsv" in text


@pytest.mark.parametrize("kind", ["z", "median-centred", "ratios"])
@pytest.mark.parametrize("claim", UNITS)
@pytest.mark.parametrize("array", [True, False])
def test_centred_values_are_refused_whatever_is_claimed(kind: str, claim: str, array: bool) -> None:
    text = refusal(draw(kind), claim, array=array)
    assert "z-scores, ratios or centred values, in which the level of a gene is lost" in text
    assert "before they were centred" in text


@pytest.mark.parametrize("units", ["intensity", "log2"])
def test_an_array_needs_no_claim(units: str) -> None:
    settled = settle(draw(units), array=True)
    assert settled.units == units
    assert "told from the values" in settled.notes[0]


def test_whole_intensities_of_an_array_are_intensities() -> None:
    assert settle(np.rint(draw("intensity")), array=True).units == "intensity"


def test_logarithms_say_that_their_base_is_unknown() -> None:
    notes = " ".join(settle(draw("log2"), "log2").notes)
    assert "cannot be told" in notes
    decimal = draw("intensity")
    assert "the largest is only" in " ".join(settle(np.log10(decimal), array=True).notes)


def test_how_much_rounding_changed_is_told() -> None:
    values = np.array([[0.4, 2.0], [3.5, 100.25]])
    settled = settle(values, "estimated_counts")
    assert settled.values.tolist() == [[0, 2], [4, 100]]
    assert "3 of 4 values (75 %) changed, by 1 in all" in settled.notes[0]


@pytest.mark.parametrize(
    ("bad", "claim", "words"),
    [
        (np.nan, "", ["missing (NaN)", "first: gene 'G1', sample 'S2'"]),
        (np.nan, "estimated_counts", ["of the values are missing"]),
        (np.inf, "", ["infinite", "logarithms of 0", "gene 'G1', sample 'S2'"]),
        (-np.inf, "log2", ["infinite", "offset"]),
        (-3.0, "", ["negative", "-3"]),
        (2.0**60, "", ["not a table of counts", "1.15292e+18"]),
    ],
)
def test_single_bad_values_are_named(bad: float, claim: str, words: list[str]) -> None:
    values = draw("counts", n_samples=4)
    values[1, 2] = bad
    text = refusal(values, claim)
    assert all(word in text for word in words), text


def test_gaps_stay_gaps_outside_counts_and_too_many_are_refused() -> None:
    values = draw("log2")
    values[5, 3] = np.nan
    assert np.isnan(settle(values, "log2").values[5, 3])
    values[: N_GENES // 2, : N_SAMPLES // 2] = np.nan
    with pytest.raises(DataError, match=r"25 % of the values are missing, more than 20%"):
        settle(values, "log2")


def test_counts_take_half_the_memory_unless_one_is_too_large() -> None:
    assert settle(np.array([[1.0, 2.0]])).values.dtype == np.int32
    assert settle(np.array([[1.0, 2.0**40]])).values.tolist() == [[1, 2**40]]


def test_scaled_tpm_is_no_tpm_and_a_part_of_the_genes_is_noted() -> None:
    values = draw("tpm")
    for factor in (0.4, 1.1, 10):
        with pytest.raises(DataError, match="not to a million"):
            settle(values * factor, "tpm")
    assert "seems to lack genes" in " ".join(settle(values * 0.8, "tpm").notes)


@given(seed=st.integers(0, 10**6), kind=st.sampled_from([*REAL, "z", "ratios"]))
def test_the_order_of_genes_and_samples_changes_nothing(seed: int, kind: str) -> None:
    values = draw(kind)
    rng = stream(seed, "order")
    mixed = values[rng.permutation(N_GENES)][:, rng.permutation(N_SAMPLES)]
    first, second = look_at(values), look_at(mixed)
    assert (
        guessed(first) == guessed(second) == ("" if kind in {"z", "ratios"} else kind.replace("cpm", "tpm"))
    )
    for units in filter(None, UNITS):
        assert bool(contradiction(units, first)) == bool(contradiction(units, second))


def test_evidence_is_what_a_slow_count_finds() -> None:
    values = draw("log2")
    values[3, 4], values[7, 1] = np.nan, 0
    found = look_at(values)
    cells = [float(cell) for cell in values.ravel()]
    known = [cell for cell in cells if cell == cell]
    assert found.n_missing == len(cells) - len(known) == 1
    assert found.n_negative == sum(cell < 0 for cell in known)
    assert found.n_zero == sum(cell == 0 for cell in known)
    assert found.n_fractions == sum(cell != int(cell) for cell in known)
    assert (found.lowest, found.highest) == (min(known), max(known))
    np.testing.assert_allclose(found.sums, np.nansum(values, axis=0))
    assert all(one <= two for one, two in pairwise(sorted(found.sums)))


@pytest.mark.real_data
def test_real_matrices_are_what_they_are_known_to_be(kit: Path) -> None:
    series = read_count_table(kit / "geo_as_served" / "GSE97165_GEO_count_matrix.txt.gz")
    with pytest.raises(
        DataError, match=r"11\.8 % of 958,626 values.*27\.2 to 55\.9 million.*estimated_counts"
    ):
        series.settled()
    estimated = series.settled("estimated_counts")
    assert "113,144 of 958,626" in estimated.notes[0]
    rlog = read_count_table(kit / "bulk" / "peac_ra_synovium_500genes.rlog.tsv.gz")
    with pytest.raises(DataError, match="look like log2"):
        rlog.settled()
    assert rlog.settled("log2").units == "log2"
    assert rlog.settled(array=True).units == "log2"
    array = pd.read_csv(
        kit / "geo_as_served" / "GSE55235_series_matrix.txt.gz", sep="\t", comment="!", index_col=0
    ).to_numpy()
    assert (array == 0).any()
    assert settle(array, array=True).units == "intensity"
    assert "look like intensity" in refusal(array)
    assert "18066.8" in refusal(array, "log2")
    for name in ("tcga_kich", "tcga_chol", "tcga_lihc_kirc_thca_normals", "gtex_kidney_bladder"):
        assert read_count_table(kit / "bulk" / f"{name}.counts.parquet").settled().units == "counts"


@pytest.mark.parametrize(("n_samples", "fine"), [(1, True), (2, True), (3, False), (8, False)])
def test_one_library_or_two_may_have_a_million_reads(n_samples: int, fine: bool) -> None:
    counts = np.full((100, n_samples), 10_000)
    names = {"genes": [f"G{k}" for k in range(100)], "samples": [f"S{k}" for k in range(n_samples)]}
    if fine:
        assert settle_units(counts, claimed="counts", array=False, where="w", **names).units == "counts"
    else:
        with pytest.raises(DataError, match="every sample adds up to a million"):
            settle_units(counts, claimed="counts", array=False, where="w", **names)
