"""Harmonised two-sample tables (TwoSampleMR): one row per instrument, exposure and outcome."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="two_sample",
        title="harmonised two-sample table, outcome side",
        what="gwas",
        reference="doi:10.7554/eLife.34408",
        signature=("SNP", "beta.exposure", "se.exposure", "beta.outcome", "se.outcome"),
        columns={
            "rsid": ("SNP",),
            "chromosome": ("chr.outcome", "chr", "chr.exposure"),
            "position": ("pos.outcome", "pos", "pos.exposure"),
            "effect_allele": ("effect_allele.outcome",),
            "other_allele": ("other_allele.outcome",),
            "beta": ("beta.outcome",),
            "standard_error": ("se.outcome",),
            "p_value": ("pval.outcome",),
            "effect_allele_frequency": ("eaf.outcome",),
            "n": ("samplesize.outcome",),
            "n_cases": ("ncase.outcome",),
            "n_controls": ("ncontrol.outcome",),
        },
        effect_allele="effect_allele.outcome, which harmonisation has made the exposure's effect allele too",
    ),
)
