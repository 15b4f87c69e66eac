"""The typed configuration: one class per section, each key with its meaning, default and bounds.

Configuration keys are defined here and, for the causal stage, in causal.py, and nowhere else: from them
`config/config.yaml`, `config/schema.json` and the key table of `config/README.md` are generated.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from consilience.study.causal import CausalSection
from consilience.study.section import Count, Name, Section, Share


class StudySection(Section):
    """The study: its name is the folder of its results."""

    name: Name = "demo"
    """results go to results/<name>/"""
    title: str = "A study whose truth is known"
    """headline of the report"""
    cohorts: str = "config/cohorts.tsv"
    """the cohort sheet, relative to the folder in which snakemake runs"""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """every random number of the study derives from it"""
    min_samples_per_arm: Count = 3
    """a bulk or single-cell cohort with fewer patients in an arm is refused"""


class FetchSection(Section):
    """How raw files get to results/<study>/raw/."""

    local_files: Literal["copy", "link"] = "copy"
    """copy local files, or link to them (for very large ones; they must then stay where they are)"""
    cache: str = "downloads"
    """folder of downloaded files, shared by all studies that name it"""
    offline: bool = False
    """use only what is in the cache, and list exactly what is missing"""
    mirrors: dict[str, str] = {}
    """other servers, by the beginning of the addresses they stand for: {"https://api.gdc.cancer.gov/": "https://mirror.example/gdc/"}"""
    per_host: Annotated[int, Field(ge=1, le=16)] = 3
    """connections to one host at a time, over all jobs that share the cache"""
    attempts: Annotated[int, Field(ge=1, le=50)] = 6
    """tries without any progress before a download is given up"""
    stall_seconds: Annotated[float, Field(gt=0)] = 60.0
    """a connection that brings nothing for this long is given up and tried again"""
    gdc_batch: Annotated[int, Field(ge=1, le=500)] = 50
    """files asked of the GDC in one request"""
    gdc_token_file: str = ""
    """file (mode 0600) with a GDC token for controlled data; where empty, the variable GDC_TOKEN"""
    max_unpacked_gigabytes: Annotated[float, Field(gt=0)] = 200.0
    """an archive that would unpack to more is refused"""
    max_archive_members: Count = 100_000
    """an archive with more members is refused"""


class BulkQuality(Section):
    """Which bulk samples are kept. MAD: median absolute deviation, scaled to a normal sd."""

    library_size_mads: Annotated[float, Field(gt=0)] = 4.0
    """remove samples whose log library size is this many MADs from the median"""
    detected_genes_mads: Annotated[float, Field(gt=0)] = 4.0
    """remove samples whose number of detected genes is this many MADs below the median"""
    outlier_mads: Annotated[float, Field(gt=0)] = 5.0
    """remove samples whose robust PCA distance is this many MADs above the median"""
    min_count: Count = 10
    """a gene is kept when it has this many counts ..."""
    min_samples: Share = 0.1
    """... in at least this share of the samples"""
    remove_sex_mismatch: bool = False
    """remove (instead of only reporting) samples whose sex genes contradict their annotated sex"""


class SingleCellQuality(Section):
    """Which cells are kept. All MAD thresholds are taken within each sample."""

    counts_mads: Annotated[float, Field(gt=0)] = 5.0
    """remove cells whose log total counts are this many MADs from the median"""
    genes_mads: Annotated[float, Field(gt=0)] = 5.0
    """remove cells whose log number of genes is this many MADs from the median"""
    mitochondrial_mads: Annotated[float, Field(gt=0)] = 5.0
    """remove cells whose mitochondrial share is this many MADs above the median ..."""
    max_mitochondrial_share: Share = 0.2
    """... or above this share in any case"""
    min_genes: Count = 100
    """remove cells with fewer genes in any case (capped at a tenth of the genes measured)"""
    doublet_mads: Annotated[float, Field(gt=0)] = 4.0
    """remove cells whose doublet score is this many MADs above the median"""
    min_cells_per_gene: Count = 10
    """remove genes seen in fewer cells"""


class QualitySection(Section):
    """Quality control."""

    bulk: BulkQuality = BulkQuality()
    """bulk samples"""
    single_cell: SingleCellQuality = SingleCellQuality()
    """cells of single-cell and perturbation cohorts"""


class NormalisationSection(Section):
    """Normalisation (scanpy semantics)."""

    target_sum: Annotated[float, Field(gt=0)] = 10_000.0
    """counts per cell after library-size normalisation, before log1p"""
    highly_variable_genes: Count = 2_000
    """how many highly variable genes are marked"""
    stream_above_cells: Annotated[int, Field(ge=0)] = 50_000
    """above this many cells X is not written: counts and a factor per cell are, and memory stays flat"""


class CellTypesSection(Section):
    """Cell types for single-cell cohorts whose sheet row names no column of them."""

    markers: str = ""
    """table of marker genes: immune or synovium (shipped), the path of one, or empty for no labels"""


AssociationColumn = Literal[
    "rsid", "variant", "chromosome", "position", "effect_allele", "other_allele", "ref", "alt",
    "beta", "odds_ratio", "standard_error", "ci_lower", "ci_upper", "z", "p_value", "neg_log10_p",
    "effect_allele_frequency", "n", "n_cases", "n_controls", "alleles_counted", "minor_count",
    "minor_frequency", "info", "ensembl_id", "gene", "gene_chromosome", "gene_position",
]  # fmt: skip
"""Our names of the columns of a GWAS or eQTL table."""
OfOneCohort = Literal["build", "n_gwas", "n_eqtl", "eqtl_p", "ld_window_kb", "ld_p", "ld_max_variants"]
FilePattern = Annotated[str, Field(pattern="[^./]")]
TheirName = Annotated[str, Field(min_length=1)]


class SummaryStatisticsSection(Section):
    """How GWAS, eQTL and LD files are read where their columns or build do not say it."""

    columns: dict[FilePattern, dict[AssociationColumn, TheirName]] = {}
    """names of columns by file name pattern, ours: theirs: {"*.gwas.txt.gz": {rsid: MarkerName}}"""
    build: Literal["", "GRCh37", "GRCh38"] = ""
    """genome build of the positions, where no file states it"""
    n_gwas: Annotated[float, Field(ge=0)] = 0.0
    """people in the GWAS, where neither its rows nor its metadata say it (0: they must)"""
    n_eqtl: Annotated[float, Field(ge=0)] = 0.0
    """people in the eQTL study, where neither its rows nor a table of them by gene say it (0: they must)"""
    eqtl_p: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """eQTL rows with a larger p-value are left out (1 keeps all; a full cis-eQTL file has 10^8 rows)"""
    ld_window_kb: Annotated[float, Field(gt=0)] = 1000.0
    """LD from a PLINK panel: variants further apart than this from their neighbours are in different loci"""
    ld_p: Annotated[float, Field(gt=0, le=1)] = 1.83e-5
    """LD from a PLINK panel: only for variants that are an eQTL of some gene at this p-value"""
    ld_max_variants: Annotated[int, Field(ge=2)] = 2_000
    """LD from a PLINK panel: a locus of more variants is split at its widest gaps"""
    cohorts: dict[str, dict[OfOneCohort, str | int | float]] = {}
    """any of these keys but columns for single cohorts, by name: {height: {n_gwas: 253288}}"""


class PathwaysSection(Section):
    """The pathway mask."""

    gene_sets: Annotated[list[str], Field(min_length=1)] = ["hallmark", "reactome"]
    """shipped collections (hallmark, reactome) or paths of GMT files"""
    min_genes: Count = 10
    """smallest pathway, counted in measured genes"""
    max_genes: Count = 500
    """largest pathway, counted in measured genes"""
    min_coverage: Share = 0.3
    """a pathway is dropped when less than this share of its genes is measured"""


class RnaganSection(Section):
    """RNAGAN: one pathway-informed model, for diagnosis, markers, synthetic samples and patient vectors."""

    enabled: bool = True
    """run this stage"""
    preset: Literal["default", "published"] = "default"
    """default, or published: as the authors describe it (their networks, losses and training)"""
    pathways: Literal["learned", "fixed", "none"] = "learned"
    """weights from genes to pathways: learned, fixed, or no pathways at all"""
    genes: Annotated[int, Field(ge=0)] = 5_000
    """the most variable genes a model takes, chosen without looking at labels (0: all that are measured)"""
    effort: Annotated[float, Field(ge=0, le=100)] = 1.0
    """training steps, as a share of those of the preset (0: only what is known in closed form)"""
    memory_mb: Annotated[int, Field(ge=64)] = 2_000
    """memory for samples and cells while pretraining; larger cohorts take turns"""
    references: Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=1)] = [5, 10, 20, 30]
    """numbers of reference patients per kind with which diagnosis is judged"""
    draws: Annotated[int, Field(ge=2, le=10_000)] = 50
    """draws of references behind each probability and its interval"""
    splits: Annotated[int, Field(ge=2, le=1000)] = 20
    """random splits into patients that are learned from and patients that are diagnosed"""
    baselines: list[str] = ["logistic_ridge", "elastic_net", "nearest_centroid", "random_forest", "pca_knn"]
    """simple classifiers that are given the same references (files of learning/baselines)"""
    transfer: list[Annotated[list[Name], Field(min_length=2, max_length=2)]] = []
    """pairs [from, to] of cohorts: learn in the one, diagnose the other; both must mean the same by case"""
    permutations: Annotated[int, Field(ge=0, le=100_000)] = 200
    """permutations of labels behind the error rates of markers (0: none)"""
    resamples: Annotated[int, Field(ge=0, le=1000)] = 10
    """pairs of halves of the patients behind the stability of markers"""
    fold: Annotated[float, Field(ge=0, le=1000)] = 2.0
    """synthetic samples for each real one (0: none)"""
    privacy: Literal["none", "balanced", "strict"] = "none"
    """none: refused for copies of patients alone; balanced, strict: also where membership can be guessed"""


Limit = Literal[
    "exact_copies", "near_share", "closest_share", "membership_auc", "small_membership_auc", "small_n"
]
"""A figure of privacy that a release may not exceed; `small_…` holds for up to `small_n` patients."""


class AugmentSection(Section):
    """Augmentation: generators compared, one chosen, and synthetic patients that pass a check of privacy."""

    enabled: bool = True
    """run this stage (bulk cohorts of the role study or both)"""
    cohorts: list[Name] = []
    """only these cohorts (empty: all)"""
    generator: str = "auto"
    """where synthetic samples come from; auto: the best of those compared within the limits of privacy"""
    generators: Annotated[list[str], Field(min_length=1)] = [
        "private_factors", "vae", "shrunk_gaussian", "pca_gaussian", "pca_mixture", "copula", "smote",
        "bootstrap_noise", "published_vae",
    ]  # fmt: skip
    """generators that are compared (files of augment/generators); published_gan can take hours"""
    temperature: Literal["auto"] | Annotated[float, Field(gt=0, le=10)] = "auto"
    """spread of the draws, 1 as learned; auto: chosen among the training patients"""
    temperatures: list[Annotated[float, Field(gt=0, le=10)]] = [0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0]
    """temperatures that are scanned (empty: none)"""
    privacy: Literal["none", "balanced", "strict"] = "balanced"
    """what is refused; none: copies of patients; balanced: guessed membership too; strict: doubt too"""
    limits: dict[Limit, Annotated[float, Field(ge=0)]] = {}
    """limits of a release in place of those of its level of privacy: {membership_auc: 0.65}"""
    shadows: Annotated[int, Field(ge=0, le=200)] = 8
    """refits to halves of the patients behind the shadow attack (0: none, else 6 or more)"""
    fold: Annotated[float, Field(ge=0, le=1000)] = 10.0
    """synthetic samples for each real one (0: none)"""
    splits: Annotated[int, Field(ge=1, le=1000)] = 5
    """random splits into patients that generators learn from and patients they are held against"""
    genes: Annotated[int, Field(ge=0)] = 5_000
    """the most variable genes with which generators are compared (0: all); what is given out has all genes"""
    effort: Annotated[float, Field(gt=0, le=100)] = 1.0
    """training steps of neural generators, as a share of their own"""
    sizes: list[Annotated[int, Field(ge=1)]] = [10, 20, 40]
    """patients per class in the learning curves of usefulness, beside all of them"""
    classifiers: Annotated[list[str], Field(min_length=1)] = ["logistic_ridge", "random_forest"]
    """classifiers by which usefulness is judged (files of learning/baselines)"""
    runs: Annotated[int, Field(ge=0, le=1000)] = 5
    """independent runs behind the figures of robustness (0: none)"""
    epsilon: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """differential privacy of the training of generators that can have it (vae), as epsilon (0: without)"""


class SimulatedBulk(Section):
    """Size of a simulated bulk cohort."""

    n_case: Count = 30
    """patients with the disease"""
    n_control: Count = 30
    """patients without it"""
    n_outliers: Annotated[int, Field(ge=0)] = 2
    """samples planted as outliers (failed libraries, swapped tissue)"""


class SimulatedCells(Section):
    """Size of a simulated single-cell case-control cohort."""

    n_case: Count = 6
    """donors with the disease"""
    n_control: Count = 6
    """donors without it"""
    cells_per_donor: Count = 250
    """cells per donor (on average)"""
    doublet_share: Share = 0.05
    """share of barcodes that hold two cells"""


class SimulatedPerturbation(Section):
    """Size of a simulated Perturb-seq cohort."""

    cell_lines: Count = 4
    """cell lines"""
    n_perturbations: Count = 24
    """perturbed genes, the same in every line"""
    cells_per_perturbation: Count = 15
    """cells per perturbation and line; controls get ten times as many"""


class SimulatedSummaryStatistics(Section):
    """Size of simulated GWAS and eQTL summary statistics."""

    n_gwas: Count = 240_000
    """people in the GWAS"""
    n_eqtl: Count = 32_000
    """people in the eQTL study"""
    n_loci: Count = 120
    """loci: neighbouring genes that share variants"""
    snps_per_locus: Count = 30
    """variants per locus"""
    unrelated: bool = False
    """another trait: other genes act on it, drawn anew (a negative control)"""


class SimulationSection(Section):
    """The planted-truth study; used by cohorts whose source is 'simulated'."""

    n_genes: Annotated[int, Field(ge=200, le=20_000)] = 2_000
    """genes (real symbols; those in Hallmark and Reactome first)"""
    n_causal_genes: Count = 40
    """genes that cause the disease"""
    n_causal_pathways: Count = 4
    """pathways from which the causal genes come"""
    effect: Annotated[float, Field(ge=0)] = 1.0
    """size of all planted disease effects; 0 gives the null study used for calibration"""
    bulk: SimulatedBulk = SimulatedBulk()
    """bulk cohorts"""
    single_cell: SimulatedCells = SimulatedCells()
    """single-cell cohorts"""
    perturbation: SimulatedPerturbation = SimulatedPerturbation()
    """perturbation cohorts"""
    summary_statistics: SimulatedSummaryStatistics = SimulatedSummaryStatistics()
    """GWAS + eQTL"""
    cohorts: dict[str, dict[str, bool | int | float]] = {}
    """sizes of single cohorts, by name, where they differ from the above: {rare: {n_case: 8}}"""


class ReportSection(Section):
    """The report."""

    pseudonyms: bool = False
    """show S001, S002 … instead of sample names"""
    max_megabytes: Annotated[float, Field(gt=0)] = 10.0
    """the page is refused when it grows beyond this"""


class ContainersSection(Section):
    """Images used by `--sdm apptainer`: a .sif path or a docker:// address with digest."""

    fetch: str = "containers/fetch.sif"
    """downloads"""
    analysis: str = "containers/analysis.sif"
    """everything but training"""
    torch: str = "containers/torch.sif"
    """training (GPU)"""


class Config(Section):
    """The whole configuration of a study."""

    study: StudySection = StudySection()
    fetch: FetchSection = FetchSection()
    quality: QualitySection = QualitySection()
    normalisation: NormalisationSection = NormalisationSection()
    cell_types: CellTypesSection = CellTypesSection()
    summary_statistics: SummaryStatisticsSection = SummaryStatisticsSection()
    pathways: PathwaysSection = PathwaysSection()
    rnagan: RnaganSection = RnaganSection()
    augment: AugmentSection = AugmentSection()
    causal: CausalSection = CausalSection()
    simulation: SimulationSection = SimulationSection()
    report: ReportSection = ReportSection()
    containers: ContainersSection = ContainersSection()
