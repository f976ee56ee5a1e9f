"""Words of the command line as sequences of tokens that a constraint can match."""

from __future__ import annotations

from collections.abc import Sequence

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.types import BOS, EOS, UNK


def token_sequences(words: Sequence[str], tokenizer: Tokenizer, key: str) -> list[tuple[int, ...]]:
    """The tokens that write each word.

    Args:
        words: each a word, or several separated by spaces.
        tokenizer: of the run.
        key: of the configuration, for the error.

    Raises:
        ValueError: if a word is empty or holds what the tokenizer does not know.
    """
    sequences = [tuple(tokenizer.encode(str(word))) for word in words]
    unknown = [str(word) for word, ids in zip(words, sequences, strict=True) if not ids or UNK in ids]
    if unknown:
        raise ValueError(f"{key}: {', '.join(map(repr, unknown))}; expected words of the run's vocabulary")
    return sequences


def forbidden_sequences(words: Sequence[str], tokenizer: Tokenizer, key: str) -> list[tuple[int, ...]]:
    """The sequences of tokens that would write one of ``words`` as a whole word.

    Where a space is a token of its own, "cat" is forbidden between two of start, space and end, and "category" is not.
    """
    sequences = token_sequences(words, tokenizer, key)
    space = tuple(tokenizer.encode(" "))
    if not space:
        return sequences
    return [start + ids + end for ids in sequences for start in ((BOS,), space) for end in ((EOS,), space)]
