"""LD from a PLINK panel: genotypes against a slow decoder, correlations against numpy, loci against their definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.panel import first_match, loci_of, split_at_gaps
from consilience.sources.summary_statistics.plink import correlations, open_panel
from served_associations import EQTL_LAYOUTS, GWAS_LAYOUTS, Study, aligned, flipped, prepared, study

CODE = {2: 0b00, -1: 0b01, 1: 0b10, 0: 0b11}
N_PEOPLE = 203  # no multiple of four: the last byte of each variant is not full


def genotypes(n_variants: int, *, seed: int = 0, missing: float = 0.03) -> np.ndarray:
    """Copies of A1 (people, variants), neighbours correlated; -1 where missing."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(N_PEOPLE, 1 + n_variants))
    score = 0.8 * shared[:, :-1] + 0.6 * shared[:, 1:]
    copies = (score > -0.3).astype(int) + (score > 0.7)
    copies[rng.random(copies.shape) < missing] = -1
    return copies


def bed(copies: np.ndarray) -> bytes:
    """The .bed of copies (people, variants), written bit by bit."""
    out = bytearray(b"\x6c\x1b\x01")
    for column in copies.T:
        for start in range(0, len(column), 4):
            byte = 0
            for k, value in enumerate(column[start : start + 4]):
                byte |= CODE[int(value)] << (2 * k)
            out.append(byte)
    return bytes(out)


def panel(v: pd.DataFrame, copies: np.ndarray) -> dict[str, bytes]:
    bim = "".join(f"{r.chr}\t{r.rsid}\t0\t{r.pos}\t{r.a1}\t{r.a2}\n" for r in v.itertuples())
    fam = "".join(f"f{k} i{k} 0 0 0 -9\n" for k in range(len(copies)))
    return {"ref.bed": bed(copies), "ref.bim": bim.encode(), "ref.fam": fam.encode()}


