"""The methods text of the causal stage, from its settings, what ran, and the registries of its methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consilience.report.citations import Citation, MethodNote
from consilience.report.sections import _causal_literature as literature
from consilience.report.words import count, listed
from consilience.study.causal import CausalSection, InstrumentsSection

SCORE_WORDS = {
    "partialling_out": "partially linear models, partialling out",
    "iv_type": "partially linear models, IV type",
    "irm": "interactive models (augmented inverse propensity weighting; expression above or below its "
    "median)",
}


def _cited(keys: Sequence[str], registry: Mapping[str, literature.Registered]) -> tuple[str, list[Citation]]:
    """Methods of a registry in words, each with its citation; keys that it does not know are left out."""
    found = [(registry[key], literature.citation_of(registry[key])) for key in keys if key in registry]
    words = listed(f"{_small(one.title)}{f' [{entry.key}]' if entry else ''}" for one, entry in found)
    return words, list(dict.fromkeys(entry for _, entry in found if entry is not None))


def _small(title: str) -> str:
    """A title inside a sentence: names and abbreviations keep their capitals."""
    first = title.split("-")[0].split(" ")[0]
    return title if first[1:2].isupper() or first in {"Wald"} else title[:1].lower() + title[1:]


def population(settings: CausalSection, methods: Sequence[str]) -> list[MethodNote]:
    """Instruments, TWMR and the one-gene methods that ran."""
    notes = [_instruments(settings.instruments), _twmr()]
    if methods:
        from consilience.causal.mr.estimators import estimators

        words, cited = _cited(methods, estimators())
        notes.append(MethodNote(
            "mendelian_randomisation", "Mendelian randomisation, one gene at a time",
            f"Each gene was also gone over alone, by {words or 'no method'}; heterogeneity by Cochran's Q "
            f"[Bowden2017], "
            "the direction of each gene by Steiger's test [Hemani2017], and false discovery rates over the "
            "genes of "
            "each method [Benjamini1995].",
            tuple(dict.fromkeys((*cited, literature.PLEIOTROPY, literature.STEIGER,
                                 literature.FALSE_DISCOVERIES))),
        ))  # fmt: skip
    return notes


def _instruments(settings: InstrumentsSection) -> MethodNote:
    by = (
        f"p at most {settings.p:g}"
        if not settings.fdr
        else f"a false discovery rate of at most {settings.fdr:g}"
    )
    how = ("pruned for all genes of a locus together" if settings.method == "prune"
           else "clumped by the p-values of the gene")  # fmt: skip
    palindromes = {
        "frequency": "were kept where allele frequencies settle the strand", "drop": "were left out",
        "keep": "were kept",
    }[settings.palindromic]  # fmt: skip
    more = ["the MHC (chromosome 6, 25 to 34 Mb) was left out"] if settings.drop_mhc else []
    if settings.steiger:
        more.append("variants that explain significantly more of the trait than of expression were left out "
                    "[Hemani2017]")  # fmt: skip
    return MethodNote(
        "instruments", "instruments",
        f"Alleles of GWAS, eQTLs and LD were brought to one coding; palindromic variants {palindromes}. "
        f"Instruments of a "
        f"gene are variants within {settings.cis_kb:,.0f} kb with {by} for its expression, {how} to r² of "
        f"at most "
        f"{settings.r2:g}; up to {settings.max_genes} other genes that they regulate entered with it, "
        f"without those whose "
        f"effects agree with the gene's own more than r² {settings.gene_r2:g}"
        f"{'; ' + '; '.join(more) if more else ''}. Genes with a mean F statistic below {settings.min_f:g} "
        f"were flagged "
        "as weak.",
        (literature.STEIGER,) if settings.steiger else (),
    )  # fmt: skip


def _twmr() -> MethodNote:
    from consilience.causal.twmr import methods as registry

    known = registry()
    cited = [entry for one in known.values() if (entry := literature.citation_of(one)) is not None]
    default = next((one for one in known.values() if "alpha" in one.columns), None)
    how = "without a ridge"
    if default is not None and default.key == "fuller":
        how = (
            "by limited-information maximum likelihood with Fuller's correction [Fuller1977], without a ridge"
        )
        cited.append(literature.FULLER)
    return MethodNote(
        "twmr", "TWMR",
        "Effects of expression on the trait were estimated for each gene together with the other genes of "
        "its variants, "
        f"as in transcriptome-wide Mendelian randomisation [Porcu2019], {how}; the published estimator, "
        f"with its ridge "
        "and standard error, was run beside it. Heterogeneity of variants was tested with LD, outliers "
        "were sought, "
        "conditional F statistics [Sanderson2016] and condition numbers computed; false discovery rates "
        "are over genes "
        "[Benjamini1995].",
        tuple(dict.fromkeys((literature.TWMR, *cited, literature.CONDITIONAL_F,
                             literature.FALSE_DISCOVERIES))),
    )  # fmt: skip


def single_cells(settings: CausalSection, variants: Sequence[str], *, denoised: bool) -> list[MethodNote]:
    """Denoising and double machine learning."""
    from consilience.causal.dml.learners import learners

    dml = settings.dml
    notes = [_denoising(settings)] if denoised else []
    main, cited = _cited([dml.learner], learners())
    parts = [part for key in variants for part in key.split(":")]
    others, more = _cited([key for key in dict.fromkeys(parts) if key != dml.learner], learners())
    bootstrap = dml.inference == "wild_bootstrap"
    errors = ("P-values are of the wild cluster bootstrap over donors [Cameron2008]" if bootstrap else
              "P-values are of t distributions whose standard error and degrees of freedom come from the "
              "design of the "
              "donors [Imbens2016]")  # fmt: skip
    treatment = ("the log-normalised expression of a gene" if dml.expression == "observed"
                 else "the denoised expression of a gene")  # fmt: skip
    latents = ", and the latent numbers of each cell," if dml.latents and denoised else ""
    covariates = listed(name.replace("_", " ") for name in dml.covariates) or "no columns of cells"
    also = (
        f" The {count(dml.top, 'strongest gene')} of each cell type {'was' if dml.top == 1 else 'were'} "
        f"gone over with"
        f" other scores and pseudobulks [Squair2021]{f', and with {others}' if others else ''}."
        if variants
        else ""
    )
    notes.append(MethodNote(
        "dml", "double machine learning",
        f"The effect of {treatment} on disease was estimated in each cell type by double machine learning "
        f"[Chernozhukov2018] ({SCORE_WORDS.get(dml.score, dml.score)}), with nuisances by "
        f"{main or dml.learner}. "
        f"Confounders: {covariates}{latents} where a cohort has them. Donors, not cells, are the unit "
        f"[Squair2021]: "
        f"nuisances were cross-fitted over {dml.folds} folds of donors, {count(dml.repeats, 'time')}, "
        f"gathered by the "
        f"median; standard errors are clustered by donor [Chiang2022]. {errors}; false discovery rates are "
        f"over the "
        f"genes of a cell type [Benjamini1995]. Cell types with fewer than {dml.min_donors} donors of "
        f"{dml.min_cells} "
        f"cells in an arm were left out. Robustness values [Cinelli2020] say how strong a hidden "
        f"confounder would have "
        f"to be.{also}",
        tuple(dict.fromkeys((literature.DML, *cited, *more, literature.PSEUDOBULK, literature.CLUSTERED_DML,
                             literature.WILD_BOOTSTRAP if bootstrap else literature.FEW_CLUSTERS,
                             literature.SENSITIVITY, literature.FALSE_DISCOVERIES))),
    ))  # fmt: skip
    return notes


def _denoising(settings: CausalSection) -> MethodNote:
    section = settings.denoising
    likelihood = "negative binomial" if section.likelihood == "nb" else "zero-inflated negative binomial"
    first = {
        "learned": "whose first layer joins genes to their pathways with learned weights",
        "fixed": "whose first layer sums genes within their pathways", "none": "of plain layers",
    }[section.pathways]  # fmt: skip
    folds = (f"; donors were put into {section.folds} groups, and each cell was encoded by a network that "
             f"had not seen "
             "its donor" if section.folds > 1 else "")  # fmt: skip
    genes = f"the {section.genes:,} most variable genes" if section.genes else "all genes"
    return MethodNote(
        "denoising", "denoising",
        f"Latent confounders ({section.latent} numbers a cell) come from a variational autoencoder of "
        f"counts of {genes} "
        f"with {likelihood} likelihood [Lopez2018], {first}, which is told batches and donors and never "
        f"disease{folds} "
        "(PyTorch {torch} [Paszke2019]).",
        (literature.COUNT_NETWORK, literature.TORCH), ("torch",),
    )  # fmt: skip


def agreement(settings: CausalSection, *, pathways: bool, controls: bool) -> list[MethodNote]:
    """How both sides were compared."""
    section = settings.concordance
    side = "TWMR" if section.population == "twmr" else "inverse-variance weighting with LD"
    rate = "[Benjamini1995]" if section.correction == "bh" else "under any dependence [Benjamini2001]"
    said = [
        f"Gene effects from population genetics ({side}) and from single cells were compared as z within "
        f"each cell type "
        f"with at least {section.min_genes} shared genes, by Pearson's correlation, also corrected for the "
        f"errors of "
        "both sides [Spearman1904], by signs, by overlap of the strongest genes, and by a line with errors "
        "in both "
        "variables [York2004]",
        f"chance was judged by {section.permutations:,} permutations of genes within {section.strata} "
        f"strata of "
        f"expression, genes nearer than {section.block_kb:,.0f} kb to each other moved together, and by "
        f"the parts that "
        "single donors have in the errors of all genes together (where they are unknown, by leaving out "
        "one donor at a time [Efron1981]), the larger p-value being taken",
        f"false discovery rates are over cell types {rate}",
        "the comparison was repeated without each chromosome and without each donor",
    ]  # fmt: skip
    cited = [literature.ATTENUATION, literature.DEMING, literature.JACKKNIFE_VARIANCE,
             literature.FALSE_DISCOVERIES if section.correction == "bh"
             else literature.ANY_DEPENDENCE]  # fmt: skip
    if controls:
        said.append("traits that have nothing to do with the disease served as negative controls")
    if pathways:
        said.append("pathways were ranked on both sides by gene set enrichment [Subramanian2005] (gseapy "
                    "{gseapy} "
                    f"[Fang2023], {section.pathway_permutations:,} permutations)")  # fmt: skip
        cited += [literature.ENRICHMENT, literature.GSEAPY]
    return [MethodNote("concordance", "agreement", f"{'; '.join(said)}.", tuple(cited),
                       ("gseapy",) if pathways else ())]  # fmt: skip
