"""Forms of the same mathematics that exist only to be fast."""
