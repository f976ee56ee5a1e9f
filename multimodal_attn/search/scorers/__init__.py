"""Scorers: who judges texts beside the decoder. One a file, with a yaml in ``conf/search/scorers``."""
