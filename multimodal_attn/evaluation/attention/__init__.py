"""Scores of where a model looked, beside their baselines."""
