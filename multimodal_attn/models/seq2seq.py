"""The whole model: an encoder, a decoder with its attention, and optionally a CTC head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.models.encoders.base import Encoder, Reach
from multimodal_attn.types import Batch, DecoderOutput, Memory


class Seq2Seq(nn.Module):
    """Composes the parts; widths flow from the encoder and the tokenizer, never from a yaml.

    Args:
        encoder: gives a ``Memory`` and states its width as ``dim``.
        decoder: makes the decoder when called with ``memory_dim`` and ``vocab_size``.
        vocab_size: V.
        ctc_head: also project the memory to V classes for connectionist temporal classification.
    """

    def __init__(
        self, encoder: Encoder, decoder: Callable[..., Decoder], vocab_size: int, ctc_head: bool = False
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder(memory_dim=encoder.dim, vocab_size=vocab_size)
        self.ctc_head = nn.Linear(encoder.dim, vocab_size) if ctc_head else None

    @property
    def reach(self) -> Reach | None:
        """How much of a recording a position of ``encode`` hears; see ``Encoder``."""
        return self.encoder.reach

    def encode(self, batch: Batch) -> Memory:
        """The memory of every source in the batch.

        Shapes:
            Returns states (B, S, D) and mask (B, S).
        """
        if batch.features:
            dtype = self.decoder.vocabulary.weight.dtype
            memory = self.encoder.join([(features.to(dtype), lengths) for features, lengths in batch.features])
        else:
            memory = self.encoder(batch.source, batch.source_lengths)
        return self._ready(memory, batch)

    def go_on(self, batch: Batch, first: int, done: int, carried: Any) -> tuple[Memory, Any]:
        """The memory of one recording that is still going on, as ``Encoder.go_on`` has it."""
        memory, carried = self.encoder.go_on(batch.source, batch.source_lengths, first, done, carried)
        return self._ready(memory, batch), carried

    def _ready(self, memory: Memory, batch: Batch) -> Memory:
        """As decoders read it."""
        if batch.copies is not None:
            texts = tuple(batch.source_texts)
            memory = replace(memory, copies=batch.copies, num_extra=batch.num_extra, source_texts=texts)
        if memory.states.dtype == torch.bfloat16 and not memory.states.is_cuda:
            # Every step makes a few weighted sums of it, for which a CPU takes three times as long in bf16.
            keys = None if memory.keys is None else memory.keys.float()
            return replace(memory, states=memory.states.float(), keys=keys)
        return memory

    def pretrained_parameters(self) -> list[tuple[list[nn.Parameter], float | None]]:
        """Those that have learned elsewhere, and for which fine-tuning takes smaller steps.

        Of each body its parameters, and what share of the learning rate they get; None for the optimizer's choice.
        """
        parts = [part for part in self.encoder.parts() if part.pretrained and part.body is not None]
        return [(list(part.body.parameters()), part.lr_scale) for part in parts]  # type: ignore[union-attr]

    def forward(self, batch: Batch, sampling_probability: float = 0.0) -> tuple[DecoderOutput, Memory]:
        """A teacher-forced pass; the memory comes back for objectives that need it."""
        memory = self.encode(batch)
        return self.decoder(batch.tokens, batch.token_mask, memory, sampling_probability), memory

    def ctc_logits(self, memory: Memory) -> Tensor:
        """(B, S, V); the padding token's class serves as the blank."""
        if self.ctc_head is None:
            raise ValueError("objective: this model has no CTC head; train it with 'ctc' among the objectives")
        return self.ctc_head(memory.states)
