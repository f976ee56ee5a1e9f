"""Names in texts with capital letters: words that no grammar has capitalized."""

from __future__ import annotations

import re

_WORD = re.compile(r"(?<![\w#])[^\W\d_]+(?![\w#])")  # not that of a speaker between hashes
_OPENING = re.compile(r"""[\s"'“”‘’(\[*-]*\Z""")  # what may stand between the end of a sentence and its first word
_ENDS = (".", "!", "?", ":", ";", "…")
_TITLES = ("Mr", "Mrs", "Ms", "Dr", "Prof", "St")  # their full stop ends no sentence
_TITLE = re.compile(rf"\b(?:{'|'.join(_TITLES)})\.\Z")


def names(text: str) -> set[str]:
    """Words with an upper-case letter and a lower-case one behind it that do not begin a sentence.

    Days, months and languages are among them; "I", "OK" and other abbreviations are not, nor are "Mr" and other titles,
    nor is a name that only ever begins a sentence.
    """
    found = set()
    for match in _WORD.finditer(text):
        word = match[0]
        if len(word) < 2 or not (word[0].isupper() and word[1].islower()) or word in (*_TITLES, *found):
            continue
        before = _OPENING.sub("", text[max(0, match.start() - 20) : match.start()])
        if before and (not before.endswith(_ENDS) or _TITLE.search(before)):
            found.add(word)
    return found
