"""Which words of a text are hidden from an encoder that is to tell what they are (Devlin et al. 2019, BERT)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from multimodal_attn.data.tokenizers import SPECIAL_PIECES, Tokenizer
from multimodal_attn.ranges import PositiveShare, Share
from multimodal_attn.types import MASK, UNK

VALIDATION = "val"
"""In the place of an epoch, for draws that never change."""


class Masked(NamedTuple):
    """A text as it is read.

    Attributes:
        tokens: some of them not those of the text.
        words: first token and one past the last token of each word that is to be told.
    """

    tokens: list[int]
    words: list[tuple[int, int]]


@dataclass(frozen=True)
class WordMasking:
    """Whole words: all tokens of one, or none. Words that the vocabulary lacks are left alone.

    Args:
        share: of a text's words, those that are to be told; at least one.
        masked: of these, those of which each token is replaced by <mask>.
        random: of these, those of which each token is replaced by any of the vocabulary; the rest is read as it is.

    Raises:
        ValueError: if the two are more than all.
    """

    share: PositiveShare = 0.15
    masked: Share = 0.8
    random: Share = 0.1

    def __post_init__(self) -> None:
        if self.masked + self.random > 1 + 1e-9:
            raise ValueError(
                f"masking.random: {self.random:g}; expected at most {1 - self.masked:g}, as masking.masked is"
                f" {self.masked:g}"
            )

    def __call__(self, tokens: list[int], tokenizer: Tokenizer, random: Random) -> Masked:
        """Hides some words.

        Args:
            tokens: of a text, without <bos> and <eos>.
            tokenizer: that they are of.
            random: draws which, and what takes their place.
        """
        words = [(first, stop) for first, stop in tokenizer.word_spans(tokens) if UNK not in tokens[first:stop]]
        if not words:
            return Masked(list(tokens), [])
        chosen = sorted(random.sample(words, max(1, round(self.share * len(words)))))
        read = list(tokens)
        for first, stop in chosen:
            draw = random.random()
            for index in range(first, stop):
                if draw < self.masked:
                    read[index] = MASK
                elif draw < self.masked + self.random:
                    read[index] = random.randrange(len(SPECIAL_PIECES), len(tokenizer))
        return Masked(read, chosen)


def draws(seed: int, epoch: str, key: str) -> Random:
    """The random numbers of a text in an epoch of a run."""
    return Random(f"{seed}-{epoch}-{key}")
