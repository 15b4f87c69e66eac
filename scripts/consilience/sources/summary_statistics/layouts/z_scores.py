"""Tables of z-scores: a variant, two alleles and z, as fine-mapping and TWAS programs read them."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="z_scores",
        title="z-scores",
        what="gwas",
        reference="doi:10.1038/s41588-023-01648-9",
        signature=("id|snp|rsid|variant_id", "A1", "A2", "z|zscore|z_score"),
        columns={
            "rsid": ("id", "SNP", "rsid", "variant_id"),
            "chromosome": ("chrom", "chr", "chromosome"),
            "position": ("pos", "bp", "position"),
            "effect_allele": ("A1",),
            "other_allele": ("A2",),
            "z": ("z", "zscore", "z_score"),
            "p_value": ("p", "pval", "p_value"),
            "n": ("n", "ss", "sample_size"),
        },
        effect_allele="A1 (taken to be the counted allele, as in ctwas and LD score regression)",
    ),
)
