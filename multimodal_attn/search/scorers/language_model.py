"""A language model as a scorer: shallow fusion (Gulcehre et al. 2015)."""

from __future__ import annotations

from copy import copy
from typing import Self

import torch
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.language_models.base import LanguageModel, LanguageState
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import NotNegative
from multimodal_attn.search.follower import Step
from multimodal_attn.search.rules.base import forbid_specials
from multimodal_attn.search.scorers.base import Scorer
from multimodal_attn.types import UNK, Memory


class LanguageModelScorer(Scorer):
    """Adds the log probability that a language model gives to the text.

    Args:
        language_model: with the decoder's vocabulary; a run's folder, in a yaml.
        language_model_weight: of its log probability.

    Raises:
        ValueError: for a model without a weight, or a weight without a model.
    """

    name = "language_model"
    _state: LanguageState  # of one batch
    _num_extra: int  # of words that only its sources have: each is as probable as <unk>

    def __init__(self, language_model: LanguageModel | None = None, language_model_weight: NotNegative = 0.0) -> None:
        if (language_model is None) != (language_model_weight == 0):
            given = "without" if language_model is None else "with"
            raise ValueError(
                f"search.language_model_weight: {language_model_weight} {given} search.language_model; expected a model"
                " and a weight above 0, or neither"
            )
        self.model, self.weight, self.active = language_model, language_model_weight, language_model is not None

    def prepare(self, model: Seq2Seq, tokenizer: Tokenizer) -> None:
        self._vocab_size = len(tokenizer)

    def start(self, model: Seq2Seq, memory: Memory, rows: int) -> Self:
        assert self.model is not None
        started = copy(self)
        started._state = self.model.start(len(memory.mask), rows)
        started._num_extra = memory.num_extra
        return started

    def of_vocabulary(self, step: Step) -> Tensor:
        assert self.model is not None
        known = step.token.where(step.token < self._vocab_size, UNK)  # words of the source alone are new to it
        logits, self._state = self.model.step(known, self._state)
        unknown = logits[..., UNK, None].expand(*logits.shape[:-1], self._num_extra)
        return self.weight * forbid_specials(torch.cat([logits, unknown], dim=-1)).log_softmax(-1)

    def advance(self, origins: Tensor, tokens: Tensor) -> None:
        self._state = self._state.select(origins)
