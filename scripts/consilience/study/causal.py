"""The section `causal` of the configuration: one class per step."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from consilience.study.section import Count, Name, Section, Share

PValue = Annotated[float, Field(gt=0, le=1)]


class InstrumentsSection(Section):
    """From summary statistics to instruments."""

    p: PValue = 1.83e-5
    """a variant is an instrument of a gene when its eQTL p-value is at most this (eQTLGen: FDR 5 %)"""
    fdr: Annotated[float, Field(ge=0, le=1)] = 0.0
    """take this false discovery rate over all eQTL pairs that were kept instead of p (0: p)"""
    cis_kb: Annotated[float, Field(gt=0)] = 1_000.0
    """variants further than this from the gene are no instruments of it (genes without a place: all)"""
    r2: Annotated[float, Field(gt=0, le=1)] = 0.1
    """of two variants with more LD than this the weaker instrument is dropped"""
    method: Literal["prune", "clump"] = "prune"
    """prune: for all genes of a locus together, as TWMR does; clump: by p-values of the focal gene alone"""
    max_genes: Count = 20
    """other genes of the same variants that enter with a focal gene, strongest first"""
    gene_r2: Annotated[float, Field(gt=0, le=1)] = 0.97
    """a gene whose effects agree with the focal gene's more than this (squared correlation) is left out"""
    drop_mhc: bool = True
    """leave out the MHC (chromosome 6, 25 to 34 Mb), whose LD reaches too far"""
    min_f: Annotated[float, Field(ge=0)] = 10.0
    """a gene whose mean F statistic is smaller is flagged as weak"""
    steiger: bool = True
    """drop variants that explain significantly more of the trait than of expression"""
    palindromic: Literal["frequency", "drop", "keep"] = "frequency"
    """A/T and C/G variants; frequency: kept where frequencies, or the strand of all others, settle it"""


class MrSection(Section):
    """Mendelian randomisation of one gene at a time."""

    methods: Annotated[list[str], Field(min_length=1)] = [
        "wald_ratio", "ivw_fixed", "ivw_random", "ivw_ld", "egger", "egger_ld", "weighted_median",
        "weighted_mode",
    ]  # fmt: skip
    """estimators (files of causal/mr/estimators)"""
    bootstraps: Annotated[int, Field(ge=100)] = 1_000
    """draws behind the standard errors of medians and modes"""


class DenoisingSection(Section):
    """The network that knows counts, pathways, batches and donors, but no disease."""

    enabled: bool = True
    """learn latent confounders and denoised expression"""
    genes: Annotated[int, Field(ge=0)] = 5_000
    """the most variable genes it learns from (0: all)"""
    latent: Annotated[int, Field(ge=2, le=256)] = 16
    """latent numbers of a cell"""
    likelihood: Literal["nb", "zinb"] = "nb"
    """negative binomial, or with more zeros than that"""
    pathways: Literal["learned", "fixed", "none"] = "learned"
    """the first layer: weights from genes to their pathways, or a plain layer"""
    folds: Annotated[int, Field(ge=1, le=20)] = 3
    """groups of donors; a cell is encoded by the network that never saw its donor (1: one network for all)"""
    effort: Annotated[float, Field(gt=0, le=100)] = 1.0
    """training steps, as a share of the usual ones"""


class DmlSection(Section):
    """Double machine learning: the effect of each gene's expression on disease, in each cell type."""

    cohorts: list[Name] = []
    """only these single-cell cohorts (empty: all of the role study or both)"""
    score: Literal["partialling_out", "iv_type", "irm"] = "partialling_out"
    """partialling_out, iv_type: effect of expression; irm: of expressing the gene above its median"""
    learner: str = "ridge"
    """nuisance learner behind the main table (files of causal/dml/learners)"""
    others: list[str] = ["lasso", "mlp"]
    """further learners, for `top` genes of each cell type"""
    top: Annotated[int, Field(ge=0)] = 50
    """genes per cell type that are gone over with the other learners, scores and pseudobulks"""
    expression: Literal["observed", "denoised"] = "observed"
    """the treatment: log-normalised counts, or what the network makes of them"""
    latents: bool = True
    """give the latent numbers of a cell to the nuisances as confounders"""
    covariates: list[str] = ["library_size", "mitochondrial_share", "batch", "sex", "age"]
    """columns of cells that confound; those a cohort has not are left out and named"""
    folds: Annotated[int, Field(ge=2, le=50)] = 5
    """groups of donors for cross-fitting"""
    repeats: Count = 5
    """random divisions into folds, gathered by their median"""
    inference: Literal["t", "wild_bootstrap"] = "t"
    """p-values with few donors: t with the donors' degrees of freedom, or the wild cluster bootstrap"""
    min_cells: Count = 10
    """a donor with fewer cells of a type does not count for it"""
    min_donors: Annotated[int, Field(ge=2)] = 3
    """a cell type with fewer donors in an arm (or pairs of samples, never under 3) is not estimated"""
    min_expressed: Share = 0.01
    """a gene seen in a smaller share of the cells of a type is not estimated there"""


class ConcordanceSection(Section):
    """Whether gene effects from single cells agree with those from population genetics."""

    cell_types: list[str] = []
    """only these (empty: all)"""
    population: Literal["twmr", "ivw_ld"] = "twmr"
    """which estimate of the population side is compared"""
    permutations: Annotated[int, Field(ge=99)] = 2_000
    """permutations of gene labels within strata of expression and LD blocks"""
    strata: Annotated[int, Field(ge=1, le=50)] = 5
    """strata of expression"""
    block_kb: Annotated[float, Field(gt=0)] = 1_000.0
    """genes nearer than this to each other are one block and are moved together"""
    top: list[Count] = [10, 20, 50]
    """sizes of the lists of strongest genes whose overlap is counted"""
    min_genes: Annotated[int, Field(ge=5)] = 20
    """a cell type with fewer shared genes is not judged"""
    correction: Literal["bh", "by"] = "bh"
    """false discovery rate over cell types: Benjamini-Hochberg, or Benjamini-Yekutieli (any dependence)"""
    pathway_permutations: Annotated[int, Field(ge=0)] = 1_000
    """permutations behind gene set enrichment on both sides (0: none)"""


class CausalSection(Section):
    """Causal evidence: gene effects from population genetics and from single cells; whether they agree."""

    enabled: bool = True
    """run this stage (needs a summary_statistics or a single_cell cohort of the role study or both)"""
    pairs: list[Annotated[list[Name], Field(min_length=2, max_length=2)]] = []
    """pairs [summary statistics, single cells] that are compared (empty: each with each)"""
    controls: list[Name] = []
    """summary statistics of traits that have nothing to do with the disease: negative controls"""
    instruments: InstrumentsSection = InstrumentsSection()
    """from summary statistics to instruments"""
    mr: MrSection = MrSection()
    """one gene at a time"""
    denoising: DenoisingSection = DenoisingSection()
    """latent confounders and denoised expression"""
    dml: DmlSection = DmlSection()
    """gene effects from single cells"""
    concordance: ConcordanceSection = ConcordanceSection()
    """whether both agree"""
