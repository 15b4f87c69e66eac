"""GWAS-SSF, the GWAS Catalog's standard: version 1 and the earlier one without rsid."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="gwas_ssf",
        title="GWAS-SSF",
        what="gwas",
        reference="doi:10.1101/2022.07.15.500230",
        signature=("chromosome", "base_pair_location"),
        columns={
            "rsid": ("rsid", "rs_id", "variant_id"),
            "chromosome": ("chromosome",),
            "position": ("base_pair_location",),
            "effect_allele": ("effect_allele",),
            "other_allele": ("other_allele",),
            "beta": ("beta",),
            "odds_ratio": ("odds_ratio",),
            "standard_error": ("standard_error",),
            "ci_lower": ("ci_lower",),
            "ci_upper": ("ci_upper",),
            "z": ("z_score", "zscore"),
            "p_value": ("p_value",),
            "neg_log10_p": ("neg_log_10_p_value",),
            "effect_allele_frequency": ("effect_allele_frequency",),
            "n": ("n", "sample_size"),
            "n_cases": ("n_cases", "num_cases"),
            "n_controls": ("n_controls", "num_controls"),
            "info": ("info",),
        },
        effect_allele="effect_allele, by the standard",
        needs=(("p_value", "neg_log10_p"),),
    ),
)
