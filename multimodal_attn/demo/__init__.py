"""A page to try models on."""
