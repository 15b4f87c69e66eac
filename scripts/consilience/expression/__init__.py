"""Expression data: gene identity, quality control, normalisation, the file that later stages read."""
