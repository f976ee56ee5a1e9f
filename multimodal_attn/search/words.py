"""Words of the command line as sequences of tokens that a rule can match."""

from __future__ import annotations

from collections.abc import Sequence

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.types import BOS, EOS, UNK


def whole_words(words: Sequence[str], tokenizer: Tokenizer, key: str) -> list[list[tuple[int, ...]]]:
    """For each word the sequences of tokens, equally long, that write it as a whole word.

    Where a space is a token of its own, "cat" stands between two of start, space and end: it is not in "category".

    Args:
        words: each a word, or several separated by spaces.
        tokenizer: of the run.
        key: of the configuration, for the error.

    Raises:
        ValueError: if a word is empty or holds what the tokenizer does not know.
    """
    sequences = [tuple(tokenizer.encode(word)) for word in words]
    unknown = [word for word, ids in zip(words, sequences, strict=True) if not ids or UNK in ids]
    if unknown:
        raise ValueError(f"{key}: {', '.join(map(repr, unknown))}; expected words of the run's vocabulary")
    space = tuple(tokenizer.encode(" "))
    if not space:
        return [[ids] for ids in sequences]
    return [[start + ids + end for start in ((BOS,), space) for end in ((EOS,), space)] for ids in sequences]
