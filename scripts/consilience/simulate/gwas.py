"""Summary statistics as served: a harmonised GWAS-SSF file, an eQTLGen table, LD matrices of a panel."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.jobs import log
from consilience.foundation.seeds import stream
from consilience.simulate.gzipped import write_gzip
from consilience.simulate.loci import REFERENCE_PANEL, Locus, simulate_locus
from consilience.simulate.plan import summary_sizes
from consilience.simulate.truth import Truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulatedSummaryStatistics, SimulationSection

if TYPE_CHECKING:
    import pandas as pd

GWAS_HEADER = (
    "chromosome", "base_pair_location", "effect_allele", "other_allele", "beta", "standard_error",
    "effect_allele_frequency", "p_value", "rsid", "n",
)  # fmt: skip
EQTL_HEADER = (
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
    "NrCohorts",
    "NrSamples",
    "FDR",
    "BonferroniP",
)
FLANK = 200_000
PALINDROMIC, OTHER_PAIRS = (("A", "T"), ("C", "G")), (("A", "C"), ("A", "G"), ("C", "T"), ("G", "T"))
COMPLEMENT = str.maketrans("ACGT", "TGCA")
SMALLEST_EQTL_P = "3.2717E-310"
N_ODD_ROWS = 3


@dataclass(frozen=True)
class Variants:
    """Variants of one locus (m,): the panel's coding, and how each study codes them (+1 same, -1 flipped)."""

    rsid: list[str]
    chromosome: str
    position: npt.NDArray[np.int64]
    effect: list[str]
    other: list[str]
    frequency: npt.NDArray[np.float64]
    sign_gwas: npt.NDArray[np.int64]
    sign_eqtl: npt.NDArray[np.int64]
    other_strand: npt.NDArray[np.bool_]
    in_gwas: npt.NDArray[np.bool_]


def write_gwas(folder: Path, *, cohort: Cohort, settings: SimulationSection, truth: Truth) -> pd.DataFrame:
    """Write all files of the cohort; return the planted facts, one row per variant and gene."""
    import pandas as pd

    sizes = summary_sizes(cohort, settings)
    names = sorted(set(truth.genes["locus"]) - {""})
    if sizes.n_loci > len(names):
        log.warning("%s: these genes make %d loci, not %d", cohort.name, len(names), sizes.n_loci)
    gwas: list[tuple[int, int, str]] = []
    eqtl: list[tuple[float, str]] = []
    facts: list[dict[str, Any]] = []
    planted = unrelated_trait(truth, names[: sizes.n_loci], cohort=cohort) if sizes.unrelated else truth.genes
    genes_of = dict(list(planted.groupby("locus", sort=False)))
    for number, name in enumerate(names[: sizes.n_loci]):
        genes = genes_of[name]
        rng = stream(truth.seed, cohort.name, "locus", name)
        locus = simulate_locus(
            n_snps=sizes.snps_per_locus,
            alpha=genes["alpha"].to_numpy(),
            n_gwas=sizes.n_gwas,
            n_eqtl=sizes.n_eqtl,
            direct_scale=truth.settings["effect"],
            rng=rng,
        )
        variants = draw_variants(
            genes=genes, n=sizes.snps_per_locus, first=number * sizes.snps_per_locus, rng=rng
        )
        gwas += gwas_rows(variants, z=locus.z_gwas, n_people=sizes.n_gwas)
        eqtl += eqtl_rows(variants, genes=genes, z=locus.z_eqtl, n_people=sizes.n_eqtl)
        write_ld(folder / "ld", name=name, variants=variants, ld=locus.ld_panel)
        facts += variant_facts(name, variants=variants, genes=genes, locus=locus)
    gwas += odd_rows(gwas, n_people=sizes.n_gwas, rng=stream(truth.seed, cohort.name, "odd rows"))
    gwas.sort()
    lines = ["\t".join(GWAS_HEADER), *(line for _, _, line in gwas)]
    write_gzip(folder / f"{cohort.name}.h.tsv.gz", "\n".join(lines) + "\n")
    (folder / f"{cohort.name}.h.tsv.gz-meta.yaml").write_text(
        meta_yaml(cohort, sizes=sizes), encoding="utf-8"
    )
    write_gzip(folder / "eqtl.tsv.gz", eqtl_text(eqtl))
    return pd.DataFrame(facts)


