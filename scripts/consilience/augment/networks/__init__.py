"""Networks of the generators that have one."""
