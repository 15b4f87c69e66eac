"""The methods text of augmentation, from what ran and from the registries of its methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consilience.report.citations import Citation, MethodNote
from consilience.report.sections import _augment_literature as literature
from consilience.report.sections import _rnagan_literature as shared
from consilience.report.sections._augment_shapes import PrivacyRecord
from consilience.report.sections._rnagan_reading import method_words
from consilience.report.words import listed


def generating(keys: Sequence[str]) -> list[MethodNote]:
    """Generators compared, by what and how one was chosen."""
    from consilience.augment.generators import generators

    known = generators()
    found = [(known[key], literature.citation_of(known[key])) for key in keys if key in known]
    cited = [entry for _, entry in found if entry is not None]
    words = listed(
        f"{one.key}: {_small(one.title)}{f' [{entry.key}]' if entry else ''}" for one, entry in found
    )
    trained = any(one.neural for one, _ in found)
    steps = "; networks were trained by Adam [Kingma2015] in PyTorch {torch} [Paszke2019]" if trained else ""
    return [
        MethodNote(
            "augmentation", "augmentation",
            "Synthetic patients were made by generators that learn a cohort "
            f"({words or 'none known'}){steps}. Each was fitted to a part of the donors and judged by the "
            "others: class-wise means, fold changes and spreads of genes, gene-gene correlation within "
            "classes, maximum mean discrepancy [Gretton2012], density and coverage [Naeem2020], and "
            "classifier two-sample tests [LopezPaz2017], each beside the same figure of the training "
            "patients themselves. Of the generators that keep the limits of the privacy level, the most "
            "faithful was taken; where several could not be told apart over splits (standard errors that "
            "count what splits share [Nadeau2003]), the most private one.",
            (*dict.fromkeys(cited), literature.MMD, literature.DENSITY, literature.TWO_SAMPLE,
             literature.CORRECTED, *((literature.ADAM, shared.TORCH) if trained else ())),
            ("torch",) if trained else (),
        )
    ]  # fmt: skip


def _small(title: str) -> str:
    """A title inside a sentence: SMOTE keeps its capitals."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def temperature() -> list[MethodNote]:
    """How temperatures were chosen."""
    return [
        MethodNote(
            "temperature", "temperature",
            "Sampling temperatures were scanned as published [Song2026] and chosen for each cohort within "
            "the training donors: generators were fitted anew in folds, and the temperature was taken at "
            "which gene-wise spread, spread and diversity within classes, and gene-gene correlation match "
            "the donors left out; its interval is a delete-a-fold jackknife on the logarithm, and 1 was "
            "kept where it is inside.",
            (literature.RARE_VAE,),
        )
    ]  # fmt: skip


def usefulness(classifiers: Sequence[str]) -> list[MethodNote]:
    """How usefulness was judged."""
    from consilience.learning.baselines import baselines

    known = baselines()
    pairs = [(method_words(key), shared.BY_DOI.get(known[key].doi)) for key in classifiers if key in known]
    words = listed(f"{word} [{entry.key}]" if entry else word for word, entry in pairs)
    cited: list[Citation] = [entry for _, entry in pairs if entry is not None]
    return [
        MethodNote(
            "usefulness", "usefulness of synthetic samples",
            f"Classifiers ({words or 'none known'}) were trained on real samples, on synthetic ones "
            "[Esteban2017], on both, and on real samples repeated, and tested by true labels on donors "
            "that neither they nor the generator had seen, over repeated splits by donor; intervals of "
            "AUC, accuracy and Brier score [Brier1950] and of paired differences count what splits share "
            "[Nadeau2003]. The published evaluation [Song2026] (clusters as labels, test rows seen by the "
            "generator) was run beside it.",
            (literature.TSTR, *cited, shared.BRIER, literature.CORRECTED, literature.RARE_VAE),
        )
    ]  # fmt: skip


def leaks(records: Iterable[PrivacyRecord]) -> list[MethodNote]:
    """Attacks and the release gate; () where nothing was judged."""
    judged = [record for record in records if not record.skipped]
    if not judged:
        return []
    cited = [shared.MEMBERSHIP, literature.SHOKRI]
    more = ""
    if any(record.shadow is not None for record in judged):
        more += (
            "; an attacker with shadow models [Carlini2022] refitted the generator on halves of the donors"
        )
        cited.append(literature.LIKELIHOOD_RATIO)
    if any(record.attribute for record in judged):
        more += "; attribute inference guessed genes of training and of other patients"
    if any(record.epsilon is not None for record in judged):
        more += "; training was differentially private [Abadi2016]"
        cited.append(literature.DP_SGD)
    return [
        MethodNote(
            "privacy", "privacy of synthetic samples",
            "Privacy was judged on a trial: the generator was fitted to a part of the donors and its samples "
            "were searched for copies, for closeness to training rather than held-out patients, and by "
            f"membership attacks [Homer2008] [Shokri2017]{more}. Samples of the model of all donors, near "
            "copies taken out, were given out only where every figure is within its limit or explained by "
            "chance (membership redrawn).",
            tuple(cited),
        )
    ]  # fmt: skip


def robustness() -> list[MethodNote]:
    """How runs were made."""
    return [
        MethodNote(
            "robustness", "robustness of augmentation",
            "Runs were repeated with other splits, other starts of training and other draws, nested, and the "
            "variance of each figure was divided among the three by the method of moments [Henderson1953]. "
            "Markers of synthetic samples were compared with those of patients by ranks and signs.",
            (literature.COMPONENTS,),
        )
    ]  # fmt: skip
