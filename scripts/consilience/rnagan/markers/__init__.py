"""Signed effects of genes and pathways: one attribution per file, then agreement, error rates, stability."""
