"""eQTL Catalogue: uniformly computed eQTLs of many studies."""

from consilience.sources.summary_statistics.layout import Layout

LAYOUTS = (
    Layout(
        key="eqtl_catalogue",
        title="eQTL Catalogue",
        what="eqtl",
        reference="doi:10.1038/s41588-021-00924-w",
        signature=("molecular_trait_id", "variant", "beta", "pvalue"),
        columns={
            "rsid": ("rsid",),
            "variant": ("variant",),
            "chromosome": ("chromosome",),
            "position": ("position",),
            "effect_allele": ("alt",),
            "other_allele": ("ref",),
            "beta": ("beta",),
            "standard_error": ("se",),
            "p_value": ("pvalue",),
            "alleles_counted": ("an",),
            "n": ("n", "n_samples"),
            "ensembl_id": ("gene_id", "molecular_trait_id"),
            "gene": ("gene_name",),
        },
        effect_allele="alt; people = an / 2 where no column n is",
        build="GRCh38",
    ),
)
