"""GTEx: significant pairs and all pairs of a tissue (FastQTL, tensorQTL), as text or parquet."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="gtex",
        title="GTEx variant-gene pairs",
        what="eqtl",
        reference="doi:10.1126/science.aaz1776",
        signature=("variant_id", "gene_id|phenotype_id", "slope", "slope_se", "pval_nominal"),
        columns={
            "variant": ("variant_id",),
            "rsid": ("rs_id_dbSNP151_GRCh38p7", "rs_id_dbSNP155_GRCh38p13", "rsid"),
            "ensembl_id": ("gene_id", "phenotype_id"),
            "gene": ("gene_name",),
            "beta": ("slope",),
            "standard_error": ("slope_se",),
            "p_value": ("pval_nominal",),
            "minor_count": ("ma_count",),
            "minor_frequency": ("maf",),
            "n": ("n", "n_samples"),
        },
        effect_allele="ALT, the second allele of variant_id; people = ma_count / (2 maf) without a column n",
    ),
)
