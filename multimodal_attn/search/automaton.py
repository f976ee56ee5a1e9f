"""Sequences of tokens that a text must hold: how far it has come with each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

from multimodal_attn.types import BOS


class Automaton:
    """How many tokens of each of A sequences a text ends in, by tables (Knuth, Morris & Pratt 1977).

    A sequence that breaks off counts as far as the text still ends in its beginning. Of the sequences that are not
    there yet, the one that is furthest counts.

    Args:
        words: for each source, or once for all, of each word the sequences of tokens that write it, one of which must
            occur; A of all words together. They may start with <bos> and end with <eos>; those of one word are equally
            long. Sources differ in the tokens only.
        vocab_size: V.
        device: of the tables.
    """

    def __init__(
        self,
        words: Sequence[Sequence[Sequence[tuple[int, ...]]]],
        vocab_size: int,
        device: torch.device | None = None,
    ) -> None:
        first = words[0]
        sequences = list(chain.from_iterable(first))
        longest = max(map(len, sequences))
        self._next = torch.zeros(len(words), len(sequences), longest + 1, vocab_size, dtype=torch.long)
        wanted = torch.zeros(len(words), len(sequences), longest + 1, dtype=torch.long)
        for b, own in enumerate(words):
            for a, sequence in enumerate(chain.from_iterable(own)):
                for matched in range(len(sequence)):
                    for token in set(sequence):
                        self._next[b, a, matched, token] = _matched((*sequence[:matched], token), sequence)
                    wanted[b, a, matched] = sequence[matched]
                self._next[b, a, len(sequence) :] = len(sequence)  # what has occurred stays
                wanted[b, a, len(sequence) :] = sequence[-1]
        self._next, self._wanted = self._next.to(device), wanted.to(device)
        self._sources = torch.arange(len(words), device=device)
        self._each = torch.arange(len(sequences), device=device)
        self._full = torch.tensor([len(sequence) for sequence in sequences], device=device)
        self._lengths = torch.tensor([len(ways[0]) for ways in first], device=device)
        word_of = torch.tensor([number for number, ways in enumerate(first) for _ in ways], device=device)
        self._membership = word_of == torch.arange(len(first), device=device)[:, None]

    def start(self, shape: Sequence[int]) -> Tensor:
        """The progress of texts that hold <bos> alone, (*shape, A)."""
        return self.advance(torch.zeros(*shape, len(self._each), dtype=torch.long, device=self._each.device), BOS)

    def advance(self, progress: Tensor, tokens: Tensor | int) -> Tensor:
        """The progress after one more token.

        Shapes:
            progress: (B, ..., A). tokens: (B, ...) or one token for all. Returns (B, ..., A).
        """
        tokens = tokens[..., None] if isinstance(tokens, Tensor) else tokens
        return self._next[self._source(progress), self._each, progress, tokens]

    def wanted(self, progress: Tensor) -> Tensor:
        """The token that takes each sequence further, for any that is complete its last.

        Shapes:
            progress: (B, ..., A). Returns (B, ..., A).
        """
        return self._wanted[self._source(progress), self._each, progress]

    def lacking(self, progress: Tensor) -> Tensor:
        """0 where every word has occurred, else how many forced tokens are lacking.

        Shapes:
            progress: (..., A). Returns (...).
        """
        complete = progress == self._full
        occurred = (complete[..., None, :] & self._membership).any(-1)  # (..., words)
        furthest = torch.where(self._membership & ~occurred[..., None], progress[..., None, :], 0).amax((-2, -1))
        return self._lengths.sum() - (self._lengths * occurred).sum(-1) - furthest

    def _source(self, progress: Tensor) -> Tensor:
        """Whose tables serve each text, as an index that goes with ``progress``."""
        return self._sources.view(-1, *[1] * (progress.ndim - 1))


def _matched(text: tuple[int, ...], sequence: tuple[int, ...]) -> int:
    """Length of the longest beginning of ``sequence`` that ``text`` ends in."""
    return next(n for n in range(min(len(text), len(sequence)), -1, -1) if text[len(text) - n :] == sequence[:n])
