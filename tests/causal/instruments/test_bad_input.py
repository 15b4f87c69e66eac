"""What is wrong with a cohort is a named error, a reason, a flag or an alarm with numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal.instruments.prepared import ALLELES, changed, cohort, run, save, with_effects
from consilience.causal.instruments.ld_check import agreement
from consilience.causal.instruments.ld_table import read_ld
from consilience.causal.instruments.study import write_instruments
from consilience.foundation.errors import DataError
from consilience.study.causal import InstrumentsSection

BASE = cohort(n_loci=6, seed=1)
GENE = "ENSG00000000000"


def flags(found, gene: str = GENE) -> set[str]:
    return set(found.genes.set_index("gene").loc[gene, "flags"].split(";"))


def reasons(found) -> dict[str, int]:
    return found.instruments["reason"].value_counts().to_dict()


def test_alleles_that_do_not_fit_are_no_instruments(tmp_path: Path) -> None:
    wrong = BASE.gwas["rsid"].isin(BASE.gwas["rsid"][::3])
    gwas = BASE.gwas.copy()
    gwas.loc[wrong, list(ALLELES)] = [["A", "T"]] * int(wrong.sum())
    found = run(changed(BASE, gwas=gwas), tmp_path)
    names = set(gwas.loc[wrong, "rsid"])
    table = found.instruments
    assert set(table.loc[table["variant"].isin(names), "reason"]) == {"allele_mismatch"}
    assert "allele_mismatch" not in set(table.loc[~table["variant"].isin(names), "reason"])


def test_alleles_of_the_ld_are_looked_at_too(tmp_path: Path) -> None:
    name = run(BASE, tmp_path / "a").inputs[GENE].variants[0]
    ld = BASE.ld.copy()
    for side in "12":
        ld.loc[ld[f"rsid_{side}"] == name, f"effect_allele_{side}"] = "A"
        ld.loc[ld[f"rsid_{side}"] == name, f"other_allele_{side}"] = "T"
    found = run(changed(BASE, ld=ld), tmp_path / "b")
    assert set(found.instruments.query("variant == @name")["reason"]) == {"allele_mismatch"}


def test_no_shared_names_is_an_alarm_and_every_gene_is_named(tmp_path: Path) -> None:
    found = run(changed(BASE, gwas=BASE.gwas.assign(rsid="x" + BASE.gwas["rsid"])), tmp_path)
    assert "no variant of the eQTL table is in the GWAS" in found.alarms()
    assert set(found.genes["gene"]) == set(BASE.eqtl["ensembl_id"])
    assert set(found.genes["flags"]) == {"no_instruments"}
    assert not found.inputs


@pytest.mark.parametrize("empty", ["gwas", "eqtl"])
def test_an_empty_table_gives_empty_results_and_says_so(empty: str, tmp_path: Path) -> None:
    found = run(changed(BASE, **{empty: getattr(BASE, empty).iloc[:0]}), tmp_path)
    assert not found.inputs
    assert found.alarms()
    assert len(found.genes) == (0 if empty == "eqtl" else BASE.eqtl["ensembl_id"].nunique())


def test_without_ld_a_gene_has_its_strongest_variant(tmp_path: Path) -> None:
    found = run(changed(BASE, ld=BASE.ld.iloc[:0]), tmp_path)
    assert "no LD" in found.alarms()
    for gene, one in found.inputs.items():
        rows = BASE.eqtl[BASE.eqtl["ensembl_id"] == gene]
        assert one.variants == (rows.loc[rows["z"].abs().idxmax(), "rsid"],)
        assert {"no_ld", "one_variant"} <= flags(found, gene)


def in_wrong_order(ld: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same matrices under names (and alleles) in another order."""
    rng, parts = np.random.default_rng(seed), []
    for _, part in ld.groupby("locus"):
        own = part[part["rsid_1"] == part["rsid_2"]]
        places = dict(zip(own["rsid_1"], rng.permutation(len(own)), strict=True))
        turned = part.copy()
        for side in "12":
            place = part[f"rsid_{side}"].map(places).to_numpy()
            for name in ("rsid", *ALLELES):
                turned[f"{name}_{side}"] = own[f"{name}_1"].to_numpy()[place]
        parts.append(turned)
    return pd.concat(parts)


