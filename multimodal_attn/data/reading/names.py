"""Names in texts with capital letters: words that no grammar has capitalized."""

from __future__ import annotations

import re

_WORD = re.compile(r"(?<![\w#])[^\W\d_]{2,}(?![\w#])")  # not that of a speaker between hashes
_OPENING = re.compile(r"""[\s"'“”‘’(\[*-]*\Z""")  # what may stand between the end of a sentence and its first word
_ENDS = (".", "!", "?", ":", ";", "…")
_TITLES = ("Mr", "Mrs", "Ms", "Dr", "Prof", "St")  # their full stop ends no sentence
_TITLE = re.compile(rf"\b(?:{'|'.join(_TITLES)})\.\Z")


def names(*texts: str) -> set[str]:
    """Words with an upper-case letter and a lower-case one after it that do not begin a sentence in all places, and
    that no text has in lower case.

    Days, months and languages are among them; "I", "OK" and other abbreviations are not, nor are "Mr" and other titles,
    nor is a name that only ever begins a sentence.
    """
    words = {word for text in texts for word in _WORD.findall(text)}
    likely = [w for w in words if w[0].isupper() and w[1].islower() and w not in _TITLES and w.lower() not in words]
    return {word for word in likely if any(_stands_within(word, text) for text in texts)}


def _stands_within(word: str, text: str) -> bool:
    """Whether a word stands somewhere else than at the beginning of a sentence."""
    place = text.find(word)
    while place >= 0:
        after = place + len(word)
        whole = not (text[max(0, place - 1) : place].isalpha() or text[after : after + 1].isalpha())
        before = _OPENING.sub("", text[max(0, place - 20) : place])
        if whole and before and (not before.endswith(_ENDS) or _TITLE.search(before)):
            return True
        place = text.find(word, after)
    return False
