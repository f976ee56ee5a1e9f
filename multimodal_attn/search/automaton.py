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
        words: of each word the sequences of tokens that write it, one of which must occur; A of all words together.
            They may start with <bos> and end with <eos>; those of one word are equally long.
        vocab_size: V.
        device: of the tables.
    """

    def __init__(
        self, words: Sequence[Sequence[tuple[int, ...]]], vocab_size: int, device: torch.device | None = None
    ) -> None:
        sequences = list(chain.from_iterable(words))
        longest = max(map(len, sequences))
        self._next = torch.zeros(len(sequences), longest + 1, vocab_size, dtype=torch.long)
        wanted = torch.zeros(len(sequences), longest + 1, dtype=torch.long)
        for a, sequence in enumerate(sequences):
            for matched in range(len(sequence)):
                for token in set(sequence):
                    self._next[a, matched, token] = _matched((*sequence[:matched], token), sequence)
                wanted[a, matched] = sequence[matched]
            self._next[a, len(sequence) :] = len(sequence)  # what has occurred stays
            wanted[a, len(sequence) :] = sequence[-1]
        self._next, self._wanted = self._next.to(device), wanted.to(device)
        self._each = torch.arange(len(sequences), device=device)
        self._full = torch.tensor([len(sequence) for sequence in sequences], device=device)
        self._lengths = torch.tensor([len(ways[0]) for ways in words], device=device)
        word_of = torch.tensor([number for number, ways in enumerate(words) for _ in ways], device=device)
        self._membership = word_of == torch.arange(len(words), device=device)[:, None]

    def start(self, shape: Sequence[int]) -> Tensor:
        """The progress of texts that hold <bos> alone, (*shape, A)."""
        return self.advance(torch.zeros(*shape, len(self._each), dtype=torch.long, device=self._each.device), BOS)

    def advance(self, progress: Tensor, tokens: Tensor | int) -> Tensor:
        """The progress after one more token.

        Shapes:
            progress: (..., A). tokens: (...) or one token for all. Returns (..., A).
        """
        return self._next[self._each, progress, tokens[..., None] if isinstance(tokens, Tensor) else tokens]

    def wanted(self, progress: Tensor) -> Tensor:
        """The token that takes each sequence further, for any that is complete its last.

        Shapes:
            progress: (..., A). Returns (..., A).
        """
        return self._wanted[self._each, progress]

    def lacking(self, progress: Tensor) -> Tensor:
        """0 where every word has occurred, else how many forced tokens are lacking.

        Shapes:
            progress: (..., A). Returns (...).
        """
        complete = progress == self._full
        occurred = (complete[..., None, :] & self._membership).any(-1)  # (..., words)
        furthest = torch.where(self._membership & ~occurred[..., None], progress[..., None, :], 0).amax((-2, -1))
        return self._lengths.sum() - (self._lengths * occurred).sum(-1) - furthest


def _matched(text: tuple[int, ...], sequence: tuple[int, ...]) -> int:
    """Length of the longest beginning of ``sequence`` that ``text`` ends in."""
    return next(n for n in range(min(len(text), len(sequence)), -1, -1) if text[len(text) - n :] == sequence[:n])