def test_ld_in_another_order_is_an_alarm_with_numbers(tmp_path: Path) -> None:
    right, wrong = (
        run(BASE, tmp_path / "a"),
        run(changed(BASE, ld=in_wrong_order(BASE.ld, 0)), tmp_path / "b"),
    )
    assert "ld_doubtful" not in ";".join(right.genes["flags"])
    assert not right.alarms()
    assert "contradict each other" in wrong.alarms()
    assert "in another order" in wrong.alarms()
    assert all("ld_doubtful" in words for words in wrong.genes["flags"])
    assert right.record["ld_check"]["eqtl"]["agreement"] > 0.97
    assert wrong.record["ld_check"]["eqtl"]["agreement"] < 0.8
    assert wrong.record["ld_check"]["eqtl"]["inflation"] > 5 * right.record["ld_check"]["eqtl"]["inflation"]


def test_one_locus_in_another_order_marks_its_genes(tmp_path: Path) -> None:
    wide = cohort(n_loci=3, n_snps=80, n_genes=5, seed=1)
    here = wide.ld["locus"] == "L0"
    found = run(changed(wide, ld=pd.concat([in_wrong_order(wide.ld[here], 3), wide.ld[~here]])), tmp_path)
    marked = {
        gene
        for gene, words in zip(found.genes["gene"], found.genes["flags"], strict=True)
        if "ld_contradicts" in words
    }
    assert marked
    assert all(gene.startswith("ENSG00000") for gene in marked)


def test_squared_ld_is_an_alarm(tmp_path: Path) -> None:
    found = run(changed(BASE, ld=BASE.ld.assign(r=BASE.ld["r"] ** 2)), tmp_path)
    assert "r² instead of r" in found.alarms()
    assert all("ld_doubtful" in words for words in found.genes["flags"])


def test_ld_without_alleles_is_believed_with_an_alarm(tmp_path: Path) -> None:
    nameless = BASE.ld.assign(**{f"{name}_{side}": None for name in ALLELES for side in "12"})
    found = run(changed(BASE, ld=nameless), tmp_path)
    assert "names no alleles" in found.alarms()
    assert found.inputs


def test_singular_ld_is_flagged(tmp_path: Path) -> None:
    """Three variants whose correlations cannot be (-0.9 each): no pruning is asked for, the matrix is kept as it is."""
    names = [f"rs{k}" for k in range(3)]
    base = pd.DataFrame(
        {
            "rsid": names,
            "chromosome": "1",
            "position": [10, 20, 30],
            "effect_allele": "A",
            "other_allele": "G",
        }
    )
    first, second = np.triu_indices(3)
    ld = pd.DataFrame({"locus": "L", "r": np.where(first == second, 1.0, -0.9), **{f"{name}_{side}": base[name].to_numpy()[place]
                       for side, place in (("1", first), ("2", second)) for name in ("rsid", *ALLELES)}})  # fmt: skip
    eqtl = with_effects(base, np.array([9.0, -9.1, 9.2]), 30_000.0, np.full(3, np.nan))
    eqtl = eqtl.assign(ensembl_id=GENE, gene="A", gene_chromosome="1", gene_position=15)
    one = changed(
        BASE, gwas=with_effects(base, np.array([1.0, 2.0, 3.0]), 1e5, np.full(3, 0.3)), eqtl=eqtl, ld=ld
    )
    assert "singular_ld" in flags(run(one, tmp_path / "a", r2=1.0))
    assert "singular_ld" not in flags(run(one, tmp_path / "b"))


