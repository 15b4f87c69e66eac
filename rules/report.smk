"""
One page that says what was run, what is alarming and what was found.

REQUIRES  the results of every stage that ran
MAKES     report/index.html   self-contained page; report/tables/*.tsv
          provenance/*        versions, methods text, citations, the run itself
"""


def everything_to_report(wildcards):
    """Results of all stages; each later stage adds its own line here."""
    files = expand(f"{RESULTS}/raw/{{cohort}}/provenance.json", cohort=STUDY.named())
    files += expand(
        f"{RESULTS}/expression/{{cohort}}.qc.json", cohort=EXPRESSION_COHORTS
    )
    files += expand(
        f"{RESULTS}/expression/{{cohort}}.removed.parquet", cohort=EXPRESSION_COHORTS
    )
    files += expand(
        f"{RESULTS}/summary_statistics/{{cohort}}/qc.json", cohort=SUMMARY_COHORTS
    )
    if EXPRESSION_COHORTS:
        files += [
            f"{RESULTS}/pathways/mask.parquet",
            f"{RESULTS}/pathways/coverage.json",
        ]
    if SIMULATED_COHORTS and EXPRESSION_COHORTS:
        files += [f"{RESULTS}/truth/found.json"]
    return files


rule report:
    input:
        results=everything_to_report,
        templates=[
            str(path) for path in sorted(Path(workflow.basedir, "report").glob("*.*"))
        ],
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
        results=RESULTS,
        benchmarks=BENCHMARKS,
        code=code("report.page", "report.sections"),
    script:
        "../scripts/report.py"
