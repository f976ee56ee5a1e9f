"""The contract of decoders.

Training, search, sampling and scheduled sampling all go through ``step`` or through a teacher-forced ``forward`` that
the contract tests hold equal to it. A new decoder is one file with one class like these and one yaml in
``conf/decoder``; the contract tests find it by its yaml.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.types import DecoderOutput, Memory


@dataclass
class PreparedMemory:
    """A memory with what the decoder projected from it, made once per source.

    Attributes:
        memory: of B sources.
        projected: tensors of any shape whose first axis is B.
    """

    memory: Memory
    projected: tuple[Tensor, ...]

    def first(self, sources: int) -> PreparedMemory:
        """The first ``sources`` sources, as views."""
        return PreparedMemory(self.memory.select(slice(sources)), tuple(p[:sources] for p in self.projected))


class LayerWeights(NamedTuple):
    """What the heads of a layer of self-attention and attention to the memory read.

    Attributes:
        tokens: (B, K, N, T, T), of each token the weights of those up to itself.
        memory: (B, K, N, T, S).
        prefix: (B, N, S, S), what memory positions read of each other in a layer that reads memory and tokens at once,
            so that the weights of both sum to 1 together; None where each is read by itself and sums to 1.
    """

    tokens: Tensor
    memory: Tensor
    prefix: Tensor | None = None

    @property
    def among_tokens(self) -> Tensor:
        """``tokens`` with rows that sum to 1."""
        total = self.tokens.sum(-1, keepdim=True)
        return self.tokens / total.clamp(min=torch.finfo(total.dtype).tiny)


class Decoder(nn.Module, ABC):
    """Reads a memory and writes tokens.

    Constructors take ``memory_dim``, ``vocab_size`` and, unless they bring their own, ``attention`` by keyword, which
    makes the mechanism when called with ``query_dim`` and ``memory_dim``. The layer that makes logits of features is
    named ``vocabulary``.

    Attributes:
        own_attention: whether the decoder brings its own attention, so that ``conf/attention`` plays no part.
        objective: see ``Attention``, of the mechanism that the decoder was given.
        copies: whether it writes words of the source that the vocabulary lacks, and so needs ``Memory.copies``.
        gate_name: what the ``gate`` in the attention of a step is called, for decoders that have one.
        no_graph: why it cannot be exported, as what it does; empty for those that can.
    """

    vocabulary: nn.Linear
    own_attention: bool = False
    objective: str | None = None
    copies: bool = False
    gate_name: str = ""
    no_graph: ClassVar[str] = ""

    @abstractmethod
    def prepare(self, memory: Memory) -> PreparedMemory:
        """Does once per source whatever depends on the memory alone."""

    @abstractmethod
    def start(self, source: PreparedMemory, rows: int) -> Any:
        """The state before the first token, for ``rows`` rows that share each source.

        A state has ``select(index)``, which reorders the rows of every source: row k becomes what row ``index[b, k]``
        was, index (B, K').
        """

    @abstractmethod
    def step(self, token: Tensor, state: Any, source: PreparedMemory) -> tuple[Tensor, Any, AttentionStep]:
        """Reads one token per row and gives the logits of the next.

        Shapes:
            token: (B, K) int64. Returns logits (B, K, V), the new state, and the attention of this step.
        """

    @abstractmethod
    def forward(
        self, tokens: Tensor, token_mask: Tensor, memory: Memory, sampling_probability: float = 0.0
    ) -> DecoderOutput:
        """Reads the given tokens and predicts each next one.

        Args:
            tokens: (B, K, T), from <bos> to <eos>.
            token_mask: (B, K, T).
            memory: of the B sources.
            sampling_probability: how often a step reads a token drawn from the model's own last distribution
                in place of the given one (scheduled sampling, Bengio et al. 2015).
        """

    def second_look(self, tokens: Tensor, memory: Memory) -> Tensor | None:
        """The map of each token, made once the token is known; None for decoders that look before they write alone.

        Shapes:
            tokens: (B, K, T) int64. Returns (B, K, T, N, S), in the place of the maps of the first look.
        """
        return None

    def layer_weights(self, tokens: Tensor, memory: Memory) -> list[LayerWeights]:
        """The weights of every layer, first to last, when it reads the given tokens; empty for decoders without layers
        of self-attention.

        Shapes:
            tokens: (B, K, T) int64, without the token that no step reads.
        """
        return []
