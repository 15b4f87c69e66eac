"""Cohorts of cells: planted doublets and bad cells, effects per cell type, perturbation programs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from consilience.simulate.checks import FDR, Check, removed_table
from consilience.simulate.pseudobulk import ExpressionFile, log_cpm, open_expression, sum_counts
from consilience.simulate.statistics import Auroc, Welch, auroc, n_discoveries, sign_p, welch
from consilience.simulate.truth import Truth

BARCODE = r"([ACGT]{16}-\d+)"
MAX_HEALTHY_REMOVED = 0.10
MIN_CELLS, MIN_DONORS, MIN_COUNTS = 5, 3, 5.0
MIN_PERTURBED = 5


def barcodes(ids: Any) -> Any:
    """The barcode inside each cell id (readers may put the sample before or after it)."""
    import pandas as pd

    words = pd.Series(np.asarray(ids, dtype=str))
    return words.str.extract(BARCODE, expand=False).fillna(words)


def cell_quality_checks(path: Path, *, facts: Any) -> list[Check]:
    """Compare removed cells with planted dying cells, empty droplets and doublets."""
    import pandas as pd

    removed, data = removed_table(path), open_expression(path)
    gone = facts["id"].isin(set(barcodes(removed["id"]))).to_numpy()
    healthy = (~facts["outlier"] & ~facts["doublet"]).to_numpy()
    lost = float(gone[healthy].mean()) if healthy.any() else 0.0
    checks = [
        Check(
            name="healthy cells removed",
            planted="0",
            found=f"{int(gone[healthy].sum())} of {int(healthy.sum())}",
            value=lost,
            ideal=0.0,
            chance=float(gone.mean()),
            ok=lost <= MAX_HEALTHY_REMOVED,
            text=f"{lost:.1%} of the healthy cells were removed",
        )
    ]
    for kind, words in (("dying", "dying cells"), ("empty", "near-empty droplets")):
        mine = (facts["outlier_kind"] == kind).to_numpy()
        if mine.any():
            share = float(gone[mine].mean())
            checks.append(
                Check(
                    name=words,
                    planted=str(int(mine.sum())),
                    found=str(int(gone[mine].sum())),
                    value=share,
                    ideal=1.0,
                    chance=lost,
                    ok=share >= 0.5 and share > lost,
                    text=f"{share:.0%} of the planted {words} were removed ({lost:.1%} of the healthy cells)",
                )
            )
    doublets = facts.loc[~facts["outlier"], "doublet"].to_numpy()
    tables = [
        table for table in (data.obs.rename_axis("id").reset_index(), removed) if "doublet_score" in table
    ]
    if doublets.any() and tables:
        scores = pd.concat([table[["id", "doublet_score"]] for table in tables], ignore_index=True)
        score = pd.Series(scores["doublet_score"].to_numpy(dtype=float), index=barcodes(scores["id"]))
        score = score[~score.index.duplicated()].reindex(facts.loc[~facts["outlier"], "id"])
        area = auroc(score=score.to_numpy(), positive=doublets)
        share = float(gone[facts["doublet"].to_numpy()].mean())
        checks.append(
            Check(
                name="doublets",
                planted=str(int(doublets.sum())),
                found=f"AUROC {area.value:.2f}, {share:.0%} removed",
                value=area.value,
                ideal=1.0,
                chance=0.5,
                ok=area.beats_chance(),
                text=f"the doublet score ranks a doublet above a single cell in {area.value:.0%} of pairs; "
                f"{share:.0%} of the doublets were removed",
            )
        )
    return checks


def case_control_checks(path: Path, *, truth: Truth) -> list[Check]:
    """Effects by cell type: donors are the units, so each cell type is summed within each donor first."""
    data = open_expression(path)
    genes = truth.genes.set_index("gene").reindex(data.genes)
    causal, effect = genes["causal"].eq(True).to_numpy(), genes["effect"].fillna(0.0).to_numpy()
    active = dict(zip(truth.expression.types, truth.expression.active, strict=True))
    checks: list[Check] = []
    found: list[npt.NDArray[np.float64]] = []
    for cell_type in sorted(set(data.obs["cell_type"].astype(str)) & set(active)):
        test = donor_test(data, cell_type=cell_type)
        if test is None:
            continue
        found.append(test.p)
        if causal.any():
            area = auroc(score=np.abs(test.t), positive=causal)
            checks.append(_type_check(cell_type, area, active=active[cell_type]))
            if active[cell_type]:
                checks.append(_sign_check(cell_type, test, causal=causal, effect=effect))
    if not causal.any() and found:
        n = n_discoveries(np.concatenate(found), level=FDR)
        checks.append(
            Check(
                name="false findings",
                planted="no effect",
                found=f"{n} at FDR {FDR:.0%}",
                value=float(n),
                ideal=0.0,
                chance=0.0,
                ok=n == 0,
                text=f"a donor-level t-test in {len(found)} cell types finds {n} effects; there are none",
            )
        )
    return checks


def donor_test(data: ExpressionFile, *, cell_type: str) -> Welch | None:
    """Welch's t between donors of the two arms in one cell type; None with too few donors in an arm."""
    obs = data.obs
    mine = (obs["cell_type"].astype(str) == cell_type).to_numpy()
    donor = obs["donor"].astype(str).to_numpy()
    names, n_cells = np.unique(donor[mine], return_counts=True)
    names = names[n_cells >= MIN_CELLS]
    arm_of = dict(zip(donor, obs["arm"].astype(str), strict=True))
    arms = np.array([arm_of[name] for name in names])
    if min((arms == "case").sum(), (arms == "control").sum()) < MIN_DONORS:
        return None
    number = {name: position for position, name in enumerate(names)}
    group = np.array([number.get(name, -1) for name in donor], dtype=np.intp)
    counts = sum_counts(data, group=np.where(mine, group, -1), n_groups=len(names))
    values = log_cpm(counts)
    test = welch(case=values[arms == "case"], control=values[arms == "control"])
    seen = counts.mean(axis=0) >= MIN_COUNTS
    return Welch(*(np.where(seen, part, np.nan) for part in (test.difference, test.t, test.p)))


