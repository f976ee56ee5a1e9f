"""Predictions as one page that needs no server."""
