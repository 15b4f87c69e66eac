"""LD that others computed: bare squares, named squares, PLINK's pairs; and what cannot be signed correlations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.ld import read_long_ld, read_named_ld, seems_squared
from served_associations import GWAS_LAYOUTS, named, pairs, prepared, study

WHOLE = study(20)
GWAS = {"g.tsv": GWAS_LAYOUTS["gwas_ssf"](WHOLE.v)[1]}
NAMES = WHOLE.v["rsid"].tolist()


def r_matrix(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.corrcoef(rng.normal(size=(60, n)), rowvar=False).round(5)


@pytest.mark.parametrize("form", ["named", "named csv", "pairs"])
def test_the_same_matrix_in_every_form(form: str, tmp_path: Path) -> None:
    r = r_matrix(12)
    content = {"named": named(NAMES[:12], r), "named csv": named(NAMES[:12], r, corner="SNP", separator=","),
               "pairs": pairs(NAMES[:12], r)}[form]  # fmt: skip
    found = prepared(tmp_path, GWAS | {"L1.ld.tsv": content})
    first, second = np.triu_indices(12)
    assert found.ld["r"].to_numpy() == pytest.approx(r[first, second], abs=1e-9)
    assert found.ld["rsid_2"].tolist() == [NAMES[k] for k in second]
    assert set(found.ld["locus"]) == {"L1"}
    assert found.ld["effect_allele_1"].isna().all()
    assert "1 LD matrices name no alleles" in found.said("alarm")
    assert found.qc["smallest_eigenvalue"] == pytest.approx(np.linalg.eigvalsh(r)[0])


def test_r_squared_by_name_is_refused_and_by_its_values_alarms(tmp_path: Path) -> None:
    r = r_matrix(16)
    with pytest.raises(DataError, match=r"L1\.ld:1: holds r² \(column R2\).*plink --r"):
        prepared(tmp_path / "a", GWAS | {"L1.ld": pairs(NAMES[:16], r**2, column="R2")})
    found = prepared(tmp_path / "b", GWAS | {"L1.ld.tsv": named(NAMES[:16], r**2)})
    assert "are they r² instead of r?: L1" in found.said("alarm")
    assert seems_squared(r**2)
    assert not seems_squared(r)
    assert not seems_squared((r**2)[:5, :5])  # too few to tell


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"\nrs101\t", b"\nrs999\t", "does not name the same variants"),
        (b"\t1.0\n", b"\tone\n", "not a number"),
        (b"\t1.0\n", b"\n", "numbers in a row for 12 variants"),
        (b"\t1.0\n", b"\tNA\n", "finite"),
    ],
)
def test_a_named_matrix_that_is_not_square_or_whole_is_refused(
    old: bytes, new: bytes, words: str, tmp_path: Path
) -> None:
    content = named(NAMES[:12], r_matrix(12))
    at = content.rindex(old) if old != b"\nrs101\t" else content.index(old)
    (tmp_path / "L.ld.tsv").write_bytes(content[:at] + new + content[at + len(old) :])
    with pytest.raises(DataError, match=words):
        read_named_ld(tmp_path / "L.ld.tsv", locus="L")


def test_a_missing_pair_is_refused_and_an_unlisted_one_is_zero(tmp_path: Path) -> None:
    r = r_matrix(4)
    content = pairs(NAMES[:4], r)
    lines = content.splitlines(keepends=True)
    path = tmp_path / "L.ld"
    path.write_bytes(b"".join(lines[:-1]))
    assert read_long_ld(path, locus="L").r[2, 3] == 0.0
    path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(str(r[2, 3]).encode(), b"nan")]))
    with pytest.raises(DataError, match=r"L\.ld:7:R: a missing correlation"):
        read_long_ld(path, locus="L")
    path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(str(r[2, 3]).encode(), b"1.5")]))
    with pytest.raises(DataError, match=r"L\.ld:7:R.*'1\.5'.*-1 to 1"):
        read_long_ld(path, locus="L")


def test_a_bare_square_needs_a_list_of_its_variants(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no L1\.snps\.tsv beside this matrix.*add the list"):
        prepared(tmp_path, GWAS | {"L1.ld": b"1 0.5\n0.5 1\n"})
