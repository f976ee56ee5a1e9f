"""Recordings of any length, and those that are still going on."""
