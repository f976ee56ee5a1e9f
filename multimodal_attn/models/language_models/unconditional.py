"""A language model as a model that reads nothing, so that every search can write with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.models.decoders.base import Decoder, PreparedMemory
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.language_models.base import LanguageModel, LanguageState
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.types import DecoderOutput, Memory, TokenAxis


def unconditional(model: LanguageModel, vocab_size: int) -> Seq2Seq:
    """What writes as the language model does, whatever its source.

    Args:
        model: in evaluation mode.
        vocab_size: V, of its tokens.
    """
    return Seq2Seq(_NoSource(), lambda **_: _LanguageDecoder(model), vocab_size).eval()


class _NoSource(Encoder):
    """A memory of one position that says nothing."""

    reads = "text"
    dim = 1
    layout = TokenAxis()

    def forward(self, source: Tensor, lengths: Tensor) -> Memory:
        states = torch.zeros(len(lengths), 1, 1, device=lengths.device)
        return Memory(states, states[..., 0] == 0, self.layout)


class _LanguageDecoder(Decoder):
    own_attention = True

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def prepare(self, memory: Memory) -> PreparedMemory:
        return PreparedMemory(memory, ())

    def start(self, source: PreparedMemory, rows: int) -> LanguageState:
        return self.model.start(len(source.memory.mask), rows)

    def step(self, token: Tensor, state: Any, source: PreparedMemory) -> tuple[Tensor, Any, AttentionStep]:
        logits, state = self.model.step(token, state)
        nothing = source.memory.states.new_zeros(*token.shape, 1)
        return logits, state, AttentionStep(nothing, nothing[..., None], None)

    def forward(
        self, tokens: Tensor, token_mask: Tensor, memory: Memory, sampling_probability: float = 0.0
    ) -> DecoderOutput:
        inputs, mask = tokens[..., :-1], token_mask[..., 1:]
        logits = self.model(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
        weights = logits.new_zeros(*inputs.shape, 1, memory.mask.shape[1])
        return DecoderOutput(logits[mask], tokens[..., 1:][mask], weights, mask)
