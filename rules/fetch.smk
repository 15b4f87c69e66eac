"""
Raw files of every cohort.

REQUIRES  the cohort sheet and resources/datasets.tsv; served/<cohort>/ of simulated cohorts, the files of
          local ones, the network (or what the download cache already has) for geo, gdc and url
MAKES     raw/<cohort>/…               the files as they were served
          raw/<cohort>/provenance.json where each came from, its size and digest (written last)
"""


rule fetch:
    input:
        offered,
    output:
        provenance=f"{RESULTS}/raw/{{cohort}}/provenance.json",
    log:
        f"{LOGS}/fetch/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch/{{cohort}}.tsv"
    conda:
        "../envs/fetch.yaml"
    container:
        CONTAINERS.fetch
    threads: 1
    resources:
        mem_mb=more_memory(500),
        runtime=240,
    params:
        cohort=cohort_params,
        pinned=catalogue_rows,
        # not followed: a change elsewhere in the library must not fetch everything again
        code=code("sources.fetch", follow=False),
    script:
        "../scripts/fetch.py"
