"""Scores of what was written."""
