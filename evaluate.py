"""Evaluates a trained run: ``python evaluate.py run=outputs/... [split=val] [search=beam search.width=5]``."""

import sys

from multimodal_attn.__main__ import main
from multimodal_attn.commands.utf8 import ensure_utf8

if __name__ == "__main__":
    ensure_utf8()
    raise SystemExit(main(["evaluate", *sys.argv[1:]]))
