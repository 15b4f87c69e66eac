"""Bulk matrices: the common object, and plain tables."""
