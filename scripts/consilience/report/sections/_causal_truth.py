"""What was planted beside what was found, in simulated studies: genes, effects and cell types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.elements import Cell, Column, Table
from consilience.report.figures import Axis, Figure, line, points, segments
from consilience.report.results import StudyResults
from consilience.report.sections._causal_population_parts import method_words, methods_of
from consilience.report.sections._causal_reading import LEVEL, called, correlation, floats, share_below, texts
from consilience.report.sections._causal_volcano import short, zeros
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Booleans = npt.NDArray[np.bool_]

GENES, CELL_TYPES = "truth/genes.parquet", "truth/cell_types.parquet"


@dataclass(frozen=True, slots=True)
class Planted:
    """Planted effect of expression on the trait by gene, under its identifier and under its symbol."""

    alpha: dict[str, float]
    symbols: dict[str, str]

    def of(self, table: pd.DataFrame) -> Floats:
        """Planted effect (n,) of the rows of a table; NaN for genes that the simulation does not know."""
        ids, symbols, genes = texts(table, "ensembl_id"), texts(table, "symbol"), texts(table, "gene")
        known = (next((self.alpha[name] for name in names if name in self.alpha), np.nan)
                 for names in zip(ids, genes, symbols, strict=True))  # fmt: skip
        return np.array(list(known), dtype=np.float64)


def planted(results: StudyResults, *cohorts: Cohort) -> Planted | None:
    """What was planted; None where a cohort was not simulated or nothing was planted."""
    path = results.root / GENES
    if any(cohort.source != "simulated" for cohort in cohorts) or not path.is_file():
        return None
    table = results.table(path)
    if not {"gene", "alpha"} <= set(table.columns):
        return None
    alpha = np.nan_to_num(floats(table, "alpha"))
    if not alpha.any():
        return None
    names = list(zip(texts(table, "gene"), texts(table, "ensembl_id"), strict=True))
    found = {name: float(value) for pair, value in zip(names, alpha, strict=True) for name in pair if name}
    return Planted(found, {identifier: gene for gene, identifier in names if identifier})


def active_types(results: StudyResults, cells: Cohort) -> frozenset[str] | None:
    """Cell types in which disease acts; None where the cohort was not simulated."""
    path = results.root / CELL_TYPES
    if cells.source != "simulated" or not path.is_file():
        return None
    table = results.table(path)
    if not {"cell_type", "active"} <= set(table.columns):
        return None
    return frozenset(table.loc[table["active"].astype(bool), "cell_type"].astype(str))


def area(score: Floats, positive: Booleans) -> float | None:
    """Area under the ROC curve; None where a class is missing. Unknown scores are left out."""
    from scipy.stats import rankdata

    known = np.isfinite(score)
    score, positive = score[known], positive[known]
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return None
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


# ---- genes of the population side ----


def _row(words: str, estimate: Floats, se: Floats, p: Floats, hold: Booleans, truth: Floats,
         interval: tuple[Floats, Floats] | None) -> tuple[Cell, ...]:  # fmt: skip
    known = np.isfinite(p) & np.isfinite(truth)
    causal = known & (truth != 0)
    null = known & (truth == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(estimate / se)
    covered = None
    if interval is not None and known.any():
        low, high = interval
        covered = float(((low <= truth) & (truth <= high))[known].mean())
    right = np.sign(estimate[causal]) == np.sign(truth[causal])
    return (words, area(np.where(known, z, np.nan), causal), correlation(estimate[causal], truth[causal]),
            float(right.mean()) if causal.any() else None, int((hold & causal).sum()), int(causal.sum()),
            int((hold & null).sum()), int(null.sum()), share_below(p[null]), covered)  # fmt: skip


def gene_rows(truth: Planted, twmr: pd.DataFrame | None, mr: pd.DataFrame | None) -> list[tuple[Cell, ...]]:
    """Every estimator beside what was planted: TWMR, as published, and the one-gene methods."""
    rows: list[tuple[Cell, ...]] = []
    if twmr is not None:
        known, alpha, se = truth.of(twmr), floats(twmr, "alpha"), floats(twmr, "se")
        rows.append(_row("TWMR, default", alpha, se, floats(twmr, "p"), called(twmr), known,
                         (floats(twmr, "low"), floats(twmr, "high"))))  # fmt: skip
        other, error, p = (floats(twmr, f"{name}_published") for name in ("alpha", "se", "p"))
        if np.isfinite(p).any():
            rows.append(_row("TWMR, published", other, error, p, _hold(p), known,
                             (other - 1.96 * error, other + 1.96 * error)))  # fmt: skip
    for method in methods_of(mr) if mr is not None else ():
        assert mr is not None  # noqa: S101
        own = mr[mr["method"] == method]
        rows.append(_row(method_words(method), floats(own, "estimate"), floats(own, "se"), floats(own, "p"),
                         called(own), truth.of(own), (floats(own, "low"), floats(own, "high"))))  # fmt: skip
    return rows


def _hold(p: Floats) -> Booleans:
    """At most LEVEL false discoveries, by Benjamini and Hochberg; unknown p-values do not hold."""
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    passed = np.flatnonzero(p[order] <= LEVEL * np.arange(1, len(order) + 1) / max(len(order), 1))
    hold = np.zeros(len(p), dtype=bool)
    if passed.size:
        hold[order[: passed[-1] + 1]] = True
    return hold


def gene_truth_table(key: str, rows: Sequence[tuple[Cell, ...]]) -> Table:
    """The rows of `gene_rows`."""
    return Table(
        key=key, title="Planted and found: genes", rows=tuple(rows), visible=12,
        caption="Genes that were estimated. Without an effect, 5 % should have p ≤ 0.05, more is too many; "
                "95 % of "
                "the intervals should hold the planted effect. One-gene methods also find genes whose "
                "variants "
                "regulate a causal neighbour.",
        columns=(
            Column("method", "Estimator"),
            Column("auc", "AUC", "number", "causal before other genes, by |z|; 0.5 is chance"),
            Column("r", "r with planted", "number", "over causal genes"),
            Column("signs", "Signs right", "share", "of causal genes"),
            Column("causal_called", "Causal, called", "integer", "below 5 % false discoveries"),
            Column("causal", "of", "integer"), Column("others_called", "Others, called", "integer"),
            Column("others", "of", "integer"), Column("null_rejected", "No effect, p ≤ 0.05", "share"),
            Column("coverage", "Intervals that hold", "share"),
        ),
    )  # fmt: skip


def alpha_figure(key: str, truth: Planted, twmr: pd.DataFrame) -> Figure | None:
    """Estimated against planted effect of the causal genes, with intervals."""
    known = truth.of(twmr)
    alpha, low, high = (floats(twmr, name) for name in ("alpha", "low", "high"))
    own = np.isfinite(known) & (known != 0) & np.isfinite(alpha)
    if own.sum() < 2:
        return None
    x, y = known[own], alpha[own]
    side = 1.1 * float(np.abs(x).max())
    tall = max(side, 1.3 * float(np.quantile(np.abs(y), 0.9)))
    names = [
        truth.symbols.get(gene, gene) for gene, is_own in zip(texts(twmr, "gene"), own, strict=True) if is_own
    ]
    inside = np.abs(y) <= tall
    marks: list[dict[str, Any]] = [
        line(x=[-side, side], y=[-side, side], name="equal", colour="muted", dashed=True),
        segments(x0=short(x), x1=short(x), y0=short(np.clip(low[own], -tall, tall)),
                 y1=short(np.clip(high[own], -tall, tall)), name="95 % interval", colour="muted"),
        points(x=short(x), y=short(np.clip(y, -tall, tall)), name="causal genes", colour="accent",
               labels=names),
        zeros(side, tall),
    ]  # fmt: skip
    r = correlation(x, y)
    beyond = int((~inside).sum())
    return Figure(
        key=key, title="Causal genes: planted and estimated effect", height=300, marks=tuple(marks),
        x=Axis(label="planted effect", domain=(-side, side)),
        y=Axis(label="estimated α", domain=(-1.04 * tall, 1.04 * tall)),
        caption=f"{beyond} beyond the edges are drawn there." if beyond else "",
        alt=f"{len(x)} causal genes" + ("" if r is None else f", correlation {r:.2f}") + ".",
    )  # fmt: skip


# ---- genes and cell types of the single cells ----


def cell_rows(truth: Planted, active: frozenset[str], dml: pd.DataFrame) -> list[tuple[Cell, ...]]:
    """Each cell type: whether disease acts there, and whether its causal genes are found."""
    rows: list[tuple[Cell, ...]] = []
    for cell_type in dict.fromkeys(texts(dml, "cell_type")):
        own = dml[dml["cell_type"] == cell_type]
        known, p = truth.of(own), floats(own, "p")
        causal = np.isfinite(known) & (known != 0)
        null = np.isfinite(known) & ~(causal & (cell_type in active))
        hold = called(own)
        right = np.sign(floats(own, "theta")[causal]) == np.sign(known[causal])
        rows.append((
            cell_type, "yes" if cell_type in active else "no", area(np.abs(floats(own, "statistic")), causal),
            float(right.mean()) if causal.any() else None, int((hold & causal).sum()), int(causal.sum()),
            int((hold & ~causal).sum()), share_below(p[null]), share_below(floats(own, "p_naive")[null]),
        ))  # fmt: skip
    return sorted(rows, key=lambda row: row[1] != "yes")


def cell_truth_table(key: str, rows: Sequence[tuple[Cell, ...]]) -> Table:
    """The rows of `cell_rows`."""
    return Table(
        key=key, title="Planted and found: genes in cells", rows=tuple(rows), visible=12,
        caption="Where disease does not act, no gene has an effect: 5 % should have p ≤ 0.05. Genes that "
                "lie in a "
                "program of causal genes move along with them; where disease acts, they are counted as "
                "others.",
        columns=(
            Column("cell_type", "Cell type"), Column("acts", "Disease acts"),
            Column("auc", "AUC", "number", "causal before other genes; 0.5 is chance"),
            Column("signs", "Signs right", "share"), Column("causal_called", "Causal, called", "integer"),
            Column("causal", "of", "integer"), Column("others_called", "Others, called", "integer"),
            Column("null_rejected", "No effect, p ≤ 0.05", "share", "by donors"),
            Column("null_rejected_naive", "the same, cell by cell", "share"),
        ),
    )  # fmt: skip


def type_words(active: frozenset[str], found: Sequence[str], judged: Sequence[str]) -> str:
    """Which cell types came out, beside those where disease acts."""
    right = [one for one in found if one in active]
    wrong = [one for one in found if one not in active]
    missed = [one for one in judged if one in active and one not in found]
    from consilience.report.words import listed

    said = [
        f"found {len(right)} of {len([one for one in judged if one in active])} cell types where disease acts"
    ]
    said.append(f"missed {listed(missed)}" if missed else "missed none")
    said.append(f"and wrongly called {listed(wrong)}" if wrong else "and called none where it does not")
    return f"Planted and found: {', '.join(said)}."
