"""
Augmentation: generators compared on patients they never saw, one chosen, and synthetic patients of it.

REQUIRES  expression/<cohort>.h5ad of each bulk cohort that is studied, the gene sets; for the generator rnagan
          rnagan/<cohort>/base
MAKES     augment/<cohort>/generators.*, attacks.parquet   fidelity and privacy of all generators, and the choice
          augment/<cohort>/temperature.*                   the same by sampling temperature
          augment/<cohort>/utility*, published.parquet     classifiers with and without synthetic patients
          augment/<cohort>/robustness.*, markers.parquet   how much is luck, and whether markers are kept
          augment/<cohort>/synthetic.*, card.md, model/ …  synthetic patients, if they may be given out

Each generator has its own jobs: a further one, like a further cohort, runs these and what gathers them.
Without augment.enabled nothing here runs.
"""


rule augment_compare:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        base=rnagan_base,
        gene_sets=gene_set_files,
        genes=GENE_TABLE,
    output:
        table=augmented("compared/{generator}.parquet"),
        attacks=augmented("compared/{generator}.attacks.parquet"),
        scan=augmented("compared/{generator}.temperature.parquet"),
        record=augmented("compared/{generator}.json"),
    log:
        f"{LOGS}/augment_compare/{{cohort}}.{{generator}}.log",
    benchmark:
        f"{BENCHMARKS}/augment_compare/{{cohort}}.{{generator}}.tsv"
    wildcard_constraints:
        cohort=one_of(AUGMENT_COHORTS),
        generator=one_of([REAL_TRAIN, *COMPARED]),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: augment_threads
    resources:
        mem_mb=more_memory(4000),
        runtime=720,
        gpu=augment_gpu,
    params:
        settings=augment_settings("splits", "temperatures", "fold"),
        pathways=settings("pathways"),
        seed=SEED,
        code=code("augment.study_compare"),
    script:
        "../scripts/augment_compare.py"


rule augment_choose:
    input:
        tables=compared("compared/{generator}.parquet", [REAL_TRAIN, *COMPARED]),
        attacks=compared(
            "compared/{generator}.attacks.parquet", [REAL_TRAIN, *COMPARED]
        ),
        scans=compared(
            "compared/{generator}.temperature.parquet", [REAL_TRAIN, *COMPARED]
        ),
        records=compared("compared/{generator}.json", [REAL_TRAIN, *COMPARED]),
    output:
        table=augmented("generators.parquet"),
        attacks=augmented("attacks.parquet"),
        scan=augmented("temperature.parquet"),
        temperatures=augmented("temperature.json"),
        record=augmented("generators.json"),
    log:
        f"{LOGS}/augment_choose/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/augment_choose/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(AUGMENT_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: 1
    resources:
        mem_mb=more_memory(2000),
        runtime=30,
    params:
        settings=augment_settings("generator", "privacy", "limits"),
        code=code("augment.study_choice"),
    script:
        "../scripts/augment_choose.py"


rule augment_utility:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        base=rnagan_base,
    output:
        table=augmented("used/{generator}.parquet"),
        published=augmented("used/{generator}.published.parquet"),
        record=augmented("used/{generator}.json"),
    log:
        f"{LOGS}/augment_utility/{{cohort}}.{{generator}}.log",
    benchmark:
        f"{BENCHMARKS}/augment_utility/{{cohort}}.{{generator}}.tsv"
    wildcard_constraints:
        cohort=one_of(AUGMENT_COHORTS),
        generator=one_of(COMPARED),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: augment_threads
    resources:
        mem_mb=more_memory(4000),
        runtime=1440,
        gpu=augment_gpu,
    params:
        settings=augment_settings("splits", "sizes", "classifiers"),
        seed=SEED,
        code=code("augment.study_utility", "learning.baselines"),
    script:
        "../scripts/augment_utility.py"


rule augment_utility_table:
    input:
        tables=compared("used/{generator}.parquet"),
        published=compared("used/{generator}.published.parquet"),
        records=compared("used/{generator}.json"),
    output:
        table=augmented("utility.parquet"),
        summary=augmented("utility_summary.parquet"),
        published=augmented("published.parquet"),
        record=augmented("utility.json"),
    log:
        f"{LOGS}/augment_utility_table/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/augment_utility_table/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(AUGMENT_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: 1
    resources:
        mem_mb=more_memory(2000),
        runtime=30,
    params:
        code=code("augment.study_utility"),
    script:
        "../scripts/augment_utility_table.py"


rule augment_robustness:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        base=rnagan_base,
        choice=augmented("generators.json"),
    output:
        table=augmented("robustness.parquet"),
        genes=augmented("markers.parquet"),
        agreement=augmented("marker_agreement.parquet"),
        record=augmented("robustness.json"),
    log:
        f"{LOGS}/augment_robustness/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/augment_robustness/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(AUGMENT_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: augment_threads
    resources:
        mem_mb=more_memory(4000),
        runtime=720,
        gpu=augment_gpu,
    params:
        settings=augment_settings("runs"),
        seed=SEED,
        code=code("augment.study_robustness"),
    script:
        "../scripts/augment_robustness.py"


rule augment_synthesis:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        base=rnagan_base,
        choice=augmented("generators.json"),
    output:
        h5ad=augmented("synthetic.h5ad"),
        table=augmented("synthetic.parquet"),
        model=directory(augmented("model")),
        genes=augmented("genes.parquet"),
        overlay=augmented("overlay.parquet"),
        card=augmented("card.md"),
        metrics=augmented("metrics.json"),
        privacy=augmented("privacy.json"),
    log:
        f"{LOGS}/augment_synthesis/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/augment_synthesis/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(AUGMENT_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: augment_threads
    resources:
        mem_mb=more_memory(4000),
        runtime=720,
        gpu=augment_gpu,
    params:
        settings=augment_settings("fold", "privacy", "limits", "shadows"),
        seed=SEED,
        code=code("augment.study_synthesis"),
    script:
        "../scripts/augment_synthesis.py"
