"""Body mass index on coronary heart disease, 79 variants: what TwoSampleMR prints for the same numbers.

From the vignette "Perform MR" of MRCIEU/TwoSampleMR (`mr`, `mr_heterogeneity`, `mr_pleiotropy_test`) and its
tests (`mr_raps`, loss Huber), whose data this file of the kit is. Errors of medians and modes are bootstrapped there
too: two runs of the vignette print 0.0718 and 0.0764 for the weighted median, 0.150 and 0.162 for the simple mode.
The weighted mode's 0.102 is from before release 0.6.30, in which draws came from the wrong variants (0.255 in
the newer vignette; mended in 0.7.9, whose test expects 0.105).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
import pytest

from consilience.causal.mr.estimate import MrResult
from consilience.causal.mr.one import mendelian_randomisation

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def effects(kit: Path) -> dict[str, np.ndarray]:
    table = pd.read_csv(kit / "sumstats" / "bmi_chd_harmonised.tsv", sep="\t")
    assert len(table) == 79
    return {
        "b_exp": table["beta.exposure"].to_numpy(), "se_exp": table["se.exposure"].to_numpy(),
        "b_out": table["beta.outcome"].to_numpy(), "se_out": table["se.outcome"].to_numpy(),
    }  # fmt: skip


def answer(key: str, effects: dict[str, np.ndarray], **more: int) -> MrResult:
    return mendelian_randomisation(key, **effects, **more)  # type: ignore[arg-type]


def test_regressions(effects: dict[str, np.ndarray]) -> None:
    ivw = answer("ivw_random", effects)
    assert ivw.estimate == pytest.approx(0.4459091, abs=5e-8)
    assert ivw.se == pytest.approx(0.05898302, abs=5e-9)
    assert ivw.p == pytest.approx(4.032020e-14, rel=1e-6)
    assert (ivw.q, ivw.q_df, ivw.q_p) == (
        pytest.approx(143.6508, abs=5e-5),
        78,
        pytest.approx(8.728420e-06, rel=1e-6),
    )
    fixed = answer("ivw_fixed", effects)
    assert fixed.se == pytest.approx(0.05898302 / np.sqrt(143.6508 / 78), rel=1e-6)
    egger = answer("egger", effects)
    assert egger.estimate == pytest.approx(0.5024935, abs=5e-8)
    assert egger.se == pytest.approx(0.14396056, abs=5e-9)
    assert egger.p == pytest.approx(8.012590e-04, rel=1e-6)
    assert (egger.q, egger.q_df) == (pytest.approx(143.3046, abs=5e-5), 77)
    assert egger.q_p == pytest.approx(6.841585e-06, rel=1e-6)
    assert egger.intercept == pytest.approx(-0.001719304, abs=5e-10)
    assert egger.intercept_se == pytest.approx(0.003985962, abs=5e-10)
    assert egger.intercept_p == pytest.approx(0.6674266, abs=5e-8)


def test_median_mode_and_profile_score(effects: dict[str, np.ndarray]) -> None:
    median = answer("weighted_median", effects, bootstraps=6_000)
    assert median.estimate == pytest.approx(0.3870065, abs=5e-8)
    assert median.se == pytest.approx((0.07175210 + 0.07639889) / 2, rel=0.05)
    mode = answer("weighted_mode", effects, bootstraps=6_000)
    assert mode.se == pytest.approx(0.10221374, rel=0.08)
    assert mode.p == pytest.approx(3.881092e-04, rel=0.9)
    simple = answer("simple_mode", effects, bootstraps=6_000)
    assert simple.se == pytest.approx((0.15001315 + 0.16190133) / 2, rel=0.08)
    assert answer("raps", effects).estimate == pytest.approx(0.4647, abs=5e-5)


def grid_mode(ratio: np.ndarray, weights: np.ndarray, h: float) -> tuple[float, float]:
    """R's density(): values shared out to the two nearest of 1,024 points, smoothed, read off at 512; its step."""
    low, high = ratio.min() - 7 * h, ratio.max() + 7 * h
    fine = np.linspace(low, high, 512)
    step = fine[1] - fine[0]
    place = (ratio - low) / step
    left = np.floor(place).astype(int)
    mass = np.zeros(512)
    np.add.at(mass, left, weights * (1 - place + left))
    np.add.at(mass, left + 1, weights * (place - left))
    smooth = np.exp(-0.5 * ((fine[:, None] - fine) / h) ** 2) @ mass
    shown = np.linspace(ratio.min() - 3 * h, ratio.max() + 3 * h, 512)
    seen = np.interp(shown, fine, smooth)
    return float(shown[seen.argmax()]), float(shown[1] - shown[0])


@pytest.mark.parametrize(("key", "due"), [("weighted_mode", 0.3790910), ("simple_mode", 0.3401554)])
def test_mode_is_printed_to_the_next_point_of_a_grid(
    effects: dict[str, np.ndarray], key: str, due: float
) -> None:
    """TwoSampleMR's modes are points of R's density(): ours is the top between them, at most a step away."""
    b, y, s, t = (effects[name] for name in ("b_exp", "b_out", "se_exp", "se_out"))
    ratio = y / b
    weights = 1 / (t**2 / b**2 + y**2 * s**2 / b**4) if key == "weighted_mode" else np.ones(79)
    spread = 1.4826 * np.median(abs(ratio - np.median(ratio)))
    h = 0.9 * min(ratio.std(ddof=1), spread) / 79**0.2
    printed, step = grid_mode(ratio, weights / weights.sum(), h)
    assert printed == pytest.approx(due, abs=5e-7)
    ours = answer(key, effects, bootstraps=100).estimate
    assert abs(ours - due) < step
    height = [weights @ np.exp(-0.5 * ((ratio - at) / h) ** 2) for at in (ours, due)]
    assert height[0] > height[1]


def test_regressions_of_r_itself(
    effects: dict[str, np.ndarray], require_or_skip: Callable[[str, str], NoReturn]
) -> None:
    program = shutil.which("Rscript")
    if program is None:
        require_or_skip("r", "no Rscript here")
    vectors = "\n".join(
        f"{key} <- c({','.join(map(repr, map(float, values)))})" for key, values in effects.items()
    )
    code = f"""{vectors}
    w <- 1 / se_out^2
    a <- summary(lm(b_out ~ 0 + b_exp, weights = w))
    s <- sign(b_exp); up <- abs(b_exp); out <- s * b_out
    e <- summary(lm(out ~ up, weights = w))
    cat(sprintf("[%s]", paste(sprintf("%.17g", c(a$coef[1:2], a$sigma, e$coef[, 1:2], e$sigma)), collapse = ",")))
    """
    told = subprocess.run([program, "-e", code], capture_output=True, text=True, check=True).stdout
    slope, se, sigma, intercept, b, intercept_se, b_se, e_sigma = json.loads(told)
    got, line = answer("ivw_random", effects), answer("egger", effects)
    assert np.allclose([got.estimate, got.se, got.q], [slope, se / min(1, sigma), 78 * sigma**2], rtol=1e-10)
    due = [b, b_se / min(1, e_sigma), intercept, intercept_se / min(1, e_sigma), 77 * e_sigma**2]
    assert np.allclose([line.estimate, line.se, line.intercept, line.intercept_se, line.q], due, rtol=1e-10)
