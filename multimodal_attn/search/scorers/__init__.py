"""Scorers: what judges texts beside the decoder. One per file, with a yaml in ``conf/search/scorers``."""
