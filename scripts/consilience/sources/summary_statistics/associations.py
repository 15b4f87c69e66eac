"""Associations as served: GWAS-SSF and eQTLGen tables, checked row by row, under one set of column names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.tables import TextTable, read_text_table

if TYPE_CHECKING:
    import pandas as pd

GWAS_COLUMNS = (
    "chromosome", "base_pair_location", "effect_allele", "other_allele", "standard_error", "p_value", "rsid",
)  # fmt: skip
EQTL_COLUMNS = (
    "Pvalue",
    "SNP",
    "SNPChr",
    "SNPPos",
    "AssessedAllele",
    "OtherAllele",
    "Zscore",
    "Gene",
    "GeneSymbol",
    "GeneChr",
    "GenePos",
    "NrSamples",
)
CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "MT")
_CHROMOSOME_CODES = {"23": "X", "24": "Y", "25": "X", "26": "MT", "M": "MT"}
_UNSPELLED = {"I", "D", "R", "N", "0", "-", "*", "."}
_P_DISAGREES = 0.05
Flags = npt.NDArray[np.bool_]


@dataclass
class Findings:
    """What was set aside, by reason, and what a reader should know."""

    removed: Counter[str] = field(default_factory=Counter)
    messages: list[dict[str, str]] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Something to know."""
        self.messages.append({"level": "note", "text": text})

    def alarm(self, text: str) -> None:
        """Something that may make results wrong."""
        self.messages.append({"level": "alarm", "text": text})

    def keep(self, table: pd.DataFrame, bad: Flags, reason: str) -> pd.DataFrame:
        """The rows that are not bad; the others are counted under `reason`."""
        if bad.any():
            self.removed[reason] += int(bad.sum())
            table = table.loc[~bad].reset_index(drop=True)
        return table


def read_gwas(path: Path, *, findings: Findings, n_people: int | None) -> pd.DataFrame:
    """Read and check GWAS-SSF; rows that cannot be used are counted, values that cannot be are refused."""
    import pandas as pd

    text = read_text_table(path, required=GWAS_COLUMNS)
    positive = "a number above 0"
    table = pd.DataFrame(
        {
            "rsid": text.words("rsid"),
            "chromosome": chromosomes(text, "chromosome"),
            "position": text.numbers("base_pair_location", fits=_whole, allowed="a whole number above 0"),
            "effect_allele": alleles(text, "effect_allele"),
            "other_allele": alleles(text, "other_allele"),
            "beta": _effects(text),
            "standard_error": text.numbers("standard_error", fits=lambda v: v > 0, allowed=positive),
            "effect_allele_frequency": _frequencies(text, findings),
            "p_value": text.numbers(
                "p_value", fits=lambda v: (v >= 0) & (v <= 1), allowed="a number from 0 to 1"
            ),
            "n": text.numbers("n", fits=lambda v: v > 0, allowed=positive)
            if text.has("n")
            else np.full(text.n_rows, np.nan),
        }
    )
    text.refuse_any(
        (table["effect_allele"] == table["other_allele"]).to_numpy(),
        "other_allele",
        "both alleles are the same",
    )
    if n_people is not None:
        table["n"] = table["n"].fillna(float(n_people))
    if table["n"].isna().all():
        raise DataError("no column n and no sample size in the metadata", where=text.where,
                        mend="add a column n with the number of people")  # fmt: skip
    needed = [
        "rsid",
        "chromosome",
        "position",
        "effect_allele",
        "other_allele",
        "beta",
        "standard_error",
        "n",
    ]
    unnamed = (table["rsid"].isin(["", "NA", "#NA"]) | table[needed].isna().any(axis=1)).to_numpy()
    table = findings.keep(table, unnamed, "GWAS: a missing value")
    table = findings.keep(table, not_single(table), "GWAS: not a single-nucleotide variant")
    table = findings.keep(table, table.duplicated().to_numpy(), "GWAS: the same row twice")
    table = findings.keep(
        table, table["rsid"].duplicated(keep=False).to_numpy(), "GWAS: one name on several rows"
    )
    if not len(table):
        raise DataError(
            "no row of the GWAS can be used",
            where=text.where,
            value="; ".join(f"{reason}: {n}" for reason, n in findings.removed.items()),
        )
    z = (table["beta"] / table["standard_error"]).to_numpy()
    table["neg_log10_p"] = neg_log10_p(z)
    table["palindromic"] = palindromic(table["effect_allele"], table["other_allele"])
    _compare_p(table["p_value"].to_numpy(), table["neg_log10_p"].to_numpy(), findings)
    return _sorted(table.astype({"position": np.int64}), findings, what="GWAS")


