"""
RNAGAN: trained once on the pretraining cohorts, adapted to each study cohort, used for four things.

REQUIRES  expression/<cohort>.h5ad of the pretraining cohorts and of the study cohorts, the gene sets
MAKES     rnagan/pretrained/                  the model of all pretraining cohorts, for use on new data
          rnagan/<cohort>/base/, model/       pretrained on the *other* cohorts, and adapted to this one
          rnagan/<cohort>/diagnosis.*         judged on patients never seen, beside simple classifiers
          rnagan/<cohort>/transfer_from_*     the same from one cohort to another, where the study asks for it
          rnagan/<cohort>/markers*            signed genes and pathways with error rates
          rnagan/<cohort>/synthetic.*         pseudo-patients, if they may be given out
          rnagan/<cohort>/vectors.* …         64 numbers a patient

A further study cohort runs its own jobs only; a further pretraining cohort trains every model again, since
every model learns from it. Without rnagan.enabled nothing here runs.
"""


rule rnagan_pretrain:
    input:
        expression=expand(
            f"{RESULTS}/expression/{{cohort}}.h5ad", cohort=PRETRAINING_COHORTS
        ),
        gene_sets=gene_set_files,
        genes=GENE_TABLE,
    output:
        model=directory(f"{RESULTS}/rnagan/pretrained"),
        history=f"{RESULTS}/rnagan/pretrained.history.parquet",
        record=f"{RESULTS}/rnagan/pretrained.json",
    log:
        f"{LOGS}/rnagan_pretrain.log",
    benchmark:
        f"{BENCHMARKS}/rnagan_pretrain.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: TRAINING_THREADS
    resources:
        mem_mb=more_memory(4000 + STUDY.config.rnagan.memory_mb),
        runtime=720,
        gpu=1,
    params:
        cohorts=PRETRAINING_COHORTS,
        settings=rnagan_settings("pathways", "genes", "effort", "memory_mb"),
        pathways=settings("pathways"),
        checkpoints=f"{RESULTS}/rnagan/.checkpoints/pretrained",
        seed=SEED,
        code=code("rnagan.study_training"),
    script:
        "../scripts/rnagan_pretrain.py"


rule rnagan_adapt:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        others=lambda wildcards: expand(
            f"{RESULTS}/expression/{{cohort}}.h5ad",
            cohort=other_pretraining(wildcards),
        ),
        gene_sets=gene_set_files,
        genes=GENE_TABLE,
    output:
        base=directory(of_cohort("base")),
        model=directory(of_cohort("model")),
        history=of_cohort("history.parquet"),
        record=of_cohort("training.json"),
    log:
        f"{LOGS}/rnagan_adapt/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/rnagan_adapt/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(RNAGAN_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: TRAINING_THREADS
    resources:
        mem_mb=more_memory(4000 + STUDY.config.rnagan.memory_mb),
        runtime=720,
        gpu=1,
    params:
        others=other_pretraining,
        settings=rnagan_settings("pathways", "genes", "effort", "memory_mb"),
        pathways=settings("pathways"),
        checkpoints=lambda wildcards: f"{RESULTS}/rnagan/.checkpoints/{wildcards.cohort}",
        seed=SEED,
        code=code("rnagan.study_training"),
    script:
        "../scripts/rnagan_adapt.py"


rule rnagan_diagnosis:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        base=of_cohort("base"),
    output:
        table=of_cohort("diagnosis.parquet"),
        record=of_cohort("diagnosis.json"),
    log:
        f"{LOGS}/rnagan_diagnosis/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/rnagan_diagnosis/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(RNAGAN_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: 1
    resources:
        mem_mb=more_memory(4000),
        runtime=360,
    params:
        settings=rnagan_settings("references", "draws", "splits", "baselines"),
        seed=SEED,
        code=code("rnagan.study_diagnosis", "learning.baselines"),
    script:
        "../scripts/rnagan_diagnosis.py"


rule rnagan_transfer:
    input:
        learned=f"{RESULTS}/expression/{{other}}.h5ad",
        diagnosed=f"{RESULTS}/expression/{{cohort}}.h5ad",
        base=of_cohort("base"),
    output:
        table=of_cohort("transfer_from_{other}.parquet"),
        record=of_cohort("transfer_from_{other}.json"),
    log:
        f"{LOGS}/rnagan_transfer/{{other}}_to_{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/rnagan_transfer/{{other}}_to_{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(RNAGAN_COHORTS),
        other=one_of(RNAGAN_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: 1
    resources:
        mem_mb=more_memory(4000),
        runtime=360,
    params:
        settings=rnagan_settings("references", "draws", "splits", "baselines"),
        seed=SEED,
        code=code("rnagan.study_diagnosis", "learning.baselines"),
    script:
        "../scripts/rnagan_transfer.py"


rule rnagan_markers:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        base=of_cohort("base"),
    output:
        genes=of_cohort("markers_genes.parquet"),
        pathways=of_cohort("markers_pathways.parquet"),
        interactions=of_cohort("markers_interactions.parquet"),
        enrichment=of_cohort("markers_enrichment.parquet"),
        record=of_cohort("markers.json"),
    log:
        f"{LOGS}/rnagan_markers/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/rnagan_markers/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(RNAGAN_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: 1
    resources:
        mem_mb=more_memory(4000),
        runtime=360,
    params:
        settings=rnagan_settings("permutations", "resamples"),
        seed=SEED,
        code=code("rnagan.study_markers"),
    script:
        "../scripts/rnagan_markers.py"


rule rnagan_synthesis:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        base=of_cohort("base"),
        model=of_cohort("model"),
    output:
        h5ad=of_cohort("synthetic.h5ad"),
        table=of_cohort("synthetic.parquet"),
        record=of_cohort("synthetic.json"),
    log:
        f"{LOGS}/rnagan_synthesis/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/rnagan_synthesis/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(RNAGAN_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: 1
    resources:
        mem_mb=more_memory(4000),
        runtime=120,
    params:
        settings=rnagan_settings("fold", "privacy"),
        seed=SEED,
        code=code("rnagan.study_synthesis"),
    script:
        "../scripts/rnagan_synthesis.py"


rule rnagan_vectors:
    input:
        expression=f"{RESULTS}/expression/{{cohort}}.h5ad",
        base=of_cohort("base"),
        model=of_cohort("model"),
    output:
        vectors=of_cohort("vectors.parquet"),
        groups=of_cohort("group_vectors.parquet"),
        neighbours=of_cohort("nearest.parquet"),
        record=of_cohort("vectors.json"),
    log:
        f"{LOGS}/rnagan_vectors/{{cohort}}.log",
    benchmark:
        f"{BENCHMARKS}/rnagan_vectors/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=one_of(RNAGAN_COHORTS),
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS.torch
    threads: 1
    resources:
        mem_mb=more_memory(4000),
        runtime=120,
    params:
        seed=SEED,
        code=code("rnagan.study_vectors"),
    script:
        "../scripts/rnagan_vectors.py"
