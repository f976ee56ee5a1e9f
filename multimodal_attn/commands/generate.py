"""Texts that a language model writes, from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from multimodal_attn.evaluation.reading import read_text
from multimodal_attn.inspection.page.page import page_title, write_page
from multimodal_attn.parts import checked, parameters
from multimodal_attn.runs.language_model import load_writer
from multimodal_attn.runs.printable import printable
from multimodal_attn.search.sampling import NucleusSampling


def generate(
    run: Path,
    prompt: str = "",
    samples: int = 5,
    temperature: float = 1.0,
    top_p: float = 0.9,
    seed: int = 0,
    max_length: int = 200,
    trust: Sequence[str] = (),
    as_json: bool = False,
    page: Path | None = None,
) -> int:
    """Prints texts that begin with a prompt, the most probable first, a line each; returns the exit status.

    Args:
        run: folder or checkpoint file of a language model.
        prompt: what they begin with; empty for nothing.
        samples: how many texts.
        temperature, top_p, seed, max_length: of ``NucleusSampling``.
        trust: packages whose classes a checkpoint may name.
        as_json: print objects.
        page: where to write the inspection page, which shows each text as the model reads it, or None.
    """
    known = parameters(NucleusSampling)
    for option, name, value in (
        ("--samples", "num_samples", samples),
        ("--temperature", "temperature", temperature),
        ("--top-p", "top_p", top_p),
        ("--seed", "seed", seed),
        ("--max-length", "max_length", max_length),
    ):
        checked(option, value, known[name].annotation)
    writer = load_writer(run, trust)
    found = writer(prompt, samples, temperature, top_p, seed, max_length)
    for written in found:
        line = {"text": written.text, "score": written.score, "complete": not written.hypothesis.hit_max_length}
        print(json.dumps(line, ensure_ascii=False) if as_json else printable(written.text), flush=True)
    shown = [read_text(writer, str(number), one.text) for number, one in enumerate(found, start=1) if page and one.text]
    if shown and page is not None:
        path = write_page(shown, page, page_title(run.name, None))
        print(f"attention page: {path}", file=sys.stderr if as_json else sys.stdout)
    return 0
