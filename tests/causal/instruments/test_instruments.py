"""From prepared tables to instruments: the planted truth, what may not matter, and a slow second choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causal.instruments.prepared import (
    COMPLEMENT,
    Cohort,
    Written,
    changed,
    cohort,
    flipped,
    ld_flipped,
    other_strand,
    run,
    shuffled,
)
from consilience.causal.instruments.filters import log_p_limit
from consilience.causal.instruments.reasons import FLAGS, REASONS
from consilience.causal.instruments.strength import joint_f

BASE = cohort(n_loci=4, seed=3)
PALINDROMIC = cohort(n_loci=24, n_snps=30, palindromes=0.2, seed=4)


def random_turns(one: Cohort, seed: int) -> Cohort:
    """Some rows flipped, some on the other strand (none palindromic), all in another order, table by table."""
    rng = np.random.default_rng(seed)
    odd = set(one.gwas.loc[one.gwas["palindromic"], "rsid"])
    tables = {}
    for name in ("eqtl", "ld"):
        table = getattr(one, name)
        if name == "ld":
            names = one.gwas["rsid"].to_numpy()
            table = ld_flipped(table, set(names[rng.random(len(names)) < 0.4]))
            turned = {rsid for rsid in names[rng.random(len(names)) < 0.3] if rsid not in odd}
            for side in "12":
                which = table[f"rsid_{side}"].isin(turned).to_numpy()
                table = other_strand(table, which, (f"effect_allele_{side}", f"other_allele_{side}"))
        else:
            table = flipped(table, rng.random(len(table)) < 0.4)
            table = other_strand(table, (rng.random(len(table)) < 0.3) & ~table["rsid"].isin(odd).to_numpy())
        tables[name] = shuffled(table, seed)
    return changed(one, gwas=shuffled(one.gwas, seed + 1), **tables)


def assert_same(one: Written, other: Written) -> None:
    told = ["flipped"]
    pd.testing.assert_frame_equal(one.instruments.drop(columns=told), other.instruments.drop(columns=told))
    pd.testing.assert_frame_equal(one.genes, other.genes)
    assert one.inputs.keys() == other.inputs.keys()
    for gene, mine in one.inputs.items():
        yours = other.inputs[gene]
        assert (mine.genes, mine.variants, mine.n_gwas) == (yours.genes, yours.variants, yours.n_gwas)
        for name in ("eqtl", "gwas", "ld", "known", "n_eqtl"):
            assert np.array_equal(getattr(mine, name), getattr(yours, name)), name


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**20))
def test_flips_strands_and_row_order_change_nothing(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("turned")
    assert_same(run(BASE, folder / "a"), run(random_turns(BASE, seed), folder / "b"))


def test_flips_of_the_gwas_turn_its_coding_and_nothing_else(tmp_path: Path) -> None:
    turned = np.random.default_rng(0).random(len(BASE.gwas)) < 0.5
    names = set(BASE.gwas["rsid"][turned])
    straight, other = (
        run(BASE, tmp_path / "a"),
        run(changed(BASE, gwas=flipped(BASE.gwas, turned)), tmp_path / "b"),
    )
    assert straight.inputs.keys() == other.inputs.keys()
    for gene, one in straight.inputs.items():
        there = other.inputs[gene]
        sign = np.array([-1.0 if name in names else 1.0 for name in one.variants])
        assert one.variants == there.variants
        assert np.array_equal(one.eqtl * sign[:, None], there.eqtl)
        assert np.array_equal(one.gwas * sign, there.gwas)
        assert np.array_equal(one.ld * sign[:, None] * sign, there.ld)


def test_harmonised_effects_are_the_planted_ones(tmp_path: Path) -> None:
    """Whatever each table's coding, effects on expression, trait and LD come back as planted, of one allele."""
    turned = random_turns(BASE, 11)
    found = run(
        changed(turned, gwas=flipped(turned.gwas, np.random.default_rng(5).random(len(turned.gwas)) < 0.5)),
        tmp_path,
    )
    truth = BASE.truth.merge(BASE.gwas[["rsid", "beta_standardised"]], on="rsid")
    table = found.instruments.dropna(subset="eqtl_beta").merge(
        truth.rename(columns={"rsid": "variant", "effect_allele": "planted"}), on=["gene", "variant"]
    )
    sign = np.where(table["effect_allele"] == table["planted"], 1.0, -1.0)
    assert len(table) > 100
    assert (table["gwas_beta"] * sign).to_numpy() == pytest.approx(
        table["beta_standardised"].to_numpy(), abs=1e-15
    )
    error = (table["eqtl_beta"] * sign - table["eqtl"]) * np.sqrt(table["n_eqtl"])
    assert np.abs(error).max() < 5.5  # standard errors
    strong = np.abs(table["eqtl"]) * np.sqrt(table["n_eqtl"]) > 6
    assert strong.sum() > 50
    assert (np.sign(table["eqtl_beta"] * sign) == np.sign(table["eqtl"]))[strong].all()
    assert found.record["ld_check"]["eqtl"]["agreement"] > 0.97


