"""CTC as a scorer: the encoder's own view of a text (Watanabe et al. 2017)."""

from __future__ import annotations

from copy import copy
from typing import Annotated, Self

from annotated_types import Ge, Lt
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search.ctc_prefix import CTCPrefix
from multimodal_attn.search.follower import Step
from multimodal_attn.search.scorers.base import Scorer
from multimodal_attn.types import Memory


class CTCScorer(Scorer):
    """Adds the probability that the CTC head gives to the text so far.

    Args:
        ctc_weight: share of the CTC head in the acoustic score, below 1; the decoder has the rest.
        ctc_candidates: how many tokens of each row, the best by the other scorers, it scores.
    """

    name = "ctc"
    _prefix: CTCPrefix  # of one batch

    def __init__(
        self, ctc_weight: Annotated[float, Ge(0), Lt(1)] = 0.0, ctc_candidates: Annotated[int, Ge(2)] = 20
    ) -> None:
        self.weight = self.decoder_share = ctc_weight
        self.num_candidates, self.active = ctc_candidates, ctc_weight > 0

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        if model.ctc_head is None:
            raise ValueError(
                f"search.ctc_weight: {self.weight}; this model was trained without CTC: expected 0, or a run of"
                " objective=[cross_entropy,ctc]"
            )

    def start(self, model: Seq2Seq, memory: Memory, rows: int) -> Self:
        started = copy(self)
        started._prefix = CTCPrefix(model.ctc_logits(memory), memory.mask, rows)
        return started

    def of_candidates(self, tokens: Tensor, step: Step) -> Tensor:
        return self.weight * self._prefix.score(tokens)

    def advance(self, origins: Tensor, tokens: Tensor) -> None:
        self._prefix.advance(origins, tokens)
