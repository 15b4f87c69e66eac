"""What the stage `augment` leaves in a results folder, small and made in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from consilience.augment.judging import FIDELITY, PRIVACY, REAL_TRAIN
from consilience.augment.utility_summary import summarised
from consilience.foundation.files import write_json, write_parquet

LABELS = ("case", "control")
ATTACKS = ("distance", "correlation", "profile", "span")
# how good each generator is: shortfall in units of what is allowed, membership AUC
KINDS = {
    REAL_TRAIN: ("real", 0.0, 0.99),
    "private_factors": ("ours", 0.9, 0.55),
    "vae": ("ours", 2.5, 0.58),
    "shrunk_gaussian": ("classical", 0.6, 0.84),
    "copula": ("classical", 0.7, 0.80),
    "smote": ("classical", 1.4, 1.0),
    "published_vae": ("published", 9.0, 0.62),
    "published_gan": ("published", 14.0, 0.52),
}
CEILING = {
    "mean_r2": 0.98, "sd_r2": 0.78, "sd_slope": 0.84, "class_mean_r2": 0.97, "fold_change_r2": 0.92, "spread": 1.0,
    "diversity": 1.02, "correlation": 0.9, "correlation_published": 0.95, "zero_error": 0.02, "pathways": 0.2, "mmd": 0.01,
    "energy": 0.1, "density": 1.0, "coverage": 0.9, "unique_share": 1.0, "two_sample_linear": 0.53,
    "two_sample_spread": 0.52, "two_sample_joint": 0.51, "lost_classes": 0.0, "share_error": 0.0,
}  # fmt: skip
SLOPES = {
    "mean_r2": -0.005, "sd_r2": -0.03, "sd_slope": -0.05, "class_mean_r2": -0.01, "fold_change_r2": -0.01, "spread": -0.05,
    "diversity": -0.05, "correlation": -0.05, "two_sample_linear": 0.03, "two_sample_spread": 0.03, "two_sample_joint": 0.03,
    "zero_error": 0.003, "coverage": -0.04, "mmd": 0.01,
}  # fmt: skip


def add_augment(study: Any, *, seed: int = 4) -> None:
    """Write augment/ of a study of `fixture_study`: one cohort given out, a rare one refused."""
    rng = np.random.default_rng(seed)
    folder = study.results / "augment"
    _everything(folder / "tissue_geo", "tissue_geo", study, rng)
    _little(folder / "rare_geo", study, rng)


def judged(
    rng: np.random.Generator, *, n_splits: int, n_train: int, keys: tuple[str, ...] = tuple(KINDS)
) -> pd.DataFrame:
    """generators.parquet."""
    rows = []
    for split in range(n_splits):
        luck = rng.normal(0, 0.01)
        for key in keys:
            kind, short, leak = KINDS[key]
            row: dict[str, Any] = {
                "split": split, "generator": key, "kind": kind, "temperature": 1.0, "n_train": n_train,
                "n_held_out": n_train // 2, "n_drawn": n_train, "seconds": 0.5 + short, "genes": 1000, "error": "",
            }  # fmt: skip
            for name in FIDELITY:
                wobble = 0.0 if name == "lost_classes" else luck + rng.normal(0, 0.005)
                row[name] = CEILING[name] + SLOPES.get(name, 0.0) * short + wobble
            for name in PRIVACY:
                row[name] = float(np.clip(leak + rng.normal(0, 0.02), 0, 1))
            row["exact_copies"] = float(n_train * (key == REAL_TRAIN))
            row["near_copies"] = float(n_train * (key in (REAL_TRAIN, "smote")))
            row["closest_share"] = 0.5 + 0.5 * (leak - 0.5)
            row["lost_classes"] = float(key == "published_gan")
            rows.append(row)
    return pd.DataFrame(rows)


def _everything(here: Path, name: str, study: Any, rng: np.random.Generator) -> None:
    hostile = study.hostile
    table = judged(rng, n_splits=5, n_train=42)
    write_parquet(here / "generators.parquet", table)
    write_parquet(here / "attacks.parquet", pd.DataFrame([
        {"split": split, "generator": key, "attack": attack, "auc": leak - 0.03 * place, "low": 0.4, "high": 0.9, "p": 0.2}
        for split in range(5) for key, (_, _, leak) in KINDS.items() for place, attack in enumerate(ATTACKS)
    ]))  # fmt: skip
    write_json(here / "generators.json", choice(hostile, n_train=42))
    _temperatures(here, rng)
    _usefulness(here, hostile, rng)
    _privacy(here, hostile, passed=True)
    _robustness(here, study, rng)
    _genes(here, name, study, rng, n_held_out=18)
    write_json(here / "metrics.json", {
        "kinds": [{"label": label, "condition": label, "real": 31, "synthetic": 310} for label in LABELS], "fold": 10.0,
        "generator": "private_factors", "title": "Private factors", "temperature": 1.2, "level": "balanced", "units": "counts",
        "near_copies_removed": 2, "not_replaced": 0, "released": True, "notes": [f"few patients{hostile}"], "skipped": None,
    })  # fmt: skip


def choice(hostile: str, *, n_train: int, **more: Any) -> dict[str, Any]:
    """generators.json."""
    return {
        "generator": "private_factors", "title": "Private factors", "kind": "ours", "temperature": 1.2,
        "temperature_low": 1.05, "temperature_high": 1.4, "level": "balanced", "asked": "auto",
        "why": f"the most faithful that keeps the limits of this level{hostile}", "n_train": n_train,
        "n_held_out": n_train // 2, "n_splits": 5, "n_samples": 62, "n_donors": 62, "genes": 1000,
        "classes": {"case": 31, "control": 31},
        "compared": [{"generator": key, "title": key, "errors": []} for key in KINDS if key != REAL_TRAIN]
        + [{"generator": "pca_mixture", "title": "mixture", "errors": [f"too few patients in class case{hostile}"]}],
        "limits": {"none": {"membership": None, "closest_share": 1.0}, "balanced": {"membership": 0.6, "closest_share": 0.6},
                   "strict": {"membership": 0.6, "closest_share": 0.6}},
        "refused": ["smote: membership distance 1.00 above 0.60"], "notes": [], "skipped": None,
    } | more  # fmt: skip


def _temperatures(here: Path, rng: np.random.Generator) -> None:
    grid = (0.5, 1.0, 2.0, 4.0)
    rows = []
    for key, mode in (
        ("private_factors", "sampled"),
        ("published_vae", "prior"),
        ("published_vae", "posterior"),
    ):
        for split in range(3):
            for at in grid:
                rows.append({
                    "generator": key, "split": split, "mode": mode, "temperature": at, "n_train": 42,
                    "sd_slope": 0.4 + 0.2 * at + rng.normal(0, 0.02), "diversity": 0.5 + 0.2 * at + rng.normal(0, 0.02),
                    "correlation": 0.8 - 0.05 * at, "two_sample_linear": 0.6 + 0.03 * at, "two_sample_spread": 0.9 - 0.1 * at,
                    "membership": 0.5 + 0.03 * at + rng.normal(0, 0.01), "mean_r2": np.nan,
                })  # fmt: skip
    write_parquet(here / "temperature.parquet", pd.DataFrame(rows))
    match = {name: [0.6, 0.95, 1.4, 2.0] for name in ("sd_slope", "spread", "diversity")} | {
        "correlation": [None] * 4
    }
    write_json(here / "temperature.json", {
        "private_factors": {
            "temperature": 1.15, "estimate": 1.2, "low": 1.05, "high": 1.4, "mode": "adaptive", "means": "", "why": "of split 0",
            "splits": [
                {"split": split, "temperature": 1.0 if split == 0 else 1.24, "estimate": 1.2, "low": 1.05, "high": 1.4, "edge": "",
                 "temperatures": list(grid), "ratios": match, "wanted": {"sd_slope": 1.2}, "mismatch_one": 0.2,
                 "mismatch_estimate": 0.1, "n_folds": 5, "why": f"of split {split}"}
                for split in range(3)
            ],
        },
        "published_vae": {"temperature": 1.0, "low": 0.5, "high": 4.0, "mode": "adaptive", "why": "T = 1 is kept.", "estimate": None},
    })  # fmt: skip


def _usefulness(here: Path, hostile: str, rng: np.random.Generator) -> None:
    rows = []
    for split in range(6):
        for size in (10, 20, 0):
            for classifier in ("logistic_ridge", "random_forest"):
                base = 0.72 + 0.004 * (size or 40) + rng.normal(0, 0.02)
                for key, protocol, gain in (
                    (REAL_TRAIN, "trtr", 0.0), (REAL_TRAIN, "twice", 0.004), ("private_factors", "tstr", -0.02),
                    ("private_factors", "augmented", 0.03), ("published_vae", "tstr", -0.12), ("published_vae", "augmented", -0.01),
                ):  # fmt: skip
                    value = base + gain + rng.normal(0, 0.002)
                    rows.append({
                        "split": split, "generator": key, "protocol": protocol, "classifier": classifier, "n_per_class": size,
                        "n_train": 42, "test_ratio": 0.4, "auc": value, "accuracy": value - 0.1, "balanced_accuracy": value - 0.1, "brier": 0.2, "error": "",
                    })  # fmt: skip
    write_parquet(here / "utility.parquet", pd.DataFrame(rows))
    write_parquet(here / "utility_summary.parquet", summarised(pd.DataFrame(rows)))
    steps = [
        {"split": split, "generator": key, "protocol": rung, "accuracy": level, "f1": level, "auc": level + 0.01 * split}
        for split in range(2) for key in ("private_factors", "published_vae")
        for rung, level in (("published", 0.97), ("unseen_rows", 0.95), ("true_labels", 0.8), ("honest", 0.7))
    ]  # fmt: skip
    write_parquet(here / "published.parquet", pd.DataFrame(steps))
    write_json(here / "utility.json", {
        "published": [], "errors": {"pca_mixture": f"too few patients{hostile}"},
        "notes": [f"small classes{hostile}"], "skipped": None,
    })  # fmt: skip


def _privacy(here: Path, hostile: str, *, passed: bool) -> None:
    leak = 0.55 if passed else 0.81
    sentence = f"membership AUC (distance): {leak:.2f} (limit 0.60; p = 0.002 without a leak){hostile}"
    checks = [
        {"name": "exact copies", "passed": True, "value": 0.0, "limit": 0.0, "sentence": "exact copies: 0 of 420 samples"},
        {"name": "membership AUC (distance)", "passed": passed, "value": leak, "limit": 0.6, "sentence": sentence},
    ]  # fmt: skip
    write_json(here / "privacy.json", {
        "passed": passed, "level": "balanced", "reasons": [] if passed else [sentence], "checks": checks,
        "notes": [f"a leak near the limit would not be seen{hostile}"], "judged_by": "a trial", "n_train": 42, "n_held_out": 20,
        "n_synthetic": 420, "attacks": [
            {"name": name, "auc": leak - 0.02 * place, "low": leak - 0.15, "high": leak + 0.1, "p": 0.3, "null_high": 0.64}
            for place, name in enumerate(ATTACKS)
        ],
        "closest": {"share": 0.53, "low": 0.5, "high": 0.56, "null_high": 0.61, "p": 0.3, "to_train": 1.0, "to_held_out": 1.0,
                    "ratio_train": 0.81, "ratio_held_out": 0.83},
        "exact_copies": 0, "near_copies": 0, "near_share": 0.0, "near_held_out": 0.0, "removed": 2,
        "limits": {"membership": 0.6, "closest_share": 0.6},
        "attribute": [{"name": name, "train": 0.62, "held_out": 0.6, "advantage": 0.02, "low": -0.03, "high": 0.07,
                       "null_high": 0.05, "p": 0.4, "n_genes": 50} for name in ("nearest", "ridge", "label")],
        "shadow": {"auc": 0.58, "error": 0.03, "plain": 0.56, "n_shadows": 16}, "epsilon": None, "skipped": None,
    })  # fmt: skip


def _robustness(here: Path, study: Any, rng: np.random.Generator) -> None:
    shares = {"data split": 0.6, "init": 0.1, "sampling": 0.3}
    write_parquet(here / "robustness.parquet", pd.DataFrame([
        {"generator": "private_factors", "figure": name, "source": source, "variance": 0.01 * share, "share": share, "sd": 0.1}
        for name in FIDELITY for source, share in {**shares, "total": 1.0}.items()
    ]))  # fmt: skip
    planted = pd.read_parquet(study.results / "truth" / "genes.parquet")
    effect = planted["effect"].fillna(0.0).to_numpy()
    write_parquet(here / "markers.parquet", pd.DataFrame({
        "gene": planted["gene"], "effect_real": effect + rng.normal(0, 0.2, len(effect)),
        "effect_synthetic": effect + rng.normal(0, 0.3, len(effect)),
    }))  # fmt: skip
    write_json(here / "robustness.json", {
        "runs": 5, "n_runs": 20, "generator": "private_factors", "skipped": None, "overlap": [
            {"generator": "private_factors", "fold": fold, "top": 50, "overlap": 0.72, "rank_correlation": 0.81,
             "sign_agreement": 0.98, "called": 0.1 * fold, "called_deflated": 0.08, "chance": 0.05, "ceiling": False}
            for fold in (1, 10)
        ] + [{"generator": REAL_TRAIN, "fold": 0, "top": 50, "overlap": 0.8, "rank_correlation": 0.85, "sign_agreement": 1.0,
              "called": 0.1, "called_deflated": 0.1, "chance": 0.05, "ceiling": True}],
    })  # fmt: skip


def _genes(here: Path, name: str, study: Any, rng: np.random.Generator, *, n_held_out: int) -> None:
    tables = []
    for label in LABELS:
        mean = rng.gamma(2, 1.5, 600)
        tables.append(pd.DataFrame({
            "label": label, "gene": [f"GENE{place}{study.hostile if place == 0 else ''}" for place in range(600)],
            "n_real": n_held_out // 2, "mean_real": mean, "sd_real": mean / 3 + 0.1,
            "mean_synthetic": mean + rng.normal(0, 0.15, 600), "sd_synthetic": mean / 3.4 + 0.1 + rng.normal(0, 0.05, 600),
        }))  # fmt: skip
    write_parquet(here / "genes.parquet", pd.concat(tables, ignore_index=True))
    samples = study.samples[name]
    kinds = np.where(np.arange(len(samples)) % 3 == 0, "held out", "training")
    real = pd.DataFrame(
        {"kind": kinds, "label": np.array(LABELS)[np.arange(len(samples)) % 2], "sample": samples}
    )
    made = pd.DataFrame({"kind": "synthetic", "label": np.array(LABELS)[np.arange(200) % 2], "sample": ""})
    table = pd.concat([real, made], ignore_index=True)
    side = np.where(table["label"] == "case", 3.0, -3.0)
    table["pc1"], table["pc2"] = side + rng.normal(0, 1.5, len(table)), rng.normal(0, 2, len(table))
    write_parquet(here / "overlay.parquet", table.assign(explained_1=0.31, explained_2=0.12))


def _little(here: Path, study: Any, rng: np.random.Generator) -> None:
    """A rare cohort: one split, few patients, refused, usefulness not judged."""
    write_parquet(here / "generators.parquet", judged(rng, n_splits=1, n_train=14, keys=tuple(KINDS)[:5]))
    write_json(here / "generators.json", choice(
        study.hostile, n_train=14, n_splits=1, temperature=None, temperature_low=None, temperature_high=None,
        generator="shrunk_gaussian", asked="shrunk_gaussian"))  # fmt: skip
    _privacy(here, study.hostile, passed=False)
    _genes(here, "rare_geo", study, rng, n_held_out=6)
    write_json(here / "metrics.json", {
        "kinds": [{"label": label, "real": 10, "synthetic": 0} for label in LABELS], "generator": "shrunk_gaussian",
        "released": False, "level": "balanced",
    })  # fmt: skip
    first = study.samples["rare_geo"][0]
    write_json(here / "utility.json", {"skipped": f"too few patients, such as {first}{study.hostile}"})