def test_palindromic_variants_follow_the_strand_of_the_table(tmp_path: Path) -> None:
    """Kept where all other variants are of one strand, whichever; left out where strands are mixed."""
    kept = run(PALINDROMIC, tmp_path / "a")
    assert not (kept.instruments["reason"] == "palindromic").any()
    assert kept.instruments.query("kept")["palindromic"].sum() > 10
    eqtl = PALINDROMIC.eqtl
    whole = run(changed(PALINDROMIC, eqtl=other_strand(eqtl, np.ones(len(eqtl), dtype=bool))), tmp_path / "b")
    assert_same(kept, whole)
    some = np.random.default_rng(0).random(len(eqtl)) < 0.05
    mixed = run(
        changed(PALINDROMIC, eqtl=other_strand(eqtl, some & ~eqtl["palindromic"].to_numpy())), tmp_path / "c"
    )
    odd = mixed.instruments["variant"].isin(eqtl.loc[eqtl["palindromic"], "rsid"])
    assert set(mixed.instruments.loc[odd, "reason"]) == {"palindromic"}
    assert "palindromic (A/T, C/G) rows are left out" in str(mixed.record["messages"])
    believed = run(
        changed(PALINDROMIC, eqtl=other_strand(eqtl, some & ~eqtl["palindromic"].to_numpy())),
        tmp_path / "d",
        palindromic="keep",
    )
    assert_same(kept, believed)


def test_palindromic_variants_follow_frequencies(tmp_path: Path) -> None:
    """With frequencies on both sides, a palindromic row of the other strand is turned back."""
    one = PALINDROMIC
    frequency = one.gwas.set_index("rsid")["effect_allele_frequency"]
    eqtl = one.eqtl.assign(effect_allele_frequency=frequency[one.eqtl["rsid"]].to_numpy())
    some = np.random.default_rng(0).random(len(eqtl)) < 0.3
    turned = other_strand(eqtl, some)
    found, straight = (
        run(changed(one, eqtl=turned), tmp_path / "a"),
        run(changed(one, eqtl=eqtl), tmp_path / "b"),
    )
    clear = set(one.gwas.loc[(one.gwas["effect_allele_frequency"] - 0.5).abs() > 0.08, "rsid"])
    odd = set(one.gwas.loc[one.gwas["palindromic"], "rsid"])
    a, b = (
        each.instruments.dropna(subset="eqtl_beta").set_index(["gene", "variant"])["eqtl_beta"]
        for each in (found, straight)
    )
    shared = a.index.intersection(b.index)
    assert np.array_equal(a[shared], b[shared])
    assert {name for name in a.index.get_level_values(1) if name in odd} <= clear
    unsettled = found.instruments.loc[found.instruments["reason"] == "palindromic", "variant"]
    assert set(unsettled) == {
        name for name in found.instruments["variant"] if name in odd and name not in clear
    }


