"""GEO: what a series offers, and how its files are read."""