def unrelated_trait(truth: Truth, loci: list[str], *, cohort: Cohort) -> pd.DataFrame:
    """The genes, with as many acting on this trait, as strongly, but others than those of the disease."""
    genes = truth.genes.copy()
    here = genes["locus"].isin(loci).to_numpy()
    sizes = genes.loc[here & genes["causal"].to_numpy(), "alpha"].to_numpy()
    free = np.flatnonzero(here & ~genes["causal"].to_numpy())
    rng = stream(truth.seed, cohort.name, "unrelated trait")
    chosen = rng.choice(free, size=min(sizes.size, free.size), replace=False)
    alpha = np.zeros(len(genes))
    alpha[chosen] = rng.permutation(np.abs(sizes))[: chosen.size] * rng.choice([-1.0, 1.0], chosen.size)
    return genes.assign(alpha=alpha)


def draw_variants(*, genes: pd.DataFrame, n: int, first: int, rng: np.random.Generator) -> Variants:
    """Places, alleles, frequencies and codings of `n` variants around the genes of a locus."""
    low, high = int(genes["position"].min()) - FLANK, int(genes["position"].max()) + FLANK
    position = np.sort(rng.choice(np.arange(max(low, 1), high, 7), size=n, replace=False))
    palindromic = rng.random(n) < 0.15
    pairs = [PALINDROMIC[rng.integers(2)] if odd else OTHER_PAIRS[rng.integers(4)] for odd in palindromic]
    turn = rng.random(n) < 0.5
    return Variants(
        rsid=[f"rs9{first + k:09d}" for k in range(n)],
        chromosome=str(genes["chromosome"].iloc[0]),
        position=position.astype(np.int64),
        effect=[pair[int(t)] for pair, t in zip(pairs, turn, strict=True)],
        other=[pair[1 - int(t)] for pair, t in zip(pairs, turn, strict=True)],
        frequency=np.round(rng.uniform(0.05, 0.95, n), 4),
        sign_gwas=np.where(rng.random(n) < 0.3, -1, 1),
        sign_eqtl=np.where(rng.random(n) < 0.4, -1, 1),
        other_strand=(rng.random(n) < 0.02) & ~palindromic,
        in_gwas=rng.random(n) >= 0.02,
    )


