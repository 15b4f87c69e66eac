"""From summary statistics to the instruments of each gene."""
