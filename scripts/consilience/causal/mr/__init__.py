"""Mendelian randomisation of one gene at a time."""
