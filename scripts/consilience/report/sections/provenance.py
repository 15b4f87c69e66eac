"""Provenance: versions, machine, configuration as run, every raw file with its digest, time and memory."""

from __future__ import annotations

from consilience.report.elements import (
    Block,
    Column,
    Fact,
    Facts,
    Figures,
    Listing,
    Section,
    SectionMaker,
    Table,
)
from consilience.report.figures import Axis, Figure, points, segments
from consilience.report.record import config_text, machine_words, revision, software_versions
from consilience.report.results import Benchmark, StudyResults
from consilience.report.words import count, duration, megabytes

MIB = 1024 * 1024


def build(results: StudyResults) -> Section:
    """Everything needed to run it again and to see what it cost."""
    jobs = results.benchmarks
    blocks: list[Block] = [
        Facts(
            (
                Fact("workflow", revision()),
                Fact("machine", machine_words()),
                Fact("seed", str(results.config.study.seed)),
                *_cost_facts(jobs),
            )
        )
    ]
    if jobs:
        blocks += [Figures((_cost_figure(jobs),)), _cost_table(jobs)]
    blocks += [
        _raw_table(results),
        _versions_table(),
        Listing("Configuration as run", config_text(results.config), "config.yaml"),
    ]
    total = sum(job.seconds for job in jobs)
    headline = (
        f"{count(len(jobs), 'job')} took {duration(total)} in sum." if jobs else "No job times were recorded."
    )
    return Section(key="provenance", title="Provenance", headline=headline, blocks=tuple(blocks))


def _cost_facts(jobs: list[Benchmark]) -> list[Fact]:
    memory = [job.peak_mib for job in jobs if job.peak_mib is not None]
    facts = [Fact("time of all jobs", duration(sum(job.seconds for job in jobs)))] if jobs else []
    return facts + ([Fact("largest memory", megabytes(round(max(memory) * MIB)))] if memory else [])


def _by_rule(jobs: list[Benchmark]) -> dict[str, list[Benchmark]]:
    rules: dict[str, list[Benchmark]] = {}
    for job in jobs:
        rules.setdefault(job.rule, []).append(job)
    return dict(sorted(rules.items(), key=lambda pair: -sum(job.seconds for job in pair[1])))


def _cost_figure(jobs: list[Benchmark]) -> Figure:
    rules = _by_rule(jobs)
    names = tuple(rules)
    place = {name: index for index, name in enumerate(names)}
    longest = [max(job.seconds for job in rules[name]) for name in names]
    return Figure(
        key="cost",
        title="Seconds of every job",
        wide=True,
        height=60 + 26 * len(names),
        alt=f"The rule with the longest job is {names[longest.index(max(longest))]}.",
        marks=(
            segments(
                x0=[0.0] * len(names), x1=longest, y0=list(range(len(names))), y1=list(range(len(names)))
            ),
            points(
                x=[job.seconds for job in jobs],
                y=[place[job.rule] for job in jobs],
                labels=[f"{job.rule} {job.target}".strip() for job in jobs],
                colour="accent",
            ),
        ),
        x=Axis(label="seconds", zero=True),
        y=Axis(scale="category", categories=names),
    )


def _cost_table(jobs: list[Benchmark]) -> Table:
    return Table(
        key="cost",
        title="Time and memory of every job",
        visible=8,
        columns=(
            Column("rule", "Rule", "id"),
            Column("target", "For", "id"),
            Column("seconds", "Seconds", "number"),
            Column("cpu_seconds", "CPU seconds", "number"),
            Column("peak_bytes", "Peak memory", "bytes"),
        ),
        rows=tuple(
            (
                job.rule,
                job.target,
                job.seconds,
                job.cpu_seconds,
                None if job.peak_mib is None else round(job.peak_mib * MIB),
            )
            for job in sorted(jobs, key=lambda job: (-job.seconds, job.rule, job.target))
        ),
        caption="As measured by Snakemake; memory is missing where a job was too short to be sampled.",
    )


def _raw_table(results: StudyResults) -> Table:
    rows = tuple(
        (cohort.name, file.name, file.bytes, file.sha256, file.url)
        for cohort in results.cohorts
        for file in results.raw(cohort).files
    )
    return Table(
        key="raw_files",
        title="Raw files",
        rows=rows,
        visible=6,
        columns=(
            Column("cohort", "Cohort", "id"),
            Column("file", "File", "id"),
            Column("bytes", "Size", "bytes"),
            Column("sha256", "SHA-256", "id"),
            Column("url", "From", "link"),
        ),
    )


def _versions_table() -> Table:
    return Table(
        key="versions",
        title="Software",
        visible=40,
        columns=(Column("software", "Software", "id"), Column("version", "Version", "id")),
        rows=tuple(software_versions().items()),
    )


SECTION = SectionMaker(order=910, key="provenance", title="Provenance", build=build)
