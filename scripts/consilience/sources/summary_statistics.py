"""Summary statistics of a GWAS, an eQTL study and LD: checked row by row, written as parquet."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.sources.ld import NEGATIVE_EIGENVALUE, LdMatrix, read_ld
from consilience.sources.raw_folder import RawFolder, open_raw_folder
from consilience.sources.summary_tables import TextTable, read_text_table
from consilience.sources.text import shown
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

GWAS_COLUMNS = (
    "chromosome", "base_pair_location", "effect_allele", "other_allele", "standard_error", "p_value", "rsid",
)  # fmt: skip
EQTL_COLUMNS = (
    "Pvalue", "SNP", "SNPChr", "SNPPos", "AssessedAllele", "OtherAllele", "Zscore", "Gene", "GeneSymbol", "GeneChr",
    "GenePos", "NrSamples",
)  # fmt: skip
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


def prepare_summary_statistics(*, cohort: Cohort, raw_dir: Path, out_dir: Path, qc_path: Path) -> None:
    """Read and check the raw files of a cohort; write gwas, eqtl and ld as parquet and qc.json."""
    started = time.monotonic()
    folder, findings = open_raw_folder(raw_dir), Findings()
    if folder.format != "gwas_ssf":
        raise DataError(f"a summary-statistics cohort needs GWAS-SSF, eQTL and LD files, not {folder.format}",
                        where=shown(raw_dir), mend="check kind and location of the cohort")  # fmt: skip
    gwas_path, meta = find_gwas(folder), read_meta(folder)
    gwas = read_gwas(gwas_path, findings=findings, n_people=meta.get("sample_size"))
    eqtl = read_eqtl(_one(folder, "eqtl.tsv.gz", "eqtl.tsv"), findings=findings)
    matrices = read_all_ld(folder, findings=findings)
    compare_sources(gwas, eqtl, matrices, findings=findings)
    if not (build := str(meta.get("genome_assembly", ""))):
        findings.note("the GWAS has no metadata file that states its genome assembly")
    write_parquet(out_dir / "gwas.parquet", gwas)
    write_parquet(out_dir / "eqtl.parquet", eqtl)
    write_parquet(out_dir / "ld.parquet", ld_table(matrices))
    write_json(qc_path, {
        "cohort": cohort.name, "kind": cohort.kind, "label": cohort.label, "source": cohort.source,
        "n_variants": len(gwas), "n_genes": int(eqtl["ensembl_id"].nunique()), "n_loci": len(matrices), "build": build,
        "n_eqtl_pairs": len(eqtl), "n_people_gwas": float(gwas["n"].median()), "n_people_eqtl": float(eqtl["n"].median()),
        "messages": findings.messages, "removed_by_reason": dict(findings.removed),
        "seconds": round(time.monotonic() - started, 3),
    })  # fmt: skip


def _one(folder: RawFolder, *endings: str) -> Path:
    found = folder.named(*endings)
    if len(found) != 1:
        raise DataError(
            f"{len(found)} files named {' or '.join(endings)}, one is needed", where=shown(folder.path)
        )
    return found[0]


def find_gwas(folder: RawFolder) -> Path:
    """The GWAS file: harmonised (.h.tsv.gz) if there is one, else the one table that is no eQTL or LD file."""
    harmonised = folder.named(".h.tsv.gz", ".h.tsv")
    tables = harmonised or [
        path for path in folder.named(".tsv", ".tsv.gz") if not path.name.startswith("eqtl.") and ".snps." not in path.name
    ]  # fmt: skip
    if len(tables) != 1:
        raise DataError(f"{len(tables)} files could be the GWAS, one is needed", where=shown(folder.path),
                        allowed="one <name>.h.tsv.gz")  # fmt: skip
    return tables[0]


def read_meta(folder: RawFolder) -> dict[str, Any]:
    """Genome assembly and sample size from the metadata file beside a GWAS-SSF file."""
    import yaml

    paths = folder.named("-meta.yaml")
    if not paths:
        return {}
    try:
        meta = yaml.safe_load(paths[0].read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"not valid YAML ({error})", where=shown(paths[0])) from None
    if not isinstance(meta, dict):
        raise DataError("holds no keys", where=shown(paths[0]), allowed="the metadata of a GWAS-SSF file")
    sizes = [one.get("sample_size") for one in meta.get("samples") or [] if isinstance(one, dict)]
    known = [int(size) for size in sizes if isinstance(size, int | float)]
    return {"genome_assembly": meta.get("genome_assembly", ""), "sample_size": sum(known) or None}


def read_gwas(path: Path, *, findings: Findings, n_people: int | None) -> pd.DataFrame:
    """Read and check GWAS-SSF; rows that cannot be used are counted, values that cannot be are refused."""
    import pandas as pd

    text = read_text_table(path, required=GWAS_COLUMNS)
    positive = "a number above 0"
    table = pd.DataFrame({
        "rsid": text.words("rsid"),
        "chromosome": chromosomes(text, "chromosome"),
        "position": text.numbers("base_pair_location", fits=_whole, allowed="a whole number above 0"),
        "effect_allele": alleles(text, "effect_allele"),
        "other_allele": alleles(text, "other_allele"),
        "beta": _effects(text),
        "standard_error": text.numbers("standard_error", fits=lambda v: v > 0, allowed=positive),
        "effect_allele_frequency": _frequencies(text, findings),
        "p_value": text.numbers("p_value", fits=lambda v: (v >= 0) & (v <= 1), allowed="a number from 0 to 1"),
        "n": text.numbers("n", fits=lambda v: v > 0, allowed=positive) if text.has("n") else np.full(text.n_rows, np.nan),
    })  # fmt: skip
    text.refuse_any((table["effect_allele"] == table["other_allele"]).to_numpy(), "other_allele",
                    "both alleles are the same")  # fmt: skip
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
        raise DataError("no row of the GWAS can be used", where=text.where,
                        value="; ".join(f"{reason}: {n}" for reason, n in findings.removed.items()))  # fmt: skip
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
    text.refuse_any(~genes.str.fullmatch(r"ENSG\d{11}").to_numpy(dtype=bool), "Gene", "not an Ensembl gene id",
                    allowed="ENSG and eleven digits")  # fmt: skip
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
    """Alleles in capitals; letters other than A, C, G, T are refused unless they are codes for "not spelled out"."""
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
            f"the p-values of {int(off.sum()):,} of {int(given.sum()):,} GWAS rows do not follow from beta and standard "
            "error (genomic control, or a standard error of another scale?); beta and standard error are used"
        )  # fmt: skip
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


def read_all_ld(folder: RawFolder, *, findings: Findings) -> list[LdMatrix]:
    """All LD matrices of the folder, in order of their names."""
    matrices, snps = folder.named(".ld.gz", ".ld"), {path.name: path for path in folder.named(".snps.tsv")}
    found = []
    for path in matrices:
        locus = path.name.removesuffix(".gz").removesuffix(".ld")
        if f"{locus}.snps.tsv" not in snps:
            raise DataError(f"no {locus}.snps.tsv beside this matrix", where=shown(path))
        found.append(read_ld(path, snps[f"{locus}.snps.tsv"], locus=locus))
    if not found:
        raise DataError(
            "no LD matrices", where=shown(folder.path), allowed="ld/<locus>.ld.gz and ld/<locus>.snps.tsv"
        )
    odd = [one.locus for one in found if one.smallest_eigenvalue < NEGATIVE_EIGENVALUE]
    if odd:
        findings.alarm(
            f"{len(odd)} LD matrices have negative eigenvalues and are no correlation matrices: {', '.join(odd[:5])}"
        )
    return found


def ld_table(matrices: list[LdMatrix]) -> pd.DataFrame:
    """Long table of the upper triangles with diagonals; r refers to the two effect alleles of the row."""
    import pandas as pd

    parts = []
    for one in matrices:
        first, second = np.triu_indices(len(one.rsid))
        name, effect, other = (np.array(values, dtype=object) for values in (one.rsid, one.effect, one.other))
        parts.append(pd.DataFrame({
            "locus": one.locus, "rsid_1": name[first], "rsid_2": name[second], "r": one.r[first, second],
            "effect_allele_1": effect[first], "other_allele_1": other[first],
            "effect_allele_2": effect[second], "other_allele_2": other[second],
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def compare_sources(
    gwas: pd.DataFrame, eqtl: pd.DataFrame, matrices: list[LdMatrix], *, findings: Findings
) -> None:
    """Say how far the three sources speak of the same variants."""
    sets = {
        "GWAS": set(gwas["rsid"]),
        "eQTL": set(eqtl["rsid"]),
        "LD": {name for one in matrices for name in one.rsid},
    }
    shared = set.intersection(*sets.values())
    findings.note("; ".join(f"{len(names):,} variants in the {kind}" for kind, names in sets.items())
                  + f"; {len(shared):,} in all three")  # fmt: skip
    if len(shared) < 0.5 * min(map(len, sets.values())):
        findings.alarm(
            "fewer than half of the variants are in GWAS, eQTL and LD: do all use the same names (rs numbers)?"
        )
    places = gwas.set_index("rsid")["position"]
    both = eqtl.drop_duplicates("rsid").set_index("rsid")["position"].reindex(places.index).dropna()
    moved = int((both != places.reindex(both.index)).sum())
    if moved > 0.01 * max(len(both), 1):
        findings.alarm(
            f"{moved:,} of {len(both):,} shared variants stand at other positions in the eQTL table: another genome build?"
        )
