"""METAL: meta-analysis by inverse variances (Effect, StdErr) or by sample size (Weight, Zscore)."""

from consilience.sources.summary_statistics.layout import Layout

_COMMON = {
    "rsid": ("MarkerName",),
    "chromosome": ("Chromosome", "CHR", "Chr"),
    "position": ("Position", "POS", "BP"),
    "effect_allele": ("Allele1",),
    "other_allele": ("Allele2",),
    "effect_allele_frequency": ("Freq1",),
    "p_value": ("P-value", "P.value"),
}
LAYOUTS = (
    Layout(
        key="metal",
        title="METAL (inverse variances)",
        what="gwas",
        reference="doi:10.1093/bioinformatics/btq340",
        signature=("MarkerName", "Allele1", "Allele2", "Effect", "StdErr"),
        columns=_COMMON
        | {
            "beta": ("Effect",),
            "standard_error": ("StdErr",),
            "n": ("N", "TotalSampleSize", "n_total", "Weight"),
        },
        effect_allele="Allele1, by METAL's documentation",
    ),
    Layout(
        key="metal_z",
        title="METAL (sample sizes)",
        what="gwas",
        reference="doi:10.1093/bioinformatics/btq340",
        signature=("MarkerName", "Allele1", "Allele2", "Weight", "Zscore"),
        columns=_COMMON | {"z": ("Zscore",), "n": ("N", "TotalSampleSize", "Weight")},
        effect_allele="Allele1, by METAL's documentation",
    ),
)
