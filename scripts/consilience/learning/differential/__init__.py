"""Which genes differ between two kinds of donors: one simple, well-known method per file."""
