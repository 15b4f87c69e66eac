"""One study of everything real in the kit, from files (and a GEO that plays back its own answers) to the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml

from checkouts import Checkout, copy_checkout
from replay import ReplayServer
from sites import lay_out_platform, lay_out_series, mirrors

pytestmark = pytest.mark.real_data
SMALL = {"genes": 1000, "effort": 0.1, "references": [5], "draws": 6, "splits": 2, "permutations": 5, "resamples": 2,
         "baselines": ["nearest_centroid"], "fold": 1.0}  # fmt: skip
"""Few repetitions of RNAGAN: here it is asked whether every real cohort goes through, not how well."""
OA = "osteoarthritis|synovial tissue isolated from osteoarthritic joint"
COLUMNS = (
    "cohort", "kind", "source", "location", "condition", "case", "control", "donor", "cell_type", "batch",
    "perturbation", "files", "select", "units", "role",
)  # fmt: skip
ROWS: tuple[dict[str, str], ...] = (
    {"cohort": "kich", "location": "bulk/tcga_kich.counts.parquet", "condition": "group", "case": "tumor",
     "control": "normal", "role": "both"},
    {"cohort": "chol", "location": "bulk/tcga_chol.counts.parquet", "condition": "group", "case": "tumor",
     "control": "normal", "role": "both"},
    {"cohort": "normals", "location": "bulk/tcga_lihc_kirc_thca_normals.counts.parquet", "role": "pretrain"},
    {"cohort": "kidney_normals", "location": "bulk/tcga_lihc_kirc_thca_normals.counts.parquet",
     "role": "pretrain", "select": "project=KIRC"},
    {"cohort": "gtex", "location": "bulk/gtex_kidney_bladder.counts.parquet", "role": "pretrain"},
    {"cohort": "peac", "location": "bulk/peac_ra_synovium_500genes.rlog.tsv.gz", "condition": "Pathotype",
     "case": "Lymphoid", "control": "Fibroid", "units": "log2"},
    {"cohort": "synovium", "source": "geo", "location": "GSE55235", "condition": "disease state",
     "case": "rheumatoid arthritis", "control": OA},
    {"cohort": "therapy", "source": "geo", "location": "GSE97165", "condition": "time point",
     "case": "Baseline", "control": "6 mo tDMARD", "donor": "subject number", "units": "estimated_counts"},
    {"cohort": "kang", "kind": "single_cell", "location": "singlecell/kang2018_ifnb_muscat.h5ad",
     "condition": "condition", "case": "stim", "control": "ctrl", "donor": "donor", "cell_type": "cell_type"},
    {"cohort": "zhao", "kind": "single_cell", "location": "perturb/zhao2021_glioblastoma_panobinostat.h5ad",
     "condition": "condition", "case": "panobinostat", "control": "ctrl", "donor": "patient_id"},
    {"cohort": "papalexi", "kind": "perturbation", "location": "perturb/papalexi2021_thp1_eccite.h5ad",
     "control": "control", "perturbation": "perturbation", "cell_type": "cell_line", "batch": "bio_rep"},
    {"cohort": "height", "kind": "summary_statistics", "location": "sumstats/twmr_height"},
)  # fmt: skip


def sheet(kit: Path, rows: tuple[dict[str, str], ...]) -> str:
    """The cohort sheet; local paths below the kit."""
    lines = ["\t".join(COLUMNS)]
    for row in rows:
        full = {"kind": "bulk", "source": "local"} | row
        if full["source"] == "local":
            full["location"] = str(kit / full["location"])
        lines.append("\t".join(full.get(name, "") for name in COLUMNS))
    return "\n".join(lines) + "\n"


FEW = {
    "cohorts": ["chol", "synovium"], "generators": ["private_factors", "vae"], "privacy": "none", "fold": 2.0,
    "splits": 2, "genes": 500, "sizes": [], "classifiers": ["logistic_ridge"], "temperatures": [], "runs": 0,
    "shadows": 0, "effort": 0.1,
}  # fmt: skip
"""Augmentation of two cohorts, as little of it as there can be."""
LITTLE = {
    "denoising": {"effort": 0.05, "folds": 2},
    "dml": {"others": [], "top": 3, "repeats": 2},
    "mr": {"methods": ["wald_ratio", "ivw_ld"], "bootstraps": 100},
    "concordance": {"permutations": 99, "pathway_permutations": 0, "min_genes": 5},
}
"""The causal stage: height against treated cells, which nobody expects to agree."""


def configure(checkout: Checkout, text: str, **sections: object) -> None:
    config = {"study": {"name": "kit", "title": "Everything real in the kit", "cohorts": "cohorts.tsv",
                        "min_samples_per_arm": 2}, **sections}  # fmt: skip
    (checkout.folder / "study.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (checkout.folder / "cohorts.tsv").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def results(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study's folder."""
    checkout = copy_checkout(tmp_path_factory.mktemp("kit"))
    served, root = kit / "geo_as_served", tmp_path_factory.mktemp("geo")
    lay_out_series(
        root, "GSE55235", supplements={},
        matrices={"GSE55235_series_matrix.txt.gz": served / "GSE55235_series_matrix.txt.gz"},
    )  # fmt: skip
    lay_out_platform(root, "GPL96", served / "GPL96_probe_to_symbol.tsv.gz")
    lay_out_series(
        root, "GSE97165",
        matrices={"GSE97165_series_matrix.txt.gz": served / "GSE97165_series_header.txt.gz"},
        supplements={"GSE97165_GEO_count_matrix.txt.gz": served / "GSE97165_GEO_count_matrix.txt.gz"},
    )  # fmt: skip
    with ReplayServer() as server:
        server.serve_folder("/geo", root)
        configure(
            checkout, sheet(kit, ROWS), fetch={"mirrors": mirrors(server)},
            summary_statistics={"n_gwas": 239_087, "n_eqtl": 32_000}, rnagan=SMALL,
            augment=FEW, causal=LITTLE,
        )  # fmt: skip
        done = checkout.snakemake(timeout=900)
    assert done.returncode == 0, done.stdout[-6000:]
    return checkout.folder / "results" / "kit"


