"""A decoder-only transformer that reads the memory as a prefix of the text (Liu et al. 2018; Wang et al. 2022, GIT)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from multimodal_attn.models.attention.base import AttentionStep
from multimodal_attn.models.decoders.base import Decoder, LayerWeights, PreparedMemory
from multimodal_attn.models.kernels.dropout import Dropout
from multimodal_attn.models.kernels.picking import real_steps
from multimodal_attn.models.language_models.base import LanguageState
from multimodal_attn.models.layers.causal_block import CausalBlock, Followed
from multimodal_attn.models.layers.layer_to_report import layer_to_report
from multimodal_attn.models.layers.scheduled_sampling import with_own_tokens
from multimodal_attn.models.layers.self_attention_layers import Positions, within_layers
from multimodal_attn.models.layers.sinusoids import sinusoids
from multimodal_attn.ranges import Count, DropoutRate, Layers
from multimodal_attn.types import PAD, DecoderOutput, Memory


class PrefixTransformer(Decoder):
    """One stack of causal self-attention over the memory and the text after it, without attention to a memory.

    Memory positions see each other in both directions (the prefix LM of Raffel et al. 2020, section 3.2.1) and no
    token, so that their keys and values of every layer are made once for each source. A token sees them and the tokens
    before it in one softmax. Reported are the weights of one layer's N heads among the memory positions, which sum to
    1, and as gate the share of attention that goes there, the mean over heads.

    Args:
        memory_dim: width D of the memory.
        vocab_size: V.
        hidden_dim: width H of the layers and of the token embedding, which also writes the tokens; even, and a multiple
            of ``num_heads``.
        num_layers: blocks of self-attention and a perceptron.
        num_heads: N, of each block.
        reported_layer: whose attention to the memory is reported; -1 is the last.
        dropout: on embeddings and before each sum.
        positions: sines and cosines that are added to memory and embeddings, rotated queries and keys ("rotary"), or a
            bias for every distance within the memory and within the text ("relative").

    Raises:
        ValueError: if a number does not fit the others.
    """

    own_attention = True
    gate_name = "share of the source"

    def __init__(
        self,
        memory_dim: int,
        vocab_size: int,
        hidden_dim: Count = 256,
        num_layers: Layers = 4,
        num_heads: Count = 4,
        reported_layer: int = -1,
        dropout: DropoutRate = 0.1,
        positions: Positions = "sinusoidal",
    ) -> None:
        super().__init__()
        self.hidden_dim, self.sinusoidal = hidden_dim, positions == "sinusoidal"
        self.reported_layer = layer_to_report(reported_layer, num_layers, hidden_dim, num_heads, positions)
        self.embedding = nn.Embedding(vocab_size, hidden_dim, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=hidden_dim**-0.5)
        # Its bias tells the positions of a source from those of a text.
        self.read = nn.Linear(memory_dim, hidden_dim)
        self.blocks = nn.ModuleList(
            CausalBlock(hidden_dim, num_heads, dropout, within_layers(positions)) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_dim)
        self.dropout = Dropout(dropout)
        self.vocabulary = nn.Linear(hidden_dim, vocab_size)
        # One matrix reads and writes words (Press & Wolf 2017); hence the embedding's small start and large factor.
        self.vocabulary.weight = self.embedding.weight

    def prepare(self, memory: Memory) -> PreparedMemory:
        """Keys and values of the memory in every layer, (B, S, 2 * H) each.

        Raises:
            ValueError: for a memory of which one part is compared and another taken, which a prefix cannot be.
        """
        if memory.keys is not None:
            raise ValueError(
                "decoder: prefix_transformer reads one memory as keys and as values; expected encoder.keys and"
                " encoder.values with the same streams, or another decoder="
            )
        hidden = self._placed(self.read(memory.states), 0)
        *others, last = self.blocks
        projected = []
        for block in others:
            hidden, seen = block(hidden, visible=memory.mask)
            projected.append(seen)
        return PreparedMemory(memory, (*projected, last.project(hidden)))  # type: ignore[operator]

    def start(self, source: PreparedMemory, rows: int) -> LanguageState:
        """Keys and values of no token yet: (B, K, 0, 2 * H) for each block."""
        empty = source.projected[0].new_zeros(len(source.memory.mask), rows, 0, 2 * self.hidden_dim)
        return LanguageState([empty] * len(self.blocks))

    def step(
        self, token: Tensor, state: LanguageState, source: PreparedMemory
    ) -> tuple[Tensor, LanguageState, AttentionStep]:
        """Reads one token per row and gives the logits of the next: what every search calls.

        Shapes:
            token: (B, K) int64. Returns logits (B, K, V), the new state, and the reported layer's attention.
        """
        hidden, state, reported = self._run(token[..., None], state, source)
        weights, share = _among_positions(reported)
        attended = AttentionStep(reported.context[:, :, 0], weights[:, :, 0], None, gate=share[:, :, 0].mean(-1))
        return self.vocabulary(hidden[:, :, 0]), state, attended

    def forward(
        self, tokens: Tensor, token_mask: Tensor, memory: Memory, sampling_probability: float = 0.0
    ) -> DecoderOutput:
        """Reads the given tokens at once, and predicts each next one. Args and shapes: as in ``Decoder``.

        With ``sampling_probability`` it reads twice, see ``with_own_tokens``.
        """
        inputs, mask = tokens[..., :-1], token_mask[..., 1:]
        source = self.prepare(memory)
        start = self.start(source, tokens.shape[1])
        if sampling_probability:
            with torch.no_grad():
                logits = self.vocabulary(self._run(inputs, start, source)[0][:, :, :-1])
            inputs = with_own_tokens(inputs, mask, logits, sampling_probability)
        hidden, _, reported = self._run(inputs, start, source)
        weights, _ = _among_positions(reported)
        logits = self.vocabulary(real_steps(hidden, mask))
        return DecoderOutput(logits, tokens[..., 1:][mask], weights.masked_fill(~mask[..., None, None], 0.0), mask)

    def layer_weights(self, tokens: Tensor, memory: Memory) -> list[LayerWeights]:
        """As in ``Decoder``, with what the memory positions read of each other."""
        source = self.prepare(memory)
        blocks = self._blocks(tokens, self.start(source, tokens.shape[1]), source)
        prefix, found = self._placed(self.read(memory.states), 0), []
        for block, followed in zip(self.blocks, blocks, strict=True):
            between = block.weights(prefix, memory.mask)  # type: ignore[operator]
            prefix, _ = block(prefix, visible=memory.mask)
            found.append(LayerWeights(followed.own_weights, followed.weights.transpose(2, 3), between))
        return found

    def _run(
        self, tokens: Tensor, state: LanguageState, source: PreparedMemory
    ) -> tuple[Tensor, LanguageState, Followed]:
        """All blocks over T new tokens (B, K, T): hidden (B, K, T, H), the state, and what the reported block did."""
        blocks = self._blocks(tokens, state, source)
        return self.norm(blocks[-1].hidden), LanguageState([each.seen for each in blocks]), blocks[self.reported_layer]

    def _blocks(self, tokens: Tensor, state: LanguageState, source: PreparedMemory) -> list[Followed]:
        embedded = self.embedding(tokens) * math.sqrt(self.hidden_dim)
        hidden, found = self._placed(embedded, state.tensors[0].shape[2]), []
        for block, seen, prefix in zip(self.blocks, state.tensors, source.projected, strict=True):
            found.append(block.follow(hidden, seen, prefix, source.memory.mask))  # type: ignore[operator]
            hidden = found[-1].hidden
        return found

    def _placed(self, hidden: Tensor, first: int) -> Tensor:
        """(..., T, H), with the sines and cosines of the positions from ``first`` on if they are added."""
        if self.sinusoidal:
            positions = torch.arange(first, first + hidden.shape[-2], device=hidden.device)
            hidden = hidden + sinusoids(positions, self.hidden_dim)
        placed: Tensor = self.dropout(hidden)
        return placed


def _among_positions(reported: Followed) -> tuple[Tensor, Tensor]:
    """The weights among the memory positions (..., N, S), and the share of attention that they have (..., N)."""
    share = reported.weights.sum(-1)
    return reported.weights / share.clamp(min=torch.finfo(share.dtype).tiny)[..., None], share
