"""What is planted, as arrays and as the truth's tables. Natural logs unless a name says log2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Expression:
    """Baseline expression.

    `base` (genes,) log abundance, `by_type` (types, genes) shift of each cell type, `dispersion` (genes,)
    factor on the trend; `shares` in blood, `tissue_shares`, `active` (types,).
    """

    types: tuple[str, ...]
    shares: Floats
    tissue_shares: Floats
    active: npt.NDArray[np.bool_]
    base: Floats
    by_type: Floats
    dispersion: Floats

    def cell_type_table(self) -> pd.DataFrame:
        """One row a cell type."""
        import pandas as pd

        return pd.DataFrame(
            {
                "cell_type": self.types,
                "active": self.active,
                "share": self.shares,
                "tissue_share": self.tissue_shares,
            }
        )

    def gene_table(self, symbols: Sequence[str]) -> pd.DataFrame:
        """One row a gene: base, dispersion factor, one column per cell type."""
        import pandas as pd

        columns = {f"type:{name}": self.by_type[row] for row, name in enumerate(self.types)}
        return pd.DataFrame({"gene": symbols, "base": self.base, "dispersion": self.dispersion, **columns})

    @classmethod
    def from_tables(cls, genes: pd.DataFrame, types: pd.DataFrame) -> Expression:
        """Inverse of the two tables."""
        names = tuple(types["cell_type"])
        return cls(
            types=names,
            shares=types["share"].to_numpy(),
            tissue_shares=types["tissue_share"].to_numpy(),
            active=types["active"].to_numpy(),
            base=genes["base"].to_numpy(),
            by_type=np.stack([genes[f"type:{name}"].to_numpy() for name in names]),
            dispersion=genes["dispersion"].to_numpy(),
        )


@dataclass(frozen=True)
class Disease:
    """What disease does to genes and genes do to disease.

    `effect` (genes,) signed log2 fold change in active cell types, `alpha` (genes,) effect of expression on
    risk; `candidates` rows of the genes chosen (causal unless the study is null).
    """

    pathways: tuple[str, ...]
    candidates: npt.NDArray[np.intp]
    pathway_of_candidate: tuple[str, ...]
    effect: Floats
    alpha: Floats

    @classmethod
    def from_genes(cls, genes: pd.DataFrame, pathways: pd.DataFrame) -> Disease:
        """Inverse of the truth's tables."""
        rows = np.flatnonzero(genes["candidate"].to_numpy())
        return cls(
            pathways=tuple(pathways.loc[pathways["candidate"], "pathway"]),
            candidates=rows,
            pathway_of_candidate=tuple(genes["pathway"].to_numpy()[rows]),
            effect=genes["effect"].to_numpy(),
            alpha=genes["alpha"].to_numpy(),
        )


@dataclass(frozen=True)
class Programs:
    """Latent factors behind gene-gene correlation: rows and loadings (log scale) of each program's genes."""

    names: tuple[str, ...]
    rows: tuple[npt.NDArray[np.intp], ...]
    loadings: tuple[Floats, ...]

    def table(self, symbols: Sequence[str]) -> pd.DataFrame:
        """Long: program, gene, loading."""
        import pandas as pd

        return pd.DataFrame({
            "program": np.repeat(np.array(self.names, dtype=object), [len(rows) for rows in self.rows]),
            "gene": [symbols[row] for rows in self.rows for row in rows],
            "loading": np.concatenate([*self.loadings, np.empty(0)]),
        })  # fmt: skip

    @classmethod
    def from_table(cls, table: pd.DataFrame, *, row_of: Mapping[str, int]) -> Programs:
        """Inverse of `table`."""
        parts = [(str(name), part) for name, part in table.groupby("program", sort=False)]
        return cls(
            names=tuple(name for name, _ in parts),
            rows=tuple(np.array([row_of[gene] for gene in part["gene"]], dtype=np.intp) for _, part in parts),
            loadings=tuple(part["loading"].to_numpy() for _, part in parts),
        )


@dataclass(frozen=True)
class Perturbations:
    """Programs in the order in which cohorts take them: targets, their pathways, rows and log2 effects."""

    names: tuple[str, ...]
    pathways: tuple[str, ...]
    rows: tuple[npt.NDArray[np.intp], ...]
    log2fc: tuple[Floats, ...]

    def table(self, symbols: Sequence[str]) -> pd.DataFrame:
        """Long: perturbation, gene, log2fc (mean over cell lines)."""
        import pandas as pd

        return pd.DataFrame({
            "perturbation": np.repeat(np.array(self.names, dtype=object), [len(rows) for rows in self.rows]),
            "gene": [symbols[row] for rows in self.rows for row in rows],
            "log2fc": np.concatenate([*self.log2fc, np.empty(0)]),
        })  # fmt: skip

    @classmethod
    def from_tables(
        cls, table: pd.DataFrame, groups: pd.DataFrame, *, row_of: Mapping[str, int]
    ) -> Perturbations:
        """Inverse of the truth's tables."""
        parts = {str(name): part for name, part in table.groupby("perturbation", sort=False)}
        names = tuple(groups["perturbation"])
        return cls(
            names=names,
            pathways=tuple(groups["pathway"]),
            rows=tuple(np.array([row_of[g] for g in parts[name]["gene"]], dtype=np.intp) for name in names),
            log2fc=tuple(parts[name]["log2fc"].to_numpy() for name in names),
        )