def write_panel(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / "ref.bed"


def slow_r(copies: np.ndarray) -> np.ndarray:
    """Correlations of mean-imputed copies by numpy."""
    filled = copies.astype(float)
    for column in filled.T:
        column[column < 0] = column[column >= 0].mean()
    return np.corrcoef(filled, rowvar=False)


def tables(one: Study) -> dict[str, bytes]:
    (g, gwas), (e, eqtl) = GWAS_LAYOUTS["gwas_ssf"](one.v), EQTL_LAYOUTS["eqtlgen"](one.v)
    return {g: gwas, e: eqtl}


def test_genotypes_come_back_whatever_variants_are_asked(tmp_path: Path) -> None:
    one, copies = study(23), genotypes(23)
    found = open_panel(write_panel(tmp_path, panel(one.v, copies)))
    assert found.n_people == N_PEOPLE
    assert found.name.to_pylist() == one.v["rsid"].tolist()
    wanted = np.array([20, 3, 3, 0])
    assert np.array_equal(found.copies(wanted), copies[:, wanted])


def test_correlations_agree_with_numpy_and_are_a_correlation_matrix() -> None:
    copies = genotypes(40, missing=0.08)
    found = correlations(copies.astype(np.int8), largest_missing=0.2)
    assert found.varies.all()
    assert found.r == pytest.approx(slow_r(copies), abs=2e-6)
    assert np.linalg.eigvalsh(found.r)[0] > -1e-6
    assert found.missing == pytest.approx((copies < 0).mean(axis=0))
    turned = copies.copy()
    turned[:, 5] = np.where(copies[:, 5] < 0, -1, 2 - copies[:, 5])
    again = correlations(turned.astype(np.int8), largest_missing=0.2).r
    assert again[5, :5] == pytest.approx(-found.r[5, :5], abs=1e-6)


def test_variants_that_do_not_vary_or_are_mostly_missing_are_left_out() -> None:
    copies = genotypes(6, missing=0.0).astype(np.int8)
    copies[:, 2] = 1
    copies[: N_PEOPLE // 2, 4] = -1
    copies[:, 5] = -1
    found = correlations(copies, largest_missing=0.1)
    assert found.varies.tolist() == [True, True, False, True, False, False]
    assert found.r.shape == (3, 3)


def test_ld_of_a_panel_is_that_of_the_genotypes_for_the_named_alleles(tmp_path: Path) -> None:
    one, copies = study(60), genotypes(60)
    files = tables(one) | panel(flipped(one, seed=9).v, copies)
    found = prepared(tmp_path, files, eqtl_p=1.0, ld_p=1.0, ld_window_kb=60.0)
    r = pd.DataFrame(slow_r(copies), index=one.v["rsid"], columns=one.v["rsid"])
    assert found.ld["r"].to_numpy() == pytest.approx(
        [r.loc[a, b] for a, b in zip(found.ld["rsid_1"], found.ld["rsid_2"], strict=True)], abs=2e-6
    )
    coded = flipped(one, seed=9).v.set_index("rsid")
    assert found.ld["effect_allele_1"].tolist() == coded.loc[found.ld["rsid_1"], "a1"].tolist()
    assert found.ld["other_allele_2"].tolist() == coded.loc[found.ld["rsid_2"], "a2"].tolist()
    assert found.ld["locus"].nunique() == one.v["chr"].nunique()  # 50 kb apart: one locus a chromosome
    assert set(found.ld["rsid_1"]) == set(one.v["rsid"])
    assert "60 in all three" in found.said("note")
    assert not found.said("alarm")


def test_only_eqtls_with_a_small_p_that_are_in_the_gwas_have_ld(tmp_path: Path) -> None:
    one = study(60)
    part = Study(one.v.iloc[10:])
    files = {"g.tsv": GWAS_LAYOUTS["gwas_ssf"](part.v)[1]} | {"e.txt": EQTL_LAYOUTS["eqtlgen"](one.v)[1]}
    found = prepared(tmp_path, files | panel(one.v, genotypes(60)), eqtl_p=1.0, ld_p=1e-3)
    wanted = part.v.loc[part.v["p"] <= 1e-3, "rsid"]
    assert 0 < len(wanted) < 40
    assert set(found.ld["rsid_1"]) == set(wanted)


def test_a_panel_without_rsids_is_joined_by_place_and_other_alleles_are_left_out(tmp_path: Path) -> None:
    one, copies = study(30), genotypes(30)
    v = one.v.assign(rsid=[f"{c}:{p}" for c, p in zip(one.v["chr"], one.v["pos"], strict=True)])
    found = prepared(tmp_path / "a", tables(one) | panel(v, copies), eqtl_p=1.0, ld_p=1.0)
    assert set(found.ld["rsid_1"]) == set(one.v["rsid"])
    assert "found by place and alleles" in found.said("note")
    other = one.v.copy()
    first = {other.loc[0, "a1"], other.loc[0, "a2"]}
    other.loc[0, ["a1", "a2"]] = ["A", "C"] if first not in ({"A", "C"}, {"G", "T"}) else ["A", "G"]
    found = prepared(tmp_path / "b", tables(one) | panel(other, copies), eqtl_p=1.0, ld_p=1.0)
    assert set(found.ld["rsid_1"]) == set(one.v["rsid"][1:])
    assert "1 variants have other alleles" in found.said("note")


def test_variants_that_do_not_vary_are_counted(tmp_path: Path) -> None:
    one, copies = study(30), genotypes(30, missing=0.0)
    copies[:, 4] = 2
    copies[:50, 7] = -1
    found = prepared(tmp_path, tables(one) | panel(one.v, copies), eqtl_p=1.0, ld_p=1.0)
    assert found.qc["removed_by_reason"] == {
        "LD panel: the variant does not vary": 1, "LD panel: more than 10% of the genotypes missing": 1,
    }  # fmt: skip
    assert set(found.ld["rsid_1"]) == set(one.v["rsid"].drop([4, 7]))


def test_a_large_locus_is_split_and_says_so(tmp_path: Path) -> None:
    one = study(60)
    found = prepared(
        tmp_path, tables(one) | panel(one.v, genotypes(60)), eqtl_p=1.0, ld_p=1.0, ld_max_variants=10
    )
    assert "were split at their widest gaps" in found.said("alarm")
    assert found.ld.groupby("locus")["rsid_1"].nunique().max() <= 10
    assert set(found.ld["rsid_1"]) == set(one.v["rsid"])


def test_too_many_pairs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consilience.sources.summary_statistics.panel.MOST_PAIRS", 100)
    one = study(60)
    with pytest.raises(DataError, match=r"LD of these variants would be [\d,]+ pairs.*at most 100.*ld_p"):
        prepared(tmp_path, tables(one) | panel(one.v, genotypes(60)), eqtl_p=1.0, ld_p=1.0)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 500)), max_size=40), st.integers(1, 60))
