"""A GWAS table whose columns have usual names but no standard (as consortia deposit them)."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="plain",
        title="GWAS table with usual column names",
        what="gwas",
        reference="",
        signature=(
            "SNP|rsid|ID|variant_id|MarkerName|SNPID|rs_id|snp_name",
            "A1|effect_allele|EA|Allele1|alt|tested_allele|ALLELE1",
            "BETA|effect|b|OR|odds_ratio|z|zscore|log_odds",
        ),
        columns={
            "rsid": ("rsid", "rs_id", "SNP", "variant_id", "MarkerName", "SNPID", "snp_name", "ID"),
            "chromosome": ("CHR", "chromosome", "chrom", "hg19chr", "hg19chrc"),
            "position": ("POS", "BP", "position", "base_pair_location", "pos_b37", "bp_hg19", "bp_hg38"),
            "effect_allele": ("effect_allele", "EA", "tested_allele", "A1", "Allele1", "ALLELE1", "alt"),
            "other_allele": (
                "other_allele",
                "non_effect_allele",
                "NEA",
                "OA",
                "A2",
                "Allele2",
                "ALLELE0",
                "ref",
            ),
            "beta": ("BETA", "effect", "b", "log_odds"),
            "odds_ratio": ("OR", "odds_ratio"),
            "standard_error": ("SE", "StdErr", "standard_error", "stderr"),
            "z": ("z", "zscore", "z_score"),
            "p_value": ("P", "p_value", "pval", "pvalue", "p-value", "p.value"),
            "neg_log10_p": ("log10p", "neg_log10_p", "mlogp"),
            "effect_allele_frequency": ("effect_allele_frequency", "EAF", "Freq", "freq1", "FRQ", "AF1"),
            "n": ("N", "n_total", "sample_size", "TotalN"),
            "n_cases": ("N_cases", "n_case", "Nca", "cases"),
            "n_controls": ("N_controls", "n_control", "Nco", "controls"),
            "info": ("INFO",),
        },
        effect_allele="the first of effect_allele, EA, tested_allele, A1, Allele1, ALLELE1, alt there is "
        "(an assumption: the file's own description decides)",
        last_resort=True,
    ),
)
