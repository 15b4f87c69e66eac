"""Harmonised files of the GWAS Catalog before GWAS-SSF: their harmonised columns begin with hm_."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="gwas_catalog_harmonised",
        title="GWAS Catalog, harmonised (hm_ columns)",
        what="gwas",
        reference="https://www.ebi.ac.uk/gwas/docs/methods/summary-statistics",
        signature=("hm_chrom", "hm_pos", "hm_effect_allele"),
        columns={
            "rsid": ("hm_rsid",),
            "chromosome": ("hm_chrom",),
            "position": ("hm_pos",),
            "effect_allele": ("hm_effect_allele",),
            "other_allele": ("hm_other_allele",),
            "beta": ("hm_beta",),
            "odds_ratio": ("hm_odds_ratio",),
            "standard_error": ("standard_error",),
            "ci_lower": ("hm_ci_lower",),
            "ci_upper": ("hm_ci_upper",),
            "p_value": ("p_value",),
            "effect_allele_frequency": ("hm_effect_allele_frequency",),
            "n": ("n", "sample_size"),
            "n_cases": ("n_cases", "num_cases"),
            "n_controls": ("n_controls", "num_controls"),
        },
        effect_allele="hm_effect_allele: effects were turned to the alternative allele by the Catalog",
        build="GRCh38",
    ),
)
