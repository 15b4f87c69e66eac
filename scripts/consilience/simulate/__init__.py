"""The planted-truth study: raw files, as real sources serve them, of data whose truth is known."""
