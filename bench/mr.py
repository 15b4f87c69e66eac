"""Mendelian randomisation of many genes: speed against plain loops, growth with genes, calibration by simulation.

*Speed*: genes with 2 to 20 instruments in LD. The peer is what a Python user writes, one gene after the other:
statsmodels WLS (GLS with LD) for regressions, numpy for the bootstrap of the weighted median, one draw at a time, and
for that of the mode a density on 512 points per draw, as in TwoSampleMR (where one ratio lies
far out its step is coarse: that, not ours, is the difference shown). Both sides' numbers are compared; bootstrapped
errors differ by their random numbers. Seconds are
CPU seconds of this process, a gene, after one warm-up; the peers of the bootstraps are timed on few genes.
*Growth*: `write_mr` from inputs.parquet to mr.parquet, the study's eight methods and 1,000 draws.
*Calibration*: share of p-values below 0.05 without an effect, and of 95 % intervals with the truth, where each
method's assumptions hold and where they do not.

    python bench/mr.py [--genes 2000] [--growth 1000 4000 16000] [--calibration 10000] [--out FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from causal.mr.simulated import exposures
from consilience.causal.inputs import GeneInputs
from consilience.causal.mr.estimate import estimate_all
from consilience.causal.mr.instruments import Exposure
from consilience.study.causal import MrSection

DRAWS = 1_000
STUDY = MrSection().methods


def genes(count: int) -> list[Exposure]:
    """Genes of 2 to 20 instruments, LD as pruning leaves it."""
    sizes = np.random.default_rng(1).integers(2, 21, count)
    made: list[Exposure] = []
    for n in np.unique(sizes):
        these = exposures(int((sizes == n).sum()), effect=0.05, n=int(n), rho=0.3, seed=int(n))
        made += [
            Exposure(f"ENSG{n:02d}{i:09d}", *list(vars(one).values())[1:]) for i, one in enumerate(these)
        ]
    return made


def raising(one: Exposure) -> Exposure:
    """With the alleles that raise the exposure, as the peers take them."""
    sign = np.sign(one.b_exp)
    return replace(one, b_exp=sign * one.b_exp, b_out=sign * one.b_out, ld=one.ld * np.outer(sign, sign))


def regressions(one: Exposure) -> dict[str, tuple[float, float]]:
    """Four regressions by statsmodels: estimate and standard error."""
    import statsmodels.api as sm

    found = {}
    with_intercept = sm.add_constant(one.b_exp)
    omega = one.ld * np.outer(one.se_out, one.se_out)
    line = sm.WLS(one.b_out, one.b_exp, weights=one.se_out**-2).fit()
    found["ivw_random"] = (line.params[0], line.bse[0] / min(1.0, line.scale**0.5))
    line = sm.GLS(one.b_out, one.b_exp, sigma=omega).fit()
    found["ivw_ld"] = (line.params[0], np.nan)
    for key, model in (("egger", sm.WLS(one.b_out, with_intercept, weights=one.se_out**-2)),
                       ("egger_ld", sm.GLS(one.b_out, with_intercept, sigma=omega))):  # fmt: skip
        line = model.fit()
        found[key] = (line.params[1], line.bse[1] / min(1.0, line.scale**0.5))
    return found


def median_by_hand(one: Exposure) -> dict[str, tuple[float, float]]:
    """The weighted median and its bootstrap, a draw at a time."""
    ratio = one.b_out / one.b_exp
    weights = 1 / (one.se_out**2 / one.b_exp**2 + one.b_out**2 * one.se_exp**2 / one.b_exp**4)

    def middle(values: np.ndarray) -> float:
        order = np.argsort(values)
        place = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
        return float(np.interp(0.5, place, values[order]))

    rng = np.random.default_rng(0)
    drawn = [
        middle(rng.normal(one.b_out, one.se_out) / rng.normal(one.b_exp, one.se_exp)) for _ in range(DRAWS)
    ]
    return {"weighted_median": (middle(ratio), float(np.std(drawn, ddof=1)))}


def mode_by_hand(one: Exposure) -> dict[str, tuple[float, float]]:
    """The weighted mode on a grid and its bootstrap, a draw at a time."""
    ratio = one.b_out / one.b_exp
    se = np.sqrt(one.se_out**2 / one.b_exp**2 + one.b_out**2 * one.se_exp**2 / one.b_exp**4)

    def top(values: np.ndarray) -> float:
        spread = 1.4826 * np.median(np.abs(values - np.median(values)))
        h = 0.9 * min(values.std(ddof=1), spread) / len(values) ** 0.2
        grid = np.linspace(values.min() - 3 * h, values.max() + 3 * h, 512)
        return float(grid[np.argmax(np.exp(-0.5 * ((grid[:, None] - values) / h) ** 2) @ se**-2)])

    rng = np.random.default_rng(0)
    drawn = np.array([top(rng.normal(ratio, se)) for _ in range(DRAWS)])
    return {"weighted_mode": (top(ratio), float(1.4826 * np.median(np.abs(drawn - np.median(drawn)))))}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and answer."""
    start = time.process_time()
    answer = work()
    return time.process_time() - start, answer


