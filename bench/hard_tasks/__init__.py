"""A reusable benchmark of hard two-class questions made from the kit of public data."""
