"""The written record of a run: versions, methods text, citations, and run.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from consilience import __version__
from consilience.foundation import provenance
from consilience.foundation.files import sha256_of, write_json, write_text
from consilience.foundation.places import ROOT
from consilience.report.citations import MethodNote, cited
from consilience.report.results import StudyResults

PACKAGES = (
    "anndata",
    "gseapy",
    "h5py",
    "jinja2",
    "numba",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "safetensors",
    "scanpy",
    "scikit-learn",
    "scipy",
    "snakemake",
    "statsmodels",
    "torch",
)
RUN_FORMAT = 1


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    machine = provenance.machine()
    found = provenance.package_versions(PACKAGES)
    return (("consilience", __version__), ("python", str(machine["python"])), *sorted(found.items()))


def software_versions() -> dict[str, str]:
    """Version of the workflow, of Python and of every package that can change a result."""
    return dict(_versions())


@cache
def revision() -> str:
    """Version and commit of the workflow."""
    return provenance.source_revision(ROOT)


def machine_words() -> str:
    """The machine in a few words."""
    machine = provenance.machine()
    return (
        f"{machine['system']} {machine['architecture']}, {machine['cores']} cores, Python {machine['python']}"
    )


def methods_text(notes: Sequence[MethodNote], versions: Mapping[str, str]) -> list[str]:
    """The methods as one paragraph per step, in the order in which the stages ran."""
    return [note.text(versions) for note in notes]


def bibliography(notes: Sequence[MethodNote]) -> str:
    """BibTeX of everything cited."""
    return "\n".join(citation.bibtex() for citation in cited(notes))


def config_text(config: Any) -> str:
    """The whole configuration, defaults included, as YAML."""
    import yaml

    text: str = yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True, width=100)
    return text


def write_record(*, results: StudyResults, folder: Path, date: str) -> None:
    """Write provenance/{versions.tsv, methods.md, citations.bib, run.json}."""
    from consilience.report.sections import methods_used

    notes = methods_used(results)
    versions = software_versions()
    lines = [f"{name}\t{version}" for name, version in versions.items()]
    write_text(folder / "versions.tsv", "\n".join(["software\tversion", *lines]) + "\n")
    write_text(folder / "citations.bib", bibliography(notes))
    write_text(folder / "methods.md", _methods_markdown(notes, versions, results, date))
    write_json(folder / "run.json", run_record(results=results, date=date))


def _methods_markdown(
    notes: Sequence[MethodNote], versions: Mapping[str, str], results: StudyResults, date: str
) -> str:
    references = [
        f"- {entry.author.replace(' and ', '; ')} ({entry.year}). {entry.title}. *{entry.venue}*. "
        f"{entry.link}"
        for entry in cited(notes)
    ]
    return (
        "\n\n".join(
            [
                f"# Methods: {results.config.study.title}",
                f"Written by Consilience {revision()} on {date[:10]} from what ran.",
                *methods_text(notes, versions),
                "## References",
                "\n".join(references),
            ]
        )
        + "\n"
    )


def run_record(*, results: StudyResults, date: str) -> dict[str, Any]:
    """Everything needed to run the study again and to see what changed since."""
    return {
        "format_version": RUN_FORMAT,
        "study": results.config.study.name,
        "title": results.config.study.title,
        "date": date,
        "workflow": revision(),
        "machine": provenance.machine(),
        "versions": software_versions(),
        "config": results.config.model_dump(),
        "cohorts": [cohort.to_params() for cohort in results.cohorts],
        "raw_files": [
            {"cohort": cohort.name, **file.model_dump()}
            for cohort in results.cohorts
            for file in results.raw(cohort).files
        ],
        "read": [
            {"file": path.relative_to(results.root).as_posix(), "sha256": sha256_of(path)}
            for path in results.files_read()
        ],
        "jobs": [
            {"rule": job.rule, "target": job.target, "seconds": job.seconds, "peak_mib": job.peak_mib}
            for job in results.benchmarks
        ],
    }