def quality(results: Path, cohort: str) -> dict:
    return json.loads((results / "expression" / f"{cohort}.qc.json").read_text())


def test_every_cohort_comes_through_to_the_report(results: Path) -> None:
    assert {path.stem for path in (results / "expression").glob("*.h5ad")} == {
        row["cohort"] for row in ROWS if row.get("kind") != "summary_statistics"
    }
    page = (results / "report" / "index.html").read_text()
    for row in ROWS:
        assert row["cohort"] in page
    assert "estimated counts" in page


@pytest.mark.parametrize(
    ("cohort", "n_in", "arms"),
    [
        ("kich", 85, {"case": 60, "control": 25}),
        ("chol", 40, {"case": 31, "control": 9}),
        ("normals", 173, {}),
        ("kidney_normals", 72, {}),
        ("gtex", 43, {}),
        ("peac", 81, {"case": 45, "control": 16}),
        ("synovium", 30, {"case": 10, "control": 10}),
        ("therapy", 38, {"case": 19, "control": 19}),
    ],
)
def test_bulk_cohorts_have_their_groups(results: Path, cohort: str, n_in: int, arms: dict[str, int]) -> None:
    data = anndata.read_h5ad(results / "expression" / f"{cohort}.h5ad")
    found = quality(results, cohort)
    removed = pd.read_parquet(results / "expression" / f"{cohort}.removed.parquet")
    assert found["n_in"] == n_in == data.n_obs + len(removed)
    for arm, n in arms.items():
        kept = int((data.obs["arm"] == arm).sum())
        assert n - len(removed) <= kept <= n
    assert np.isfinite(np.asarray(data.X)).all()


def test_units_are_what_they_are(results: Path) -> None:
    expected = {"kich": "counts", "therapy": "estimated_counts", "synovium": "intensity", "peac": "log2"}
    assert {cohort: quality(results, cohort)["units"] for cohort in expected} == expected
    synovium = anndata.read_h5ad(results / "expression" / "synovium.h5ad")
    assert "counts" not in synovium.layers
    assert np.asarray(synovium.X).max() < 20, "logarithms of intensities"
    therapy = anndata.read_h5ad(results / "expression" / "therapy.h5ad")
    assert np.array_equal(therapy.layers["counts"], np.floor(therapy.layers["counts"]))
    assert "11.8" in json.dumps(quality(results, "therapy")["messages"]), "the share of fractions is told"


def test_known_biology_survives_the_way(results: Path) -> None:
    """Directions that the papers report; a mixed-up join of samples would lose them."""
    synovium = anndata.read_h5ad(results / "expression" / "synovium.h5ad")
    arm = synovium.obs["arm"].to_numpy()
    gap = {
        gene: float(np.mean(synovium[arm == "case", gene].X) - np.mean(synovium[arm == "control", gene].X))
        for gene in ("CXCL13", "CXCL9", "CD27", "STAT1")
    }
    assert all(value > 0.5 for value in gap.values()), gap
    kang = anndata.read_h5ad(results / "expression" / "kang.h5ad")
    case = kang.obs["arm"].to_numpy() == "case"
    assert np.mean(kang[case, "ISG15"].X) > 2 + np.mean(kang[~case, "ISG15"].X)
    papalexi = anndata.read_h5ad(results / "expression" / "papalexi.h5ad")
    counts = papalexi[papalexi.obs["perturbation"] == "IFNGR2", "STAT1"].layers["counts"].mean()
    assert counts < 0.7 * papalexi[papalexi.obs["perturbation"] == "control", "STAT1"].layers["counts"].mean()


