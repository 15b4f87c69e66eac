"""
Causal evidence: gene effects from population genetics and from single cells, and whether they agree.

REQUIRES  summary_statistics/<cohort>/*, expression/<cohort>.h5ad of single-cell cohorts, the gene sets
MAKES     causal/population/<cohort>/instruments.*, genes.parquet   instruments of each gene, what was dropped and why
          causal/population/<cohort>/twmr.parquet, mr.parquet       effects of genes on the trait
          causal/cells/<cohort>/latent.parquet, denoising.json …    latent confounders of cells
          causal/cells/<cohort>/dml*.parquet, dml.json              effects of genes on disease, by cell type
          causal/agreement/<population>/<cells>/*                   whether the two agree

A further cohort runs its own jobs and those of its pairs. Without causal.enabled nothing here runs.
"""


rule causal_instruments:
    input:
        qc=f"{RESULTS}/summary_statistics/{{cohort}}/qc.json",
        tables=expand(
            f"{RESULTS}/summary_statistics/{{{{cohort}}}}/{{name}}.parquet",
            name=("gwas", "eqtl", "ld"),
        ),
    output:
        table=of_population("instruments.parquet"),
        inputs=of_population("inputs.parquet"),
        genes=of_population("genes.parquet"),
        record=of_population("instruments.json"),
    log:
        f"{LOGS}/causal_instruments/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/causal_instruments/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(POPULATION),
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(4000),
        runtime=120,
    params:
        settings=causal_settings("instruments"),
        code=code("causal.instruments.study"),
    script:
        "../scripts/causal_instruments.py"


rule causal_twmr:
    input:
        inputs=of_population("inputs.parquet"),
        genes=of_population("genes.parquet"),
    output:
        table=of_population("twmr.parquet"),
    log:
        f"{LOGS}/causal_twmr/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/causal_twmr/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(POPULATION),
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(2000),
        runtime=60,
    params:
        settings=causal_settings("instruments"),
        code=code("causal.twmr.study"),
    script:
        "../scripts/causal_twmr.py"


rule causal_mr:
    input:
        inputs=of_population("inputs.parquet"),
        genes=of_population("genes.parquet"),
    output:
        table=of_population("mr.parquet"),
    log:
        f"{LOGS}/causal_mr/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/causal_mr/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(POPULATION),
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(2000),
        runtime=120,
    params:
        settings=causal_settings("mr"),
        seed=SEED,
        code=code("causal.mr.study", "causal.mr.estimators"),
    script:
        "../scripts/causal_mr.py"


rule causal_denoise:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        gene_sets=gene_set_files,
        genes=GENE_TABLE,
    output:
        latent=of_cells("latent.parquet"),
        record=of_cells("denoising.json"),
        model=directory(of_cells("model")),
    log:
        f"{LOGS}/causal_denoise/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/causal_denoise/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(CELLS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: 4 if CAUSAL.denoising.effort >= 0.5 else 1
    resources:
        mem_mb=more_memory(4000),
        runtime=720,
        gpu=1,
    params:
        settings=causal_settings("denoising"),
        pathways=settings("pathways"),
        seed=SEED,
        code=code("causal.denoising.study"),
    script:
        "../scripts/causal_denoise.py"


rule causal_dml:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        latent=latent_if_asked,
        model=denoised_if_asked,
    output:
        table=of_cells("dml.parquet"),
        others=of_cells("dml_others.parquet"),
        left_out=of_cells("dml_left_out.parquet"),
        record=of_cells("dml.json"),
    log:
        f"{LOGS}/causal_dml/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/causal_dml/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(CELLS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: 2
    resources:
        mem_mb=more_memory(8000),
        runtime=720,
    params:
        settings=causal_settings("dml"),
        seed=SEED,
        code=code("causal.dml.study", "causal.dml.learners"),
    script:
        "../scripts/causal_dml.py"


rule causal_concordance:
    input:
        twmr=f"{RESULTS}/causal/population/{{population}}/twmr.parquet",
        mr=f"{RESULTS}/causal/population/{{population}}/mr.parquet",
        dml=f"{RESULTS}/causal/cells/{{cells}}/dml.parquet",
        left_out=f"{RESULTS}/causal/cells/{{cells}}/dml_left_out.parquet",
        gene_sets=gene_set_files,
    output:
        table=of_pair("concordance.parquet"),
        genes=of_pair("genes.parquet"),
        stability=of_pair("stability.parquet"),
        pathways=of_pair("pathways.parquet"),
        pathway_agreement=of_pair("pathway_agreement.parquet"),
        record=of_pair("metrics.json"),
    log:
        f"{LOGS}/causal_concordance/{{population}}.{{cells}}.log",
    benchmark:
        f"{BENCHMARKS}/causal_concordance/{{population}}.{{cells}}.tsv"
    wildcard_constraints:
        population=one_of(POPULATION),
        cells=one_of(CELLS),
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(2000),
        runtime=240,
    params:
        settings=causal_settings("concordance"),
        pathways=settings("pathways"),
        control=lambda wildcards: wildcards.population in CAUSAL.controls,
        seed=SEED,
        code=code("causal.concordance.study"),
    script:
        "../scripts/causal_concordance.py"
