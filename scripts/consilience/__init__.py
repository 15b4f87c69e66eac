"""Consilience: independent lines of evidence that agree.

The rooms are the stages of the workflow, and the floors go one way: a room may import only the rooms
above it in this list. foundation, study, sources, expression, pathways, (learning, rnagan, augment,
perturb, causal: later capabilities), simulate, report, cli.
"""

__version__ = "0.1.0"
