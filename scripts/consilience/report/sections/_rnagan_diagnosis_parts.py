"""Diagnosis drawn and said: areas under the curve by number of references, calibration, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from consilience.report.figures import Axis, Colour, Figure, band, line, points, rule, segments
from consilience.report.sections._rnagan_reading import (
    FEWEST_PEOPLE,
    METHOD_COLOURS,
    OURS,
    UNADAPTED,
    UNPRETRAINED,
    is_ours,
    method_words,
    signed,
    two,
)
from consilience.report.sections._rnagan_shapes import (
    Bin,
    DiagnosisSummary,
    Difference,
    MethodFigures,
    SizeFigures,
)
from consilience.report.words import count, listed

SATURATED = 0.99
"""Where the best simple classifier ranks so well, a task cannot tell good methods from better ones."""
NOTABLE = 0.01
VERDICTS = ("RNAGAN is better", "no clear difference", "the baseline is better", "too easy to tell")
SHAPES: dict[str, Literal["ring", "cross"]] = {UNPRETRAINED: "ring", UNADAPTED: "cross"}


def sizes_of(summary: DiagnosisSummary) -> list[int]:
    """Numbers of references, ascending."""
    return sorted(summary.by_references)


def best_auc(size: SizeFigures) -> float | None:
    """The AUC of the best baseline."""
    name = size.best_baseline
    return size.methods[name].auc if name in size.methods and name is not None else None


def saturated(size: SizeFigures) -> bool:
    """Whether the task is too easy to prove anything."""
    return (best_auc(size) or 0.0) >= SATURATED


def verdict(size: SizeFigures) -> str:
    """RNAGAN against the best baseline in a few words."""
    best = size.best_baseline
    one = size.differences.get(OURS, {}).get(best or "")
    if one is None:
        return "not compared"
    if saturated(size) and one.auc >= -NOTABLE:
        return "too easy to tell"
    if one.low > 0:
        return "RNAGAN is better"
    if one.high < 0:
        return "the baseline is better"
    return "no clear difference"


def auc_figure(summary: DiagnosisSummary, *, key: str, title: str) -> Figure:
    """AUC by number of references: ours with a band, every baseline as a line."""
    sizes = sizes_of(summary)
    names = sorted({name for one in summary.by_references.values() for name in one.methods})
    marks: list[dict[str, Any]] = []
    colours = dict(zip((name for name in names if not is_ours(name)), METHOD_COLOURS, strict=False))
    for name in sorted(names, key=lambda name: (not is_ours(name), name)):
        own = [summary.by_references[size].methods.get(name, MethodFigures()) for size in sizes]
        words, ours = method_words(name), is_ours(name)
        colour: Colour = "accent" if ours else colours.get(name, "muted")
        known = [(size, one) for size, one in zip(sizes, own, strict=True) if one.auc is not None]
        if name == OURS and all(one.auc_low is not None and one.auc_high is not None for _, one in known):
            marks.append(
                band(x=[size for size, _ in known], low=[one.auc_low for _, one in known],
                     high=[one.auc_high for _, one in known], name=words, colour=colour)
            )  # fmt: skip
        x, y = [size for size, _ in known], [one.auc for _, one in known]
        labels = [f"{words}, {size} references: {auc_words(one)}" for size, one in known]
        marks.append(points(x=x, y=y, name=words, colour=colour, labels=labels,
                            shape=SHAPES.get(name, "dot")))  # fmt: skip
        marks.append(line(x=x, y=y, name=words, colour=colour, dashed=ours and name != OURS))
    if any(saturated(one) for one in summary.by_references.values()):
        marks.append(rule(axis="y", at=SATURATED, label="baselines above this: too easy", shade="above"))
    return Figure(
        key=key, title=title, marks=tuple(marks), height=300,
        x=Axis(label="reference patients per kind", format="integer",
               domain=(min(sizes) - 1, max(sizes) + 1)),
        y=Axis(label="AUC on patients never seen"),
        caption=f"Band: {100 * summary.auc_interval_level:g} % interval of RNAGAN over patients and splits.",
        alt=_auc_alt(summary),
    )  # fmt: skip


def _auc_alt(summary: DiagnosisSummary) -> str:
    parts = []
    for size in sizes_of(summary):
        one = summary.by_references[size]
        ours = one.methods.get(OURS, MethodFigures()).auc
        parts.append(f"{two(ours)} with {size} references (best baseline {two(best_auc(one))})")
    return f"AUC of RNAGAN {listed(parts)}."


def auc_words(one: MethodFigures) -> str:
    """An AUC with its interval."""
    if one.auc is None:
        return "–"
    ends = "" if one.auc_low is None or one.auc_high is None else f" [{one.auc_low:.2f}, {one.auc_high:.2f}]"
    return f"{one.auc:.2f}{ends}"


def joined(bins: Sequence[Bin]) -> list[Bin]:
    """Bins, by probability, joined with their neighbours until each holds FEWEST_PEOPLE predictions."""
    found: list[list[Bin]] = []
    for entry in sorted(bins, key=lambda entry: entry.mean_probability):
        if found and sum(one.n for one in found[-1]) < FEWEST_PEOPLE:
            found[-1].append(entry)
        else:
            found.append([entry])
    if len(found) > 1 and sum(one.n for one in found[-1]) < FEWEST_PEOPLE:
        last = found.pop()
        found[-1] += last
    whole = [(sum(one.n for one in part), part) for part in found]
    return [
        Bin(n=n, mean_probability=sum(one.n * one.mean_probability for one in part) / n,
            share_positive=sum(one.n * one.share_positive for one in part) / n)
        for n, part in whole if n >= FEWEST_PEOPLE
    ]  # fmt: skip


def reliability_figure(summary: DiagnosisSummary, *, key: str) -> Figure | None:
    """Share of cases against predicted probability, for RNAGAN and the best-ranked baseline with one."""
    size = sizes_of(summary)[-1]
    methods = summary.by_references[size].methods
    others = [name for name, figures in methods.items() if not is_ours(name) and figures.reliability]
    chosen = [OURS, *sorted(others, key=lambda name: -(methods[name].auc or 0.0))[:1]]
    marks: list[dict[str, Any]] = []
    words = []
    colours: tuple[Colour, ...] = ("accent", "c1")
    for name, colour in zip(chosen, colours, strict=False):
        figures = methods.get(name, MethodFigures())
        bins = joined(figures.reliability or ())
        if bins:
            marks += _curve(bins, name=method_words(name), colour=colour, intervals=name == OURS)
            words.append(
                f"{method_words(name)} ECE {two(figures.ece)} (by chance {two(figures.ece_expected)})"
            )
    if not marks:
        return None
    perfect = line(x=[0, 1], y=[0, 1], name="perfect", colour="muted", dashed=True)
    return Figure(
        key=key, title=f"Can the probabilities be believed? {size} references", marks=(perfect, *marks),
        height=300, x=Axis(label="predicted probability of a case", format="percent", domain=(-0.02, 1.02)),
        y=Axis(label="share that are cases", format="percent", domain=(-0.02, 1.02)),
        caption=f"Each point stands for {FEWEST_PEOPLE} predictions or more; 95 % intervals as if all were "
                "of "
        "different patients.",
        alt=f"{listed(words)}.",
    )  # fmt: skip


def _curve(bins: list[Bin], *, name: str, colour: Colour, intervals: bool) -> list[dict[str, Any]]:
    from consilience.measures.privacy import wilson

    x, y = [entry.mean_probability for entry in bins], [entry.share_positive for entry in bins]
    ends = [wilson(entry.share_positive, entry.n) for entry in bins] if intervals else []
    labels = [
        f"{name}: {count(entry.n, 'prediction')}, {100 * entry.share_positive:.0f} % cases" for entry in bins
    ]
    bars = segments(x0=x, x1=x, y0=[low for low, _ in ends], y1=[high for _, high in ends], name=name,
                    colour=colour)  # fmt: skip
    return [*([bars] if ends else []), points(x=x, y=y, name=name, colour=colour, labels=labels),
            line(x=x, y=y, name=name, colour=colour)]  # fmt: skip


def forest(rows: list[tuple[str, int, SizeFigures]]) -> Figure | None:
    """RNAGAN minus the best baseline for every task and number of references, with intervals."""
    kept = []
    for words, size, one in rows:
        found = one.differences.get(OURS, {}).get(one.best_baseline or "")
        if found is not None:
            kept.append((f"{words}, {size}", one, found))
    if not kept:
        return None
    return Figure(
        key="rnagan-forest", title="RNAGAN against the best simple classifier of each task",
        marks=tuple(_forest_marks(kept)), x=Axis(label="difference in AUC (above 0: RNAGAN ranks better)"),
        y=Axis(scale="category", categories=tuple(label for label, *_ in kept)),
        wide=True, height=max(190, 70 + 20 * len(kept)),
        caption="One line per task and number of references; lines are 95 % intervals. The best baseline was "
        "chosen after its AUCs were known, which favours the baselines.",
        alt=listed(f"{label} references {signed(found.auc)}" for label, _, found in kept) + ".",
    )  # fmt: skip


def _forest_marks(kept: list[tuple[str, SizeFigures, Difference]]) -> list[dict[str, Any]]:
    """Intervals, then points by verdict."""
    places = list(range(len(kept)))
    marks: list[dict[str, Any]] = [
        segments(x0=[found.low for *_, found in kept], x1=[found.high for *_, found in kept],
                 y0=places, y1=places),
    ]  # fmt: skip
    colours: tuple[Colour, ...] = ("accent", "c1", "case", "muted")
    for word, colour in zip(VERDICTS, colours, strict=True):
        part = [(place, *row) for place, row in zip(places, kept, strict=True) if verdict(row[1]) == word]
        if not part:
            continue
        labels = [
            f"{label} references: {auc_words(one.methods.get(OURS, MethodFigures()))} against "
            f"{method_words(one.best_baseline or '')} {two(best_auc(one))}" for _, label, one, _ in part
        ]  # fmt: skip
        marks.append(
            points(x=[found.auc for *_, found in part], y=[place for place, *_ in part], name=word,
                   colour=colour, shape="ring" if colour == "muted" else "dot", labels=labels)
        )  # fmt: skip
    return [*marks, rule(axis="x", at=0.0, label="equal")]


def sentences(summary: DiagnosisSummary) -> list[str]:
    """What came out, with the baseline where it wins and the task where it proves nothing."""
    said = []
    easy = [size for size in sizes_of(summary) if saturated(summary.by_references[size])]
    if easy:
        said.append(
            f"Saturated with {_sizes(easy)} references: a simple classifier reaches {SATURATED} or more, so "
            "a high AUC proves nothing here."
        )
    for size in sizes_of(summary):
        one = summary.by_references[size]
        best = one.best_baseline
        found = one.differences.get(OURS, {}).get(best or "")
        if found is None or best is None or verdict(one) == "too easy to tell":
            continue
        ends = f"{signed(found.auc)} [{signed(found.low)}, {signed(found.high)}]"
        ours, theirs = auc_words(one.methods.get(OURS, MethodFigures())), two(best_auc(one))
        said.append(
            f"{size} references: RNAGAN {ours}, {method_words(best)} {theirs}; difference {ends}, "
            f"{verdict(one)}."
        )
    return said


def pretraining_words(summary: DiagnosisSummary) -> str:
    """With against without pretraining, as far as splits tell."""
    parts, known = [], False
    for size in sizes_of(summary):
        methods = summary.by_references[size].methods
        one, other = methods.get(OURS), methods.get(UNPRETRAINED)
        if one is None or other is None or one.auc is None or other.auc is None:
            continue
        known = True
        if saturated(summary.by_references[size]):
            continue
        splits = [
            (value, other.auc_by_split[split]) for split, value in one.auc_by_split.items()
            if split in other.auc_by_split
        ]  # fmt: skip
        pairs = [(a, b) for a, b in splits if a is not None and b is not None]
        up = sum(a > b for a, b in pairs)
        parts.append(
            f"{signed(one.auc - other.auc)} with {size} (higher in {up} of {count(len(pairs), 'split')})"
        )
    if not known:
        return "No cohort to pretrain on: RNAGAN starts from its references alone."
    return f"Pretraining on other cohorts changes the AUC by {listed(parts)} references." if parts else ""


def _sizes(sizes: list[int]) -> str:
    return listed(str(size) for size in sizes)
