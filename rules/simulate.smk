"""
The planted-truth study: simulated cohorts in the formats that the real sources serve.

REQUIRES  resources/genes, resources/gene_sets, the simulation section of the configuration
MAKES     truth/*                        what was planted
          served/<cohort>/…              raw files as a remote server would serve them
          truth/samples/<cohort>.parquet planted facts of every sample or cell
          truth/found.json               what was planted beside what was found
"""

TRUTH = f"{RESULTS}/truth/truth.json"
PLANTED = {
    name: f"{RESULTS}/truth/{name}.parquet"
    for name in (
        "genes",
        "pathways",
        "cell_types",
        "perturbations",
        "expression_model",
        "programs",
        "perturbation_groups",
    )
}


rule simulate_truth:
    input:
        genes=GENE_TABLE,
        gene_sets=[f"{RESOURCES}/gene_sets/{name}.gmt.gz" for name in SHIPPED],
    output:
        **PLANTED,
        truth=TRUTH,
    log:
        f"{LOGS}/simulate_truth.log",
    benchmark:
        f"{BENCHMARKS}/simulate_truth.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(1000),
        runtime=10,
    params:
        simulation=shared_simulation,
        seed=SEED,
        code=code("simulate.truth"),
    script:
        "../scripts/simulate_truth.py"


rule simulate_cohort:
    input:
        **PLANTED,
        truth=TRUTH,
    output:
        manifest=f"{RESULTS}/served/{{cohort}}/manifest.json",
        samples=f"{RESULTS}/truth/samples/{{cohort}}.parquet",
    log:
        f"{LOGS}/simulate_cohort/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/simulate_cohort/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(SIMULATED_COHORTS),
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(2000),
        runtime=60,
    params:
        cohort=cohort_params,
        simulation=cohort_simulation,
        seed=SEED,
        code=code("simulate.cohort"),
    script:
        "../scripts/simulate_cohort.py"


rule compare_with_truth:
    input:
        **PLANTED,
        truth=TRUTH,
        samples=expand(
            f"{RESULTS}/truth/samples/{{cohort}}.parquet", cohort=SIMULATED_COHORTS
        ),
        expression=expand(
            f"{RESULTS}/expression/{{cohort}}.h5ad",
            cohort=[name for name in EXPRESSION_COHORTS if name in SIMULATED_COHORTS],
        ),
        qc=expand(
            f"{RESULTS}/expression/{{cohort}}.qc.json",
            cohort=[name for name in EXPRESSION_COHORTS if name in SIMULATED_COHORTS],
        ),
        summary_qc=expand(
            f"{RESULTS}/summary_statistics/{{cohort}}/qc.json",
            cohort=[name for name in SUMMARY_COHORTS if name in SIMULATED_COHORTS],
        ),
        mask=f"{RESULTS}/pathways/mask.parquet",
        markers=expand(
            f"{RESULTS}/rnagan/{{cohort}}/markers_genes.parquet",
            cohort=[name for name in RNAGAN_COHORTS if name in SIMULATED_COHORTS],
        ),
        twmr=simulated_twmr(),
        agreement=simulated_agreement(),
    output:
        found=f"{RESULTS}/truth/found.json",
    log:
        f"{LOGS}/compare_with_truth.log",
    benchmark:
        f"{BENCHMARKS}/compare_with_truth.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(2000),
        runtime=30,
    params:
        code=code("simulate.recovery"),
    script:
        "../scripts/compare_with_truth.py"
