"""One gene at a time: variants along the chromosome, and effects on trait against those on expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.elements import Figures, Group, Text
from consilience.report.figures import Axis, Colour, Figure, line, points, segments
from consilience.report.sections._causal_reading import evidence, floats, p_words, texts, whole
from consilience.report.sections._causal_volcano import short
from consilience.report.words import count, listed

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

MOST_VARIANTS = 600
LARGEST = 320.0
DROPPED, KEPT = "left out", "instrument"
NAMED = 6


def locus_group(
    variants: pd.DataFrame, gene: dict[str, Any], *, key: str, folded: bool, name: str, sentence: str
) -> Group | None:
    """The locus of a gene: GWAS and eQTL along the position, and both effects against each other."""
    variants = variants.drop_duplicates("variant") if "variant" in variants else variants
    if len(variants) > MOST_VARIANTS:
        order = np.argsort(~_kept(variants), kind="stable")
        variants = variants.iloc[np.sort(order[:MOST_VARIANTS])]
    drawn = [
        _along(variants, "gwas_p", key=f"{key}-gwas", title="Association with the trait"),
        _along(variants, "eqtl_p", key=f"{key}-eqtl", title="Association with expression"),
        _effects(variants, gene, key=f"{key}-effects", name=name),
    ]
    figures = tuple(figure for figure in drawn if figure is not None)
    if not figures:
        return None
    return Group(key=key, title=f"Locus of {name}", subtitle=str(gene.get("gene", "")), folded=folded,
                 blocks=(Text(sentence), Figures(figures)))  # fmt: skip


def _kept(variants: pd.DataFrame) -> npt.NDArray[np.bool_]:
    if "kept" not in variants:
        return np.zeros(len(variants), dtype=bool)
    return variants["kept"].fillna(False).to_numpy(dtype=bool)


def _hover(variants: pd.DataFrame) -> list[str]:
    reasons = [reason.replace("_", " ") for reason in texts(variants, "reason")]
    return [f"{name}: left out ({reason})" if reason else name
            for name, reason in zip(texts(variants, "variant"), reasons, strict=True)]  # fmt: skip


def _along(variants: pd.DataFrame, column: str, *, key: str, title: str) -> Figure | None:
    """−log10 p along the position, in megabases."""
    place = floats(variants, "position") / 1e6
    strength = np.minimum(evidence(floats(variants, column)), LARGEST)
    known = np.isfinite(place) & np.isfinite(strength)
    if not known.any():
        return None
    kept, labels = _kept(variants), _hover(variants)
    best = np.flatnonzero(kept & known)
    best = best[np.argsort(-strength[best], kind="stable")][:NAMED]
    named = np.zeros(len(kept), dtype=bool)
    named[best] = True
    looks: tuple[tuple[npt.NDArray[np.bool_], str, Colour, bool], ...] = (
        (known & ~kept, DROPPED, "muted", False), (known & kept & ~named, KEPT, "accent", False),
        (named, KEPT, "accent", True),
    )  # fmt: skip
    marks = [
        points(x=_rounded(place[own]), y=short(strength[own]), name=words, colour=colour, named=is_named,
               labels=[labels[one] for one in np.flatnonzero(own)])
        for own, words, colour, is_named in looks if own.any()
    ]  # fmt: skip
    chromosome = next(iter(texts(variants, "chromosome")), "")
    return Figure(
        key=key, title=title, height=230, marks=tuple(marks),
        x=Axis(label=f"chromosome {chromosome}, Mb" if chromosome else "Mb"),
        y=Axis(label="−log10 p", domain=(0.0, 1.12 * max(1.0, float(strength[known].max())))),
        alt=f"{count(int((known & kept).sum()), 'instrument')} of {count(int(known.sum()), 'variant')}; the "
            f"smallest p-value is {p_words(10.0 ** -float(strength[known].max()))}.",
    )  # fmt: skip


def _rounded(values: Floats) -> list[float | None]:
    """Megabases to ten bases: more digits than `short` keeps."""
    return [round(float(value), 5) for value in values]


def _effects(variants: pd.DataFrame, gene: dict[str, Any], *, key: str, name: str) -> Figure | None:
    """Effect on the trait against effect on expression of the instruments, with the estimated slope."""
    x, y = floats(variants, "eqtl_beta"), floats(variants, "gwas_beta")
    own = np.isfinite(x) & np.isfinite(y) & _kept(variants)
    if not own.any():
        return None
    # both alleles tell the same: the one that raises expression is shown
    sign = np.where(x[own] < 0, -1.0, 1.0)
    x, y = x[own] * sign, y[own] * sign
    marks: list[dict[str, Any]] = []
    with np.errstate(divide="ignore", invalid="ignore"):
        error_x = 1.96 / np.sqrt(floats(variants, "n_eqtl")[own])
        error_y = 1.96 / np.sqrt(floats(variants, "n_gwas")[own])
    if np.isfinite(error_x).all() and np.isfinite(error_y).all():
        marks.append(segments(
            x0=[*short(x - error_x), *short(x)], x1=[*short(x + error_x), *short(x)],
            y0=[*short(y), *short(y - error_y)], y1=[*short(y), *short(y + error_y)],
            name="95 % interval", colour="muted"))  # fmt: skip
    far = 1.1 * float(np.max(x))
    slopes: tuple[tuple[str, str, Colour], ...] = (
        ("alpha", "default estimate", "accent"), ("alpha_published", "published estimate", "c2"))  # fmt: skip
    for column, words, colour in slopes:
        slope = gene.get(column)
        if isinstance(slope, float) and np.isfinite(slope):
            marks.append(line(x=[0.0, far], y=[0.0, slope * far], name=words, colour=colour,
                              dashed=column != "alpha"))  # fmt: skip
    labels = [one for one, is_own in zip(texts(variants, "variant"), own, strict=True) if is_own]
    marks.append(points(x=short(x), y=short(y), name=KEPT, colour="accent", labels=labels))
    others = (whole(gene.get("n_genes")) or 1) - 1
    more = "" if others < 1 else (
        f" {count(others, 'other gene')} of these variants {'is' if others == 1 else 'are'} in the model, "
        f"so the "
        "points need not lie on its line.")  # fmt: skip
    return Figure(
        key=key, title="Trait against expression", height=230, marks=tuple(marks),
        x=Axis(label="effect on expression, SD", zero=True), y=Axis(label="effect on the trait, SD"),
        caption=f"Each point is an instrument, by the allele that raises expression.{more}",
        alt=f"{count(len(x), 'instrument')} of {name}; slopes: "
            + (listed(f"{words} {gene[column]:.3g}" for column, words, _ in slopes
                      if isinstance(gene.get(column), float)) or "none") + ".",
    )  # fmt: skip
