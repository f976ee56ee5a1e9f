"""Texts that a language model writes, from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multimodal_attn.evaluation.reading import read_text
from multimodal_attn.inspection.page.page import page_title, write_page
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
    run: Path,
    prompt: str,
    options: Mapping[str, Any],
    trust: Sequence[str] = (),
    as_json: bool = False,
    page: Path | None = None,
) -> int:
    """Prints texts that begin with a prompt, the most probable first, a line each; returns the exit status.

    Args:
        run: folder or checkpoint file of a language model.
        prompt: what they begin with; empty for nothing.
        options: by their names in ``OPTIONS``.
        trust: packages whose classes a checkpoint may name.
        as_json: print objects.
        page: where to write the inspection page, which shows each text as the model reads it, or None.
    """
    known = parameters(NucleusSampling)
    settings = {
        name: checked(f"--{option.replace('_', '-')}", options[option], known[name].annotation)
        for option, name in OPTIONS.items()
    }
    writer = load_writer(run, trust)
    found = writer(prompt, **settings)
    for written in found:
        line = {"text": written.text, "score": written.score, "complete": not written.hypothesis.hit_max_length}
        print(json.dumps(line, ensure_ascii=False) if as_json else printable(written.text), flush=True)
    shown = [read_text(writer, str(number), one.text) for number, one in enumerate(found, start=1) if page and one.text]
    if shown and page is not None:
        path = write_page(shown, page, page_title(run.name, None))
        print(f"attention page: {path}", file=sys.stderr if as_json else sys.stdout)
    return 0
