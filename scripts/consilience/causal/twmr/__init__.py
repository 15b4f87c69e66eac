"""Transcriptome-wide Mendelian randomisation: several genes of a locus at once."""
