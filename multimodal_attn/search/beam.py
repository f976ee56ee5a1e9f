"""Batched beam search over a memory that is never copied, with further scorers beside the decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import BeamWidth, Count, NotNegative, Positive, TextLength
from multimodal_attn.search.base import Search
from multimodal_attn.search.follower import Step
from multimodal_attn.search.ledger import Continuations, Ledger
from multimodal_attn.search.rows import Rows
from multimodal_attn.search.rules.base import Rule, apply_rules
from multimodal_attn.search.scorers.base import Scorer
from multimodal_attn.types import EOS, Hypothesis, Memory


class BeamSearch(Search):
    """Keeps the ``width`` best unfinished texts of every source; see ``Ledger`` for when one is finished.

    A text of L tokens (<eos> counted) scores the weighted log probabilities of all scorers, divided by
    ``L ** length_penalty``, plus their bonuses. With those of this package, and w their weights, that is

        ((1 - w_ctc) log p_decoder + w_ctc log p_ctc + w_lm log p_lm) / L ** length_penalty
            + length_bonus L + w_coverage covered positions

    (Watanabe et al. 2017, equation 45, with shallow fusion as in Gulcehre et al. 2015 and the last line of Chorowski &
    Jaitly 2017). What is off costs nothing. With width 1 and the decoder alone this is greedy search.

    With several groups it is diverse beam search (Vijayakumar et al. 2018, section 4, algorithm 1): the groups take
    their steps one after the other, and each ranks a token lower by ``diversity`` for every row of the earlier groups
    that has just chosen it (Hamming diversity, equation 6). Diversity steers the choice only, not the score, and a text
    that several groups find is returned once.

    Args:
        width: K, hypotheses per source, those of all groups together. With words that are forced, so many for each
            number of tokens that they lack; see ``ForcedWords``.
        length_penalty: 0 compares plain log probabilities, 1 their mean per token (<eos> counted); between the two,
            beams write neither too little nor too much (Wu et al. 2016, section 7: 0.6 to 0.7).
        max_length, max_length_ratio, rules: as in ``Search``.
        scorers: beside the decoder.
        num_groups: G, must divide ``width``.
        diversity: lambda; log probability that a token loses for each row that has it.

    Raises:
        ValueError: if the width cannot be divided, or the scorers do not go together.
    """

    has_beam = True

    def __init__(
        self,
        width: BeamWidth = 5,
        length_penalty: NotNegative = 0.7,
        max_length: TextLength = 200,
        max_length_ratio: Positive | None = None,
        scorers: Sequence[Scorer] = (),
        rules: Sequence[Rule] = (),
        num_groups: Count = 1,
        diversity: NotNegative = 0.0,
    ) -> None:
        super().__init__(max_length, max_length_ratio, rules)
        if width % num_groups:
            raise ValueError(f"search.num_groups: {num_groups}; expected a divisor of search.width, {width}")
        self.width, self.length_penalty = width, length_penalty
        self.num_groups, self.diversity = num_groups, diversity
        self.scorers = [scorer for scorer in scorers if scorer.active]
        names = ["decoder", *(scorer.name for scorer in self.scorers)]
        if len(set(names)) < len(names):
            raise ValueError(f"search.scorers: {', '.join(names)}; expected a name of its own for each")
        self.decoder_weight = 1 - sum(scorer.decoder_share for scorer in self.scorers)
        if self.decoder_weight <= 0:
            raise ValueError(f"search.scorers: {', '.join(names[1:])} leave no share to the decoder; expected one")

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        super().prepare(model, tokenizer)
        for scorer in self.scorers:
            scorer.prepare(model, tokenizer)

    @torch.no_grad()
    def __call__(self, model: Seq2Seq, memory: Memory, keys: Sequence[str] | None = None) -> list[list[Hypothesis]]:
        """For every source its finished hypotheses, best first, at most ``width``; arguments as in ``Search``."""
        beam = _Beam(self, model, memory)
        while not beam.step():
            pass
        found = [ledger.hypotheses(model.decoder.gate_name) for ledger in beam.ledgers]
        return found[0] if self.num_groups == 1 else _joined(found)


class _Beam:
    """The beam of one batch: G groups of ``size`` rows, each with ``num_banks`` banks of ``width``."""

    def __init__(self, search: BeamSearch, model: Seq2Seq, memory: Memory) -> None:
        self.search, self.width = search, search.width // search.num_groups
        self.num_banks = 1 + sum(rule.num_lacking for rule in search.rules)
        self.size = self.width * self.num_banks
        limits, number = search.limits(memory), self.size * search.num_groups
        self.ledgers = [
            Ledger(limits, self.width, search.length_penalty, self.num_banks) for _ in range(search.num_groups)
        ]
        self.rows = Rows(model, memory, number, search.rules, search.scorers)
        # All rows of a group are the same at first: only its first may be continued.
        self.totals = torch.full((len(limits), number), -torch.inf, device=limits.device)
        self.totals[:, :: self.size] = 0.0
        self.shares: dict[str, Tensor] = {}
        self.origins = torch.arange(self.size, device=limits.device).repeat(search.num_groups)[:, None]

    def step(self) -> bool:
        """Writes one token more; whether all texts are finished."""
        logits, step = self.rows.step(self.totals)
        texts, ranks = self._candidates(logits, step)
        kept = self._choose(texts, ranks, step, logits.shape[-1])
        if all(all(ledger.done) for ledger in self.ledgers):
            return True
        self.rows.advance(kept.tokens, kept.origins)
        self.totals, self.shares = kept.totals, kept.shares
        return False

    def _candidates(self, logits: Tensor, step: Step) -> tuple[Continuations, Tensor]:
        """The best continuations of each row, and what they are ranked by, (B, K, C).

        The best tokens are taken before normalizing: no log-softmax over the whole vocabulary is needed.

        Shapes:
            logits: (B, K, V) of the decoder, changed in place.
        """
        own = normalizer = logits.logsumexp(-1)
        scores, decoder_weight, scorers = logits, self.search.decoder_weight, self.rows.scorers
        if decoder_weight != 1:
            scores, normalizer = decoder_weight * scores, decoder_weight * normalizer
        over_vocabulary: dict[str, Tensor] = {}
        for scorer in scorers:
            if (part := scorer.of_vocabulary(step)) is not None:
                over_vocabulary[scorer.name] = part
                scores = scores + part
        step.normalizer = normalizer
        apply_rules(self.rows.rules, scores, step)

        best, tokens = self._best_tokens(scores)
        gains = best - normalizer[..., None]
        parts = {name: part.gather(-1, tokens) for name, part in over_vocabulary.items()}
        for scorer in scorers:
            if (part := scorer.of_candidates(tokens, step)) is not None:
                parts[scorer.name] = part
                gains = gains + part
        log_probs = gains
        if parts:  # a decoder that is alone has all of the score, which needs no second account
            log_probs = logits.gather(-1, tokens) - own[..., None]
            parts = {"decoder": decoder_weight * log_probs, **parts}
        totals = ranks = step.totals[..., None] + gains
        earned = {scorer.name: bonus[..., None] for scorer in scorers if (bonus := scorer.bonus(step)) is not None}
        if earned:
            # All continuations have the same length, which alone does not change their order.
            ranks = totals + (step.number + 1) ** self.search.length_penalty * sum(earned.values())
        bonuses = {name: bonus.expand_as(totals) for name, bonus in earned.items()}
        shares = {name: self.shares[name][..., None] + part if self.shares else part for name, part in parts.items()}
        return Continuations(totals, tokens, self.origins.expand_as(tokens), log_probs, shares, bonuses), ranks

    def _best_tokens(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The best tokens of each row, and those that take it further toward what must come, with their scores.

        Shapes:
            scores: (B, K, V). Returns (B, K, C) twice.
        """
        # As many as earlier groups have rows may have been chosen by them, and fall behind those that follow.
        number = 2 * self.width + (len(self.ledgers) - 1) * self.size
        number = max(number, *(scorer.num_candidates for scorer in self.rows.scorers), 0)
        if self.num_banks == 1:
            best, tokens = scores.topk(min(number, scores.shape[-1]), dim=-1)
            return best, tokens
        wanted = torch.cat([found for rule in self.rows.rules if (found := rule.wanted()) is not None], dim=-1)
        first = scores.scatter(-1, wanted, torch.inf)
        tokens = first.topk(min(number + wanted.shape[-1], scores.shape[-1]), dim=-1).indices
        return scores.gather(-1, tokens), tokens

    def _choose(self, texts: Continuations, ranks: Tensor, step: Step, vocab_size: int) -> Continuations:
        """Lets one group after the other choose among its candidates, (B, K, C); gives what goes on, (B, K)."""
        bank = ranks
        if self.num_banks > 1:
            bank = torch.stack([rule.lacking(texts.tokens) for rule in self.rows.rules]).sum(0)
            # A text ends when it lacks nothing, or where the rules leave it nothing else.
            ends = texts.tokens == EOS
            others = ranks.masked_fill(ends, -torch.inf).amax(-1, keepdim=True) > -torch.inf
            ranks = ranks.masked_fill(ends & (bank > 0) & others, -torch.inf)
        weights, gate, groups = step.attention.weights, step.attention.gate, []
        taken = ranks.new_zeros(len(ranks), vocab_size if len(self.ledgers) > 1 else 0)  # by how many rows so far
        for number, ledger in enumerate(self.ledgers):
            rows = slice(number * self.size, (number + 1) * self.size)
            own, own_ranks = texts.rows(rows), ranks[:, rows].flatten(1)
            if number:
                own_ranks = own_ranks - self.search.diversity * taken.gather(1, own.tokens)
            best = self._best_of_banks(own, own_ranks, bank[:, rows].flatten(1))
            kept = ledger.add(best, weights[:, rows], None if gate is None else gate[:, rows])
            if len(self.ledgers) > 1:
                taken.scatter_add_(1, kept.tokens, kept.totals.isfinite().to(taken.dtype))
                kept = kept._replace(origins=kept.origins + rows.start)
            groups.append(kept)
        return groups[0] if len(groups) == 1 else Continuations.together(groups)

    def _best_of_banks(self, texts: Continuations, ranks: Tensor, bank: Tensor) -> Continuations:
        """The 2 * width best of each bank, first those of the texts that lack nothing.

        Shapes:
            ranks, bank: (B, C). Returns (B, banks * 2 * width).
        """
        if self.num_banks == 1:
            return texts.columns(ranks.topk(2 * self.width, dim=1).indices)
        banks = torch.arange(self.num_banks, device=bank.device)[:, None]
        apart = ranks[:, None].masked_fill(bank[:, None] != banks, -torch.inf)
        best = apart.topk(2 * self.width, dim=-1)  # (B, banks, 2 * width)
        chosen = texts.columns(best.indices.flatten(1))
        # A bank that is not full is filled up with texts of other banks: they do not count here.
        return chosen._replace(totals=chosen.totals.masked_fill(best.values.flatten(1) == -torch.inf, -torch.inf))


def _joined(groups: list[list[list[Hypothesis]]]) -> list[list[Hypothesis]]:
    """What all groups found for each source, best first, each text once."""
    joined = []
    for found in zip(*groups, strict=True):
        texts = sorted((text for group in found for text in group), key=lambda text: -text.score)
        unique = {(tuple(text.tokens), text.hit_max_length): text for text in reversed(texts)}
        joined.append(sorted(unique.values(), key=lambda text: -text.score))
    return joined
