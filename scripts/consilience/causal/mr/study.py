"""The step of a study: every gene by every asked method, as `mr.parquet`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from consilience.causal.mr.estimate import MrResult
    from consilience.causal.mr.instruments import Exposure
    from consilience.study.causal import MrSection

GENE_COLUMNS = ("gene", "symbol", "chromosome", "position")
COLUMNS = (
    *GENE_COLUMNS, "method", "estimate", "se", "low", "high", "p", "fdr", "q", "q_df", "q_p", "intercept",
    "intercept_se", "intercept_p", "n_snps", "steiger", "steiger_p", "flags", "df",
)  # fmt: skip


def write_mr(inputs: Path, genes: Path, out: Path, *, settings: MrSection, seed: int) -> None:
    """Genes of `genes` (genes.parquet) in its order by all methods; NaN for those without instruments."""
    from consilience.causal.inputs_file import read_inputs
    from consilience.causal.mr.estimate import estimate_all
    from consilience.causal.mr.instruments import of_gene
    from consilience.foundation.files import write_parquet

    about = _read_genes(genes)
    exposures = {one.gene: of_gene(one) for one in read_inputs(inputs)}
    unknown = sorted(set(exposures) - set(about["gene"]))
    if unknown:
        raise DataError(
            "genes with instruments that are not in the table of genes", where=f"{inputs} and {genes}",
            value=", ".join(unknown[:5]), mend="delete both files and run again",
        )  # fmt: skip
    ones = [exposures.get(gene) or _without_instruments(gene) for gene in about["gene"]]
    methods = list(dict.fromkeys(settings.methods))
    rows = estimate_all(ones, methods, bootstraps=settings.bootstraps, seed=seed)
    write_parquet(out, table(about, rows, n_methods=len(methods)))


def table(about: pd.DataFrame, results: list[list[MrResult]], *, n_methods: int) -> pd.DataFrame:
    """One row a gene and method; false discovery rates within each method."""
    import pandas as pd

    from consilience.causal.mr.estimate import MrResult
    from consilience.learning.differential.method import benjamini_hochberg

    flat = [row for rows in results for row in rows]
    made = pd.DataFrame({
        name: [getattr(row, name) for row in flat] for name in MrResult.__dataclass_fields__
    }).rename(columns={"direction": "steiger", "direction_p": "steiger_p"})  # fmt: skip
    for name in GENE_COLUMNS:
        made[name] = about[name].repeat(n_methods).to_numpy()
    words = {"method", "steiger", "flags", *GENE_COLUMNS}
    made = made.astype({name: np.float64 for name in COLUMNS if name in made and name not in words})
    made["n_snps"] = made["n_snps"].astype(np.int64)
    made["fdr"] = np.nan
    for _, places in made.groupby("method").indices.items():
        made.loc[made.index[places], "fdr"] = benjamini_hochberg(made["p"].to_numpy()[places])
    return made[list(COLUMNS)]


def _without_instruments(gene: str) -> Exposure:
    from consilience.causal.mr.instruments import Exposure

    empty = np.empty(0)
    return Exposure(gene, empty, empty, empty, empty, np.empty((0, 0)), float("nan"), float("nan"))


def _read_genes(path: Path) -> pd.DataFrame:
    import pandas as pd

    table = pd.read_parquet(path)
    absent = [name for name in GENE_COLUMNS if name not in table]
    if absent:
        raise DataError("not a table of genes: columns are missing", where=str(path), value=", ".join(absent))
    if table["gene"].duplicated().any():
        raise DataError(
            "a gene is there twice", where=str(path),
            value=table["gene"][table["gene"].duplicated()].iloc[0], mend="delete the file and run again",
        )  # fmt: skip
    return table[list(GENE_COLUMNS)]