def read_eqtl(path: Path, *, findings: Findings) -> pd.DataFrame:
    """Read and check an eQTL table in eQTLGen's columns."""
    import pandas as pd

    text = read_text_table(path, required=EQTL_COLUMNS)
    genes = pd.Series(text.words("Gene")).str.partition(".")[0]
    text.refuse_any(
        ~genes.str.fullmatch(r"ENSG\d{11}").to_numpy(dtype=bool),
        "Gene",
        "not an Ensembl gene id",
        allowed="ENSG and eleven digits",
    )
    table = pd.DataFrame({
        "rsid": text.words("SNP"),
        "chromosome": chromosomes(text, "SNPChr"),
        "position": text.numbers("SNPPos", fits=_whole, allowed="a whole number above 0"),
        "effect_allele": alleles(text, "AssessedAllele"),
        "other_allele": alleles(text, "OtherAllele"),
        "z": text.numbers("Zscore", fits=np.isfinite, allowed="a finite number"),
        "p_value": text.numbers("Pvalue", fits=lambda v: (v >= 0) & (v <= 1), allowed="a number from 0 to 1"),
        "gene": text.words("GeneSymbol"),
        "ensembl_id": genes.to_numpy(),
        "gene_chromosome": chromosomes(text, "GeneChr"),
        "gene_position": text.numbers("GenePos", fits=_whole, allowed="a whole number above 0"),
        "n": text.numbers("NrSamples", fits=lambda v: v > 0, allowed="a number above 0"),
    })  # fmt: skip
    text.refuse_any((table["effect_allele"] == table["other_allele"]).to_numpy(), "OtherAllele",
                    "both alleles are the same")  # fmt: skip
    missing = (
        table["rsid"].isin(["", "NA", "#NA"]) | table.drop(columns=["gene", "p_value"]).isna().any(axis=1)
    ).to_numpy()
    table = findings.keep(table, missing, "eQTL: a missing value")
    table = findings.keep(table, not_single(table), "eQTL: not a single-nucleotide variant")
    table = findings.keep(table, table.duplicated().to_numpy(), "eQTL: the same row twice")
    pairs = table.duplicated(["rsid", "ensembl_id"], keep=False).to_numpy()
    table = findings.keep(table, pairs, "eQTL: one variant and gene on several rows")
    if not len(table):
        raise DataError("no row of the eQTL table can be used", where=text.where)
    table["neg_log10_p"] = neg_log10_p(table["z"].to_numpy())
    table = table.astype({"position": np.int64, "gene_position": np.int64})
    return table.sort_values(["ensembl_id", "position", "rsid"], ignore_index=True)


def chromosomes(text: TextTable, name: str) -> npt.NDArray[np.object_]:
    """Chromosome names without prefix; 23 to 26 as letters."""
    import pandas as pd

    words = pd.Series(text.words(name)).str.upper().str.removeprefix("CHR").replace(_CHROMOSOME_CODES)
    text.refuse_any(
        ~words.isin(CHROMOSOMES).to_numpy(), name, "not a human chromosome", allowed="1 to 22, X, Y, MT"
    )
    return np.asarray(words.to_numpy(), dtype=object)


def alleles(text: TextTable, name: str) -> npt.NDArray[np.object_]:
    """Alleles in capitals; other letters than A, C, G, T are refused, codes for "not spelled out" are not."""
    import pandas as pd

    words = pd.Series(text.words(name)).str.upper()
    good = words.str.fullmatch("[ACGT]+").to_numpy(dtype=bool) | words.isin(_UNSPELLED).to_numpy()
    text.refuse_any(~good, name, "not an allele", allowed="A, C, G, T")
    return np.asarray(words.to_numpy(), dtype=object)


def not_single(table: pd.DataFrame) -> Flags:
    """Rows (n,) whose alleles are not two single letters."""
    bases = ["A", "C", "G", "T"]
    return np.asarray(~(table["effect_allele"].isin(bases) & table["other_allele"].isin(bases)))


def palindromic(effect: pd.Series[str], other: pd.Series[str]) -> Flags:
    """Variants (n,) whose two alleles are each other's complement, so that the strand cannot be told."""
    return np.asarray((effect + other).isin(["AT", "TA", "CG", "GC"]))


def neg_log10_p(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """-log10 of the two-sided p-value of z (n,); exact where p itself is below the smallest double."""
    from scipy.special import log_ndtr

    return np.asarray(-(log_ndtr(-np.abs(z)) + np.log(2.0)) / np.log(10.0))


def _whole(values: npt.NDArray[np.float64]) -> Flags:
    return np.asarray((values > 0) & (values == np.floor(values)))


def _effects(text: TextTable) -> npt.NDArray[np.float64]:
    if text.has("beta"):
        return text.numbers("beta", fits=np.isfinite, allowed="a finite number")
    if text.has("odds_ratio"):
        return np.log(text.numbers("odds_ratio", fits=lambda v: v > 0, allowed="a number above 0"))
    raise DataError("no column beta and no column odds_ratio", where=f"{text.where}:1")


def _frequencies(text: TextTable, findings: Findings) -> npt.NDArray[np.float64]:
    if not text.has("effect_allele_frequency"):
        findings.note("the GWAS gives no allele frequencies, so palindromic variants cannot be aligned")
        return np.full(text.n_rows, np.nan)
    return text.numbers(
        "effect_allele_frequency", fits=lambda v: (v >= 0) & (v <= 1), allowed="a number from 0 to 1"
    )  # fmt: skip


def _compare_p(p: npt.NDArray[np.float64], exact: npt.NDArray[np.float64], findings: Findings) -> None:
    """Compare stated p-values with beta and standard error."""
    given = np.isfinite(p) & (p > 1e-300)
    off = np.abs(-np.log10(p[given]) - exact[given]) > 0.1 * np.maximum(exact[given], 1.0)
    if off.mean() > _P_DISAGREES:
        findings.alarm(
            f"the p-values of {int(off.sum()):,} of {int(given.sum()):,} GWAS rows do not follow from beta "
            "and standard error (genomic control, or another scale?); beta and standard error are used"
        )
    if below := int((np.isfinite(p) & (p <= 1e-300)).sum()):
        findings.note(
            f"{below:,} GWAS p-values are too small for a computer number; taken from beta and standard error"
        )


def _sorted(table: pd.DataFrame, findings: Findings, *, what: str) -> pd.DataFrame:
    rank = table["chromosome"].map({name: place for place, name in enumerate(CHROMOSOMES)})
    order = np.lexsort((table["rsid"].to_numpy(dtype=str), table["position"], rank))
    steps = np.lexsort((table["position"], rank))
    if not np.array_equal(steps, np.arange(len(table))):
        findings.note(f"the {what} rows were not sorted by chromosome and position; they are now")
    return table.iloc[order].reset_index(drop=True)
