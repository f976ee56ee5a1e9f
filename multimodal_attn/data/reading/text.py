"""Normalized texts: what is trained on is what is scored, and ``text.split()`` counts words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from multimodal_attn.types import UnreadableError

_APOSTROPHES = re.compile("[\u2018\u2019\u02bc\u2032`\u00b4]")
_LONE_APOSTROPHE = re.compile(r"(?<!\w)'+(?!\w)")


def normalize_caption(text: str) -> str:
    """Lower case, without punctuation, single spaces; the usual form of caption corpora.

    Apostrophes vanish inside their word ("man's" becomes "mans"), all other punctuation separates ("t-shirt" becomes
    "t shirt"). Each whitespace-separated piece is treated alone, so that normalizing pieces keeps count of the words.
    """
    return _keep_words(_lower(text).replace("'", ""), keep="")


def normalize_transcript(text: str) -> str:
    """Lower case; keeps letters, digits and the apostrophes of words ("don't", "boys'"); single spaces."""
    # A pair of single quotation marks around something is no apostrophe, although it ends in the same character.
    text = re.sub("\u2018([^\u2018\u2019]*)\u2019(?!\\w)", r" \1 ", text)
    return " ".join(_LONE_APOSTROPHE.sub(" ", _keep_words(_lower(text), keep="'")).split())


def single_spaces(text: str) -> str:
    """The text as it is, but for white space: case and punctuation stay."""
    return " ".join(text.split())


Normalization = Literal["caption", "transcript", "none"]
NORMALIZERS: dict[Normalization, Callable[[str], str]] = {
    "caption": normalize_caption,
    "transcript": normalize_transcript,
    "none": single_spaces,
}


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text file, with single spaces; blank ones are empty.

    Raises:
        UnreadableError: if it cannot be read.
    """
    try:
        # Neither splitlines() nor universal newlines: they also break at what stands within the lines of large corpora,
        # such as U+2028 and a lone carriage return, and every pair of a parallel corpus after it would be wrong.
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            lines = file.read().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(str(path), f"not a readable text ({error})") from None
    if not lines[-1]:
        lines.pop()
    return [single_spaces(line) for line in lines]


def _lower(text: str) -> str:
    # Composed characters, so that an accent typed either way is the same word; apostrophes first, as NFKC takes
    # some of them apart into a space and an accent.
    return unicodedata.normalize("NFKC", _APOSTROPHES.sub("'", text)).lower()


def _keep_words(text: str, keep: str) -> str:
    """Letters, digits and the marks that belong to them in any script, and ``keep``; the rest turns into spaces."""
    kept = (c if c in keep or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return " ".join("".join(kept).split())
