"""Blocks that several parts are made of."""
