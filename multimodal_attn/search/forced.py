"""Words that every text must hold: which of them each row of a beam has, and banks of rows that have equally much."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.types import BOS


class ForcedSequences:
    """What must occur in a text, followed token by token (grid beam search, Hokamp & Liu 2017, section 3).

    A text that has begun a forced word is less probable than one that has not, and a single beam would drop it. Hence
    rows compete only with those that have written as many of the forced tokens: each number has a bank of its own, and
    in every step each row also tries what takes it one token further. A sequence that breaks off counts as far as the
    text still ends in its beginning. Of the sequences that are not there yet, the one that is furthest counts.

    Args:
        words: of each word the sequences of tokens that write it, one of which must occur. They may start with <bos>
            and end with <eos>; those of one word are equally long.

    Attributes:
        num_banks: one more than there are forced tokens.

    Raises:
        ValueError: if a word has no sequence, or a sequence no token.
    """

    def __init__(self, words: Sequence[Sequence[Sequence[int]]]) -> None:
        if not all(sequences and all(len(sequence) for sequence in sequences) for sequences in words):
            raise ValueError("search.forced_words: expected for each word sequences of token ids, none of them empty")
        self.sequences = [tuple(sequence) for sequences in words for sequence in sequences]
        self._word_of = [index for index, sequences in enumerate(words) for _ in sequences]
        self._lengths = [max(map(len, sequences)) for sequences in words]
        self.num_banks = sum(self._lengths) + 1

    def __bool__(self) -> bool:
        return bool(self.sequences)

    def automaton(self, vocab_size: int, device: torch.device) -> ForcedAutomaton:
        """The sequences as tables, for the rows of a search."""
        return ForcedAutomaton(self.sequences, self._word_of, self._lengths, vocab_size, device)


class ForcedAutomaton:
    """How many tokens of each of A sequences a text ends in, by tables (Knuth, Morris & Pratt 1977).

    Args:
        sequences: A of them.
        word_of: the word that each sequence writes.
        lengths: of each word's sequences.
        vocab_size: V.
        device: of the tables.
    """

    def __init__(
        self,
        sequences: Sequence[tuple[int, ...]],
        word_of: Sequence[int],
        lengths: Sequence[int],
        vocab_size: int,
        device: torch.device,
    ) -> None:
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
        self._lengths = torch.tensor(lengths, device=device)
        self._membership = torch.tensor(word_of, device=device) == torch.arange(len(lengths), device=device)[:, None]

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

    def bank(self, progress: Tensor) -> Tensor:
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
