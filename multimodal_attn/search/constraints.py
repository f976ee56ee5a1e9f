"""What no text may hold: masks over the scores of its next token, the same for every search."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.search.limits import require_above, require_at_least
from multimodal_attn.types import BOS, EOS, PAD, UNK


def forbid_specials(logits: Tensor) -> Tensor:
    """Logits in which no text can hold padding, a second start, or an unknown word.

    Shapes:
        logits: (..., V); changed in place and returned.
    """
    logits[..., [PAD, BOS, UNK]] = -torch.inf
    return logits


class Constraints:
    """Takes tokens out of the choice, one mask after the other, where they would break a rule.

    The probabilities of the tokens that stay are not made larger: the score of a text is what the model gives it. Where
    the rules leave no token at all, a text may end.

    Args:
        min_length: tokens before <eos> may come.
        no_repeat_ngram: no sequence of this many tokens occurs twice in a text; 0 allows all.
        forbidden: sequences of tokens that occur in no text. They may start with <bos> and end with <eos>.
        eos_threshold: gamma; <eos> may come only if ``log p(<eos>) > gamma * max log p(other)`` (Hannun et al. 2019).
            Below 1 <eos> must beat the best other token by some distance, above 1 it may be that far behind; None lets
            it come anywhere.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        min_length: int = 0,
        no_repeat_ngram: int = 0,
        forbidden: Sequence[Sequence[int]] = (),
        eos_threshold: float | None = None,
    ) -> None:
        require_at_least("min_length", min_length, 0)
        require_at_least("no_repeat_ngram", no_repeat_ngram, 0)
        if eos_threshold is not None:
            require_above("eos_threshold", eos_threshold, 0)
        if not all(isinstance(sequence, list | tuple) and sequence for sequence in forbidden):
            raise ValueError("search.forbidden: expected sequences of token ids, none of them empty")
        self.min_length, self.no_repeat_ngram, self.eos_threshold = min_length, no_repeat_ngram, eos_threshold
        self._tokens = [sequence[0] for sequence in forbidden if len(sequence) == 1]
        self._sequences = [tuple(sequence) for sequence in forbidden if len(sequence) > 1]
        self.any = bool(min_length or no_repeat_ngram or forbidden or eos_threshold is not None)
        # Only these two look back: a search need not carry the texts of its rows for the others.
        self.need_history = bool(no_repeat_ngram or self._sequences)

    def __call__(self, scores: Tensor, step: int, history: Tensor | None) -> Tensor:
        """Sets the scores of what may not come next to minus infinity, in place.

        Shapes:
            scores: (B, K, V) log probabilities.
            history: (B, K, step + 1) the tokens so far, <bos> first; None if not ``need_history``.
        """
        if not self.any:
            return scores
        ending = scores[..., EOS].clone()
        if step < self.min_length:
            scores[..., EOS] = -torch.inf
        if self._tokens:
            scores[..., self._tokens] = -torch.inf
        if history is not None:
            for sequence in self._sequences:
                self._block_sequence(scores, history, sequence)
            if self.no_repeat_ngram:
                self._block_repeated(scores, history)
        if self.eos_threshold is not None:
            best_other = scores[..., EOS + 1 :].amax(-1)  # what stands before <eos> is out of the choice
            too_early = scores[..., EOS] <= self.eos_threshold * best_other
            scores[..., EOS].masked_fill_(too_early, -torch.inf)
        nothing_left = scores.amax(-1) == -torch.inf
        scores[..., EOS] = torch.where(nothing_left, ending, scores[..., EOS])
        return scores

    @staticmethod
    def _block_sequence(scores: Tensor, history: Tensor, sequence: tuple[int, ...]) -> None:
        *start, last = sequence
        if history.shape[-1] >= len(start):
            begun = (history[..., -len(start) :] == history.new_tensor(start)).all(-1)  # (B, K)
            scores[..., last].masked_fill_(begun, -torch.inf)

    def _block_repeated(self, scores: Tensor, history: Tensor) -> None:
        n = self.no_repeat_ngram
        if history.shape[-1] < n:
            return
        earlier = history.unfold(-1, n, 1)  # (B, K, number of n-grams, n)
        now = history[..., history.shape[-1] - (n - 1) :]  # the n - 1 tokens that a next one would make an n-gram
        same = (earlier[..., :-1] == now[..., None, :]).all(-1)
        # Padding is out of the choice anyway: it stands in where nothing has to be blocked.
        scores.scatter_(-1, earlier[..., -1].masked_fill(~same, PAD), -torch.inf)
