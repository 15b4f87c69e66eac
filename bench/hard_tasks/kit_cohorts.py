"""The kit's cohorts as raw matrices with what is known of each sample."""

from __future__ import annotations

import gzip
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples

if TYPE_CHECKING:
    import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
ARRAY_OFFSET = 16.0
"""Added to array intensities before the logarithm (below it an array measures its own background)."""


def kit_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The kit's folder: as given, else CONSILIENCE_KIT, else beside the checkout."""
    folder = Path(given or os.environ.get("CONSILIENCE_KIT") or ROOT.parent / "shared" / "data")
    if not (folder / "MANIFEST.json").is_file():
        raise DataError(
            "no kit of real data here", where=str(folder), mend="give its folder, or set CONSILIENCE_KIT"
        )
    return folder


@dataclass(frozen=True)
class RawCohort:
    """Values as deposited: `values` (n, genes) float64; `genes` distinct; all else (n,) text."""

    values: npt.NDArray[np.float64]
    genes: tuple[str, ...]
    names: npt.NDArray[np.str_]
    labels: npt.NDArray[np.str_]
    donors: npt.NDArray[np.str_]
    batches: npt.NDArray[np.str_]

    def take(self, rows: npt.NDArray[Any]) -> RawCohort:
        """These samples."""
        parts = {
            name: getattr(self, name)[rows] for name in ("values", "names", "labels", "donors", "batches")
        }
        return replace(self, **parts)

    def without_genes(self, gone: npt.NDArray[np.bool_]) -> RawCohort:
        """All genes but those marked (genes,)."""
        genes = tuple(gene for gene, out in zip(self.genes, gone, strict=True) if not out)
        return replace(self, values=self.values[:, ~gone], genes=genes)

    def labelled(self, labels: npt.NDArray[np.str_]) -> RawCohort:
        """The same samples under other labels."""
        return replace(self, labels=labels)

    def log_counts(self, *, per: float) -> Samples:
        """Natural logarithm of 1 + counts per `per` reads of the sample."""
        totals = np.maximum(self.values.sum(axis=1, keepdims=True), 1.0)
        return self.as_samples(np.log1p(self.values / totals * per), units=f"log1p of counts per {per:g}")

    def as_samples(self, values: npt.NDArray[np.floating], *, units: str) -> Samples:
        """Samples with these values; genes that are the same everywhere stay."""
        return Samples(
            values.astype(np.float32), self.genes, self.names, self.labels, self.donors, self.batches, units
        )


def joined(*cohorts: RawCohort) -> RawCohort:
    """Cohorts below each other, on the genes of the first that all have."""
    shared = set(cohorts[0].genes).intersection(*(cohort.genes for cohort in cohorts[1:]))
    genes = tuple(gene for gene in cohorts[0].genes if gene in shared)
    values = []
    for cohort in cohorts:
        place = {gene: number for number, gene in enumerate(cohort.genes)}
        values.append(cohort.values[:, [place[gene] for gene in genes]])
    text = {
        name: np.concatenate([getattr(cohort, name) for cohort in cohorts])
        for name in ("names", "labels", "donors", "batches")
    }
    return RawCohort(np.concatenate(values), genes, **text)


def thinned(cohort: RawCohort, *, reads: int, seed: int) -> RawCohort:
    """Each read kept at random (binomial) so that a sample has about `reads`; no sample's draw depends on others."""
    values = np.empty_like(cohort.values)
    for row, name in enumerate(cohort.names):
        counts = np.rint(cohort.values[row]).astype(np.int64)
        share = min(1.0, reads / max(1, counts.sum()))
        values[row] = stream(seed, "thin", str(name)).binomial(counts, share)
    return replace(cohort, values=values)


def _distinct(genes: list[str]) -> npt.NDArray[np.bool_]:
    """Which genes to keep: the first of each name."""
    seen: set[str] = set()
    return np.array([not (gene in seen or seen.add(gene)) for gene in genes])  # type: ignore[func-returns-value]


def rnaseqdb(kit: Path, stem: str) -> RawCohort:
    """A TCGA or GTEx cohort of RNAseqDB: counts; labels `tumor`/`normal`; batches the project."""
    import pandas as pd

    table = pd.read_parquet(kit / "bulk" / f"{stem}.counts.parquet")
    sheet = pd.read_csv(kit / "bulk" / f"{stem}.samples.tsv", sep="\t", dtype=str)
    genes = table["Hugo_Symbol"].astype(str).tolist()
    keep = _distinct(genes)
    names = sheet["sample"].to_numpy(dtype=str)
    values = table[list(names)].to_numpy(dtype=np.float64).T[:, keep]
    # the patient is in the barcode: TCGA-KL-8325-…, GTEX-ZYT6-…
    parts = [name.split("-") for name in names]
    donors = np.array(["-".join(part[:3] if part[0] == "TCGA" else part[:2]) for part in parts])
    return RawCohort(
        values,
        tuple(np.array(genes)[keep].tolist()),
        names,
        sheet["group"].to_numpy(dtype=str),
        donors,
        sheet["project"].to_numpy(dtype=str),
    )


