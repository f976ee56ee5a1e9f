"""Diverse beam search (Vijayakumar et al. 2018, section 4, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.constraints import Constraints, forbid_specials
from multimodal_attn.search.ledger import Continuations, Ledger, select_rows
from multimodal_attn.search.limits import LengthLimits, require_at_least
from multimodal_attn.types import BOS, Hypothesis, Memory


class DiverseBeamSearch:
    """Splits the beam into groups that take their steps one after the other: a group ranks a word lower by
    ``diversity`` for every row of the earlier groups that has just chosen it (Hamming diversity, equation 6).

    Diversity steers the choice only: the score of a text is that of ``BeamSearch``, and a text that several groups find
    is returned once. With one group this is beam search.

    Args:
        width: rows of all groups together.
        num_groups: G, must divide ``width``.
        diversity: lambda; log probability that a word loses for each row that has it.
        length_penalty: 0 compares plain log probabilities, 1 their mean per token (<eos> counted); between the two,
            beams write neither too little nor too much (Wu et al. 2016, section 7: 0.6 to 0.7).
        max_length: tokens after which a text is cut off.
        max_length_ratio: cut off earlier, after this many tokens per real memory position; None for no such limit.
        min_length: see ``Constraints``, as for the three below.
        no_repeat_ngram: n of the n-grams that may not come twice.
        forbidden: sequences of tokens; words, in a yaml.
        eos_threshold: how well <eos> must do against the best other token.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        width: int = 6,
        num_groups: int = 3,
        diversity: float = 0.5,
        length_penalty: float = 0.7,
        max_length: int = 200,
        max_length_ratio: float | None = None,
        min_length: int = 0,
        no_repeat_ngram: int = 0,
        forbidden: Sequence[Sequence[int]] = (),
        eos_threshold: float | None = None,
    ) -> None:
        require_at_least("width", width, 1)
        require_at_least("num_groups", num_groups, 1)
        require_at_least("diversity", diversity, 0)
        require_at_least("length_penalty", length_penalty, 0)
        if width % num_groups:
            raise ValueError(f"search.num_groups: {num_groups}; expected a divisor of search.width, {width}")
        self.width, self.num_groups, self.diversity = width, num_groups, diversity
        self.length_penalty = length_penalty
        self.limits = LengthLimits(max_length, max_length_ratio)
        self.constraints = Constraints(min_length, no_repeat_ngram, forbidden, eos_threshold)

    @torch.no_grad()
    def __call__(self, decoder: Decoder, memory: Memory) -> list[list[Hypothesis]]:
        """For every source the finished hypotheses of all groups, best first, at most ``width``.

        Arguments as in ``GreedySearch``.
        """
        limits, group_width = self.limits.of(memory), self.width // self.num_groups
        ledgers = [Ledger(limits, group_width, self.length_penalty) for _ in range(self.num_groups)]
        source = decoder.prepare(memory)
        state = decoder.start(source, self.width)
        token = torch.full((len(memory.mask), self.width), BOS, device=memory.mask.device)
        history = token[..., None] if self.constraints.need_history else None
        # All rows of a group are the same at first: only its first may be continued.
        totals = torch.full(token.shape, -torch.inf, device=token.device)
        totals[:, ::group_width] = 0.0
        for step in range(ledgers[0].longest):
            logits, state, attended = decoder.step(token, state, source)
            scores = self.constraints(forbid_specials(logits).log_softmax(-1), step, history)
            chosen = torch.zeros_like(scores[:, 0])  # (B, V) rows of the earlier groups that have the word
            groups = []
            for g, ledger in enumerate(ledgers):
                rows = slice(g * group_width, (g + 1) * group_width)
                candidates = self._candidates(scores[:, rows], totals[:, rows], chosen)
                gate = None if attended.gate is None else attended.gate[:, rows]
                kept = ledger.add(candidates, attended.weights[:, rows], gate)
                chosen.scatter_add_(1, kept.words, kept.totals.isfinite().to(chosen.dtype))
                groups.append(kept)
            if all(all(ledger.done) for ledger in ledgers):
                break
            token = torch.cat([kept.words for kept in groups], dim=1)
            totals = torch.cat([kept.totals for kept in groups], dim=1)
            index = torch.cat([kept.origins + g * group_width for g, kept in enumerate(groups)], dim=1)
            state = state.select(index)
            if history is not None:
                history = torch.cat([select_rows(history, index), token[..., None]], dim=-1)
        return self._join([ledger.hypotheses(decoder.gate_name) for ledger in ledgers])

    def _candidates(self, scores: Tensor, totals: Tensor, chosen: Tensor) -> Continuations:
        """The best continuations of one group, by probability less what others have chosen.

        Shapes:
            scores: (B, K', V) log probabilities. totals: (B, K'). chosen: (B, V).
        """
        rows = scores.shape[1]
        number = min(2 * rows, scores.shape[-1])
        ranks, words = (totals[..., None] + scores - self.diversity * chosen[:, None]).topk(number, dim=-1)
        log_probs = scores.gather(-1, words)
        texts = Continuations(
            (totals[..., None] + log_probs).flatten(1),
            words.flatten(1),
            torch.arange(rows, device=words.device)[:, None].expand(words.shape).flatten(1),
            log_probs.flatten(1),
            {},
            {},
        )
        return texts.columns(ranks.flatten(1).topk(2 * rows, dim=1).indices)

    def _join(self, groups: list[list[list[Hypothesis]]]) -> list[list[Hypothesis]]:
        joined = []
        for found in zip(*groups, strict=True):
            texts = sorted((text for group in found for text in group), key=lambda text: -text.score)
            unique = {(tuple(text.tokens), text.hit_max_length): text for text in reversed(texts)}
            joined.append(sorted(unique.values(), key=lambda text: -text.score))
        return joined
