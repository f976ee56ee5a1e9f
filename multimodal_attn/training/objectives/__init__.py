"""Objectives: what is minimized, one per file."""
