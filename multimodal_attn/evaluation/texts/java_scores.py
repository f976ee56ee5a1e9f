"""METEOR and SPICE of captions, by the programs that published numbers come from; they need Java."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multimodal_attn.evaluation.texts.base import check_pairs
from multimodal_attn.evaluation.texts.ptb import ptb_tokenize
from multimodal_attn.first_line import first_line

JAVA_SCORES = ("meteor", "spice")
_PARSER = "stanford-corenlp-3.6.0.jar"


def java_scores(
    names: Sequence[str], hypotheses: list[str], references: list[list[str]]
) -> tuple[dict[str, float], list[str]]:
    """METEOR (Denkowski & Lavie 2014) and SPICE (Anderson et al. 2016), as fractions.

    Both sides are tokenized as for the other scores.

    Args:
        names: "meteor", "spice" or both.
        hypotheses: one text for each source.
        references: one or more texts for each source.

    Returns:
        The scores, and for each that could not be computed a line that says why.

    Raises:
        ValueError: as ``CaptionScores`` does.
    """
    check_pairs(hypotheses, references)
    truth = {index: [ptb_tokenize(text) for text in texts] for index, texts in enumerate(references)}
    written = {index: [ptb_tokenize(text)] for index, text in enumerate(hypotheses)}
    scores: dict[str, float] = {}
    missing: list[str] = []
    for name in names:
        try:
            scores[name] = float(_scorer(name).compute_score(truth, written)[0])
        except Exception as error:  # what an evaluation has computed so far must not be lost to somebody else's program
            missing.append(f"extra_scores: {name} is left out: {first_line(error)}")
    return scores, missing


def _scorer(name: str) -> Any:
    if importlib.util.find_spec("pycocoevalcap") is None:
        raise RuntimeError("the package pycocoevalcap is missing; pip install pycocoevalcap")
    if shutil.which("java") is None:
        raise RuntimeError("there is no java to run; install a Java runtime (8 or newer)")
    module = importlib.import_module(f"pycocoevalcap.{name}.{name}")
    # The package would fetch a parser of 400 MB the first time; what is downloaded is for the user to say.
    if name == "spice" and not (Path(str(module.__file__)).parent / "lib" / _PARSER).is_file():
        raise RuntimeError(
            f"its parser {_PARSER} is missing; python -m pycocoevalcap.spice.get_stanford_models gets it"
        )
    return getattr(module, name.capitalize())()