def p_of(z: float) -> float:
    """Two-sided normal p-value; 0.0 where it is smaller than a double can say."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def gwas_rows(variants: Variants, *, z: npt.NDArray[np.float64], n_people: int) -> list[tuple[int, int, str]]:
    """(chromosome, position, line) of each variant of the GWAS; effects per allele, unit variance."""
    rows = []
    for k, rsid in enumerate(variants.rsid):
        if not variants.in_gwas[k]:
            continue
        flipped = variants.sign_gwas[k] < 0
        alleles = (variants.effect[k], variants.other[k])
        effect, other = alleles[::-1] if flipped else alleles
        frequency = 1 - variants.frequency[k] if flipped else variants.frequency[k]
        own = float(z[k]) * float(variants.sign_gwas[k])
        error = 1.0 / math.sqrt(2 * frequency * (1 - frequency) * (n_people + own**2))
        cells = (
            variants.chromosome,
            str(variants.position[k]),
            effect,
            other,
            f"{own * error:.7g}",
            f"{error:.7g}",
            f"{frequency:.4f}",
            f"{p_of(own):.4g}",
            rsid,
            str(n_people),
        )
        rows.append((int(variants.chromosome), int(variants.position[k]), "\t".join(cells)))
    return rows


def odd_rows(
    rows: list[tuple[int, int, str]], *, n_people: int, rng: np.random.Generator
) -> list[tuple[int, int, str]]:
    """Rows that a reader must set aside: an indel, a missing value, two rows of one name."""
    odd = []
    for number in range(N_ODD_ROWS):
        chromosome, position, _ = rows[int(rng.integers(len(rows)))]
        place = f"{chromosome}\t{position + 1}"
        tail = f"0.3100\t0.62\trs8{number}"
        odd.append((chromosome, position + 1, f"{place}\tAT\tA\t0.001\t0.002\t{tail}1\t{n_people}"))
        odd.append(
            (chromosome, position + 1, f"{place}\tA\tG\t#NA\t#NA\t0.3100\t#NA\trs8{number}2\t{n_people}")
        )
        odd.append((chromosome, position + 1, f"{place}\tA\tG\t0.001\t0.002\t{tail}3\t{n_people}"))
        odd.append((chromosome, position + 1, f"{place}\tA\tC\t-0.001\t0.002\t{tail}3\t{n_people}"))
    return odd


def eqtl_rows(
    variants: Variants, *, genes: pd.DataFrame, z: npt.NDArray[np.float64], n_people: int
) -> list[tuple[float, str]]:
    """(p, line without the two corrected p-values) of every variant with every gene of the locus."""
    rows = []
    for column, gene in enumerate(genes.itertuples()):
        for k, rsid in enumerate(variants.rsid):
            alleles = (variants.effect[k], variants.other[k])
            assessed, other = alleles[::-1] if variants.sign_eqtl[k] < 0 else alleles
            if variants.other_strand[k]:
                assessed, other = assessed.translate(COMPLEMENT), other.translate(COMPLEMENT)
            own = float(z[k, column]) * float(variants.sign_eqtl[k])
            cells = (
                rsid,
                variants.chromosome,
                str(variants.position[k]),
                assessed,
                other,
                f"{own:.4f}",
                str(gene.ensembl_id),
                str(gene.gene),
                str(gene.chromosome),
                str(gene.position),
                "37",
                str(n_people),
            )
            rows.append((p_of(own), "\t".join(cells)))
    return rows


def eqtl_text(rows: list[tuple[float, str]]) -> str:
    """The table sorted by p, with false discovery rates (Benjamini-Hochberg) and Bonferroni p-values."""
    rows = sorted(rows)
    n = len(rows)
    p = np.array([value for value, _ in rows])
    fdr = np.minimum(1.0, np.minimum.accumulate((p * n / np.arange(1, n + 1))[::-1])[::-1])
    lines = ["\t".join(EQTL_HEADER)]
    for (value, line), rate in zip(rows, fdr, strict=True):
        shown = f"{value:.4E}" if value > 1e-307 else SMALLEST_EQTL_P
        lines.append(f"{shown}\t{line}\t{rate:.4g}\t{min(1.0, value * n):.4E}")
    return "\n".join(lines) + "\n"


def write_ld(folder: Path, *, name: str, variants: Variants, ld: npt.NDArray[np.float64]) -> None:
    """Write one square matrix and the list of its variants."""
    lines = (" ".join(f"{value:.6g}" for value in row) for row in ld)
    write_gzip(folder / f"{name}.ld.gz", "\n".join(lines) + "\n")
    rows = ["rsid\tchromosome\tposition\teffect_allele\tother_allele\tfrequency"]
    rows += [
        f"{rsid}\t{variants.chromosome}\t{variants.position[k]}\t{variants.effect[k]}\t{variants.other[k]}"
        f"\t{variants.frequency[k]:.4f}"
        for k, rsid in enumerate(variants.rsid)
    ]
    (folder / f"{name}.snps.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def variant_facts(
    name: str, *, variants: Variants, genes: pd.DataFrame, locus: Locus
) -> Iterable[dict[str, Any]]:
    """Planted facts: one row per variant and gene it regulates, one with gene "" for all other variants."""
    symbols, acting = list(genes["gene"]), dict(zip(genes["gene"], genes["alpha"], strict=True))
    facts = []
    for k, rsid in enumerate(variants.rsid):
        own = [(symbols[j], float(locus.joint[k, j])) for j in np.flatnonzero(locus.joint[k])] or [("", 0.0)]
        for gene, effect in own:
            facts.append(
                {
                    "id": rsid,
                    "locus": name,
                    "chromosome": variants.chromosome,
                    "position": int(variants.position[k]),
                    "gene": gene,
                    "joint_effect": effect,
                    "alpha": float(acting.get(gene, 0.0)),
                    "direct_effect": float(locus.direct[k]),
                    "pleiotropic": len(own) > 1,
                    "flipped_gwas": bool(variants.sign_gwas[k] < 0),
                    "flipped_eqtl": bool(variants.sign_eqtl[k] < 0),
                    "other_strand_eqtl": bool(variants.other_strand[k]),
                    "in_gwas": bool(variants.in_gwas[k]),
                }
            )
    return facts


def meta_yaml(cohort: Cohort, *, sizes: SimulatedSummaryStatistics) -> str:
    """The metadata file beside a GWAS-SSF file."""
    return (
        "# Study meta-data\n"
        f"trait_description: [{cohort.name}]\n"
        "date_metadata_last_modified: 2025-01-01\n"
        "genome_assembly: GRCh38\n"
        "coordinate_system: 1-based\n"
        f"data_file_name: {cohort.name}.h.tsv.gz\n"
        "file_type: GWAS-SSF v1.0\n"
        "is_harmonised: true\n"
        "is_sorted: true\n"
        "samples:\n"
        "  - sample_ancestry: [European]\n"
        f"    sample_size: {sizes.n_gwas}\n"
        f"ld_reference_panel_size: {REFERENCE_PANEL}\n"
    )
