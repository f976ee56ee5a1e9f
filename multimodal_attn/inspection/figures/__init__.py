"""Predictions as matplotlib figures."""
