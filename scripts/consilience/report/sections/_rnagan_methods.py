"""The methods text of RNAGAN, from what ran and from the registries of its methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consilience.report.citations import Citation, MethodNote
from consilience.report.results import StudyResults
from consilience.report.sections import _rnagan_literature as literature
from consilience.report.sections._rnagan_reading import method_words, study_cohorts
from consilience.report.sections._rnagan_shapes import Training
from consilience.report.words import listed

PATHWAY_WORDS = {
    "learned": "weights from genes to pathways are learned along known membership",
    "fixed": "weights from genes to pathways are fixed",
    "none": "pathways are not used",
}


def training(results: StudyResults, models: Sequence[Training]) -> list[MethodNote]:
    """Networks, presets, pretraining and adaptation."""
    settings = results.config.rnagan
    own = _DEFAULT if settings.preset == "default" else _PUBLISHED
    cited = [literature.RNAGAN, literature.TORCH]
    cited += (
        [literature.CLOSED_FORM, literature.CONVEX, literature.ROTATION]
        if settings.preset == "default"
        else []
    )
    stepped = any(model.steps for model in models)
    cited += [literature.ADAM] if stepped else []
    trained = (
        "they were trained by Adam [Kingma2015] in PyTorch {torch} [Paszke2019]" if stepped
        else "no gradient steps were taken (PyTorch {torch} [Paszke2019])"
    )  # fmt: skip
    most = f"the most variable genes (at most {settings.genes:,})"
    genes = most if settings.genes else "all measured genes"
    notes = [
        MethodNote(
            "rnagan", "RNAGAN",
            f"A set-conditioned, pathway-informed generative adversarial network (RNAGAN [Hou2026]; own "
            f"implementation, preset {settings.preset}) was built on {genes}; "
            f"{PATHWAY_WORDS[settings.pathways]}. {own} For each cohort a base was pretrained on the other "
            "cohorts "
            f"and then adapted to the cohort's patients; {trained}.",
            tuple(cited), ("torch",),
        ),
    ]  # fmt: skip
    if any(cohort.kind == "single_cell" for cohort in study_cohorts(results)):
        notes.append(MethodNote(
            "pseudobulk", "pseudobulk",
            "Single cells were summed by donor and cell type, so that the patient is the unit throughout "
            "[Squair2021].", (literature.PSEUDOBULK,),
        ))  # fmt: skip
    return notes


_DEFAULT = (
    "Its discriminator solves discriminant heads in closed form from the references [Bertinetto2019] "
    "[Lee2019], on genes, pathways and contrasts remembered from pretraining; its generator recombines the "
    "references by "
    "random "
    "rotations [Langsrud2005], with learned factors and noise of each gene."
)
_PUBLISHED = (
    "Networks, losses and stages are those that the authors describe; its generator has no noise, so that "
    "samples "
    "vary only with the references drawn."
)


def diagnosis(results: StudyResults) -> list[MethodNote]:
    """Splits, references, baselines, calibration."""
    settings = results.config.rnagan
    names, cited = _baselines(settings.baselines)
    return [
        MethodNote(
            "diagnosis", "diagnosis from references",
            f"Diagnosis was judged over {settings.splits} random splits by donor with "
            f"{listed(str(size) for size in sorted(set(settings.references)))} reference patients per kind "
            "and "
            f"{settings.draws} draws of references; samples that are copies of each other were counted as "
            "one "
            f"patient. {names} were given the same references. Intervals of AUCs and of their differences "
            "are "
            "from resampled patients and splits. Log-odds were calibrated by a line, as Platt's "
            "[Platt1999], but "
            "averaged over its posterior; calibration is told by the Brier score [Brier1950] and the "
            "expected "
            "calibration error [Naeini2015]. Patients far from both kinds were flagged by a jackknife+ "
            "[Barber2021] of distances to the references.",
            (literature.PLATT, literature.BRIER, literature.CALIBRATION_ERROR, literature.JACKKNIFE, *cited),
        )
    ]  # fmt: skip


def _baselines(keys: Iterable[str]) -> tuple[str, list[Citation]]:
    """The simple classifiers as a sentence begins with them, and what to cite."""
    from consilience.learning.baselines import baselines

    known = baselines()
    found = [(method_words(key), literature.BY_DOI.get(known[key].doi)) for key in keys if key in known]
    words = listed(f"{word} [{entry.key}]" if entry else word for word, entry in found)
    cited = [entry for _, entry in found if entry is not None]
    return f"{words[:1].upper()}{words[1:]}" or "No simple classifiers", cited


def markers(results: StudyResults) -> list[MethodNote]:
    """Attributions, error rates, stability, comparisons, enrichment."""
    from consilience.learning.differential.registry import METHODS
    from consilience.rnagan.markers.registry import ATTRIBUTIONS, DEFAULT

    settings = results.config.rnagan
    ways = [(ATTRIBUTIONS[name].label, literature.BY_DOI.get(ATTRIBUTIONS[name].doi)) for name in DEFAULT]
    plain = [(method.label, literature.BY_DOI.get(method.doi)) for method in METHODS.values()
             if method.needs == "log"]  # fmt: skip
    cited = [entry for _, entry in (*ways, *plain) if entry is not None]

    def words(pairs: list[tuple[str, Citation | None]]) -> str:
        return listed(f"{label} [{entry.key}]" if entry else label for label, entry in pairs)

    rates = (
        f"False discovery rates [Benjamini1995] come from {settings.permutations} permutations of labels "
        "within "
        "batches, everything redone for each; null draws are pooled over genes [Tusher2001], and p-values of "
        "several splits combined by a rule that holds under any dependence [Gasparin2025]. "
        if settings.permutations else "No permutations were asked for, so markers have no error rates. "
    )  # fmt: skip
    more = [literature.FALSE_DISCOVERIES, literature.POOLED_NULL, literature.EXCHANGEABLE]
    return [
        MethodNote(
            "markers", "markers",
            f"Signed effects of genes and pathways on the log-odds are the mean of {words(ways)}. {rates}"
            f"Stability over {settings.resamples} pairs of halves of the patients is told by the share of "
            "equal "
            f"signs and by Nogueira's index [Nogueira2018]. The same patients were compared by "
            f"{words(plain)}. "
            "Signed effects were tested for enrichment [Subramanian2005] with GSEApy [Fang2023].",
            (*cited, *(more if settings.permutations else ()), literature.STABILITY, literature.ENRICHMENT,
             literature.GSEAPY),
        )
    ]  # fmt: skip


def synthesis(results: StudyResults) -> list[MethodNote]:
    """How synthetic samples were made and judged."""
    settings = results.config.rnagan
    return [
        MethodNote(
            "synthetic_samples", "synthetic samples",
            f"{settings.fold:g} synthetic samples were made for each real one. They were judged by donors "
            "that "
            "they were not made from: means and spreads of genes, classifier two-sample tests "
            "[LopezPaz2017] beside "
            "those of real training patients, near copies, closest records, and membership attacks "
            "[Homer2008]; "
            "samples were given out only where all stay within limits.",
            (literature.TWO_SAMPLE, literature.MEMBERSHIP),
        )
    ]  # fmt: skip


def vectors(results: StudyResults) -> list[MethodNote]:
    """How vectors were judged."""
    return [
        MethodNote(
            "patient_vectors", "patient vectors",
            "Vectors of 64 numbers were judged on donors that their models had not seen, beside 64 principal "
            "components of the same references: labels from nearest neighbours of other donors, mixing of "
            "batches "
            "(entropy, and the inverse Simpson index [Korsunsky2019]), and neighbours kept when genes are "
            "hidden or "
            "references resampled.",
            (literature.LISI,),
        )
    ]  # fmt: skip
