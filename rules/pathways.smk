"""
The pathway mask: which measured gene belongs to which pathway.

REQUIRES  expression/<cohort>.h5ad of all cohorts (their genes), the gene sets of the configuration
MAKES     pathways/mask.parquet   gene, pathway, collection
          pathways/coverage.json  what was kept, what was dropped and why
"""


rule pathway_mask:
    input:
        gene_sets=gene_set_files,
        genes=GENE_TABLE,
        expression=expand(
            f"{RESULTS}/expression/{{cohort}}.h5ad", cohort=EXPRESSION_COHORTS
        ),
    output:
        mask=f"{RESULTS}/pathways/mask.parquet",
        coverage=f"{RESULTS}/pathways/coverage.json",
    log:
        f"{LOGS}/pathway_mask.log",
    benchmark:
        f"{BENCHMARKS}/pathway_mask.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS.analysis
    threads: 1
    resources:
        mem_mb=more_memory(2000),
        runtime=15,
    params:
        settings=settings("pathways"),
        cohorts=EXPRESSION_COHORTS,
        code=code("pathways.mask"),
    script:
        "../scripts/pathway_mask.py"
