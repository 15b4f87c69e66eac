"""GWAS, eQTL and LD: every layout in which they are served, as the same three tables.

The way of a cohort: `folder` tells what each file is (by `layouts`); `gwas` and `eqtl` read the associations
(`blocks` of text, `tables` of cells, `associations` of checked rows, `columns` in memory and on disk); `ld`
and `panel` (from `plink`) give the LD that `ld_table` writes; `agreement` says whether the three agree;
`prepare` is the whole. Ready TWMR inputs go another way: `twmr`, `twmr_tables`.
"""
