"""The gaps of texts, filled by a masked language model from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from multimodal_attn.parts import checked
from multimodal_attn.ranges import BeamWidth
from multimodal_attn.runs.masked_language_model import load_cloze
from multimodal_attn.runs.printable import printable


def cloze(run: Path, texts: Sequence[str], candidates: int, trust: Sequence[str] = (), as_json: bool = False) -> int:
    """Prints each text, and for each of its gaps a line of words with their probabilities; returns the exit status.

    What the model does not know goes to standard error.

    Args:
        run: folder or checkpoint file of a masked language model.
        texts: with ``___`` for each hidden word.
        candidates: words for each gap.
        trust: packages whose classes a checkpoint may name.
        as_json: print an object for each text.
    """
    checked("--candidates", candidates, BeamWidth)
    filler = load_cloze(run, trust=trust)
    for text in texts:
        found = filler(text, candidates)
        if unknown := filler.unknown_words(text):
            print(f"not in the vocabulary, and read as <unk>: {printable(' '.join(unknown))}", file=sys.stderr)
        if as_json:
            print(json.dumps({"text": text, "candidates": found.candidates}, ensure_ascii=False), flush=True)
            continue
        print(text)
        for offered in found.candidates:
            print("  " + "  ".join(f"{word} {100 * probability:.0f} %" for word, probability in offered), flush=True)
    return 0
