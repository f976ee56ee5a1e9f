"""Objectives: what is minimized, one a file."""
