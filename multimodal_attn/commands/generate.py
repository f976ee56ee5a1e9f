"""Texts that a language model writes, from the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multimodal_attn.parts import checked, parameters
from multimodal_attn.runs.language_model import load_writer
from multimodal_attn.runs.printable import printable
from multimodal_attn.search.sampling import NucleusSampling

OPTIONS = {
    "samples": "num_samples",
    **{name: name for name in ("temperature", "top_p", "seed", "max_length")},
}
"""Of the command line, and what sampling calls them."""


def generate(
    run: Path, prompt: str, options: Mapping[str, Any], trust: Sequence[str] = (), as_json: bool = False
) -> int:
    """Prints texts that begin with a prompt, the most probable first, a line each; returns the exit status.

    Args:
        run: folder or checkpoint file of a language model.
        prompt: what they begin with; empty for nothing.
        options: by their names in ``OPTIONS``.
        trust: packages whose classes a checkpoint may name.
        as_json: print objects.
    """
    known = parameters(NucleusSampling)
    settings = {
        name: checked(f"--{option.replace('_', '-')}", options[option], known[name].annotation)
        for option, name in OPTIONS.items()
    }
    for written in load_writer(run, trust)(prompt, **settings):
        line = {"text": written.text, "score": written.score, "complete": not written.hypothesis.hit_max_length}
        print(json.dumps(line, ensure_ascii=False) if as_json else printable(written.text), flush=True)
    return 0
