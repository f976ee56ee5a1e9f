"""Exported models over HTTP; without torch, as ``runtime`` is."""
