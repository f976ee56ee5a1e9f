"""Trains a model: ``python train.py [group=choice] [any.value=...]``; ``--help`` lists both."""

import sys

from multimodal_attn.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(["train", *sys.argv[1:]]))
