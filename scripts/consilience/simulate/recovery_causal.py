"""Causal evidence against what was planted: genes that act on a trait, cell types where both sides agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.simulate.checks import FDR, Check
from consilience.simulate.statistics import auroc, sign_p

if TYPE_CHECKING:
    import pandas as pd

    from consilience.simulate.truth import Truth


def twmr_checks(path: Path, *, facts: pd.DataFrame) -> list[Check]:
    """Of a cohort's twmr.parquet: the genes that act on its trait stand out, and no others are claimed.

    `facts` are the planted facts of the cohort: `gene` regulated by a variant and its `alpha` on the trait.
    """
    import pandas as pd
    from scipy.stats import binom

    table = pd.read_parquet(path, columns=["symbol", "alpha", "se", "p", "fdr"])
    planted = facts.loc[facts["gene"] != ""].groupby("gene")["alpha"].first()
    table = table[table["p"].notna() & table["symbol"].isin(planted.index)]
    known = table["symbol"].map(planted).to_numpy(dtype=np.float64)
    acting, called = known != 0, table["fdr"].to_numpy() <= FDR
    false = int((called & ~acting).sum())
    checks = [
        Check(
            name="genes claimed without acting", planted=f"{int((~acting).sum())} genes that do not act",
            found=f"{false} of {int(called.sum())} claims", value=float(false), ideal=0.0, chance=None,
            ok=float(binom.sf(false - 1, called.sum(), FDR)) > 0.01,
            text=f"of {int(called.sum())} genes with an effect at a false discovery rate of {FDR:.0%},"
            f" {false} do not act on the trait (linked variants and direct effects can do that)",
        )
    ]  # fmt: skip
    if not acting.any():
        return checks
    ranked = auroc(score=-table["p"].to_numpy(), positive=acting)
    right = int((np.sign(table["alpha"].to_numpy()[acting]) == np.sign(known[acting])).sum())
    estimate, se = table["alpha"].to_numpy(), table["se"].to_numpy()
    covered = float((np.abs(estimate - known) <= 1.96 * se).mean())
    n = int(acting.sum())
    return [
        Check(
            name="genes that act on the trait", planted=f"{n} acting genes with instruments",
            found=f"AUC {ranked.value:.2f}", value=ranked.value, ideal=1.0, chance=0.5,
            ok=ranked.beats_chance(),
            text=f"ranked by p, acting genes come before the others with an AUC of {ranked.value:.2f};"
            f" 95 % intervals hold the planted effect of {covered:.0%} of the genes",
        ),
        Check(
            name="signs of effects on the trait", planted=f"{n} signed effects", found=f"{right} right",
            value=right / n, ideal=1.0, chance=0.5, ok=sign_p(n_right=right, n=n) < FDR,
            text=f"{right} of {n} acting genes are estimated with the planted sign (chance: half)",
        ),
        *checks,
    ]  # fmt: skip


def agreement_checks(path: Path, *, truth: Truth, related: bool) -> list[Check]:
    """Of a pair's concordance.parquet: agreement where the disease acts, and in no other cell type.

    `related` False: the trait is another one, so that nothing should agree.
    """
    import pandas as pd

    table = pd.read_parquet(path, columns=["cell_type", "r", "fdr"])
    table = table[table["fdr"].notna()]
    acts = related and bool(truth.genes["causal"].any())
    active = {
        name: bool(on) and acts
        for name, on in zip(truth.expression.types, truth.expression.active, strict=True)
    }
    planted = table["cell_type"].map(lambda name: active.get(str(name), False)).to_numpy(dtype=bool)
    claimed = (table["fdr"] <= FDR).to_numpy()
    false = sorted(table.loc[claimed & ~planted, "cell_type"])
    checks = [
        Check(
            name="agreement without a common cause", planted=f"{int((~planted).sum())} such cell types",
            found=f"{len(false)} claimed", value=float(len(false)), ideal=0.0, chance=None, ok=not false,
            text=f"{', '.join(false) or 'none'} claimed at a false discovery rate of {FDR:.0%} where nothing"
            " common was planted",
        )
    ]  # fmt: skip
    if not planted.any():
        return checks
    found = sorted(table.loc[claimed & planted, "cell_type"])
    return [
        Check(
            name="agreement of genome and cells", planted=f"{int(planted.sum())} cell types",
            found=f"{len(found)} found", value=len(found) / int(planted.sum()), ideal=1.0, chance=FDR,
            ok=bool(found) and float(table.loc[planted, "r"].min()) > 0,
            text=f"gene effects agree in {', '.join(found) or 'none'} of the {int(planted.sum())} cell types"
            " in which the disease acts",
        ),
        *checks,
    ]  # fmt: skip
