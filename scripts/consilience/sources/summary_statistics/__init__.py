"""GWAS, eQTL and LD: every layout in which they are served, as the same three tables."""
