"""The report: typed access to a study's results, sections that tell them, and one self-contained page."""