def speed(count: int) -> list[str]:
    """One row a kind of method: milliseconds a gene of both sides, their ratio, the largest difference."""
    ones = [raising(one) for one in genes(count) if len(one.b_exp) > 2]
    few = ones[:: max(1, len(ones) // 12)]
    rows = ["| methods | genes | ours, ms a gene | loop, ms a gene | ratio | estimates differ by | errors differ by |",
            "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    estimate_all(ones[:3], STUDY, bootstraps=100, seed=1)
    for label, keys, peer, some in (
        (
            "IVW and Egger, with and without LD",
            ["ivw_random", "ivw_ld", "egger", "egger_ld"],
            regressions,
            ones,
        ),
        ("weighted median", ["weighted_median"], median_by_hand, few),
        ("weighted mode", ["weighted_mode"], mode_by_hand, few),
    ):
        peer(few[0])
        ours_s, ours = timed(lambda keys=keys: estimate_all(ones, keys, bootstraps=DRAWS, seed=1))
        peer_s, theirs = timed(lambda some=some, peer=peer: [peer(one) for one in some])
        by_name = {one.name: row for one, row in zip(ones, ours, strict=True)}
        pairs = [
            (got, due[got.method]) for one, due in zip(some, theirs, strict=True) for got in by_name[one.name]
        ]
        off = [abs(got.estimate - due[0]) / got.se for got, due in pairs]
        off_se = [abs(got.se / due[1] - 1) for got, due in pairs if np.isfinite(due[1])]
        ours_ms, peer_ms = 1e3 * ours_s / len(ones), 1e3 * peer_s / len(some)
        rows.append(f"| {label} | {len(ones)} ({len(some)} by the loop) | {ours_ms:.3f} | {peer_ms:.2f} | {peer_ms / ours_ms:.0f}x "
                    f"| {max(off):.1e} errors | {100 * np.max(off_se):.1e} % |")  # fmt: skip
    return rows


def growth(counts: list[int]) -> list[str]:
    """Seconds of `write_mr` for so many genes."""
    import resource

    import pandas as pd

    from consilience.causal.inputs_file import write_inputs
    from consilience.causal.mr.study import write_mr

    rows = [
        "| genes | variants | rows | seconds (CPU) | ms a gene | peak memory |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for count in counts:
        ones = genes(count)
        inputs = [
            GeneInputs(one.name, "", (one.name,), tuple(f"rs{i}" for i in range(len(one.b_exp))), one.b_exp[:, None], one.b_out,
                       one.ld, one.b_exp[:, None] != 0, np.array([one.n_exp]), one.n_out)
            for one in ones
        ]  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("inputs.parquet", "genes.parquet", "mr.parquet")]
            write_inputs(paths[0], inputs)
            names = [one.name for one in ones]
            pd.DataFrame({"gene": names, "symbol": "", "chromosome": "1", "position": 0}).to_parquet(paths[1])
            seconds, _ = timed(lambda paths=paths: write_mr(*paths, settings=MrSection(), seed=1))
            made = len(pd.read_parquet(paths[2], columns=["p"]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        variants = sum(len(one.b_exp) for one in ones)
        rows.append(
            f"| {count:,} | {variants:,} | {made:,} | {seconds:.1f} | {1e3 * seconds / count:.2f} | {peak:.2f} GiB |"
        )
    return rows


def worlds() -> list[tuple[str, dict[str, Any], list[str], list[str]]]:
    """Name, settings, methods whose assumptions hold, and methods whose do not."""
    return [
        ("10 valid, strong, independent", {"n": 10},
         ["wald_ratio", "ivw_fixed", "ivw_random", "ivw_ld", "ivw_ld_random", "ivw_debiased", "egger", "raps",
          "weighted_median", "simple_median", "weighted_mode", "simple_mode"], []),
        ("10 in LD (neighbours r 0.7)", {"n": 10, "rho": 0.7},
         ["ivw_ld", "ivw_ld_debiased", "weighted_median_ld", "weighted_mode_ld"], ["ivw_fixed", "weighted_median"]),
        ("10 pruned (neighbours r ±0.3)", {"n": 10, "rho": 0.3}, ["ivw_ld"], ["ivw_fixed", "weighted_median"]),
        ("30 weak (mean F 6)", {"n": 30, "size": 0.0115}, ["ivw_debiased", "raps"], ["ivw_fixed", "ivw_ld"]),
        ("40, balanced pleiotropy (errors x 1.7)", {"n": 40, "inflated": 3**0.5},
         ["ivw_random", "ivw_ld_random", "egger", "raps"], ["ivw_fixed", "ivw_ld"]),
        ("8, balanced pleiotropy (errors x 1.7)", {"n": 8, "inflated": 3**0.5}, ["ivw_ld_random", "egger"],
         ["ivw_random", "ivw_ld"]),
        ("40 in LD, balanced pleiotropy (x 1.4)", {"n": 40, "rho": 0.7, "inflated": 2**0.5},
         ["egger_ld", "ivw_ld_random"], ["egger"]),
        ("40, all push the outcome up (x 1.4)", {"n": 40, "inflated": 2**0.5, "intercept": 0.004}, ["egger"],
         ["ivw_random", "weighted_median", "weighted_mode"]),
        ("20, 30 % push the outcome up", {"n": 20, "share_invalid": 0.3, "direct": (0.02, 0.01)},
         ["weighted_median", "simple_median", "weighted_mode", "simple_mode"], ["ivw_random", "egger"]),
    ]  # fmt: skip


def calibration(count: int) -> list[str]:
    """Level and coverage of each method in each world; the bootstrapped ones on a fifth of the exposures."""
    rows = ["| variants | method | assumptions | level at 0.05 | coverage, no effect | coverage, effect 0.1 | mean estimate of 0.1 "
            "| error said / error |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for name, world, fit, unfit in worlds():
        for key in [*fit, *unfit]:
            n = count // 5 if "median" in key or "mode" in key or key == "raps" else count
            shown = []
            for effect in (0.0, 0.1):
                ones = exposures(n, effect=effect, seed=3, **world)
                got = [row for (row,) in estimate_all(ones, [key], bootstraps=300, seed=1)]
                inside = np.mean([row.low <= effect <= row.high for row in got])
                shown.append((np.mean([row.p < 0.05 for row in got]), inside, got))
            estimates = np.array([row.estimate for row in shown[1][2]])
            ratio = np.median([row.se for row in shown[0][2]]) / np.std([row.estimate for row in shown[0][2]])
            rows.append(f"| {name} | {key} | {'hold' if key in fit else 'fail'} | {shown[0][0]:.3f} | {shown[0][1]:.3f} "
                        f"| {shown[1][1]:.3f} | {np.mean(estimates):.4f} | {ratio:.2f} |")  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--growth", type=int, nargs="*", default=[1_000, 4_000, 16_000])
    parser.add_argument("--calibration", type=int, default=0, help="exposures per world and method (0: none)")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    parts = [speed(asked.genes)] if asked.genes else []
    parts += [growth(asked.growth)] if asked.growth else []
    parts += [calibration(asked.calibration)] if asked.calibration else []
    text = "\n\n".join("\n".join(part) for part in parts)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
