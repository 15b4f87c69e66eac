"""What the stage `rnagan` leaves in a results folder, small and made in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from consilience.foundation.files import read_json, write_json, write_parquet
from consilience.rnagan.evaluation_summary import summarise

BASELINES = ("elastic_net", "nearest_centroid", "pca_knn")
# how far apart cases and controls are for each method, in units of noise
STRENGTH = {
    "rnagan": 1.6, "rnagan, not adapted": 1.4, "rnagan, no pretraining": 1.2, "elastic_net": 0.9,
    "nearest_centroid": 1.1, "pca_knn": 0.6,
}  # fmt: skip
TYPES = ("CD4 T", "NK", "monocyte")
SPACE = ("accuracy", "balanced", "mixing", "lisi", "lisi_mixed", "rejection", "overlap_genes", "distances_genes",
         "overlap_references", "distances_references")  # fmt: skip


def add_rnagan(study: Any, *, seed: int = 3) -> None:
    """Write rnagan/, and the markers of truth/found.json, of a study of `fixture_study`."""
    rng = np.random.default_rng(seed)
    folder, hostile = study.results / "rnagan", study.hostile
    write_json(folder / "pretrained.json", training(hostile, ["tissue_geo", "blood_cells"]))
    write_parquet(folder / "pretrained.history.parquet", history("pretrained", rng, ("pretrain",)))
    for name, types in (("tissue_geo", ("",)), ("rare_geo", ("",)), ("blood_cells", kinds(hostile))):
        here = folder / name
        _models(here, hostile, rng)
        _diagnosis(here, name, types, study, rng)
        _markers(here, name, types, hostile, rng)
        _synthetic(here, name, types, study, rng)
        _vectors(here, name, types, study, rng)
    study.config = study.config.model_copy(
        update={"rnagan": study.config.rnagan.model_copy(update={"transfer": [["tissue_geo", "rare_geo"]]})}
    )
    moved = {"tasks": [judged("", study.samples["rare_geo"], 0.6, rng)], "base_cohorts": ["tissue_geo"]}
    write_json(folder / "rare_geo" / "transfer_from_tissue_geo.json", moved)
    _truth(study, rng)


def kinds(hostile: str) -> tuple[str, ...]:
    return tuple(f"{name}{hostile}" for name in TYPES)


def training(hostile: str, cohorts: list[str], **more: Any) -> dict[str, Any]:
    return {
        "preset": "default", "scale": "log1p_cp10k", "n_genes": 1871, "n_pathways": 312,
        "cohorts": [{"name": name, "measured": "counts", "samples": 60, "donors": 60, "digest": "ab", "labels": {}}
                    for name in cohorts],
        "notes": [f"gse9: left out, arrays and reads are not on one scale{hostile}"],
        "tasks": [["blood_cells, condition in NK: diseased or healthy", f"other{hostile}"], ["tissue_geo, a or b"]],
        "steps": 50, "seconds": 12.5, "device": "cpu", "device_reason": "the rule was given no GPU (resource gpu=0)",
        "pretrained": bool(cohorts),
    } | more  # fmt: skip


def history(model: str, rng: np.random.Generator, stages: tuple[str, ...], epochs: int = 5) -> pd.DataFrame:
    rows = []
    for stage in stages:
        for epoch in range(1, epochs + 1):
            rows.append({
                "model": model, "stage": stage, "epoch": epoch, "steps": 10 * epoch, "seconds": 1.5 * epoch,
                "discriminator.loss": 0.3 + 0.4 / epoch + 0.02 * rng.random(), "discriminator.right": 0.7,
                "generator.loss": np.nan if epoch == 1 else 0.9 - 0.1 / epoch,
            })  # fmt: skip
    return pd.DataFrame(rows)


def _models(here: Path, hostile: str, rng: np.random.Generator) -> None:
    base, model = training(hostile, ["four_lines"]), training(hostile, ["four_lines", here.name], notes=[])
    write_json(here / "training.json", {"base": base, "model": model})
    write_parquet(here / "history.parquet", pd.concat([
        history("base", rng, ("cells", "bulk")), history("model", rng, ("adapt",), epochs=2)
    ]))  # fmt: skip


def predictions(
    samples: list[str], strength: float, rng: np.random.Generator, sizes: tuple[int, ...]
) -> pd.DataFrame:
    """Made-up predictions as `evaluate` leaves them; more references tell more."""
    label = np.arange(len(samples)) % 2 == 1
    parts = []
    for split in range(3):
        test = np.sort(rng.permutation(len(samples))[: max(6, len(samples) // 3)])
        for size in sizes:
            noise = rng.normal(size=len(test))
            for method, own in STRENGTH.items():
                far = strength * own * (size / 20) ** 0.25
                logit = far * (2 * label[test] - 1) + noise + 0.5 * rng.normal(size=len(test))
                p = 1 / (1 + np.exp(-1.3 * logit))
                ranks_only, ours = method == "nearest_centroid", method.startswith("rnagan")
                parts.append(pd.DataFrame({
                    "sample": [samples[place] for place in test], "donor": [samples[place] for place in test],
                    "split": f"split {split}", "n_references": size, "n_positive": size, "n_negative": size,
                    "label": label[test], "method": method, "score": logit,
                    "probability": np.nan if ranks_only else p, "low": p - 0.1 if ours else np.nan,
                    "high": p + 0.1 if ours else np.nan,
                    "ood": (rng.random(len(test)) < 0.04) if ours else None,
                }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def judged(
    cell_type: str, samples: list[str], strength: float, rng: np.random.Generator,
    sizes: tuple[int, ...] = (5, 20), leakage: tuple[str, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    table = predictions(samples, strength, rng, sizes)
    summary = summarise(table, baselines=BASELINES, seed=1)
    summary |= {"positive": "case", "splits_skipped": [], "leakage": list(leakage), "prevalence": "training",
                "interval_level": 0.9}  # fmt: skip
    half = len(samples) // 2
    return {"cell_type": cell_type, "skipped": None, "n_samples": len(samples),
            "n_donors": {"case": half, "control": len(samples) - half}, "summary": summary}  # fmt: skip


def skipped(cell_type: str, why: str) -> dict[str, Any]:
    return {"cell_type": cell_type, "skipped": why, "n_samples": 4, "n_donors": {"case": 2, "control": 2},
            "summary": None}  # fmt: skip


def _diagnosis(here: Path, name: str, types: tuple[str, ...], study: Any, rng: np.random.Generator) -> None:
    samples, hostile = study.samples[name], study.hostile
    if name == "rare_geo":
        tasks = [
            skipped("", f"no split has training and test patients of both kinds ({samples[0]}){hostile}")
        ]
    elif name == "tissue_geo":
        copy = f"{samples[0]} and {samples[2]}: identical profiles, counted as one patient{hostile}"
        tasks = [judged("", samples, 0.7, rng, leakage=(copy,))]
    else:  # one that is too easy, one that is hard, one that cannot be done
        strengths = (4.0, 0.4)
        tasks = [
            judged(kind, samples, own, rng, (5, 20)) for kind, own in zip(types, strengths, strict=False)
        ]
        tasks.append(skipped(types[2], "no donor has 10 cells of this type"))
    write_json(here / "diagnosis.json", {"tasks": tasks, "base_cohorts": ["four_lines"], "preset": "default",
                                         "n_genes": 1871, "seconds": 9.1})  # fmt: skip


def gene_table(n: int, rng: np.random.Generator, hostile: str, *, judged: bool = True) -> pd.DataFrame:
    planted = np.zeros(n)
    planted[:20] = rng.choice([-1.0, 1.0], 20) * rng.uniform(0.5, 2.0, 20)
    effect = 0.3 * planted + rng.normal(0, 0.05, n)
    fdr = np.where(planted != 0, rng.uniform(0.0001, 0.04, n), rng.uniform(0.2, 1.0, n))
    table = pd.DataFrame({
        "feature": [f"GENE{place}{hostile if place == 0 else ''}" for place in range(n)], "kind": "gene",
        "effect": effect, "direction": np.where(effect > 0, "pedal", "brake"), "contribution": effect * 0.8,
        "integrated_gradients": effect, "occlusion": effect * 1.1, "elasticity": effect * 0.9,
        "agreement": rng.uniform(0.7, 1.0, n), "rank": np.arange(n), "statistic": effect * 10,
        "p": fdr / 3 if judged else np.nan, "fdr": fdr if judged else np.nan, "tested": True,
        "stability": rng.uniform(0.4, 1.0, n), "frequency": rng.uniform(0, 1, n), "exact": True,
        "mean_positive": 2.0, "mean_negative": 1.9, "log2fc": planted + rng.normal(0, 0.3, n),
    })  # fmt: skip
    for method in ("wilcoxon", "moderated_t"):
        table[f"{method}_effect"] = planted + rng.normal(0, 0.4, n)
        table[f"{method}_p"] = fdr
        table[f"{method}_fdr"] = np.clip(fdr * 1.5, 0, 1)
    table.loc[5, "moderated_t_fdr"] = np.nan
    return table


def _markers(here: Path, name: str, types: tuple[str, ...], hostile: str, rng: np.random.Generator) -> None:
    done = types[:2]
    parts: dict[str, list[pd.DataFrame]] = {"genes": [], "pathways": [], "interactions": [], "enrichment": []}
    tasks: list[dict[str, Any]] = []
    for kind in done:
        judged = name != "rare_geo"
        genes = gene_table(900, rng, hostile, judged=judged)
        pathways = gene_table(60, rng, hostile, judged=judged)[
            ["feature", "effect", "direction", "contribution", "agreement", "fdr", "stability", "frequency"]
        ].assign(kind="pathway", n_genes=12, coherence=0.8)
        parts["genes"].append(genes.assign(cell_type=kind))
        parts["pathways"].append(pathways.assign(cell_type=kind))
        parts["interactions"].append(pd.DataFrame({
            "cell_type": kind, "first": ["GENE1", "GENE2"], "second": ["GENE3", f"GENE4{hostile}"],
            "effect": [0.2, -0.05], "se": [0.05, 0.05], "low": [0.1, -0.15], "high": [0.3, 0.05]}))  # fmt: skip
        parts["enrichment"].append(pd.DataFrame({
            "cell_type": kind, "pathway": ["INTERFERON", f"CYCLE{hostile}"], "es": [0.6, -0.4], "nes": [2.1, -1.2],
            "p": [0.001, 0.2], "fdr": [0.01, 0.4], "n_genes": [30, 20], "leading": ["GENE1;GENE2", "GENE9"]}))  # fmt: skip
        tasks.append({
            "cell_type": kind, "skipped": None, "n_donors": {"case": 30, "control": 30}, "positive": "case",
            "n_genes": 900, "n_genes_tested": 880, "n_pathways": 60, "evidence": "permute" if judged else "none",
            "permutations": 200 if judged else 0, "labellings_possible": 2**53,
            "attributions": ["integrated_gradients", "occlusion", "elasticity"],
            "agreement": [{"first": "integrated_gradients", "second": "occlusion", "rank_correlation": 0.97,
                           "sign_agreement": 1.0, "overlap": 0.8}],
            "completeness_error": None, "stability_index": {"genes": 0.61, "pathways": None, "top": 50},
            "resamples": 20, "caveats": [f"only 3 labellings are possible{hostile}"] if not judged else [],
            "n_significant": {"genes": 20 if judged else 0, "pathways": 20 if judged else 0, "enrichment": 1},
            "fdr_level": 0.05,
        })  # fmt: skip
    tasks += [{"cell_type": kind, "skipped": f"fewer than two donors of a kind{hostile}",
               "n_donors": {"case": 1, "control": 2}} for kind in types[2:]]  # fmt: skip
    for part, tables in parts.items():
        write_parquet(here / f"markers_{part}.parquet", pd.concat(tables, ignore_index=True))
    write_json(
        here / "markers.json", {"tasks": tasks, "base_cohorts": [], "preset": "default", "seconds": 3.0}
    )


def _synthetic(here: Path, name: str, types: tuple[str, ...], study: Any, rng: np.random.Generator) -> None:
    best = {"mean R2": 0.99, "sd R2": 0.8, "sd slope": 0.81, "spread within classes": 0.98, "two-sample AUC, linear": 0.52,
            "two-sample AUC, spread": 0.5, "two-sample AUC, joint": 0.51, "zero fraction error": 0.02}  # fmt: skip
    fidelity = {key: part for word, value in best.items()
                for key, part in ((word, round(value * 0.95, 3)), (f"{word}, ceiling", value))}  # fmt: skip
    passed, hostile = name == "tissue_geo", study.hostile
    record: dict[str, Any] = {
        "kinds": [{"condition": arm, "cell_type": kind, "real": 30, "synthetic": 60} for kind in types
                  for arm in ("case", "control")],
        "skipped": None, "held_out_share": 0.3, "fold": 2.0, "fidelity": fidelity,
        "privacy": {"near copies": 0.0, "closer to training patients": 0.52, "membership AUC, distance": 0.55,
                    "membership AUC, correlation": 0.57}, "metrics": {},
        "release": {"passed": passed, "judged_by": "held-out patients", "notes": [f"few patients{hostile}"],
                    "reasons": [] if passed else [f"membership AUC (distance): 0.81 (limit 0.70; p = 0.001){hostile}"]},
        "generator": "DefaultGenerator", "preset": "default", "provenance": {"near_copies_removed": 3, "not_replaced": 0},
        "judged": {}, "seconds": 2.0,
    }  # fmt: skip
    if name == "rare_geo":
        record |= {"skipped": f"one patient only: {study.samples[name][0]}", "kinds": [], "fidelity": {}, "privacy": {},
                   "release": {"passed": False, "reasons": [], "notes": []}}  # fmt: skip
    if passed:
        mean = rng.gamma(2, 1, 700)
        record["published"] = {
            "fidelity": {word: round(value * 0.6, 3) for word, value in best.items()},
            "privacy": {},
        }
        write_parquet(here / "synthetic_genes.parquet", pd.DataFrame({
            "cell_type": "", "condition": "case", "gene": [f"GENE{place}" for place in range(700)],
            "mean_real": mean, "sd_real": mean / 3, "mean_synthetic": mean + rng.normal(0, 0.05, 700),
            "sd_synthetic": mean / 3.3}))  # fmt: skip
    write_json(here / "synthetic.json", record)


def space(level: float, rng: np.random.Generator) -> dict[str, Any]:
    return {name: {"mean": None if name == "mixing" and level < 0.7 else round(level + 0.05 * rng.random(), 3), "sd": 0.02}
            for name in SPACE}  # fmt: skip


def _vectors(here: Path, name: str, types: tuple[str, ...], study: Any, rng: np.random.Generator) -> None:
    samples, hostile = study.samples[name], study.hostile
    tables, near, tasks = [], [], []
    for place, kind in enumerate(types):
        case = np.arange(len(samples)) % 2 == 1
        values = rng.normal(size=(len(samples), 64)) + 2.0 * place
        values[:, :3] += 3 * case[:, None]
        names = [f"{one} {kind}" if kind else one for one in samples]
        table = pd.DataFrame(values, columns=[f"v{number}" for number in range(64)])
        table.insert(0, "sample", names)
        table.insert(1, "cell_type", kind)
        table.insert(2, "donor", [f"P{name[:2]}{number:03d}" for number in range(len(samples))])
        table.insert(3, "arm", np.where(case, "case", "control"))
        table.insert(4, "batch", [f"b{number % 3}{hostile}" for number in range(len(samples))])
        tables.append(table)
        near.append(pd.DataFrame({
            "cell_type": kind, "sample": np.repeat(names, 2), "rank": np.tile([1, 2], len(names)),
            "neighbour": np.repeat(names[::-1], 2), "label": np.repeat(np.where(case, "case", "control"), 2),
            "distance": 1.0}))  # fmt: skip
        told: dict[str, Any] = {"cell_type": kind, "skipped": None, "n_samples": len(samples), "n_donors": {"case": 9},
                                "figures": None}  # fmt: skip
        if len(samples) < 10:
            told["skipped"] = f"too few donors to hold some out{hostile}"
        else:
            told["figures"] = {"n_references": 40, "n_queries": 20, "k": 15, "n_seeds": 5, "hidden_genes": 0.2,
                               "chance": 0.5, "overlap_chance": 0.1, "rnagan": space(0.8, rng), "pca": space(0.68, rng)}  # fmt: skip
        tasks.append(told)
    write_parquet(here / "vectors.parquet", pd.concat(tables, ignore_index=True))
    write_parquet(here / "nearest.parquet", pd.concat(near, ignore_index=True))
    write_json(here / "vectors.json", {"tasks": tasks, "preset": "default", "seconds": 1.0})


def _truth(study: Any, rng: np.random.Generator) -> None:
    def one(cell_type: str, method: str, level: float) -> dict[str, Any]:
        return {"cell_type": cell_type, "method": method, "auprc": round(level + 0.02 * rng.random(), 3),
                "chance": 0.02, "sign_accuracy": 0.95, "sign_accuracy_top": None, "n_planted": 40, "n_genes": 900,
                "n_called": 20, "false_share": 0.05, "power": 0.5}  # fmt: skip

    path = study.results / "truth" / "found.json"
    found = read_json(path)
    for name, kind in (("tissue_geo", ""), ("blood_cells", f"NK{study.hostile}")):
        found["cohorts"][name]["markers"] = [
            one(kind, method, level)
            for method, level in (("rnagan", 0.6), ("wilcoxon", 0.5), ("moderated_t", 0.62))
        ]
    write_json(path, found)