def test_paired_samples_stay_pairs(results: Path) -> None:
    data = anndata.read_h5ad(results / "expression" / "therapy.h5ad")
    pairs = data.obs.groupby("donor", observed=True)["condition"].nunique()
    assert pairs.size == 19
    assert (pairs == 2).sum() >= 19 - (38 - data.n_obs)


def test_twmr_inputs_become_the_three_tables(results: Path) -> None:
    folder = results / "summary_statistics" / "height"
    eqtl = pd.read_parquet(folder / "eqtl.parquet")
    ld = pd.read_parquet(folder / "ld.parquet")
    assert ld["locus"].nunique() == 17
    assert eqtl["ensembl_id"].nunique() >= 17


@pytest.mark.parametrize("cohort", ["kich", "chol", "synovium", "therapy", "peac", "kang"])
def test_every_real_cohort_has_a_model_and_its_four_uses(results: Path, cohort: str) -> None:
    folder = results / "rnagan" / cohort
    assert {"model.safetensors", "model.json", "card.md"} <= {
        path.name for path in (folder / "model").iterdir()
    }
    for name in ("diagnosis", "markers", "synthetic", "vectors"):
        assert json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    vectors = pd.read_parquet(folder / "vectors.parquet")
    assert {"sample", "v0", "v63"} <= set(vectors.columns)
    assert np.isfinite(vectors.filter(regex="^v[0-9]+$").to_numpy()).all()


@pytest.mark.parametrize("cohort", FEW["cohorts"])
def test_small_cohorts_are_augmented_and_judged(results: Path, cohort: str) -> None:
    folder = results / "augment" / cohort
    told = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert told["released"], json.loads((folder / "privacy.json").read_text(encoding="utf-8"))["reasons"]
    assert told["ceiling"]["class_mean_r2"] - told["fidelity"]["class_mean_r2"] < 0.05
    table = pd.read_parquet(folder / "generators.parquet")
    assert set(table["generator"]) == {"real_train", *FEW["generators"]}
    assert (table["error"] == "").all()
    made = pd.read_parquet(folder / "synthetic.parquet")
    assert len(made) == 2 * sum(one["real"] for one in told["kinds"])


def test_paired_cohorts_have_their_causal_tables(results: Path) -> None:
    """Four patients of Zhao are compared with themselves; the two donors of Kang are too few."""
    cells, population = results / "causal" / "cells", results / "causal" / "population" / "height"
    told = {
        name: json.loads((cells / name / "dml.json").read_text(encoding="utf-8")) for name in ("zhao", "kang")
    }
    zhao, kang = (pd.read_parquet(cells / name / "dml.parquet") for name in ("zhao", "kang"))
    assert told["zhao"]["paired"]
    assert told["zhao"]["latents"] == 16
    assert zhao["theta"].notna().mean() > 0.9
    assert zhao.set_index("gene").loc["MT2A", "theta"] > 0
    assert kang.empty
    assert len(told["kang"]["skipped"]) == 5
    assert pd.read_parquet(population / "twmr.parquet")["alpha"].notna().sum() == 17
    assert set(pd.read_parquet(population / "mr.parquet")["method"]) == set(LITTLE["mr"]["methods"])
    for name in ("zhao", "kang"):
        folder = results / "causal" / "agreement" / "height" / name
        verdict = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["verdict"]
        assert verdict.startswith("Nothing could be compared")


def test_what_is_no_matrix_of_counts_is_refused_by_name(kit: Path, tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path)
    row = {"cohort": "ranks", "kind": "perturbation", "control": "none", "perturbation": "perturbation",
           "location": "perturb/replogle2022_k562_rpe1_up_ranks.parquet"}  # fmt: skip
    configure(checkout, sheet(kit, (row,)))
    done = checkout.snakemake()
    assert done.returncode != 0
    assert "replogle2022_k562_rpe1_up_ranks.parquet" in done.stdout
    assert "Traceback" not in done.stdout
    shutil.rmtree(checkout.folder / "results", ignore_errors=True)