@pytest.mark.parametrize(("table", "key"), [("gwas", "n_gwas"), ("eqtl", "n_eqtl")])
def test_people_that_nobody_tells_are_an_error(table: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{table}.parquet: n: no row says how many people[\s\S]*{key}"):
        run(changed(BASE, **{table: getattr(BASE, table).assign(n=np.nan)}), tmp_path)


def test_single_missing_numbers_are_a_reason(tmp_path: Path) -> None:
    name = run(BASE, tmp_path / "a").inputs[GENE].variants[0]
    eqtl, gwas = BASE.eqtl.copy(), BASE.gwas.copy()
    eqtl.loc[(eqtl["rsid"] == name) & (eqtl["ensembl_id"] == GENE), "n"] = np.nan
    gwas.loc[gwas["rsid"] == BASE.eqtl.query("ensembl_id == @GENE")["rsid"].iloc[-1], "z"] = np.nan
    found = run(changed(BASE, eqtl=eqtl, gwas=gwas), tmp_path / "b")
    table = found.instruments.query("gene == @GENE").set_index("variant")
    assert table.loc[name, "reason"] == "missing"
    assert all(np.isfinite(one.eqtl).all() and np.isfinite(one.gwas).all() for one in found.inputs.values())


def test_swapped_allele_columns_are_found_by_frequencies(tmp_path: Path) -> None:
    wide = cohort(n_loci=20, seed=2)
    frequency = wide.gwas.set_index("rsid")["effect_allele_frequency"]
    eqtl = wide.eqtl.assign(effect_allele_frequency=frequency[wide.eqtl["rsid"]].to_numpy())
    swapped = eqtl.rename(columns=dict(zip(ALLELES, ALLELES[::-1], strict=True)))
    with pytest.raises(DataError, match=r"effect allele and other allele are swapped[\s\S]*name the columns"):
        run(changed(wide, eqtl=swapped), tmp_path)
    minor = eqtl.assign(
        effect_allele_frequency=np.minimum(
            eqtl["effect_allele_frequency"], 1 - eqtl["effect_allele_frequency"]
        )
    )
    assert "not of the effect allele in both" in run(changed(wide, eqtl=minor), tmp_path / "b").alarms()
    assert not run(changed(wide, eqtl=eqtl), tmp_path / "c").alarms()


def test_weak_instruments_are_flagged(tmp_path: Path) -> None:
    weak = cohort(n_loci=3, seed=5, largest_p=1.0)
    weak = changed(weak, eqtl=weak.eqtl[weak.eqtl["z"].abs() < 3])
    found = run(weak, tmp_path, p=0.5)
    assert found.inputs
    assert all("weak_instruments" in words for words in found.genes.query("n_own > 0")["flags"])
    assert (found.genes["mean_f"].dropna() < 10).all()
    none = run(weak, tmp_path / "b")
    assert set(none.genes["flags"]) == {"no_instruments"}
    assert all(words.startswith("weak ") for words in none.genes["dropped"])


def test_place_and_people_and_direction_are_reasons(tmp_path: Path) -> None:
    strong = (
        BASE.eqtl.query("ensembl_id == @GENE").sort_values("z", key=abs, ascending=False)["rsid"].tolist()[:3]
    )
    eqtl, gwas = BASE.eqtl.copy(), BASE.gwas.copy()
    mine = eqtl["ensembl_id"] == GENE
    eqtl.loc[mine & (eqtl["rsid"] == strong[0]), "n"] = 5_000.0
    gwas.loc[gwas["rsid"] == strong[1], ["z", "neg_log10_p"]] = [
        150.0,
        4000.0,
    ]  # a correlation of 0.3 with the trait
    found = run(changed(BASE, eqtl=eqtl, gwas=gwas), tmp_path / "a")
    table = found.instruments.query("gene == @GENE").set_index("variant")["reason"]
    assert table[strong[0]] == "few_people"
    assert table[strong[1]] == "steiger"
    assert (
        run(changed(BASE, gwas=gwas), tmp_path / "b", steiger=False)
        .genes["dropped"]
        .str.contains("steiger")
        .sum()
        == 0
    )
    near = run(BASE, tmp_path / "c", cis_kb=10)
    places = near.instruments.query("gene == @GENE").set_index("variant")
    assert {name for name in places.index if abs(places.loc[name, "position"] - 50_000_000) > 10_000} == set(
        places.query("reason == 'far'").index
    )
    away = run(changed(BASE, eqtl=eqtl.assign(gene_chromosome="22")), tmp_path / "d")
    assert set(away.instruments["reason"]) <= {"far", "mhc"}
    lost = run(
        changed(BASE, eqtl=BASE.eqtl.assign(gene_position=None, gene_chromosome=None)),
        tmp_path / "e",
        cis_kb=1,
    )
    assert all("no_place" in words for words in lost.genes["flags"])
    assert (lost.genes["n_kept"] > 0).any()


def test_the_mhc_is_left_out_by_option(tmp_path: Path) -> None:
    move = {"chromosome": "6", "position": 30_000_000}
    one = changed(
        BASE,
        gwas=BASE.gwas.assign(**move),
        eqtl=BASE.eqtl.assign(**move, gene_chromosome="6", gene_position=30_000_000),
    )
    assert set(run(one, tmp_path / "a").instruments["reason"]) == {"mhc"}
    assert "mhc" not in reasons(run(one, tmp_path / "b", drop_mhc=False))


def test_files_that_are_not_there_or_broken_are_named(tmp_path: Path) -> None:
    folder = save(BASE, tmp_path / "in")
    (folder / "ld.parquet").unlink()
    with pytest.raises(DataError, match=r"ld.parquet: no such file"):
        write_instruments(folder, tmp_path / "out", settings=InstrumentsSection())
    (folder / "ld.parquet").write_text("x")
    with pytest.raises(DataError, match=r"ld.parquet: not a readable parquet"):
        write_instruments(folder, tmp_path / "out", settings=InstrumentsSection())
    BASE.ld.drop(columns="r").to_parquet(folder / "ld.parquet")
    with pytest.raises(DataError, match=r"ld.parquet: columns are missing; found 'r'"):
        write_instruments(folder, tmp_path / "out", settings=InstrumentsSection())
    BASE.ld.assign(r=2.0).to_parquet(folder / "ld.parquet")
    with pytest.raises(
        DataError, match=r"locus L0: a correlation that is not a number from -1 to 1; found '2.0'"
    ):
        write_instruments(folder, tmp_path / "out", settings=InstrumentsSection())
    assert not list((tmp_path / "out").glob("*"))


def test_a_pair_told_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"have two rows; found 'rs\d+ of ENSG"):
        run(changed(BASE, eqtl=pd.concat([BASE.eqtl, BASE.eqtl.head(2)])), tmp_path / "a")
    with pytest.raises(DataError, match="a variant has two rows"):
        run(changed(BASE, gwas=pd.concat([BASE.gwas, BASE.gwas])), tmp_path / "b")


