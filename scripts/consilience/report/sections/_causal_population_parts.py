"""Population genetics told: what was left out, the strongest genes twice, one-gene methods, heterogeneity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.elements import Cell, Column, Fact, Table
from consilience.report.figures import Figure, histogram
from consilience.report.sections._causal_flags import flags_of
from consilience.report.sections._causal_forest import MOST_SERIES, Series, forest
from consilience.report.sections._causal_reading import (
    LEVEL,
    called,
    correlation,
    flag_words,
    floats,
    gene_names,
    percents,
    share_below,
    texts,
    whole,
)
from consilience.report.sections._causal_volcano import against, strongest
from consilience.report.words import NARROW

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

MOST_ROWS, FOREST_GENES = 200, 10
ALIKE = frozenset({"wald_ratio", "ivw_fixed"})
"""Methods whose estimates are those of others in the forest: they are in the table."""
NEAR = 0.1
"""A ratio within one part in ten of 1 is said to be the same."""
CAPITALS = {"ivw": "IVW", "ld": "LD", "egger": "Egger", "wald": "Wald"}


def method_words(key: str) -> str:
    """A method as readers know it."""
    return " ".join(CAPITALS.get(word, word) for word in key.split("_"))


def dropped_table(key: str, variants: pd.DataFrame | None) -> Table | None:
    """Variants by what became of them; None without a table."""
    if variants is None or "reason" not in variants:
        return None
    known = flags_of("instruments")
    counted: dict[str, int] = {}
    for reason in texts(variants, "reason"):
        for one in (part.strip() for part in reason.split(";")):
            counted[one] = counted.get(one, 0) + 1
    rows = sorted(counted.items(), key=lambda pair: (pair[0] != "", -pair[1]))
    return Table(
        key=key, title="Variants: kept, or left out and why", visible=16,
        caption=f"{len(variants):,} pairs of a variant and a gene.",
        columns=(Column("reason", "What became of them"), Column("variants", "Pairs", "integer"),
                 Column("share", "Share", "share"), Column("meaning", "In words", "words")),
        rows=tuple((reason.replace("_", " ") or "kept", n, n / len(variants),
                    known.get(reason, "" if reason else "an instrument of the gene")) for reason, n in rows),
    )  # fmt: skip


def gene_facts(genes: pd.DataFrame | None, twmr: pd.DataFrame | None) -> tuple[Fact, ...]:
    """How far the genes came."""
    facts = []
    if genes is not None:
        kept = floats(genes, "n_kept")
        n = int(np.nansum(kept > 0))
        facts.append(Fact("with instruments", f"{n:,}", f"of {len(genes):,} genes with eQTLs"))
        if n:
            facts.append(Fact("instruments a gene", f"{np.nanmedian(kept[kept > 0]):.0f}", "median"))
    if twmr is None:
        return tuple(facts)
    p = floats(twmr, "p")
    n_known = int(np.isfinite(p).sum())
    facts.append(Fact("genes estimated", f"{n_known:,}", f"of {len(twmr):,}"))
    facts.append(Fact("below 5 % FDR", f"{int(called(twmr).sum()):,}",
                      f"{int(np.nansum(p <= LEVEL / max(n_known, 1))):,} by Bonferroni"))  # fmt: skip
    if (share := share_below(floats(twmr, "q_p"))) is not None:
        facts.append(Fact("heterogeneous", percents(share), "of genes, Q test at 5 %"))
    flagged = sum(bool(text) for text in texts(twmr, "flags"))
    facts.append(Fact("flagged", f"{flagged:,}", "reasons below"))
    return tuple(facts)


# ---- the default beside the published estimate ----


def why_they_differ(row: dict[str, Any]) -> str:
    """What the published estimate does to a gene: what the ridge shrinks, and what becomes of z."""
    alpha, other = row["alpha"], row["alpha_published"]
    plain = row["alpha_plain"] if np.isfinite(row.get("alpha_plain", np.nan)) else alpha
    if not (np.isfinite(alpha) and np.isfinite(other)) or alpha == 0 or plain == 0:
        return ""
    said = []
    ratio = other / plain
    if ratio < 0:
        said.append("the ridge turns the sign")
    elif ratio < 1 - NEAR:
        said.append(f"the ridge shrinks it to {percents(ratio)}")
    elif ratio > 1 + NEAR:
        said.append(f"the ridge on a neighbour swells it {ratio:.2g} times")
    if plain / alpha < 1 - NEAR:
        said.append(f"errors of eQTL effects, not counted, shrink it to {percents(plain / alpha)}")
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = float(np.divide(other / row["se_published"], alpha / row["se"]))
    if ratio > 0 and np.isfinite(strength) and abs(strength - 1) > NEAR:
        said.append(f"its z is {strength:.2f} times that of the default")
    return "; ".join(said) or "the same within a tenth"


def twmr_rows(twmr: pd.DataFrame, *, most: int = MOST_ROWS) -> list[tuple[Cell, ...]]:
    """The strongest genes, default and published side by side."""
    numbers = ("alpha", "se", "p", "fdr", "alpha_published", "se_published", "p_published", "q_p", "n_snps",
               "n_genes", "condition", "conditional_f", "n_outliers")  # fmt: skip
    parts = {name: floats(twmr, name) for name in (*numbers, "alpha_plain")}
    names, flags = gene_names(twmr), texts(twmr, "flags")
    rows: list[tuple[Cell, ...]] = []
    for place in strongest(parts["p"], top=most):
        one = {name: float(values[place]) for name, values in parts.items()}
        cells = [None if np.isnan(one[name]) else one[name] for name in numbers]
        for at in (8, 9, 12):
            cells[at] = whole(cells[at])
        rows.append((names[place], *cells[:4], *cells[4:7], why_they_differ(one), *cells[7:],
                     flag_words(flags[place])))  # fmt: skip
    return rows


def twmr_table(key: str, twmr: pd.DataFrame, *, embedded: int) -> Table:
    """Top genes."""
    return Table(
        key=key, title="Strongest genes, default and published", rows=tuple(twmr_rows(twmr)), visible=12,
        embedded=embedded,
        caption="Effect of one SD of expression on the trait. The default has no ridge and counts the "
                "errors of eQTL "
                "effects; the published estimate is that of the original script. Its z differs where its "
                "standard "
                "error attaches LD to the wrong terms, where the ridge lets a neighbour's effect in, or "
                "where "
                "variants disagree, which it makes no allowance for.",
        columns=(
            Column("gene", "Gene", "id"), Column("alpha", "α", "number"), Column("se", "SE", "number"),
            Column("p", "p", "number"), Column("fdr", "FDR", "number"),
            Column("alpha_published", "α, published", "number"),
            Column("se_published", "SE, published", "number"),
            Column("p_published", "p, published", "number"), Column("why", "Why they differ", "words"),
            Column("q_p", "p of Q", "number", "heterogeneity: small where variants disagree (pleiotropy)"),
            Column("n_snps", "Variants", "integer"), Column("n_genes", "Genes in the model", "integer"),
            Column("condition", "Condition", "number", "large: the genes of the model can hardly be told "
                                                       "apart"),
            Column("conditional_f", "Conditional F", "number", "below 10: weak given the other genes"),
            Column("n_outliers", "Outliers removed", "integer"), Column("flags", "Flags", "words"),
        ),
    )  # fmt: skip


def published_figure(key: str, twmr: pd.DataFrame, *, most: int) -> Figure | None:
    """Z of the published estimate against z of the default."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = floats(twmr, "alpha") / floats(twmr, "se")
        other = floats(twmr, "alpha_published") / floats(twmr, "se_published")
    known = np.isfinite(z) & np.isfinite(other)
    if known.sum() < 3:
        return None
    differ = known & (np.abs(other - z) > 0.5)
    only = known & (np.abs(other) > 1.96) & (np.abs(z) <= 1.96)
    named = np.flatnonzero(known)[np.argsort(-np.abs(other - z)[known], kind="stable")][:5]
    r = correlation(z, other)
    return against(
        key=key, title="Published against default", x=z, y=other, labels=gene_names(twmr), most=most,
        named=named[differ[named]], groups=(("genes", "muted", known & ~differ),
                                            ("differ by more than 0.5", "c2", differ)),
        slope=1.0, slope_words="equal", x_label="z, default", y_label="z, published",
        caption=f"{int(only.sum()):,} {'gene' if only.sum() == 1 else 'genes'} would be called at "
                f"5{NARROW}% by the "
                "published estimate alone.",
        alt=f"z of both over {int(known.sum()):,} genes" + ("" if r is None
                                                            else f", correlation {r:.2f}") + ".",
    )  # fmt: skip