def peac(kit: Path) -> RawCohort:
    """Early rheumatoid synovium, 500 genes, regularised log values; labels the pathotypes."""
    import pandas as pd

    table = pd.read_csv(kit / "bulk" / "peac_ra_synovium_500genes.rlog.tsv.gz", sep="\t", index_col=0)
    sheet = pd.read_csv(kit / "bulk" / "peac_ra_synovium_500genes.samples.tsv", sep="\t", index_col=0)
    names = sheet.index.to_numpy(dtype=str)
    values = table[list(names)].to_numpy(dtype=np.float64).T
    return RawCohort(
        values,
        tuple(table.index.astype(str)),
        names,
        sheet["Pathotype"].to_numpy(dtype=str),
        names,
        np.full(len(names), "PEAC"),
    )


def gse97165(kit: Path) -> RawCohort:
    """Rheumatoid synovium of 19 patients `pre` and `post` therapy; near-counts (some are not whole)."""
    import pandas as pd

    path = kit / "geo_as_served" / "GSE97165_GEO_count_matrix.txt.gz"
    table = pd.read_csv(path, sep="\t", index_col=0)
    names = table.columns.to_numpy(dtype=str)
    found = [re.fullmatch(r"RA_(pre|post)_([0-9]+)", name) for name in names]
    if not all(found):
        raise DataError("unexpected column names", where=str(path), value=", ".join(names[:3]))
    genes = table.index.astype(str).tolist()
    keep = _distinct(genes)
    return RawCohort(
        table.to_numpy(dtype=np.float64).T[:, keep],
        tuple(np.array(genes)[keep].tolist()),
        names,
        np.array([match[1] for match in found if match]),
        np.array([f"patient {match[2]}" for match in found if match]),
        np.full(len(names), "GSE97165"),
    )


def gse55235(kit: Path) -> RawCohort:
    """Synovium on an array, log2(intensity + 16), the most intense probe of each gene; labels RA, OA, healthy."""
    import pandas as pd

    path = kit / "geo_as_served" / "GSE55235_series_matrix.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        lines = handle.read().splitlines()
    start = lines.index("!series_matrix_table_begin") + 1
    stop = lines.index("!series_matrix_table_end")
    names = np.array([cell.strip('"') for cell in lines[start].split("\t")[1:]])
    rows = [line.split("\t") for line in lines[start + 1 : stop]]
    probes = [row[0].strip('"') for row in rows]
    values = np.log2(np.array([row[1:] for row in rows], dtype=np.float64) + ARRAY_OFFSET)
    titles = next(line for line in lines if line.startswith("!Sample_source_name_ch1")).split("\t")[1:]
    symbols = pd.read_csv(kit / "geo_as_served" / "GPL96_probe_to_symbol.tsv.gz", sep="\t", dtype=str)
    symbol = dict(zip(symbols["ID_REF"], symbols["Gene symbol"], strict=True))
    best: dict[str, int] = {}
    means = values.mean(axis=1)
    for number, probe in enumerate(probes):
        gene = str(symbol.get(probe, ""))
        usable = gene not in {"", "nan"} and " /// " not in gene
        if usable and (gene not in best or means[number] > means[best[gene]]):
            best[gene] = number
    kinds = {"rheumatoid": "RA", "osteoarthr": "OA", "healthy": "healthy"}
    labels = [next(kind for word, kind in kinds.items() if word in title) for title in titles]
    return RawCohort(
        values[list(best.values())].T,
        tuple(best),
        names,
        np.array(labels),
        names,
        np.full(len(names), "GSE55235"),
    )


def cells(path: Path, *, label: str, donor: str, batch: str) -> RawCohort:
    """Counts of cells; labels, donors and batches from these columns of obs."""
    import anndata

    data = anndata.read_h5ad(path)
    dense = data.X if isinstance(data.X, np.ndarray) else data.X.toarray()
    columns = {column: data.obs[column].astype(str).to_numpy(dtype=str) for column in (label, donor, batch)}
    return RawCohort(
        np.asarray(dense, dtype=np.float64),
        tuple(data.var_names.astype(str)),
        data.obs_names.to_numpy(dtype=str),
        columns[label],
        columns[donor],
        columns[batch],
    )
