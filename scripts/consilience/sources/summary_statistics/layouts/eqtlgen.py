"""eQTLGen: cis-eQTLs (full or significant) and trans-eQTLs in one layout."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="eqtlgen",
        title="eQTLGen",
        what="eqtl",
        reference="doi:10.1038/s41588-021-00913-z",
        signature=("SNPChr", "AssessedAllele"),
        columns={
            "p_value": ("Pvalue",),
            "rsid": ("SNP",),
            "chromosome": ("SNPChr",),
            "position": ("SNPPos",),
            "effect_allele": ("AssessedAllele",),
            "other_allele": ("OtherAllele",),
            "z": ("Zscore",),
            "ensembl_id": ("Gene",),
            "gene": ("GeneSymbol",),
            "gene_chromosome": ("GeneChr",),
            "gene_position": ("GenePos",),
            "n": ("NrSamples",),
        },
        needs=(("p_value",), ("n",)),
        effect_allele="AssessedAllele: z is the effect of one more copy of it on expression",
    ),
)
