"""Small prepared cohorts with a planted truth, their tables turned in every way that may not matter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from consilience.causal.inputs import GeneInputs
from consilience.causal.inputs_file import read_inputs
from consilience.causal.instruments.study import write_instruments
from consilience.foundation.files import read_json, write_json
from consilience.simulate.loci import simulate_locus
from consilience.study.causal import InstrumentsSection

PLAIN, PALINDROMES = ["AC", "AG", "CT", "GT"], ["AT", "CG"]
COMPLEMENT = str.maketrans("ACGT", "TGCA")
N_GWAS, N_EQTL = 240_000.0, 32_000.0
ALLELES = ("effect_allele", "other_allele")


@dataclass(frozen=True)
class Cohort:
    """Tables as they are prepared; `truth` of each pair and variant in the coding that all start from."""

    gwas: pd.DataFrame
    eqtl: pd.DataFrame
    ld: pd.DataFrame
    truth: pd.DataFrame
    qc: dict[str, Any]


def cohort(*, n_loci: int = 4, n_snps: int = 25, n_genes: int = 3, palindromes: float = 0.0, seed: int = 0,
           largest_p: float = 1e-3, n_gwas: float = N_GWAS) -> Cohort:  # fmt: skip
    rng = np.random.default_rng(seed)
    gwas, eqtl, ld, truth = [], [], [], []
    for number in range(n_loci):
        one = simulate_locus(n_snps=n_snps, alpha=rng.normal(0, 0.05, n_genes), n_gwas=int(n_gwas), n_eqtl=int(N_EQTL),
                             direct_scale=0.0, rng=rng)  # fmt: skip
        pairs = [
            PALINDROMES[rng.integers(2)] if rng.random() < palindromes else PLAIN[rng.integers(4)]
            for _ in range(n_snps)
        ]
        pairs = [pair[::-1] if rng.random() < 0.5 else pair for pair in pairs]
        base = pd.DataFrame({
            "rsid": [f"rs{number}{k:04d}" for k in range(n_snps)], "chromosome": str(number % 22 + 1),
            "position": 50_000_000 + np.arange(n_snps) * 4_000, "effect_allele": [p[0] for p in pairs], "other_allele": [p[1] for p in pairs],
        })  # fmt: skip
        frequency = rng.uniform(0.05, 0.95, n_snps)
        gwas.append(with_effects(base, one.z_gwas, n_gwas, frequency))
        for gene in range(n_genes):
            rows = with_effects(base, one.z_eqtl[:, gene], N_EQTL, np.full(n_snps, np.nan))
            name = {"gene": f"G{number}{gene}", "ensembl_id": f"ENSG{number:05d}{gene:06d}", "gene_chromosome": str(number % 22 + 1),
                    "gene_position": 50_000_000 + 30_000 * gene}  # fmt: skip
            eqtl.append(rows.assign(**name))
            truth.append(pd.DataFrame({"rsid": base["rsid"], "gene": name["ensembl_id"], "eqtl": one.ld @ one.joint[:, gene],
                                       "effect_allele": base["effect_allele"]}))  # fmt: skip
        first, second = np.triu_indices(n_snps)
        columns = {
            f"{name}_{side}": base[name].to_numpy()[place]
            for side, place in (("1", first), ("2", second))
            for name in ("rsid", *ALLELES)
        }
        ld.append(pd.DataFrame({"locus": f"L{number}", "r": one.ld_panel[first, second], **columns}))
    whole = pd.concat(eqtl, ignore_index=True)
    kept = whole[whole["p_value"] <= largest_p].reset_index(drop=True)
    qc = {"n_rows_read": {"eQTL": len(whole)}, "messages": []}
    return Cohort(
        pd.concat(gwas, ignore_index=True),
        kept,
        pd.concat(ld, ignore_index=True),
        pd.concat(truth, ignore_index=True),
        qc,
    )


def with_effects(base: pd.DataFrame, z: np.ndarray, n: float, frequency: np.ndarray) -> pd.DataFrame:
    log_p = -(np.log(2) + stats.norm.logsf(np.abs(z))) / np.log(10)
    return base.assign(z=z, beta=z / np.sqrt(n), standard_error=n**-0.5, effect_allele_frequency=frequency, p_value=10**-log_p,
                       neg_log10_p=log_p, n=n, n_effective=n, beta_standardised=z / np.sqrt(n),
                       palindromic=[a + b in {"AT", "TA", "CG", "GC"} for a, b in zip(base["effect_allele"], base["other_allele"], strict=True)])  # fmt: skip


def flipped(table: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
    """The same effects told of the other allele, in these rows of a GWAS or eQTL table."""
    table = table.copy()
    table.loc[which, list(ALLELES)] = table.loc[which, list(ALLELES[::-1])].to_numpy()
    for name in ("z", "beta", "beta_standardised"):
        table.loc[which, name] *= -1
    table.loc[which, "effect_allele_frequency"] = 1 - table.loc[which, "effect_allele_frequency"]
    return table


def other_strand(table: pd.DataFrame, which: np.ndarray, columns: tuple[str, ...] = ALLELES) -> pd.DataFrame:
    table = table.copy()
    for name in columns:
        table.loc[which, name] = table.loc[which, name].str.translate(COMPLEMENT)
    return table


def ld_flipped(ld: pd.DataFrame, names: set[str]) -> pd.DataFrame:
    """The LD with these variants counted by their other allele."""
    ld = ld.copy()
    for side in "12":
        which = ld[f"rsid_{side}"].isin(names).to_numpy()
        here = [f"{name}_{side}" for name in ALLELES]
        ld.loc[which, here] = ld.loc[which, here[::-1]].to_numpy()
        ld.loc[which, "r"] *= -1
    return ld


def shuffled(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


@dataclass(frozen=True)
class Written:
    """What the step wrote."""

    instruments: pd.DataFrame
    genes: pd.DataFrame
    inputs: dict[str, GeneInputs]
    record: dict[str, Any]

    def alarms(self) -> str:
        return " | ".join(one["text"] for one in self.record["messages"] if one["level"] == "alarm")


def save(one: Cohort, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("gwas", "eqtl", "ld"):
        getattr(one, name).to_parquet(folder / f"{name}.parquet", index=False)
    write_json(folder / "qc.json", one.qc)
    return folder


def run(one: Cohort, folder: Path, **settings: Any) -> Written:
    write_instruments(save(one, folder / "in"), folder / "out", settings=InstrumentsSection(**settings))
    out = folder / "out"
    return Written(pd.read_parquet(out / "instruments.parquet"), pd.read_parquet(out / "genes.parquet"),
                   {each.gene: each for each in read_inputs(out / "inputs.parquet")}, read_json(out / "instruments.json"))  # fmt: skip


def changed(one: Cohort, **tables: Any) -> Cohort:
    return replace(one, **tables)
