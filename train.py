"""Trains a model: ``python train.py [group=choice] [any.value=...]``; ``--help`` lists both."""

import sys

from multimodal_attn.__main__ import main
from multimodal_attn.commands.utf8 import ensure_utf8

if __name__ == "__main__":
    ensure_utf8()
    raise SystemExit(main(["train", *sys.argv[1:]]))
