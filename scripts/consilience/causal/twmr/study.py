"""TWMR of a cohort of summary statistics: every gene of its eQTL table has a row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from consilience.study.causal import InstrumentsSection

ORDER = (
    "gene", "symbol", "chromosome", "position", "alpha", "se", "p", "fdr", "alpha_published",
    "se_published", "p_published", "q", "q_p", "n_snps", "n_genes", "condition", "conditional_f",
    "n_outliers", "outliers", "flags", "low", "high", "z",
)  # fmt: skip
PLACES = ("gene", "symbol", "chromosome", "position")
COUNTS = ("n_snps", "n_genes", "n_outliers")
WORDS = ("outliers", "collinear_with", "dropped_genes")
OF_INSTRUMENTS = ("unknown_pairs", "left_out_genes")
"""Columns of genes.parquet that say what an estimate rests on: carried along where they are there."""
SHARED = "shared_variants"
"""Flag of genes.parquet: a gene much alike is not in the model."""
MOVED = ("alpha", "se", "p")
EMPTIED = (*MOVED, "low", "high", "z", "df")


def write_twmr(inputs: Path, genes: Path, out: Path, *, settings: InstrumentsSection) -> None:
    """Estimate every gene of `inputs` (inputs.parquet); list every gene of `genes` (genes.parquet) in `out`.

    A gene whose mean F is below `settings.min_f` is flagged as weak, as one with a small conditional F is.
    What was estimated for a gene whose like is not in the model stands in `alpha_shared`, `se_shared` and
    `p_shared`: it is of either of the two, and no claim about this gene.
    """
    import pandas as pd

    from consilience.foundation.files import write_parquet

    try:
        listed = pd.read_parquet(genes)
    except (OSError, ValueError) as error:
        raise DataError(
            f"not a readable table of genes ({error})", where=str(genes), mend="delete the file and run again"
        ) from error
    write_parquet(out, with_listed(estimated(inputs), listed, least_f=settings.min_f))


def estimated(inputs: Path) -> pd.DataFrame:
    """The table of all rows of an inputs.parquet, in their order."""
    from consilience.causal.inputs_file import read_buckets, read_names
    from consilience.causal.twmr.estimate import estimate
    from consilience.causal.twmr.table import table

    named = read_names(inputs)
    return table(named, estimate(read_buckets(inputs), len(named.gene)))


def with_listed(found: pd.DataFrame, listed: pd.DataFrame, *, least_f: float) -> pd.DataFrame:
    """One row a listed gene in the list's order; those without inputs have NaN and `no_instruments`."""
    import numpy as np

    stray = set(found["gene"]) - set(listed["gene"])
    if stray or listed["gene"].duplicated().any():
        raise DataError(
            "genes.parquet does not list every gene of inputs.parquet once", where="genes.parquet",
            value=", ".join(sorted(stray)[:3]) or "a gene is listed twice", mend="delete both and run again",
        )  # fmt: skip
    kept = [name for name in (*PLACES, *OF_INSTRUMENTS, "mean_f") if name in listed]
    table = listed[kept].merge(found.drop(columns="symbol"), on="gene", how="left", validate="one_to_one")
    table["flags"] = table["flags"].fillna("no_instruments")
    _set_apart(table, listed)
    for name in COUNTS:
        table[name] = table[name].fillna(0).astype("int64")
    for name in WORDS:
        table[name] = table[name].fillna("")
    if "mean_f" in table:
        known = table["alpha"].notna() & ~table["flags"].str.contains("weak_instruments")
        weak = known & (table["mean_f"] < least_f)
        joint = np.where(table["flags"] == "", "", ";")
        table["flags"] = np.where(weak, table["flags"] + joint + "weak_instruments", table["flags"])
    first = [name for name in ORDER if name in table]
    return table[[*first, *(name for name in table if name not in first)]]


def _set_apart(table: pd.DataFrame, listed: pd.DataFrame) -> None:
    """Move estimates that belong to this gene or to one left out of its model, and count the others' FDR."""
    import numpy as np

    from consilience.learning.differential.method import benjamini_hochberg

    words = listed["flags"] if "flags" in listed else listed["gene"].map(lambda _: "")
    shared = words.str.split(";").map(lambda own: SHARED in own).to_numpy(dtype=bool)
    shared &= table["alpha"].notna().to_numpy(dtype=bool)
    for name in MOVED:
        table[f"{name}_shared"] = np.where(shared, table[name], np.nan)
    for name in EMPTIED:
        table[name] = np.where(shared, np.nan, table[name])
    joint = np.where(table["flags"] == "", "", ";")
    table["flags"] = np.where(shared, "shared_effect" + joint + table["flags"], table["flags"])
    table["fdr"] = benjamini_hochberg(table["p"].to_numpy(dtype=np.float64))
