"""GDC: queries, manifests, downloads, and how its files are read."""
