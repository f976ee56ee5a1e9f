"""Evaluates a trained run: ``python evaluate.py run=outputs/... [split=val] [search=beam search.width=5]``."""

from __future__ import annotations

import sys

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(config: DictConfig) -> None:
    from multimodal_attn.processes import joined
    from multimodal_attn.runs.evaluate import evaluate

    try:
        with joined():
            evaluate(config)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