def slow_choice(
    one: Cohort, *, p: float, r2: float, gene_r2: float, max_genes: int
) -> dict[str, tuple[set[str], set[str]]]:
    """Variants and genes of each focal gene, by dictionaries and loops, from tables of one coding."""
    r = {}
    for row in one.ld.itertuples():
        r[row.rsid_1, row.rsid_2] = r[row.rsid_2, row.rsid_1] = row.r
    gwas = set(one.gwas["rsid"])
    effect, strength = {}, {}
    for row in one.eqtl.itertuples():
        effect[row.ensembl_id, row.rsid] = row.z / np.sqrt(row.n)
        if row.p_value <= p and row.rsid in gwas:
            strength[row.ensembl_id, row.rsid] = abs(row.z)

    def pruned(names: list[str], before: list[str]) -> list[str]:
        kept = list(before)
        for name in names:
            if all(r.get((name, other), 0.0) ** 2 < r2 for other in kept):
                kept.append(name)
        return kept

    chosen = {}
    for gene in sorted(set(one.eqtl["ensembl_id"])):
        own = sorted((v for g, v in strength if g == gene), key=lambda v: (-strength[gene, v], v))
        if not own:
            continue
        leads = pruned(own, [])
        best: dict[str, float] = {}
        for g, v in strength:
            if v in leads and g != gene:
                best[g] = max(best.get(g, 0.0), strength[g, v])
        others = sorted(best, key=lambda g: (-best[g], g))[:max_genes]
        while True:
            model = {gene, *others}
            regulated: dict[str, list[str]] = {}
            for g, v in strength:
                regulated.setdefault(v, []).append(g)
            more = (
                [v for v, genes in regulated.items() if set(genes) <= model and v not in own]
                if others
                else []
            )
            more.sort(key=lambda v: (-max(strength[g, v] for g in regulated[v]), v))
            variants = pruned(more, leads)
            c = np.array([[r.get((a, b), float(a == b)) for b in variants] for a in variants])
            e = np.array([[effect.get((g, v), 0.0) for g in (gene, *others)] for v in variants])
            s = e.T @ np.linalg.inv(c) @ e
            close = [g for k, g in enumerate(others, 1) if s[0, k] ** 2 / (s[0, 0] * s[k, k]) > gene_r2]
            if not close and len(others) + 1 > len(variants):
                close = [others[-1]]
            if not close:
                break
            others = [g for g in others if g not in close]
        chosen[gene] = (set(variants), {gene, *others})
    return chosen


@pytest.mark.parametrize(
    ("seed", "options"), [(7, {}), (8, {"gene_r2": 0.4, "r2": 0.3}), (9, {"max_genes": 1, "p": 1e-3})]
)
def test_the_choice_is_that_of_a_slow_one(seed: int, options: dict[str, Any], tmp_path: Path) -> None:
    one = cohort(n_loci=3, n_snps=30, n_genes=6, seed=seed)
    one = changed(one, gwas=one.gwas.iloc[3:])
    found = run(one, tmp_path, steiger=False, **options)
    due = slow_choice(one, **({"p": 1.83e-5, "r2": 0.1, "gene_r2": 0.97, "max_genes": 20} | options))
    assert found.inputs.keys() == due.keys()
    assert max(len(genes) for _, genes in due.values()) > 1
    for gene, (variants, genes) in due.items():
        mine = found.inputs[gene]
        assert (set(mine.variants), set(mine.genes)) == (variants, genes), gene


def test_a_gene_left_out_that_is_much_alike_is_told(tmp_path: Path) -> None:
    found = run(cohort(n_loci=6, n_snps=20, n_genes=4, seed=11), tmp_path, gene_r2=0.9)
    flags = found.genes["flags"].str.split(";")
    told = flags.map(lambda own: "shared_variants" in own)
    alike = flags.map(lambda own: "collinear_gene" in own)
    assert alike.any()
    assert told[alike].all()  # left out for an agreement above 0.9
    assert (found.genes.loc[told, "left_out_genes"] != "").all()
    assert not told[found.genes["left_out_genes"] == ""].any()


def test_what_inputs_say_is_what_the_tables_say(tmp_path: Path) -> None:
    found = run(BASE, tmp_path)
    effects = BASE.eqtl.set_index(["ensembl_id", "rsid"])["beta_standardised"]
    gwas = BASE.gwas.set_index("rsid")["beta_standardised"]
    genes = found.genes.set_index("gene")
    assert set(genes.index) == set(BASE.eqtl["ensembl_id"])
    unknown = 0
    for gene, one in found.inputs.items():
        assert one.gwas == pytest.approx(gwas[list(one.variants)].to_numpy())
        for k, other in enumerate(one.genes):
            for i, name in enumerate(one.variants):
                assert one.known[i, k] == ((other, name) in effects.index)
                assert one.eqtl[i, k] == pytest.approx(effects.get((other, name), 0.0))
        row = genes.loc[gene]
        assert (row["n_kept"], row["n_genes"], row["unknown_pairs"]) == (*one.eqtl.shape, (~one.known).sum())
        assert row["smallest_eigenvalue"] == pytest.approx(np.linalg.eigvalsh(one.ld)[0])
        assert (one.ld[~np.eye(len(one.ld), dtype=bool)] ** 2 < 0.1).all()
        unknown += row["unknown_pairs"]
    assert found.record["unknown_pairs"] == unknown > 0
    kept = found.instruments.query("kept")
    assert kept.groupby("gene").size().to_dict() == genes.query("n_kept > 0")["n_kept"].to_dict()
    assert (kept["reason"] == "").all()
    assert set(found.instruments.query("not kept")["reason"]) <= set(REASONS)
    f = kept.dropna(subset="f").query("eqtl_p <= 1.83e-5").groupby("gene")["f"]
    assert f.min().to_numpy() == pytest.approx(genes.loc[f.min().index, "min_f"].to_numpy())
    assert f.mean().to_numpy() == pytest.approx(genes.loc[f.mean().index, "mean_f"].to_numpy())


