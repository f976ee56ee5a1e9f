"""Rules: what a text may not hold, and what it must. One a file, with a yaml in ``conf/search/rules``."""
