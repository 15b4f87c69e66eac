"""TWMR from summary statistics to p-values: how often true nulls are rejected, and why.

Cohorts of simulated loci (the simulator of the study) go through the choice of instruments and all estimators,
in memory. Each cohort is run as it is and with one cause of error taken away, on the same random numbers:
direct effects of variants, genes that act beside the null, errors of the LD panel, instruments chosen in the
study that gives their effects, the cut of the eQTL table. Cohorts of `--held-out` seeds were not looked at
while constants were chosen.

    python bench/twmr_end_to_end.py --cohorts 20
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from consilience.causal.inputs import GeneInputs
from consilience.causal.inputs_file import Bucket
from consilience.causal.instruments.alleles import Alleles
from consilience.causal.instruments.ld_table import Locus
from consilience.causal.instruments.study import find_instruments, gene_inputs
from consilience.causal.instruments.tables import Genes, Pairs, Tables, Variants
from consilience.causal.twmr.estimate import estimate
from consilience.foundation.seeds import stream
from consilience.learning.differential.method import benjamini_hochberg
from consilience.simulate.loci import simulate_locus
from consilience.study.causal import InstrumentsSection

HELD_OUT = 200_000
"""Cohorts from this number on were not used for choosing anything."""
LOCUS_GENES = ((1, 2, 3), {True: (0.25, 0.23, 0.52), False: (0.62, 0.2, 0.18)})
"""Genes of a locus with and without an acting one, as the demo study has them."""
ACTING = 0.33
"""Share of loci with an acting gene."""
ESTIMATES = ("", "_plain", "_published")


@dataclass(frozen=True)
class Scene:
    """A cohort of loci.

    `acting` False: no gene acts (else in a third of loci, with effects as in the demo study); `direct` scale
    of direct effects; `panel` False: the population's LD; `eqtl_p` cut of the eQTL table; `again`: effects on
    expression come from a second study of as many people than the one that chose the instruments.
    """

    loci: int = 120
    snps: int = 30
    acting: bool = True
    direct: float = 1.0
    panel: bool = True
    eqtl_p: float = 1e-3
    again: bool = False
    n_gwas: int = 240_000
    n_eqtl: int = 32_000


CAUSES = {
    "as it is": Scene(),
    "no direct effects": Scene(direct=0.0),
    "no acting genes": Scene(acting=False),
    "neither": Scene(direct=0.0, acting=False),
    "exact LD": Scene(panel=False),
    "all eQTL pairs known": Scene(eqtl_p=1.0),
    "effects from a second study": Scene(again=True),
}


def cohort(scene: Scene, *, seed: int) -> tuple[Tables, pd.DataFrame, np.ndarray]:
    """Tables; the planted facts of each gene; effects of a second eQTL study by row (where asked for)."""
    facts, loci, variants, pairs = [], [], [], []
    gene = start = 0
    for number in range(scene.loci):
        rng = stream(seed, "locus", number)
        acts = rng.random() < ACTING
        n_genes = int(rng.choice(LOCUS_GENES[0], p=LOCUS_GENES[1][acts]))
        alpha = np.zeros(n_genes)
        size = min(max(0.053 * float(np.exp(rng.normal(0.0, 0.4))), 0.03), 0.15)
        alpha[rng.integers(n_genes)] = size * rng.choice([-1.0, 1.0]) * (acts and scene.acting)
        one = simulate_locus(
            n_snps=scene.snps, alpha=alpha, n_gwas=scene.n_gwas, n_eqtl=scene.n_eqtl,
            direct_scale=scene.direct, rng=rng,
        )  # fmt: skip
        root = np.linalg.cholesky(one.ld + 1e-9 * np.eye(scene.snps))
        second = np.sqrt(scene.n_eqtl) * (one.ld @ one.joint) + root @ rng.standard_normal(one.z_eqtl.shape)
        here = np.arange(start, start + scene.snps)
        for g in range(n_genes):
            log_p = -(np.log(2) + stats.norm.logsf(np.abs(one.z_eqtl[:, g]))) / np.log(10)
            kept = log_p >= -np.log10(scene.eqtl_p)
            pairs.append(
                (np.full(kept.sum(), gene), here[kept], one.z_eqtl[kept, g], log_p[kept], second[kept, g])
            )
            facts.append({"gene": gene, "locus": number, "truth": alpha[g], "others": bool(np.delete(alpha, g).any()),
                          "direct": bool(one.direct.any())})  # fmt: skip
            gene += 1
        r = one.ld_panel if scene.panel else one.ld
        loci.append(Locus(f"L{number:05d}", here, _alleles(scene.snps), r))
        variants.append(one.z_gwas)
        start += scene.snps
    of_gene, of_variant, z, log_p, second = (
        np.concatenate([one[part] for one in pairs]) for part in range(5)
    )
    n, trait = start, np.concatenate(variants)
    place = np.full(n, 1_000_000, dtype=np.int64)
    tables = Tables(
        Genes(
            np.array([f"G{g:06d}" for g in range(gene)], dtype=object), _words(gene), _words(gene, "1"),
            np.full(gene, 1_000_000, dtype=np.int64),
        ),
        Variants(
            np.array([f"rs{v:06d}" for v in range(n)], dtype=object), _words(n, "1"), place, np.ones(n, dtype=bool),
            _alleles(n), trait, np.full(n, float(scene.n_gwas)), -np.log10(2 * stats.norm.sf(np.abs(trait))),
        ),
        Pairs(of_gene, of_variant, _alleles(len(z)), z, np.full(len(z), float(scene.n_eqtl)), log_p),
        tuple(loci),
    )  # fmt: skip
    return tables, pd.DataFrame(facts), second


def _alleles(n: int) -> Alleles:
    return Alleles(np.zeros(n, dtype=np.int8), np.ones(n, dtype=np.int8), np.full(n, np.nan))


def _words(n: int, word: str = "") -> np.ndarray:
    return np.full(n, word, dtype=object)


def stacked(inputs: list[GeneInputs]) -> Iterator[Bucket]:
    """Rows of one size (n, k) together, as inputs.parquet gives them."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for row, one in enumerate(inputs):
        sizes.setdefault(one.eqtl.shape, []).append(row)
    for rows in sizes.values():
        of = [inputs[row] for row in rows]
        yield Bucket(
            np.array(rows), np.stack([one.eqtl for one in of]), np.stack([one.gwas for one in of]),
            np.stack([one.ld for one in of]), np.stack([one.known for one in of]),
            np.stack([one.n_eqtl for one in of]), np.array([one.n_gwas for one in of]),
        )  # fmt: skip