def heterogeneity_figure(key: str, twmr: pd.DataFrame) -> Figure | None:
    """Histogram of the p-values of Q."""
    p = floats(twmr, "q_p")
    p = p[np.isfinite(p)]
    if len(p) < 10:
        return None
    edges = np.linspace(0, 1, 21)
    counts = np.histogram(p, edges)[0]
    figure = histogram(
        key=key, title="Do the variants of a gene agree?", label="p of the heterogeneity Q", noun="genes",
        edges=[round(float(edge), 3) for edge in edges], counts=[int(one) for one in counts],
        caption=f"Flat where all variants agree; a peak at 0 means pleiotropy. {percents(share_below(p))} "
                f"are at "
                "most 0.05.",
    )  # fmt: skip
    return figure


# ---- one gene at a time ----


def methods_of(mr: pd.DataFrame) -> list[str]:
    """Methods in the order in which they come."""
    return list(dict.fromkeys(texts(mr, "method")))


def method_rows(mr: pd.DataFrame, twmr: pd.DataFrame | None) -> list[tuple[Cell, ...]]:
    """Each method over all genes: how many it judges and calls, and how it agrees with TWMR."""
    rows: list[tuple[Cell, ...]] = []
    ours = {} if twmr is None else dict(zip(texts(twmr, "gene"), floats(twmr, "z"), strict=True))
    for method in methods_of(mr):
        own = mr[mr["method"] == method]
        p, estimate = floats(own, "p"), floats(own, "estimate")
        z = estimate / floats(own, "se")
        beside = np.array([ours.get(gene, np.nan) for gene in texts(own, "gene")])
        both = np.isfinite(z) & np.isfinite(beside)
        same = float((np.sign(z[both]) == np.sign(beside[both])).mean()) if both.any() else None
        rows.append((method_words(method), int(np.isfinite(p).sum()), int(called(own).sum()), share_below(p),
                     correlation(z, beside), same, share_below(floats(own, "q_p")),
                     share_below(floats(own, "intercept_p"))))  # fmt: skip
    return rows


