"""Evaluations of runs: what they write, say and how they compare."""
