"""RNAGAN: train once, get four (diagnosis, markers, synthetic samples, vectors)."""
