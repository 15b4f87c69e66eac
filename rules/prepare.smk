"""
Quality control and normalisation, one cohort at a time.

REQUIRES  raw/<cohort>/provenance.json and the files it lists
MAKES     expression/<cohort>.h5ad              counts, log-normalised values, standard columns
          expression/<cohort>.removed.parquet   every removed sample or cell, and why
          expression/<cohort>.qc.json           thresholds, reasons, gene identity, design
          summary_statistics/<cohort>/…         GWAS, eQTL and LD as parquet, and qc.json
"""


rule prepare:
    input:
        provenance=f"{RESULTS}/raw/{{cohort}}/provenance.json",
        genes=GENE_TABLE,
        markers=marker_table,
    output:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        removed=f"{RESULTS}/expression/{{cohort}}.removed.parquet",
        qc=f"{RESULTS}/expression/{{cohort}}.qc.json",
    log:
        f"{LOGS}/prepare/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/prepare/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(EXPRESSION_COHORTS),
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(4000),
        runtime=120,
    params:
        cohort=cohort_params,
        quality=settings("quality"),
        normalisation=settings("normalisation"),
        cell_types=settings("cell_types"),
        min_samples_per_arm=STUDY.config.study.min_samples_per_arm,
        seed=SEED,
        code=code("expression.prepare"),
    script:
        "../scripts/prepare.py"


rule prepare_summary_statistics:
    input:
        provenance=f"{RESULTS}/raw/{{cohort}}/provenance.json",
        genes=GENE_TABLE,
    output:
        gwas=f"{RESULTS}/summary_statistics/{{cohort}}/gwas.parquet",
        eqtl=f"{RESULTS}/summary_statistics/{{cohort}}/eqtl.parquet",
        ld=f"{RESULTS}/summary_statistics/{{cohort}}/ld.parquet",
        qc=f"{RESULTS}/summary_statistics/{{cohort}}/qc.json",
    log:
        f"{LOGS}/prepare_summary_statistics/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/prepare_summary_statistics/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(SUMMARY_COHORTS),
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(4000),
        runtime=60,
    params:
        cohort=cohort_params,
        settings=settings("summary_statistics"),
        code=code("sources.summary_statistics.prepare"),
    script:
        "../scripts/prepare_summary_statistics.py"
