"""Batched beam search over a memory that is never copied, with further scorers beside the decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.search.attention_scores import Coverage, JumpLimit
from multimodal_attn.search.constraints import Constraints, forbid_specials
from multimodal_attn.search.ctc_prefix import CTCPrefix
from multimodal_attn.search.forced import ForcedAutomaton, ForcedSequences
from multimodal_attn.search.ledger import Continuations, Ledger, select_rows
from multimodal_attn.search.limits import LengthLimits, require_above, require_at_least
from multimodal_attn.types import BOS, EOS, Hypothesis, Memory


class BeamSearch:
    """Keeps the ``width`` best unfinished texts of every source; see ``Ledger`` for when one is finished.

    With w the weights below, a text of L tokens (<eos> counted) scores

        ((1 - w_ctc) log p_decoder + w_ctc log p_ctc + w_lm log p_lm) / L ** length_penalty
            + length_bonus L + w_coverage covered positions

    (Watanabe et al. 2017, equation 45, with shallow fusion as in Gulcehre et al. 2015 and the last line of Chorowski &
    Jaitly 2017). What is off costs nothing. With width 1 and the decoder alone this is greedy search.

    Args:
        width: K, hypotheses per source.
        length_penalty: 0 compares plain log probabilities, 1 their mean per token (<eos> counted); between the two,
            beams write neither too little nor too much (Wu et al. 2016, section 7: 0.6 to 0.7).
        length_bonus: for every token.
        ctc_weight: share of the CTC head in the acoustic score, below 1; needs a model trained with CTC.
        ctc_candidates: how many tokens of each row, the best by the other scorers, CTC scores.
        language_model: with the decoder's vocabulary; a run's folder, in a yaml.
        language_model_weight: of its log probability.
        coverage_weight: for every memory position that a text has attended to.
        coverage_threshold: attention from which a position counts, summed over the steps.
        max_attention_jump: memory positions that the peak of attention may move in one step; None for any. For speech.
        max_length: tokens after which a text is cut off.
        max_length_ratio: cut off earlier, after this many tokens per real memory position; None for no such limit.
        min_length: see ``Constraints``, as for the three below.
        no_repeat_ngram: n of the n-grams that may not come twice.
        forbidden: sequences of tokens; words, in a yaml.
        eos_threshold: how well <eos> must do against the best other token.
        forced_words: of each word that a text must hold the sequences of tokens that write it; words, in a yaml. The
            beam then has ``width`` rows for each number of forced tokens; see ``ForcedSequences``. A text that is cut
            off before it has them all is returned only if there is no other.

    Raises:
        ValueError: if an argument is out of range, or one is given that has no effect without another.
    """

    def __init__(
        self,
        width: int = 5,
        length_penalty: float = 0.7,
        length_bonus: float = 0.0,
        ctc_weight: float = 0.0,
        ctc_candidates: int = 20,
        language_model: LanguageModel | None = None,
        language_model_weight: float = 0.0,
        coverage_weight: float = 0.0,
        coverage_threshold: float = 0.5,
        max_attention_jump: int | None = None,
        max_length: int = 200,
        max_length_ratio: float | None = None,
        min_length: int = 0,
        no_repeat_ngram: int = 0,
        forbidden: Sequence[Sequence[int]] = (),
        eos_threshold: float | None = None,
        forced_words: Sequence[Sequence[Sequence[int]]] = (),
    ) -> None:
        require_at_least("width", width, 1)
        for key, value in (
            ("length_penalty", length_penalty),
            ("ctc_weight", ctc_weight),
            ("language_model_weight", language_model_weight),
            ("coverage_weight", coverage_weight),
        ):
            require_at_least(key, value, 0)
        require_at_least("ctc_candidates", ctc_candidates, 2)
        require_above("coverage_threshold", coverage_threshold, 0)
        if ctc_weight >= 1:
            raise ValueError(
                f"search.ctc_weight: {ctc_weight}; expected less than 1, which would leave the decoder out"
            )
        if (language_model is None) != (language_model_weight == 0):
            given = "without" if language_model is None else "with"
            raise ValueError(
                f"search.language_model_weight: {language_model_weight} {given} search.language_model; expected a model"
                " and a weight above 0, or neither"
            )
        if max_attention_jump is not None:
            require_at_least("max_attention_jump", max_attention_jump, 1)
        self.width, self.length_penalty, self.length_bonus = width, length_penalty, length_bonus
        self.ctc_weight, self.ctc_candidates = ctc_weight, ctc_candidates
        self.language_model, self.language_model_weight = language_model, language_model_weight
        self.coverage_weight, self.coverage_threshold = coverage_weight, coverage_threshold
        self.max_attention_jump = max_attention_jump
        self.limits = LengthLimits(max_length, max_length_ratio)
        self.constraints = Constraints(min_length, no_repeat_ngram, forbidden, eos_threshold)
        self.forced = ForcedSequences(forced_words)
        self.rows = width * self.forced.num_banks

    @torch.no_grad()
    def __call__(self, decoder: Decoder, memory: Memory, ctc_logits: Tensor | None = None) -> list[list[Hypothesis]]:
        """For every source its finished hypotheses, best first, at most ``width``.

        Args:
            decoder: in evaluation mode.
            memory: of B sources.
            ctc_logits: (B, S, V), if ``ctc_weight`` is above 0.
        """
        ledger = Ledger(
            self.limits.of(memory), self.width, self.length_penalty, self.length_bonus, self.forced.num_banks
        )
        rows = _Rows(self, memory, ctc_logits)
        source = decoder.prepare(memory)
        state = decoder.start(source, self.rows)
        for step in range(ledger.longest):
            logits, state, attended = decoder.step(rows.token, state, source)
            kept = ledger.add(rows.candidates(logits, attended.weights, step), attended.weights, attended.gate)
            if all(ledger.done):
                break
            state = state.select(kept.origins)
            rows.advance(kept)
        return ledger.hypotheses(decoder.gate_name)


class _Rows:
    """The rows of one beam, with the state of every scorer but the decoder."""

    def __init__(self, search: BeamSearch, memory: Memory, ctc_logits: Tensor | None) -> None:
        self.search = search
        batch, rows, device = len(memory.mask), search.rows, memory.mask.device
        self.token = torch.full((batch, rows), BOS, device=device)
        self.history = self.token[..., None] if search.constraints.need_history else None
        # All rows of a source are the same at first: only row 0 may be continued.
        self.totals = torch.full((batch, rows), -torch.inf, device=device)
        self.totals[:, 0] = 0.0
        self.language_model = search.language_model
        self.ctc: CTCPrefix | None = None
        if search.ctc_weight:
            if ctc_logits is None:
                raise ValueError(f"search.ctc_weight: {search.ctc_weight}; expected 0 for a model without a CTC head")
            self.ctc = CTCPrefix(ctc_logits, memory.mask, rows)
        if self.language_model is not None:
            self.language_state = self.language_model.start(batch, rows)
        self.coverage = Coverage(memory, rows, search.coverage_threshold) if search.coverage_weight else None
        self.jumps = None if search.max_attention_jump is None else JumpLimit(search.max_attention_jump)
        self.automaton: ForcedAutomaton | None = None  # made in the first step, which tells the size of the vocabulary
        others = {"ctc": self.ctc, "language_model": self.language_model}
        names = [name for name, scorer in others.items() if scorer is not None]
        # A decoder that is alone has all of the score, which needs no second account.
        self.shares = {name: torch.zeros_like(self.totals) for name in ["decoder", *names] if names}

    def candidates(self, logits: Tensor, weights: Tensor, step: int) -> Continuations:
        """The 2 * width best continuations of every source, best first; of each bank, if words are forced.

        The best words of each row are taken before normalising: no log-softmax over the whole vocabulary is needed.

        Shapes:
            logits: (B, K, V) of the decoder, changed in place. weights: (B, K, N, S) of its attention.
        """
        search = self.search
        own = normalizer = forbid_specials(logits).logsumexp(-1)
        scores, decoder_weight = logits, 1 - search.ctc_weight
        if decoder_weight != 1:
            scores, normalizer = decoder_weight * scores, decoder_weight * normalizer
        if self.language_model is not None:
            words_logits, self.language_state = self.language_model.step(self.token, self.language_state)
            language = forbid_specials(words_logits).log_softmax(-1)
            scores = scores + search.language_model_weight * language
        if search.constraints.any:
            scores = search.constraints(scores - normalizer[..., None], step, self.history)
            normalizer = torch.zeros_like(normalizer)

        number = 2 * search.width if self.ctc is None else max(2 * search.width, search.ctc_candidates)
        best, words = self._best_words(scores, number)  # (B, K, C)
        gains = best - normalizer[..., None]
        parts: dict[str, Tensor] = {}
        if self.shares:
            parts["decoder"] = decoder_weight * (logits.gather(-1, words) - own[..., None])
        if self.language_model is not None:
            parts["language_model"] = search.language_model_weight * language.gather(-1, words)
        if self.ctc is not None:
            parts["ctc"] = search.ctc_weight * self.ctc.score(words)
            gains = gains + parts["ctc"]

        totals = self.totals[..., None] + gains
        if self.jumps is not None:
            lost = self.jumps.look(weights, self.totals.isfinite())
            totals = totals.masked_fill(lost[..., None], -torch.inf)
        bonuses: dict[str, Tensor] = {}
        ranks = totals
        if self.coverage is not None:
            bonus = search.coverage_weight * self.coverage.look(weights)
            bonuses["coverage"] = bonus[..., None].expand_as(totals).flatten(1)
            # All continuations have the same length, which alone does not change their order.
            ranks = totals + (step + 1) ** search.length_penalty * bonus[..., None]
        texts = Continuations(
            totals.flatten(1),
            words.flatten(1),
            torch.arange(search.rows, device=words.device)[:, None].expand(words.shape).flatten(1),
            (parts["decoder"] / decoder_weight if parts else gains).flatten(1),
            {name: (self.shares[name][..., None] + part).flatten(1) for name, part in parts.items()},
            bonuses,
        )
        if self.automaton is not None:
            return self._by_bank(texts, words, ranks, self.automaton)
        return texts.columns(ranks.flatten(1).topk(2 * search.width, dim=1).indices)  # (B, 2K)

    def _best_words(self, scores: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """The best words of each row, and those that take it further towards a forced word, with their scores.

        Shapes:
            scores: (B, K, V). Returns (B, K, C) twice.
        """
        forced = self.search.forced
        if not forced:
            best, words = scores.topk(min(number, scores.shape[-1]), dim=-1)
            return best, words
        if self.automaton is None:
            self.automaton = forced.automaton(scores.shape[-1], scores.device)
            self.progress = self.automaton.start(self.token.shape)
        wanted = self.automaton.wanted(self.progress)
        first = scores.scatter(-1, wanted, torch.inf)
        words = first.topk(min(number + wanted.shape[-1], scores.shape[-1]), dim=-1).indices
        return scores.gather(-1, words), words

    def _by_bank(self, texts: Continuations, words: Tensor, ranks: Tensor, automaton: ForcedAutomaton) -> Continuations:
        """The 2 * width best of each bank, first those of the texts that have every forced word.

        Shapes:
            words, ranks: (B, K, C).
        """
        search = self.search
        bank = automaton.bank(automaton.advance(self.progress[:, :, None], words))
        # A text ends when it has all of them, or where the constraints leave it nothing else.
        others = ranks.masked_fill(words == EOS, -torch.inf).amax(-1, keepdim=True) > -torch.inf
        ranks = ranks.masked_fill((words == EOS) & (bank > 0) & others, -torch.inf)
        banks = torch.arange(search.forced.num_banks, device=words.device)[:, None]
        apart = ranks.flatten(1)[:, None].masked_fill(bank.flatten(1)[:, None] != banks, -torch.inf)
        best = apart.topk(2 * search.width, dim=-1)  # (B, banks, 2 * width)
        chosen = texts.columns(best.indices.flatten(1))
        # A bank that is not full is filled up with texts of other banks: they do not count here.
        return chosen._replace(totals=chosen.totals.masked_fill(best.values.flatten(1) == -torch.inf, -torch.inf))

    def advance(self, kept: Continuations) -> None:
        """Goes on with what the ledger kept."""
        self.token, self.totals, self.shares = kept.words, kept.totals, kept.shares
        if self.automaton is not None:
            self.progress = self.automaton.advance(select_rows(self.progress, kept.origins), kept.words)
        if self.history is not None:
            self.history = torch.cat([select_rows(self.history, kept.origins), kept.words[..., None]], dim=-1)
        if self.language_model is not None:
            self.language_state = self.language_state.select(kept.origins)
        if self.ctc is not None:
            self.ctc.advance(kept.origins, kept.words)
        for scorer in (self.coverage, self.jumps):
            if scorer is not None:
                scorer.select(kept.origins)
