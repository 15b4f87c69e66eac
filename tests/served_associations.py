"""One generated GWAS and eQTL study, written by hand in every layout that is read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from consilience.foundation.files import sha256_of
from consilience.sources.summary_statistics.prepare import prepare_summary_statistics
from consilience.study.cohorts import Cohort
from consilience.study.sections import SummaryStatisticsSection

COHORT = Cohort("gwas", "summary_statistics", "local", "x", label="A trait")
PAIRS = ["AC", "AG", "CA", "CT", "GA", "GT", "TC", "TG", "AT", "CG"]
N = 5000


@dataclass(frozen=True)
class Study:
    """Variants (v,) with effects of `a1`, and what the eQTL study says of some of them."""

    v: pd.DataFrame


def study(n: int = 60, seed: int = 0) -> Study:
    rng = np.random.default_rng(seed)
    pair = [PAIRS[k] for k in rng.integers(len(PAIRS), size=n)]
    z = rng.normal(0, 3, n).round(4)
    se = rng.uniform(0.01, 0.05, n)
    return Study(
        pd.DataFrame({
            "rsid": [f"rs{k + 100}" for k in range(n)], "chr": np.sort(rng.integers(1, 4, n)),
            "pos": np.arange(n) * 50_000 + 10_000, "a1": [p[0] for p in pair], "a2": [p[1] for p in pair],
            "beta": z * se, "se": se, "z": z, "p": 2 * stats.norm.sf(np.abs(z)), "f": rng.uniform(0.05, 0.95, n),
        })
    )  # fmt: skip


def flipped(one: Study, *, seed: int = 1) -> Study:
    """The same study with the effect allele of half of its variants exchanged."""
    v = one.v.copy()
    turn = np.random.default_rng(seed).random(len(v)) < 0.5
    v.loc[turn, ["a1", "a2"]] = v.loc[turn, ["a2", "a1"]].to_numpy()
    for name in ("beta", "z"):
        v.loc[turn, name] *= -1
    v.loc[turn, "f"] = 1 - v.loc[turn, "f"]
    return Study(v)


def text(columns: dict[str, Any], *, separator: str = "\t") -> bytes:
    names = list(columns)
    n = max(len(c) for c in columns.values() if not isinstance(c, str))
    rows = [names]
    for k in range(n):
        rows.append(
            [
                _cell(c if isinstance(c, str) else c.iloc[k] if hasattr(c, "iloc") else c[k])
                for c in columns.values()
            ]
        )
    if separator == "padded":  # as PLINK 1 writes: right-aligned, blanks before the first cell too
        return "".join(" " + " ".join(f"{c:>14}" for c in row) + " \n" for row in rows).encode()
    return "".join(separator.join(row) + "\n" for row in rows).encode()


def _cell(value: Any) -> str:
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def _both(v: pd.DataFrame, letters: str = "ACGT") -> tuple[pd.Series, pd.Series]:
    """Reference and alternative allele: the alphabetically first is the reference."""
    ref = np.where(v["a1"] < v["a2"], v["a1"], v["a2"])
    alt = np.where(v["a1"] < v["a2"], v["a2"], v["a1"])
    return pd.Series(ref), pd.Series(alt)


def gwas_ssf(v: pd.DataFrame, **more: Any) -> dict[str, Any]:
    return {"chromosome": v["chr"], "base_pair_location": v["pos"], "effect_allele": v["a1"], "other_allele": v["a2"],
            "beta": v["beta"], "standard_error": v["se"], "effect_allele_frequency": v["f"], "p_value": v["p"],
            "rsid": v["rsid"], "n": np.full(len(v), N)} | more  # fmt: skip


def _log_or_interval(v: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    half = stats.norm.ppf(0.975) * v["se"]
    return np.exp(v["beta"] - half), np.exp(v["beta"] + half)


GWAS_LAYOUTS: dict[str, Callable[[pd.DataFrame], tuple[str, bytes]]] = {
    "gwas_ssf": lambda v: ("g.h.tsv", text(gwas_ssf(v))),
    "gwas_ssf_interval": lambda v: (
        "g.tsv",
        text({k: c for k, c in gwas_ssf(v).items() if k not in {"beta", "standard_error"}}
             | {"odds_ratio": np.exp(v["beta"]), "ci_lower": _log_or_interval(v)[0], "ci_upper": _log_or_interval(v)[1]}),
    ),
    "gwas_ssf_log_p": lambda v: (
        "g.tsv",
        text({k: c for k, c in gwas_ssf(v).items() if k not in {"p_value", "standard_error"}}
             | {"neg_log_10_p_value": -np.log10(v["p"])}),
    ),
    "hm": lambda v: (
        "g.tsv",
        text({"variant_id": v["rsid"], "hm_rsid": v["rsid"], "hm_chrom": v["chr"], "hm_pos": v["pos"],
              "hm_other_allele": v["a2"], "hm_effect_allele": v["a1"], "hm_beta": v["beta"], "hm_odds_ratio": ["NA"] * len(v),
              "hm_effect_allele_frequency": v["f"], "chromosome": v["chr"], "base_pair_location": v["pos"] + 17,
              "effect_allele": v["a2"], "other_allele": v["a1"], "beta": -v["beta"], "standard_error": v["se"],
              "p_value": v["p"], "n": [N] * len(v)}),
    ),
    "fastgwa": lambda v: (
        "g.fastGWA",
        text({"CHR": v["chr"], "SNP": v["rsid"], "POS": v["pos"], "A1": v["a1"], "A2": v["a2"], "N": [N] * len(v),
              "AF1": v["f"], "BETA": v["beta"], "SE": v["se"], "P": v["p"]}),
    ),
    "ma": lambda v: (
        "g.ma",
        text({"SNP": v["rsid"], "A1": v["a1"], "A2": v["a2"], "freq": v["f"], "b": v["beta"], "se": v["se"], "p": v["p"],
              "N": [N] * len(v)}, separator=" "),
    ),
    "metal": lambda v: (
        "g.tbl",
        text({"MarkerName": v["rsid"], "Allele1": v["a1"].str.lower(), "Allele2": v["a2"].str.lower(), "Freq1": v["f"],
              "Effect": v["beta"], "StdErr": v["se"], "P-value": v["p"], "Direction": ["++?"] * len(v), "N": [N] * len(v)}),
    ),
    "metal_z": lambda v: (
        "g.tbl",
        text({"MarkerName": v["rsid"], "Allele1": v["a1"].str.lower(), "Allele2": v["a2"].str.lower(),
              "Weight": [f"{N}.00"] * len(v), "Zscore": v["z"], "P-value": v["p"], "Direction": ["+-"] * len(v)}),
    ),
    "plink2": lambda v: (
        "g.PHENO1.glm.linear",
        text({"#CHROM": v["chr"], "POS": v["pos"], "ID": v["rsid"], "REF": _both(v)[0], "ALT": _both(v)[1], "A1": v["a1"],
              "A1_FREQ": v["f"], "TEST": ["ADD"] * len(v), "OBS_CT": [N] * len(v), "BETA": v["beta"], "SE": v["se"],
              "T_STAT": v["z"], "P": v["p"], "ERRCODE": ["."] * len(v)}),
    ),
    "plink_logistic": lambda v: (
        "g.assoc.logistic",
        text({"CHR": v["chr"], "SNP": v["rsid"], "BP": v["pos"], "A1": v["a1"], "A2": v["a2"], "TEST": ["ADD"] * len(v),
              "NMISS": [N] * len(v), "OR": np.exp(v["beta"]), "STAT": v["z"], "P": v["p"]}, separator="padded"),
    ),
    "regenie": lambda v: (
        "g.regenie",
        text({"CHROM": v["chr"], "GENPOS": v["pos"], "ID": v["rsid"], "ALLELE0": v["a2"], "ALLELE1": v["a1"], "A1FREQ": v["f"],
              "N": [N] * len(v), "TEST": ["ADD"] * len(v), "BETA": v["beta"], "SE": v["se"], "CHISQ": v["z"] ** 2,
              "LOG10P": -np.log10(v["p"]), "EXTRA": ["NA"] * len(v)}, separator=" "),
    ),
    "saige": lambda v: (
        "g.saige.txt",
        text({"CHR": v["chr"], "POS": v["pos"], "MarkerID": v["rsid"], "Allele1": v["a2"], "Allele2": v["a1"],
              "AC_Allele2": [10] * len(v), "AF_Allele2": v["f"], "MissingRate": [0] * len(v), "BETA": v["beta"], "SE": v["se"],
              "Tstat": v["z"], "p.value": v["p"], "N_case": [N // 2] * len(v), "N_ctrl": [N // 2] * len(v)}),
    ),
    "bolt": lambda v: (
        "g.bolt.stats",
        text({"SNP": v["rsid"], "CHR": v["chr"], "BP": v["pos"], "GENPOS": [0.1] * len(v), "ALLELE1": v["a1"],
              "ALLELE0": v["a2"], "A1FREQ": v["f"], "F_MISS": [0] * len(v), "BETA": v["beta"], "SE": v["se"],
              "P_BOLT_LMM_INF": v["p"]}),
    ),
    "z": lambda v: (
        "g.z.csv",
        text({"id": v["rsid"], "A1": v["a1"], "A2": v["a2"], "z": v["z"], "n": [N] * len(v)}, separator=","),
    ),
    "consortium": lambda v: (
        "g.txt",
        text({"SNP": v["rsid"], "CHR": "chr" + v["chr"].astype(str), "POS": v["pos"], "P": v["p"], "Effect": v["beta"],
              "StdErr": v["se"], "Freq": v["f"], "N_cases": [N // 2] * len(v), "N_controls": [N // 2] * len(v), "A1": v["a1"],
              "A2": v["a2"]}),
    ),
    "named_in_config": lambda v: (
        "g.mine.tsv",
        text({"marker": v["rsid"], "k": v["chr"], "where": v["pos"], "counted": v["a1"], "not_counted": v["a2"],
              "size": v["beta"], "err": v["se"], "people": [N] * len(v)}),
    ),
}  # fmt: skip
MINE = {"*.mine.tsv": {
    "rsid": "marker", "chromosome": "k", "position": "where", "effect_allele": "counted", "other_allele": "not_counted",
    "beta": "size", "standard_error": "err", "n": "people",
}}  # fmt: skip


def genes_of(v: pd.DataFrame) -> pd.Series:
    return pd.Series([f"ENSG{k % 3 + 1:011d}" for k in range(len(v))])


EQTL_LAYOUTS: dict[str, Callable[[pd.DataFrame], tuple[str, bytes]]] = {
    "eqtlgen": lambda v: (
        "e.txt",
        text({"Pvalue": v["p"], "SNP": v["rsid"], "SNPChr": v["chr"], "SNPPos": v["pos"], "AssessedAllele": v["a1"],
              "OtherAllele": v["a2"], "Zscore": v["z"], "Gene": genes_of(v), "GeneSymbol": ["G"] * len(v),
              "GeneChr": v["chr"], "GenePos": v["pos"], "NrCohorts": [37] * len(v), "NrSamples": [N] * len(v),
              "FDR": [0] * len(v), "BonferroniP": [1] * len(v)}),
    ),
    "eqtl_catalogue": lambda v: (
        "e.tsv",
        text({"molecular_trait_id": genes_of(v), "chromosome": v["chr"], "position": v["pos"], "ref": v["a2"], "alt": v["a1"],
              "variant": [f"chr{c}_{p}_{r}_{a}" for c, p, r, a in zip(v["chr"], v["pos"], v["a2"], v["a1"], strict=True)],
              "ma_samples": [5] * len(v), "maf": v["f"], "pvalue": v["p"], "beta": v["beta"], "se": v["se"], "type": ["SNP"] * len(v),
              "ac": [1] * len(v), "an": [2 * N] * len(v), "r2": ["NA"] * len(v), "gene_id": genes_of(v), "rsid": v["rsid"]}),
    ),
    "plain_eqtl": lambda v: (
        "e.csv",
        text({"gene": genes_of(v) + ".7", "SNP": v["rsid"], "chr": v["chr"], "pos": v["pos"], "EA": v["a1"], "OA": v["a2"],
              "beta": v["beta"], "se": v["se"], "pval": v["p"], "n": [N] * len(v)}, separator=","),
    ),
}  # fmt: skip


def gtex(v: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({
        "variant_id": [f"chr{c}_{p}_{r}_{a}_b38" for c, p, r, a in zip(v["chr"], v["pos"], v["a2"], v["a1"], strict=True)],
        "gene_id": genes_of(v) + ".12", "tss_distance": 5, "ma_samples": 3, "ma_count": (v["f"] * 2 * N).round().astype(int),
        "maf": (v["f"] * 2 * N).round() / (2 * N), "pval_nominal": v["p"], "slope": v["beta"], "slope_se": v["se"],
    })  # fmt: skip


def write_raw(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        entries.append({"name": name, "bytes": path.stat().st_size, "sha256": sha256_of(path), "url": ""})
    (folder / "provenance.json").write_text(json.dumps({"cohort": "gwas", "files": entries}))


@dataclass(frozen=True)
class Tables:
    gwas: pd.DataFrame
    eqtl: pd.DataFrame
    ld: pd.DataFrame
    qc: dict[str, Any]

    def said(self, level: str = "") -> str:
        return "\n".join(m["text"] for m in self.qc["messages"] if not level or m["level"] == level)


def prepared(folder: Path, files: dict[str, bytes], **settings: Any) -> Tables:
    """Write the files as a raw folder, prepare it, and read what came of it."""
    write_raw(folder / "raw" / "gwas", files)
    out = folder / "out"
    prepare_summary_statistics(
        cohort=COHORT, raw_dir=folder / "raw" / "gwas", out_dir=out, qc_path=out / "qc.json",
        settings=SummaryStatisticsSection(**settings),
    )  # fmt: skip
    tables = [pd.read_parquet(out / f"{name}.parquet") for name in ("gwas", "eqtl", "ld")]
    return Tables(*tables, json.loads((out / "qc.json").read_text()))


def aligned(table: pd.DataFrame) -> pd.DataFrame:
    """Effects of the alphabetically first allele, so that the coding of a file does not matter."""
    turn = (table["effect_allele"] > table["other_allele"]).to_numpy()
    out = table.copy()
    out.loc[turn, ["effect_allele", "other_allele"]] = table.loc[
        turn, ["other_allele", "effect_allele"]
    ].to_numpy()
    for name in ("beta", "z", "beta_standardised"):
        out.loc[turn, name] = -table.loc[turn, name]
    out.loc[turn, "effect_allele_frequency"] = 1 - table.loc[turn, "effect_allele_frequency"]
    return out.sort_values([name for name in ("ensembl_id", "rsid") if name in out], ignore_index=True)


def named(names: list[str], r: np.ndarray, *, corner: str = "", separator: str = "\t") -> bytes:
    rows = [[corner, *names]] + [[name, *map(str, row)] for name, row in zip(names, r, strict=True)]
    return "".join(separator.join(row) + "\n" for row in rows).encode()


def pairs(names: list[str], r: np.ndarray, *, column: str = "R") -> bytes:
    lines = [f" CHR_A BP_A SNP_A CHR_B BP_B SNP_B {column} "]
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            lines.append(f"  1   {i + 1}  {names[i]}   1  {j + 1}  {names[j]}   {r[i, j]} ")
    return ("\n".join(lines) + "\n").encode()