def prepared(
    scene: Scene, settings: InstrumentsSection, *, seed: int
) -> tuple[list[GeneInputs], pd.DataFrame]:
    """Inputs of each gene with instruments, and its facts."""
    tables, facts, second = cohort(scene, seed=seed)
    found = find_instruments(tables, settings=settings)
    if scene.again:
        again = found.harmonised.eqtl * second / tables.pairs.z
        for number, one in enumerate(found.chosen):
            if one is not None:
                found.chosen[number] = replace(one, eqtl=np.where(one.known, again[one.rows], 0.0))
    has = [one is not None for one in found.chosen]
    acting = set(facts.loc[facts["truth"] != 0, "gene"])
    facts["modelled"] = [
        one is not None and bool(acting & set(one.genes[1:].tolist())) for one in found.chosen
    ]
    facts["shared"] = [one is not None and "shared_variants" in one.flags for one in found.chosen]
    return gene_inputs(found), facts[has].reset_index(drop=True)


def run(scene: Scene, settings: InstrumentsSection, *, seed: int) -> pd.DataFrame:
    """One row a gene with instruments: estimates and facts."""
    inputs, facts = prepared(scene, settings, seed=seed)
    got = estimate(stacked(inputs), len(inputs))
    table = facts.assign(
        seed=seed, n=[len(one.variants) for one in inputs], k=[len(one.genes) for one in inputs],
        unknown=[int((~one.known).sum()) for one in inputs], **got.numbers,
    )  # fmt: skip
    table = table.loc[:, ~table.columns.duplicated()]
    table.loc[table["shared"], "p"] = np.nan  # the study's table moves these to other columns
    for end in ESTIMATES:
        table[f"fdr{end}"] = benjamini_hochberg(table[f"p{end}"].to_numpy())
    return table


def cause_of(table: pd.DataFrame) -> pd.Series:
    """What may disturb a null gene."""
    words = np.select(
        [table["others"] & ~table["modelled"], table["others"] & table["modelled"], table["direct"]],
        ["acting neighbour, not in the model", "acting neighbour in the model", "direct effect in the locus"],
        "nothing",
    )
    return pd.Series(words, index=table.index)


def summary(table: pd.DataFrame, end: str = "") -> dict[str, float]:
    """Rates of one estimator; power counts acting genes without an estimate as missed."""
    everyone = len(table[table["truth"] != 0])
    table = table[table[f"p{end}"].notna()]
    null = table["truth"] == 0
    miss = np.abs(table[f"alpha{end}"] - table["truth"]) > 1.959964 * table[f"se{end}"]
    called = table[f"fdr{end}"] <= 0.05
    return {
        "nulls": int(null.sum()), "rejected": float((table.loc[null, f"p{end}"] < 0.05).mean()),
        "p<.001": float((table.loc[null, f"p{end}"] < 0.001).mean()), "covered": float(1 - miss.mean()),
        "acting covered": float(1 - miss[~null].mean()) if (~null).any() else np.nan,
        "power .05": float((table.loc[~null, f"p{end}"] < 0.05).sum() / everyone) if everyone else np.nan,
        "power FDR": float(called[~null].sum() / everyone) if everyone else np.nan,
        "false of claims": float((called & null).sum() / max(called.sum(), 1)), "claims": int(called.sum()),
    }  # fmt: skip


def show(rows: dict[str, dict[str, float]]) -> None:
    """A table in Markdown."""
    names = list(next(iter(rows.values())))
    print("| | " + " | ".join(names) + " |\n|---" * 1 + "|---" * len(names) + "|")
    for label, row in rows.items():
        print(
            f"| {label} | "
            + " | ".join(f"{v:,}" if isinstance(v, int) else f"{v:.3f}" for v in row.values())
            + " |"
        )


def main(cohorts: int, first: int, causes: list[str]) -> None:
    """All tables."""
    rows = {}
    for cause in causes:
        table = pd.concat([run(CAUSES[cause], InstrumentsSection(), seed=first + s) for s in range(cohorts)])
        for end in ESTIMATES:
            rows[f"{cause}: {end.strip('_') or 'default'}"] = summary(table, end)
        if cause == "as it is":
            null = table[table["truth"] == 0]
            for what in ("cause", "size"):
                by = cause_of(null) if what == "cause" else (null["n"] - null["k"]).clip(upper=5)
                print(f"\nnulls by {what}")
                show({str(name): {"n": len(own), **{f"rejected{end}": float((own[f"p{end}"].dropna() < 0.05).mean()) for end in ESTIMATES}}
                      for name, own in null.groupby(by)})  # fmt: skip
    print()
    show(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cohorts", type=int, default=20)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--causes", nargs="*", default=list(CAUSES), choices=list(CAUSES))
    given = parser.parse_args()
    main(given.cohorts, HELD_OUT if given.held_out else 0, given.causes)
