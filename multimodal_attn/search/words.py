"""Words of the command line as sequences of tokens that a rule can match."""

from __future__ import annotations

from collections.abc import Sequence

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.types import BOS, EOS, UNK, Memory


def tokenizers_of(memory: Memory, tokenizer: Tokenizer) -> list[Tokenizer]:
    """Of each source the tokenizer that knows its words, too; a single one where the run's own serves all of them."""
    return [tokenizer.of_source(text) for text in memory.source_texts] or [tokenizer]


def whole_words(
    words: Sequence[str], tokenizer: Tokenizer, key: str, of_source: bool = True
) -> list[list[tuple[int, ...]]]:
    """For each word the sequences of tokens, equally long, that write it as a whole word.

    Where a space is a token of its own, "cat" stands between two of start, space and end: it is not in "category".

    Args:
        words: each a word, or several separated by spaces.
        tokenizer: of the run, or of a source.
        key: of the configuration, for the error.
        of_source: whether the tokenizer knows the source, if it copies: it then has to know every word.

    Raises:
        ValueError: if a word is empty or holds what the tokenizer does not know.
    """
    sequences = [tuple(tokenizer.encode(word)) for word in words]
    known = of_source or not tokenizer.copies
    unknown = [word for word, ids in zip(words, sequences, strict=True) if not ids or (known and UNK in ids)]
    if unknown:
        raise ValueError(f"{key}: {', '.join(map(repr, unknown))}; expected {known_words(tokenizer)}")
    space = tuple(tokenizer.encode(" "))
    if not space:
        return [[ids] for ids in sequences]
    return [[start + ids + end for start in ((BOS,), space) for end in ((EOS,), space)] for ids in sequences]


def known_words(tokenizer: Tokenizer) -> str:
    """What a rule may ask for, for errors."""
    return "words of the run's vocabulary" + " or of every source" * tokenizer.copies