def beside_table(key: str, mr: pd.DataFrame, twmr: pd.DataFrame, *, embedded: int) -> Table:
    """Top genes of TWMR with every one-gene method beside."""
    methods = methods_of(mr)
    by_gene: dict[str, dict[str, tuple[float, float]]] = {}
    direction = dict(zip(texts(mr, "gene"), texts(mr, "steiger"), strict=True))
    for gene, method, estimate, p in zip(
        texts(mr, "gene"), texts(mr, "method"), floats(mr, "estimate"), floats(mr, "p"), strict=True
    ):
        by_gene.setdefault(gene, {})[method] = (float(estimate), float(p))
    genes, names = texts(twmr, "gene"), gene_names(twmr)
    alpha, p = floats(twmr, "alpha"), floats(twmr, "p")
    none = (float("nan"), float("nan"))
    rows = []
    for place in strongest(p, top=MOST_ROWS // 4):
        cells: list[Cell] = [names[place], float(alpha[place]), float(p[place])]
        for method in methods:
            value = by_gene.get(genes[place], {}).get(method, none)
            cells += [None if np.isnan(one) else one for one in value]
        rows.append((*cells, direction.get(genes[place], "").replace("_", " ")))
    shown = [column for method in methods for column in (
        Column(method, method_words(method), "number"), Column(f"{method}_p", "p", "number"))]  # fmt: skip
    return Table(
        key=key, title="One gene at a time, beside TWMR", rows=tuple(rows), visible=8, embedded=embedded,
        caption="Empty where a method needs more variants. Steiger: which way the instruments point.",
        columns=(Column("gene", "Gene", "id"), Column("alpha", "TWMR α", "number"),
                 Column("p", "p", "number"),
                 *shown, Column("steiger", "Direction (Steiger)")),
    )  # fmt: skip


def forest_figure(key: str, mr: pd.DataFrame, twmr: pd.DataFrame) -> Figure | None:
    """Top genes by TWMR and by one-gene methods, with 95 % intervals."""
    top = strongest(floats(twmr, "p"), top=FOREST_GENES)
    if not len(top):
        return None
    genes = [texts(twmr, "gene")[place] for place in top]
    place_of = {gene: place for place, gene in enumerate(genes)}
    own = twmr.iloc[top]
    series = [Series("TWMR", np.arange(len(genes), dtype=float), *(
        floats(own, name) for name in ("alpha", "low", "high")))]  # fmt: skip
    mr = mr[mr["gene"].isin(genes)]
    for method in [one for one in methods_of(mr) if one not in ALIKE][: MOST_SERIES - 1]:
        part = mr[mr["method"] == method]
        places = np.array([place_of[gene] for gene in texts(part, "gene")], dtype=float)
        series.append(Series(method_words(method), places, *(
            floats(part, name) for name in ("estimate", "low", "high"))))  # fmt: skip
    return forest(
        key=key, title="Strongest genes by every method", rows=[gene_names(twmr)[place] for place in top],
        series=series, x_label="effect on the trait",
        caption="95 % intervals, cut at the edges. TWMR takes out what neighbouring genes do; the others "
                "cannot.",
        alt=f"Estimates of {len(genes)} genes by TWMR and {len(series) - 1} methods.",
    )  # fmt: skip
