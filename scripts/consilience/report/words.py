"""Words for numbers and names that several sections say the same way."""

from __future__ import annotations

from collections.abc import Iterable

NARROW = "\N{NARROW NO-BREAK SPACE}"
KIND_WORDS = {
    "bulk": "bulk",
    "single_cell": "single cell",
    "perturbation": "perturbation",
    "summary_statistics": "summary statistics",
}
METRIC_WORDS = {
    "library_size": "library size",
    "total_counts": "counts per cell",
    "counts": "counts",
    "n_genes": "detected genes",
    "detected_genes": "detected genes",
    "genes": "detected genes",
    "mitochondrial_share": "mitochondrial share",
    "doublet_score": "doublet score",
    "outlier_distance": "robust PCA distance",
    "pca_distance": "robust PCA distance",
    "size_factor": "size factor",
    "typical_expression": "typical expression",
    "spread": "spread of expression",
    "share_above_background": "share of genes above background",
    "sex": "sex genes contradict the annotation",
}


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, as in "1 sample" or "12,345 cells"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def metric(name: str) -> str:
    """A metric or reason as a person says it."""
    return METRIC_WORDS.get(name, name.replace("_", " "))


def title(name: str) -> str:
    """A metric as a heading: only its first letter raised, so that "robust PCA distance" keeps its PCA."""
    words = metric(name)
    return words[:1].upper() + words[1:]


def unit_noun(kind: str) -> str:
    """What one observation is: a sample or a cell."""
    return "sample" if kind == "bulk" else "cell"


def listed(items: Iterable[str], *, last: str = "and") -> str:
    """Words joined as in "a, b and c"."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


def percent(part: float, whole: float) -> str:
    """A share in percent with two digits, kept on one line; "0 %" of nothing."""
    if not whole:
        return f"0{NARROW}%"
    value = 100 * part / whole
    return f"{value:.0f}{NARROW}%" if value >= 10 or value == 0 else f"{value:.1f}{NARROW}%"


def megabytes(size: int) -> str:
    """Bytes as a person reads them."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
