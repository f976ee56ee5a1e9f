"""Text files and normalized texts: what is trained on is what is scored, and ``text.split()`` counts words."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from multimodal_attn.types import UnreadableError

_APOSTROPHES = re.compile("[\u2018\u2019\u02bc\u2032`\u00b4]")
_LONE_APOSTROPHE = re.compile(r"(?<!\w)'+(?!\w)")
_SPACED = re.compile(r"#\w+#|\d+(?:[.,:/]\d+)+|'?\w+|[^\w\s]")
# What is not seen and parts no words: soft hyphens, joiners, marks of direction, variation selectors, fillers, the rim
# of a key. The zero-width space is not among them: it stands between words.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c-\u200f\u202a-\u202e\u2060-\u206f\u20dd-\u20e4"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_LARGEST = 1 << 31  # bytes of a text file: what is larger is none, or does not fit into memory as text


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


def normalize_spaced(text: str) -> str:
    """Lower case, with a space around every mark of punctuation; the usual form of summaries.

    "Mr. Brown's" becomes "mr . brown 's", so that a name is one word wherever it stands. Numbers such as 3:30 and 1,000
    stay whole, and so do the names of speakers between hashes.
    """
    text = _lower(text)
    return " ".join(text[slice(*found.span())] for found in _SPACED.finditer(_without_marks(text)))


def single_spaces(text: str) -> str:
    """The text as it is, but for white space and words that nobody sees: case and punctuation stay."""
    words = text.split()
    return " ".join(word for word in words if _INVISIBLE.sub("", word)) if _INVISIBLE.search(text) else " ".join(words)


Normalization = Literal["caption", "transcript", "spaced", "none"]
NORMALIZERS: dict[Normalization, Callable[[str], str]] = {
    "caption": normalize_caption,
    "transcript": normalize_transcript,
    "spaced": normalize_spaced,
    "none": single_spaces,
}


def prepared(text: str, normalization: Normalization, max_tokens: int | None) -> str:
    """A text as a model reads it: normalized, and cut off after so many words; None for no limit."""
    text = NORMALIZERS[normalization](text)
    return text if max_tokens is None else " ".join(text.split()[:max_tokens])


def read_text(path: str | Path) -> str:
    """The content of a UTF-8 text file, with or without a signature at its beginning.

    Raises:
        UnreadableError: if it cannot be read, or is no such text; names the line.
    """
    try:
        with open(path, "rb") as file:
            # No more than there is, as memory is set aside for all that is asked for; the size of a pipe is not known.
            content = file.read(min(_LARGEST, os.fstat(file.fileno()).st_size + 1) if file.seekable() else _LARGEST)
    except OSError as error:
        raise UnreadableError(str(path), f"cannot be read ({error.strerror})") from None
    if len(content) == _LARGEST:
        raise UnreadableError(str(path), f"has more than {_LARGEST:,} bytes; expected a text file")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError(str(path), "is UTF-16; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x}"
        raise UnreadableError(f"{path}:{line}", f"is not UTF-8 ({found}; is it Latin-1?); save it as UTF-8") from None
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise UnreadableError(f"{path}:{line}", "has a NUL character; expected UTF-8 text")
    return text


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text file, without white space around them; raises as ``read_text`` does."""
    # Not splitlines(): it also breaks at what stands within the lines of large corpora, such as U+2028, U+0085 and a
    # lone carriage return, and every line of a parallel corpus after it would be wrong.
    lines = read_text(path).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.strip() for line in lines]


def listed_lines(path: Path, option: str, expected: str) -> list[str]:
    """The same, for a file without which there is no data set.

    Args:
        path: of the file.
        option: key of the configuration that led there.
        expected: what the file should have been.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        return read_lines(path)
    except UnreadableError as error:
        raise ValueError(f"{option}: '{error.path}' {error.reason}; expected {expected}") from None


def _lower(text: str) -> str:
    # Composed characters, so that an accent typed either way is the same word; apostrophes first, as NFKC takes
    # some of them apart into a space and an accent. The dot of a Turkish capital would be left as a mark on the i.
    visible = _INVISIBLE.sub("", _APOSTROPHES.sub("'", text))
    return unicodedata.normalize("NFKC", visible).replace("\u0130", "i").lower()


def _without_marks(text: str) -> str:
    """The text with a letter in place of every mark that belongs to a word: to patterns, marks are no part of words."""
    if text.isascii():
        return text
    plain: list[str] = []
    before = " "
    for character in text:
        marks = unicodedata.category(character)[0] == "M" and (before.isalnum() or before == "_")
        before = "a" if marks else character
        plain.append(before)
    return "".join(plain)


def _keep_words(text: str, keep: str) -> str:
    """Letters, digits and the marks that belong to them in any script, and ``keep``; the rest turns into spaces."""
    kept: list[str] = []
    before = " "
    for character in text:
        kind = unicodedata.category(character)[0]
        if not (character in keep or kind in "LN" or (kind == "M" and before != " ")):
            character = " "  # a mark with nothing to stand on, too
        kept.append(character)
        before = character
    return " ".join("".join(kept).split())
