"""GCTA: what fastGWA writes, and the plain .ma table that its other programs read."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="fastgwa",
        title="fastGWA",
        what="gwas",
        reference="doi:10.1038/s41588-019-0530-8",
        signature=("CHR", "SNP", "POS", "A1", "A2", "AF1", "BETA", "SE"),
        columns={
            "rsid": ("SNP",),
            "chromosome": ("CHR",),
            "position": ("POS",),
            "effect_allele": ("A1",),
            "other_allele": ("A2",),
            "n": ("N",),
            "effect_allele_frequency": ("AF1",),
            "beta": ("BETA",),
            "standard_error": ("SE",),
            "p_value": ("P",),
            "info": ("INFO",),
        },
        effect_allele="A1, by GCTA's documentation",
    ),
    Layout(
        key="gcta_ma",
        title="GCTA .ma",
        what="gwas",
        reference="doi:10.1038/ng.2213",
        signature=("SNP", "A1", "A2", "freq", "b", "se", "p", "N"),
        columns={
            "rsid": ("SNP",),
            "effect_allele": ("A1",),
            "other_allele": ("A2",),
            "effect_allele_frequency": ("freq",),
            "beta": ("b",),
            "standard_error": ("se",),
            "p_value": ("p",),
            "n": ("N",),
        },
        effect_allele="A1, by GCTA's documentation",
    ),
)
