"""The pointer-generator: a recurrent decoder that also copies words of its source (See et al. 2017, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from multimodal_attn.models.attention.base import Attention, AttentionStep
from multimodal_attn.models.decoders.base import PreparedMemory
from multimodal_attn.models.decoders.recurrent import RecurrentDecoder
from multimodal_attn.models.kernels.picking import real_steps
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import COPYING, UNK, Memory

_LEAST = torch.finfo(torch.float32).tiny
"""In place of the probability 0 of a word that neither the vocabulary nor the source has: its logarithm is finite."""


class PointerGenerator(RecurrentDecoder):
    """Writes each word from the vocabulary or from the source, whichever attention it has.

    ``p_gen = sigmoid(w_context . context + w_hidden . hidden + w_input . input + b)`` (equation 8) is the probability
    of writing from the vocabulary, and that of a word is

        p_gen P_vocabulary(word) + (1 - p_gen) sum of the weights on the positions where it stands   (equation 9)

    with the weights averaged over heads. It runs over an extended vocabulary: the ids from V on are words of the source
    that the vocabulary lacks (``Memory.copies``). Read, they are <unk>. What it calls logits are log probabilities. The
    gate of its attention is the probability of copying, ``1 - p_gen``.

    The recurrence is the recurrent decoder's, so that its fast loop serves. Equations 10 to 13, coverage, are
    ``attention=coverage`` and ``objective=[cross_entropy,coverage]``.

    Args:
        attention, memory_dim, vocab_size, embedding_dim, hidden_dim, num_layers, attend, initial_state, deep_output,
            dropout: as in ``RecurrentDecoder``.

    Raises:
        ValueError: if what the sources are made of cannot be copied.
    """

    copies = True
    no_graph = "copies words that the vocabulary of an exported model lacks"

    def __init__(
        self,
        attention: Callable[..., Attention],
        memory_dim: int,
        vocab_size: int,
        embedding_dim: Count = 256,
        hidden_dim: Count = 512,
        num_layers: Layers = 1,
        attend: Literal["before", "after"] = "before",
        initial_state: Literal["mean", "zeros"] = "mean",
        deep_output: bool = True,
        dropout: DropoutRate = 0.3,
    ) -> None:
        super().__init__(
            attention,
            memory_dim,
            vocab_size,
            embedding_dim,
            hidden_dim,
            num_layers,
            attend,
            initial_state,
            gate=False,
            deep_output=deep_output,
            dropout=dropout,
        )
        self.gate_name = COPYING
        self._reads_input = True
        self.switch = nn.Linear(memory_dim + hidden_dim + embedding_dim, 1)

    def prepare(self, memory: Memory) -> PreparedMemory:
        """As the recurrent decoder."""
        if memory.copies is None:
            raise ValueError(
                "decoder: this one copies words, and these sources have none that it could write; expected"
                " data of texts with tokenizer=copying_word, or another decoder="
            )
        return super().prepare(memory)

    def _known(self, tokens: Tensor) -> Tensor:
        """A word that the vocabulary lacks is read as <unk>."""
        return tokens.where(tokens < self.vocabulary.out_features, UNK)

    def _next(
        self, hidden: Tensor, context: Tensor, embedded: Tensor, attended: AttentionStep, source: PreparedMemory
    ) -> tuple[Tensor, AttentionStep]:
        """Log probabilities of one step (B, K, V + E), and its attention with the probability of copying as gate."""
        copies = source.memory.copies
        assert copies is not None
        logits = self._readout(hidden, context, embedded)
        copying = self._copying(logits, hidden, context, embedded)
        log_probs = self._mix(
            logits,
            copying,
            attended.weights.mean(2),
            copies[:, None].expand(-1, hidden.shape[1], -1),
            source.memory.num_extra,
        )
        return log_probs, attended._replace(gate=copying[..., 0])

    def _teach(
        self, hidden: Tensor, context: Tensor, embedded: Tensor, weights: Tensor, mask: Tensor, memory: Memory
    ) -> Tensor:
        """The same of the R steps that predict a real token, (R, V + E)."""
        assert memory.copies is not None
        logits = self._readout(hidden, context, embedded)
        return self._mix(
            logits,
            self._copying(logits, hidden, context, embedded),
            real_steps(weights, mask).mean(1),
            memory.copies[mask.nonzero(as_tuple=True)[0]],
            memory.num_extra,
        )

    def _copying(self, logits: Tensor, hidden: Tensor, context: Tensor, embedded: Tensor) -> Tensor:
        """1 - p_gen (equation 8) of any number of steps, (..., 1); ``logits`` (..., V) are those of the vocabulary."""
        return torch.sigmoid(-self.switch(torch.cat([context, hidden, embedded], dim=-1)).float())

    def _mix(self, logits: Tensor, copying: Tensor, weights: Tensor, copies: Tensor, num_extra: int) -> Tensor:
        """Equation 9, as logarithms.

        Shapes:
            logits: (..., V). copying: (..., 1). weights, copies: (..., S). Returns (..., V + E).
        """
        generated = (1 - copying) * logits.float().softmax(-1)
        extra = generated.new_zeros(*generated.shape[:-1], num_extra)
        mixed = torch.cat([generated, extra], dim=-1).scatter_add_(-1, copies, copying * weights.float())
        return mixed.clamp(min=_LEAST).log()
