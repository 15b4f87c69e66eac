"""Double machine learning: the effect of a gene's expression on disease, in each cell type."""