def test_loci_are_runs_of_neighbours(places: list[tuple[int, int]], window: int) -> None:
    chromosome = np.array([c for c, _ in places], dtype=np.int8)
    position = np.array([p for _, p in places], dtype=np.int64)
    loci = loci_of(chromosome, position, window=window)
    together = {(int(i), int(j)) for locus in loci for i in locus for j in locus}
    reach = {(i, j) for i in range(len(places)) for j in range(len(places))
             if chromosome[i] == chromosome[j] and abs(position[i] - position[j]) <= window}  # fmt: skip
    grown = True
    while grown:  # the transitive closure, one step at a time
        more = {(i, k) for i, j in reach for j2, k in reach if j == j2} if len(places) <= 12 else reach
        grown, reach = more != reach, more
    assert reach <= together
    if len(places) <= 12:
        assert together == reach


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=80), st.integers(2, 12))
def test_parts_of_a_split_locus_are_its_variants_in_order(positions: list[int], most: int) -> None:
    position = np.sort(np.array(positions, dtype=np.int64))
    parts = split_at_gaps(position, most=most)
    assert np.array_equal(np.concatenate(parts), np.arange(len(position)))
    assert max(map(len, parts)) <= most
    assert len(parts) == 1 or min(map(len, parts)) >= max(most // 4, 1)


def test_first_match_is_the_first_index() -> None:
    assert first_match(np.array([5, 1, 9]), np.array([1, 5, 5, 1])).tolist() == [1, 0, -1]
    assert first_match(np.array([5]), np.array([], dtype=np.int64)).tolist() == [-1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.pop("ref.fam"), r"no ref\.fam beside"),
        (lambda f: f.update({"ref.bed": f["ref.bed"][:-1]}), r"has [\d,]+ bytes, but 12 variants of 203 people take"),
        (lambda f: f.update({"ref.bed": b"\x6c\x1b\x00" + f["ref.bed"][3:]}), "person by person.*--make-bed"),
        (lambda f: f.update({"ref.bim": f["ref.bim"].replace(b"\t10000\t", b"\tfar\t")}), r"ref\.bim:1:position.*'far'"),
        (lambda f: f.update({"ref.bim": f["ref.bim"].replace(b"\t0\t", b"\t", 1)}), r"ref\.bim:1.*5 cells where 6"),
        (lambda f: f.update({"ref.bim": f["ref.bim"][:-3]}), r"ref\.bim.*cut|ref\.bim"),
        (lambda f: f.update({"ref.fam": f["ref.fam"][:-1]}), r"ref\.fam:203.*no line end"),
    ],
    ids=["no fam", "cut bed", "sample-major", "position", "cells", "cut bim", "cut fam"],
)  # fmt: skip
def test_a_damaged_panel_is_refused(change, words: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    one = study(12)
    files = panel(one.v, genotypes(12))
    change(files)
    with pytest.raises(DataError, match=words):
        prepared(tmp_path, tables(one) | files, eqtl_p=1.0, ld_p=1.0)


def test_flipping_every_file_changes_no_aligned_result(tmp_path: Path) -> None:
    one, copies = study(40), genotypes(40)
    plain = prepared(tmp_path / "a", tables(one) | panel(one.v, copies), eqtl_p=1.0, ld_p=1.0)
    turned = flipped(one, seed=5)
    where = (turned.v["a1"] != one.v["a1"]).to_numpy()
    copies[:, where] = np.where(copies[:, where] < 0, -1, 2 - copies[:, where])
    other = prepared(
        tmp_path / "b", tables(flipped(one, seed=6)) | panel(turned.v, copies), eqtl_p=1.0, ld_p=1.0
    )
    for name in ("gwas", "eqtl"):
        first, second = aligned(getattr(plain, name)), aligned(getattr(other, name))
        for column in ("beta", "z", "effect_allele_frequency", "beta_standardised"):
            assert first[column].to_numpy() == pytest.approx(second[column].to_numpy(), nan_ok=True)
    sign = np.where(plain.ld["effect_allele_1"] == other.ld["effect_allele_1"], 1, -1)
    sign = sign * np.where(plain.ld["effect_allele_2"] == other.ld["effect_allele_2"], 1, -1)
    assert plain.ld["r"].to_numpy() == pytest.approx(other.ld["r"].to_numpy() * sign, abs=1e-6)
