"""The card of a model: what it is, what it learned from, what it may be used for, and what it cannot do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from consilience.rnagan.scales import WORDS

if TYPE_CHECKING:
    from consilience.rnagan.model import Rnagan

USES = (
    "Research: whether a sample is of the same kind as a set of reference samples, which genes and pathways"
    " speak for it, 64 numbers per sample, and synthetic samples of a kind.",
    "Give 20 to 30 reference samples of each kind, measured like the samples in question; with fewer the"
    " intervals are wide, and they are printed for that reason.",
)
LIMITS = (
    "Not a medical device; no clinical decision may rest on it.",
    "A probability is relative to the references given. It is calibrated only on cohorts like those above.",
    "Differences of batch, platform or tissue between references and samples look like differences of kind.",
    "Markers are associations, not causes.",
    "Samples unlike anything in the training data are flagged (column `ood`), but not every such sample is.",
)
PRIVACY = (
    "This folder holds weights, the names of genes and pathways, means and standard deviations of genes over"
    " all training samples, and numbers of samples. It holds no expression values, names, donors or dates of"
    " any sample."
)


def card_text(model: Rnagan) -> str:
    """The card in Markdown; figures appear only where the record has them."""
    record = model.record
    n_pathways = len(model.wiring.pathways)
    parts = [
        "# RNAGAN model",
        f"Preset `{model.preset.name}`; {len(model.genes):,} genes, {n_pathways:,} pathways; values are"
        f" {WORDS[model.scale]} (`{model.scale}`).",
        "## Training data", _cohorts(record.get("cohorts", [])),
        "## Intended use", _list(USES),
        "## Limits", _list([*LIMITS, *map(str, record.get("limits", []))]),
        "## Figures", _figures(record.get("figures", {})),
        "## Calibration", _calibration(model),
        "## Privacy", PRIVACY,
        "## Software", _list(f"{name} {version}" for name, version in record.get("software", {}).items()),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _cohorts(cohorts: Sequence[Mapping[str, Any]]) -> str:
    """One row for each cohort: what was measured, samples, donors, and how many samples each label has."""
    if not cohorts:
        return "None: the weights are random."
    rows = [
        "| cohort | measured as | samples | donors | labels (samples) | digest |",
        "|---|---|---|---|---|---|",
    ]
    for cohort in cohorts:
        labels = ", ".join(f"{_safe(label)} ({n})" for label, n in cohort.get("labels", {}).items())
        cells = [_safe(cohort.get(key, "")) for key in ("name", "measured", "samples", "donors")]
        rows.append("| " + " | ".join([*cells, labels, _safe(cohort.get("digest", ""))]) + " |")
    return "\n".join(rows)


def _figures(figures: Mapping[str, Any]) -> str:
    if not figures:
        return "None were measured on this model."
    rows = ["| figure | value |", "|---|---|"]
    rows += [f"| {_safe(name)} | {_number(value)} |" for name, value in figures.items()]
    return "\n".join(rows)


def _calibration(model: Rnagan) -> str:
    if model.calibration is None:
        return "None was fitted: probabilities rest on the references given and on a general prior."
    kept = model.calibration
    return (
        f"On {kept.n_donors:,} donors of {kept.n_tasks:,} tasks held out of training: logit of the"
        f" probability = {kept.intercept:.4g} + {kept.slope:.4g} x answer; the references given refine it."
    )


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _safe(value)


def _safe(text: object) -> str:
    """Text that stays in its cell."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def _list(entries: Iterable[str]) -> str:
    return "\n".join(f"- {_safe(entry)}" for entry in entries)
