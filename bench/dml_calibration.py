"""Gene effects on disease from 6 to 40 donors: how often is nothing taken for something, do intervals hold, power.

Cells of a donor share its level of each gene (30 % of the variance left by confounders), donors differ in their
numbers of cells, and none of the genes acts unless said. Settings: `plain` equal arms, no donor confounders;
`confounded` 35 to 40 % cases, very unequal numbers of cells, age makes both disease and expression, and so does a
covariate of cells; `uneven` 30 % cases whose levels vary twice as much. Ridge by sums, one division into folds.
`weak`, `strong` (as `plain`): genes are shifted between arms by 0.4 or 1 standard deviations of cells: power, and
coverage of the effect this makes.

    python bench/dml_calibration.py [--studies 120] [--out FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from consilience.causal.dml.bootstrap import wild_bootstrap
from consilience.causal.dml.few_donors import DonorTest, donor_test, ridge_contrast, scaled
from consilience.causal.dml.folds import donor_folds
from consilience.causal.dml.inference import RULES, score_test
from consilience.causal.dml.moments import columns_of, moments_in_blocks
from consilience.causal.dml.naive import naive_test
from consilience.causal.dml.pseudobulk import donor_means, pseudobulk
from consilience.causal.dml.ridge_scores import choose, fit_fold, ridge_scores
from consilience.foundation.files import write_text
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

DONORS = (6, 8, 12, 20, 40)
SETTINGS: dict[str, dict[str, float]] = {
    "plain": {"cases": 0.5, "unequal": 0.3, "confounding": 0.0, "covariates": 0, "latents": 2, "ratio": 1.0},
    "confounded": {"cases": 0.37, "unequal": 1.0, "confounding": 1.0, "covariates": 2, "latents": 4, "ratio": 1.0},
    "uneven": {"cases": 0.3, "unequal": 0.8, "confounding": 0.0, "covariates": 1, "latents": 2, "ratio": 2.0},
}  # fmt: skip
COLUMNS = (*SETTINGS, "weak", "weak coverage", "strong", "strong coverage")
GENES, CELLS, BETWEEN = 20, 60, 0.3


def study(m: int, setting: dict[str, float], *, shift: float, rng: np.random.Generator) -> tuple[
    Floats, npt.NDArray[np.intp], Floats, Floats
]:  # fmt: skip
    """Disease (m,), donor of each cell (n,), confounders (n, p) and expression (n, GENES)."""
    cells = np.clip(CELLS * np.exp(setting["unequal"] * rng.standard_normal(m)), 10, 600).astype(int)
    age, latents = rng.standard_normal(m), int(setting["latents"])
    sex = rng.permutation(np.arange(m) % 2) - 0.5
    risk = setting["confounding"] * age + rng.logistic(size=m)
    disease = np.zeros(m)
    disease[np.argsort(-risk)[: max(3, round(setting["cases"] * m))]] = 1.0
    donor = np.repeat(np.arange(m), cells)
    depth = 0.6 * rng.standard_normal(m) + 0.5 * setting["confounding"] * disease
    parts = [0.8 * rng.standard_normal(donor.size) + depth[donor]]
    parts += [
        0.9 * rng.standard_normal(donor.size) + 0.45 * rng.standard_normal(m)[donor] for _ in range(latents)
    ]
    parts += [column[donor] for column in (age, sex)[: int(setting["covariates"])]]
    x = np.column_stack(parts)
    x = (x - x.mean(0)) / x.std(0)
    size = np.array([0.5, *[0.3] * latents, 0.6, 0.3])[: x.shape[1], None]
    level = (
        np.sqrt(BETWEEN)
        * rng.standard_normal((m, GENES))
        * np.where(disease == 1, setting["ratio"], 1.0)[:, None]
    )
    noise = np.sqrt(1 - BETWEEN) * rng.standard_normal((donor.size, GENES))
    treatment = x @ (size * rng.standard_normal((x.shape[1], GENES))) + noise
    return disease, donor, x, treatment + (level + shift * disease[:, None])[donor]


def all_tests(m: int, name: str, *, shift: float, number: int) -> dict[str, tuple[Floats, DonorTest]]:
    """Effects and tests of one study by every rule."""
    setting = SETTINGS[name]
    disease, donor, x, treatment = study(
        m, setting, shift=shift, rng=stream(1, "dml calibration", name, m, number)
    )
    names = tuple(f"d{one}" for one in range(m))
    ((_, moments),) = moments_in_blocks(
        columns=columns_of(x, disease[donor]),
        expression=treatment.astype(np.float32),
        donor=donor,
        n_donors=m,
    )
    folds = donor_folds(names, disease=disease, folds=5, repeat=0, seed=number)
    chosen = choose(moments, folds)
    scores = ridge_scores(moments, folds=folds, penalty=chosen)
    theta, weights = scores.theta, scores.weights
    contrast = scaled(ridge_contrast(moments, folds=folds, penalty=chosen), weights @ scores.a)
    found = {
        "design (default)": donor_test(moments, disease=disease, theta=theta, contrast=contrast),
        "design, one variance": donor_test(
            moments, disease=disease, theta=theta, contrast=contrast, arms=False
        ),
    }
    found |= {rule: score_test(b=scores.b, a=scores.a, weights=weights, rule=rule) for rule in RULES}
    found["wild bootstrap"] = wild_bootstrap(
        b=scores.b, a=scores.a, donors=names, weights=weights, draws=399, seed=1
    )
    tests = {rule: (theta, test) for rule, test in found.items()}
    averages = donor_means(x, donor, m)
    covariates = np.column_stack([averages[:, 1 + int(setting["latents"]) :], averages[:, :1]])
    for method in ("t", "moderated_t"):
        tests[f"pseudobulk {method}"] = pseudobulk(
            means=donor_means(treatment, donor, m), disease=disease, covariates=covariates, method=method
        )
    u, v = np.empty(donor.size), np.empty_like(treatment)
    for fold in range(int(folds.max()) + 1):
        fit, rows = fit_fold(moments, folds, fold, chosen), folds[donor] == fold
        design = np.column_stack([np.ones(rows.sum()), x[rows]])
        u[rows], v[rows] = (
            disease[donor[rows]] - design @ fit.outcome,
            treatment[rows] - design @ fit.treatment.T,
        )
    naive = naive_test(outcome=u, treatment=v)
    return tests | {"naive (cells)": (naive.statistic * naive.se, naive)}


def truth(m: int, shift: float) -> float:
    """Effect in cells of a shift between arms (`plain`)."""
    share = max(3, round(SETTINGS["plain"]["cases"] * m)) / m
    spread = share * (1 - share)
    return shift * spread / (shift**2 * spread + 1.0)


def main() -> None:
    """Write the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=120)
    parser.add_argument("--out", type=Path, default=Path("dml_calibration.md"))
    asked = parser.parse_args()
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for m in DONORS:
        for name in SETTINGS:
            shifts = {name: 0.0} | ({"weak": 0.4, "strong": 1.0} if name == "plain" else {})
            for column, shift in shifts.items():
                seen: dict[str, list[float]] = defaultdict(list)
                for number in range(asked.studies):
                    for rule, (_, test) in all_tests(m, name, shift=shift, number=number).items():
                        known = np.isfinite(test.p)
                        seen[rule].append(float((test.p[known] <= 0.05).mean()) if known.any() else np.nan)
                        if shift and not rule.startswith("pseudobulk"):
                            inside = (test.low <= truth(m, shift)) & (truth(m, shift) <= test.high)
                            seen[f"{rule}|coverage"].append(float(inside.mean()))
                for rule, values in seen.items():
                    base, _, what = rule.partition("|")
                    shares[base][" ".join(filter(None, (str(m), column, what)))] = float(np.nanmean(values))
        write_text(asked.out, table(shares))


def table(shares: dict[str, dict[str, float]]) -> str:
    """Rules in rows; written after each number of donors, so that what is done is there."""
    columns = [f"{m} {what}" for m in DONORS for what in COLUMNS]
    columns = [one for one in columns if any(one in told for told in shares.values())]
    lines = ["| rule | " + " | ".join(columns) + " |", "|" + "---|" * (1 + len(columns))]
    for rule, told in shares.items():
        cells = [f"{told[one]:.3f}" if one in told else "" for one in columns]
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
