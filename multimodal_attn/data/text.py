"""Normalised texts: what is trained on is what is scored, and ``text.split()`` counts words."""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHES = re.compile("[\u2018\u2019\u02bc\u2032`\u00b4]")
_LONE_APOSTROPHE = re.compile(r"(?<!\w)'+(?!\w)")


def normalize_caption(text: str) -> str:
    """Lower case, without punctuation, single spaces; the usual form of caption corpora.

    Apostrophes vanish inside their word ("man's" becomes "mans"), all other punctuation separates ("t-shirt" becomes
    "t shirt"). Each whitespace-separated piece is treated alone, so that normalising pieces keeps count of the words.
    """
    return _keep_words(_lower(text).replace("'", ""), keep="")


def normalize_transcript(text: str) -> str:
    """Lower case; keeps letters, digits and the apostrophes of words ("don't", "boys'"); single spaces."""
    # A pair of single quotation marks around something is no apostrophe, although it ends in the same character.
    text = re.sub("\u2018([^\u2018\u2019]*)\u2019(?!\\w)", r" \1 ", text)
    return " ".join(_LONE_APOSTROPHE.sub(" ", _keep_words(_lower(text), keep="'")).split())


def _lower(text: str) -> str:
    # Composed characters, so that an accent typed either way is the same word; apostrophes first, as NFKC takes
    # some of them apart into a space and an accent.
    return unicodedata.normalize("NFKC", _APOSTROPHES.sub("'", text)).lower()


def _keep_words(text: str, keep: str) -> str:
    """Letters, digits and the marks that belong to them in any script, and ``keep``; the rest turns into spaces."""
    kept = (c if c in keep or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return " ".join("".join(kept).split())
