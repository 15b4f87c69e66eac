"""An eQTL table whose columns have usual names but no standard."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="plain_eqtl",
        title="eQTL table with usual column names",
        what="eqtl",
        reference="",
        signature=(
            "gene|gene_id|ensembl_id|probe",
            "SNP|rsid|variant_id|snps",
            "effect_allele|EA|A1|assessed_allele|alt",
            "BETA|effect|b|z|zscore|slope",
        ),
        columns={
            "rsid": ("rsid", "SNP", "snps", "variant_id"),
            "chromosome": ("CHR", "chromosome", "chrom", "snp_chr"),
            "position": ("POS", "BP", "position", "snp_pos"),
            "effect_allele": ("effect_allele", "EA", "assessed_allele", "A1", "alt"),
            "other_allele": ("other_allele", "NEA", "OA", "A2", "ref"),
            "beta": ("BETA", "effect", "b", "slope"),
            "standard_error": ("SE", "standard_error", "slope_se", "stderr"),
            "z": ("z", "zscore", "z_score"),
            "p_value": ("P", "p_value", "pval", "pvalue", "pval_nominal"),
            "effect_allele_frequency": ("effect_allele_frequency", "EAF"),
            "n": ("N", "n_samples", "sample_size"),
            "ensembl_id": ("ensembl_id", "gene_id", "gene", "probe"),
            "gene": ("gene_symbol", "gene_name", "symbol"),
        },
        effect_allele="the first of effect_allele, EA, assessed_allele, A1, alt that is there "
        "(an assumption: the file's own description decides)",
        last_resort=True,
    ),
)