def _type_check(cell_type: str, area: Auroc, *, active: bool) -> Check:
    expected = "acts here" if active else "does not act here"
    return Check(
        name=f"causal genes in {cell_type}",
        planted=f"disease {expected}",
        found=f"AUROC {area.value:.2f}",
        value=area.value,
        ideal=1.0 if active else 0.5,
        chance=0.5,
        ok=area.beats_chance() if active else area.is_chance(),
        text=f"disease {expected}; |t| between donors ranks a causal gene first in {area.value:.0%} of pairs",
    )


def _sign_check(cell_type: str, test: Welch, *, causal: Any, effect: Any) -> Check:
    known = causal & np.isfinite(test.t)
    right, n = int((np.sign(test.difference[known]) == np.sign(effect[known])).sum()), int(known.sum())
    return Check(
        name=f"signs in {cell_type}",
        planted=f"{n} signed effects",
        found=f"{right} right",
        value=right / max(n, 1),
        ideal=1.0,
        chance=0.5,
        ok=sign_p(n_right=right, n=n) < 0.05,
        text=f"{right} of {n} causal genes change in the planted direction between donors (chance: half)",
    )


def screen_checks(path: Path, *, truth: Truth) -> list[Check]:
    """Compare knock-downs and responses with the planted programs, and with programs of other functions."""
    data = open_expression(path)
    label, line = (data.obs[name].astype(str).to_numpy() for name in ("perturbation", "cell_type"))
    control = ~np.isin(label, truth.perturbations.names)
    sizes = Counter(zip(line[~control].tolist(), label[~control].tolist(), strict=True))
    lines = sorted({one for one, _ in sizes} & set(line[control]))
    keys = [(one, "") for one in lines]
    keys += sorted(key for key, n in sizes.items() if n >= MIN_PERTURBED and key[0] in lines)
    if len(keys) <= len(lines):
        return []
    number = {key: position for position, key in enumerate(keys)}
    group = [number.get((a, "" if c else b), -1) for a, b, c in zip(line, label, control, strict=True)]
    values = log_cpm(sum_counts(data, group=np.array(group, dtype=np.intp), n_groups=len(keys)))
    change = np.stack([values[number[key]] - values[number[key[0], ""]] for key in keys[len(lines) :]])
    return _program_checks(
        change, targets=[key[1] for key in keys[len(lines) :]], genes=data.genes, truth=truth
    )


def _program_checks(
    change: npt.NDArray[np.float64], *, targets: list[str], genes: list[str], truth: Truth
) -> list[Check]:
    row_of = {gene: row for row, gene in enumerate(genes)}
    place = {name: position for position, name in enumerate(truth.perturbations.names)}
    planted = np.zeros((len(place), len(genes)))
    symbols = truth.symbols
    for name in set(targets):
        for row, value in zip(
            truth.perturbations.rows[place[name]], truth.perturbations.log2fc[place[name]], strict=True
        ):
            if symbols[row] in row_of and symbols[row] != name:
                planted[place[name], row_of[symbols[row]]] = value
    down = np.array([change[k, row_of[name]] for k, name in enumerate(targets) if name in row_of])
    own, others = [], []
    groups = truth.perturbations.pathways
    for k, name in enumerate(targets):
        foreign = [place[b] for b in dict.fromkeys(targets) if groups[place[b]] != groups[place[name]]]
        if np.count_nonzero(planted[place[name]]) >= 10 and foreign:
            responding = np.flatnonzero(planted[[place[name], *foreign]].any(axis=0))
            own.append(np.corrcoef(change[k, responding], planted[place[name], responding])[0, 1])
            foreign = [other for other in foreign if planted[other].any()]
            others.append(
                np.mean([np.corrcoef(change[k, responding], planted[o, responding])[0, 1] for o in foreign])
            )
    expected = truth.perturbations.log2fc[0].min()
    n_down = int((down < 0).sum())
    checks = [
        Check(
            name="knock-down",
            planted=f"log2 fold change {expected:.1f} in nine of ten cells",
            found=f"median {np.median(down):.1f}, {n_down} of {down.size} lower",
            value=float(np.median(down)),
            ideal=float(np.log2(0.9 * 2**expected + 0.1)),
            chance=0.0,
            ok=sign_p(n_right=n_down, n=down.size) < 0.05,
            text=f"the target is lower than in control cells in {n_down} of {down.size} cases",
        )
    ]
    if own:
        n_better = int((np.array(own) > np.array(others)).sum())
        checks.append(
            Check(
                name="response programs",
                planted="each response follows its gene's function",
                found=f"median correlation {np.median(own):.2f}",
                value=float(np.median(own)),
                ideal=1.0,
                chance=float(np.median(others)),
                ok=sign_p(n_right=n_better, n=len(own)) < 0.05,
                text=f"measured and planted response correlate by {np.median(own):.2f} "
                f"(with programs of other functions: {np.median(others):.2f})",
            )
        )
    return checks
