"""Rules: what a text may not hold, and what it must. One per file, with a yaml in ``conf/search/rules``."""