@pytest.mark.parametrize("rows", [1, 50, 10_000])
def test_ld_is_read_alike_in_pieces_of_any_size(rows: int, tmp_path: Path) -> None:
    names = np.array(sorted(BASE.eqtl["rsid"].unique()), dtype=object)
    ld = BASE.ld[BASE.ld["locus"] < "L2"]
    ld.to_parquet(tmp_path / "ld.parquet", row_group_size=rows)
    found = read_ld(tmp_path / "ld.parquet", names)
    r = {(row.rsid_1, row.rsid_2): row.r for row in ld.itertuples()}
    assert [locus.name for locus in found] == ["L0", "L1"]
    for locus in found:
        for i, a in enumerate(names[locus.variant]):
            for j, b in enumerate(names[locus.variant]):
                assert locus.r[i, j] == r.get((a, b), r.get((b, a)))
        assert locus.n_absent == 0


def test_pairs_without_a_row_count_as_zero_and_are_counted(tmp_path: Path) -> None:
    ld = BASE.ld[(BASE.ld["rsid_1"] == BASE.ld["rsid_2"]) | (BASE.ld["locus"] != "L0")]
    found = run(changed(BASE, ld=ld), tmp_path)
    assert "have no row: taken as 0" in str(found.record["messages"])
    with pytest.raises(DataError, match="locus L0: a variant has no row with itself"):
        run(changed(BASE, ld=BASE.ld[(BASE.ld["rsid_1"] != BASE.ld["rsid_2"])]), tmp_path / "b")


def test_agreement_counts_as_a_loop_does() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(12, 3))
    r = np.corrcoef(half)
    z = rng.normal(0, 6, 12)
    pairs = [
        (i, j) for i in range(12) for j in range(i) if abs(r[i, j]) >= 0.7 and min(abs(z[i]), abs(z[j])) >= 3
    ]
    found = agreement(z, r)
    assert found.n == len(pairs) > 5
    assert found.n_agree == sum(z[i] * z[j] * r[i, j] > 0 for i, j in pairs)