def test_dropped_says_where_every_row_of_the_table_went(tmp_path: Path) -> None:
    found = run(changed(BASE, gwas=BASE.gwas.iloc[5:]), tmp_path)
    dropped = found.genes["dropped"].map(
        lambda words: sum(int(part.split()[-1]) for part in words.split("; ") if part)
    )
    rows = BASE.eqtl.groupby("ensembl_id").size()
    assert (dropped + found.genes["n_own"]).tolist() == rows[found.genes["gene"]].tolist()
    assert (
        found.record["dropped"]["not_in_gwas"]
        == BASE.eqtl.query("p_value <= 1.83e-5")["rsid"].isin(BASE.gwas["rsid"][:5]).sum()
    )
    assert set(";".join(found.genes["flags"]).split(";")) - {""} <= set(FLAGS)


def test_clump_takes_the_genes_own_variants_only(tmp_path: Path) -> None:
    found, wide = run(BASE, tmp_path / "a", method="clump"), run(BASE, tmp_path / "b")
    assert (found.genes["n_kept"] == found.genes["n_own"]).all()
    assert (wide.genes["n_own"] == found.genes["n_own"]).all()
    assert (wide.genes["n_kept"] > wide.genes["n_own"]).any()


def test_genes_that_cannot_be_told_apart_are_left_out_and_named(tmp_path: Path) -> None:
    twin = BASE.eqtl.query("ensembl_id == 'ENSG00000000000'").assign(
        ensembl_id="ENSG99999999999", gene="TWIN"
    )
    found = run(changed(BASE, eqtl=pd.concat([BASE.eqtl, twin])), tmp_path)
    row = found.genes.set_index("gene").loc["ENSG00000000000"]
    assert "ENSG99999999999" in row["left_out_genes"].split(";")
    assert "collinear_gene" in row["flags"].split(";")
    assert "ENSG99999999999" not in found.inputs["ENSG00000000000"].genes


def test_fdr_is_benjamini_hochberg_over_all_rows_of_the_study() -> None:
    from scipy import stats

    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(size=5000), rng.uniform(size=200) * 1e-6])
    adjusted = stats.false_discovery_control(p)
    kept = p[p < 1e-2]
    limit = 10.0 ** -log_p_limit(-np.log10(kept), p=1.0, fdr=0.05, n_tests=len(p))
    assert limit * (1 + 1e-12) >= p[adjusted <= 0.05].max() >= limit * (1 - 1e-12)
    assert log_p_limit(-np.log10(kept[kept > 5e-4]), p=1.0, fdr=1e-4, n_tests=len(p)) == np.inf


def test_joint_f_is_that_of_the_regression() -> None:
    """F of expression on all variants, computed from the people themselves."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4))
    y = x @ np.array([0.2, 0.0, -0.1, 0.1]) + rng.normal(size=500)
    x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    due = ((y @ y - residual @ residual) / 4) / (residual @ residual / (500 - 5))
    assert joint_f(effect=x.T @ y / 500, ld=x.T @ x / 500, people=500) == pytest.approx(due)


def test_alleles_of_the_written_table_are_the_gwas_s(tmp_path: Path) -> None:
    table = run(BASE, tmp_path).instruments.merge(BASE.gwas, left_on="variant", right_on="rsid")
    assert (table["effect_allele_x"] == table["effect_allele_y"]).all()
    assert COMPLEMENT[ord("A")] == ord("T")
