"""Whether a word depends on what it attended to."""
