"""Evaluates a trained run: ``python evaluate.py run=outputs/... [split=val] [search=beam search.width=5]``."""

import sys

from multimodal_attn.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(["evaluate", *sys.argv[1:]]))
