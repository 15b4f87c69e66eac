"""Tables of the two sides, the workflow's own or other people's, brought to the same few columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.concordance.scores import normal_scores, scores_of_p
from consilience.foundation.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

ENSEMBL = re.compile(r"(ENSG\d{11})(\.\d+)?")
UNTRUSTED: Mapping[str, str] = {
    "singular_ld": "the LD of its instruments is singular",
    "bad_ld": "the LD of its instruments is no matrix of correlations",
    "ld_contradicts": "its instruments' effects contradict their LD",
    "not_standardised": "an effect is larger than a standardised one can be",
}
"""Flags of either side whose rows are left out: the number is there, but means little."""
CAUTIONS: Mapping[str, str] = {
    "ld_doubtful": "the LD is doubtful over all genes",
    "aliased_covariate": "disease cannot be told from a covariate: effects may be that covariate's",
    "outcome_explained": "confounders tell cases from controls nearly wholly: effects rest on little",
}
"""Flags that concern whole tables: the rows are used, and a message says so."""
NAMED = 20
"""Genes named in a message; more are only counted."""


@dataclass(frozen=True)
class Side:
    """`table`: one row a gene (population) or a cell type and gene (cells).

    `left_out`: reason -> genes; `cautions`: flag of CAUTIONS -> rows, which are used all the same. Columns of
    both: ensembl_id, symbol, effect, se, z, p. Population: chromosome, position. Cells: cell_type, gene (as
    in the file), df, scaled, scaled_se (effect per sd of expression where known), mean_expression.
    """

    table: pd.DataFrame
    left_out: dict[str, list[str]]
    cautions: dict[str, int]


def read_table(path: Path) -> pd.DataFrame:
    """A .parquet, .tsv, .csv or .txt (tab) table, also .gz; text stays text."""
    import pandas as pd

    if not path.is_file():
        raise DataError("there is no such table", where=str(path), mend="check the path")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        comma = path.name.removesuffix(".gz").endswith(".csv")
        return pd.read_csv(path, sep="," if comma else "\t", dtype=str, keep_default_na=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(
            f"this is no table that can be read ({str(error).splitlines()[0]})", where=str(path),
            allowed=".parquet, or text with tabs (.csv: commas) and a header",
        ) from error  # fmt: skip


def population_side(table: pd.DataFrame, *, where: str, method: str = "twmr") -> Side:
    """A TWMR table (gene, alpha, se) or, with the columns method and estimate, one of univariate MR."""
    import pandas as pd

    if {"method", "estimate"} <= set(table.columns):
        known = sorted(set(table["method"].astype(str)))
        if method not in known:
            raise DataError("no rows of this method", where=where, value=method, allowed=", ".join(known))
        table = table[table["method"].astype(str) == method].rename(columns={"estimate": "alpha"})
    _require(table, ("gene", "alpha", "se"), where)
    ensembl, symbol = _names(table)
    effect, se = (_numbers(table, name, where) for name in ("alpha", "se"))
    position = _numbers(table, "position", where) if "position" in table else np.full(len(table), np.nan)
    chromosome = table["chromosome"].astype(str) if "chromosome" in table else [""] * len(table)
    ratio = _ratio(effect, se)
    given = _numbers(table, "z", where) if "z" in table else ratio
    z = np.where(np.isfinite(given) & np.isfinite(ratio), given, ratio)
    if (opposite := np.flatnonzero(z * ratio < 0)).size:
        row = int(opposite[0])
        raise DataError(
            "z and alpha have opposite signs", where=f"{where}, gene {table['gene'].iloc[row]}",
            value=f"z {z[row]:.4g}, alpha {effect[row]:.4g}",
            mend="give z = alpha / se, or leave the column out",
        )  # fmt: skip
    new = pd.DataFrame({
        "ensembl_id": ensembl, "symbol": symbol, "chromosome": list(chromosome), "position": position,
        "effect": effect, "se": se, "z": z, "p": _two_sided(z),
    })  # fmt: skip
    new.loc[~np.isfinite(position), "chromosome"] = ""
    return _believed(new, table, keys=[])


def cells_side(table: pd.DataFrame, *, where: str, cell_types: Sequence[str] = ()) -> Side:
    """A DML table: cell_type, gene, theta, se; statistic and df, or p, where they are there."""
    import pandas as pd

    _require(table, ("cell_type", "gene", "theta", "se"), where)
    table = table.assign(cell_type=table["cell_type"].astype(str))
    if cell_types:
        known = sorted(set(table["cell_type"]))
        if wrong := [one for one in cell_types if one not in known]:
            raise DataError("no such cell type in this table", where=where, value=", ".join(wrong),
                            allowed=", ".join(known), mend=did_you_mean(wrong[0], known))  # fmt: skip
        table = table[table["cell_type"].isin(list(cell_types))]
    numbers = {
        name: _numbers(table, name, where) if name in table else np.full(len(table), np.nan)
        for name in ("theta", "se", "statistic", "df", "p", "theta_sd", "mean_expression")
    }
    theta, se = numbers["theta"], numbers["se"]
    ratio = _ratio(theta, se)
    statistic = np.where(np.isfinite(numbers["statistic"]), numbers["statistic"], ratio)
    z = normal_scores(statistic, numbers["df"])
    by_p = ~np.isfinite(numbers["df"]) & (numbers["p"] >= 0) & (numbers["p"] <= 1)
    z = np.where(by_p & np.isfinite(ratio), scores_of_p(np.where(by_p, numbers["p"], 1.0), ratio), z)
    ensembl, symbol = _names(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(np.isfinite(numbers["theta_sd"]) & (theta != 0), numbers["theta_sd"] / theta, 1.0)
    new = pd.DataFrame({
        "cell_type": list(table["cell_type"]), "gene": list(table["gene"].astype(str)),
        "ensembl_id": ensembl, "symbol": symbol, "effect": theta, "se": se, "z": z, "p": _two_sided(z),
        "df": numbers["df"], "scaled": theta * scale, "scaled_se": se * np.abs(scale),
        "mean_expression": numbers["mean_expression"],
    })  # fmt: skip
    new.loc[~(new["se"] > 0), "z"] = np.nan
    return _believed(new, table, keys=["cell_type"])


def _believed(new: pd.DataFrame, table: pd.DataFrame, *, keys: list[str]) -> Side:
    """Without rows that were not estimated, are not to be trusted, or are there twice; each named."""
    name = new["symbol"].where(new["symbol"] != "", new["ensembl_id"])
    left_out: dict[str, list[str]] = {}
    good = np.isfinite(new[["effect", "se", "z"]].to_numpy(dtype=np.float64)).all(axis=1) & (new["se"] > 0)
    left_out["not_estimated"] = _named(name[~good])
    flags = (table["flags"] if "flags" in table else table["gene"].map(lambda _: "")).fillna("").astype(str)
    words = [set(text.split(";")) & set(UNTRUSTED) for text in flags]
    trusted = np.array([not word for word in words], dtype=bool)
    for word in sorted(set().union(*words)) if words else []:
        hit = np.array([word in one for one in words]) & good.to_numpy()
        left_out[word] = _named(name[hit])
    good &= trusted
    new, name = new[good], name[good]
    twice = np.zeros(len(new), dtype=bool)
    for column in ("ensembl_id", "symbol"):
        there = (new[column] != "").to_numpy()
        if column == "symbol":  # one symbol may rightly stand for two Ensembl genes
            there &= (new["ensembl_id"] == "").to_numpy()
        twice |= there & new.duplicated([*keys, column], keep=False).to_numpy()
    left_out["twice"] = _named(name[twice])
    found = new[~twice].reset_index(drop=True)
    cautions = {word: int(sum(word in text.split(";") for text in flags)) for word in CAUTIONS}
    return Side(
        found, {why: genes for why, genes in left_out.items() if genes},
        {word: count for word, count in cautions.items() if count},
    )  # fmt: skip


def _named(names: Any) -> list[str]:
    return sorted(set(map(str, names)))


def _names(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """(Ensembl ids without version, symbols); "" where unknown. The column gene may hold either."""
    gene = table["gene"].fillna("").astype(str).str.strip()
    given = table["ensembl_id"].fillna("").astype(str) if "ensembl_id" in table else gene
    found = [ENSEMBL.fullmatch(one) for one in given]
    own = [ENSEMBL.fullmatch(one) for one in gene]
    ensembl = [(a or b).group(1) if a or b else "" for a, b in zip(found, own, strict=True)]  # type: ignore[union-attr]
    named = table["symbol"].fillna("").astype(str) if "symbol" in table else [""] * len(table)
    symbol = [one or ("" if is_id else text) for one, text, is_id in zip(named, gene, own, strict=True)]
    return ensembl, symbol


def _require(table: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    if missing := [name for name in columns if name not in table.columns]:
        raise DataError(
            "columns are missing", where=where, value=", ".join(missing),
            allowed=f"at least {', '.join(columns)}; found {', '.join(map(str, table.columns))}",
        )  # fmt: skip
    if table.empty:
        raise DataError("the table has no rows", where=where)


def _numbers(table: pd.DataFrame, column: str, where: str) -> Floats:
    """A column as numbers; blanks, NA and NaN are NaN, other text is an error with its row."""
    import pandas as pd

    values = table[column]
    text = values.astype(str).str.strip()
    blank = values.isna() | text.str.casefold().isin(["", "na", "nan", "none", "null"])
    found = pd.to_numeric(text.where(~blank), errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(found) & ~blank.to_numpy() & ~text.str.contains("inf", case=False))
    if wrong.size:
        raise DataError("not a number", where=f"{where}, row {wrong[0] + 1}, column {column}",
                        value=text.iloc[int(wrong[0])])  # fmt: skip
    if column == "se" and (negative := np.flatnonzero(found < 0)).size:
        raise DataError("a standard error below zero", where=f"{where}, row {negative[0] + 1}, column se",
                        value=text.iloc[int(negative[0])])  # fmt: skip
    return np.where(np.isfinite(found), found, np.nan)


def _ratio(above: Floats, below: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, np.nan)


def _two_sided(z: Floats) -> Floats:
    from scipy import stats

    found: Floats = 2 * stats.norm.sf(np.abs(z))
    return found
