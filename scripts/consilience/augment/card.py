"""The card of synthetic samples: what they are, of whom, how good, how private, and what they are not for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from consilience.augment.judging import GATED
from consilience.measures.release import BALANCED

USES = (
    "Writing and testing software, teaching, and looking at what such a cohort is like, where patients' data"
    " may not be given.",
    "Training or pretraining a classifier, if it helps on real patients who were held out of everything:"
    " measure it against the same classifier with the real samples repeated.",
)
NOT_FOR = (
    "Tests, p-values and confidence intervals: ten samples for each patient are still that patient's"
    " information, and n is the number of patients. A test on synthetic samples finds what is not there.",
    "Finding new genes, subtypes or outliers: what the patients do not show, the samples do not either.",
    "Judging a classifier: test on real patients whom neither the generator nor the classifier has seen.",
    "Clinical decisions.",
)
SHOWN = {
    "class_mean_r2": "class means, R²", "fold_change_r2": "differences between classes, R²",
    "sd_r2": "standard deviations, R²", "sd_slope": "standard deviations, slope",
    "spread": "spread within classes", "diversity": "diversity within classes",
    "correlation": "gene-gene correlation within classes", "zero_error": "error of zero fractions",
    "two_sample_linear": "told from real, linear (AUC)", "two_sample_spread": "told from real, spread (AUC)",
}  # fmt: skip
"""Main figures, with what a reader calls them."""


def card_text(metrics: Mapping[str, Any], privacy: Mapping[str, Any], *, model: bool = False) -> str:
    """The card in Markdown, of the samples or of the `model` they are drawn from."""
    title = "# Generator of synthetic patients" if model else "# Synthetic patients"
    parts = [
        title, _what(metrics),
        "## Made from", _made_from(metrics),
        "## May they be given out?", _verdict(privacy),
        "## How faithful", _fidelity(metrics),
        "## How private", _privacy(privacy),
        "## Good for", _list(USES),
        "## Not for", _list(NOT_FOR),
        "## Notes", _list(metrics.get("notes", [])),
    ]  # fmt: skip
    if model:
        parts += ["## This folder", _list([
            "It holds what the generator learned of all patients, which can be more than its samples show:"
            " keep it where the patients' data are kept, whatever the verdict above says of the samples."
        ])]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(metrics: Mapping[str, Any]) -> str:
    temperature = metrics.get("temperature")
    warmth = f", temperature {temperature:.3g}" if isinstance(temperature, int | float) else ""
    return (
        f"Drawn by {_safe(metrics['title'])} (`{metrics['generator']}`{warmth}); {metrics['genes']:,} genes"
        f" in {_safe(metrics['units'])}, in the order of the input; seed {metrics['seed']}. No row is a"
        " patient."
    )


def _made_from(metrics: Mapping[str, Any]) -> str:
    rows = ["| class | real samples | synthetic samples |", "|---|---|---|"]
    rows += [f"| {_safe(one['label'])} | {one['real']} | {one['synthetic']} |" for one in metrics["kinds"]]
    return f"{metrics['patients']} patients.\n\n" + "\n".join(rows)


def _verdict(privacy: Mapping[str, Any]) -> str:
    level = privacy["level"]
    if privacy["passed"]:
        words = f"Yes, at the level of privacy `{level}`: {_safe(privacy['judged_by'])} kept all its limits."
        best = max((one["auc"] for one in privacy["attacks"] if one["name"] in GATED), default=0.5)
        if level == "none" and best > BALANCED.membership_auc:
            words += (
                f" This level does not ask who took part, and that can be told (membership AUC {best:.2f}):"
                " keep these samples among those who may know it."
            )
        return words
    reasons = "; ".join(map(str, privacy["reasons"])) or "not judged"
    return f"No, not at the level of privacy `{level}`: {_safe(reasons)}."


def _fidelity(metrics: Mapping[str, Any]) -> str:
    if not metrics.get("fidelity"):
        return "Not judged."
    judged = metrics["judged"]
    rows = [
        f"Made from {judged['n_train']} patients, against {judged['n_held_out']} others; beside it the"
        " patients they were made from, which is as good as can be expected. Averages are of all samples,"
        " everything else of as many as there were patients.",
        "| figure | synthetic | real patients |\n|---|---|---|",
    ]
    lines = [
        f"| {words} | {_number(metrics['fidelity'].get(name))} | {_number(metrics['ceiling'].get(name))} |"
        for name, words in SHOWN.items()
    ]
    return rows[0] + "\n\n" + "\n".join([rows[1], *lines])


def _privacy(privacy: Mapping[str, Any]) -> str:
    if not privacy.get("checks"):
        return "Not judged."
    lines = [f"{one['sentence']}: {'kept' if one['passed'] else 'exceeded'}" for one in privacy["checks"]]
    told = privacy.get("epsilon")
    if told is not None:
        lines.append(f"trained with differential privacy, epsilon {told:.3g}")
    return _list([*lines, *privacy.get("notes", [])])


def _number(value: object) -> str:
    return "not known" if value is None else f"{value:.3g}"


def _safe(text: object) -> str:
    """Text that stays in its cell."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def _list(entries: Iterable[object]) -> str:
    return "\n".join(f"- {_safe(entry)}" for entry in entries)
