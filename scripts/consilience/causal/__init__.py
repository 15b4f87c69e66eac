"""Causal evidence: gene effects from population genetics (instruments, twmr, mr) and from single cells.

The latter are `denoising` and `dml`; `concordance` asks whether the two agree.
"""
