"""What the stage `causal` leaves in a results folder, small and made in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from consilience.foundation.files import write_json, write_parquet
from consilience.study.cohorts import Cohort

GENES, CAUSAL = 150, 24
CELL_TYPES = ("monocyte", "B cell", "naive CD4 T", "NK", "CD8 T")
ACTIVE = CELL_TYPES[:2]
METHODS = ("ivw_random", "ivw_ld", "egger", "weighted_median")
REASONS = ("ld_pruned", "weak", "mhc", "palindromic", "steiger", "not_in_gwas")
POPULATION, CONTROL, CELLS = "gwas_eqtl", "height", "blood_cells"


def p_of(z: Any) -> Any:
    """Two-sided normal."""
    from scipy.stats import norm

    return 2 * norm.sf(np.abs(z))


def fdr_of(p: Any) -> Any:
    """Benjamini-Hochberg."""
    from statsmodels.stats.multitest import multipletests

    return multipletests(p, method="fdr_bh")[1]


def planted(*, hostile: str = "", n_genes: int = GENES, seed: int = 3) -> pd.DataFrame:
    """truth/genes.parquet; the first CAUSAL genes are causal."""
    rng = np.random.default_rng(seed)
    causal = np.arange(n_genes) < CAUSAL
    return pd.DataFrame({
        "gene": [f"GEN{place:05d}{hostile if place == 1 else ''}" for place in range(n_genes)],
        "ensembl_id": [f"ENSG{place:011d}" for place in range(n_genes)],
        "causal": causal, "candidate": causal,
        "effect": np.where(causal, rng.choice([-1, 1], n_genes) * rng.uniform(0.5, 1.5, n_genes), 0.0),
        "alpha": np.where(causal, rng.normal(0, 0.06, n_genes), 0.0), "pathway": "Interferon signalling",
        "chromosome": [str(1 + place % 22) for place in range(n_genes)], "position": 1_000_000 + 37_000 * np.arange(n_genes),
        "locus": [f"L{place // 3:05d}" for place in range(n_genes)],
    })  # fmt: skip


def add_causal(
    study: Any, *, seed: int = 6, n_genes: int = GENES, cell_types: tuple[str, ...] = CELL_TYPES
) -> None:
    """Write causal/ of a study of `fixture_study`, with an unrelated trait as negative control."""
    rng = np.random.default_rng(seed)
    control = Cohort(
        CONTROL, "summary_statistics", "simulated", "gwas_ssf", label="Height, an unrelated trait"
    )
    study.cohorts = [*study.cohorts, control]
    section = study.config.causal.model_copy(update={"controls": [CONTROL]})
    study.config = study.config.model_copy(update={"causal": section})
    for folder, name in (("raw", "provenance.json"), ("summary_statistics", "qc.json")):
        from consilience.foundation.files import read_json

        found = read_json(study.results / folder / POPULATION / name)
        write_json(study.results / folder / CONTROL / name, found | {"cohort": CONTROL})
    truth = planted(hostile=study.hostile, n_genes=n_genes)
    write_parquet(study.results / "truth" / "genes.parquet", truth)
    write_parquet(study.results / "truth" / "cell_types.parquet", pd.DataFrame({
        "cell_type": cell_types, "active": [name in ACTIVE for name in cell_types], "share": 1 / len(cell_types)}))  # fmt: skip
    folder = study.results / "causal"
    sides = {}
    for name in (POPULATION, CONTROL):
        sides[name] = write_population(folder / "population" / name, truth if name == POPULATION else truth.assign(alpha=0.0), rng, study.hostile)  # fmt: skip
    dml = write_cells(folder / "cells" / CELLS, truth, rng, study, cell_types)
    for name in (POPULATION, CONTROL):
        write_agreement(
            folder / "agreement" / name / CELLS, sides[name], dml, rng, study, control=name == CONTROL
        )


# ---- population ----


def write_population(here: Path, truth: pd.DataFrame, rng: np.random.Generator, hostile: str) -> pd.DataFrame:
    n = len(truth)
    base = truth[["ensembl_id", "gene", "chromosome", "position"]].set_axis(
        ["gene", "symbol", "chromosome", "position"], axis=1
    )
    se = rng.uniform(0.006, 0.05, n)
    alpha = truth["alpha"].to_numpy() + rng.normal(0, se)
    shrink = rng.uniform(0.02, 0.95, n)
    z, z_published = alpha / se, alpha / se * rng.uniform(0.85, 1.2, n)
    bare = np.arange(n) % 12 == 11  # no instrument
    n_snps = np.where(bare, 0, rng.integers(1, 9, n))
    twmr = base.assign(
        alpha=alpha, se=se, p=p_of(z), alpha_published=alpha * shrink, se_published=np.abs(alpha * shrink / z_published),
        p_published=p_of(z_published), q=rng.chisquare(3, n), q_p=rng.uniform(0, 1, n), n_snps=n_snps,
        n_genes=rng.integers(1, 4, n), condition=rng.uniform(1, 40, n), conditional_f=rng.uniform(5, 200, n),
        n_outliers=rng.integers(0, 2, n), outliers="", z=z, low=alpha - 1.96 * se, high=alpha + 1.96 * se,
        flags=np.where(bare, "no_instruments", np.where(n_snps < 3, "few_variants", "")),
    )  # fmt: skip
    numbers = [
        "alpha",
        "se",
        "p",
        "alpha_published",
        "se_published",
        "p_published",
        "q",
        "q_p",
        "condition",
        "conditional_f",
        "z",
        "low",
        "high",
    ]
    twmr.loc[bare, numbers] = np.nan
    twmr["fdr"] = np.nan
    twmr.loc[~bare, "fdr"] = fdr_of(twmr.loc[~bare, "p"])
    write_parquet(here / "twmr.parquet", twmr)
    write_parquet(here / "genes.parquet", base.assign(
        n_candidates=n_snps + 5, n_kept=n_snps, n_genes=twmr["n_genes"], dropped="ld_pruned 3; weak 2", mean_f=rng.uniform(5, 200, n),
        min_f=5.0, unknown_pairs=rng.integers(0, 3, n), left_out_genes="", flags=np.where(bare, "no_instruments", np.where(np.arange(n) % 7 == 0, "weak_instruments", "")),
    ))  # fmt: skip
    write_parquet(here / "instruments.parquet", variants_of(base, alpha, n_snps, rng, hostile))
    write_json(here / "instruments.json", {
        "n_genes": n, "n_with_instruments": int((~bare).sum()), "dropped": dict.fromkeys(REASONS, 9), "settings": {},
        "messages": [f"strand-ambiguous variants were settled by frequency{hostile}"],
    })  # fmt: skip
    parts = []
    for place, method in enumerate(METHODS):
        few = n_snps < (3 if place > 1 else 1)
        estimate = alpha + rng.normal(0, se)
        own = base.assign(
            method=method, estimate=estimate, se=se * (1 + place), low=estimate - 2 * se * (1 + place), high=estimate + 2 * se * (1 + place),
            p=p_of(estimate / se / (1 + place)), q=2.0, q_df=3, q_p=rng.uniform(0, 1, n), intercept=0.01 if method == "egger" else np.nan,
            intercept_se=0.01 if method == "egger" else np.nan, intercept_p=rng.uniform(0, 1, n) if method == "egger" else np.nan, n_snps=n_snps,
            steiger=np.where(np.arange(n) % 20 == 0, "unclear", "expression_to_trait"), steiger_p=1e-9, flags=np.where(few, "too_few_variants", ""),
        )  # fmt: skip
        own.loc[few, ["estimate", "se", "low", "high", "p"]] = np.nan
        own["fdr"] = np.nan
        own.loc[~few, "fdr"] = fdr_of(own.loc[~few, "p"])
        parts.append(own)
    write_parquet(here / "mr.parquet", pd.concat(parts, ignore_index=True))
    return twmr


def variants_of(
    base: pd.DataFrame, alpha: Any, n_snps: Any, rng: np.random.Generator, hostile: str
) -> pd.DataFrame:
    """instruments.parquet: the kept variants of every gene and five that were dropped."""
    rows = []
    for place, gene in enumerate(base.to_dict("records")):
        for number in range(int(n_snps[place]) + 5):
            kept = number < n_snps[place]
            eqtl = rng.normal(0, 0.06 if kept else 0.02)
            gwas = alpha[place] * eqtl + rng.normal(0, 0.002)
            rows.append({
                **gene, "variant": f"rs{place}_{number}{hostile if number == 0 else ''}", "position": gene["position"] + 9_000 * (number - 4) + int(rng.integers(0, 4000)),
                "effect_allele": "A", "other_allele": "G", "eqtl_beta": eqtl, "eqtl_p": p_of(eqtl * np.sqrt(32_000)), "gwas_beta": gwas,
                "gwas_p": p_of(gwas * np.sqrt(240_000)), "f": (eqtl * 178) ** 2, "n_eqtl": 32_000, "n_gwas": 240_000, "palindromic": False,
                "flipped": number % 2 == 0, "kept": kept, "reason": "" if kept else REASONS[(place + number) % len(REASONS)],
            })  # fmt: skip
    return pd.DataFrame(rows)


# ---- single cells ----


def write_cells(
    here: Path, truth: pd.DataFrame, rng: np.random.Generator, study: Any, cell_types: tuple[str, ...]
) -> pd.DataFrame:
    from scipy.stats import t as student

    parts, others = [], []
    for cell_type in cell_types:
        n = len(truth)
        signal = truth["alpha"].to_numpy() * 60 * (cell_type in ACTIVE)
        statistic = signal + rng.standard_t(10, n)
        se = rng.uniform(0.01, 0.06, n)
        p = 2 * student.sf(np.abs(statistic), 10)
        own = pd.DataFrame({
            "cell_type": cell_type, "gene": truth["gene"], "ensembl_id": truth["ensembl_id"], "theta": statistic * se, "se": se,
            "low": statistic * se - 2.2 * se, "high": statistic * se + 2.2 * se, "statistic": statistic, "df": 10.0, "p": p, "fdr": fdr_of(p),
            "theta_sd": statistic * 0.02, "r2_outcome": rng.uniform(-0.1, 0.3, n), "r2_treatment": rng.uniform(0, 0.4, n), "n_cells": 520, "n_donors": 12,
            "n_cases": 6, "mean_expression": rng.gamma(2, 0.5, n), "share_expressed": rng.uniform(0, 1, n), "repeats_spread": se / 10,
            "robustness_value": rng.uniform(0, 0.5, n), "p_naive": p_of(statistic * 4), "flags": np.where(np.arange(n) % 30 == 0, "rarely_expressed", ""),
        })  # fmt: skip
        own.loc[
            np.arange(n) % 30 == 0,
            ["theta", "se", "low", "high", "statistic", "p", "fdr", "theta_sd", "p_naive"],
        ] = np.nan
        parts.append(own)
        top = own.nsmallest(15, "p")
        for variant in ("partialling_out:lasso", "iv_type:ridge", "irm:ridge", "pseudobulk"):
            wobble = top["statistic"] * 0.9 + rng.normal(0, 0.4, len(top))
            others.append(top[["cell_type", "gene", "ensembl_id"]].assign(
                variant=variant, theta=wobble * top["se"], se=top["se"], statistic=wobble, df=10.0, p=2 * student.sf(np.abs(wobble), 10), r2_outcome=0.1,
                r2_treatment=0.2, flags=""))  # fmt: skip
    dml, donor = pd.concat(parts, ignore_index=True), study.samples[CELLS][0]
    write_parquet(here / "dml.parquet", dml)
    write_parquet(here / "dml_others.parquet", pd.concat(others, ignore_index=True))
    write_json(here / "dml.json", {
        "cohort": CELLS, "learner": "ridge", "score": "partialling_out", "inference": "t", "folds": 5, "repeats": 5, "latents": 16,
        "cell_types": [{"cell_type": name, "n_cells": 520, "n_donors": 12, "n_cases": 6, "n_genes": len(truth), "few_cells": [donor],
                        "covariates_used": ["library_size", "batch"], "covariates_dropped": {"sex": "in one arm alone"}, "lambda_gc": 1.03,
                        "overlap": {"low": 0.1, "high": 0.9, "trimmed": 0.02, "effective": 0.8, "genes": 15, "poor": 1}} for name in cell_types],
        "skipped": {"platelet": f"2 donors in the arm case, such as {donor}{study.hostile}"}, "covariates_missing": ["age"],
        "messages": [f"donor {donor} has few cells and was left out of B cell{study.hostile}"],
    })  # fmt: skip
    write_parquet(
        here / "latent.parquet", pd.DataFrame({"cell": ["a", "b"], "fold": [0, 1], "l0": [0.1, 0.2]})
    )
    write_json(here / "denoising.json", {
        "n_cells": 3120, "n_genes": 2000, "n_donors": 12, "n_pathways": 300, "settings": {"latent": 16}, "notes": [f"no batches{study.hostile}"], "seconds": 31.0,
        "folds": [{"donors": 4, "cells": 1040, "epochs": 30, "best_epoch": 25, "validation": [0.4]}] * 3, "agreement_of_networks": [0.9, 0.8],
        "reconstruction": {"left_out": True, "n_cells": 1152, "best": "network",
                           "nll_per_count": {"network": 0.412, "gene_mean": 0.471, "pca": 0.433, "neighbours": 0.44}},
        "mixing": {"network": {"donors": 0.02, "batches": 0.01}, "pca": {"donors": 0.05, "batches": None}},
        "permuted_labels": {"rejected": 0.049, "permutations": 500, "sd": 0.002},
    })  # fmt: skip
    return dml


# ---- agreement ----


def write_agreement(
    here: Path, twmr: pd.DataFrame, dml: pd.DataFrame, rng: np.random.Generator, study: Any, *, control: bool
) -> None:
    rows, genes, stability, pathways, agreement = [], [], [], [], []
    donors = study.samples[CELLS]
    names = [f"Pathway {place}{study.hostile if place == 0 else ''}" for place in range(30)]
    nes = rng.normal(0, 1.4, len(names))
    pathways.append(
        pd.DataFrame(
            {
                "side": "population",
                "pathway": names,
                "nes": nes,
                "p": p_of(nes),
                "fdr": fdr_of(p_of(nes)),
                "leading_edge": "GEN00001;GEN00002",
            }
        )
    )
    for cell_type in dict.fromkeys(dml["cell_type"]):
        own = dml[dml["cell_type"] == cell_type].merge(
            twmr[["gene", "symbol", "chromosome", "position", "z", "p", "alpha", "se"]],
            left_on="ensembl_id",
            right_on="gene",
            suffixes=("", "_t"),
        )
        own = own.dropna(subset=["z", "statistic"])
        r = float(np.corrcoef(own["z"], own["statistic"])[0, 1])
        same = np.sign(own["z"]) == np.sign(own["statistic"])
        rows.append({
            "cell_type": cell_type, "n_genes": len(own), "r": r, "low": r - 0.12, "high": r + 0.12, "r_corrected": min(1.0, 1.4 * r), "spearman": 0.9 * r,
            "p_permutation": float(p_of(r * np.sqrt(len(own)))), "p_global": 0.004 if not control else 0.6, "sign_agreement": float(same.mean()), "sign_p": 0.02,
            "deming_slope": 0.8, "deming_low": 0.2, "deming_high": 1.5, "overlap_10": 2, "overlap_10_expected": 0.5, "overlap_10_p": 0.08,
            "overlap_20": 5, "overlap_20_expected": 1.8, "overlap_20_p": 0.03, "loo_donor_min": r - 0.05, "loo_donor_max": r + 0.04,
            "loo_chromosome_min": r - 0.03, "loo_chromosome_max": r + 0.03, "control": control, "flags": "",
        })  # fmt: skip
        genes.append(pd.DataFrame({
            "cell_type": cell_type, "gene": own["ensembl_id"], "ensembl_id": own["ensembl_id"], "symbol": own["symbol"], "chromosome": own["chromosome"],
            "position": own["position"], "block": "B1", "z_population": own["z"], "p_population": own["p_t"], "alpha": own["alpha"], "alpha_se": own["se_t"],
            "z_cells": own["statistic"], "p_cells": own["p"], "theta": own["theta"], "theta_se": own["se"], "mean_expression": own["mean_expression"],
            "stratum": 1, "same_sign": same,
        }))  # fmt: skip
        for kind, left_out in (("chromosome", [str(one) for one in range(1, 23)]), ("donor", donors)):
            stability.append(
                pd.DataFrame(
                    {
                        "cell_type": cell_type,
                        "left_out": left_out,
                        "kind": kind,
                        "r": r + rng.normal(0, 0.02, len(left_out)),
                    }
                )
            )
        theirs = 0.7 * nes * (cell_type in ACTIVE) + rng.normal(0, 1, len(names))
        pathways.append(
            pd.DataFrame(
                {
                    "side": cell_type,
                    "pathway": names,
                    "nes": theirs,
                    "p": p_of(theirs),
                    "fdr": fdr_of(p_of(theirs)),
                    "leading_edge": "GEN00001;GEN00003",
                }
            )
        )
        agreement.append(
            {
                "cell_type": cell_type,
                "r": float(np.corrcoef(nes, theirs)[0, 1]),
                "p": 0.01,
                "n_pathways": len(names),
                "n_shared": 2,
            }
        )
    table = pd.DataFrame(rows)
    table["fdr"] = fdr_of(table["p_permutation"])
    write_parquet(here / "concordance.parquet", table)
    write_parquet(here / "genes.parquet", pd.concat(genes, ignore_index=True))
    write_parquet(here / "stability.parquet", pd.concat(stability, ignore_index=True))
    write_parquet(here / "pathways.parquet", pd.concat(pathways, ignore_index=True))
    write_parquet(here / "pathway_agreement.parquet", pd.DataFrame(agreement))
    write_json(here / "metrics.json", {
        "verdict": f"Both sides agree in 2 of 5 cell types{study.hostile}.", "settings": {}, "p_global": 0.004,
        "examples": [
            {"gene": "SLC40A1", "text": "SLC40A1: population genetics -0.21 (p = 0.036); single cells: 1 cell types, p ≤ 0.05 in 0.",
             "population": [{"ensembl_id": "ENSG00000138449", "effect": -0.21, "se": 0.1, "z": -2.1, "p": 0.036}],
             "mr": [{"method": "ivw_ld", "estimate": -0.2, "se": 0.1, "p": 0.045, "n_snps": 3, "flags": ""}],
             "cells": [{"cell_type": "monocyte", "effect": -0.1, "se": 0.05, "z": -1.8, "p": 0.1}]},
            {"gene": "CP", "text": f"CP: on neither side{study.hostile}.", "population": [], "mr": [], "cells": []},
        ],
        "messages": [f"donor {donors[1]} weighs most{study.hostile}"],
    })  # fmt: skip
