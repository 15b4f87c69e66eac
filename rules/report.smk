"""
One page that says what was run, what is alarming and what was found.

REQUIRES  the results of every stage that ran
MAKES     report/index.html   self-contained page; report/tables/*.tsv
          provenance/*        versions, methods text, citations, the run itself
"""


rule report:
    input:
        results=everything_to_report,
        templates=[str(path) for path in sorted((CHECKOUT / "report").glob("*.*"))],
    output:
        page=f"{RESULTS}/report/index.html",
        versions=f"{RESULTS}/provenance/versions.tsv",
        methods=f"{RESULTS}/provenance/methods.md",
        citations=f"{RESULTS}/provenance/citations.bib",
        run=f"{RESULTS}/provenance/run.json",
    log:
        f"{LOGS}/report.log",
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(2000),
        runtime=15,
    params:
        config=STUDY.config.model_dump(),
        cohorts=[cohort.to_params() for cohort in STUDY.cohorts],
        results=lambda wildcards, output: str(Path(output.page).parents[1]),
        benchmarks=lambda wildcards, output: BENCHMARKS,
        code=code("report.page", "report.sections"),
    script:
        "../scripts/report.py"
