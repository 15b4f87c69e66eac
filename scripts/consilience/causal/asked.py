"""What the settings of this stage ask for that does not exist: found before any job runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consilience.foundation.errors import Problem, did_you_mean
from consilience.study.causal import CausalSection
from consilience.study.cohorts import Cohort


def causal_problems(settings: CausalSection, cohorts: Sequence[Cohort]) -> list[Problem]:
    """Cohorts of the right kind, known methods and learners, and settings that fit each other."""
    if not settings.enabled:
        return []
    from consilience.causal.dml.learners import learners
    from consilience.causal.mr.estimators import estimators

    studied = [one for one in cohorts if one.role != "pretrain"]
    population = [one.name for one in studied if one.kind == "summary_statistics"]
    cells = [one.name for one in studied if one.kind == "single_cell"]
    used = [name for name in cells if name in (settings.dml.cohorts or cells)]
    problems = _unknown("causal.controls", settings.controls, population, "studied summary statistics")
    problems += _unknown("causal.dml.cohorts", settings.dml.cohorts, cells, "studied single-cell cohorts")
    for pair in settings.pairs:
        where = f"causal.pairs: [{', '.join(pair)}]"
        problems += _unknown(where, pair[:1], population, "studied summary statistics, first of the pair")
        problems += _unknown(where, pair[1:], used, "single-cell cohorts of causal.dml, second of the pair")
    problems += _unknown("causal.mr.methods", settings.mr.methods, estimators(), "estimators")
    problems += _unknown("causal.dml.learner", [settings.dml.learner], learners(), "learners")
    problems += _unknown("causal.dml.others", settings.dml.others, learners(), "learners")
    if settings.dml.expression == "denoised" and not settings.denoising.enabled:
        problems.append(Problem("denoised expression needs its network", "causal.dml.expression",
                                "denoised", "observed", "set causal.denoising.enabled"))  # fmt: skip
    return problems


def _unknown(where: str, asked: Iterable[str], known: Iterable[str], words: str) -> list[Problem]:
    known = list(known)
    return [
        Problem(f"not among the {words}", where, name, ", ".join(known) or "none", did_you_mean(name, known))
        for name in asked
        if name not in known
    ]
