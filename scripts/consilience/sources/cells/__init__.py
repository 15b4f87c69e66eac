"""Single cells: every file format in which counts of cells are served, read in blocks."""
